"""Makes the broken and malicious files of hostile_test.cpp, each with what a decoder is to make of it.

usage: make_hostile.py FOLDER
Writes FOLDER/manifest.json: [{file, expect: [states that are right], reference, tolerance}]. States: whole, warned
(whole, with a warning), partial (decoded as far as it goes, with a warning), error. A file that is to be whole may be warned of. The reference is a PPM, where there is one: of the picture that went in, or by Pillow.
"""

import dataclasses
import io
import json
import pathlib
import random
import shutil
import struct
import subprocess
import sys

from PIL import Image

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
from sample_sets import bmp_runs, dng, heic_grid, hostile  # noqa: E402

WHOLE, WARNED, PARTIAL, ERROR = "whole", "warned", "partial", "error"
FRAGMENT = (PARTIAL, ERROR)
MIB = 1 << 20


class Folder:
    def __init__(self, path):
        self.path = path
        self.entries = []

    def add(self, name, content, *expect, reference=None, tolerance=1.0):
        (self.path / name).write_bytes(content)
        entry = {"file": name, "expect": list(expect)}
        if reference is not None:
            reference.convert("RGB").save(self.path / f"{name}.ppm")
            entry |= {"reference": f"{name}.ppm", "tolerance": tolerance}
        self.entries.append(entry)


def photo():
    """Smooth shapes with some noise, so that coded data has no two equal stretches."""
    noise = random.Random(5).randbytes(160 * 120 * 3)
    shade = Image.radial_gradient("L").resize((160, 120))
    smooth = Image.merge("RGB", (shade, shade.rotate(180), shade.point(lambda v: 255 - v)))
    return Image.blend(smooth, Image.frombytes("RGB", (160, 120), noise), 0.1)


def encoded(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def decoded(content):
    with Image.open(io.BytesIO(content)) as picture:
        return picture.convert("RGB")


def png_texts(to):
    still = encoded(photo(), "PNG")
    ihdr_end = 8 + 25
    bomb = hostile.zeros(1024 * MIB)
    chunks = {
        "ztxt_1gb": hostile.png_chunk(b"zTXt", b"Comment\0\0" + bomb),
        "itxt_1gb": hostile.png_chunk(b"iTXt", b"Comment\0\1\0\0\0" + bomb),
        "xmp_1gb": hostile.png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + bomb),
        "exif_1gb": hostile.png_chunk(b"zTXt", b"Raw profile type exif\0\0" + bomb),
        "icc_1gb": hostile.png_chunk(b"iCCP", b"icc\0\0" + bomb),
        "text_40mb": hostile.png_chunk(b"tEXt", b"Comment\0" + b"x" * (40 * MIB)),
        "text_20000": hostile.png_chunk(b"tEXt", b"Comment\0again") * 20000,
        "text_no_keyword": hostile.png_chunk(b"tEXt", b"") + hostile.png_chunk(b"zTXt", b"\0") + hostile.png_chunk(b"iTXt", b"a\0\1"),
        "ztxt_broken": hostile.png_chunk(b"zTXt", b"Comment\0\0" + bomb[:200]),
    }
    for name, chunk in chunks.items():
        to.add(f"png_{name}.png", still[:ihdr_end] + chunk + still[ihdr_end:], WHOLE, reference=photo())
    deep = hostile.interlaced_16bit_png(97, 61)
    gradient = Image.frombytes("RGB", (97, 61), bytes(v for y in range(61) for x in range(97)
                                                     for v in (x * 65535 // 97 >> 8, y * 65535 // 61 >> 8, 128)))  # fmt: skip
    to.add("png_interlaced_16.png", deep, WHOLE, reference=gradient)
    to.add("png_interlaced_16_cut.png", deep[: len(deep) * 6 // 10], *FRAGMENT)


def segments(jpeg, marker):
    """Begin and end of each segment with this marker, before the scan."""
    at = 2
    while jpeg[at + 1] != 0xDA:
        end = at + 2 + struct.unpack(">H", jpeg[at + 2 : at + 4])[0]
        if jpeg[at + 1] == marker:
            yield at, end
        at = end


def jpegs(to):
    # With tables of its own: the standard ones, libjpeg-turbo has where a file lacks them.
    plain = encoded(photo(), "JPEG", quality=90, optimize=True)
    whole = decoded(plain)
    to.add("jpeg_no_eoi.jpg", plain[:-2], WHOLE, PARTIAL, reference=whole, tolerance=0.0)
    # Well-formed tables that are not the ones that the scan was written with.
    begin, end = max(segments(plain, 0xC4), key=lambda s: s[1] - s[0])
    swapped = bytearray(plain)
    swapped[begin + 4] ^= 1
    to.add("jpeg_table_renamed.jpg", bytes(swapped), *FRAGMENT, WARNED)
    to.add("jpeg_no_table.jpg", plain[:begin] + plain[end:], *FRAGMENT, WARNED)
    to.add("jpeg_impossible_table.jpg", hostile.spoil_huffman(plain), ERROR)
    reordered = bytearray(plain)
    reordered[begin + 21 : end] = reversed(reordered[begin + 21 : end])
    to.add("jpeg_symbols_reordered.jpg", bytes(reordered), *FRAGMENT)
    restarts = encoded(photo(), "JPEG", quality=90, restart_marker_rows=1)
    marks = [i for i in range(len(restarts) - 1) if restarts[i] == 0xFF and 0xD0 <= restarts[i + 1] <= 0xD7]
    lost = restarts[: marks[2]] + restarts[marks[3] :]
    to.add("jpeg_restart_lost.jpg", lost, PARTIAL)
    wrong = restarts[: marks[2] + 1] + b"\xd6" + restarts[marks[2] + 2 :]
    to.add("jpeg_restart_wrong.jpg", wrong, PARTIAL)
    to.add("jpeg_restart_noise.jpg", restarts[: marks[3] + 2] + b"\xff\xd1\xff\xd5" * 40 + restarts[marks[4] :], PARTIAL)
    to.add("jpeg_restart_cut.jpg", restarts[: marks[4] + 1], PARTIAL)
    progressive = encoded(photo(), "JPEG", quality=90, progressive=True)
    to.add("jpeg_progressive_cut.jpg", progressive[: len(progressive) // 2], PARTIAL)


def gifs(to):
    first = photo().quantize(64)
    still = encoded(first, "GIF", save_all=True, append_images=[first.rotate(180)], duration=0, loop=0)
    to.add("gif_no_delay.gif", still, WHOLE, reference=first)
    to.add("gif_huge_canvas.gif", hostile.gif_huge_canvas(), WHOLE, PARTIAL, ERROR)
    far = bytearray(still)
    frame = still.index(b"\x2c", 13 + 3 * 64)
    far[frame + 1 : frame + 5] = b"\xff\xff\xff\xff"
    to.add("gif_frame_far_outside.gif", bytes(far), WHOLE, PARTIAL, ERROR)
    to.add("gif_cut.gif", still[: len(still) // 3], *FRAGMENT)


def tiffs(to):
    source = to.path / "source.png"
    photo().save(source)
    grey = photo().convert("L")
    for name, options in {"tiled": "tile,tile-width=64,tile-height=64", "pyramid": "tile,tile-width=32,tile-height=32,pyramid",
                          "pyramid_sub": "tile,tile-width=32,tile-height=32,pyramid,subifd"}.items():  # fmt: skip
        made = to.path / f"{name}.tif"
        subprocess.run(["vips", "copy", str(source), f"{made}[{options}]"], check=True)
        content = made.read_bytes()
        made.unlink()
        to.add(f"tiff_{name}.tif", content, WHOLE, reference=photo())
        to.add(f"tiff_{name}_cut.tif", content[: len(content) // 2], *FRAGMENT)
    source.unlink()
    buffer = io.BytesIO()
    grey.point(lambda v: v / 255, "F").save(buffer, "TIFF")
    to.add("tiff_float.tif", buffer.getvalue(), WHOLE, reference=grey)
    not_numbers = struct.pack("<f", float("nan")) * 64 + struct.pack("<f", float("inf")) * 64
    to.add("tiff_float_nan.tif", buffer.getvalue().replace(buffer.getvalue()[4000:4512], not_numbers), WHOLE, PARTIAL, ERROR)


def heics(to):
    grid = heic_grid.Grid(heic_grid.tiles())

    def variant(**changes):
        return dataclasses.replace(grid, **changes).file()

    to.add("heic_grid.heic", grid.file(), WHOLE, reference=heic_grid.picture(), tolerance=4.0)
    for name, changes in {
        "tile_unlisted": {"unlisted": {3}}, "tile_unplaced": {"unplaced": {3}}, "tile_behind_the_end": {"behind_the_end": {3}},
        "tile_not_referred_to": {"members": (1, 2, 3)}, "tile_never_defined": {"members": (1, 2, 3, 77)},
        "more_tiles_than_there_are": {"rows": 256, "columns": 256}, "larger_than_its_tiles": {"width": 65535, "height": 65535},
    }.items():  # fmt: skip
        to.add(f"heic_{name}.heic", variant(**changes), *FRAGMENT)
    for name, changes in {
        "no_primary": {"primary": None}, "primary_missing": {"primary": 99}, "part_of_itself": {"members": (1, 2, 3, heic_grid.PRIMARY)},
    }.items():  # fmt: skip
        to.add(f"heic_{name}.heic", variant(**changes), ERROR)


def raws(to):
    for preview in (True, False):
        content = dng.encode(photo(), "Leica", "Leica M10", "2015:04:01 08:30:00", preview=preview)
        name = "with_preview" if preview else "bare"
        to.add(f"raw_{name}_half.dng", content[: len(content) // 2], *(FRAGMENT + ((WHOLE,) if preview else ())))
        to.add(f"raw_{name}_header.dng", content[:200], ERROR)


def bmps(to):
    for four_bits in (False, True):
        name = "rle4" if four_bits else "rle8"
        for size in ((160, 120), (33, 17), (1, 1), (300, 5)):
            content = bmp_runs.encode(photo().resize(size), four_bits)
            to.add(f"bmp_{name}_{size[0]}x{size[1]}.bmp", content, WHOLE, reference=decoded(content), tolerance=0.0)
        flat = bmp_runs.encode(Image.new("RGB", (700, 9), (10, 200, 30)), four_bits)
        to.add(f"bmp_{name}_runs.bmp", flat, WHOLE, reference=Image.new("RGB", (700, 9), (10, 200, 30)), tolerance=0.0)
        skipped = bmp_runs.encode(photo(), four_bits, skip_rows=20)
        to.add(f"bmp_{name}_jump.bmp", skipped, WHOLE, reference=decoded(skipped), tolerance=0.0)
        to.add(f"bmp_{name}_cut.bmp", skipped[: len(skipped) * 7 // 10], PARTIAL)
        start = struct.unpack("<I", skipped[10:14])[0]
        to.add(f"bmp_{name}_no_data.bmp", skipped[:start], ERROR)
        to.add(f"bmp_{name}_outside.bmp", skipped[:start] + b"\0\2\xff\xff" * 50 + b"\xff\1" * 50, WHOLE, PARTIAL)
        to.add(f"bmp_{name}_depth.bmp", skipped[:28] + b"\1" + skipped[29:], ERROR)


def main():
    path = pathlib.Path(sys.argv[1])
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    to = Folder(path)
    for make in (png_texts, jpegs, gifs, tiffs, heics, raws, bmps):
        make(to)
    (path / "manifest.json").write_text(json.dumps(to.entries, indent=1))
    print(f"{len(to.entries)} files")


if __name__ == "__main__":
    main()
