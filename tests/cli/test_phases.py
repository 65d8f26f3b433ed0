"""Where the time of a run went: phases that add up to the whole, also with models that are slow to load or to run."""

import json
import shutil

import numpy as np
import pytest
from action_models import COLOURS, TOKENS, VOCABULARY, save, tensor
from engine import DONE, SAMPLES
from onnx import TensorProto, helper
from PIL import Image

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


def install_slow_clip(engine, at_load=0, at_run=0, side=700):
    """An image-text model that multiplies matrices of `side`: `at_load` times constants, which ONNX Runtime folds while
    it loads the model, and `at_run` times what depends on the picture."""
    folder = engine.folder / "slow"
    folder.mkdir()
    shutil.copy(VOCABULARY, folder / "words.txt.gz")
    nodes = [helper.make_node("ReduceMean", ["pixels"], ["colour"], axes=[2, 3], keepdims=0)]
    last = "turn"
    for i in range(at_load):
        nodes.append(helper.make_node("MatMul", [last, "turn"], [f"constant{i}"]))
        last = f"constant{i}"
    nodes += [helper.make_node("ReduceMean", ["colour"], ["mean"], axes=[0, 1], keepdims=0), helper.make_node("Mul", [last, "mean"], ["made"])]
    last = "made"
    for i in range(at_run):
        nodes.append(helper.make_node("MatMul", ["turn", last], [f"made{i}"]))
        last = f"made{i}"
    nodes += [helper.make_node("ReduceMean", [last], ["level"], keepdims=0), helper.make_node("Mul", ["level", "little"], ["less"]),
              helper.make_node("Add", ["colour", "less"], ["image"])]  # fmt: skip
    turn = np.roll(np.eye(side, dtype=np.float32), 1, axis=0)  # products of it neither grow nor vanish
    save(folder / "vision.onnx", nodes, [tensor("pixels", ["n", 3, 8, 8])], [tensor("image", ["n", 3])],
         [("turn", turn), ("little", np.array(1e-3, np.float32))])  # fmt: skip
    table = np.random.default_rng(1).random((TOKENS, len(COLOURS) - 1), np.float32)
    save(folder / "text.onnx", [helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
                                helper.make_node("ReduceSum", ["rows", "axis"], ["text"], keepdims=0)],
         [tensor("input_ids", ["n", "t"], TensorProto.INT64)], [tensor("text", ["n", 3])],
         [("table", table), ("axis", np.array([1]))])  # fmt: skip
    spec = {"task": "embedding", "version": "1", "licence": {"name": "MIT", "permissive": True}, "file": "vision.onnx",
            "files": [{"name": file, "sources": [f"file:{folder / file}"]} for file in ("vision.onnx", "text.onnx", "words.txt.gz")],
            "input": {"width": 8, "height": 8, "deviation": [255, 255, 255]}, "outputs": ["image"],
            "options": {"dimensions": 3, "logit_scale": 100},
            "text": {"tokenizer": "clip-bpe", "vocabulary": "words.txt.gz", "context": 77, "file": "text.onnx", "outputs": ["text"]}}  # fmt: skip
    specs = engine.folder / "config/image-engine/models"
    specs.mkdir(parents=True)
    (specs / "slow.yaml").write_text(json.dumps({"models": {"slow": spec}}))
    assert engine.run("models", "pull", "slow").code == DONE


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
