"""Files of kinds that few programs write: bitmaps' headers, cameras' raw files by their structure, TIFFs of several pictures."""

import io
import struct

import pytest
from PIL import Image

import picture_files as files
from engine import DONE, DONE_WITH_FAILURES

UPRIGHT = [files.RED, files.GREEN, files.BLUE, files.YELLOW]
SIZE = (96, 64)


def bitmap(header, bits, pixel, compression=0, masks=(), palette=b"", gap=b"", top_down=False):
    """`pixel` makes the bytes of a colour; rows of 96 pixels are whole multiples of four bytes for all of these."""
    picture = files.corners(SIZE)
    rows = [b"".join(pixel(picture.getpixel((x, y))) for x in range(SIZE[0])) for y in range(SIZE[1])]
    body = b"".join(rows if top_down else reversed(rows))
    if header == 12:
        head = struct.pack("<IHHHH", 12, *SIZE, 1, bits)
    else:
        head = struct.pack("<IiiHHIIiiII", header, SIZE[0], -SIZE[1] if top_down else SIZE[1], 1, bits, compression,
                           len(body), 2835, 2835, 0 if bits > 8 else len(palette) // 4, 0)
        head = (head + struct.pack(f"<{len(masks)}I", *masks)).ljust(header, b"\0")
    start = 14 + len(head) + len(palette) + len(gap)
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + head + palette + gap + body


def bgr(colour):
    return bytes(reversed(colour))


def packed(red, green, blue, bits=16):
    """The colour in fields of so many bits, red uppermost."""
    def pixel(colour):
        parts = [round(value * ((1 << size) - 1) / 255) for value, size in zip(colour, (red, green, blue))]
        return struct.pack("<H" if bits == 16 else "<I", parts[0] << green + blue | parts[1] << blue | parts[2])
    return pixel


def indexed(entry):
    return b"".join(entry(colour) for colour in UPRIGHT), lambda colour: bytes([UPRIGHT.index(colour)])


PALETTE, INDEX = indexed(lambda colour: bgr(colour) + b"\0")
CORE_PALETTE, _ = indexed(bgr)
F565, F888 = (0xF800, 0x7E0, 0x1F), (0xFF0000, 0xFF00, 0xFF)
X888 = packed(8, 8, 8, 32)
BITMAPS = {
    "info_24": bitmap(40, 24, bgr), "info_32": bitmap(40, 32, X888), "info_555": bitmap(40, 16, packed(5, 5, 5)),
    "info_565": bitmap(40, 16, packed(5, 6, 5), 3, F565), "photoshop_52_565": bitmap(52, 16, packed(5, 6, 5), 3, F565),
    "photoshop_56_565": bitmap(56, 16, packed(5, 6, 5), 3, (*F565, 0)),
    "photoshop_56_888": bitmap(56, 32, X888, 3, (*F888, 0)), "photoshop_56_plain": bitmap(56, 32, X888),
    "v4_888": bitmap(108, 32, X888, 3, (*F888, 0xFF000000)), "v5_24": bitmap(124, 24, bgr),
    "os2_24": bitmap(64, 24, bgr), "core_24": bitmap(12, 24, bgr), "core_8": bitmap(12, 8, INDEX, palette=CORE_PALETTE),
    "palette_8": bitmap(40, 8, INDEX, palette=PALETTE), "palette_8_gap": bitmap(40, 8, INDEX, palette=PALETTE, gap=bytes(10)),
    "24_with_palette": bitmap(40, 24, bgr, palette=bytes(1024)), "24_with_gap": bitmap(40, 24, bgr, gap=bytes(34)),
    "565_with_gap": bitmap(40, 16, packed(5, 6, 5), 3, F565, gap=bytes(6)),
    "alpha_fields": bitmap(40, 32, X888, 6, (*F888, 0xFF000000)),
    "top_down": bitmap(56, 16, packed(5, 6, 5), 3, (*F565, 0), top_down=True),
}


@pytest.mark.parametrize("name", BITMAPS)
def test_bitmaps(engine, photos, name):
    (photos / "a.bmp").write_bytes(BITMAPS[name])
    engine.analyze(photos)
    colours, size = files.seen(engine, photos / "a.bmp")
    assert size == SIZE
    files.assert_colours(colours, UPRIGHT, 8)  # a level of five bits is eight
    assert engine.show(photos / "a.bmp")["failures"] == []


def test_a_bitmap_with_alpha(engine, photos):
    half = lambda colour: bgr(colour) + b"\x80"
    (photos / "a.bmp").write_bytes(bitmap(56, 32, half, 3, (*F888, 0xFF000000)))
    engine.analyze(photos)
    white = [tuple(round(value * 128 / 255 + 127) for value in colour) for colour in UPRIGHT]
    files.assert_colours(files.seen(engine, photos / "a.bmp")[0], white)


def test_a_bitmap_of_another_compression_is_named(engine, photos):
    (photos / "a.bmp").write_bytes(bitmap(40, 24, bgr, 4))
    engine.analyze(photos, expect=DONE_WITH_FAILURES)
    entry = next(iter(engine.failures().values()))
    assert entry["code"] == "unsupported" and "compression 4" in entry["message"]


def strip(picture, *entries, base=8, following=0):
    """A directory and its pixels behind it."""
    data = picture.tobytes()
    def build(at):
        return files.directory([files.long(256, picture.width), files.long(257, picture.height), files.short(258, 8, 8, 8),
                                files.short(259, 1), files.short(262, 2), files.long(273, at), files.short(277, 3),
                                files.long(278, picture.height), files.long(279, len(data)), *entries], base, following)
    return build(base + len(build(0))) + data


def pages(*parts):
    """A TIFF of pages, each a function of its offset and the next one's."""
    out = b"II*\0" + struct.pack("<I", 8)
    for i, part in enumerate(parts):
        length = len(part(len(out), 0))
        following = len(out) + length + length % 2 if i + 1 < len(parts) else 0
        out += part(len(out), following)
        out += b"\0" * (len(out) % 2)
    return out


def page(picture, *entries):
    return lambda base, following: strip(picture, *entries, base=base, following=following)


GREY = Image.new("RGB", (40, 30), (128, 128, 128))
REDUCED, MASK, PAGE = files.long(254, 1), files.long(254, 4), files.long(254, 2)
TIFFS = {
    "reduced_first": pages(page(GREY, REDUCED), page(files.corners())),
    "old_reduced_first": pages(page(GREY, files.short(255, 2)), page(files.corners())),
    "mask_first": pages(page(GREY, MASK), page(GREY, REDUCED), page(files.corners())),
    "reduced_second": pages(page(files.corners()), page(GREY, REDUCED)),
    "pages": pages(page(files.corners(), PAGE), page(GREY, PAGE)),
    "all_reduced": pages(page(files.corners(), REDUCED), page(GREY, REDUCED)),
}


@pytest.mark.parametrize("name", TIFFS)
def test_a_tiff_shows_the_page_that_people_see(engine, photos, name):
    (photos / "a.tif").write_bytes(TIFFS[name])
    engine.analyze(photos)
    shown = engine.show(photos / "a.tif")
    assert (shown["width"], shown["height"], shown["format"]) == (96, 64, "tiff")
    colours, size = files.seen(engine, photos / "a.tif")
    assert size == (96, 64)
    files.assert_colours(colours, UPRIGHT)


def test_the_shown_pages_orientation_counts(engine, photos):
    (photos / "a.tif").write_bytes(pages(page(GREY, REDUCED), page(files.corners(), files.short(274, 6))))
    engine.analyze(photos)
    colours, size = files.seen(engine, photos / "a.tif")
    assert size == (64, 96)
    files.assert_colours(colours, [files.BLUE, files.RED, files.YELLOW, files.GREEN])


def test_old_style_jpeg_in_a_tiff(engine, photos):
    data = io.BytesIO()
    files.corners().save(data, "JPEG", quality=95, subsampling=2)
    jpeg = data.getvalue()
    def build(at):
        return files.directory([files.long(256, 96), files.long(257, 64), files.short(258, 8, 8, 8), files.short(259, 6),
                                files.short(262, 6), files.ascii_tag(271, "Scanner"), files.long(273, at), files.short(277, 3),
                                files.long(278, 64), files.long(279, len(jpeg)), files.ascii_tag(306, "2019:12:30 15:38:24"),
                                files.short(512, 1), files.long(513, at), files.long(514, len(jpeg)), files.short(530, 2, 2)])
    (photos / "a.tif").write_bytes(b"II*\0" + struct.pack("<I", 8) + build(8 + len(build(0))) + jpeg)
    engine.analyze(photos)
    shown = engine.show(photos / "a.tif")
    assert (shown["width"], shown["height"], shown["taken"]) == (96, 64, "2019-12-30T15:38:24")
    assert shown["camera"]["make"] == "Scanner"
    files.assert_colours(files.seen(engine, photos / "a.tif")[0], UPRIGHT)


def raw_like(make, photometric=32803, reduced=1):
    """A TIFF as cameras write it: a small picture first, the sensor's values in a directory below it."""
    width, height = 1600, 1200
    thumbnail, sensor = files.corners((160, 120)), bytes((i * 37) % 251 for i in range(width)) * 2 * height
    def build(thumbnail_at, part_at):
        return files.directory([files.long(254, reduced), files.long(256, 160), files.long(257, 120), files.short(258, 8, 8, 8),
                                files.short(259, 1), files.short(262, 2), files.ascii_tag(271, make),
                                files.ascii_tag(272, make + " One"), files.long(273, thumbnail_at), files.short(277, 3),
                                files.long(278, 120), files.long(279, 160 * 120 * 3), files.long(330, part_at)])
    part_at = 8 + len(build(0, 0))
    def part(at):
        return files.directory([files.long(254, 0), files.long(256, width), files.long(257, height), files.short(258, 16),
                                files.short(259, 1), files.short(262, photometric), files.long(273, at), files.short(277, 1),
                                files.long(278, height), files.long(279, len(sensor))], part_at)
    thumbnail_at = part_at + len(part(0))
    return (b"II*\0" + struct.pack("<I", 8) + build(thumbnail_at, part_at) + part(thumbnail_at + 160 * 120 * 3) +
            thumbnail.tobytes() + sensor)


RAWS = {"3fr": raw_like("Hasselblad"), "pef": raw_like("PENTAX Corporation"), "srw": raw_like("SAMSUNG", reduced=0),
        "mef": raw_like("Mamiya-OP Co.,Ltd."), "mos": raw_like("Leaf"), "erf": raw_like("SEIKO EPSON CORP."),
        "kdc": raw_like("EASTMAN KODAK COMPANY"), "nef": raw_like("NIKON CORPORATION"), "raw": raw_like("Nobody"),
        "iiq": b"II*\0\x08\0\0\0IIII" + bytes(4000), "raf": b"FUJIFILMCCD-RAW 0201FF000000" + bytes(4000),
        "mrw": b"\0MRM" + bytes(4000), "cr3": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(4000)}


@pytest.mark.parametrize("name", RAWS)
def test_raw_files_are_never_their_thumbnail(engine, photos, name):
    """LibRaw knows no such camera, or the file is none: then the ledger names the format's decoder."""
    file = photos / f"a.{name}"
    file.write_bytes(RAWS[name])
    report = engine.run("analyze", photos, "--json")
    assert report.code in (DONE, DONE_WITH_FAILURES), report.message
    shown = engine.show(file)
    assert shown.get("width") != 160
    if report.code == DONE:
        assert shown["format"] == name
    else:
        assert "raw file" in next(iter(engine.failures().values()))["message"]


def test_a_tiff_that_a_camera_maker_wrote_is_a_tiff(engine, photos):
    (photos / "a.tif").write_bytes(pages(page(files.corners(), files.ascii_tag(271, "PENTAX"))))
    engine.analyze(photos)
    assert engine.show(photos / "a.tif")["format"] == "tiff"
    files.assert_colours(files.seen(engine, photos / "a.tif")[0], UPRIGHT)
