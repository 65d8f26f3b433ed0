"""Small pictures whose corners say how they are turned and which colours they have, and hand-made metadata for them."""

import io
import struct
import zlib

from PIL import Image, ImageDraw

RED, GREEN, BLUE, YELLOW = (220, 30, 30), (30, 200, 30), (30, 30, 220), (230, 220, 30)


def corners(size=(96, 64), seed=0):
    """Red, green above blue, yellow; `seed` makes the coded data its own."""
    width, height = size
    picture = Image.new("RGB", size)
    draw = ImageDraw.Draw(picture)
    for i, colour in enumerate((RED, GREEN, BLUE, YELLOW)):
        left, top = i % 2 * width // 2, i // 2 * height // 2
        draw.rectangle([left, top, left + width // 2 - 1, top + height // 2 - 1], fill=colour)
    for bit in range(8):
        if seed >> bit & 1:
            draw.rectangle([width // 2 - 8 + 2 * bit, height // 2 - 1, width // 2 - 7 + 2 * bit, height // 2], fill="white")
    return picture


def jpeg(*segments, **options):
    data = io.BytesIO()
    corners(**options).save(data, "JPEG", quality=95, subsampling=0)
    return data.getvalue()[:2] + b"".join(segments) + data.getvalue()[2:]


def segment(marker, payload):
    return bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload


def directory(entries, base=8, following=0):
    """A TIFF directory at offset `base`; entries are (tag, type, count, bytes)."""
    entries = sorted(entries)
    out, extra = struct.pack("<H", len(entries)), b""
    end = base + 2 + 12 * len(entries) + 4
    for tag, kind, count, value in entries:
        if len(value) > 4:
            place = struct.pack("<I", end + len(extra))
            extra += value + b"\0" * (len(value) % 2)
        else:
            place = value.ljust(4, b"\0")
        out += struct.pack("<HHI", tag, kind, count) + place
    return out + struct.pack("<I", following) + extra


def short(tag, *values):
    return tag, 3, len(values), struct.pack(f"<{len(values)}H", *values)


def long(tag, *values):
    return tag, 4, len(values), struct.pack(f"<{len(values)}I", *values)


def ascii_tag(tag, text):
    return tag, 2, len(text) + 1, text.encode() + b"\0"


def tiff_block(*entries):
    return b"II*\0" + struct.pack("<I", 8) + directory(entries)


def exif_segment(*entries):
    return segment(0xE1, b"Exif\0\0" + tiff_block(*entries))


def xmp(orientation):
    return ('<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
            '<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/"><tiff:Orientation>%d</tiff:Orientation>'
            "</rdf:Description></rdf:RDF></x:xmpmeta>" % orientation).encode()


def xmp_segment(orientation):
    return segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp(orientation))


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(*chunks, behind=(), picture=None):
    data = io.BytesIO()
    (picture or corners()).save(data, "PNG")
    whole = data.getvalue()
    return whole[:33] + b"".join(chunks) + whole[33:-12] + b"".join(behind) + whole[-12:]


def png16(colour_type, pixel, *chunks, size=(64, 48)):
    """A PNG of 16 bits a channel whose every pixel is `pixel`, numbers of 0 to 65,535."""
    rows = (b"\0" + struct.pack(f">{len(pixel)}H", *pixel) * size[0]) * size[1]
    header = struct.pack(">IIBBBBB", *size, 16, colour_type, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IDAT", zlib.compress(rows)) +
            chunk(b"IEND", b""))


def raw_profile(kind, data):
    """As ImageMagick writes it into a text chunk."""
    digits = data.hex()
    lines = "\n".join(digits[i:i + 72] for i in range(0, len(digits), 72))
    return f"\n{kind}\n{len(data):8d}\n{lines}\n".encode()


def big_tiff(picture, *entries):
    """Entries are (tag, type, count, bytes of at most eight)."""
    rgb = picture.tobytes()
    data_at = 16 + 8 + 20 * (9 + len(entries)) + 8
    number = lambda tag, kind, value: (tag, kind, 1, struct.pack("<Q", value))
    entries = sorted([number(256, 4, picture.width), number(257, 4, picture.height),
                      (258, 3, 3, struct.pack("<3H", 8, 8, 8)), number(259, 3, 1), number(262, 3, 2),
                      number(273, 16, data_at), number(277, 3, 3), number(278, 4, picture.height),
                      number(279, 16, len(rgb)), *entries])
    out = b"II+\0" + struct.pack("<HHQQ", 8, 0, 16, len(entries))
    for tag, kind, count, value in entries:
        out += struct.pack("<HHQ", tag, kind, count) + value.ljust(8, b"\0")
    return out + struct.pack("<Q", 0) + rgb


def seen(engine, file, edge=96):
    """The colours of the picture's four quarters as its thumbnail has them, and its size: independent of metadata."""
    with Image.open(engine.json("show", file, "--thumbnail", str(edge))["path"]) as picture:
        width, height = picture.size
        return [picture.getpixel((x * width // 4, y * height // 4)) for y in (1, 3) for x in (1, 3)], picture.size


def is_close(colour, expected, tolerance=6):
    return max(abs(a - b) for a, b in zip(colour, expected)) <= tolerance


def assert_colours(found, expected, tolerance=6):
    assert all(is_close(a, b, tolerance) for a, b in zip(found, expected)), f"{found}, not {expected}"
