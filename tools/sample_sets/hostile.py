"""Files that are broken, hostile or only odd, each with what is to be expected of `analyze`.

ok: analysed as if nothing were wrong. warning: analysed, with something missing or a warning. failure: an entry in the ledger.
skipped: not a picture or video, so only counted. Whatever the file, everything else is analysed and nothing crashes.
"""

import base64
import io
import json
import os
import struct
import zlib
from dataclasses import replace
from pathlib import Path

from PIL import Image

from . import bmp_runs, common, dng, heic_grid, hostile_tiff

HELPERS = [dng.__file__, hostile_tiff.__file__, bmp_runs.__file__, heic_grid.__file__]


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, data: bytes, extra: bytes = b"", interlace: int = 0) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))
    return b"\x89PNG\r\n\x1a\n" + header + extra + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")


def zeros(size: int) -> bytes:
    """`size` zero bytes, deflated, without holding them."""
    packer, out, block = zlib.compressobj(9), [], bytes(1 << 20)
    for start in range(0, size, len(block)):
        out.append(packer.compress(block[: min(len(block), size - start)]))
    return b"".join(out) + packer.flush()


def interlaced_16bit_png(width: int, height: int) -> bytes:
    """Adam7, RGB, 16 bits, a gradient: seven passes of (x start, y start, x step, y step)."""
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = b""
    for x0, y0, dx, dy in passes:
        columns = range(x0, width, dx)
        for y in range(y0, height, dy) if columns else ():
            rows += b"\0" + b"".join(struct.pack(">HHH", x * 65535 // width, y * 65535 // height, 32768) for x in columns)
    return png(width, height, 16, 2, zlib.compress(rows), interlace=1)


def gif_huge_canvas() -> bytes:
    """A 65535×65535 screen, one 1×1 frame, no delay between endless repetitions."""
    screen = b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    loop = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"
    frame = b"\x21\xf9\x04\0\0\0\0\0\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    return screen + loop + frame + frame + b"\x3b"


def jpeg_segment(data: bytes, marker: int) -> tuple[int, int]:
    """Begin and end of the first segment with this marker, its two marker bytes included."""
    at = 2
    while at + 4 <= len(data):
        size = 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
        if data[at + 1] == marker:
            return at, at + size
        at += size
    raise ValueError(f"no segment {marker:#x}")


def spoil_huffman(jpeg: bytes) -> bytes:
    """The first table says that it has more codes than fit."""
    at, _ = jpeg_segment(jpeg, 0xC4)
    return jpeg[: at + 5] + b"\xff" * 16 + jpeg[at + 21 :]


def claim_size(jpeg: bytes, width: int, height: int) -> bytes:
    at, _ = jpeg_segment(jpeg, 0xC0)
    return jpeg[: at + 5] + struct.pack(">HH", height, width) + jpeg[at + 9 :]


def with_app(jpeg: bytes, marker: int, payload: bytes) -> bytes:
    return jpeg[:2] + struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload + jpeg[2:]


def with_exif(jpeg: bytes, tiff: bytes) -> bytes:
    return with_app(jpeg, 0xE1, b"Exif\0\0" + tiff)


def without_scan(jpeg: bytes) -> bytes:
    at, _ = jpeg_segment(jpeg, 0xDA)
    return jpeg[:at] + b"\xff\xd9"


def without_restart(jpeg: bytes) -> bytes:
    """One interval between two restart markers is gone."""
    marks = [at for at in range(len(jpeg) - 1) if jpeg[at] == 0xFF and 0xD0 <= jpeg[at + 1] <= 0xD7]
    return jpeg[: marks[4]] + jpeg[marks[5] :]


def encoded(picture: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def parts_missing(sources: common.Sources) -> dict:
    """Files whose structure is sound but for one part: name → (bytes, expected, why)."""
    still = Image.open(sources.skimage / "coffee.png").convert("RGB").resize((160, 106))
    jpeg = encoded(still, "JPEG", quality=90, restart_marker_rows=1)
    gif = encoded(still, "GIF", save_all=True, append_images=[still.rotate(180)], duration=0, loop=0)
    rle8, rle4 = bmp_runs.encode(still), bmp_runs.encode(still, four_bits=True)
    raw = dng.encode(still, "Leica", "Leica M10", "2015:04:01 08:30:00")
    files = {
        "restart_lost.jpg": (without_restart(jpeg), "warning", "an interval between restart markers is gone"),
        "no_delay.gif": (gif, "ok", "an animation without any delay"),
        "rle8.bmp": (rle8, "ok", "run-length coded, 8 bits"),
        "rle4.bmp": (rle4, "ok", "run-length coded, 4 bits"),
        "rle8_cut.bmp": (rle8[: len(rle8) * 7 // 10], "warning", "runs that end early"),
        "preview_only.dng": (raw[: len(raw) - len(raw) // 4], "ok", "RAW data cut short behind a whole preview of full size"),
    }
    grid = heic_grid.Grid(heic_grid.tiles())
    for name, changes, expected, why in (
        ("grid.heic", {}, "ok", "four tiles"),
        ("grid_tile_missing.heic", {"unplaced": {3}}, "failure", "a tile without a place in the file"),
        ("grid_tile_unlisted.heic", {"unlisted": {3}}, "failure", "a tile that is no item"),
        ("grid_no_primary.heic", {"primary": None}, "failure", "nothing says which item is the picture"),
        ("grid_primary_missing.heic", {"primary": 99}, "failure", "the picture is an item that is not there"),
        ("grid_of_itself.heic", {"members": (1, 2, 3, heic_grid.PRIMARY)}, "failure", "a grid that is its own tile"),
    ):
        files[name] = (replace(grid, **changes).file(), expected, why)
    return files


def contents(sources: common.Sources) -> dict:
    """name → (bytes, expected, why)"""
    photo = (sources.opencv / "fruits.jpg").read_bytes()
    still = (sources.skimage / "chelsea.png").read_bytes()
    tiff = (sources.skimage / "multipage_rgb.tif").read_bytes()
    raw = dng.encode(Image.open(sources.skimage / "coffee.png"), "Leica", "Leica M10", "2015:04:01 08:30:00", preview=False)
    clip = (sources.opencv / "Megamind.avi").read_bytes()
    xmp = b"http://ns.adobe.com/xap/1.0/\0"
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + b"".join(
        b'<!ENTITY %c "%s">' % (98 + n, (b"&%c;" % (97 + n)) * 10) for n in range(9)
    ) + b"]><x:xmpmeta xmlns:x='adobe:ns:meta/'>&j;</x:xmpmeta>"
    one = png(1, 1, 8, 2, zlib.compress(b"\0\x10\x20\x30"))
    huge_text = png_chunk(b"zTXt", b"Comment\0\0" + zeros(256 << 20))
    files = {
        "truncated.jpg": (photo[: len(photo) // 2], "warning", "half of a JPEG: the upper half can be shown"),
        "truncated_in_header.jpg": (photo[:60], "failure", "ends within the header"),
        "no_scan.jpg": (without_scan(photo), "failure", "headers without picture data"),
        "missing_eoi.jpg": (photo[:-2], "ok", "no end marker, all data there"),
        "bad_huffman.jpg": (spoil_huffman(photo), "failure", "impossible Huffman table"),
        "claims_65500.jpg": (claim_size(photo, 65500, 65500), "failure", "a few kilobytes that claim 65500×65500"),
        "zero_size.jpg": (claim_size(photo, 0, 0), "failure", "claims 0×0"),
        "junk_behind.jpg": (photo + b"\0junk" * 1000, "ok", "data after the end marker"),
        "empty.jpg": (b"", "failure", "no byte in it"),
        "text.jpg": (b"This is not a picture.\n" * 20, "failure", "text by another name"),
        "zeros.jpg": (bytes(4096), "failure", "only zero bytes"),
        "jpeg_named.png": (photo, "ok", "a JPEG by another name"),
        "png_named.jpg": (still, "ok", "a PNG by another name"),
        "no_extension": (photo, "ok", "a JPEG without an extension"),
        "exif_loop.jpg": (with_exif(photo, hostile_tiff.loop()), "warning", "IFDs that point at each other"),
        "exif_self_sub.jpg": (with_exif(photo, hostile_tiff.self_reference()), "warning", "an EXIF IFD that is its own parent"),
        "exif_huge_count.jpg": (with_exif(photo, hostile_tiff.huge_counts()), "warning", "counts of 4 billion"),
        "exif_far_offset.jpg": (with_exif(photo, hostile_tiff.far_offsets()), "warning", "offsets behind the end"),
        "exif_odd_values.jpg": (with_exif(photo, hostile_tiff.odd_values()), "warning", "1/0, 0/0, GPS 999°, the year 0000, orientation 99"),
        "exif_no_header.jpg": (with_exif(photo, b"garbage"), "warning", "EXIF without a TIFF header"),
        "xmp_entities.jpg": (with_app(photo, 0xE1, xmp + bomb), "warning", "XMP with nested entities"),
        "xmp_not_closed.jpg": (with_app(photo, 0xE1, xmp + b"<x:xmpmeta><rdf:RDF><a><b>"), "warning", "XMP that is not well-formed"),
        "icc_broken.jpg": (with_app(photo, 0xE2, b"ICC_PROFILE\0\x01\x01" + b"\xff" * 200), "warning", "a colour profile of nonsense"),
        "sidecar_broken.jpg": (photo, "warning", "its sidecar is not XML"),
        "truncated.png": (still[: len(still) // 2], "warning", "half of a PNG"),
        "bad_crc.png": (still[:40] + bytes([still[40] ^ 0xFF]) + still[41:], "failure", "a flipped bit in the first chunks"),
        "header_bomb.png": (png(30000, 30000, 8, 2, b"\0" * 64), "failure", "claims 30000×30000, holds nothing"),
        "true_bomb.png": (png(30000, 30000, 8, 0, zeros(30000 * 30001)), "failure", "900 megapixels in one megabyte"),
        "one_pixel.png": (one, "ok", "1×1"),
        "zero_width.png": (png(0, 10, 8, 2, b""), "failure", "no width"),
        "huge_ztxt.png": (png(1, 1, 8, 2, zlib.compress(b"\0\x10\x20\x30"), huge_text), "ok", "a comment of 256 MB, deflated"),
        "interlaced_16bit.png": (interlaced_16bit_png(97, 61), "ok", "Adam7, 16 bits, odd size"),
        "tall.png": (png(1, 60000, 8, 0, zlib.compress(b"\0\x80" * 60000)), "ok", "1×60000"),
        "huge_canvas.gif": (gif_huge_canvas(), "failure", "a 65535×65535 canvas, no delay"),
        "header_only.gif": (gif_huge_canvas()[:13], "failure", "a screen descriptor and nothing else"),
        "truncated.webp": (b"RIFF\x10\0\0\0WEBPVP8 ", "failure", "a header without a picture"),
        "huge_boxes.heic": (b"\0\0\0\x18ftypheic\0\0\0\0heicmif1" + b"\xff\xff\xff\xffmeta" + bytes(64), "failure", "a box larger than the file"),
        "deep_boxes.avif": (b"\0\0\0\x18ftypavif\0\0\0\0avifmif1" + b"".join(
            struct.pack(">I4s", 8 * (4000 - n), b"meta") for n in range(4000)), "failure", "4000 boxes in each other"),
        "truncated.jxl": (b"\xff\x0a\xfa\x7f\x01", "failure", "a code stream's first bytes"),
        "tiff_loop.tif": (hostile_tiff.loop(), "failure", "directories that point at each other"),
        "truncated.tif": (tiff[: len(tiff) // 2], "failure", "half of a TIFF"),
        "huge_strips.tif": (hostile_tiff.huge_picture(), "failure", "claims 2 billion rows"),
        "bmp_header.bmp": (b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 2**31 - 1, -(2**31), 1, 24, 0, 0, 0, 0, 0, 0), "failure", "the largest size"),
        "half.dng": (raw[: len(raw) // 2], "failure", "RAW cut in half, no preview to show instead"),
        "fake.cr2": (b"II*\0\x10\0\0\0CR\x02\0\0\0\0\0" + bytes(200), "failure", "a CR2 signature and nothing else"),
        "fake.nef": (b"MM\0*\0\0\0\x08" + b"\xff" * 200, "failure", "a TIFF signature and noise"),
        "truncated.avi": (clip[: len(clip) // 10], "failure", "a tenth of a clip: what is there is analyzed, the rest is missing"),
        "empty.mp4": (b"", "failure", "no byte in it"),
        "no_moov.mp4": (b"\0\0\0\x18ftypisom\0\0\0\0isommp41" + b"\0\0\0\x08mdat", "failure", "a clip without its index"),
        "notes.txt": (b"Shopping: milk, bread.\n", "skipped", "neither picture nor video"),
        "name with\nnewline.jpg": (photo, "ok", "a newline in the name"),
        "-rf.jpg": (photo, "ok", "a name that looks like an option"),
        "'; DROP TABLE files; --.jpg": (photo, "ok", "a name that looks like SQL"),
        "\x1b[31mred.jpg": (photo, "ok", "a terminal's control sequence in the name"),
    }
    names = {os.fsencode(name): value for name, value in (files | parts_missing(sources)).items()}
    return names | {
        b"latin1_\xe9t\xe9.jpg": (photo, "ok", "a name that is not UTF-8"),
        b"n" * 251 + b".jpg": (photo, "ok", "the longest name"),
    }


def specials(folder: bytes) -> dict:
    os.mkfifo(folder + b"/pipe.jpg", 0o644)
    os.symlink(b".", folder + b"/loop")
    os.symlink(b"dangling-target.jpg", folder + b"/dangling.jpg")
    os.makedirs(folder + b"/folder.jpg")
    return {
        b"pipe.jpg": ("skipped", "a FIFO: opening it would wait for ever"),
        b"loop": ("skipped", "a link to its own folder"),
        b"dangling.jpg": ("skipped", "a link to nothing"),
        b"folder.jpg": ("skipped", "a folder named like a picture"),
    }


def make(sources: common.Sources, folder: Path) -> dict:
    at, entries = os.fsencode(folder), []

    def note(name: bytes, expected: str, why: str) -> None:
        entries.append({"path": name.decode(errors="replace"), "path_base64": base64.b64encode(name).decode(), "expect": expected, "why": why})

    for name, (content, expected, why) in contents(sources).items():
        with open(at + b"/" + name, "wb") as file:
            file.write(content)
        note(name, expected, why)
    (folder / "sidecar_broken.jpg.xmp").write_bytes(b"<x:xmpmeta><not closed")
    for name, (expected, why) in specials(at).items():
        note(name, expected, why)
    manifest = {"schema": "image-engine/hostile-samples/1", "files": entries}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return manifest
