"""Rewrites an ONNX graph for a GPU: shape arithmetic folded, transformers fused, in half precision where that is exact enough.

Names of inputs and outputs stay. Inputs and outputs stay fp32 unless --half-io says otherwise. With --for tensorrt the graph keeps
to ONNX's own operators. What is not known passes through: folded, and in fp16 if that was asked for. Nothing of the model is
run but arithmetic on its constants. The file is written beside and then renamed.

usage: optimise.py --input M.onnx --output O.onnx [--precision fp16|fp32] [--batch N] [--dimension NAME=SIZE …]

Prints one line of JSON: {"fused": {rewrite: places}, "kept_fp32": [operators], "nodes": count}.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

import fusions
import numpy as np
import onnx
import onnxruntime
from converter import report
from half import to_half
from onnx_edit import Net, load
from safetensors_file import ModelError

LEAST_OPSET = 17  # LayerNormalization
QKV = ("separate", "packed", "joined")
LARGEST = 1 << 20  # of a dimension


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--input", type=Path, required=True, metavar="M.onnx")
    parser.add_argument("--output", type=Path, required=True, metavar="O.onnx")
    parser.add_argument("--precision", choices=("fp16", "fp32"), default="fp16")
    parser.add_argument("--batch", type=int, metavar="N", help="fixes the first dimension of every input; otherwise it stays free")
    parser.add_argument("--dimension", action="append", default=[], metavar="NAME=SIZE", help="fixes a named dimension")
    parser.add_argument("--half-io", action="store_true", help="inputs and outputs in fp16 too")
    parser.add_argument("--for", dest="runtime", choices=("cuda", "tensorrt"), default="cuda")
    parser.add_argument("--qkv", choices=QKV, default="joined", help="how an attention's queries, keys and values are made")
    parser.add_argument("--patches", choices=("conv", "product"), default="product", help="how a picture is cut into patches")
    return parser.parse_args()


def sizes(given: argparse.Namespace) -> dict[str, int]:
    result = {}
    for entry in given.dimension:
        name, equals, size = entry.partition("=")
        if not name or not equals or not size.isdecimal() or not 0 < int(size) <= LARGEST:
            raise ModelError(f"--dimension {entry}: NAME=SIZE is wanted")
        result[name] = int(size)
    if given.batch is not None and not 0 < given.batch <= LARGEST:
        raise ModelError(f"--batch {given.batch} cannot be")
    return result


def fix_dimensions(model: onnx.ModelProto, batch: int | None, named: dict[str, int]) -> None:
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    for value in inputs:
        dims = value.type.tensor_type.shape.dim
        if batch is None or not dims:
            continue
        if dims[0].HasField("dim_value") and dims[0].dim_value > 0:
            if dims[0].dim_value != batch:
                raise ModelError(f"the input {value.name} has the fixed batch {dims[0].dim_value}, not {batch}")
        elif dims[0].dim_param:
            named = {dims[0].dim_param: batch} | named
        else:
            dims[0].dim_value = batch
    known = {dim.dim_param for value in inputs for dim in value.type.tensor_type.shape.dim if dim.dim_param}
    for name in named.keys() - known:
        raise ModelError(f"no input has a dimension {name!r}; there are: {', '.join(sorted(known)) or 'none'}")
    for value in [*inputs, *model.graph.output]:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in named:
                dim.dim_value = named[dim.dim_param]
    if named or batch is not None:
        del model.graph.value_info[:]


def lifted(model: onnx.ModelProto) -> onnx.ModelProto:
    """At the least opset the rewrites need; the model itself where it cannot be lifted."""
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 1)
    if opset >= LEAST_OPSET or len({entry.domain for entry in model.opset_import} - {"", "ai.onnx"}):
        return model
    try:
        return onnx.version_converter.convert_version(model, LEAST_OPSET)
    except (RuntimeError, ValueError, onnx.checker.ValidationError):
        return model


def folded(model: onnx.ModelProto, folder: str) -> onnx.ModelProto:
    """With what is computed from constants and known shapes alone computed by ONNX Runtime, which also joins
    what exporters before opset 17 wrote of a norm."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = os.path.join(folder, "folded.onnx")
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"], disabled_optimizers=["MatMulAddFusion", "TransposeOptimizer"])
    result = onnx.load(options.optimized_model_filepath)
    constants = [node for node in result.graph.node if node.op_type == "Constant" and node.attribute[0].HasField("t")]
    for node in constants:
        tensor = node.attribute[0].t
        result.graph.initializer.append(tensor)
        result.graph.initializer[-1].name = node.output[0]
        result.graph.node.remove(node)
    return result


PROBES = (7, 11)  # batches that no size in a graph is likely to be a multiple of


def targets_at(model: onnx.ModelProto, batch: int, folder: str) -> dict[str, tuple[list | None, list | None]]:
    """Of each Reshape whose name is its alone, at that batch: its target, where that is constant, and the shape before it."""
    probe = onnx.ModelProto.FromString(model.SerializeToString())
    fix_dimensions(probe, batch, {})
    net = Net(folded(probe, folder))
    reshapes = [node for node in net.graph.node if node.op_type == "Reshape"]
    names = Counter(node.name for node in reshapes)
    values = ((node, net.value(node.input[1])) for node in reshapes if names[node.name] == 1)
    return {node.name: (None if value is None else value.tolist(), net.shape(node.input[0])) for node, value in values}


def with_plain_reshapes(model: onnx.ModelProto, folder: str) -> onnx.ModelProto:
    """With constants in place of the arithmetic that finds a Reshape's target, where at most one number of it follows the batch.
    What stays the same at two batches is constant. Other free dimensions than the batch: the model as it is."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    sizes_of = [list(value.type.tensor_type.shape.dim) for value in inputs]
    if not all(dims and not dims[0].HasField("dim_value") and all(dim.HasField("dim_value") for dim in dims[1:]) for dims in sizes_of):
        return model
    try:
        targets = [targets_at(model, batch, folder) for batch in PROBES]
    except Exception:  # ONNX Runtime's errors share no base; a graph that takes no such batch stays as it is
        return model
    constants = {tensor.name for tensor in model.graph.initializer}
    result = onnx.ModelProto.FromString(model.SerializeToString())
    for node in result.graph.node:
        found = [each.get(node.name, (None, None)) for each in targets]
        if node.op_type != "Reshape" or node.input[1] in constants or not all(a and b for a, b in found):
            continue
        (first, before), (second, before_too) = found
        first = list(first)
        if len(first) != len(second) or len(before) != len(before_too) or -1 in first or 0 in first:
            continue
        free = [i for i, (a, b) in enumerate(zip(first, second)) if a != b]
        if len(free) > 1:
            continue
        for i in free:
            copied = i < len(before) and (before[i], before_too[i]) == (first[i], second[i])
            first[i] = 0 if copied else -1
        name = f"{node.name}_target"
        result.graph.initializer.append(onnx.numpy_helper.from_array(np.array(first, np.int64), name))
        node.input[1] = name
    try:
        return folded(result, folder)
    except Exception:  # ONNX Runtime's errors share no base; a graph whose shapes say otherwise stays as it is
        return model


def rewrite(net: Net, given: argparse.Namespace) -> dict[str, int]:
    counts = {"early_rows": fusions.early_rows(net), "affine_relu": fusions.affine_relus(net)}
    if given.runtime == "cuda":
        counts["gelu"] = fusions.gelus(net)
        counts["attention"] = fusions.attentions(net)
        counts["qkv"] = fusions.attention_inputs(net, given.qkv)
        counts["skip_layer_norm"] = fusions.skip_norms(net)
    if given.patches == "product":
        counts["patches"] = fusions.patches(net)
    return counts


def count(model: onnx.ModelProto, op: str) -> int:
    return sum(node.op_type == op for node in model.graph.node)


def optimise(given: argparse.Namespace) -> dict:
    named = sizes(given)
    model = load(given.input)
    fix_dimensions(model, given.batch, named)
    norms = count(model, "LayerNormalization")
    with tempfile.TemporaryDirectory() as folder:
        model = folded(lifted(model), folder)
        if given.batch is None:
            model = with_plain_reshapes(model, folder)
    net = Net(model)
    counts = {"layer_norm": max(0, count(model, "LayerNormalization") - norms)} | rewrite(net, given)
    kept = to_half(net, given.half_io) if given.precision == "fp16" else []
    model = net.finish()
    save_whole(model, given.output)
    return {"fused": counts, "kept_fp32": kept, "nodes": len(model.graph.node)}


def save_whole(model: onnx.ModelProto, path: Path) -> None:
    """After ONNX Runtime has read it, beside and then renamed."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    data = model.SerializeToString()
    onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    beside = path.with_name(path.name + ".new")
    try:
        beside.write_bytes(data)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def main() -> int:
    given = arguments()
    return report(lambda: optimise(given))


if __name__ == "__main__":
    sys.exit(main())
