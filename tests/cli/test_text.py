"""Text in pictures end to end, with the real model that every machine can get (the ctest entry models_pull installs it)."""

import shutil
from pathlib import Path

import pytest
from engine import ROOT, SAMPLES
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
