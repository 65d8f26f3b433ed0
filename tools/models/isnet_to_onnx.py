"""Writes an IS-Net that computes in float16 (isnet-half.onnx) in float32 and with its first output alone: isnet.onnx.

A CPU without kernels for float16 converts around each node and holds what it converts twice, and every output of a graph is computed
and held until the run ends: five masks and six planes of features beside the one that is used. The numbers stay: float32 holds
each float16. The bytes depend on the input alone.

usage: isnet_to_onnx.py --input FOLDER --output FOLDER
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from converter import run, save
from onnx import TensorProto, numpy_helper
from safetensors_file import ModelError

SOURCE, RESULT = "isnet-half.onnx", "isnet.onnx"
FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)


def widened(tensor: onnx.TensorProto) -> onnx.TensorProto:
    if tensor.data_type != TensorProto.FLOAT16:
        return tensor
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name)


def is_cast(node: onnx.NodeProto) -> bool:
    return node.op_type == "Cast" and node.attribute[0].i in FLOATS


def needed_nodes(graph: onnx.GraphProto, output: str) -> list[onnx.NodeProto]:
    """Those that make the output, as they come in the file: converters put casts behind what reads them."""
    makers = {name: node for node in graph.node for name in node.output}
    needed, open_names = set(), [output]
    while open_names:
        node = makers.get(open_names.pop())
        if node is not None and node.output[0] not in needed:
            needed.add(node.output[0])
            open_names += node.input
    return [node for node in graph.node if node.output[0] in needed]


def without_casts(nodes: list[onnx.NodeProto], output: str) -> list[onnx.NodeProto]:
    """Between float32 and float16, which are the same now; whole numbers may not become floats."""
    wholes = {name for node in nodes if node.op_type in ("Shape", "Size") or (node.op_type == "Cast" and not is_cast(node)) for name in node.output}
    if any(is_cast(node) and node.input[0] in wholes for node in nodes):
        raise ModelError("it makes numbers of a shape, which no IS-Net does")
    same = {node.output[0]: node.input[0] for node in nodes if is_cast(node)}

    def source(name: str) -> str:
        while name in same:
            name = same[name]
        return name

    made = source(output)  # under the output's name from now on
    kept = [node for node in nodes if not is_cast(node)]
    for node in kept:
        node.input[:] = [output if source(name) == made else source(name) for name in node.input]
        node.output[:] = [output if name == made else name for name in node.output]
    return kept


def in_float32(model: onnx.ModelProto) -> onnx.ModelProto:
    graph = model.graph
    output = graph.output[0]
    nodes = without_casts(needed_nodes(graph, output.name), output.name)
    used = {name for node in nodes for name in node.input}
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                attribute.t.CopyFrom(widened(attribute.t))
    inputs = [value for value in graph.input if value.name in used]
    for value in [*inputs, output]:
        value.type.tensor_type.elem_type = TensorProto.FLOAT
    made = onnx.helper.make_graph(nodes, graph.name, inputs, [output], [widened(tensor) for tensor in graph.initializer if tensor.name in used])
    result = onnx.helper.make_model(made, opset_imports=list(model.opset_import), ir_version=model.ir_version)
    onnx.checker.check_model(result)
    return result


def convert(folder: Path, output: Path) -> None:
    source = folder / SOURCE
    try:
        model = onnx.load(source)
    except Exception as error:  # protobuf's errors share no base
        raise ModelError(f"{source} is no ONNX model: {error}") from error
    if not model.graph.output:
        raise ModelError(f"{source} has no output")
    save(in_float32(model), output / RESULT)


if __name__ == "__main__":
    sys.exit(run(__doc__, convert))
