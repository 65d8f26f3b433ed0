"""quantise.py: the form of the int8 graphs, how close they are to fp32, and what is refused."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools/models/quantise.py"
sys.path.insert(0, str(TOOL.parent))
from quantise import exact_session  # noqa: E402


def run(*arguments):
    return subprocess.run([sys.executable, "-B", *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False)


def results(path, feed):
    return exact_session(path).run(None, feed)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A small model and the folder of samples."""
    folder = tmp_path_factory.mktemp("clip")
    done = run(ROOT / "tools/export/random_clip.py", "--output", folder)
    assert done.returncode == 0, done.stderr
    random, samples = np.random.default_rng(6), folder / "samples"
    samples.mkdir()
    for i in range(8):
        np.save(samples / f"{i}-pixel_values.npy", random.standard_normal((2, 3, 224, 224)).astype(np.float32))
    (samples / "notes.txt").write_text("is no sample")
    return folder / "clip_vision_fp32.onnx", samples


def test_int8_is_close_and_in_the_form_that_all_take(clip, tmp_path):
    source, samples = clip
    target = tmp_path / "int8.onnx"
    done = run(TOOL, "--input", source, "--output", target, "--samples", samples)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    # Each of two layers has four products; the patches and the projection stay.
    assert told["quantised"] == 8 and len(told["kept_fp32"]) == 2 and told["samples"] == [8, 2]
    fresh = {"pixel_values": np.random.default_rng(60).standard_normal((4, 3, 224, 224)).astype(np.float32)}
    wanted, got = (results(path, fresh)[0] for path in (source, target))
    cosines = (wanted * got).sum(1) / (np.linalg.norm(wanted, axis=1) * np.linalg.norm(got, axis=1))
    assert cosines.min() > 0.99 and told["cosine"]["image_embeds"] > 0.99
    assert not np.array_equal(wanted, got)

    model = onnx.load(target)
    onnx.checker.check_model(model, full_check=True)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    opset = next(entry.version for entry in model.opset_import if entry.domain == "")
    pairs = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert opset >= 13 and all(node.domain == "" for node in pairs)
    for node in pairs:
        scale, zero = constants[node.input[1]], constants[node.input[2]]
        assert zero.dtype == np.int8 and not zero.any() and (scale > 0).all()
    weights = [node for node in pairs if node.op_type == "DequantizeLinear" and node.input[0] in constants]
    assert len(weights) == 8
    for node in weights:
        assert constants[node.input[0]].dtype == np.int8
        assert constants[node.input[1]].shape == (constants[node.input[0]].shape[1],), "a scale for each column"
    assert target.stat().st_size < source.stat().st_size


def test_convolutions_by_channel(tmp_path):
    random = np.random.default_rng(8)
    # Channels of very different size: each has its scale.
    kernel = random.standard_normal((8, 8, 3, 3)).astype(np.float32) * np.logspace(-3, 0, 8, dtype=np.float32).reshape(8, 1, 1, 1)
    weights = {"first": random.standard_normal((8, 3, 3, 3)), "middle": kernel, "b": random.standard_normal(8) * 0.01, "last": random.standard_normal((8, 8, 1, 1))}
    nodes = [helper.make_node("Conv", ["x", "first"], ["a"], pads=[1] * 4), helper.make_node("Relu", ["a"], ["r"]),
             helper.make_node("Conv", ["r", "middle", "b"], ["m"], pads=[1] * 4), helper.make_node("Relu", ["m"], ["s"]), helper.make_node("Conv", ["s", "last"], ["y"])]  # fmt: skip
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 16, 16])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 8, 16, 16])],
                              [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()])  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    samples = tmp_path / "samples"
    samples.mkdir()
    for i in range(4):
        np.save(samples / f"{i}-x.npy", random.standard_normal((1, 3, 16, 16)).astype(np.float32))
    done = run(TOOL, "--input", tmp_path / "m.onnx", "--output", tmp_path / "o.onnx", "--samples", samples, "--least", "0.9")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["quantised"] == 1
    scales = [array for array in (numpy_helper.to_array(t) for t in onnx.load(tmp_path / "o.onnx").graph.initializer) if array.shape == (8,) and array.dtype == np.float32]
    assert any(scale.max() / scale.min() > 100 for scale in scales)


def refused(tmp_path, source, samples, *arguments):
    done = run(TOOL, "--input", source, "--output", tmp_path / "refused.onnx", "--samples", samples, *arguments)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr and not done.stdout, done.stderr
    assert not list(tmp_path.glob("refused*"))
    return done.stderr


def test_what_cannot_be_is_refused(clip, tmp_path):
    source, good = clip
    assert "no folder" in refused(tmp_path, source, tmp_path / "absent")
    samples = tmp_path / "samples"
    samples.mkdir()
    assert "0 samples" in refused(tmp_path, source, samples)
    picture = np.load(good / "0-pixel_values.npy")
    bad = {"shape": picture[:, :2], "type": picture.astype(np.float64), "nan": np.where(picture > 2, np.nan, picture), "pickle": np.array([{}], dtype=object)}
    for name, array in bad.items():
        np.save(samples / "0-pixel_values.npy", array)
        assert "0-pixel_values.npy" in refused(tmp_path, source, samples), name
    (samples / "0-pixel_values.npy").write_bytes(b"\x93NUMPY broken")
    assert "0-pixel_values.npy" in refused(tmp_path, source, samples)
    assert "nothing was written" in refused(tmp_path, source, good, "--least", "0.99999999")
