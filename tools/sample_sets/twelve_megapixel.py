"""Eight JPEGs as a 12-MP camera writes them: 4000×3000, 2 to 4 MB, with EXIF. For benchmarks."""

import io
from pathlib import Path

import numpy
from PIL import Image

from . import common

WALLPAPERS = ["Altai", "IceCold", "Flow", "Kay", "SafeLanding", "Volna", "Honeywave", "Shell"]
SMALLEST, LARGEST = 2_000_000, 4_000_000  # bytes


def like_a_camera(source: Path, seed: int) -> Image.Image:
    """4000×3000 from the middle, with a sensor's noise: artwork alone compresses far better than a photo does."""
    picture = Image.open(source).convert("RGB")
    width = picture.height * 4 // 3
    left = (picture.width - width) // 2
    picture = picture.crop((left, 0, left + width, picture.height)).resize((4000, 3000), Image.Resampling.LANCZOS)
    noise = numpy.random.default_rng(seed).normal(0, 3, (3000, 4000, 1)).astype(numpy.float32)
    return Image.fromarray(numpy.clip(numpy.asarray(picture, numpy.float32) + noise, 0, 255).astype(numpy.uint8))


def encode(picture: Image.Image) -> bytes:
    low, high = 50, 97
    while low <= high:
        quality = (low + high) // 2
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        size = buffer.tell()
        if SMALLEST * 1.25 <= size <= LARGEST * 0.875:
            return buffer.getvalue()
        low, high = (quality + 1, high) if size < SMALLEST * 1.25 else (low, quality - 1)
    raise RuntimeError(f"no JPEG quality gives {SMALLEST} to {LARGEST} bytes")


def make(sources: common.Sources, folder: Path) -> dict:
    truth = {}
    for number, name in enumerate(WALLPAPERS):
        path = folder / f"DSC{number + 1:05}.jpg"
        path.write_bytes(encode(like_a_camera(sources.wallpaper(name, "5120x2880"), number)))
        time = f"2016:07:{number + 10} 1{number}:20:30"
        common.set_tags(path, {
            "Exif.Image.Make": "Canon", "Exif.Image.Model": "Canon EOS 70D", "Exif.Image.Orientation": 1,
            "Exif.Photo.DateTimeOriginal": time, "Exif.Photo.ExposureTime": "1/500", "Exif.Photo.FNumber": "8/1",
            "Exif.Photo.ISOSpeedRatings": "100", "Exif.Photo.FocalLength": "35/1", **common.gps_tags(46.9480 + number / 100, 7.4474, 540.0),
        })  # fmt: skip
        truth[path.name] = {"make": "Canon", "model": "Canon EOS 70D", "time": time, "width": 4000, "height": 3000}
    return truth
