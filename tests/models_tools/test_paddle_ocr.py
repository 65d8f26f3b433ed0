"""The rewriter of PaddleOCR's graphs: what it writes gives the same numbers as what it read, with fewer operations."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

TOOL = Path(__file__).resolve().parents[2] / "tools/models/paddle_ocr_to_onnx.py"
RANDOM = np.random.default_rng(11)


class Net:
    """Nodes one after the other; constants are nodes, as that exporter writes them."""

    def __init__(self):
        self.nodes = []

    def constant(self, values) -> str:
        name = f"c{len(self.nodes)}"
        self.nodes.append(helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.asarray(values), name)))
        return name

    def emit(self, op, *inputs, **attributes) -> str:
        names = [name if isinstance(name, str) else self.constant(np.asarray(name, np.float32)) for name in inputs]
        self.nodes.append(helper.make_node(op, names, [f"y{len(self.nodes)}"], **attributes))
        return self.nodes[-1].output[0]

    def conv(self, x, count, of, side=1, group=1, **attributes) -> str:
        kernel = RANDOM.normal(size=(count, of // group, side, side)) * 0.3
        return self.emit("Conv", x, kernel, RANDOM.normal(size=count), kernel_shape=[side, side], group=group, pads=[side // 2] * 4, **attributes)

    def hard_swish(self, x, highest=6.0) -> str:
        product = self.emit("Mul", x, self.emit("Clip", self.emit("Add", x, 3.0), 0.0, highest))
        return self.emit("Div", product, 6.0)

    def enlarged(self, x, times) -> str:
        scales = self.constant(np.array([1, 1, times, times], np.float32))
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self.emit("Resize", x, self.constant(np.zeros(0, np.float32)), scales, **how)

    def gated(self, x, channels, of, side=1) -> str:
        """The detector's: a convolution without bias, and of the result x + x · g with g by its mean."""
        kernel = RANDOM.normal(size=(channels, of, side, side)) / side
        x = self.emit("Conv", x, kernel, kernel_shape=[side, side], pads=[side // 2] * 4)
        gate = self.emit("Relu", self.conv(self.emit("GlobalAveragePool", x), 4, channels))
        gate = self.emit("HardSigmoid", self.conv(gate, channels, 4), alpha=0.2, beta=0.5)
        return self.emit("Add", x, self.emit("Mul", x, gate))

    def transposed(self, x, count, of) -> str:
        y = self.emit("ConvTranspose", x, RANDOM.normal(size=(of, count, 2, 2)) * 0.3, kernel_shape=[2, 2], strides=[2, 2])
        return self.emit("Add", y, RANDOM.normal(size=(1, count, 1, 1)))

    def write(self, folder: Path, *outputs) -> None:
        folder.mkdir()
        info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 4) for name in outputs]
        given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 8, None, None])]
        model = helper.make_model(helper.make_graph(self.nodes, "net", given, info), opset_imports=[helper.make_opsetid("", 12)])
        model.ir_version = 7
        helper.set_model_props(model, {"character": "a\nb"})
        onnx.save(model, folder / "net.onnx")


def convert(folder, output):
    command = [sys.executable, "-B", TOOL, "--input", folder, "--output", output]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def check(tmp_path, net: Net, *outputs, sizes=((1, 8, 9, 12), (3, 8, 5, 7))) -> Counter:
    """The same numbers and the same metadata; what operations are left."""
    net.write(tmp_path / "in", *outputs)
    done = convert(tmp_path / "in", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    before, after = (onnxruntime.InferenceSession(tmp_path / name / "net.onnx", providers=["CPUExecutionProvider"]) for name in ("in", "out"))
    for size in sizes:
        x = RANDOM.normal(size=size).astype(np.float32) * 3
        for want, got in zip(before.run(outputs, {"x": x}), after.run(outputs, {"x": x})):
            assert np.abs(want).max() > 0.1
            np.testing.assert_allclose(got, want, atol=1e-4, rtol=1e-4)
    assert after.get_modelmeta().custom_metadata_map == {"character": "a\nb"}
    return Counter(node.op_type for node in onnx.load(tmp_path / "out/net.onnx").graph.node)


def test_a_block_becomes_weights(tmp_path):
    net = Net()
    y = net.emit("Add", net.emit("Mul", [1.7], net.conv("x", 16, 8, 3)), [-0.4])
    y = net.emit("Add", net.emit("Mul", [0.9], net.hard_swish(y)), [0.2])
    y = net.conv(y, 8, 16)
    statistics = [RANDOM.uniform(0.5, 2, 8) for _ in range(4)]
    y = net.emit("BatchNormalization", y, *statistics, epsilon=1e-5)
    y = net.emit("Add", y, net.emit("Reshape", RANDOM.normal(size=8), net.constant(np.array([1, 8, 1, 1]))))
    assert check(tmp_path, net, y) == {"Conv": 2, "HardSigmoid": 1, "Mul": 1}


def test_a_sum_before_zero_padding_stays(tmp_path):
    net = Net()
    y = net.emit("Add", net.emit("Mul", net.hard_swish(net.conv("x", 16, 8)), 0.5), 0.3)
    y = net.conv(y, 16, 16, 3, group=16)
    assert check(tmp_path, net, y) == {"Conv": 3, "HardSigmoid": 1, "Mul": 1}, "as a convolution"


def test_a_gate_beside_its_input(tmp_path):
    net = Net()
    y = net.conv("x", 8, 8)
    gate = net.emit("HardSigmoid", net.conv(net.emit("GlobalAveragePool", y), 8, 8), alpha=0.2, beta=0.5)
    y = net.emit("Add", y, net.emit("Mul", y, gate))
    assert check(tmp_path, net, y)["Mul"] == 1


def test_transposed_convolutions_become_products(tmp_path):
    net = Net()
    y = net.transposed(net.conv("x", 6, 8), 5, 6)
    statistics = [RANDOM.uniform(0.5, 2, 5) for _ in range(4)]
    y = net.emit("Relu", net.emit("BatchNormalization", y, *statistics, epsilon=1e-5))
    y = net.emit("Sigmoid", net.transposed(y, 3, 5))
    assert check(tmp_path, net, y) == {"Conv": 3, "Relu": 1, "DepthToSpace": 1, "Sigmoid": 1}


def test_a_transposed_convolution_alone_stays(tmp_path):
    net = Net()
    y = net.emit("Sigmoid", net.transposed(net.conv("x", 6, 8), 3, 6))
    assert check(tmp_path, net, y) == {"Conv": 1, "ConvTranspose": 1, "Sigmoid": 1}, "its sum is in its bias"


def test_enlarged_planes_are_convolved_small(tmp_path):
    net = Net()
    fine = net.conv("x", 4, 8)
    planes = [net.emit("MaxPool", fine, kernel_shape=[times] * 2, strides=[times] * 2) for times in (8, 4, 2)]
    planes = [net.enlarged(net.conv(plane, count, 4), times) for plane, count, times in zip(planes, (2, 3, 5), (8, 4, 2))]
    y = net.conv(net.emit("Concat", *planes, fine, axis=1), 7, 14, 3)
    left = check(tmp_path, net, y, sizes=((1, 8, 16, 8), (2, 8, 24, 40)))
    assert left == {"Conv": 1 + 3 + 4 + 1, "MaxPool": 3, "Resize": 2, "Concat": 2, "DepthToSpace": 1, "Add": 1}


def test_the_end_of_a_detector(tmp_path):
    net = Net()
    fine = net.conv("x", 4, 8)
    coarse = net.conv(net.emit("MaxPool", fine, kernel_shape=[2, 2], strides=[2, 2]), 32, 4)
    large = net.gated(net.emit("Add", net.gated(fine, 32, 4), net.enlarged(coarse, 2)), 6, 32, 3)
    small = net.enlarged(net.gated(coarse, 6, 32, 3), 2)
    y = net.emit("Relu", net.conv(net.emit("Concat", small, large, axis=1), 6, 12, 3))
    y = net.emit("Sigmoid", net.transposed(net.emit("Relu", net.transposed(y, 5, 6)), 1, 5))
    left = check(tmp_path, net, y, sizes=((1, 8, 16, 8), (1, 8, 2, 2), (1, 8, 6, 10)))
    assert (left["Resize"], left["ConvTranspose"], left["DepthToSpace"], left["MatMul"]) == (0, 0, 3, 1), "no plane of 32 channels is large"
    model = onnx.load(tmp_path / "out/net.onnx")
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1, "a kernel is for one picture"
    first = (tmp_path / "out/net.onnx").read_bytes()
    assert convert(tmp_path / "in", tmp_path / "out").returncode == 0 and (tmp_path / "out/net.onnx").read_bytes() == first


@pytest.mark.parametrize("how", [{"coordinate_transformation_mode": "half_pixel"}, {"mode": "linear"}])
def test_what_is_enlarged_otherwise_stays(tmp_path, how):
    net = Net()
    fine = net.conv("x", 4, 8)
    coarse = net.enlarged(net.emit("MaxPool", fine, kernel_shape=[2, 2], strides=[2, 2]), 2)
    for name, value in how.items():
        attribute = next(entry for entry in net.nodes[-1].attribute if entry.name == name)
        attribute.s = value.encode()
    y = net.conv(net.emit("Concat", coarse, fine, axis=1), 7, 8, 3)
    assert check(tmp_path, net, y, sizes=((1, 8, 16, 8),)) == {"Conv": 2, "MaxPool": 1, "Resize": 1, "Concat": 1}


def test_what_is_used_twice_or_is_something_else_stays(tmp_path):
    net = Net()
    first = net.conv("x", 8, 8)
    doubled = net.emit("Mul", first, 2.0)
    other = net.hard_swish(first, highest=5.0)
    third = net.emit("Mul", net.conv("x", 8, 8), RANDOM.normal(size=(1, 1, 1, 7)))
    across = net.emit("Mul", net.conv("x", 8, 8), net.emit("GlobalAveragePool", "x"))
    left = check_shapes(tmp_path, net, doubled, other, third, across)
    assert left["Clip"] == 1 and left["HardSigmoid"] == 0 and left["Mul"] == 4


def check_shapes(tmp_path, net, *outputs) -> Counter:
    """As check() for what is 7 pixels wide."""
    net.write(tmp_path / "in", *outputs)
    assert convert(tmp_path / "in", tmp_path / "out").returncode == 0
    before, after = (onnxruntime.InferenceSession(tmp_path / name / "net.onnx", providers=["CPUExecutionProvider"]) for name in ("in", "out"))
    x = RANDOM.normal(size=(2, 8, 5, 7)).astype(np.float32)
    for want, got in zip(before.run(outputs, {"x": x}), after.run(outputs, {"x": x})):
        np.testing.assert_allclose(got, want, atol=1e-4, rtol=1e-4)
    return Counter(node.op_type for node in onnx.load(tmp_path / "out/net.onnx").graph.node)


@pytest.mark.parametrize("content, words", [(None, "holds no"), (b"\xff" * 100, "no ONNX file"), (b"", "ir_version")])
def test_what_is_no_model(tmp_path, content, words):
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    if content is not None:
        (folder / "net.onnx").write_bytes(content)
    done = convert(folder, output)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and words in done.stderr, done.stderr
    assert not list(output.glob("*"))
