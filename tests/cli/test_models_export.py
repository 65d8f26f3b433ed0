"""`models export`, and what it writes as a model of one's own with both towers."""

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine import DONE, FAILED, ROOT, USAGE, Engine

sys.path.insert(0, str(ROOT / "tests/models_tools"))
from yolo_graph import yolo  # noqa: E402

FILES = [f"clip_{kind}_{precision}.onnx" for kind in ("text", "vision") for precision in ("fp32", "int8")]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A CLIP of random weights: model.safetensors, config.json, vocabulary.txt, specs."""
    folder = tmp_path_factory.mktemp("weights")
    command = [sys.executable, "-B", ROOT / "tools/export/random_clip.py", "--output", folder, "--weights"]
    subprocess.run(command, check=True, timeout=120)
    return folder


def test_export_and_add(engine, folder, weights):
    out = folder / "out"
    document = engine.json("models", "export", "clip", "--from", weights, "-o", out, "--int8")
    beside = ["spec.yaml", "vocabulary.txt"]
    assert sorted(Path(entry["path"]).name for entry in document["files"]) == FILES + beside == sorted(path.name for path in out.iterdir())
    assert all("numpy" in entry["checked"] or "cosine" in entry["checked"] for entry in document["files"] if entry["path"].endswith(".onnx"))
    (entry,) = engine.json("models", "add", out / "clip_vision_fp32.onnx", "--spec", out / "spec.yaml", "--name", "mine")["models"]
    assert (entry["name"], entry["task"], entry["state"]) == ("mine", "embedding", "installed")
    assert entry["precisions"] == ["fp32", "int8"] and "int8" in entry["notes"][0]
    installed = engine.folder / "data/image-engine/models/mine"
    assert {path.name for path in installed.iterdir()} >= {"clip_vision_fp32.onnx", "clip_text_fp32.onnx", "clip_text_int8.onnx", "vocabulary.txt"}
    written = json.loads((engine.folder / "config/image-engine/models/mine.added.yaml").read_text())["models"]["mine"]
    assert written["text"]["tokenizer"] == "clip-bpe" and written["text"]["context"] == 77 and len(written["text"]["variants"]) == 2
    engine.json("models", "verify", "mine")


def test_without_a_vocabulary_there_are_no_texts(engine, folder, weights):
    bare = folder / "bare"
    bare.mkdir()
    for name in ("model.safetensors", "config.json"):
        shutil.copy(weights / name, bare)
    (bare / "merges.txt").write_text("#version: 0.2\na b\n")  # of another model
    document = engine.json("models", "export", "clip", "--from", bare, "-o", folder / "out")
    (told,) = [entry["checked"] for entry in document["files"] if entry["path"].endswith("spec.yaml")]
    assert "without texts" in told and "merges.txt" in told
    (entry,) = engine.json("models", "add", folder / "out/clip_vision_fp32.onnx", "--spec", folder / "out/spec.yaml")["models"]
    assert (entry["name"], entry["state"], entry["precisions"]) == ("bare", "installed", ["fp32"])


def test_the_normalisation_of_the_folder(engine, folder, weights):
    own = folder / "own"
    shutil.copytree(weights, own)
    (own / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5, 0.25, 0.125], "image_std": [0.5, 1, 0.2]}))
    engine.json("models", "export", "clip", "--from", own, "-o", folder / "out")
    (entry,) = json.loads((folder / "out/spec.yaml").read_text())["models"].values()
    assert entry["input"]["mean"] == [127.5, 63.75, 31.875] and entry["input"]["deviation"] == [127.5, 255, 51]


def test_a_text_tower_lies_beside(engine, folder, weights):
    own = folder / "own"
    own.mkdir()
    for name in ("clip_vision_fp32.onnx", "vocabulary.txt", "spec.yaml"):
        shutil.copy(weights / name, own)
    outcome = engine.run("models", "add", own / "clip_vision_fp32.onnx", "--spec", own / "spec.yaml")
    assert outcome.code == USAGE and "clip_text_fp32.onnx should be beside" in outcome.message


def test_pulled_from_files(engine, weights):
    specs = engine.folder / "config/image-engine/models"
    specs.mkdir(parents=True)
    shutil.copy(weights / "pull.yaml", specs)
    (entry,) = engine.json("models", "pull", "random-clip")["models"]
    assert entry["state"] == "installed" and entry["precisions"] == ["fp32"]


def test_for_people(engine, folder, weights):
    outcome = engine.run("models", "export", "clip", "--from", weights, "-o", folder / "out", "--opset", "14")
    assert outcome.code == DONE and outcome.out.count(b"opset 14") == 2 and b"clip_vision_fp32.onnx" in outcome.out


def test_what_is_refused(engine, folder, weights):
    def message(code, *arguments):
        outcome = engine.run("models", "export", *arguments, "-o", folder / "out")
        assert outcome.code == code and outcome.message.count("\n") == 1, outcome.message
        assert not list((folder / "out").glob("*"))
        return outcome.message

    own = folder / "own"
    own.mkdir()
    assert "model.safetensors" in message(FAILED, "clip", "--from", own)
    (own / "pytorch_model.bin").write_bytes(pickle.dumps(3))
    assert "pickle" in message(FAILED, "clip", "--from", own)
    (own / "model.safetensors").write_bytes(b"\xff" * 100)
    assert "cut short" in message(FAILED, "clip", "--from", own)
    assert "no folder" in message(FAILED, "clip", "--from", folder / "none")
    assert "14 to 22" in message(FAILED, "clip", "--from", weights, "--opset", "13")
    assert "known: clip" in message(USAGE, "clipp", "--from", own)


def test_without_from(engine):
    outcome = engine.run("models", "export", "clip")
    assert outcome.code == USAGE and "--from" in outcome.message


def test_an_installation_without_exporters(folder, weights):
    program = folder / "tree/bin/image-engine"
    shutil.copytree(ROOT / "config", folder / "tree/share/image-engine/config")
    program.parent.mkdir()
    shutil.copy2(Engine(folder).program, program)
    outcome = Engine(folder, program).run("models", "export", "clip", "--from", weights)
    assert outcome.code == FAILED and "clip.py is missing" in outcome.message


def test_yolo_and_add(engine, folder):
    given = yolo(folder / "small.onnx", metadata={"names": {0: "a", 1: "b", 2: "c"}, "imgsz": [64, 64], "task": "detect"})
    (entry,) = engine.json("models", "export", "yolo", "--from", given, "-o", folder / "out")["files"]
    assert Path(entry["path"]) == folder / "out/yolo_fp32.onnx" and "any batch" in entry["checked"]
    (added,) = engine.json("models", "add", entry["path"], "--task", "objects", "--spec", folder / "out/spec.yaml")["models"]
    assert (added["name"], added["task"], added["state"]) == ("small", "objects", "installed")


def test_exporters_of_torch_are_told_a_python(engine, folder):
    def message(code, *arguments):
        outcome = engine.run("models", "export", *arguments, "--from", folder, "-o", folder / "out")
        assert outcome.code == code and outcome.message.count("\n") == 1 and not (folder / "out").exists(), outcome.message
        return outcome.message

    for kind in ("detr", "dfine", "segformer"):
        told = message(FAILED, kind)
        assert "tools/export/requirements.txt" in told and "--python" in told and "IMAGE_ENGINE_EXPORT_PYTHON" in told
    engine.environment["IMAGE_ENGINE_EXPORT_PYTHON"] = str(folder / "none/python")
    assert "none/python is no program" in message(FAILED, "detr")
    plain = Path(sys.executable)
    assert "lacks torch" in message(FAILED, "detr", "--python", plain, "--size", "640")


def test_options_of_other_exporters(engine, folder):
    for kind, option in (("detr", ["--int8"]), ("clip", ["--size", "224"]), ("dfine", ["--dynamic"]), ("yolo", ["--size", "640"])):
        outcome = engine.run("models", "export", kind, "--from", folder, *option)
        assert outcome.code == USAGE and f"exporter of {kind} takes no {option[0]}" in outcome.message
    outcome = engine.run("models", "export", "detr", "--from", folder, "--size", "640", "--dynamic")
    assert outcome.code == USAGE and "exclude each other" in outcome.message
    outcome = engine.run("models", "export", "yolo", "--from", folder)
    assert outcome.code == FAILED and "is no file" in outcome.message


def test_a_pickle_of_ultralytics(engine, folder):
    (folder / "yolov8n.pt").write_bytes(pickle.dumps(3))
    outcome = engine.run("models", "export", "yolo", "--from", folder / "yolov8n.pt", "-o", folder / "out")
    assert outcome.code == FAILED and "pickle" in outcome.message and "yolo export model=yolov8n.pt format=onnx" in outcome.message


def test_tools_get_no_keys(engine, folder):
    seen = folder / "seen"
    python = folder / "python"
    python.write_text(f"#!/bin/sh\nenv > {seen}\necho 'this is no python' >&2\nexit 1\n")
    python.chmod(0o755)
    configured = folder / "config/image-engine/config.yaml"
    configured.parent.mkdir(parents=True)
    configured.write_text("nvidia_build: {api_key_env: MY_ACCOUNT}\n")
    keys = {"MY_ACCOUNT": "mine", "NVIDIA_API_KEY": "nvapi", "HF_TOKEN": "hf", "NGC_API_KEY": "ngc"}
    engine.environment |= keys | {"MY_OTHER": "word"}
    outcome = engine.run("models", "export", "detr", "--from", folder, "-o", folder / "out", "--python", python)
    assert outcome.code == FAILED and "this is no python" in outcome.message
    names = {line.partition("=")[0] for line in seen.read_text().splitlines()}
    assert "MY_OTHER" in names and not names & keys.keys()
    assert "ORT_DISABLE_TELEMETRY=1" in seen.read_text().splitlines()
