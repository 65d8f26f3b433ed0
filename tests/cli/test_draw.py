"""`show FILE --draw`, with findings planted in the catalogue, so that no model decides where a box should be."""

import json
import os
import shutil
import sqlite3

import numpy
import pytest
from engine import DONE, FAILED, SAMPLES, USAGE
from PIL import Image, ImageOps

FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"


def plant(engine, path, stage, data):
    """A record of that stage, as analyze writes it."""
    with sqlite3.connect(engine.catalogue) as catalogue:
        (asset,) = catalogue.execute("SELECT asset_id FROM files WHERE path = ?", (os.fsencode(path),)).fetchone()
        number = catalogue.execute("SELECT count(*) FROM records").fetchone()[0]
        catalogue.execute(
            "INSERT INTO records(asset_id, stage, model, version, params, device, precision, data, created) "
            "VALUES(?, ?, ?, '1', '', 'cpu', 'fp32', ?, ?)",
            (asset, stage, f"m{number}", json.dumps(data), f"2030-01-01T00:00:{number % 60:02}Z"),
        )
    catalogue.close()


def thing(name, box, confidence=0.9):
    return {"object": name, "confidence": confidence, "bbox": box}


def objects(*things):
    return {"objects": list(things), "object_count": len(things)}


@pytest.fixture
def grey(engine, photos):
    """A flat photo, analysed: whatever is not grey was drawn."""
    path = photos / "grey.png"
    Image.new("RGB", (600, 400), (128, 128, 128)).save(path)
    engine.analyze(photos, "--only", "hash")
    return path


def changed(picture):
    return (numpy.asarray(picture.convert("RGB")).astype(int) != 128).any(axis=2)


def draw(engine, photo, out, *flags):
    document = engine.json("show", photo, "--draw", out, *flags)
    with Image.open(out) as picture:
        picture.load()
    assert (document["width"], document["height"]) == picture.size
    return document, picture


def test_boxes_stand_where_they_were_found(engine, grey, folder):
    plant(engine, grey, "objects", objects(thing("dog", [100, 120, 200, 150])))
    document, picture = draw(engine, grey, folder / "out.png")
    assert picture.format == "PNG" and document["objects"] == 1 and picture.size == (600, 400)
    marks = changed(picture)
    for x, y in ((200, 120), (200, 270), (100, 200), (300, 200)):
        assert marks[y, x], f"the edge at {x}, {y}"
    assert not marks[150:250, 120:280].any(), "its middle is as it was"
    assert not marks[320:, :].any() and not marks[:, 400:].any(), "nothing far from the box"
    assert marks[106:117, 100:140].mean() > 0.9, "its words stand above it"


def test_boxes_follow_the_photo_upright_and_reduced(engine, photos, folder):
    path = photos / "turned.jpg"
    upright = Image.new("RGB", (400, 800), (128, 128, 128))
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    upright.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif, quality=95)
    with Image.open(path) as stored:
        assert stored.size == (800, 400) and ImageOps.exif_transpose(stored).size == (400, 800)
    engine.analyze(photos, "--only", "hash")
    plant(engine, path, "objects", objects(thing("dog", [100, 600, 200, 100])))
    document, picture = draw(engine, path, folder / "out.png", "--edge", "400")
    assert picture.size == (200, 400)
    marks = numpy.abs(numpy.asarray(picture.convert("RGB")).astype(int) - 128).max(axis=2) > 30
    for x, y in ((100, 300), (100, 350), (50, 325), (150, 325)):
        assert marks[y, x], f"the edge at {x}, {y}"
    assert not marks[:250].any() and not marks[380:].any()


def test_the_newest_record_counts(engine, grey, folder):
    plant(engine, grey, "objects", objects(thing("cat", [10, 300, 50, 50]), thing("cat", [200, 300, 50, 50])))
    plant(engine, grey, "objects", objects(thing("dog", [400, 100, 50, 50])))
    document, picture = draw(engine, grey, folder / "out.png")
    assert document["objects"] == 1 and not changed(picture)[:, :300].any()


def test_colours_are_of_the_name_and_outlined(engine, grey, folder):
    plant(engine, grey, "objects",
          objects(thing("dog", [50, 100, 80, 80]), thing("dog", [250, 100, 80, 80]), thing("car", [450, 100, 80, 80])))
    _, picture = draw(engine, grey, folder / "out.png")
    first, second, third = (picture.getpixel((x, 140)) for x in (50, 250, 450))
    assert first == second != third
    dark = [min(sum(picture.getpixel((x + d, 140))) for d in range(-4, 5)) for x in (50, 250, 450)]
    assert max(dark) < 200, "a dark line beside the bright one"


def test_text_scenes_and_labels(engine, grey, folder):
    plant(engine, grey, "objects", objects())
    plant(engine, grey, "text", {"text": [
        {"text": "NOTAUSGANG", "confidence": 0.98, "polygon": [[300, 100], [420, 130], [412, 160], [292, 130]]}]})
    plant(engine, grey, "scene", {"label": "beach", "confidence": 0.8,
                                  "top": [{"label": "beach", "confidence": 0.8}, {"label": "sea", "confidence": 0.05}]})
    document, picture = draw(engine, grey, folder / "out.png")
    assert (document["objects"], document["texts"], document["labels"]) == (0, 1, 1)
    marks = changed(picture)
    for x, y in ((360, 115), (352, 145), (296, 115), (416, 145)):
        assert marks[y, x], f"the polygon's edge at {x}, {y}"
    assert not marks[130, 356], "its middle is as it was"
    assert marks[385:, :60].mean() > 0.9, "the scene stands in the lower left corner"


def test_jpeg_by_extension(engine, grey, folder):
    plant(engine, grey, "objects", objects(thing("dog", [100, 120, 200, 150])))
    _, picture = draw(engine, grey, folder / "out.JPG")
    assert picture.format == "JPEG"
    wrong = engine.run("show", grey, "--draw", folder / "out.gif")
    assert wrong.code == USAGE and b".png" in wrong.err and not (folder / "out.gif").exists()
    assert engine.run("show", grey, "--edge", "100").code == USAGE, "--edge is of --draw"


def test_photos_are_never_written_to(engine, grey, photos, folder):
    before = grey.read_bytes()
    link, hard = folder / "link.png", folder / "over.png"
    link.symlink_to(grey)
    new = photos / "new.png"  # not analysed yet
    shutil.copy(grey, new)
    for target in (grey, photos / ".." / "photos" / "grey.png", link, new):
        outcome = engine.run("show", grey, "--draw", target)
        assert outcome.code == USAGE and b"never written" in outcome.err, target
        assert grey.read_bytes() == before and new.read_bytes() == before
    assert link.is_symlink()
    os.link(grey, hard)  # replaced by its name: the photo keeps its bytes
    draw(engine, grey, hard)
    assert grey.read_bytes() == before and hard.read_bytes() != before
    nowhere = engine.run("show", grey, "--draw", folder / "none" / "out.png")
    assert nowhere.code == FAILED and b"none" in nowhere.err
    assert sorted(p.name for p in folder.iterdir() if "out" in p.name) == []


def test_hostile_findings_do_no_harm(engine, grey, folder):
    names = ["", "é" * 500, "犬 собака ١٢", "a\x1b[31m\n\0b", "x" * 100_000, "🐕"]
    boxes = [[0, 0, 0, 0], [-1e30, -1e30, 2e30, 2e30], [1e9, 1e9, 1, 1], [599, 399, 1, 1], [-50, -50, 700, 500], [5, 5, -9, -9],
             [1, 2, 3], ["a", 1, 2, 3], None]
    plant(engine, grey, "objects", objects(*(thing(name, box) for name in names for box in boxes),
                                           *(thing("crowd", [x, x // 2, 40, 40]) for x in range(400)), {"bbox": [1, 1, 9, 9]}, 7))
    plant(engine, grey, "text", {"text": [{"text": "a", "polygon": polygon} for polygon in (
        [], [[1, 2]], [[1e38, 1], [-1e38, 2], [3, 1e38], [4, 4]], [[1, "b"]] * 4, "no")] + [5]})
    outcome = engine.run("show", grey, "--draw", folder / "out.png")
    assert outcome.code == 0, outcome.message
    with Image.open(folder / "out.png") as picture:
        assert picture.size == (600, 400)


def test_without_a_font_there_are_boxes_and_a_note(engine, grey, folder):
    plant(engine, grey, "objects", objects(thing("dog", [100, 120, 200, 150])))
    (folder / "bad.ttf").write_bytes(b"no font at all" * 100)
    for font in ("/nowhere.ttf", str(folder / "bad.ttf")):
        engine.environment["IMAGE_ENGINE_FONT"] = font
        document, picture = draw(engine, grey, folder / "out.png")
        assert len(document["notes"]) == 1 and "without text" in document["notes"][0]
        assert changed(picture)[120, 200] and not changed(picture)[95:113, :].any()
    if os.path.exists(FONT):
        engine.environment["IMAGE_ENGINE_FONT"] = FONT
        assert draw(engine, grey, folder / "out.png")[0]["notes"] == []


def test_what_was_not_looked_at_and_what_is_no_photo(engine, grey, photos, folder):
    document, picture = draw(engine, grey, folder / "out.png")
    assert any("objects" in note for note in document["notes"]) and not changed(picture).any()
    clip = min((SAMPLES / "videos").glob("*.mp4"), key=lambda path: path.stat().st_size)
    shutil.copy(clip, photos)
    engine.analyze(photos, "--only", "hash")
    outcome = engine.run("show", photos / clip.name, "--draw", folder / "clip.png")
    assert outcome.code == USAGE and b"--at" in outcome.err


def test_output_files_follow_the_umask(engine, photos, grey, folder):
    (folder / "old.png").touch(mode=0o600)
    for umask, mode in ((0o022, 0o644), (0o077, 0o600)):
        outcome = engine.run("show", grey, "--draw", folder / "old.png", umask=umask)
        assert outcome.code == DONE, outcome.message
        engine.analyze(photos, "--only", "hash", "--trace", folder / "trace.json", umask=umask)
        assert engine.run("benchmark", "search", "--assets", "100", "--rounds", "1", "-o", folder / "out.json", umask=umask).code == DONE
        assert {name: (folder / name).stat().st_mode & 0o777 for name in ("old.png", "trace.json", "out.json")} == {
            "old.png": mode, "trace.json": mode, "out.json": mode}  # fmt: skip
