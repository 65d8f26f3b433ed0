"""Rewrites CenterFace's ONNX file so that it takes pictures of any size and finds faces only.

The published graph names a fixed input of 10 pictures of 32 × 32 pixels, and has numbers for names. Here the input `image` takes any
number of pictures whose edges are multiples of 32, and the outputs are `heat`, `sizes` and `offsets`: the landmarks are left out. The
weights stay as they are.

usage: centerface_to_onnx.py --input FOLDER --output FOLDER
"""

import sys
from pathlib import Path

import onnx
from converter import run, save
from onnx import TensorProto, helper
from onnx_edit import load
from safetensors_file import ModelError

FILE = "centerface.onnx"
IMAGE = "input.1"
OUTPUTS = {"537": ("heat", 1), "538": ("sizes", 2), "539": ("offsets", 2)}  # by their names there: ours, and how many maps
OPSET = 17


def used(graph: onnx.GraphProto, wanted: set[str]) -> list[onnx.NodeProto]:
    """The nodes that these results need, in the graph's order."""
    nodes = []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            nodes.append(node)
            wanted.update(node.input)
    return nodes[::-1]


def build(model: onnx.ModelProto) -> onnx.ModelProto:
    if missing := OUTPUTS.keys() - {output.name for output in model.graph.output}:
        raise ModelError(f"it has no output {', '.join(sorted(missing))}: it is not CenterFace")
    names = {IMAGE: "image"} | {old: new for old, (new, _) in OUTPUTS.items()}
    nodes = used(model.graph, set(OUTPUTS))
    needed = {name for node in nodes for name in node.input}
    for node in nodes:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    weights = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["pictures", 3, "height", "width"])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["pictures", maps, "rows", "columns"]) for name, maps in OUTPUTS.values()]
    graph = helper.make_graph(nodes, "centerface", [image], outputs, weights)
    made = helper.make_model(graph, opset_imports=model.opset_import, ir_version=8, producer_name="image-engine")
    made = onnx.version_converter.convert_version(made, OPSET)
    onnx.checker.check_model(made, full_check=True)
    return made


def convert(folder: Path, output: Path) -> None:
    save(build(load(folder / FILE)), output / FILE)


if __name__ == "__main__":
    sys.exit(run(__doc__, convert))
