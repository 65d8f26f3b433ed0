"""Makes the pictures, videos and metadata that the media tests read, with what independent programs say of them.

usage: make_inputs.py FOLDER [SAMPLES]
Writes FOLDER/manifest.json: {"pictures": [{file, references: [{edge, file}]}], "plain_jpegs": [file],
"photos": [{format, …}], "tags": [...], "videos": [...]}. References are PPM files of a full decode by another program, resized by Pillow (LANCZOS): Pillow's
own decode, and for what it does not read the format's reference decoder (djxl, heif-convert, dcraw). A picture whose
decoder is missing is left out. "photos" are those of SAMPLES, as they are and written anew in one format after the
other. Tags are exiftool's, videos ffprobe's.
"""

import io
import json
import pathlib
import shutil
import struct
import subprocess
import sys

import numpy as np
from PIL import Image, ImageCms, ImageOps

EDGES = (0, 150, 64)
PHOTO_EDGES = (0, 640, 256, 100, 64)
MAX_REFERENCE = 1_500_000  # pixels: of larger photos the full size is not written out
PHOTOS = [
    "/usr/share/doc/opencv-doc/examples/data/" + name
    for name in ("butterfly.jpg", "fruits.jpg", "home.jpg", "building.jpg", "baboon.jpg")
]


class Maker:
    def __init__(self, folder):
        self.folder = folder
        self.pictures = []
        self.plain = []
        self.photos = []
        self.tags = []
        self.videos = []

    def path(self, name):
        return str(self.folder / name)

    def run(self, *command):
        """True when the tool is there and did it."""
        if not shutil.which(command[0]):
            return False
        return subprocess.run(command, capture_output=True, check=False, timeout=120).returncode == 0

    def output(self, *command):
        """What it wrote to standard output; nothing when it is missing or failed."""
        if not shutil.which(command[0]):
            return b""
        result = subprocess.run(command, capture_output=True, check=False)
        return result.stdout if result.returncode == 0 else b""

    def references(self, name, picture, edges, halved=None):
        """`picture`: what an upright sRGB decode of the file `name` gives; `halved`: what one of half the size gives."""
        references = []
        longer = max(picture.size)
        for edge in edges:
            if edge >= longer:
                continue
            size = tuple(max(1, (e * edge * 2 + longer) // (2 * longer)) for e in picture.size) if edge else picture.size
            source = halved if halved and edge and max(size) * 2 <= longer else picture
            reference = f"{name}.{edge}.ppm"
            (source if size == source.size else source.resize(size, Image.LANCZOS)).save(self.path(reference))
            references.append({"edge": edge, "file": reference})
        return references

    def expect(self, name, picture, edges=EDGES, halved=None):
        self.pictures.append({"file": name, "references": self.references(name, picture, edges, halved)})

    def expect_decoded(self, name):
        """Left out when no decoder for it is there."""
        decoded = decode(self, self.path(name))
        if decoded:
            self.expect(name, decoded[0], halved=decoded[1])

    def save(self, name, picture, **options):
        picture.save(self.path(name), **options)
        self.expect_decoded(name)


def decode(m, path):
    """The upright sRGB picture of a file by another program and, of raw files, the one of half the size; or None."""
    suffix = pathlib.Path(path).suffix
    by_tool = {".heic": ("heif-convert", "--quiet"), ".avif": ("heif-convert", "--quiet"), ".jxl": ("djxl",)}.get(suffix)
    if by_tool:
        png = m.path("decoded.png")
        return (as_pillow_sees_it(png, turned=True), None) if m.run(*by_tool, str(path), png) else None
    if suffix == ".dng":
        return decode_raw(m, str(path))
    return as_pillow_sees_it(path), None


def decode_raw(m, path):
    preview = m.output("exiftool", "-b", "-PreviewImage", path)
    if preview:
        turn = m.output("exiftool", "-n", "-s3", "-Orientation", path).strip() or b"1"
        with Image.open(io.BytesIO(preview)) as image:
            image.getexif()[0x0112] = int(turn)
            return ImageOps.exif_transpose(image).convert("RGB"), None
    # White balance of the camera, sRGB, dcraw's own brightness and interpolation; -h takes a cell of 2 × 2 as a pixel.
    sizes = [m.output("dcraw", "-c", "-w", "-o", "1", *half, path) for half in ((), ("-h",))]
    return tuple(Image.open(io.BytesIO(ppm)).convert("RGB") for ppm in sizes) if all(sizes) else None


def as_pillow_sees_it(path, turned=False):
    """`turned`: its orientation has been applied already."""
    with Image.open(path) as image:
        image.seek(0)
        image = image if turned else ImageOps.exif_transpose(image)
        if image.mode in ("P", "PA", "LA", "RGBA") or "transparency" in image.info:
            rgba = image.convert("RGBA")
            white = Image.new("RGBA", rgba.size, "white")
            return Image.alpha_composite(white, rgba).convert("RGB")
        if image.mode.startswith("I;16"):
            return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
        if image.mode == "F":
            return Image.fromarray((np.asarray(image) * 255).round().astype(np.uint8)).convert("RGB")
        profile = image.info.get("icc_profile")
        if profile and str(path).endswith(".png") and int.from_bytes(profile[64:68], "big") > 3:
            profile = None  # libpng, the format's reference decoder, takes none whose rendering intent does not exist
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile)) if profile else None
        if source and source.profile.xcolor_space.strip() == {"L": "GRAY"}.get(image.mode, image.mode):
            return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        return image.convert("RGB")


def base_pictures():
    """Small pictures of odd sizes, from photographs where there are any."""
    pictures = []
    for index, path in enumerate(PHOTOS):
        if pathlib.Path(path).exists():
            photo = Image.open(path).convert("RGB")
            pictures.append(photo.resize((403 - 50 * index, 307 + 31 * index), Image.LANCZOS))
    y, x = np.mgrid[0:301, 0:417]
    waves = np.stack([127 + 120 * np.sin(x / 23 + c) * np.cos(y / 31 - c) for c in range(3)], axis=-1)
    pictures.append(Image.fromarray(waves.astype(np.uint8)))
    return pictures


def with_alpha(picture):
    width, height = picture.size
    ramp = np.tile(np.linspace(0, 255, width).astype(np.uint8), (height, 1))
    picture = picture.copy()
    picture.putalpha(Image.fromarray(ramp))
    return picture


def orientation_exif(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def make_jpegs(m, pictures):
    for i, picture in enumerate(pictures):
        for quality, subsampling in ((95, 0), (85, 1), (75, 2)):
            m.save(f"jpeg_{i}_{quality}_{subsampling}.jpg", picture, quality=quality, subsampling=subsampling)
    p = pictures[0]
    for value in range(1, 9):
        m.save(f"jpeg_orientation{value}.jpg", p, quality=90, exif=orientation_exif(value))
    m.save("jpeg_progressive.jpg", p, quality=88, progressive=True)
    m.save("jpeg_grey.jpg", p.convert("L"), quality=88)
    m.save("jpeg_grey_progressive.jpg", p.convert("L"), quality=88, progressive=True)
    m.save("jpeg_restart.jpg", p, quality=88, restart_marker_rows=1)
    m.save("jpeg_rgb.jpg", p, quality=90, keep_rgb=True)
    for size in ((1, 1), (1, 90), (90, 1), (8, 8), (17, 2)):
        m.save(f"jpeg_{size[0]}x{size[1]}.jpg", p.resize(size), quality=90)
    p.save(m.path("source.png"))
    if m.run("vips", "icc_transform", m.path("source.png"), m.path("jpeg_icc_p3.jpg[Q=95]"), "p3"):
        m.expect_decoded("jpeg_icc_p3.jpg")
    make_inks(m, p)


def make_plain(m):
    """Baseline files as cameras and programs write them: 13 sizes, 12 qualities, all subsamplings, restart markers, own Huffman tables."""
    random = np.random.default_rng(4)
    for i in range(156):
        width, height = 97 + i % 13 * 17, 83 + i % 11 * 13
        x, y = np.meshgrid(np.arange(width), np.arange(height))
        waves = np.stack([127 + 90 * np.sin(x / (3 + i % 7)), 127 + 120 * np.cos(y / (2 + i % 5)), (x + y) % 256], 2)
        noise = random.normal(0, 1 + i % 4 * 20, waves.shape) * (x > width // 2)[..., None]
        picture = Image.fromarray(np.clip(waves + noise, 0, 255).astype(np.uint8))
        name = f"plain_{i}.jpg"
        restarts = [{}, {}, {"restart_marker_rows": 1}, {"restart_marker_blocks": 1 + i % 19}][i % 4]
        picture.save(m.path(name), quality=(5, 15, 30, 45, 60, 70, 75, 80, 85, 90, 95, 100)[i % 12], subsampling=i // 12 % 3,
                     optimize=i % 5 == 0, **restarts)  # fmt: skip
        m.plain.append(name)
        # As many MCUs with their blocks laid out another way: 4:4:0 of 4:2:2, 4:1:1 of 4:2:0. The picture is a muddle, but a valid one.
        size, factors = {
            0: ((width, height), 0x11),
            1: ((height, width), 0x12),
            2: ((-(-width // 16) * 32 - 5, -(-height // 16) * 8 - 3), 0x41),
        }[i // 12 % 3]
        if factors != 0x11:
            jpeg = bytearray(pathlib.Path(m.path(name)).read_bytes())
            frame = jpeg.index(b"\xff\xc0") + 5
            jpeg[frame : frame + 4] = struct.pack(">HH", size[1], size[0])
            jpeg[frame + 6] = factors
            pathlib.Path(m.path(f"plain_{i}_other.jpg")).write_bytes(jpeg)
            m.plain.append(f"plain_{i}_other.jpg")


def make_inks(m, p):
    m.save("jpeg_cmyk.jpg", p.convert("CMYK"), quality=95)
    # YCCK: what is stored as the first three inks, inverted, is luma and chroma when Adobe's marker says 2.
    inks = p.convert("CMYK").split()
    light = Image.merge("RGB", [ImageOps.invert(ink) for ink in inks[:3]]).convert("YCbCr").split()
    black = Image.blend(ImageOps.invert(p.convert("L")), Image.new("L", p.size), 0.5)
    Image.merge("CMYK", [ImageOps.invert(c) for c in light] + [black]).save(m.path("plain.jpg"), quality=95)
    marked = pathlib.Path(m.path("plain.jpg")).read_bytes()
    at = marked.index(b"Adobe") + 11
    pathlib.Path(m.path("jpeg_ycck.jpg")).write_bytes(marked[:at] + b"\2" + marked[at + 1:])
    m.expect_decoded("jpeg_ycck.jpg")
    # Perceptual with black-point compensation, as all of these do. Not by Pillow, whose wheels hold Little CMS 2.18 or
    # 2.19: there the black point is not made neutral, so that shadows change their hue (upstream's 6a5a890 mends it).
    rgb = m.path("decoded.png")
    for name, options in {"jpeg_icc_cmyk.jpg": "[Q=95]", "tiff_icc_cmyk.tif": ""}.items():
        if m.run("vips", "icc_transform", m.path("source.png"), m.path(name) + options, "cmyk") and m.run(
                "vips", "icc_transform", m.path(name), rgb, "srgb", "--embedded", "--intent", "perceptual",
                "--black-point-compensation", "--depth", "8"):
            with Image.open(rgb) as picture:
                m.expect(name, picture.convert("RGB"))


def grey_profile(gamma):
    """An ICC 2.4 profile of a grey display."""
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 0xF6D6, 0x10000, 0xD32D)  # D50
    curve = b"curv\0\0\0\0" + struct.pack(">IHH", 1, round(gamma * 256), 0)
    name = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"Grey\0".ljust(84, b"\0")
    tags, data = b"", b""
    for tag, value in ((b"wtpt", white), (b"kTRC", curve), (b"desc", name)):
        tags += tag + struct.pack(">II", 128 + 4 + 12 * 3 + len(data), len(value))
        data += value.ljust((len(value) + 3) // 4 * 4, b"\0")
    body = struct.pack(">I", 3) + tags + data
    header = struct.pack(">IIIIII", 128 + len(body), 0, 0x02400000, 0x6D6E7472, 0x47524159, 0x58595A20)
    header = header.ljust(36, b"\0") + b"acsp"
    return header.ljust(68, b"\0") + struct.pack(">3i", 0xF6D6, 0x10000, 0xD32D).ljust(60, b"\0") + body


def make_greys(m, picture):
    for name in ("png_icc_grey.png", "tiff_icc_grey.tif", "jpeg_icc_grey.jpg"):
        m.save(name, picture.convert("L"), icc_profile=grey_profile(1.4))


def make_large(m):
    """A photograph of the size that cameras make, whose thumbnails are the usual work."""
    path = pathlib.Path("/usr/share/wallpapers/SafeLanding/contents/images/5120x2880.jpg")
    if path.exists():
        with Image.open(path) as photo:
            photo.convert("RGB").resize((4032, 2268), Image.LANCZOS).save(m.path("jpeg_large.jpg"), quality=90)
        m.expect("jpeg_large.jpg", as_pillow_sees_it(m.path("jpeg_large.jpg")), (0, 256, 500, 1024, 1500))


def make_pngs(m, pictures):
    p = pictures[1 % len(pictures)]
    for mode in ("1", "L", "LA", "RGB", "RGBA", "P"):
        m.save(f"png_{mode}.png", with_alpha(p).convert(mode) if "A" in mode else p.convert(mode))
    m.save("png_grey16.png", Image.fromarray((np.asarray(p.convert("L"), dtype=np.uint16) * 257)))
    transparent = p.convert("P")
    m.save("png_transparent.png", transparent, transparency=7)
    m.save("png_orientation6.png", p, exif=orientation_exif(6))
    m.save("png_2x1.png", p.resize((2, 1)))
    for i, picture in enumerate(pictures):
        m.save(f"png_{i}.png", picture)
    p.save(m.path("source1.png"))
    if m.run("vips", "copy", m.path("source1.png"), m.path("png_interlaced.png") + "[interlace]"):
        m.expect("png_interlaced.png", p)
    if m.run("vips", "colourspace", m.path("source1.png"), m.path("png_16.png"), "rgb16"):
        m.expect("png_16.png", p)
        if m.run("vips", "copy", m.path("png_16.png"), m.path("png_16_interlaced.png") + "[interlace]"):
            m.expect("png_16_interlaced.png", p)


def make_webps(m, pictures):
    for i, picture in enumerate(pictures):
        m.save(f"webp_{i}.webp", picture, quality=80)
    p = pictures[0]
    m.save("webp_lossless.webp", p, lossless=True)
    m.save("webp_alpha.webp", with_alpha(p), lossless=True, exact=True)
    m.save("webp_orientation8.webp", p, lossless=True, exif=orientation_exif(8).tobytes())
    m.save("webp_animated.webp", p, lossless=True, save_all=True, append_images=[p.rotate(180)], duration=100)


def make_gifs(m, pictures):
    for i, picture in enumerate(pictures):
        m.save(f"gif_{i}.gif", picture.convert("P", palette=Image.ADAPTIVE), interlace=i % 2)
    p = pictures[0].convert("P", palette=Image.ADAPTIVE)
    m.save("gif_transparent.gif", p, transparency=3)
    m.save("gif_animated.gif", p, save_all=True, append_images=[p.rotate(180)], duration=0)


def make_tiffs(m, pictures):
    p = pictures[0]
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        m.save(f"tiff_{compression}.tif", p, compression=None if compression == "raw" else compression)
    for mode in ("1", "L", "RGBA", "CMYK"):
        m.save(f"tiff_{mode}.tif", with_alpha(p) if mode == "RGBA" else p.convert(mode))
    m.save("tiff_16.tif", Image.fromarray((np.asarray(p.convert("L"), dtype=np.uint16) * 257)))
    m.save("tiff_orientation5.tif", p, tiffinfo={0x0112: 5})
    grey = p.convert("L")
    Image.fromarray(np.asarray(grey, dtype=np.float32) / 255).save(m.path("tiff_float.tif"))
    m.expect("tiff_float.tif", grey.convert("RGB"))
    Image.fromarray(np.asarray(grey, dtype=np.float32)).save(m.path("tiff_float255.tif"))
    m.expect("tiff_float255.tif", grey.convert("RGB"))
    for name, options in {"tiled": "tile,compression=deflate", "pyramid": "tile,pyramid", "bigtiff": "bigtiff",
                          "predictor": "compression=lzw,predictor=horizontal"}.items():
        if m.run("vips", "copy", m.path("source.png"), m.path(f"tiff_{name}.tif") + f"[{options}]"):
            m.expect(f"tiff_{name}.tif", p)


def make_bmps(m, pictures):
    p = pictures[0]
    for mode in ("1", "L", "P", "RGB"):
        m.save(f"bmp_{mode}.bmp", p.convert(mode))
    rows = np.asarray(p)[:, :, ::-1]
    padded = [row.tobytes() + b"\0" * (-len(row.tobytes()) % 4) for row in rows]
    header = struct.pack("<IiiHHIIiiII", 40, p.width, -p.height, 1, 24, 0, 0, 2835, 2835, 0, 0)
    data = b"".join(padded)
    (m.folder / "bmp_top_down.bmp").write_bytes(
        b"BM" + struct.pack("<IHHI", 54 + len(data), 0, 0, 54) + header + data)
    m.expect("bmp_top_down.bmp", p)


def make_modern(m, pictures):
    """AVIF of full chroma by Pillow, which decodes it otherwise than libheif; where chroma is halved (see decode()) the
    two differ by up to 2/255, for libheif repeats its samples and Pillow's decoder interpolates."""
    def save(name, picture, **options):
        picture.save(m.path(name), subsampling="4:4:4", **options)
        m.expect(name, as_pillow_sees_it(m.path(name)))

    for i, picture in enumerate(pictures):
        save(f"avif_{i}.avif", picture, quality=80)
        for name in (f"heif_{i}.heic", f"jxl_{i}.jxl"):
            if encode(m, name, picture):
                m.expect_decoded(name)
    save("avif_alpha.avif", with_alpha(pictures[0]), quality=90)
    for value in (6, 3):
        save(f"avif_orientation{value}.avif", pictures[0], quality=90, exif=orientation_exif(value))


def encode(m, name, picture):
    """Into the format that the name's suffix tells; False when the encoder is missing."""
    png = m.path("encode.png")
    suffix = pathlib.Path(name).suffix
    if suffix in (".heic", ".jxl"):
        picture.save(png)
        return m.run("vips", "copy", png, m.path(name) + "[Q=80]") if suffix == ".heic" else \
            m.run("cjxl", png, m.path(name), "-d", "1")
    if suffix == ".dng":
        make_dng(m, name, picture)
        return True
    options = {".gif": {}, ".tif": {"compression": "tiff_lzw"}, ".jpg": {"quality": 85, "progressive": True}}
    picture = picture.convert("P", palette=Image.ADAPTIVE) if suffix == ".gif" else picture
    picture.save(m.path(name), **options.get(suffix, {}))
    return True


def make_photos(m, samples):
    suffixes = (".webp", ".heic", ".avif", ".jxl", ".tif", ".dng", ".png", ".gif", ".bmp", ".jpg")
    formats = {".jpg": "jpeg", ".tif": "tiff", ".heic": "heif"}
    photos = [path for folder in ("photos", "formats", "12mp") for path in sorted((samples / folder).glob("*"))
              if path.suffix.replace(".tiff", ".tif") in suffixes]

    def add(name):
        decoded = decode(m, m.path(name))
        if decoded:
            suffix = pathlib.Path(name).suffix
            large = decoded[0].width * decoded[0].height > MAX_REFERENCE
            m.photos.append({"file": name, "format": formats.get(suffix, suffix[1:]),
                             "references": m.references(name, decoded[0], PHOTO_EDGES[large:], decoded[1])})

    for path in photos:
        name = f"photo_{path.stem}{path.suffix.replace('.tiff', '.tif')}"
        pathlib.Path(m.path(name)).symlink_to(path.resolve())
        add(name)
    for i, path in enumerate(p for p in photos if p.parent.name == "photos"):
        picture = as_pillow_sees_it(path)
        picture.thumbnail((500, 500), Image.LANCZOS)
        name = f"photo_{path.stem}_again{suffixes[i % len(suffixes)]}"
        if encode(m, name, picture):
            add(name)


def make_dng(m, name, picture):
    """A minimal DNG 1.4: an RGGB mosaic of linear light, 16 bits, turned by orientation 6."""
    linear = (np.asarray(picture, dtype=np.float64) / 255) ** 2.2 * 65535
    height, width = (linear.shape[0] & ~1, linear.shape[1] & ~1)
    mosaic = np.zeros((height, width), dtype="<u2")
    for y, x, c in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        mosaic[y::2, x::2] = linear[y:height:2, x:width:2, c]
    # From CIE XYZ (D65) to linear sRGB (IEC 61966-2-1).
    matrix = [3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.2040, 1.0570]
    signed = b"".join(struct.pack("<ii", round(v * 10000), 10000) for v in matrix)
    neutral = struct.pack("<6I", 1, 1, 1, 1, 1, 1)
    data = mosaic.tobytes()
    entries = [
        (254, 4, 1, 0), (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 16), (259, 3, 1, 1), (262, 3, 1, 32803),
        (271, 2, 0, b"Maker\0"), (272, 2, 0, b"Camera One\0"), (273, 4, 1, None), (274, 3, 1, 6), (277, 3, 1, 1),
        (278, 4, 1, height), (279, 4, 1, len(data)), (33421, 3, 2, struct.pack("<HH", 2, 2)),
        (33422, 1, 4, bytes([0, 1, 1, 2])), (50706, 1, 4, bytes([1, 4, 0, 0])), (50707, 1, 4, bytes([1, 1, 0, 0])),
        (50708, 2, 0, b"Maker Camera One\0"), (50717, 4, 1, 65535), (50721, 10, 9, signed), (50728, 5, 3, neutral),
        (50778, 3, 1, 21),
    ]
    extra_at = 8 + 2 + 12 * len(entries) + 4
    extra = b""
    directory = struct.pack("<H", len(entries))
    sizes = {2: 1, 1: 1, 3: 2, 4: 4, 5: 8, 10: 8}
    total_extra = sum(len(v) for _, _, _, v in entries if isinstance(v, bytes) and len(v) > 4)
    for tag, kind, count, value in entries:
        if value is None:
            value = extra_at + total_extra
        if isinstance(value, bytes):
            count = len(value) // sizes[kind]
            if len(value) > 4:
                field = struct.pack("<I", extra_at + len(extra))
                extra += value
            else:
                field = value.ljust(4, b"\0")
        else:
            field = struct.pack("<I", value)
        directory += struct.pack("<HHI", tag, kind, count) + field
    (m.folder / name).write_bytes(b"II*\0" + struct.pack("<I", 8) + directory + b"\0" * 4 + extra + data)


TAG_SETS = [
    ["-DateTimeOriginal=2024:06:01 10:22:03", "-SubSecTimeOriginal=120", "-OffsetTimeOriginal=+02:00", "-Make=Canon",
     "-Model=Canon EOS R5", "-LensModel=RF24-70mm F2.8 L IS USM", "-ISO=400", "-FNumber=2.8", "-ExposureTime=1/250",
     "-FocalLength=35", "-FocalLengthIn35mmFormat=35", "-ExposureCompensation=-0.67", "-Flash#=1"],
    ["-GPSLatitude=48.137222", "-GPSLatitudeRef=N", "-GPSLongitude=11.575556", "-GPSLongitudeRef=E",
     "-GPSAltitude=519.5", "-GPSAltitudeRef=above"],
    ["-GPSLatitude=33.8568", "-GPSLatitudeRef=S", "-GPSLongitude=151.2153", "-GPSLongitudeRef=E",
     "-GPSAltitude=12.25", "-GPSAltitudeRef#=1"],
    ["-GPSLatitude=0.5", "-GPSLatitudeRef=N", "-GPSLongitude=78.467", "-GPSLongitudeRef=W"],
    ["-XMP-xmp:Rating=4", "-XMP-dc:Subject=beach", "-XMP-dc:Subject=Köln", "-XMP-dc:Title=Ein Titel",
     "-XMP-dc:Description=日本語", "-XMP-dc:Creator=A. Person", "-XMP-dc:Rights=(c) A. Person", "-XMP-xmp:Label=Red"],
    ["-XMP-xmp:Rating=-1", "-XMP-exif:DateTimeOriginal=2019:12:31 23:59:59.5-05:30"],
    ["-DateTimeOriginal=1999:01:02 03:04:05", "-Make=NIKON CORPORATION", "-Model=NIKON D1", "-ISO=200"],
    ["-CreateDate=2010:10:10 10:10:10", "-Software=Maker 1.0", "-Artist=Somebody", "-Copyright=2010 Somebody"],
]
IPTC_SETS = [
    ["-IPTC:Keywords=one", "-IPTC:Keywords=two", "-IPTC:ObjectName=A name", "-IPTC:Caption-Abstract=A caption",
     "-IPTC:By-line=Photographer", "-IPTC:CopyrightNotice=All of it"],
    ["-IPTC:DateCreated=2001:02:03", "-IPTC:TimeCreated=04:05:06+00:00"],
    ["-charset", "iptc=Latin", "-IPTC:Keywords=M\u00fcnchen", "-codedcharacterset="],
    ["-EXIF:XPKeywords=alpha;beta", "-EXIF:XPTitle=Windows Titel \u00e4"],
    ["-EXIF:UserComment=A user's comment \u00e9"],
]


def make_tags(m):
    bases = {"jpg": "jpeg_0_85_1.jpg", "png": "png_0.png", "webp": "webp_0.webp", "tif": "tiff_tiff_lzw.tif",
             "heic": "heif_0.heic", "avif": "avif_0.avif", "jxl": "jxl_0.jxl"}
    names = []
    for suffix, base in bases.items():
        if not (m.folder / base).exists():
            continue
        sets = TAG_SETS + (IPTC_SETS if suffix == "jpg" else [])
        for number, tags in enumerate(sets if suffix in ("jpg", "png", "tif") else sets[:5]):
            name = f"tags_{number}.{suffix}"
            shutil.copy(m.path(base), m.path(name))
            if m.run("exiftool", "-q", "-overwrite_original", *tags, m.path(name)):
                names.append(name)
    for index, path in enumerate(sorted(pathlib.Path("/usr/share/doc/opencv-doc/examples").rglob("*.jpg"))):
        if b"Exif\0\0" in path.read_bytes()[:64]:
            name = f"tags_real_{index}.jpg"
            shutil.copy(path, m.path(name))
            names.append(name)
    if shutil.which("exiftool"):
        listed = subprocess.run(
            ["exiftool", "-json", "-n", "-G1", "-struct", *[m.path(n) for n in names]], capture_output=True, check=False).stdout
        for name, tags in zip(names, json.loads(listed or b"[]")):
            m.tags.append({"file": name, "exiftool": tags})


def make_videos(m):
    source = ("-f", "lavfi", "-i", "testsrc=size=320x180:rate=25:duration=2", "-f", "lavfi", "-i",
              "sine=frequency=440:duration=2")
    facts = {"creation_time": "2024-06-01T08:22:03Z", "location": "+48.1372+011.5755/", "title": "A clip"}
    tags = [x for k, v in facts.items() for x in ("-metadata", f"{k}={v}")]
    for name, codecs in {
        "v.mp4": ("-c:v", "libx264", "-c:a", "aac", "-pix_fmt", "yuv420p"),
        "v.mov": ("-c:v", "mpeg4", "-c:a", "aac"),
        "v.mkv": ("-c:v", "libx264", "-c:a", "flac", "-pix_fmt", "yuv420p"),
        "v.webm": ("-c:v", "libvpx", "-c:a", "libvorbis"),
        "v.avi": ("-c:v", "mpeg4", "-c:a", "mp2"),
        "v.ts": ("-c:v", "mpeg2video", "-c:a", "mp2"),
        "v.m2ts": ("-c:v", "libx264", "-c:a", "ac3", "-pix_fmt", "yuv420p"),
        "v.mpg": ("-c:v", "mpeg2video", "-c:a", "mp2"),
        "v.flv": ("-c:v", "flv", "-c:a", "adpcm_swf", "-ar", "44100"),
        "v.wmv": ("-c:v", "wmv2", "-c:a", "wmav2"),
        "v.ogv": ("-c:v", "libtheora", "-c:a", "libvorbis"),
    }.items():
        if m.run("ffmpeg", "-v", "error", "-y", *source, *codecs, *tags, m.path(name)):
            m.videos.append(name)
    if m.run("ffmpeg", "-v", "error", "-y", "-i", m.path("v.mp4"), "-c", "copy", "-metadata:s:v", "rotate=90",
             m.path("v_turned.mp4")):
        m.videos.append("v_turned.mp4")
    for name, codec in {"sound.ogg": "libvorbis", "sound.wma": "wmav2", "sound.m4a": "aac"}.items():
        m.run("ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "sine=duration=1", "-c:a", codec, m.path(name))
    for i, name in enumerate(m.videos):
        probed = subprocess.run(["ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", m.path(name)],
                                capture_output=True, check=True).stdout
        m.videos[i] = {"file": name, "ffprobe": json.loads(probed)}


def main():
    folder = pathlib.Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    m = Maker(folder)
    pictures = base_pictures()
    for make in (make_jpegs, make_pngs, make_webps, make_gifs, make_tiffs, make_bmps, make_modern):
        make(m, pictures)
    make_large(m)
    make_plain(m)
    make_greys(m, pictures[0])
    make_dng(m, "raw.dng", pictures[0])
    m.expect_decoded("raw.dng")
    if len(sys.argv) > 2:
        make_photos(m, pathlib.Path(sys.argv[2]))
    make_tags(m)
    make_videos(m)
    manifest = {"pictures": m.pictures, "plain_jpegs": m.plain, "photos": m.photos, "tags": m.tags, "videos": m.videos}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    print({k: len(v) for k, v in manifest.items()})


if __name__ == "__main__":
    main()
