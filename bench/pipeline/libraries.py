"""Photo libraries to measure with, made from the samples and kept in build/bench.

Every file is another picture to the engine: a coefficient of its quantisation table and its dates differ from those of
the photo it was made of.
"""

import re
import shutil
from pathlib import Path

SAMPLES = "build/samples"
# 49 to 320 EXIF, XMP and IPTC tags each. The first two and licenseplate_motion are as their cameras wrote them; the
# others bear tags of tools/samples.py or an editor. Maker notes: two of Canon (86 tags), two of Apple (12).
CAMERA_PHOTOS = ["text_motion", "text_defocus", "leuvenA", "leuvenB", "licenseplate_motion", "kite", "board", "fallenleaf"]
DATE = re.compile(rb"(?:19|20)\d\d:[01]\d:[0-3]\d [0-2]\d:[0-5]\d:[0-5]\d")
PHOTOS = 5372  # as many as the library that the product's first times were measured on


def segments(jpeg: bytes):
    """(marker, begin, end) of each segment before the first scan."""
    at = 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF and jpeg[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        yield jpeg[at + 1], at, end
        at = end


def camera_header(jpeg: bytes) -> bytes:
    """The APPn segments of a photo: EXIF with its thumbnail and maker notes, XMP, IPTC, ICC."""
    return b"".join(jpeg[begin:end] for marker, begin, end in segments(jpeg) if 0xE0 <= marker <= 0xEF)


def body(jpeg: bytes) -> bytes:
    """All but the APPn segments and the start of the image."""
    kept, last = b"", 2
    for marker, begin, end in segments(jpeg):
        kept += b"" if 0xE0 <= marker <= 0xEF else jpeg[begin:end]
        last = end
    return kept + jpeg[last:]


def variant(header: bytes, coded: bytes, number: int) -> bytes:
    """Photo `number` of a library: dates a minute apart, one quantiser (of the highest frequencies) of its own."""
    minute, hour, day, month, year = number % 60, number // 60 % 24, number // 1440 % 28 + 1, number // 40320 % 12 + 1, 2015
    date = b"%d:%02d:%02d %02d:%02d:00" % (year, month, day, hour, minute)
    picture = bytearray(coded)
    table = picture.index(b"\xff\xdb") + 5
    picture[table + 62], picture[table + 63] = number // 200 + 20, number % 200 + 20
    return b"\xff\xd8" + DATE.sub(date, header) + bytes(picture)


def fill(folder: Path, count: int, sources: list[tuple[bytes, bytes]]) -> Path:
    done = folder.parent / f".{folder.name}.done"
    if done.exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    for number in range(count):
        header, coded = sources[number % len(sources)]
        path = folder / f"{number // 500:03}" / f"IMG_{number:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(variant(header, coded, number))
    done.touch()
    return folder


def camera_headers(root: Path, count: int = PHOTOS) -> Path:
    """`count` JPEGs with the headers of eight sample photos before one body of 640×480: what pass 1 reads of a photo."""
    photos = [(root / SAMPLES / "photos" / f"{name}.jpg").read_bytes() for name in CAMERA_PHOTOS]
    small = body((root / SAMPLES / "photos/left01.jpg").read_bytes())
    return fill(root / f"build/bench/headers_{count}", count, [(camera_header(photo), small) for photo in photos])


def twelve_megapixel(root: Path, count: int) -> Path:
    """`count` photos of 4000×3000, 3 MB each, whole."""
    photos = [path.read_bytes() for path in sorted((root / SAMPLES / "12mp").glob("*.jpg"))]
    return fill(root / f"build/bench/12mp_{count}", count, [(camera_header(photo), body(photo)) for photo in photos])
