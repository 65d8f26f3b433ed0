"""Orientation wherever it is written, and what becomes of a picture when it is corrected. Pillow turns the references."""

import io
import shutil
import sqlite3
import subprocess
import zlib

import pytest
from PIL import Image, ImageOps

import picture_files as files
from engine import DONE

TURNED = [files.BLUE, files.RED, files.YELLOW, files.GREEN]  # by orientation 6: 90° clockwise
UPRIGHT = [files.RED, files.GREEN, files.BLUE, files.YELLOW]
SIX = files.tiff_block(files.short(0x0112, 6))


def webp(**options):
    data = io.BytesIO()
    files.corners().save(data, "WEBP", lossless=True, **options)
    return data.getvalue()


SOURCES = {
    "exif.jpg": files.jpeg(files.exif_segment(files.short(0x0112, 6))),
    "second_exif.jpg": files.jpeg(files.exif_segment(files.ascii_tag(0x010F, "First")),
                                  files.exif_segment(files.short(0x0112, 6)), seed=1),
    "xmp.jpg": files.jpeg(files.xmp_segment(6), seed=2),
    "invalid_exif_then_xmp.jpg": files.jpeg(files.exif_segment(files.short(0x0112, 0)), files.xmp_segment(6), seed=3),
    "exif_before_xmp.jpg": files.jpeg(files.exif_segment(files.short(0x0112, 6)), files.xmp_segment(3), seed=4),
    "exif.png": files.png(files.chunk(b"eXIf", SIX)),
    "exif_behind_pixels.png": files.png(behind=[files.chunk(b"eXIf", SIX)]),
    "text_exif.png": files.png(files.chunk(b"zTXt", b"Raw profile type exif\0\0" +
                                           zlib.compress(files.raw_profile("exif", b"Exif\0\0" + SIX)))),
    "text_app1.png": files.png(files.chunk(b"zTXt", b"Raw profile type APP1\0\0" +
                                           zlib.compress(files.raw_profile("exif", b"Exif\0\0" + SIX)))),
    "xmp.png": files.png(files.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + files.xmp(6))),
    "xmp.webp": webp(xmp=files.xmp(6)),
    "exif.webp": webp(exif=SIX),
    "big.tif": files.big_tiff(files.corners(), (274, 3, 1, b"\6\0")),
}


@pytest.mark.parametrize("name", SOURCES)
def test_wherever_it_is_written(engine, photos, name):
    (photos / name).write_bytes(SOURCES[name])
    engine.analyze(photos)
    shown = engine.show(photos / name)
    assert (shown["width"], shown["height"], shown["orientation"]) == (64, 96, 6)
    colours, size = files.seen(engine, photos / name)
    assert size == (64, 96)
    files.assert_colours(colours, TURNED)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_sidecar_decides(engine, photos, orientation):
    """Over what the file says: it is where editors that leave files alone write it."""
    (photos / "a.jpg").write_bytes(files.jpeg(files.exif_segment(files.short(0x0112, 3))))
    (photos / "a.jpg.xmp").write_bytes(files.xmp(orientation))
    engine.analyze(photos)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = io.BytesIO()
    files.corners().save(data, "PNG", exif=exif)
    expected = ImageOps.exif_transpose(Image.open(data))
    shown = engine.show(photos / "a.jpg")
    assert (shown["width"], shown["height"], shown.get("orientation", 1)) == (*expected.size, orientation)
    colours, size = files.seen(engine, photos / "a.jpg")
    assert size == expected.size
    width, height = size
    files.assert_colours(colours, [expected.getpixel((x * width // 4, y * height // 4)) for y in (1, 3) for x in (1, 3)])


def hashes(engine, file):
    return engine.show(file)["hashes"]


def rate(engine, file, stars):
    """A person's own rating."""
    with sqlite3.connect(engine.catalogue) as catalogue:
        name = bytes.fromhex(engine.show(file)["asset"])
        catalogue.execute("INSERT INTO user_ratings VALUES(?, ?, '2026-01-01T00:00:00Z')", (name, stars))
    catalogue.close()


def record_of(folder, engine, data):
    """What a catalogue that never saw anything else has of this file."""
    from engine import Engine
    apart = folder / "apart"
    apart.mkdir()
    (apart / "photos").mkdir()
    (apart / "photos/a.jpg").write_bytes(data)
    other = Engine(apart, engine.program)
    other.analyze(apart / "photos")
    shown = other.show(apart / "photos/a.jpg")
    return {name: shown[name] for name in ("asset", "width", "height", "hashes", "quality")}


def test_a_corrected_file_is_analyzed_again(engine, folder, photos):
    file = photos / "a.jpg"
    file.write_bytes(files.jpeg())
    engine.analyze(photos)
    before = engine.show(file)
    rate(engine, file, 4)
    file.write_bytes(files.jpeg(files.exif_segment(files.short(0x0112, 6))))
    assert engine.analyze(photos)["report"]["analysed"] == 1
    after = engine.show(file)
    expected = record_of(folder, engine, file.read_bytes())
    assert {name: after[name] for name in expected} == expected
    assert after["asset"] != before["asset"] and after["hashes"] != before["hashes"]
    assert after["user_rating"] == 4  # a person's, of the picture
    colours, size = files.seen(engine, file)
    assert size == (64, 96)
    files.assert_colours(colours, TURNED)
    assert files.seen(engine, file, 48)[1] == (32, 48)
    file.write_bytes(files.jpeg())
    report = engine.analyze(photos)["report"]
    back = engine.show(file)
    assert {name: back[name] for name in expected} == {name: before[name] for name in expected}
    assert back["user_rating"] == 4 and report["analysed"] == 1


def test_a_sidecar_that_comes_later(engine, photos):
    file = photos / "a.jpg"
    file.write_bytes(files.jpeg())
    engine.analyze(photos)
    before = engine.show(file)
    (photos / "a.jpg.xmp").write_bytes(files.xmp(6))
    engine.analyze(photos)
    after = engine.show(file)
    assert (after["width"], after["height"]) == (64, 96) and after["hashes"] != before["hashes"]
    files.assert_colours(files.seen(engine, file)[0], TURNED)
    (photos / "a.jpg.xmp").unlink()
    engine.analyze(photos)
    assert engine.show(file)["hashes"] == before["hashes"]
    files.assert_colours(files.seen(engine, file)[0], UPRIGHT)


def test_two_files_of_one_picture(engine, photos):
    upright, turned = photos / "a.jpg", photos / "b.jpg"
    upright.write_bytes(files.jpeg())
    turned.write_bytes(files.jpeg(files.exif_segment(files.short(0x0112, 6))))
    shutil.copy(turned, photos / "c.jpg")
    engine.analyze(photos)
    for file, size, colours in ((upright, (96, 64), UPRIGHT), (turned, (64, 96), TURNED)):
        shown = engine.show(file)
        assert (shown["width"], shown["height"]) == size
        found, thumbnail = files.seen(engine, file)
        assert thumbnail == size
        files.assert_colours(found, colours)
    assert engine.show(upright)["asset"] != engine.show(turned)["asset"]
    assert hashes(engine, upright) != hashes(engine, turned)
    assert engine.show(turned)["asset"] == engine.show(photos / "c.jpg")["asset"]  # still one picture, analyzed once
    groups = engine.json("duplicates")["groups"]
    assert [group["kind"] for group in groups if group["kind"] == "exact"] == ["exact"]
    assert len(next(group for group in groups if group["kind"] == "exact")["files"]) == 2


def test_a_catalogue_of_format_6_keeps_what_it_knows(engine, photos):
    """Its assets are named by the coded data alone."""
    for name, orientation in {"turned.jpg": 6, "upright.jpg": 1}.items():
        (photos / name).write_bytes(files.jpeg(files.exif_segment(files.short(0x0112, orientation)), seed=orientation))
    engine.analyze(photos)
    name = engine.show(photos / "turned.jpg")["asset"]
    rate(engine, photos / "turned.jpg", 5)
    coded = bytes(range(16))
    with sqlite3.connect(engine.catalogue) as catalogue:
        for table, column in (("assets", "hash"), ("user_ratings", "asset_hash")):
            catalogue.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (coded, bytes.fromhex(name)))
        catalogue.execute("ALTER TABLE files DROP COLUMN orientation")
        for table in ("user_titles", "asset_subjects", "asset_subject_looks"):
            catalogue.execute(f"DROP TABLE {table}")
        catalogue.execute("PRAGMA user_version = 6")
        marked = catalogue.execute("UPDATE records SET data = json_set(data, '$.sharpness', 0.125) WHERE stage = 'quality'").rowcount
    catalogue.close()
    assert marked == 2
    outcome = engine.run("analyze", photos)
    assert outcome.code == DONE, outcome.message
    shown = engine.show(photos / "turned.jpg")
    assert shown["asset"] == name and shown["user_rating"] == 5 and shown["quality"]["sharpness"] == 0.125  # not analyzed again
    assert engine.json("catalog", "check")["problems"] == []


def test_exiftool_agrees(engine, photos):
    """On which tag counts: the reference reads all of them."""
    if not shutil.which("exiftool"):
        pytest.skip("exiftool is not installed")
    for name, data in SOURCES.items():
        (photos / name).write_bytes(data)
    engine.analyze(photos)
    for name in SOURCES:
        out = subprocess.run(["exiftool", "-n", "-s3", "-EXIF:Orientation", "-XMP:Orientation", "-IFD0:Orientation",
                              photos / name], capture_output=True, check=True, text=True).stdout.split()
        assert str(engine.show(photos / name)["orientation"]) in out, name
