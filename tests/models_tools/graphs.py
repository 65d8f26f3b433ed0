"""Writes small TensorFlow.js graph models."""

import base64
import json
from pathlib import Path

import numpy as np


def text(value: str) -> dict:
    return {"s": base64.b64encode(value.encode()).decode()}


def numbers(*values) -> dict:
    return {"list": {"i": [str(value) for value in values]}}


def window(padding: str = "SAME", stride: int = 1, **others) -> dict:
    return {"padding": text(padding), "strides": numbers(1, stride, stride, 1), "data_format": text("NHWC"),
            "dilations": numbers(1, 1, 1, 1)} | others  # fmt: skip


class Graph:
    def __init__(self):
        self.nodes, self.weights, self.data = [], [], b""

    def node(self, name: str, op: str, inputs=(), **attributes) -> str:
        self.nodes.append({"name": name, "op": op, "input": list(inputs), "attr": attributes})
        return name

    def picture(self, *shape) -> str:
        return self.node("x", "Placeholder", shape={"shape": {"dim": [{"size": str(size)} for size in shape]}})

    def constant(self, name: str, array, quantization: dict | None = None) -> str:
        array = np.asarray(array)
        dtype = "int32" if array.dtype.kind in "iu" else "float32"
        stored = array
        if quantization and "scale" in quantization:
            stored = np.rint((array - quantization["min"]) / quantization["scale"])
        stored = stored.astype(quantization["dtype"] if quantization else dtype)
        self.data += stored.astype(stored.dtype.newbyteorder("<")).tobytes()
        entry = {"name": name, "shape": list(array.shape), "dtype": dtype}
        self.weights.append(entry | ({"quantization": quantization} if quantization else {}))
        return self.node(name, "Const")

    def write(self, folder: Path, outputs: list[str], name: str = "net") -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        signature = {"inputs": {"x": {"name": "x:0"}}, "outputs": {output: {"name": f"{output}:0"} for output in outputs}}
        # In two files: weights may go on in the next one.
        half = len(self.data) // 2
        (folder / f"{name}.1.bin").write_bytes(self.data[:half])
        (folder / f"{name}.2.bin").write_bytes(self.data[half:])
        manifest = [{"paths": [f"{name}.1.bin", f"{name}.2.bin"], "weights": self.weights}]
        model = {"format": "graph-model", "signature": signature, "modelTopology": {"node": self.nodes}, "weightsManifest": manifest}
        path = folder / f"{name}.json"
        path.write_text(json.dumps(model))
        return path
