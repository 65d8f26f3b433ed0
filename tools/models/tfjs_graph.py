"""Reads a TensorFlow.js graph model: nodes in order of need, attributes as Python values, weights as numpy arrays."""

import base64
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

STORED = {"float32": np.float32, "int32": np.int32, "bool": np.bool_, "uint8": np.uint8, "uint16": np.uint16, "float16": np.float16}
MOST_ELEMENTS = 1 << 30  # of one weight


class ModelError(Exception):
    """What is wrong with the model, in one line."""


@dataclass(frozen=True)
class Node:
    name: str
    op: str
    inputs: tuple[tuple[str, int], ...]  # node, which of its outputs
    attributes: dict


@dataclass(frozen=True)
class Graph:
    nodes: dict[str, Node]
    weights: dict[str, np.ndarray]
    outputs: list[str]  # of the signature

    def needed(self, outputs: list[str]) -> list[Node]:
        """The nodes that `outputs` depend on, each after its inputs."""
        order, state = [], {}
        stack = [(name, False) for name in reversed(outputs)]
        while stack:
            name, inputs_done = stack.pop()
            if inputs_done:
                state[name] = "done"
                order.append(self.nodes[name])
                continue
            if state.get(name) == "done":
                continue
            if state.get(name) == "open":
                raise ModelError(f"the graph has a cycle through '{name}'")
            if name not in self.nodes:
                raise ModelError(f"the graph has no node '{name}'")
            state[name] = "open"
            stack.append((name, True))
            stack += [(source, False) for source, _ in reversed(self.nodes[name].inputs) if state.get(source) != "done"]
        return order


def attribute(value: dict):
    """A NodeDef attribute: text, int, float, bool, list or shape."""
    kind, content = next(iter(value.items()), ("none", None))
    if kind == "s":
        return base64.b64decode(content).decode("utf-8", "replace")
    if kind == "i":
        return int(content)
    if kind == "list":
        kind, content = next(iter(content.items()), ("none", []))
        return [attribute({kind: item}) for item in content]
    return content


def reference(text: str) -> tuple[str, int]:
    name, _, index = text.partition(":")
    return name, int(index or 0)


def read_weights(manifest: list, folder: Path) -> dict[str, np.ndarray]:
    weights = {}
    for group in manifest:
        for path in group["paths"]:
            if Path(path).name != path:
                raise ModelError(f"'{path}' is not the name of a file beside the model")
        data = b"".join((folder / path).read_bytes() for path in group["paths"])
        offset = 0
        for entry in group["weights"]:
            name, shape, quantization = entry["name"], entry["shape"], entry.get("quantization")
            stored = quantization["dtype"] if quantization else entry["dtype"]
            if stored not in STORED or entry["dtype"] not in STORED:
                raise ModelError(f"weight '{name}' has the type {stored}, which is not supported")
            if any(type(size) is not int or size < 0 for size in shape) or math.prod(shape) > MOST_ELEMENTS:
                raise ModelError(f"weight '{name}' has the shape {shape}")
            kind = np.dtype(STORED[stored]).newbyteorder("<")
            if offset + math.prod(shape) * kind.itemsize > len(data):
                raise ModelError(f"{', '.join(group['paths'])}: too short for weight '{name}'")
            values = np.frombuffer(data, kind, math.prod(shape), offset)
            offset += values.nbytes
            if quantization and stored != "float16":
                values = values.astype(np.float32) * np.float32(quantization["scale"]) + np.float32(quantization["min"])
                if entry["dtype"] != "float32":
                    values = np.rint(values)
            weights[name] = values.astype(STORED[entry["dtype"]]).reshape(shape)
        if offset != len(data):
            raise ModelError(f"{', '.join(group['paths'])}: {len(data) - offset} bytes more than the weights need")
    return weights


def read(path: Path) -> Graph:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document.get("format") != "graph-model":
            raise ModelError(f"{path.name}: not a TensorFlow.js graph model")
        nodes = {}
        for entry in document["modelTopology"]["node"]:
            # '^name' only orders the execution.
            inputs = tuple(reference(text) for text in entry.get("input", []) if not text.startswith("^"))
            attributes = {key: attribute(value) for key, value in entry.get("attr", {}).items()}
            nodes[entry["name"]] = Node(entry["name"], entry["op"], inputs, attributes)
        weights = read_weights(document["weightsManifest"], path.parent)
        signature = document.get("signature") or document.get("userDefinedMetadata", {}).get("signature") or {}
        outputs = sorted(reference(value["name"])[0] for value in signature.get("outputs", {}).values())
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ModelError(f"{path.name}: not a readable TensorFlow.js graph model ({type(error).__name__}: {error})") from error
    if not outputs:
        raise ModelError(f"{path.name}: its signature names no outputs")
    return Graph(nodes, weights, outputs)
