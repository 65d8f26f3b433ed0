"""Rewrites the ONNX files of PaddleOCR's readers so that they compute the same with less work; names and metadata stay.

Their exporter leaves four passes over the picture for a hard swish, and multiplications and additions by one number between the
convolutions. Here they become HardSigmoid and a product, which the runtime joins with the convolution before, and other weights. The
detector convolves enlarged planes and gated ones of many channels: here the planes before that, with other kernels, which takes one
picture a run. What is folded is computed in double precision; on photos the probabilities differ by less than 1e-4.

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
from onnx_edit import attribute
from safetensors_file import ModelError


OUTPUTS_AXIS = {"Conv": 0, "ConvTranspose": 1}  # of a kernel


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

    def constant(self, values, kind=np.float32) -> str:
        self.made += 1
        self.constants[f"folded_{self.made}"] = np.ascontiguousarray(values, kind) if np.ndim(values) else np.asarray(values, kind)
        return f"folded_{self.made}"

    def users(self, name: str) -> list[onnx.NodeProto]:
        return [node for node in self.nodes if name in node.input]

    def maker(self, name: str, kind: str) -> onnx.NodeProto | None:
        """What this is the output of, if it is of that kind."""
        return next((node for node in self.nodes if name in node.output and node.op_type == kind), None)

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
        count = kernel.shape[OUTPUTS_AXIS[convolution.op_type]]
        bias = self.constants[convolution.input[2]].astype(np.float64) if len(convolution.input) > 2 else np.zeros(count)
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
        if node.op_type not in OUTPUTS_AXIS or node.input[1] not in graph.constants:
            continue
        after = graph.next(node, "Mul", "Add", "BatchNormalization")
        if after is None or (node.op_type == "ConvTranspose" and attribute(node, "group", 1) != 1):
            continue
        kernel, bias = graph.weights(node)
        if after.op_type == "BatchNormalization":
            scale, offset, mean, variance = (graph.constants[name].astype(np.float64) for name in after.input[1:5])
            epsilon = next(attribute.f for attribute in after.attribute if attribute.name == "epsilon")
            factor = scale / np.sqrt(variance + epsilon)
            bias = (bias - mean) * factor + offset
        else:
            operands = graph.operands(after)
            values = along_channels(graph.constants[operands[1]], len(bias)) if operands else None
            if values is None:
                continue
            factor = values if after.op_type == "Mul" else np.ones(len(bias))
            bias = bias * values if after.op_type == "Mul" else bias + values
        shape = [1, 1, 1, 1]
        shape[OUTPUTS_AXIS[node.op_type]] = len(factor)
        graph.set_weights(node, node.input[0], kernel * factor.reshape(shape), bias)
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


# What the detector does with enlarged planes. Each changes one place and says so; after RULES.


def has(node: onnx.NodeProto, **wanted) -> bool:
    """Attributes, where they differ from what ONNX takes without them."""
    usual = {"strides": [1, 1], "dilations": [1, 1], "pads": [0] * 4, "output_padding": [0, 0], "group": 1, "auto_pad": b"NOTSET"}
    return all(attribute(node, name, value) == wanted.get(name, value) for name, value in usual.items())


def is_square(graph: Graph, convolution: onnx.NodeProto | None, side: int) -> bool:
    """An ordinary convolution with a known kernel of side × side that keeps the size."""
    known = convolution is not None and convolution.op_type == "Conv" and convolution.input[1] in graph.constants
    return known and graph.constants[convolution.input[1]].shape[2:] == (side, side) and has(convolution, pads=[side // 2] * 4)


def enlargement(graph: Graph, name: str) -> tuple[onnx.NodeProto, int] | None:
    """What repeats each pixel of a plane 2ⁿ times down and across, and how often."""
    resize = graph.maker(name, "Resize")
    if resize is None or len(graph.users(name)) != 1 or len(resize.input) != 3 or resize.input[2] not in graph.constants:
        return None
    how = (attribute(resize, "mode"), attribute(resize, "coordinate_transformation_mode"), attribute(resize, "nearest_mode"))
    scales = graph.constants[resize.input[2]].tolist()
    known = how == (b"nearest", b"asymmetric", b"floor") and len(scales) == 4 and scales[:2] == [1, 1] and scales[2] == scales[3]
    return (resize, int(scales[2])) if known and scales[2] in (2, 4, 8, 16) else None


def taps_of_half(kernel: np.ndarray, axis: int, side: int) -> np.ndarray:
    """Of three along the axis, the two that the left (0) or right (1) one of two equal pixels sees: two taps meet one pixel."""
    first, second, third = np.split(kernel, 3, axis)
    return np.concatenate([first, second + third] if side == 0 else [first + second, third], axis)


def convolved_enlarged(graph: Graph, x: str, kernel: np.ndarray, result: str) -> list[onnx.NodeProto]:
    """A 3 × 3 convolution of x with each pixel repeated 2 × 2: four of 2 × 2 of x itself, one for each place of the four."""
    nodes, parts = [], []
    for down in (0, 1):
        for across in (0, 1):
            parts.append(f"{result}_{down}{across}")
            taps = taps_of_half(taps_of_half(kernel, 2, down), 3, across)
            nodes.append(helper.make_node("Conv", [x, graph.constant(taps)], parts[-1:], kernel_shape=[2, 2], pads=[1 - down, 1 - across, down, across]))
    return [*nodes, helper.make_node("Concat", parts, [f"{result}_parts"], axis=1),
            helper.make_node("DepthToSpace", [f"{result}_parts"], [result], blocksize=2)]  # fmt: skip


def exact_product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Of float32 matrices in float64, rounded once: the same file on every machine."""
    left, right = left.astype(np.float64), right.astype(np.float64)
    return np.array([[math.fsum(row * column) for column in right.T] for row in left])


def kernel_with_gate(graph: Graph, gate: str, widening: np.ndarray, kernel: np.ndarray, result: str) -> list[onnx.NodeProto]:
    """That of kernel ∗ (gate · widening x) for x, where the gate is one number for each of the many channels of one picture."""
    outputs, many, few = len(kernel), *widening.shape
    return [helper.make_node("Reshape", [gate, graph.constant([1, many], np.int64)], [f"{gate}_row"]),
            helper.make_node("Mul", [f"{gate}_row", graph.constant(widening.T)], [f"{gate}_widening"]),
            helper.make_node("MatMul", [f"{gate}_widening", graph.constant(kernel.reshape(outputs, many, 9))], [f"{result}_flat"]),
            helper.make_node("Reshape", [f"{result}_flat", graph.constant([outputs, few, 3, 3], np.int64)], [result])]  # fmt: skip


def gated_sum_with_enlarged(graph: Graph) -> bool:
    """A 3 × 3 convolution of (1 × 1 convolution to many channels) · gate + enlarged plane, by convolutions of the small planes."""
    for convolution in graph.nodes:
        add = graph.maker(convolution.input[0], "Add") if is_square(graph, convolution, 3) and len(convolution.input) == 2 else None
        if add is None or len(graph.users(add.output[0])) != 1:
            continue
        product, resized = graph.maker(add.input[0], "Mul"), enlargement(graph, add.input[1])
        wide = graph.maker(product.input[0], "Conv") if product is not None and len(graph.users(product.output[0])) == 1 else None
        if not is_square(graph, wide, 1) or len(wide.input) != 2 or not resized or resized[1] != 2:
            continue
        mean = next((node for node in graph.users(wide.output[0]) if node.op_type == "GlobalAveragePool"), None)
        squeeze = graph.next(mean, "Conv") if mean is not None and len(graph.users(wide.output[0])) == 2 else None
        if not is_square(graph, squeeze, 1) or graph.maker(product.input[1], "Add") is None:
            continue
        kernel, widening = graph.constants[convolution.input[1]], graph.constants[wide.input[1]][:, :, 0, 0]
        weights, bias = graph.weights(squeeze)
        graph.set_weights(squeeze, squeeze.input[0], exact_product(weights[:, :, 0, 0], widening)[:, :, None, None], bias)
        mean.input[0] = wide.input[0]  # the mean of W x is W times that of x
        y = convolution.output[0]
        graph.replace(convolution, [*kernel_with_gate(graph, product.input[1], widening, kernel, f"{y}_kernel"),
                                    helper.make_node("Conv", [wide.input[0], f"{y}_kernel"], [f"{y}_beside"], kernel_shape=[3, 3], pads=[1] * 4),
                                    *convolved_enlarged(graph, resized[0].input[0], kernel.astype(np.float64), f"{y}_enlarged"),
                                    helper.make_node("Add", [f"{y}_beside", f"{y}_enlarged"], [y])], add, product, wide, resized[0])  # fmt: skip
        for value in (*graph.model.graph.input, *graph.model.graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = 1  # the kernel is one picture's
        return True
    return False


def joined_with_enlarged(graph: Graph) -> bool:
    """A 3 × 3 convolution of enlarged planes and one that is not, side by side: of each at half that size or its own."""
    channels = channels_of(graph)
    for convolution in graph.nodes:
        joined = graph.maker(convolution.input[0], "Concat") if is_square(graph, convolution, 3) else None
        if joined is None or attribute(joined, "axis") != 1 or len(graph.users(joined.output[0])) != 1:
            continue
        *before, plain = joined.input
        found = [enlargement(graph, name) for name in before]
        if not found or not all(found) or graph.maker(plain, "Resize") is not None or plain not in channels:
            continue
        y, halves, resizes = convolution.output[0], [], []
        for resize, times in found:
            halves.append(resize.input[0] if times == 2 else f"{resize.output[0]}_half")
            if times > 2:
                scales = graph.constant([1, 1, times // 2, times // 2])
                resizes.append(helper.make_node("Resize", [*resize.input[:2], scales], [halves[-1]], mode="nearest",
                                                coordinate_transformation_mode="asymmetric", nearest_mode="floor"))  # fmt: skip
        kernel, bias = graph.weights(convolution)
        small, large = np.split(kernel, [kernel.shape[1] - channels[plain]], 1)
        graph.set_weights(convolution, plain, large, bias)
        convolution.output[0] = f"{y}_plain"
        graph.replace(joined, [*resizes, helper.make_node("Concat", halves, [f"{y}_halves"], axis=1),
                               *convolved_enlarged(graph, f"{y}_halves", small, f"{y}_enlarged")], *(resize for resize, _ in found))  # fmt: skip
        graph.replace(convolution, [convolution, helper.make_node("Add", [f"{y}_plain", f"{y}_enlarged"], [y])])
        return True
    return False


def quadruples(graph: Graph, node: onnx.NodeProto | None) -> bool:
    """A transposed convolution of 2 × 2 pixels that share nothing."""
    known = node is not None and node.op_type == "ConvTranspose" and node.input[1] in graph.constants
    return known and graph.constants[node.input[1]].shape[2:] == (2, 2) and has(node, strides=[2, 2])


def quadrupled_twice(graph: Graph) -> bool:
    """One such after the other: 1 × 1 convolutions to 4 and 16 times the channels, which become pixels at the end."""
    for first in graph.nodes:
        relu = graph.next(first, "Relu") if quadruples(graph, first) else None
        second = graph.next(relu, "ConvTranspose") if relu is not None else None
        if not quadruples(graph, second):
            continue
        (kernel, bias), (last, last_bias) = graph.weights(first), graph.weights(second)
        channels, results = last.shape[:2]
        spread = np.zeros((2, 2, 2, 2, results, 2, 2, channels))  # of a result: both places down, both across; of a channel: its place
        for down in (0, 1):
            for across in (0, 1):
                spread[down, :, across, :, :, down, across] = last.transpose(2, 3, 1, 0)
        for node, weights, biases in ((first, kernel.transpose(2, 3, 1, 0), np.tile(bias, 4)), (second, spread, np.tile(last_bias, 16))):
            inputs = [node.input[0], graph.constant(weights.reshape(len(biases), -1, 1, 1)), graph.constant(biases)]
            result = f"{node.output[0]}_channels" if node is second else node.output[0]
            new = [helper.make_node("Conv", inputs, [result], kernel_shape=[1, 1])]
            if node is second:
                new.append(helper.make_node("DepthToSpace", [result], [node.output[0]], blocksize=4))
            graph.replace(node, new)
        return True
    return False


ENLARGEMENTS = (gated_sum_with_enlarged, joined_with_enlarged, quadrupled_twice)


def rewritten(model: onnx.ModelProto) -> onnx.ModelProto:
    graph = Graph(model)
    while any(rule(graph) for rule in RULES):
        pass
    sums_as_convolutions(graph)
    while any(rule(graph) for rule in ENLARGEMENTS):
        pass
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
