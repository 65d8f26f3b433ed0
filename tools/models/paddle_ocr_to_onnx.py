"""Rewrites the ONNX files of PaddleOCR's readers so that they compute the same with less work; names and metadata stay.

Their exporter leaves four passes over the picture for a hard swish, and multiplications and additions by one number between the
convolutions. Here they become HardSigmoid and a product, which the runtime joins with the convolution before, and other weights. What is
folded is computed in double precision; on photos the probabilities differ by less than 1e-4.

usage: paddle_ocr_to_onnx.py --input FOLDER --output FOLDER
"""

import math
import sys
from pathlib import Path

import numpy as np
import onnx
from converter import run, save
from google.protobuf.message import DecodeError
from onnx import helper, numpy_helper
from safetensors_file import ModelError


class Graph:
    def __init__(self, model: onnx.ModelProto):
        self.model = model
        self.constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        self.results = {output.name for output in model.graph.output}
        self.nodes = []
        for node in model.graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self.constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
            else:
                self.nodes.append(node)
        self.made = 0

    def constant(self, values) -> str:
        self.made += 1
        self.constants[f"folded_{self.made}"] = np.asarray(values, np.float32)
        return f"folded_{self.made}"

    def users(self, name: str) -> list[onnx.NodeProto]:
        return [node for node in self.nodes if name in node.input]

    def next(self, node: onnx.NodeProto, *kinds: str) -> onnx.NodeProto | None:
        """The only one that takes its output, if it is of these kinds."""
        users = [] if node.output[0] in self.results else self.users(node.output[0])
        return users[0] if len(users) == 1 and users[0].op_type in kinds else None

    def scalar(self, name: str) -> float | None:
        array = self.constants.get(name)
        return float(array.flat[0]) if array is not None and array.size == 1 and array.dtype == np.float32 else None

    def operands(self, node: onnx.NodeProto) -> tuple[str, str] | None:
        """Of a sum or product with a constant: what varies, what does not."""
        constant = [name for name in node.input if name in self.constants]
        varying = [name for name in node.input if name not in self.constants]
        return (varying[0], constant[0]) if len(constant) == 1 and len(varying) == 1 else None

    def with_scalar(self, node: onnx.NodeProto | None, kind: str) -> tuple[str, float] | None:
        operands = self.operands(node) if node is not None and node.op_type == kind else None
        value = self.scalar(operands[1]) if operands else None
        return None if value is None else (operands[0], value)

    def weights(self, convolution: onnx.NodeProto) -> tuple[np.ndarray, np.ndarray]:
        kernel = self.constants[convolution.input[1]].astype(np.float64)
        bias = self.constants[convolution.input[2]].astype(np.float64) if len(convolution.input) > 2 else np.zeros(len(kernel))
        return kernel, bias

    def set_weights(self, convolution: onnx.NodeProto, source: str, kernel: np.ndarray, bias: np.ndarray) -> None:
        convolution.input[:] = [source, self.constant(kernel), self.constant(bias)]

    def convolutions_after(self, name: str) -> list[onnx.NodeProto]:
        """All that take it, if they are convolutions with known weights; else none."""
        users = [] if name in self.results else self.users(name)
        known = all(node.op_type == "Conv" and node.input[0] == name and node.input[1] in self.constants for node in users)
        return users if known else []

    def replace(self, last: onnx.NodeProto, new: list[onnx.NodeProto], *others: onnx.NodeProto) -> None:
        at = self.nodes.index(last)
        self.nodes[at : at + 1] = new
        for node in others:
            self.nodes.remove(node)


def is_padded(convolution: onnx.NodeProto) -> bool:
    return any(attribute.name == "pads" and any(attribute.ints) for attribute in convolution.attribute)


def along_channels(values: np.ndarray, channels: int) -> np.ndarray | None:
    """One number for each, if it is that: of shape [], [1], [channels, 1, 1] or [1, channels, 1, 1]."""
    if values.dtype != np.float32 or values.size not in (1, channels):
        return None
    if values.size == channels > 1 and (values.ndim < 3 or values.shape[-3] != channels):
        return None
    return np.broadcast_to(values.reshape(-1).astype(np.float64), channels)


# Each changes one place and says so.


def reshape_of_constant(graph: Graph) -> bool:
    for node in graph.nodes:
        if node.op_type == "Reshape" and all(name in graph.constants for name in node.input):
            values, shape = (graph.constants[name] for name in node.input)
            graph.constants[node.output[0]] = values.reshape(shape)
            graph.nodes.remove(node)
            return True
    return False


def hard_swish(graph: Graph) -> bool:
    """x · clip(x + 3, 0, 6) / 6"""
    for add in graph.nodes:
        shifted = graph.with_scalar(add, "Add")
        if not shifted or shifted[1] != 3:
            continue
        x, clip = shifted[0], graph.next(add, "Clip")
        if clip is None or [graph.scalar(name) for name in clip.input[1:]] != [0, 6]:
            continue
        product = graph.next(clip, "Mul")
        whole = graph.next(product, "Div") if product is not None and x in product.input else None
        if whole is None or graph.scalar(whole.input[1]) != 6:
            continue
        y = whole.output[0]
        graph.replace(whole, [helper.make_node("HardSigmoid", [x], [f"{y}_gate"], alpha=1 / 6, beta=0.5),
                              helper.make_node("Mul", [x, f"{y}_gate"], [y])], add, clip, product)  # fmt: skip
        return True
    return False


def squeeze_beside(graph: Graph) -> bool:
    """x + x · g with one g for a channel: x · (g + 1), one pass over x less."""
    makers = {name: node for node in graph.nodes for name in node.output}
    for add in graph.nodes:
        for x, name in zip(add.input, reversed(add.input)) if add.op_type == "Add" else ():
            product = makers.get(name)
            if product is None or product.op_type != "Mul" or x not in product.input or graph.next(product, "Add") is not add:
                continue
            gate = next((other for other in product.input if other != x), None)
            if gate in makers and makers[gate].op_type == "HardSigmoid" and len(graph.users(gate)) == 1:
                graph.replace(add, [helper.make_node("Add", [gate, graph.constant(1)], [f"{gate}_and_one"]),
                                    helper.make_node("Mul", [x, f"{gate}_and_one"], [add.output[0]])], product)  # fmt: skip
                return True
    return False


def after_convolution(graph: Graph) -> bool:
    """Factors, sums and normalisation of each channel become weights."""
    for node in graph.nodes:
        after = graph.next(node, "Mul", "Add", "BatchNormalization") if node.op_type == "Conv" and node.input[1] in graph.constants else None
        if after is None:
            continue
        kernel, bias = graph.weights(node)
        if after.op_type == "BatchNormalization":
            scale, offset, mean, variance = (graph.constants[name].astype(np.float64) for name in after.input[1:5])
            epsilon = next(attribute.f for attribute in after.attribute if attribute.name == "epsilon")
            factor = scale / np.sqrt(variance + epsilon)
            bias = (bias - mean) * factor + offset
        else:
            operands = graph.operands(after)
            values = along_channels(graph.constants[operands[1]], len(kernel)) if operands else None
            if values is None:
                continue
            factor = values if after.op_type == "Mul" else np.ones(len(kernel))
            bias = bias * values if after.op_type == "Mul" else bias + values
        graph.set_weights(node, node.input[0], kernel * factor[:, None, None, None], bias)
        node.output[0] = after.output[0]
        graph.nodes.remove(after)
        return True
    return False


def factor_before_convolutions(graph: Graph) -> bool:
    """x · s or x · s + t before convolutions: x or x + t / s, and other weights."""
    for node in graph.nodes:
        scaled = graph.with_scalar(node, "Mul")
        if not scaled or scaled[1] == 0:
            continue
        x, factor = scaled
        moved = graph.with_scalar(graph.next(node, "Add"), "Add")
        last = graph.next(node, "Add") if moved else node
        convolutions = graph.convolutions_after(last.output[0])
        if not convolutions:
            continue
        if moved:
            graph.replace(last, [helper.make_node("Add", [x, graph.constant(moved[1] / factor)], [last.output[0]])], node)
        else:
            graph.nodes.remove(node)
        for convolution in convolutions:
            kernel, bias = graph.weights(convolution)
            graph.set_weights(convolution, last.output[0] if moved else x, kernel * factor, bias)
        return True
    return False


def sum_before_convolutions(graph: Graph) -> bool:
    """x + t before convolutions: their biases. Not where they are padded with zeros, which are no t."""
    for node in graph.nodes:
        moved = graph.with_scalar(node, "Add")
        convolutions = graph.convolutions_after(node.output[0]) if moved else []
        if not convolutions or any(map(is_padded, convolutions)):
            continue
        for convolution in convolutions:
            kernel, bias = graph.weights(convolution)
            sums = [math.fsum(values.flat) for values in kernel]  # exact: the same file on every machine
            graph.set_weights(convolution, moved[0], kernel, bias + moved[1] * np.array(sums))
        graph.nodes.remove(node)
        return True
    return False


RULES = (reshape_of_constant, hard_swish, squeeze_beside, after_convolution, factor_before_convolutions, sum_before_convolutions)


def channels_of(graph: Graph) -> dict[str, int]:
    channels = {}
    for node in graph.nodes:
        if node.op_type == "Conv" and node.input[1] in graph.constants:
            channels[node.output[0]] = len(graph.constants[node.input[1]])
        elif node.op_type in ("Add", "Mul", "HardSigmoid"):
            known = [channels[name] for name in node.input if name in channels]
            channels |= {node.output[0]: known[0]} if known else {}
    return channels


def sums_as_convolutions(graph: Graph) -> None:
    """The sums that are left, by 1 × 1 convolutions of single channels: those stay in the runtime's order of pixels, sums do not."""
    channels = channels_of(graph)
    for node in list(graph.nodes):
        moved, y = graph.with_scalar(node, "Add"), node.output[0]
        if moved and y in channels and graph.convolutions_after(y):
            count = channels[y]
            inputs = [moved[0], graph.constant(np.ones((count, 1, 1, 1))), graph.constant(np.full(count, moved[1]))]
            graph.replace(node, [helper.make_node("Conv", inputs, [y], group=count, kernel_shape=[1, 1])])


def rewritten(model: onnx.ModelProto) -> onnx.ModelProto:
    graph = Graph(model)
    while any(rule(graph) for rule in RULES):
        pass
    sums_as_convolutions(graph)
    used = {name for node in graph.nodes for name in node.input} | graph.results
    del model.graph.node[:], model.graph.initializer[:], model.graph.value_info[:]
    for i, node in enumerate(graph.nodes):
        node.name = f"{node.op_type.lower()}_{i}"
    model.graph.node.extend(graph.nodes)
    model.graph.initializer.extend(numpy_helper.from_array(values, name) for name, values in graph.constants.items() if name in used)
    onnx.checker.check_model(model, full_check=True)
    return model


def convert(source: Path, target: Path) -> None:
    files = sorted(source.glob("*.onnx"))
    if not files:
        raise ModelError(f"{source} holds no *.onnx")
    for path in files:
        try:
            model = onnx.load(path, load_external_data=False)
        except DecodeError as error:
            raise ModelError(f"{path.name} is no ONNX file") from error
        save(rewritten(model), target / path.name)


if __name__ == "__main__":
    sys.exit(run(__doc__, convert))
