"""Writes the TensorFlow.js graph models of a folder (*.json beside their weights) as ONNX files of the same names.

The ONNX graph is laid out as ONNX Runtime likes it: NCHW throughout, weights in fp32, constants computed, paddings and
biases inside the convolutions. Transposes are not written where they happen: a value remembers how its axes lie, and only
an operation that needs another order makes one. The bytes depend on the input alone, so that their sha256 can be pinned.

usage: tfjs_to_onnx.py --input FOLDER --output FOLDER
"""

import argparse
import os
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tfjs_graph import Graph, ModelError, Node, read

OPSET = 17
IR_VERSION = 8
NCHW_OF_NHWC = (0, 2, 3, 1)  # where N, H, W and C of an NHWC tensor lie in NCHW


@dataclass(frozen=True)
class Recipe:
    """Names of one model's inputs and outputs; outputs that are not named are left out with all that only they need."""

    inputs: dict[str, str]  # the graph's name → the ONNX file's
    outputs: dict[str, str]  # in the order of the file


# Models that are not here keep their names.
RECIPES = {
    "nanodet": Recipe(
        {"input_1": "image"},
        {
            "Identity": "scores_8",
            "Identity_1": "scores_16",
            "Identity_2": "scores_32",
            "Identity_3": "distances_8",
            "Identity_4": "distances_16",
            "Identity_5": "distances_32",
        },
    ),
    # Its `detections` would only repeat these two: the best hundred of the heat's local maxima.
    "centernet": Recipe({"tower_0/images": "image"}, {"tower_0/keypoints": "keypoints", "tower_0/wh": "wh"}),
}


@dataclass(frozen=True)
class Value:
    """A tensor while the graph is built: TensorFlow's axis i is axis order[i] of the ONNX tensor `name`."""

    name: str
    shape: tuple[int, ...]  # as TensorFlow sees it, paddings included; one picture
    order: tuple[int, ...]
    pads: tuple[tuple[int, int], ...] = ()  # by TensorFlow's axes; not yet in the ONNX tensor
    pad_value: float = 0.0


def physical(by_axis, order) -> list:
    """What is given by TensorFlow's axes, by the ONNX tensor's."""
    result = [None] * len(order)
    for axis, place in enumerate(order):
        result[place] = by_axis[axis]
    return result


@dataclass
class Builder:
    nodes: list = field(default_factory=list)
    initializers: list = field(default_factory=list)
    producers: dict = field(default_factory=dict)  # ONNX tensor → its node
    reordered: dict = field(default_factory=dict)  # tensor and order → the transposed one
    used_once: set = field(default_factory=set)  # tensors that nothing but the node at work reads

    def emit(self, op: str, inputs: list[str], count: int = 1, **attributes) -> list[str]:
        label = f"{op.lower()}_{len(self.nodes)}"
        outputs = [label] if count == 1 else [f"{label}_{i}" for i in range(count)]
        node = helper.make_node(op, inputs, outputs, name=label, **attributes)
        self.nodes.append(node)
        self.producers.update(dict.fromkeys(outputs, node))
        return outputs

    def constant(self, array: np.ndarray) -> str:
        name = f"constant_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def plain(self, value: Value) -> Value:
        """The same with its paddings in the tensor."""
        if not value.pads:
            return value
        pads = physical(value.pads, value.order)
        amounts = np.array([before for before, _ in pads] + [after for _, after in pads], np.int64)
        name = self.emit("Pad", [value.name, self.constant(amounts), self.constant(np.float32(value.pad_value))])[0]
        return replace(value, name=name, pads=())

    def ordered(self, value: Value, order: tuple[int, ...]) -> Value:
        """The same with its axes lying in `order`."""
        if value.order == order:
            return value
        value = self.plain(value)
        key = (value.name, value.order, order)
        if key not in self.reordered:
            self.reordered[key] = self.emit("Transpose", [value.name], perm=physical(value.order, order))[0]
        return replace(value, name=self.reordered[key], order=order)

    def flat(self, value: Value) -> Value:
        return self.plain(self.ordered(value, tuple(range(len(value.shape)))))


def constant_of(value, node: Node, what: str) -> np.ndarray:
    if not isinstance(value, np.ndarray):
        raise ModelError(f"{node.op} '{node.name}': its {what} is not constant")
    return value


def tensor_of(value, node: Node) -> Value:
    if not isinstance(value, Value):
        raise ModelError(f"{node.op} '{node.name}': constant where a tensor is expected")
    return value


def axis_of(axis, rank: int, node: Node) -> int:
    if not -rank <= int(axis) < rank:
        raise ModelError(f"{node.op} '{node.name}': axis {int(axis)} of {rank}")
    return int(axis) % rank


def nhwc(builder: Builder, value, node: Node) -> Value:
    value = tensor_of(value, node)
    if len(value.shape) != 4 or node.attributes.get("data_format", "NHWC") != "NHWC":
        raise ModelError(f"{node.op} '{node.name}': only pictures in NHWC are supported")
    return builder.ordered(value, NCHW_OF_NHWC)


def padding_fits(value: Value, allowed: bool) -> bool:
    """Whether what is pending on `value` can become a window's pads."""
    return not value.pads or (allowed and value.pads[0] == value.pads[3] == (0, 0))


def window(node: Node, value: Value, sizes, dilations) -> tuple[tuple[int, int], list[int], list[int]]:
    """Output height and width, ONNX's pads (those pending on `value` included) and strides of a sliding window."""
    strides, padding = node.attributes["strides"][1:3], node.attributes["padding"]
    if padding not in ("SAME", "VALID"):
        raise ModelError(f"{node.op} '{node.name}': padding {padding} is not supported")
    pads = [list(value.pads[axis]) if value.pads else [0, 0] for axis in (1, 2)]
    outputs = [0, 0]
    for i, size in enumerate(value.shape[1:3]):
        span = (sizes[i] - 1) * dilations[i] + 1
        if padding == "SAME":
            outputs[i] = -(-size // strides[i])
            missing = max((outputs[i] - 1) * strides[i] + span - size, 0)
            pads[i][0] += missing // 2
            pads[i][1] += missing - missing // 2
        else:
            outputs[i] = (size - span) // strides[i] + 1
        if outputs[i] <= 0:
            raise ModelError(f"{node.op} '{node.name}': the window is larger than the picture")
    return (outputs[0], outputs[1]), [pads[0][0], pads[1][0], pads[0][1], pads[1][1]], strides


def activate(builder: Builder, name: str, activation: str, node: Node) -> str:
    if activation == "Relu6":
        return builder.emit("Clip", [name, builder.constant(np.float32(0)), builder.constant(np.float32(6))])[0]
    if activation == "LeakyRelu":
        alpha = node.attributes.get("alpha", node.attributes.get("leakyrelu_alpha", 0.2))
        return builder.emit("LeakyRelu", [name], alpha=float(alpha))[0]
    return builder.emit(activation, [name])[0]


ACTIVATIONS = ["Relu", "Relu6", "LeakyRelu", "Elu", "Sigmoid", "Tanh"]


def unary(builder: Builder, node: Node, values: list) -> Value:
    value = builder.plain(tensor_of(values[0], node))
    return replace(value, name=activate(builder, value.name, node.op, node))


def convolution(builder: Builder, node: Node, values: list) -> Value:
    value = nhwc(builder, values[0], node)
    if not padding_fits(value, value.pad_value == 0):
        value = builder.plain(value)
    kernel = constant_of(values[1], node, "kernel")
    height, width, inputs, multiple = kernel.shape
    channels = value.shape[3]
    if "Depthwise" in node.op:  # H W C M → C·M 1 H W
        groups, kernel = channels, kernel.reshape(height, width, 1, inputs * multiple).transpose(3, 2, 0, 1)
    else:  # H W I O → O I H W
        groups, kernel = channels // max(inputs, 1), kernel.transpose(3, 2, 0, 1)
    if inputs == 0 or channels % inputs or ("Depthwise" in node.op and channels != inputs):
        raise ModelError(f"{node.op} '{node.name}': {channels} channels meet a kernel for {inputs}")
    dilations = node.attributes.get("dilations", [1, 1, 1, 1])[1:3]
    size, pads, strides = window(node, value, (height, width), dilations)
    fused = node.attributes.get("fused_ops", [])
    operands = [value.name, builder.constant(kernel)]
    if fused[:1] == ["BiasAdd"]:
        operands.append(builder.constant(constant_of(values[2], node, "bias")))
        fused = fused[1:]
    attributes = {"kernel_shape": [height, width], "pads": pads, "strides": strides, "dilations": dilations, "group": groups}
    name = builder.emit("Conv", operands, **attributes)[0]
    for activation in fused:
        if activation not in ACTIVATIONS:
            raise ModelError(f"{node.op} '{node.name}': fused {activation} is not supported")
        name = activate(builder, name, activation, node)
    return Value(name, (value.shape[0], *size, kernel.shape[0]), NCHW_OF_NHWC)


def max_pool(builder: Builder, node: Node, values: list) -> Value:
    value = nhwc(builder, values[0], node)
    # ONNX pads with what never wins. ONNX Runtime 1.31 takes a Pad of zeros before MaxPool for that, too: not written.
    if not padding_fits(value, value.pad_value <= np.finfo(np.float32).min):
        raise ModelError(f"{node.op} '{node.name}': padded with {value.pad_value:g}, which is not supported")
    sizes = node.attributes["ksize"][1:3]
    size, pads, strides = window(node, value, sizes, (1, 1))
    name = builder.emit("MaxPool", [value.name], kernel_shape=sizes, pads=pads, strides=strides)[0]
    return Value(name, (value.shape[0], *size, value.shape[3]), NCHW_OF_NHWC)


BINARY = {"Add": "Add", "AddV2": "Add", "BiasAdd": "Add", "Sub": "Sub", "Mul": "Mul", "RealDiv": "Div"}


def binary(builder: Builder, node: Node, values: list) -> Value:
    base = builder.plain(next(value for value in values if isinstance(value, Value)))
    shapes = [value.shape for value in values]
    shape = np.broadcast_shapes(*shapes)
    if any(len(value.shape) != len(shape) for value in values if isinstance(value, Value)):
        raise ModelError(f"{node.op} '{node.name}': {shapes[0]} meets {shapes[1]}, which is not supported")
    operands = []
    for value in values:
        if isinstance(value, Value):
            operands.append(builder.plain(builder.ordered(value, base.order)).name)
            continue
        array = value.reshape((1,) * (len(shape) - value.ndim) + value.shape)
        if BINARY[node.op] == "Add" and becomes_bias(builder, base, array):
            builder.producers[base.name].input.append(builder.constant(array.reshape(-1)))
            return base
        operands.append(builder.constant(array.transpose(np.argsort(base.order))))
    return Value(builder.emit(BINARY[node.op], operands)[0], tuple(shape), base.order)


def becomes_bias(builder: Builder, value: Value, array: np.ndarray) -> bool:
    producer = builder.producers.get(value.name)
    unbiased = producer is not None and producer.op_type == "Conv" and len(producer.input) == 2
    return unbiased and value.name in builder.used_once and value.order == NCHW_OF_NHWC and array.shape == (1, 1, 1, value.shape[3])


def pad(builder: Builder, node: Node, values: list) -> Value:
    value = builder.plain(tensor_of(values[0], node))
    amounts = constant_of(values[1], node, "amount")
    if amounts.shape != (len(value.shape), 2) or (amounts < 0).any():
        raise ModelError(f"{node.op} '{node.name}': paddings {amounts.tolist()}")
    pads = tuple((int(before), int(after)) for before, after in amounts)
    shape = tuple(size + before + after for size, (before, after) in zip(value.shape, pads))
    pad_value = float(constant_of(values[2], node, "value")) if len(values) > 2 else 0.0
    return replace(value, shape=shape, pads=pads, pad_value=pad_value)


def transpose(builder: Builder, node: Node, values: list) -> Value:
    value = tensor_of(values[0], node)
    axes = [axis_of(axis, len(value.shape), node) for axis in constant_of(values[1], node, "order")]
    if sorted(axes) != list(range(len(value.shape))):
        raise ModelError(f"{node.op} '{node.name}': order {axes}")
    moved = {name: tuple(getattr(value, name)[axis] for axis in axes) for name in ("shape", "order", "pads") if getattr(value, name)}
    return replace(value, **moved)


def concat(builder: Builder, node: Node, values: list) -> Value:
    first = tensor_of(values[0], node)
    axis = axis_of(constant_of(values[-1], node, "axis"), len(first.shape), node)
    parts = [builder.plain(builder.ordered(tensor_of(value, node), first.order)) for value in values[:-1]]
    name = builder.emit("Concat", [part.name for part in parts], axis=first.order[axis])[0]
    shape = tuple(sum(part.shape[i] for part in parts) if i == axis else size for i, size in enumerate(first.shape))
    return Value(name, shape, first.order)


def split(builder: Builder, node: Node, values: list) -> list[Value]:
    value = builder.plain(tensor_of(values[0], node))
    axis = axis_of(constant_of(values[2], node, "axis"), len(value.shape), node)
    sizes = constant_of(values[1], node, "sizes").astype(np.int64)
    if (sizes == -1).sum() == 1:
        sizes[sizes == -1] = value.shape[axis] - (sizes.sum() + 1)
    if (sizes < 0).any() or sizes.sum() != value.shape[axis]:
        raise ModelError(f"{node.op} '{node.name}': parts {sizes.tolist()} of {value.shape[axis]}")
    names = builder.emit("Split", [value.name, builder.constant(sizes)], len(sizes), axis=value.order[axis])
    shapes = [(*value.shape[:axis], int(size), *value.shape[axis + 1 :]) for size in sizes]
    return [replace(value, name=name, shape=shape) for name, shape in zip(names, shapes)]


def reshape(builder: Builder, node: Node, values: list) -> Value:
    value = builder.flat(tensor_of(values[0], node))
    shape = np.broadcast_to(False, value.shape).reshape(constant_of(values[1], node, "shape")).shape
    # 0 takes over the number of pictures.
    kept = [0 if shape[:1] == value.shape[:1] else size for size in shape[:1]]
    name = builder.emit("Reshape", [value.name, builder.constant(np.array([*kept, *shape[1:]], np.int64))])[0]
    return Value(name, shape, tuple(range(len(shape))))


def resize_bilinear(builder: Builder, node: Node, values: list) -> Value:
    value = builder.plain(nhwc(builder, values[0], node))
    height, width = (int(edge) for edge in constant_of(values[1], node, "size"))
    if min(height, width) < 1:
        raise ModelError(f"{node.op} '{node.name}': size {width}×{height}")
    kinds = {"half_pixel_centers": "half_pixel", "align_corners": "align_corners"}
    mode = next((name for key, name in kinds.items() if node.attributes.get(key)), "asymmetric")
    scales = np.array([1, 1, height / value.shape[1], width / value.shape[2]], np.float32)
    name = builder.emit("Resize", [value.name, "", builder.constant(scales)], mode="linear", coordinate_transformation_mode=mode)[0]
    return Value(name, (value.shape[0], height, width, value.shape[3]), NCHW_OF_NHWC)


def mean(builder: Builder, node: Node, values: list) -> Value:
    value = builder.plain(tensor_of(values[0], node))
    axes = sorted({axis_of(axis, len(value.shape), node) for axis in np.atleast_1d(constant_of(values[1], node, "axes"))})
    if not node.attributes.get("keep_dims"):
        raise ModelError(f"{node.op} '{node.name}': only with keep_dims")
    shape = tuple(1 if axis in axes else size for axis, size in enumerate(value.shape))
    if axes == [1, 2] and value.order == NCHW_OF_NHWC:
        name = builder.emit("GlobalAveragePool", [value.name])[0]
    else:
        name = builder.emit("ReduceMean", [value.name], axes=sorted(value.order[axis] for axis in axes), keepdims=1)[0]
    return replace(value, name=name, shape=shape)


LOWERINGS = {
    **dict.fromkeys(ACTIVATIONS, unary),
    **dict.fromkeys(BINARY, binary),
    **dict.fromkeys(["Conv2D", "_FusedConv2D", "DepthwiseConv2dNative", "FusedDepthwiseConv2dNative"], convolution),
    **dict.fromkeys(["Pad", "PadV2"], pad),
    "Identity": lambda builder, node, values: values[0],
    "MaxPool": max_pool,
    "Transpose": transpose,
    "ConcatV2": concat,
    "SplitV": split,
    "Reshape": reshape,
    "ResizeBilinear": resize_bilinear,
    "Mean": mean,
}


def sparse_to_dense(indices, shape, items, other) -> np.ndarray:
    result = np.full(shape, other)
    for index, item in zip(indices, items):
        result[tuple(np.atleast_1d(index))] = item
    return result


# On constants alone.
FOLDINGS = {
    "Identity": lambda value: value,
    "Add": np.add,
    "AddV2": np.add,
    "Mul": np.multiply,
    "SparseToDense": sparse_to_dense,
}


def placeholder(node: Node, name: str) -> tuple[Value, list]:
    """The tensor, and the ONNX input's shape. A picture in NHWC is taken in NCHW."""
    shape = tuple(int(size["size"]) for size in node.attributes["shape"]["dim"])
    if not shape or shape[0] not in (1, -1) or min(shape[1:], default=1) < 1:
        raise ModelError(f"input '{node.name}' has the shape {shape}")
    order = NCHW_OF_NHWC if len(shape) == 4 and shape[3] in (1, 3) else tuple(range(len(shape)))
    return Value(name, (1, *shape[1:]), order), ["N", *physical(shape, order)[1:]]


def lower(builder: Builder, graph: Graph, node: Node, sources: list) -> list:
    """The node's outputs: values or constants."""
    if node.op == "Const":
        return [graph.weights[node.name]]
    if sources and node.op in FOLDINGS and all(isinstance(source, np.ndarray) for source in sources):
        return [FOLDINGS[node.op](*sources)]
    if node.op not in LOWERINGS:
        raise ModelError(f"the operation {node.op} ('{node.name}') is not supported")
    result = LOWERINGS[node.op](builder, node, sources)
    return result if isinstance(result, list) else [result]


def convert(graph: Graph, recipe: Recipe) -> onnx.ModelProto:
    builder, values, inputs, outputs = Builder(), {}, [], []
    needed = graph.needed(list(recipe.outputs))
    reads = [key for node in needed for key in node.inputs] + [(name, 0) for name in recipe.outputs]
    for node in needed:
        try:
            sources = [values[name][index] for name, index in node.inputs]
            builder.used_once = {
                source.name for source, key in zip(sources, node.inputs) if isinstance(source, Value) and reads.count(key) == 1
            }
            if node.op == "Placeholder":
                value, shape = placeholder(node, recipe.inputs.get(node.name, node.name))
                inputs.append(helper.make_tensor_value_info(value.name, TensorProto.FLOAT, shape))
                values[node.name] = [value]
            else:
                values[node.name] = lower(builder, graph, node, sources)
        except (AttributeError, IndexError, KeyError, StopIteration, TypeError, ValueError, ZeroDivisionError) as error:
            raise ModelError(f"{node.op} '{node.name}' is malformed ({type(error).__name__}: {error})") from error
    for source, name in recipe.outputs.items():
        value = builder.flat(tensor_of(values[source][0], graph.nodes[source]))
        name_output(builder, value.name, name)
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *value.shape[1:]]))
    main_graph = helper.make_graph(builder.nodes, "main", inputs, outputs, builder.initializers)
    model = helper.make_model(main_graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="tfjs_to_onnx")
    onnx.checker.check_model(model, full_check=True)
    return model


def name_output(builder: Builder, tensor: str, name: str) -> None:
    producer = builder.producers.pop(tensor, None)
    if producer is None:  # an input, or an output already
        builder.emit("Identity", [tensor])
        producer, tensor = builder.nodes[-1], builder.nodes[-1].output[0]
    for node in builder.nodes:
        for names in (node.input, node.output):
            for i, old in enumerate(names):
                if old == tensor:
                    names[i] = name


def main() -> int:
    parser = argparse.ArgumentParser(description="TensorFlow.js graph models to ONNX")
    parser.add_argument("--input", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    arguments = parser.parse_args()
    try:
        sources = sorted(arguments.input.glob("*.json"))
        if not sources:
            raise ModelError(f"{arguments.input}: no model (*.json) there")
        arguments.output.mkdir(parents=True, exist_ok=True)
        for source in sources:
            graph = read(source)
            recipe = RECIPES.get(source.stem) or Recipe({}, {name: name for name in graph.outputs})
            unfinished = arguments.output / f"{source.stem}.onnx.part"
            unfinished.write_bytes(convert(graph, recipe).SerializeToString(deterministic=True))
            os.replace(unfinished, arguments.output / f"{source.stem}.onnx")
    except (ModelError, OSError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        print(f"tfjs_to_onnx: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
