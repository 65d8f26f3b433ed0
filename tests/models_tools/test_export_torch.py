"""The exporters that need torch, in the Python that IMAGE_ENGINE_EXPORT_PYTHON names; without one, what they say."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = os.environ.get("IMAGE_ENGINE_EXPORT_PYTHON")
needs_torch = pytest.mark.skipif(not PYTHON, reason="IMAGE_ENGINE_EXPORT_PYTHON names no Python with torch and transformers")


def export(kind, *arguments, code=0, python=PYTHON):
    done = subprocess.run([python, "-B", ROOT / f"tools/export/{kind}.py", *arguments], capture_output=True, text=True, timeout=900)
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr.splitlines()[-1]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    subprocess.run([PYTHON, "-B", ROOT / "tools/reference/small_detectors.py", folder], check=True, timeout=600, capture_output=True)
    return folder


def run(file, **feeds):
    return onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"]).run(None, feeds)


@pytest.mark.parametrize("kind", ["detr", "dfine", "segformer"])
def test_without_torch(kind, tmp_path):
    try:
        import torch  # noqa: F401
    except ImportError:
        pass
    else:
        pytest.skip("torch is here")
    told = export(kind, "--from", tmp_path, "--output", tmp_path / "out", code=1, python=sys.executable)
    assert "lacks torch" in told and "tools/export/requirements.txt" in told and not (tmp_path / "out").exists()


@needs_torch
@pytest.mark.parametrize("kind, opset, outputs", [("detr", "14", [(20, 6), (20, 4)]), ("dfine", "17", [(30, 7), (30, 4)]), ("segformer", "17", [(9, 64, 64)])])
def test_export(models, tmp_path, kind, opset, outputs):
    told = export(kind, "--from", models / kind, "--output", tmp_path, "--opset", opset, "--size", "256")
    assert told.startswith(f"{kind}_fp32.onnx\t256 × 256, any batch, opset {opset}, within ")
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{kind}_fp32.onnx", "spec.yaml"]
    for batch in (1, 2):
        got = run(tmp_path / f"{kind}_fp32.onnx", pixel_values=np.zeros((batch, 3, 256, 256), np.float32))
        assert [array.shape for array in got] == [(batch, *shape) for shape in outputs]
    (entry,) = json.loads((tmp_path / "spec.yaml").read_text())["models"].values()
    assert len(entry["labels"]) == {"detr": 5, "dfine": 7, "segformer": 9}[kind] and entry["input"]["width"] == 256
    assert entry.get("options", {}).get("activation") == {"detr": "softmax", "dfine": "sigmoid"}.get(kind)


@needs_torch
def test_a_backbone_by_timms_names_is_the_same(models, tmp_path):
    for name in ("detr", "detr-timm"):
        export("detr", "--from", models / name, "--output", tmp_path / name, "--dynamic")
    random = np.random.default_rng(3)
    feeds = {"pixel_values": random.standard_normal((1, 3, 192, 320)).astype(np.float32), "pixel_mask": np.ones((1, 192, 320), np.int64)}
    ours, theirs = (run(tmp_path / name / "detr_fp32.onnx", **feeds) for name in ("detr", "detr-timm"))
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert np.ptp(ours[0]) > 0.1


@needs_torch
def test_what_is_refused(models, tmp_path):
    out = tmp_path / "out"
    assert "'detr', not 'd_fine'" in export("dfine", "--from", models / "detr", "--output", out, code=1)
    assert "16 to 20" in export("dfine", "--from", models / "dfine", "--output", out, "--opset", "15", code=1)
    assert "multiple of 32" in export("detr", "--from", models / "detr", "--output", out, "--size", "250", code=1)
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    (pickled / "pytorch_model.bin").write_bytes(b"\x80")
    (pickled / "config.json").write_text("{}")
    assert "pickle" in export("detr", "--from", pickled, "--output", out, code=1)
    config = json.loads((models / "segformer/config.json").read_text()) | {"hidden_sizes": [8, 16, 32, 32]}
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text(json.dumps(config))
    (other / "model.safetensors").write_bytes((models / "segformer/model.safetensors").read_bytes())
    export("segformer", "--from", other, "--output", out, "--size", "64", code=1)
    assert not out.exists()
