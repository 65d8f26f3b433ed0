"""A small library of real photos; some carry the metadata a camera, a phone or a catalogue program would have written."""

import shutil
from pathlib import Path

from PIL import Image

from . import common

OPENCV = """
aero1.jpg aero3.jpg aloeL.jpg aloeR.jpg apple.jpg baboon.jpg basketball1.png basketball2.png blox.jpg board.jpg box.png
box_in_scene.png building.jpg butterfly.jpg cards.png chicky_512.png ela_original.jpg fruits.jpg graf1.png graf3.png
HappyFish.jpg home.jpg left01.jpg left02.jpg left03.jpg left04.jpg left05.jpg left06.jpg left07.jpg leuvenA.jpg leuvenB.jpg
licenseplate_motion.jpg messi5.jpg orange.jpg right01.jpg right02.jpg right03.jpg right04.jpg right05.jpg right06.jpg
rubberwhale1.png rubberwhale2.png smarties.png squirrel_cls.jpg starry_night.jpg stuff.jpg sudoku.png text_defocus.jpg
text_motion.jpg
""".split()
SKIMAGE = """
astronaut.png brick.png camera.png chelsea.png clock_motion.png coffee.png coins.png grass.png gravel.png hubble_deep_field.jpg
moon.png motorcycle_left.png motorcycle_right.png page.png retina.jpg rocket.jpg text.png
""".split()
WALLPAPERS = {"Autumn": "2560x1600", "FallenLeaf": "2560x1600", "Kite": "2560x1600", "BytheWater": "2560x1600"}

# file → camera make, model, time as EXIF writes it, offset, sub-seconds, (lat, lon, altitude), rating, keywords, title, description
CAMERAS = {
    "fruits.jpg": ("Canon", "Canon EOS 5D", "2006:08:19 11:02:45", None, None, None, 3, ["fruit", "still life"], "Fruit bowl", "Fruit on a table"),
    "building.jpg": ("Canon", "Canon EOS 40D", "2009:03:07 16:40:12", None, "05", (48.1372, 11.5755, 519.0), 4, ["architecture"], "Town hall", None),
    "home.jpg": ("Canon", "Canon EOS R6", "2021:12:24 18:30:00", "+01:00", "250", (47.8095, 13.0550, 424.0), 5, ["home", "family"], None, "Christmas at home"),
    "butterfly.jpg": ("NIKON CORPORATION", "NIKON D700", "2010:06:12 09:15:30", None, "30", (-33.8688, 151.2093, 19.0), 5, ["butterfly", "macro"], "Butterfly", "A butterfly on a flower"),
    "apple.jpg": ("NIKON CORPORATION", "NIKON Z 6", "2019:10:03 14:22:07", "-04:00", "99", (40.7128, -74.0060, 10.0), 2, ["fruit"], None, None),
    "orange.jpg": ("NIKON CORPORATION", "NIKON D90", "2012:02:29 23:59:59", None, None, None, None, [], None, None),
    "leuvenA.jpg": ("SONY", "ILCE-7M3", "2018:05:26 20:11:54", "+02:00", "123", (50.8798, 4.7005, 25.0), 4, ["city", "street"], "Leuven", None),
    "leuvenB.jpg": ("SONY", "ILCE-7M3", "2018:05:26 20:11:56", "+02:00", "871", (50.8799, 4.7006, 25.0), 1, ["city"], None, None),
    "squirrel_cls.jpg": ("SONY", "DSC-RX100M5", "2017:09:30 08:01:02", None, None, (-22.9068, -43.1729, 2.0), 3, ["animal"], "Squirrel", None),
    "messi5.jpg": ("Apple", "iPhone 4S", "2013:04:27 21:45:10", None, None, (41.3874, 2.1686, 12.0), None, ["football", "sport"], None, "Match day"),
    "HappyFish.jpg": ("Apple", "iPhone 12 Pro", "2022:07:16 12:00:01", "+09:00", "404", (35.6762, 139.6503, -3.5), 5, ["fish", "水族館"], "Fisch im Aquarium – schön", "Aquarium"),
    "board.jpg": ("Apple", "iPhone 15", "2024:11:02 07:08:09", "+00:00", "5", (64.1466, -21.9426, 61.0), None, [], None, None),
}
LENSES = {"Canon": "EF24-70mm f/2.8L USM", "SONY": "FE 50mm F1.8", "NIKON CORPORATION": "AF-S NIKKOR 85mm f/1.8G", "Apple": "iPhone back camera 4.2mm f/1.6"}

# Stored pixels that become the upright picture when EXIF orientation N is applied.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}

SIDECAR = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" xmp:Rating="{rating}">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>
<dc:subject><rdf:Bag>{keywords}</rdf:Bag></dc:subject>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>
"""
# sidecar → rating, title, keywords. aloeL has both kinds: aloeL.jpg.xmp is the one that counts.
SIDECARS = {
    "baboon.jpg.xmp": (5, "Baboon", ["monkey", "zoo"]),
    "rocket.xmp": (4, "Rocket on the pad", ["space", "launch"]),
    "aloeL.jpg.xmp": (3, "Aloe, left", ["plant"]),
    "aloeL.xmp": (1, "not this one", ["wrong"]),
}


def camera_tags(make, model, time, offset, subsec, gps, rating, keywords, title, description) -> dict:
    tags = {
        "Exif.Image.Make": make,
        "Exif.Image.Model": model,
        "Exif.Image.DateTime": time,
        "Exif.Photo.DateTimeOriginal": time,
        "Exif.Photo.DateTimeDigitized": time,
        "Exif.Photo.LensModel": LENSES[make],
        "Exif.Photo.ExposureTime": "1/250",
        "Exif.Photo.FNumber": "28/10",
        "Exif.Photo.ISOSpeedRatings": "400",
        "Exif.Photo.FocalLength": "50/1",
    }
    optional = {
        "Exif.Photo.OffsetTimeOriginal": offset,
        "Exif.Photo.SubSecTimeOriginal": subsec,
        "Exif.Image.ImageDescription": description,
        "Xmp.dc.description": description and f"lang=x-default {description}",
        "Xmp.dc.title": title and f"lang=x-default {title}",
        "Xmp.xmp.Rating": rating,
        "Iptc.Application2.Caption": description,
    }
    tags |= {key: value for key, value in optional.items() if value is not None}
    if keywords:
        tags["Iptc.Envelope.CharacterSet"] = "\x1b%G"
        tags["Xmp.dc.subject"] = keywords
        tags["Iptc.Application2.Keywords"] = keywords
    return tags | (common.gps_tags(*gps) if gps else {})


def write_orientations(source: Path, folder: Path) -> dict:
    truth = {}
    upright = Image.open(source).convert("RGB")
    for orientation, operation in STORED.items():
        path = folder / f"orientation_{orientation}.jpg"
        stored = upright if operation is None else upright.transpose(operation)
        stored.save(path, quality=95, subsampling=0)
        common.set_tags(path, {"Exif.Image.Orientation": orientation, "Exif.Image.Make": "Canon", "Exif.Image.Model": "Canon EOS R5"})
        truth[path.name] = {"orientation": orientation, "upright_width": upright.width, "upright_height": upright.height}
    return truth


def make(sources: common.Sources, folder: Path) -> dict:
    for name in OPENCV:
        shutil.copyfile(sources.opencv / name, folder / name)
    for name in SKIMAGE:
        shutil.copyfile(sources.skimage / name, folder / name)
    for name, size in WALLPAPERS.items():
        source = sources.wallpaper(name, size)
        shutil.copyfile(source, folder / f"{name.lower()}{source.suffix}")
    truth = write_orientations(sources.opencv / "board.jpg", folder)
    fields = ("make", "model", "time", "offset", "subsec", "gps", "rating", "keywords", "title", "description")
    for name, values in CAMERAS.items():
        common.set_tags(folder / name, camera_tags(*values))
        truth[name] = dict(zip(fields, values)) | {"lens": LENSES[values[0]]}
    for name, (rating, title, keywords) in SIDECARS.items():
        items = "".join(f"<rdf:li>{k}</rdf:li>" for k in keywords)
        (folder / name).write_text(SIDECAR.format(rating=rating, title=title, keywords=items))
        truth[name] = {"rating": rating, "title": title, "keywords": keywords}
    return truth
