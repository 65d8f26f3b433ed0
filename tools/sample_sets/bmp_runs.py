"""BMP files with run-length coded rows (BI_RLE8, BI_RLE4), with every kind of code in them."""

import struct

from PIL import Image

RLE8, RLE4 = 1, 2


def packed(indices: bytes, four_bits: bool) -> bytes:
    if not four_bits:
        return indices
    return bytes(a << 4 | b for a, b in zip(indices[::2], indices[1::2] + b"\0" * (len(indices) % 2)))


def literal(indices: bytes, four_bits: bool) -> bytes:
    """Absolute mode needs three samples and pads to 16 bits; fewer are runs of one."""
    if len(indices) < 3:
        return b"".join(bytes([1, index << 4 if four_bits else index]) for index in indices)
    samples = packed(indices, four_bits)
    return bytes([0, len(indices)]) + samples + b"\0" * (len(samples) % 2)


def coded_row(row: bytes, four_bits: bool) -> bytes:
    out, pending, at = b"", b"", 0
    while at < len(row):
        end = at + 1
        while end < len(row) and row[end] == row[at] and end - at < 255:
            end += 1
        if end - at > 3:
            sample = row[at] * 17 if four_bits else row[at]
            out += literal(pending, four_bits) + bytes([end - at, sample])
            pending = b""
        else:
            pending += row[at:end]
            if len(pending) > 250:
                out, pending = out + literal(pending, four_bits), b""
        at = end
    return out + literal(pending, four_bits)


def encode(picture: Image.Image, four_bits: bool = False, skip_rows: int = 0) -> bytes:
    """`skip_rows` of the bottom are jumped over: they show the first colour of the palette."""
    indexed = picture.convert("RGB").quantize(16 if four_bits else 256, dither=Image.Dither.NONE)
    colours = (indexed.getpalette() + [0] * 768)[: 768 if not four_bits else 48]
    palette = b"".join(bytes([b, g, r, 0]) for r, g, b in zip(colours[::3], colours[1::3], colours[2::3]))
    width, height, pixels = *indexed.size, indexed.tobytes()
    rows = [pixels[y * width : (y + 1) * width] for y in reversed(range(skip_rows and height - skip_rows or height))]
    data = (bytes([0, 2, 0, skip_rows]) if skip_rows else b"") + b"\0\0".join(coded_row(row, four_bits) for row in rows) + b"\0\0\0\1"
    start = 54 + len(palette)
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 4 if four_bits else 8, RLE4 if four_bits else RLE8, len(data), 2835, 2835,
                         len(palette) // 4, 0)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + header + palette + data
