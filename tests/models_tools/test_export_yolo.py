"""The exporter of yolo: what it makes of Ultralytics' form of a detector, and what it refuses."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

from yolo_graph import cells, yolo

ROOT = Path(__file__).resolve().parents[2]
NAMES = {"names": {0: "bird", 1: "it's a cat", 2: "Vögel"}, "imgsz": [64, 64], "task": "detect", "license": "AGPL-3.0 License (its address)"}


def export(path, folder, code=0):
    done = subprocess.run([sys.executable, "-B", ROOT / "tools/export/yolo.py", "--from", path, "--output", folder], capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stderr
    assert done.stderr.count("\n") == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def session(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def spec_of(folder):
    (entry,) = json.loads((folder / "spec.yaml").read_text(encoding="utf-8"))["models"].items()
    return entry


def test_names_batch_and_spec(tmp_path):
    given = yolo(tmp_path / "My Yolo.onnx", metadata=NAMES)
    told = export(given, tmp_path / "out")
    assert told.startswith("yolo_fp32.onnx\t64 × 64, 3 classes, any batch") and sorted(path.name for path in (tmp_path / "out").iterdir()) == ["spec.yaml", "yolo_fp32.onnx"]
    made = session(tmp_path / "out/yolo_fp32.onnx")
    assert [value.name for value in made.get_inputs()] == ["pixel_values"] and [value.name for value in made.get_outputs()] == ["predictions"]
    pictures = np.random.default_rng(1).random((3, 3, 64, 64), np.float32)
    (together,) = made.run(None, {"pixel_values": pictures})
    assert together.shape == (3, 7, cells(64))
    before = session(given)
    for picture, got in zip(pictures, together):
        np.testing.assert_allclose(got, before.run(None, {"images": picture[None]})[0][0], atol=1e-4)
    name, entry = spec_of(tmp_path / "out")
    assert name == "my-yolo" and entry["labels"] == ["bird", "it's a cat", "Vögel"] and entry["head"] == "yolo" and entry["outputs"] == ["predictions"]
    assert entry["input"]["fit"] == "letterbox" and entry["input"]["pad"] == [114] * 3 and entry["input"]["deviation"] == [255] * 3
    assert entry["licence"]["name"] == "AGPL-3.0" and not entry["licence"]["permissive"]


def test_a_batch_that_cannot_be_changed(tmp_path):
    assert "one picture at a time" in export(yolo(tmp_path / "y.onnx", fixed_inside=True), tmp_path)
    assert session(tmp_path / "yolo_fp32.onnx").get_inputs()[0].shape == [1, 3, 64, 64]


def test_a_batch_that_is_free(tmp_path):
    assert "any batch" in export(yolo(tmp_path / "y.onnx", batch="n"), tmp_path)


def test_labels_without_metadata(tmp_path):
    export(yolo(tmp_path / "y.onnx", classes=80), tmp_path / "coco")
    assert spec_of(tmp_path / "coco")[1]["labels"] == (ROOT / "config/labels/coco80.txt").read_text().splitlines()
    for i, names in enumerate(({0: "a"}, "__import__('os').abort()", "{" * 300, {0: 1, 1: [], "x": 2})):
        export(yolo(tmp_path / "y.onnx", metadata={"names": names, "imgsz": "many"}), tmp_path / str(i))
        assert spec_of(tmp_path / str(i))[1]["labels"] == ["class 0", "class 1", "class 2"]


class Runs:
    """Leaves a mark when a pickle of it is read."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_a_pickle_is_not_read(tmp_path):
    (tmp_path / "yolov8n.pt").write_bytes(pickle.dumps(Runs(tmp_path / "mark")))
    told = export(tmp_path / "yolov8n.pt", tmp_path / "out", 1)
    assert "pickle" in told and "yolo export model=yolov8n.pt format=onnx" in told
    assert not (tmp_path / "mark").exists() and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"raw": True}, "0…1"),
        ({"transposed": True}, "4 + classes, 84"),
        ({"outputs": 2}, "2 outputs"),
        ({"metadata": {"task": "segment"}}, "'segment'"),
        ({"edge": 48}, "multiples of 32"),
        ({"edge": 32, "classes": 2, "transposed": True}, "nms=False"),
    ],
)
def test_what_is_no_detector(tmp_path, options, message):
    assert message in export(yolo(tmp_path / "y.onnx", **options), tmp_path / "out", 1)
    assert not (tmp_path / "out").exists()


def test_what_is_no_model(tmp_path):
    sound = yolo(tmp_path / "y.onnx").read_bytes()
    for content in (b"", b"\xff" * 64, sound[: len(sound) // 2]):
        (tmp_path / "bad.onnx").write_bytes(content)
        assert "no sound ONNX file" in export(tmp_path / "bad.onnx", tmp_path / "out", 1)
    (tmp_path / "y.engine").write_bytes(sound)
    assert "no .onnx file" in export(tmp_path / "y.engine", tmp_path / "out", 1)
    half = onnx.load(tmp_path / "y.onnx")
    half.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    onnx.save(half, tmp_path / "half.onnx")
    assert "float32" in export(tmp_path / "half.onnx", tmp_path / "out", 1)
