"""Runs a TensorFlow.js graph model node by node with numpy, as TensorFlow documents each operation: NHWC, nothing fused.

Shares nothing with tools/models, which it is there to check. Slow.
"""

import base64
import json
from pathlib import Path

import numpy as np

BYTES = {"float32": "<f4", "int32": "<i4", "float16": "<f2", "uint8": "u1", "uint16": "<u2"}


def read_weights(document: dict, folder: Path) -> dict:
    weights = {}
    for group in document["weightsManifest"]:
        data = b"".join((folder / name).read_bytes() for name in group["paths"])
        for entry in group["weights"]:
            how = entry.get("quantization")
            count = int(np.prod(entry["shape"], dtype=np.int64))
            kind = np.dtype(BYTES[how["dtype"] if how else entry["dtype"]])
            array = np.frombuffer(data[: count * kind.itemsize], kind)
            data = data[count * kind.itemsize :]
            if how and "scale" in how:
                array = array * how["scale"] + how["min"]
            weights[entry["name"]] = array.astype(entry["dtype"]).reshape(entry["shape"])
        assert not data
    return weights


def text(node: dict, key: str) -> str:
    return base64.b64decode(node["attr"][key]["s"]).decode()


def numbers(node: dict, key: str) -> list[int]:
    return [int(item) for item in node["attr"][key]["list"]["i"]]


def same_pads(size: int, kernel: int, stride: int) -> tuple[int, int]:
    total = max((int(np.ceil(size / stride)) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def windows(x: np.ndarray, node: dict, height: int, width: int, fill: float):
    """(row, column, the samples that this tap of the window meets)."""
    _, sy, sx, _ = numbers(node, "strides")
    if text(node, "padding") == "SAME":
        x = np.pad(x, ((0, 0), same_pads(x.shape[1], height, sy), same_pads(x.shape[2], width, sx), (0, 0)), constant_values=fill)
    rows, columns = (x.shape[1] - height) // sy + 1, (x.shape[2] - width) // sx + 1
    for i in range(height):
        for j in range(width):
            yield i, j, x[:, i : i + (rows - 1) * sy + 1 : sy, j : j + (columns - 1) * sx + 1 : sx]


def activations(x: np.ndarray, node: dict) -> np.ndarray:
    for name in node.get("attr", {}).get("fused_ops", {}).get("list", {}).get("s", []):
        name = base64.b64decode(name).decode()
        if name != "BiasAdd":
            x = UNARY[name](x, node)
    return x


def convolve(node: dict, x, kernel, bias=0.0) -> np.ndarray:
    assert numbers(node, "dilations") == [1, 1, 1, 1]
    total = sum(part @ kernel[i, j] for i, j, part in windows(x, node, *kernel.shape[:2], 0))
    return activations(total + bias, node)


def convolve_depthwise(node: dict, x, kernel, bias=0.0) -> np.ndarray:
    assert numbers(node, "dilations") == [1, 1, 1, 1]
    total = sum(part[..., None] * kernel[i, j] for i, j, part in windows(x, node, *kernel.shape[:2], 0))
    return activations(total.reshape(*total.shape[:3], -1) + bias, node)


def max_pool(node: dict, x) -> np.ndarray:
    _, height, width, _ = numbers(node, "ksize")
    return np.max([part for _, _, part in windows(x, node, height, width, -np.inf)], axis=0)


def resize(node: dict, x, size) -> np.ndarray:
    half, corners = (node["attr"].get(key, {}).get("b", False) for key in ("half_pixel_centers", "align_corners"))
    for axis, length in zip((1, 2), size):
        old = x.shape[axis]
        if corners:
            at = np.arange(length) * ((old - 1) / (length - 1) if length > 1 else 0)
        else:
            at = (np.arange(length) + 0.5) * old / length - 0.5 if half else np.arange(length) * old / length
        at = np.clip(at, 0, old - 1)
        low = np.floor(at).astype(int)
        share = (at - low).reshape([-1 if i == axis else 1 for i in range(4)])
        x = x.take(low, axis) * (1 - share) + x.take(np.minimum(low + 1, old - 1), axis) * share
    return x


def split(node: dict, x, sizes, axis) -> list:
    return np.split(x, np.cumsum(sizes)[:-1], int(axis))


UNARY = {
    "Relu": lambda x, node: np.maximum(x, 0),
    "Relu6": lambda x, node: np.clip(x, 0, 6),
    "Sigmoid": lambda x, node: 1 / (1 + np.exp(-x)),
    "LeakyRelu": lambda x, node: np.where(x > 0, x, x * node["attr"]["alpha"]["f"]),
    "Identity": lambda x, node: x,
}
OTHERS = {
    "Conv2D": convolve,
    "_FusedConv2D": convolve,
    "DepthwiseConv2dNative": convolve_depthwise,
    "FusedDepthwiseConv2dNative": convolve_depthwise,
    "MaxPool": max_pool,
    "ResizeBilinear": resize,
    "SplitV": split,
    "Add": lambda node, a, b: a + b,
    "AddV2": lambda node, a, b: a + b,
    "Sub": lambda node, a, b: a - b,
    "Mul": lambda node, a, b: a * b,
    "Pad": lambda node, x, amounts: np.pad(x, amounts),
    "PadV2": lambda node, x, amounts, value: np.pad(x, amounts, constant_values=value),
    "Transpose": lambda node, x, order: x.transpose(order),
    "Reshape": lambda node, x, shape: x.reshape(shape),
    "ConcatV2": lambda node, *values: np.concatenate(values[:-1], int(values[-1])),
    "Mean": lambda node, x, axes: x.mean(tuple(np.atleast_1d(axes)), keepdims=node["attr"]["keep_dims"]["b"]),
    "SparseToDense": lambda node, indices, shape, values, default: np.full(shape, default),
}


def run(model: Path, feeds: dict, outputs: list[str]) -> list[np.ndarray]:
    document = json.loads(model.read_text())
    nodes = {node["name"]: node for node in document["modelTopology"]["node"]}
    weights = read_weights(document, model.parent)
    done = {name: [np.asarray(array, np.float64)] for name, array in feeds.items()}

    def value(name: str) -> list:
        if name not in done:
            node = nodes[name]
            if node["op"] == "Const":
                done[name] = [weights[name].astype(np.float64) if weights[name].dtype == np.float32 else weights[name]]
            else:
                inputs = [value(source.partition(":")[0])[int(source.partition(":")[2] or 0)] for source in node["input"]]
                result = UNARY[node["op"]](*inputs, node) if node["op"] in UNARY else OTHERS[node["op"]](node, *inputs)
                done[name] = result if isinstance(result, list) else [result]
        return done[name]

    import sys

    sys.setrecursionlimit(10000)
    return [value(name)[0] for name in outputs]
