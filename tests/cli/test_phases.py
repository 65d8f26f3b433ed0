"""Where the time of a run went: phases that add up to the whole, also with models that are slow to load or to run."""

import shutil

import pytest
from engine import SAMPLES
from PIL import Image
from slow_model import install_slow_clip

PHASES = ["start", "scan", "metadata", "load_models", "content", "ml", "text", "videos", "sounds", "vectors", "cloud", "other"]
PHOTOS = 24
NOTHING_ELSE = ["--object-model", "none", "--scene-model", "none"]


@pytest.fixture
def library(photos):
    for i in range(PHOTOS):
        Image.effect_noise((320, 240), 40).convert("RGB").save(photos / f"{i:02}.jpg")
    return photos


def check_sum(report):
    phases = report["phases"]
    assert list(phases) == sorted(PHASES)
    assert sum(phase["seconds"] for phase in phases.values()) == pytest.approx(report["seconds"], rel=1e-6, abs=1e-6)
    for name, phase in phases.items():
        assert phase["seconds"] >= 0 and 0 <= phase["cpu_share"] <= 1, name
        share = min(1, phase["cpu_seconds"] / (phase["seconds"] * report["cores"])) if phase["seconds"] else 0
        assert phase["cpu_share"] == pytest.approx(share, abs=1e-6), name
        rate = phase["files"] / phase["seconds"] if phase["seconds"] else 0
        assert phase["files_per_second"] == pytest.approx(rate, rel=1e-6), name
    return phases


def test_phases_add_up_to_the_whole(engine, library):
    phases = check_sum(engine.analyze(library)["report"])
    for name in ("scan", "metadata", "content"):
        assert phases[name]["files"] == PHOTOS
    assert phases["ml"]["files"] == 0 and phases["ml"]["seconds"] == 0, "no model is installed"
    again = check_sum(engine.analyze(library)["report"])
    assert again["metadata"]["files"] == again["content"]["files"] == 0 and again["scan"]["files"] == PHOTOS


def test_loading_is_in_a_row_of_its_own(engine, library):
    install_slow_clip(engine, at_load=12)
    report = engine.analyze(library, *NOTHING_ELSE)["report"]
    phases = check_sum(report)
    assert phases["ml"]["files"] == PHOTOS
    slowest = max(phases, key=lambda name: phases[name]["seconds"])
    assert slowest == "load_models", {name: phase["seconds"] for name, phase in phases.items()}
    assert phases["load_models"]["seconds"] > 4 * phases["ml"]["seconds"]


def test_ml_counts_photos_and_has_the_time_of_its_models(engine, library, folder):
    install_slow_clip(engine, at_run=20)
    report = engine.analyze(library)["report"]
    phases = check_sum(report)
    assert phases["ml"]["files"] == PHOTOS == phases["content"]["files"]
    assert phases["ml"]["seconds"] > 2 * phases["content"]["seconds"], "decoding and hashing small pictures is quick"
    steps = {step["step"]: step for step in report["steps"]}
    busy = sum(step["busy_seconds"] for name, step in steps.items() if name not in ("scan", "headers"))
    both = phases["ml"]["seconds"] + phases["content"]["seconds"]
    assert phases["ml"]["seconds"] / both == pytest.approx(steps["models"]["busy_seconds"] / busy, abs=0.1)
    shutil.copy(library / "00.jpg", library / "copy.jpg")
    Image.effect_noise((320, 240), 40).convert("RGB").save(library / "new.jpg")
    again = check_sum(engine.analyze(library)["report"])
    assert (again["content"]["files"], again["ml"]["files"]) == (2, 1), "a copy is read, and no model sees it"


def seconds_of(text):
    """What "138 ms", "6.2 s" or "1 min 3 s" stands for."""
    words = text.split()
    units = {"ms": 1e-3, "s": 1, "min": 60, "h": 3600}
    return sum(float(value) * units[unit] for value, unit in zip(words[::2], words[1::2], strict=True))


def table_of(text):
    """The cells of the report's first table, by the first one of each row; columns are two blanks apart."""
    rows = {}
    for line in text[text.index("phase ") :].splitlines():
        if not line:
            break
        cells = [cell.strip() for cell in line.split("  ") if cell.strip()]
        rows[cells[0]] = cells[1:]
    return rows


def test_the_table_for_people_adds_up(engine, library):
    text = engine.run("analyze", library, "--log-level", "error").out.decode()
    rows = table_of(text)
    head = rows.pop("phase")
    assert head == ["files", "time", "rate", "CPU", "5,372 take", "PyTorch took"]
    assert {"metadata", "content", "start", "load models", "all"} <= rows.keys()
    whole = seconds_of(rows.pop("all")[1])
    assert sum(seconds_of(row[1]) for row in rows.values()) == pytest.approx(whole, rel=0.02, abs=0.05)
    done = next(line for line in text.splitlines() if line.startswith("Done in "))
    assert seconds_of(done.removeprefix("Done in ")) == pytest.approx(whole, rel=0.01, abs=0.01)
    for row in rows.values():
        assert row[3].endswith(" % busy") and " core" in row[3], "in words: 2 cores 87 % busy"
    assert rows["content"][4:] != ["–", "15 min"] and rows["content"][5] == "15 min", "24 photos are enough"
    assert "threads " in text or "1 thread " in text, "steps name their threads"


def test_few_photos_give_no_estimate(engine, photos):
    for name in ("fruits.jpg", "messi5.jpg"):
        shutil.copy(SAMPLES / "photos" / name, photos)
    rows = table_of(engine.run("analyze", photos).out.decode())
    assert rows["metadata"][4:] == ["–", "30 s"] and rows["content"][4:] == ["–", "15 min"]
