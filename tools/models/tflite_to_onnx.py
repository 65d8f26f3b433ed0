"""Writes the TensorFlow Lite models of a folder (*.tflite) as ONNX files of the same names.

Of the operations, those that MediaPipe's segmentation of selfies has: convolutions, elementwise ones, means over a whole plane,
enlarging, and MediaPipe's own transposed convolution. Weights are stored in fp32, planes are NCHW inside; input `image` and output
`mask` keep the layout that they had, NHWC. The bytes depend on the input alone.

usage: tflite_to_onnx.py --input FOLDER --output FOLDER
"""

import struct
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from converter import run, save
from onnx import TensorProto, helper
from onnx_graph import Graph
from safetensors_file import ModelError

OPSET, IR_VERSION = 17, 8
# Numbers of schema.fbs in TensorFlow Lite: BuiltinOperator, TensorType, Padding.
ADD, AVERAGE_POOL, CONV, DEPTHWISE, DEQUANTIZE, LOGISTIC, MUL, RELU, RESIZE, CUSTOM, HARD_SWISH = 0, 1, 3, 4, 6, 14, 18, 19, 23, 32, 117
ELEMENTWISE = {ADD: "Add", MUL: "Mul", LOGISTIC: "Sigmoid", RELU: "Relu", HARD_SWISH: "HardSwish"}
TYPES = {0: np.dtype("<f4"), 1: np.dtype("<f2"), 2: np.dtype("<i4")}
SAME = 0
TRANSPOSED = "Convolution2DTransposeBias"
DEEPEST = 1 << 16  # entries of a vector


class Table:
    """A table of a flatbuffer: fields by number, an absent one is 0 or empty."""

    def __init__(self, data: bytes, at: int):
        self.data, self.at = data, at
        self.fields = at - self.read("<i", at)
        self.count = (self.read("<H", self.fields) - 4) // 2

    def read(self, code: str, at: int) -> int:
        try:
            return struct.unpack_from(code, self.data, at)[0]
        except struct.error as error:
            raise ModelError("it ends early") from error

    def place(self, field: int) -> int:
        offset = self.read("<H", self.fields + 4 + 2 * field) if field < self.count else 0
        return self.at + offset if offset else 0

    def number(self, field: int, code: str = "<i") -> int:
        place = self.place(field)
        return self.read(code, place) if place else 0

    def vector(self, field: int) -> tuple[int, int]:
        """Where it begins, and how many it has."""
        place = self.place(field)
        if not place:
            return 0, 0
        begin = place + self.read("<I", place)
        return begin + 4, self.read("<I", begin)

    def bytes(self, field: int) -> bytes:
        begin, count = self.vector(field)
        return self.data[begin : begin + count]

    def integers(self, field: int) -> list[int]:
        begin, count = self.vector(field)
        if count > DEEPEST:
            raise ModelError(f"a list of {count} numbers")
        return [self.read("<i", begin + 4 * i) for i in range(count)]

    def tables(self, field: int) -> list["Table"]:
        begin, count = self.vector(field)
        if count > DEEPEST:
            raise ModelError(f"a list of {count} tables")
        return [Table(self.data, (at := begin + 4 * i) + self.read("<I", at)) for i in range(count)]

    def table(self, field: int) -> "Table":
        place = self.place(field)
        if not place:
            raise ModelError("an operation lacks its options")
        return Table(self.data, place + self.read("<I", place))


@dataclass(frozen=True)
class Window:
    """What a convolution or a pooling says of where it looks."""

    pads: list[int]
    strides: list[int]


class Converter:
    def __init__(self, data: bytes):
        if data[4:8] != b"TFL3":
            raise ModelError("is no TensorFlow Lite model")
        model = Table(data, struct.unpack_from("<I", data)[0])
        self.codes = [(code.number(3) or code.number(0, "<b"), code.bytes(1).decode("ascii", "replace")) for code in model.tables(1)]
        self.buffers = [buffer.bytes(0) for buffer in model.tables(4)]
        graphs = model.tables(2)
        if len(graphs) != 1:
            raise ModelError(f"has {len(graphs)} graphs, not one")
        self.main, self.tensors = graphs[0], graphs[0].tables(0)
        self.graph = Graph(OPSET)
        self.names: dict[int, str] = {}  # of computed tensors, NCHW
        self.arrays: dict[int, np.ndarray] = {}  # of known ones, as they are stored

    def shape(self, tensor: int) -> list[int]:
        return self.tensors[tensor].integers(0)

    def array(self, tensor: int) -> np.ndarray:
        if tensor in self.arrays:
            return self.arrays[tensor]
        table = self.tensors[tensor]
        kind, buffer = TYPES.get(table.number(1, "<b")), table.number(2, "<I")
        if kind is None or buffer >= len(self.buffers):
            raise ModelError(f"tensor {tensor} has a type that is not known")
        values = np.frombuffer(self.buffers[buffer], kind)
        shape = self.shape(tensor)
        if values.size != np.prod(shape, dtype=np.int64) or not np.isfinite(values).all():
            raise ModelError(f"tensor {tensor} holds no numbers, or not as many as it should")
        return values.reshape(shape)

    def weights(self, tensor: int, *order: int) -> str:
        array = self.array(tensor).astype(np.float32)
        return self.graph.constant(array.transpose(order) if order else array)

    def window(self, options: Table, source: int, kernel: list[int]) -> Window:
        """`kernel`: its height and width. The options of convolutions and poolings begin alike: padding, strides across, down."""
        strides = [options.number(2), options.number(1)]
        if options.number(0, "<b") != SAME:
            return Window([0, 0, 0, 0], strides)
        begins, ends = [], []
        for size, length, stride in zip(self.shape(source)[1:3], kernel, strides):
            missing = max((-(-size // stride) - 1) * stride + length - size, 0)
            begins.append(missing // 2)
            ends.append(missing - missing // 2)
        return Window(begins + ends, strides)

    def convolution(self, operator: Table, inputs: list[int], depthwise: bool) -> str:
        options, shape = operator.table(4), self.shape(inputs[1])
        if options.number(4 if depthwise else 3, "<b") or (depthwise and options.number(3) != 1):
            raise ModelError("a convolution with an activation or several kernels a channel")
        window = self.window(options, inputs[0], shape[1:3])
        order = (3, 0, 1, 2) if depthwise else (0, 3, 1, 2)
        kernel = [self.names[inputs[0]], self.weights(inputs[1], *order), self.weights(inputs[2])]
        group = shape[3] if depthwise else 1
        return self.graph.emit("Conv", kernel, kernel_shape=shape[1:3], pads=window.pads, strides=window.strides, group=group)

    def mean(self, operator: Table, inputs: list[int]) -> str:
        options = operator.table(4)
        if [options.number(4), options.number(3)] != self.shape(inputs[0])[1:3] or options.number(5, "<b"):
            raise ModelError("a pooling of less than a whole plane")
        return self.graph.emit("GlobalAveragePool", [self.names[inputs[0]]])

    def resize(self, operator: Table, inputs: list[int]) -> str:
        options = operator.table(4)
        if options.number(2, "<b") or not options.number(3, "<b"):
            raise ModelError("an enlarging that is not by the pixels' middles")
        source, size = self.shape(inputs[0]), self.array(inputs[1]).tolist()
        sizes = self.graph.ints(source[0], source[3], *size)
        return self.graph.emit("Resize", [self.names[inputs[0]], "", "", sizes], mode="linear", coordinate_transformation_mode="half_pixel")

    def transposed(self, operator: Table, inputs: list[int]) -> str:
        options = operator.bytes(5)  # TfLiteTransposeConvParams: padding, strides across, down
        if len(options) < 12:
            raise ModelError("a transposed convolution without its options")
        _, across, down = struct.unpack_from("<3i", options)
        shape = self.shape(inputs[1])
        if [down, across] != shape[1:3]:
            raise ModelError("a transposed convolution whose windows overlap")
        kernel = [self.names[inputs[0]], self.weights(inputs[1], 3, 0, 1, 2), self.weights(inputs[2])]
        return self.graph.emit("ConvTranspose", kernel, kernel_shape=shape[1:3], strides=[down, across])

    def operate(self, operator: Table) -> None:
        code, custom = self.codes[operator.number(0, "<I")]
        inputs, (output,) = operator.integers(1), operator.integers(2)
        if code == DEQUANTIZE:
            self.arrays[output] = self.array(inputs[0]).astype(np.float32)
            return
        if code in (CONV, DEPTHWISE):
            name = self.convolution(operator, inputs, code == DEPTHWISE)
        elif code in ELEMENTWISE:
            name = self.graph.emit(ELEMENTWISE[code], [self.names[i] for i in inputs])
        elif code == AVERAGE_POOL:
            name = self.mean(operator, inputs)
        elif code == RESIZE:
            name = self.resize(operator, inputs)
        elif code == CUSTOM and custom == TRANSPOSED:
            name = self.transposed(operator, inputs)
        else:
            raise ModelError(f"operation {code} {custom} is not known")
        self.names[output] = name

    def convert(self) -> onnx.ModelProto:
        (source,), (result,) = self.main.integers(1), self.main.integers(2)
        self.names[source] = self.graph.emit("Transpose", ["image"], perm=[0, 3, 1, 2])
        for operator in self.main.tables(3):
            self.operate(operator)
        self.graph.nodes.append(helper.make_node("Transpose", [self.names[result]], ["mask"], name="mask", perm=[0, 2, 3, 1]))
        values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, self.shape(tensor)) for name, tensor in (("image", source), ("mask", result))]
        graph = helper.make_graph(self.graph.nodes, "tflite", values[:1], values[1:], self.graph.initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="image-engine")
        onnx.checker.check_model(model, full_check=True)
        return model


def convert(folder: Path, output: Path) -> None:
    files = sorted(folder.glob("*.tflite"))
    if not files:
        raise ModelError(f"{folder} holds no .tflite")
    for file in files:
        try:
            model = Converter(file.read_bytes()).convert()
        except (ModelError, KeyError, IndexError, ValueError, struct.error) as error:
            raise ModelError(f"{file}: {error}") from error
        save(model, output / f"{file.stem}.onnx")


if __name__ == "__main__":
    sys.exit(run(__doc__, convert))
