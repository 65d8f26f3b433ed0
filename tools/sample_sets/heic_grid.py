"""HEIC files put together box by box (ISO/IEC 23008-12): a picture made of tiles, and the same with parts missing."""

import struct
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

TILE = 64
PRIMARY = 5  # items 1…4 are the tiles


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full_box(kind: bytes, version: int, *parts: bytes) -> bytes:
    return box(kind, struct.pack(">I", version << 24), *parts)


def boxes(data: bytes, start: int = 0) -> dict:
    """The bodies of the boxes that lie one after the other, by name."""
    found = {}
    while start + 8 <= len(data):
        size, kind = struct.unpack(">I4s", data[start : start + 8])
        found[kind] = data[start + 8 : start + size]
        start += size
    return found


def coded_tile(picture: Image.Image) -> tuple[bytes, bytes]:
    """hvcC body and coded picture, by libvips' HEIC encoder."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "tile.png", Path(folder) / "tile.heic"
        picture.convert("RGB").save(source)
        subprocess.run(["vips", "copy", str(source), f"{target}[Q=98]"], check=True, capture_output=True)
        data = target.read_bytes()
    meta = boxes(boxes(data)[b"meta"], 4)
    properties = boxes(boxes(meta[b"iprp"])[b"ipco"])
    # 8.11.3, offsets and lengths of 4 bytes, base offset of 4: the first item is the picture.
    _, base, _, offset, length = struct.unpack(">HIHII", meta[b"iloc"][10:26])
    return properties[b"hvcC"], data[base + offset : base + offset + length]


@dataclass
class Grid:
    """Two rows of two tiles. What a test breaks is a field."""

    tiles: list  # (hvcC, coded) of each
    rows: int = 2
    columns: int = 2
    width: int = 2 * TILE
    height: int = 2 * TILE
    primary: int | None = PRIMARY
    unlisted: set = field(default_factory=set)  # items without an entry
    unplaced: set = field(default_factory=set)  # items without a location
    behind_the_end: set = field(default_factory=set)  # items whose location is outside the file
    members: tuple = (1, 2, 3, 4)  # what the grid refers to

    def file(self) -> bytes:
        descriptor = struct.pack(">BBBBHH", 0, 0, self.rows - 1, self.columns - 1, self.width, self.height)
        items = [(number + 1, b"hvc1") for number in range(len(self.tiles))] + [(PRIMARY, b"grid")]
        entries = [full_box(b"infe", 2, struct.pack(">HH4s", n, 0, kind), b"\0") for n, kind in items if n not in self.unlisted]
        properties = [box(b"hvcC", hvcc) for hvcc, _ in self.tiles]
        properties += [full_box(b"ispe", 0, struct.pack(">II", *size)) for size in ((TILE, TILE), (self.width, self.height))]
        tile_size, grid_size = len(self.tiles) + 1, len(self.tiles) + 2
        links = [struct.pack(">HBBB", n + 1, 2, 0x80 | n + 1, tile_size) for n in range(len(self.tiles))]
        links.append(struct.pack(">HBB", PRIMARY, 1, grid_size))
        ftyp = box(b"ftyp", b"heic\0\0\0\0mif1heic")

        def meta(data_at: int) -> bytes:
            at, places = data_at, []
            for number, (_, coded) in enumerate(self.tiles, 1):
                offset = at + (1 << 28) if number in self.behind_the_end else at
                places.append((number, 0, offset, len(coded)))
                at += len(coded)
            places.append((PRIMARY, 1, 0, len(descriptor)))
            places = [struct.pack(">HHHHII", n, method, 0, 1, offset, size) for n, method, offset, size in places if n not in self.unplaced]
            parts = [full_box(b"hdlr", 0, b"\0\0\0\0pict", bytes(13))]
            if self.primary is not None:
                parts.append(full_box(b"pitm", 0, struct.pack(">H", self.primary)))
            parts += [
                full_box(b"iloc", 1, struct.pack(">HH", 0x4400, len(places)), *places),
                full_box(b"iinf", 0, struct.pack(">H", len(entries)), *entries),
                box(b"iprp", box(b"ipco", *properties), full_box(b"ipma", 0, struct.pack(">I", len(links)), *links)),
                full_box(b"iref", 0, box(b"dimg", struct.pack(f">HH{len(self.members)}H", PRIMARY, len(self.members), *self.members))),
                box(b"idat", descriptor),
            ]
            return full_box(b"meta", 0, *parts)

        data_at = len(ftyp) + len(meta(0)) + 8
        return ftyp + meta(data_at) + box(b"mdat", *(coded for _, coded in self.tiles))


def picture() -> Image.Image:
    """What the whole grid shows."""
    shade = Image.radial_gradient("L").resize((2 * TILE, 2 * TILE))
    return Image.merge("RGB", (shade, shade.rotate(90).point(lambda v: v // 2 + 60), shade.point(lambda v: 255 - v)))


def tiles() -> list:
    whole = picture()
    return [coded_tile(whole.crop((x, y, x + TILE, y + TILE))) for y in (0, TILE) for x in (0, TILE)]
