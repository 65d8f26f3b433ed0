"""The converter of IS-Net: the same numbers as the graph in float16 gives, in float32, and one output."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parents[2]
HALF, FULL = TensorProto.FLOAT16, TensorProto.FLOAT


def converted(folder):
    command = [sys.executable, "-B", ROOT / "tools/models/isnet_to_onnx.py", "--input", folder, "--output", folder / "out"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def half_graph(path, extra=()):
    """As the published one: float16 inside, casts around the input, the output and each Resize, behind what reads them; a side output."""
    random = np.random.default_rng(3)
    constant = helper.make_node("Constant", [], ["sizes"], value=numpy_helper.from_array(np.array([1, 4, 16, 16], np.int64)))
    nodes = [helper.make_node("Conv", ["image_half", "first"], ["planes"], pads=[1] * 4, strides=[2, 2]), helper.make_node("Relu", ["planes"], ["positive"]),
             constant, helper.make_node("Resize", ["wide", "", "", "sizes"], ["large"], mode="linear"),
             helper.make_node("Conv", ["large_half", "second"], ["logits"]), helper.make_node("Sigmoid", ["logits"], ["mask_half"]),
             helper.make_node("Conv", ["positive", "third"], ["side_half"]),
             *(helper.make_node("Cast", [before], [after], to=to) for before, after, to in
               [("image", "image_half", HALF), ("positive", "wide", FULL), ("large", "large_half", HALF), ("mask_half", "mask", FULL), ("side_half", "side", FULL)]),
             *extra]  # fmt: skip
    weights = [numpy_helper.from_array(random.normal(size=shape).astype(np.float16), name) for name, shape in
               [("first", (4, 3, 3, 3)), ("second", (1, 4, 1, 1)), ("third", (1, 4, 1, 1))]]  # fmt: skip
    values = [helper.make_tensor_value_info(name, FULL, shape) for name, shape in [("image", [1, 3, 16, 16]), ("mask", [1, 1, 16, 16]), ("side", [1, 1, 8, 8])]]
    graph = helper.make_graph(nodes, "net", values[:1], values[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8), path)


def answer(path, picture):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(["mask"], {"image": picture})[0]


def test_numbers_stay_and_nothing_is_half_or_beside(tmp_path):
    half_graph(tmp_path / "isnet-half.onnx")
    done = converted(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    made = onnx.load(tmp_path / "out/isnet.onnx")
    assert [node.op_type for node in made.graph.node] == ["Conv", "Relu", "Constant", "Resize", "Conv", "Sigmoid"]
    assert [output.name for output in made.graph.output] == ["mask"]
    assert {tensor.name: tensor.data_type for tensor in made.graph.initializer} == {"first": FULL, "second": FULL}
    picture = np.random.default_rng(4).normal(size=(1, 3, 16, 16)).astype(np.float32)
    wanted, got = (answer(tmp_path / name, picture) for name in ("isnet-half.onnx", "out/isnet.onnx"))
    assert np.ptp(wanted) > 0.2 and np.abs(got - wanted).max() < 5e-3  # float16 has 11 bits
    first = (tmp_path / "out/isnet.onnx").read_bytes()
    assert converted(tmp_path).returncode == 0 and (tmp_path / "out/isnet.onnx").read_bytes() == first


@pytest.mark.parametrize("content", [b"", b"no graph at all", None])
def test_what_is_no_such_graph_is_named(tmp_path, content):
    if content is None:
        extra = [helper.make_node("Shape", ["positive"], ["shape"]), helper.make_node("Cast", ["shape"], ["numbers"], to=FULL),
                 helper.make_node("ReduceMean", ["numbers"], ["mean"], keepdims=0), helper.make_node("Add", ["mask", "mean"], ["more"])]  # fmt: skip
        half_graph(tmp_path / "isnet-half.onnx", extra)
        model = onnx.load(tmp_path / "isnet-half.onnx")
        model.graph.output[0].name = "more"
        onnx.save(model, tmp_path / "isnet-half.onnx")
    else:
        (tmp_path / "isnet-half.onnx").write_bytes(content)
    done = converted(tmp_path)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and not (tmp_path / "out/isnet.onnx").exists()
