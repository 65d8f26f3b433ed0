"""`models calibrate`: an int8 graph of an installed model by the user's own photos; and engines that a spec or --engine names."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from engine import DONE, FAILED, ROOT, SAMPLES, USAGE

sys.path.insert(0, str(ROOT / "tools/models"))
from quantise import exact_session  # noqa: E402

MODELS = ROOT / "build/models"
NET = "efficientnet-lite0"
PHOTOS = sorted(path.name for path in (SAMPLES / "photos").glob("*.jpg"))[:12]


@pytest.fixture
def own(photos):
    for name in PHOTOS:
        shutil.copy(SAMPLES / "photos" / name, photos)
    return photos


def graphs(engine):
    """What is kept of graphs, and of work on them."""
    folder = engine.folder / "cache/image-engine/inference/graphs"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def listed(engine, name=NET):
    return next(entry for entry in engine.json("models", "list")["models"] if entry["name"] == name)


def add(program, name, **changes):
    """Installs the classifier under another name, with a spec of the user's; gives that file."""
    file = program.folder / f"specs/{name}.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"models": {name: {"like": NET, **changes}}}))
    added = program.run("models", "add", MODELS / NET / f"{NET}.onnx", "--spec", file)
    assert added.code == DONE, added.message
    return file


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    """A small model of pictures, whose every product stays near enough in int8."""
    folder = tmp_path_factory.mktemp("clip")
    subprocess.run([sys.executable, ROOT / "tools/export/random_clip.py", "--output", folder], check=True)
    return folder


def pull_clip(program, clip, name="random-clip", gate=None):
    spec = json.loads((clip / "pull.yaml").read_text())["models"]["random-clip"]
    if gate:
        spec["variants"].append({"precision": "int8", "file": "clip_vision_fp32.onnx", "gate": gate})
    specs = program.folder / "config/image-engine/models"
    specs.mkdir(parents=True, exist_ok=True)
    (specs / f"{name}.yaml").write_text(json.dumps({"models": {name: spec}}))
    assert program.run("models", "pull", name).code == DONE
    return name


def refused(engine, code, *arguments):
    outcome = engine.run("models", "calibrate", *arguments)
    assert outcome.code == code, outcome.message
    assert outcome.message.startswith("image-engine: ") and outcome.message.count("\n") == 1, outcome.message
    assert not graphs(engine), "nothing is left"
    return outcome.message


def cosine(a, b):
    return float((a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b)))


def test_a_model_in_int8(real, own):
    before = {path.name: path.stat().st_mtime_ns for path in own.iterdir()}
    assert not listed(real)["calibrated"]
    made = real.json("models", "calibrate", NET, "--calibration", own)
    assert made["photos"] == len(PHOTOS) and made["cosine"] >= made["least_cosine"] == 0.99 and made["compared_with"] == "fp32"
    assert {path.name: path.stat().st_mtime_ns for path in own.iterdir()} == before, "the photos' folder is left alone"
    file = Path(made["file"])
    assert graphs(real) == [file.name] and file.stat().st_size == made["bytes"] < (MODELS / NET / f"{NET}.onnx").stat().st_size
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in onnx.load(file).graph.node}

    # The same numbers as fp32, by Pillow and ONNX Runtime, of photos that it was not calibrated with.
    fp32, int8 = (exact_session(path) for path in (MODELS / NET / f"{NET}.onnx", file))
    found = []
    for photo in sorted((SAMPLES / "photos").glob("*.jpg"))[len(PHOTOS):]:
        picture = Image.open(photo).convert("RGB").resize((224, 224))
        feed = {fp32.get_inputs()[0].name: ((np.asarray(picture, np.float32) - 127) / 128).transpose(2, 0, 1)[None]}
        found.append(cosine(fp32.run(None, feed)[0], int8.run(None, feed)[0]))
    assert len(found) >= 30 and np.mean(found) > 0.99 and min(found) > 0.95

    assert listed(real)["calibrated"] and not listed(real, "nanodet")["calibrated"]
    assert b"fp32, int8 (calibrated)" in real.run("models", "list").out
    (kept,) = json.loads((real.folder / "cache/image-engine/inference/precisions.json").read_text()).values()
    assert (kept["precision"] == "int8 (calibrated)") == made["taken"] and kept["reason"] == made["reason"]
    assert made["taken"] == (made["reason"].startswith("int8 (calibrated): "))

    gone = real.json("models", "calibrate", NET, "--remove")
    assert gone["state"] == "removed" and gone["file"] == str(file) and not graphs(real) and not listed(real)["calibrated"]
    assert "is not calibrated" in refused(real, FAILED, NET, "--remove")


def test_for_people(engine, clip, own):
    name = pull_clip(engine, clip)
    text = engine.run("models", "calibrate", name, "--calibration", own).out.decode()
    assert f"{name}: int8 made with {len(PHOTOS)} photos, cosine 0.99" in text and "times as fast as fp32 here" in text
    assert "on the CPU " in text
    assert b"its int8 graph is removed" in engine.run("models", "calibrate", name, "--remove").out
    help_text = engine.run("models", "--help").out.decode()
    assert "image-engine models calibrate clip-vit-b-32 --calibration ~/Pictures" in help_text


def test_what_does_not_agree_is_refused(engine, clip, own):
    for name, gate, says in (("strict", {"cosine": 0.9999999}, "strict: int8 agrees with fp32 to a cosine of 0.9"),
                             ("exact", {"cosine": 0.9, "max_error": 1e-9}, "exact: int8 is rejected, and nothing was stored: ")):  # fmt: skip
        pull_clip(engine, clip, name, gate)
        assert says in refused(engine, FAILED, name, "--calibration", own)


def test_folders_that_are_no_use(real, folder):
    photos = folder / "few"
    photos.mkdir()
    assert "0 readable photos" in refused(real, FAILED, NET, "--calibration", photos)
    for i in range(3):
        (photos / f"{i}.jpg").write_bytes(b"\xff\xd8\xff\xe0broken")
    assert "0 readable photos among 3 files" in refused(real, FAILED, NET, "--calibration", photos)
    shutil.copy(SAMPLES / "photos" / PHOTOS[0], photos)
    assert "1 readable photo among 4 files" in refused(real, FAILED, NET, "--calibration", photos)
    assert "No such file" in refused(real, FAILED, NET, "--calibration", folder / "none")
    assert "Not a directory" in refused(real, FAILED, NET, "--calibration", photos / "0.jpg")


def test_models_that_cannot_be(real, own):
    for name, says in (("minilm", "does not analyze pictures"), ("pp-ocrv4", "several graphs"), ("clip-vit-b-32", "models pull clip-vit-b-32")):
        assert says in refused(real, FAILED, name, "--calibration", own)
    assert "nanodet" in refused(real, USAGE, "nanodett", "--calibration", own)
    for wrong in ([], [NET, "--remove", "--calibration", own]):
        assert real.run("models", "calibrate", *wrong).code == USAGE


def test_two_at_once_make_it_once(engine, clip, own):
    name = pull_clip(engine, clip)
    both = [engine.start("models", "calibrate", name, "--calibration", own, "--json") for _ in range(2)]
    made = [json.loads(process.communicate(timeout=200)[0]) for process in both]
    assert [process.returncode for process in both] == [DONE, DONE]
    assert sorted(one["photos"] for one in made) == [0, len(PHOTOS)] and made[0]["file"] == made[1]["file"]
    assert graphs(engine) == [Path(made[0]["file"]).name]


def sidecar(file, model):
    file.with_name(file.name + ".json").write_text(json.dumps(
        {"schema": "image-engine/engine/1", "engine": {"bytes": 6, "sha256": "e" * 64, "device_bytes": None},
         "model": {"sha256": model, "dimensions": {}}, "precision": "fp16", "batch": {"least": 1, "best": 8, "most": 16},
         "workspace_bytes": 0, "gpu": {"name": "NVIDIA H100", "compute_capability": "9.0"},
         "versions": {"driver": "1", "cuda": "13.0", "tensorrt": "10.14.1", "onnxruntime": "1.31.1"},
         "inputs": [], "outputs": [], "layer_precisions": {}, "build_seconds": 1.0}))  # fmt: skip
    file.write_bytes(b"engine")
    return file


def test_engines_built_before(real, own, folder):
    if shutil.which("nvidia-smi") or os.path.exists("/dev/nvidia0"):
        pytest.skip("there may be a GPU here")

    def told(*more):
        outcome = real.run("analyze", own, "--only", "scene", "--redo", "scene", "--quiet", *more)
        assert outcome.code == DONE, outcome.message
        return [line for line in outcome.message.splitlines() if "engine" in line]

    (installed,) = json.loads((MODELS / NET / "provenance.json").read_text())["files"]
    ours, other = sidecar(folder / "ours.trt", installed["sha256"]), sidecar(folder / "other.trt", "0" * 64)
    (line,) = told("--engine", ours)
    assert f"{NET} does not use the engine {ours}: TensorRT: " in line
    (line,) = told("--engine", other)
    assert f"the engine {other} is not used: it was built from none of the models" in line
    (line,) = told("--engine", folder / "none.trt")
    assert f"the engine {folder / 'none.trt'} is not used: " in line
    assert not told("--engine", ours, "--device", "cpu")

    del real.environment["IMAGE_ENGINE_MODELS"]
    add(real, "mine", engine="../ours.trt")
    (line,) = told("--scene-model", "mine")
    assert f"mine does not use the engine {ours}: TensorRT: " in line
    assert "--engine" in real.run("analyze", "--help").out.decode()
