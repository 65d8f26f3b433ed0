"""The same picture in every format that is read, and the variants of a format that trip decoders."""

from pathlib import Path

import numpy
from PIL import Image, ImageCms

from . import common, dng

HELPERS = [dng.__file__]
SIZE = (600, 400)  # skimage's coffee.png, which every file here shows
TIME = "2015:04:01 08:30:00"


def by_vips(source: Path, folder: Path) -> list:
    common.run("vips", "heifsave", source, folder / "picture.heic", "--compression", "hevc", "--Q", "80")
    common.run("vips", "heifsave", source, folder / "picture.avif", "--compression", "av1", "--Q", "70", "--effort", "2")
    common.run("vips", "copy", source, folder / "picture.webp")
    common.run("vips", "copy", source, folder / "picture.tiff[compression=lzw]")
    common.run("cjxl", "--quiet", "-d", "1", source, folder / "picture.jxl")
    common.run("cjxl", "--quiet", "--lossless_jpeg=1", source, folder / "from_jpeg.jxl")
    return ["picture.heic", "picture.avif", "picture.webp", "picture.tiff", "picture.jxl", "from_jpeg.jxl"]


def by_pillow(picture: Image.Image, folder: Path) -> list:
    grey, alpha = picture.convert("L"), picture.convert("RGBA")
    alpha.putalpha(Image.linear_gradient("L").resize(picture.size))
    wide = numpy.asarray(grey, numpy.uint16) * 257
    frames = [picture.transpose(t) for t in (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM)]
    animated = {"save_all": True, "append_images": frames, "duration": 200, "loop": 0}
    adobe_like = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    files = {
        "picture.png": (picture, {}),
        "picture.bmp": (picture, {}),
        "picture.gif": (picture, {}),
        "cmyk.jpg": (picture.convert("CMYK"), {"quality": 90}),
        "progressive.jpg": (picture, {"quality": 90, "progressive": True}),
        "grey.jpg": (grey, {"quality": 90}),
        "odd_profile.jpg": (picture, {"quality": 90, "icc_profile": adobe_like}),
        "restart_markers.jpg": (picture, {"quality": 90, "restart_marker_rows": 1}),
        "grey_16bit.png": (Image.fromarray(wide), {}),
        "palette.png": (picture.quantize(64), {}),
        "one_bit.png": (picture.convert("1"), {}),
        "alpha.png": (alpha, {}),
        "grey_alpha.png": (alpha.convert("LA"), {}),
        "alpha.webp": (alpha, {"quality": 80}),
        "lossless.webp": (picture, {"lossless": True, "method": 2}),
        "animated.gif": (picture, animated),
        "animated.webp": (picture, animated | {"method": 2}),
        "animated.png": (picture, animated),
        "float.tiff": (Image.fromarray(numpy.asarray(grey, numpy.float32) / 255), {}),
        "grey_16bit.tiff": (Image.fromarray(wide), {}),
        "pages.tiff": (picture, {"save_all": True, "append_images": frames, "compression": "tiff_deflate"}),
        "cmyk.tiff": (picture.convert("CMYK"), {"compression": "tiff_lzw"}),
        "palette.bmp": (picture.quantize(256), {}),
    }
    for name, (image, options) in files.items():
        image.save(folder / name, **options)
    return list(files)


def by_ffmpeg(source: Path, folder: Path) -> list:
    for name, pixels in (("rgb_16bit.png", "rgb48be"), ("rgb_16bit.tiff", "rgb48le")):
        common.run("ffmpeg", "-v", "error", "-i", source, "-frames:v", "1", "-pix_fmt", pixels, folder / name)
    return ["rgb_16bit.png", "rgb_16bit.tiff"]


def raw(picture: Image.Image, folder: Path) -> list:
    variants = {"picture.dng": {}, "no_preview.dng": {"preview": False}}
    for name, options in variants.items():
        (folder / name).write_bytes(dng.encode(picture, "Leica", "Leica M10", TIME, **options))
    return list(variants)


def make(sources: common.Sources, folder: Path) -> dict:
    picture = Image.open(sources.skimage / "coffee.png").convert("RGB")
    assert picture.size == SIZE
    source = folder / "picture.jpg"
    picture.save(source, quality=92)
    tags = {"Exif.Image.Make": "Canon", "Exif.Image.Model": "Canon EOS 5D", "Exif.Photo.DateTimeOriginal": TIME, "Exif.Image.Orientation": 1}
    common.set_tags(source, tags)
    names = ["picture.jpg"] + by_vips(source, folder) + by_pillow(picture, folder) + by_ffmpeg(source, folder) + raw(picture, folder)
    rotated = folder / "rotated.dng"
    rotated.write_bytes(dng.encode(picture, "Leica", "Leica M10", TIME, orientation=6))
    truth = {name: {"width": SIZE[0], "height": SIZE[1]} for name in names}
    return truth | {"rotated.dng": {"width": SIZE[1], "height": SIZE[0]}}
