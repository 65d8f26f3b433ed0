"""A small DNG 1.4 writer: IFD0 with a JPEG preview, a SubIFD with an uncompressed 16-bit RGGB mosaic."""

import io
import struct

import numpy
from PIL import Image

BYTE, ASCII, SHORT, LONG, RATIONAL, SRATIONAL = 1, 2, 3, 4, 5, 10
WIDTHS = {BYTE: 1, ASCII: 1, SHORT: 2, LONG: 4, RATIONAL: 8, SRATIONAL: 8}
CODES = {BYTE: "B", SHORT: "H", LONG: "I", RATIONAL: "II", SRATIONAL: "ii"}

# XYZ (D65) to linear sRGB: this "camera" sees exactly sRGB's primaries.
XYZ_TO_SRGB = [3.2404542, -1.5371385, -0.4985314, -0.9692660, 1.8760108, 0.0415560, 0.0556434, -0.2040259, 1.0572252]
D65 = 21
WHITE = 65535


def entry_bytes(kind: int, values) -> bytes:
    if kind == ASCII:
        return values.encode() + b"\0"
    if kind == SRATIONAL:
        return b"".join(struct.pack("<ii", round(v * 10000), 10000) for v in values)
    if kind == RATIONAL:
        return b"".join(struct.pack("<II", *v) for v in values)
    return struct.pack(f"<{len(values)}{CODES[kind]}", *values)


def ifd_size(entries: dict) -> int:
    payloads = [len(entry_bytes(k, v)) for k, v in entries.values()]
    return 2 + 12 * len(entries) + 4 + sum(n + n % 2 for n in payloads if n > 4)


def ifd(entries: dict, offset: int) -> bytes:
    """One directory with its values behind it, as it stands at `offset`; entries: tag → (type, values)."""
    head, tail = struct.pack("<H", len(entries)), b""
    tail_at = offset + 2 + 12 * len(entries) + 4
    for tag, (kind, values) in sorted(entries.items()):
        payload = entry_bytes(kind, values)
        head += struct.pack("<HHI", tag, kind, len(payload) // WIDTHS[kind])
        if len(payload) <= 4:
            head += payload.ljust(4, b"\0")
        else:
            head += struct.pack("<I", tail_at + len(tail))
            tail += payload + b"\0" * (len(payload) % 2)
    return head + b"\0\0\0\0" + tail


def mosaic(picture: Image.Image) -> numpy.ndarray:
    """RGGB samples, linear, 16 bits."""
    srgb = numpy.asarray(picture.convert("RGB"), numpy.float32) / 255
    linear = numpy.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    samples = (linear * WHITE).round().astype("<u2")
    plane = samples[..., 1].copy()
    plane[0::2, 0::2] = samples[0::2, 0::2, 0]
    plane[1::2, 1::2] = samples[1::2, 1::2, 2]
    return plane


def encode(picture: Image.Image, make: str, model: str, time: str, orientation: int = 1, preview: bool = True) -> bytes:
    """The picture's width and height must be even; time as EXIF writes it."""
    raw = mosaic(picture).tobytes()
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=90)
    jpeg = buffer.getvalue()

    def camera(exif_at: int) -> dict:
        return {
            271: (ASCII, make), 272: (ASCII, model), 274: (SHORT, [orientation]), 306: (ASCII, time),
            34665: (LONG, [exif_at]), 50706: (BYTE, [1, 4, 0, 0]), 50707: (BYTE, [1, 1, 0, 0]), 50708: (ASCII, f"{make} {model}"),
            50721: (SRATIONAL, XYZ_TO_SRGB), 50728: (RATIONAL, [(1, 1)] * 3), 50778: (SHORT, [D65]),
        }  # fmt: skip

    def sensor(raw_at: int) -> dict:
        return {
            254: (LONG, [0]), 256: (LONG, [picture.width]), 257: (LONG, [picture.height]), 258: (SHORT, [16]), 259: (SHORT, [1]),
            262: (SHORT, [32803]), 273: (LONG, [raw_at]), 277: (SHORT, [1]), 278: (LONG, [picture.height]), 279: (LONG, [len(raw)]),
            284: (SHORT, [1]), 33421: (SHORT, [2, 2]), 33422: (BYTE, [0, 1, 1, 2]), 50714: (SHORT, [0]), 50717: (LONG, [WHITE]),
        }  # fmt: skip

    def with_preview(jpeg_at: int, sensor_at: int, exif_at: int) -> dict:
        return camera(exif_at) | {
            254: (LONG, [1]), 256: (LONG, [picture.width]), 257: (LONG, [picture.height]), 258: (SHORT, [8, 8, 8]), 259: (SHORT, [7]),
            262: (SHORT, [6]), 273: (LONG, [jpeg_at]), 277: (SHORT, [3]), 278: (LONG, [picture.height]), 279: (LONG, [len(jpeg)]),
            284: (SHORT, [1]), 330: (LONG, [sensor_at]),
        }  # fmt: skip

    exif = {33434: (RATIONAL, [(1, 125)]), 33437: (RATIONAL, [(4, 1)]), 34855: (SHORT, [200]), 36867: (ASCII, time), 37386: (RATIONAL, [(35, 1)])}
    if preview:
        sensor_at = 8 + ifd_size(with_preview(0, 0, 0))
        exif_at = sensor_at + ifd_size(sensor(0))
        jpeg_at = exif_at + ifd_size(exif)
        raw_at = jpeg_at + len(jpeg) + len(jpeg) % 2
        directories = ifd(with_preview(jpeg_at, sensor_at, exif_at), 8) + ifd(sensor(raw_at), sensor_at) + ifd(exif, exif_at)
        body = jpeg + b"\0" * (len(jpeg) % 2) + raw
    else:
        exif_at = 8 + ifd_size(camera(0) | sensor(0))
        raw_at = exif_at + ifd_size(exif)
        directories = ifd(camera(exif_at) | sensor(raw_at), 8) + ifd(exif, exif_at)
        body = raw
    return struct.pack("<2sHI", b"II", 42, 8) + directories + body
