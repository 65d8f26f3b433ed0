"""Networks of random weights in the forms that detectors have, for the tests of what becomes of their elementwise nodes."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Graph:
    """Nodes that are added one after the other; each method returns the name of what it makes."""

    def __init__(self, seed: int = 1):
        self.random, self.nodes, self.weights, self.count = np.random.default_rng(seed), [], [], 0

    def constant(self, array) -> str:
        self.count += 1
        self.weights.append(numpy_helper.from_array(np.asarray(array), f"w{self.count}"))
        return f"w{self.count}"

    def numbers(self, *shape, scale=1.0, about=0.0) -> str:
        return self.constant((self.random.standard_normal(shape) * scale + about).astype(np.float32))

    def add(self, op: str, *inputs, outputs: int = 1, **attributes):
        self.count += 1
        names = [f"t{self.count}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def conv(self, x: str, before: int, after: int, size: int = 3, stride: int = 1, biased: bool = True, group: int = 1) -> str:
        inputs = [x, self.numbers(after, before // group, size, size, scale=(before // group * size * size) ** -0.5)]
        inputs += [self.numbers(after, scale=0.5)] if biased else []
        return self.add("Conv", *inputs, pads=[size // 2] * 4, strides=[stride] * 2, group=group)

    def linear(self, x: str, before: int, after: int) -> str:
        return self.add("Add", self.add("MatMul", x, self.numbers(before, after, scale=before**-0.5)), self.numbers(after, scale=0.5))

    def silu(self, x: str) -> str:
        return self.add("Mul", x, self.add("Sigmoid", x))

    def relu(self, x: str) -> str:
        return self.add("Relu", x)

    def affine_relu(self, x: str) -> str:
        """As HGNetV2's learnable affine block."""
        factor, shift = (self.constant(np.array([number], np.float32)) for number in (0.5 + self.random.random(), self.random.random() - 0.5))
        return self.add("Add", self.add("Mul", factor, self.relu(x)), shift)

    def save(self, path: Path, inputs: dict, outputs: dict, opset: int = 17) -> Path:
        values = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in those.items()] for those in (inputs, outputs)]
        graph = helper.make_graph(self.nodes, "g", *values, self.weights)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
        return path


def resnet(path: Path, edge: int = 30, batch: int | str = "batch") -> Path:
    """Stem, two blocks, one of them with a convolution beside it; odd sizes at the end."""
    g = Graph()
    x = g.relu(g.conv("x", 3, 8, stride=2))
    for before, after, stride in ((8, 8, 1), (8, 16, 2)):
        y = g.relu(g.conv(x, before, after, size=1))
        y = g.relu(g.conv(y, after, after, stride=stride))
        y = g.conv(y, after, after, size=1)
        beside = x if stride == 1 else g.conv(x, before, after, size=1, stride=stride)
        x = g.relu(g.add("Add", y, beside))
    return g.save(path, {"x": [batch, 3, edge, edge]}, {x: None})


def dfine(path: Path, edge: int = 64, batch: int | str = 2, queries: int = 20) -> Path:
    """D-FINE's parts: HGNetV2 with affine blocks, an attention over the last level, a pyramid of RepVGG blocks, a decoder with gates and
    references that are refined."""
    g, width, heads = Graph(3), 16, 4
    x = g.affine_relu(g.conv("x", 3, 8, stride=2))
    levels = []
    for before, after in ((8, 16), (16, 16), (16, 16)):
        x = g.affine_relu(g.conv(x, before, after, stride=2, biased=before == 8))
        first = g.affine_relu(g.conv(x, after, after))
        joined = g.add("Concat", x, first, axis=1)
        x = g.add("Add", g.affine_relu(g.conv(joined, 2 * after, after, size=1)), x)
        levels.append(x)
    side = edge // 16
    rows = g.add("Transpose", g.add("Reshape", levels[2], g.constant(np.array([0, width, side * side]))), perm=[0, 2, 1])
    rows = decoder_layer(g, rows, rows, side * side, width, heads, positions=g.numbers(1, side * side, width))
    top = g.add("Reshape", g.add("Transpose", rows, perm=[0, 2, 1]), g.constant(np.array([0, width, side, side])))
    up = g.add("Resize", top, "", g.constant(np.array([1, 1, 2, 2], np.float32)), mode="nearest")
    y = g.add("Concat", up, levels[1], axis=1)
    y = g.conv(y, 2 * width, width, size=1, biased=False)
    y = g.silu(g.add("Add", g.conv(y, width, width), g.conv(y, width, width, size=1)))
    weight = g.add("Sigmoid", g.conv(g.add("GlobalAveragePool", y), width, width, size=1))
    y = g.silu(g.add("Mul", y, weight))
    memory = g.add("Transpose", g.add("Reshape", y, g.constant(np.array([0, width, 4 * side * side]))), perm=[0, 2, 1])
    scores = g.add("ReduceMax", memory, axes=[2], keepdims=0)
    _, best = g.add("TopK", scores, g.constant(np.array([queries])), axis=1, outputs=2)
    index = g.add("Expand", g.add("Unsqueeze", best, g.constant(np.array([2]))), g.constant(np.array([1, 1, width])))
    target = g.add("GatherElements", memory, index, axis=1)
    reference = g.add("Sigmoid", g.linear(target, width, 4))
    target = decoder_layer(g, target, memory, queries, width, heads, keys=4 * side * side)
    gates = g.add("Split", g.add("Sigmoid", g.linear(target, width, 2 * width)), g.constant(np.array([width, width])), axis=2, outputs=2)
    target = g.add("Add", g.add("Mul", target, gates[0]), g.add("Mul", g.linear(target, width, width), gates[1]))
    low, one = g.constant(np.float32(1e-5)), g.constant(np.float32(1))
    clipped = g.add("Clip", reference, g.constant(np.float32(0)), one)
    inverse = g.add("Log", g.add("Div", g.add("Clip", clipped, low, ""), g.add("Clip", g.add("Sub", one, clipped), low, "")))
    boxes = g.add("Sigmoid", g.add("Add", g.linear(target, width, 4), inverse))
    logits = g.linear(target, width, 5)
    return g.save(path, {"x": [batch, 3, edge, edge]}, {logits: None, boxes: None})


def decoder_layer(g: Graph, rows: str, memory: str, length: int, width: int, heads: int, positions: str | None = None, keys: int = 0) -> str:
    size = width // heads

    def split(x: str, count: int, perm: list[int]) -> str:
        return g.add("Transpose", g.add("Reshape", x, g.constant(np.array([0, count, heads, size]))), perm=perm)

    asked = g.add("Add", rows, positions) if positions else rows
    q = split(g.linear(asked, width, width), length, [0, 2, 1, 3])
    k = split(g.linear(asked if positions else memory, width, width), keys or length, [0, 2, 3, 1])
    v = split(g.linear(memory, width, width), keys or length, [0, 2, 1, 3])
    scores = g.add("Mul", g.add("MatMul", q, k), g.constant(np.float32(size**-0.5)))
    mixed = g.add("MatMul", g.add("Softmax", scores, axis=-1), v)
    mixed = g.add("Reshape", g.add("Transpose", mixed, perm=[0, 2, 1, 3]), g.constant(np.array([0, length, width])))
    rows = norm(g, g.add("Add", rows, g.linear(mixed, width, width)), width)
    inner = g.relu(g.linear(rows, width, 2 * width))
    return norm(g, g.add("Add", rows, g.linear(inner, 2 * width, width)), width)


def norm(g: Graph, x: str, width: int) -> str:
    return g.add("LayerNormalization", x, g.numbers(width, scale=0.1, about=1), g.numbers(width, scale=0.1), axis=-1)
