"""Text in pictures end to end, with the real model that every machine can get (the ctest entry models_pull installs it)."""

import json
import shutil
import signal
import sqlite3
from pathlib import Path

import pytest
from engine import INTERRUPTED, ROOT, SAMPLES, wait_until
from PIL import Image, ImageDraw, ImageFont

PHOTOS = SAMPLES / "photos"
MODELS = ROOT / "build/models"


@pytest.fixture
def library(engine, photos):
    assert (MODELS / "pp-ocrv4/provenance.json").exists(), "ctest's models_pull installs pp-ocrv4 into build/models"
    engine.environment["IMAGE_ENGINE_MODELS"] = str(MODELS)
    for name in ("baboon.jpg", "butterfly.jpg", "page.png"):
        shutil.copy(PHOTOS / name, photos)
    sign = Image.new("RGB", (3000, 2000), (20, 90, 40))
    ImageDraw.Draw(sign).text((1900, 1500), "EXIT", fill="white", font=ImageFont.load_default(size=220))
    sign.save(photos / "sign.jpg", quality=92)
    return photos


def test_text_is_read_and_found(engine, library):
    assets = {Path(asset["path"]).name: asset for asset in engine.analyze(library)["assets"]}
    (line,) = assets["sign.jpg"]["text"]
    assert line["text"] == "EXIT" and line["confidence"] > 0.8
    xs, ys = zip(*line["polygon"], strict=True)
    assert 1850 < min(xs) < 1950 and max(xs) < 2600 and 1500 < min(ys) < 1640 and max(ys) < 1800, "in the photo's own pixels"
    assert any("Region-based" in line["text"] for line in assets["page.png"]["text"])
    assert assets["baboon.jpg"]["text"] == [] and assets["butterfly.jpg"]["text"] == []
    for query in ("text:exit", "exit"):
        (hit,) = engine.json("search", query)["results"]
        assert Path(hit["path"]).name == "sign.jpg" and {"field": "text", "text": "EXIT"} in hit["why"]
    assert engine.search("text:histogram") == ["page.png"] and engine.search("text:zebra") == []
    assert engine.analyze(library)["assets"] == [], "nothing is read twice"


def test_other_stages_do_not_see_the_larger_picture(engine, library):
    """Quality and hashes are the same whether text is read or not."""
    with_text = {asset["path"]: asset for asset in engine.analyze(library)["assets"]}
    again = engine.analyze(library, "--only", "quality", "--only", "hash", "--redo", "quality", "--redo", "hash")["assets"]
    assert len(again) == len(with_text)
    for asset in again:
        assert (asset["quality"], asset["hashes"]) == (with_text[asset["path"]]["quality"], with_text[asset["path"]]["hashes"])


def test_a_memory_budget_changes_no_result(engine, library, tmp_path):
    """With 1 MiB every run of a model has the budget to itself."""
    text = {asset["path"]: asset["text"] for asset in engine.analyze(library)["assets"]}
    config = tmp_path / "small.yaml"
    config.write_text("processing: {memory_mb: 1}\n")
    again = engine.analyze(library, "--config", str(config), "--redo", "text")["assets"]
    assert {asset["path"]: asset["text"] for asset in again} == text


def draw_sign(path, word, edge=(1600, 1200)):
    sign = Image.new("RGB", edge, (20, 90, 40))
    ImageDraw.Draw(sign).text((300, 500), word, fill="white", font=ImageFont.load_default(size=160))
    sign.save(path, quality=92)


def test_text_comes_last_and_goes_on_after_ctrl_c(engine, library):
    words = [f"GATE {number}" for number in range(100, 124)]
    for word in words:
        draw_sign(library / f"{word}.jpg", word)
    photos = len(words) + 4
    process = engine.start("analyze", library, "--workers", "1", "--json")
    count = "SELECT count(*) FROM records WHERE stage = ? AND asset_id IS NOT NULL"

    def all_but_text():
        try:
            return engine.rows(count, "hash") == [(photos,)]
        except sqlite3.OperationalError:  # there is no catalogue yet
            return False

    wait_until(all_but_text, "all that is fast", 120)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED, error
    document = json.loads(out)
    ((read,),) = engine.rows("SELECT count(*) FROM records WHERE stage = 'text' AND data LIKE '%\"confidence\"%'")
    phases = document["report"]["phases"]
    assert phases["content"]["files"] == photos and phases["text"]["files"] == read < len(words) + 2
    assert document["report"]["waiting"] == len(words) + 2 - read, "the signs, the first sign and the page"
    assert len(document["assets"]) == photos, "each was finished as far as it went"
    assert len(engine.search("type:photo")) == photos
    again = engine.analyze(library)
    assert again["report"]["phases"]["text"]["files"] == len(words) + 2 - read and len(again["assets"]) == len(words) + 2 - read
    assert all(engine.search(f'text:"{word}"') == [f"{word}.jpg"] for word in (words[0], words[-1]))


def test_small_letters_in_a_large_photo(engine, photos):
    """Letters of 20 to 25 pixels in 12 megapixels, of which the first look at 640 pixels sees nothing."""
    engine.environment["IMAGE_ENGINE_MODELS"] = str(MODELS)
    photo = Image.open(SAMPLES / "12mp/DSC00001.jpg").convert("RGB")
    draw = ImageDraw.Draw(photo)
    lines = ["HARBOUR MUSEUM", "TICKETS PLATFORM", "EMERGENCY EXIT"]
    draw.rectangle((2200, 1400, 2780, 1580), fill=(245, 240, 230))
    for row, line in enumerate(lines):
        draw.text((2230, 1420 + 50 * row), line, fill=(20, 20, 20), font=ImageFont.load_default(size=32))
    photo.save(photos / "small.jpg", quality=92)
    (asset,) = engine.analyze(photos, "--only", "text")["assets"]
    found = {line["text"]: line["polygon"] for line in asset["text"]}
    assert set(lines) <= set(found), found
    for row, line in enumerate(lines):
        xs, ys = zip(*found[line], strict=True)
        assert 2200 <= min(xs) <= 2235 and 1400 + 50 * row <= min(ys) and max(ys) <= 1470 + 50 * row and max(xs) < 2780
    for query in ("text:useum", "text:MERGENC", 'text:"cy ex"'):
        (hit,) = engine.json("search", query)["results"]
        assert [why["field"] for why in hit["why"]] == ["text"], query
    assert engine.search("text:us") == [] and engine.search("useum") == [], "short parts, and plain words, are whole words"


@pytest.mark.parametrize("size", [20, 24])
def test_a_lone_small_line_in_a_large_picture(engine, photos, size):
    """Wherever the grid of its search cuts it; 12 megapixels, of which the first look sees a line 3 pixels high."""
    engine.environment["IMAGE_ENGINE_MODELS"] = str(MODELS)
    face = ImageFont.truetype("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", size)
    places = [(60, 60), (1500, 1103), (3038, 1468)]
    for number, place in enumerate(places):
        picture = Image.new("RGB", (4000, 3000), (250, 248, 244))
        ImageDraw.Draw(picture).text(place, f"serial QZ55820{number}", fill=(15, 15, 20), font=face)
        picture.save(photos / f"{number}.jpg", quality=92)
    engine.analyze(photos, "--only", "text")
    assert sorted(engine.search("text:serial")) == ["0.jpg", "1.jpg", "2.jpg"]
