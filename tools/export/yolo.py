"""Takes a detector's ONNX file of Ultralytics' own export (YOLOv8, YOLO11 and the like) and writes yolo_fp32.onnx,
`pixel_values` → `predictions` [batch, 4 + classes, n], with any batch where the graph lets itself be changed, and a spec.

A .pt file is refused: it is a pickle, which runs what its maker wrote into it. The new file is run beside the one given.

usage: yolo.py --from FILE.onnx [--output FOLDER]
"""

import ast
import copy
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from export_files import LARGEST_EDGE, ModelError, difference, ended, model_name, parser, probes, run, within, write_all

NAME = "yolo_fp32.onnx"
INPUT, OUTPUT = "pixel_values", "predictions"
STRIDES = (8, 16, 32)
PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl")
EDGE = 640  # where neither the graph nor its metadata says
GREY = 114  # Ultralytics' padding


def read(path: Path) -> onnx.ModelProto:
    if path.suffix.lower() in PICKLES:
        raise ModelError(f"{path} is a pickle, which is not read: it could run anything; where you trust it, `image-engine models add "
                         f"{path.name} --trust`, or Ultralytics' own tool, `yolo export model={path.name} format=onnx dynamic=True`")  # fmt: skip
    if path.suffix.lower() != ".onnx":
        raise ModelError(f"{path} is no .onnx file")
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf's own kinds among them
        raise ModelError(f"{path} is no sound ONNX file: {error}") from error
    return model


def literal(told: dict, key: str, kind: type):
    """An entry of the file's metadata that Ultralytics writes as a Python literal; None where it is not there or is no such."""
    try:
        value = ast.literal_eval(told.get(key, "None"))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, kind) else None


def shape(value: onnx.ValueInfoProto) -> list:
    """Numbers; None where any will do."""
    return [dim.dim_value if dim.HasField("dim_value") else None for dim in value.type.tensor_type.shape.dim]


def input_size(model: onnx.ModelProto, told: dict) -> tuple[int, int]:
    """Height, width."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    dims = shape(inputs[0]) if len(inputs) == 1 else []
    if len(dims) != 4 or dims[1] not in (3, None) or inputs[0].type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        raise ModelError("the file does not take one picture [batch, 3, height, width] of float32")
    said = literal(told, "imgsz", (list, tuple)) or ()
    said = said if len(said) == 2 and all(isinstance(edge, int) for edge in said) else (EDGE, EDGE)
    height, width = (dims[i] or said[i - 2] for i in (2, 3))
    if any(edge % STRIDES[-1] != 0 or not STRIDES[-1] <= edge <= LARGEST_EDGE for edge in (height, width)):
        raise ModelError(f"the input is {width} × {height}; multiples of {STRIDES[-1]} up to {LARGEST_EDGE} are taken")
    return height, width


def class_count(output: np.ndarray, height: int, width: int) -> int:
    cells = sum((height // stride) * (width // stride) for stride in STRIDES)
    got = list(output.shape)
    if len(got) == 3 and got[2] == 6:
        raise ModelError(f"the output {got} is of an export with suppression in it; export with nms=False end2end=False")
    if len(got) != 3 or got[2] != cells or got[1] < 5:
        raise ModelError(f"the output {got} is not a detector's [batch, 4 + classes, {cells}]")
    scores = output[:, 4:]
    if not np.isfinite(output).all() or scores.min() < 0 or scores.max() > 1:
        raise ModelError("the scores are not within 0…1: this is not Ultralytics' detector")
    return got[1] - 4


def rename(model: onnx.ModelProto) -> None:
    weights = {tensor.name for tensor in model.graph.initializer}
    (old_in,) = (value.name for value in model.graph.input if value.name not in weights)
    names = {old_in: INPUT, model.graph.output[0].name: OUTPUT}
    taken = {name for node in model.graph.node for name in (*node.input, *node.output)} - set(names)
    if taken & {INPUT, OUTPUT}:
        raise ModelError(f"the graph has a {INPUT} or {OUTPUT} of its own inside")
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        value.name = names.get(value.name, value.name)
    for node in model.graph.node:
        for at in (node.input, node.output):
            at[:] = [names.get(name, name) for name in at]


def with_any_batch(model: onnx.ModelProto) -> onnx.ModelProto:
    """Reshapes to [1, …] become ones to [as it comes, …]; whether that was right is for the caller to try."""
    changed = copy.deepcopy(model)
    graph = changed.graph
    targets = {node.input[1] for node in graph.node if node.op_type == "Reshape"}
    tensors = [tensor for tensor in graph.initializer if tensor.name in targets]
    tensors += [node.attribute[0].t for node in graph.node if node.op_type == "Constant" and node.output[0] in targets and node.attribute[0].HasField("t")]
    for tensor in tensors:
        wanted = numpy_helper.to_array(tensor).copy()
        if wanted.ndim == 1 and wanted.size > 1 and wanted[0] == 1:
            wanted[0] = 0
            tensor.CopyFrom(numpy_helper.from_array(wanted, tensor.name))
    for value in (next(value for value in graph.input if value.name == INPUT), graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    del graph.value_info[:]
    return changed


def batches(model: onnx.ModelProto, pictures: np.ndarray, singles: np.ndarray) -> bool:
    """Whether the model gives for two pictures at once what it gives for each."""
    try:
        (both,) = run(model, {INPUT: pictures})
    except Exception:  # ONNX Runtime has its own kinds
        return False
    return both.shape == singles.shape and difference(both, singles) <= 1e-3


def class_names(told: dict, count: int) -> list[str]:
    names = literal(told, "names", dict) or {}
    if sorted(names, key=str) == sorted(range(count), key=str):
        return [str(names[i]) for i in range(count)]
    everyday = Path(__file__).resolve().parents[2] / "config/labels/coco80.txt"
    if count == 80 and everyday.is_file():
        return everyday.read_text(encoding="utf-8").splitlines()
    return [f"class {i}" for i in range(count)]


def export(given) -> None:
    original = read(given.source)
    told = {entry.key: entry.value for entry in original.metadata_props}
    if told.get("task", "detect") != "detect":
        raise ModelError(f"{given.source} is for the task {told['task']!r}; detectors are taken")
    if len(original.graph.output) != 1:
        raise ModelError(f"{given.source} has {len(original.graph.output)} outputs; a detector of Ultralytics has one")
    height, width = input_size(original, told)
    source = next(value.name for value in original.graph.input if value.name not in {tensor.name for tensor in original.graph.initializer})
    pictures = probes(width, height, [0.0] * 3, [1.0] * 3)[0][:2]
    wanted = np.concatenate([run(original, {source: picture[None]})[0] for picture in pictures])
    classes = class_count(wanted, height, width)
    model = copy.deepcopy(original)
    rename(model)
    dynamic = batches(model, pictures, wanted)
    if not dynamic and batches(changed := with_any_batch(model), pictures, wanted):
        model, dynamic = changed, True
    worst = within(max(difference(run(model, {INPUT: picture[None]})[0], single[None]) for picture, single in zip(pictures, wanted)))
    labels = class_names(told, classes)
    licence = {"licence": {"name": told["license"].split(" ")[0], "permissive": False, "notice": told["license"]}} if told.get("license") else {}
    place = {"name": INPUT, "width": width, "height": height, "fit": "letterbox", "pad": [GREY] * 3, "order": "rgb", "deviation": [255] * 3}
    entry = {"title": f"yolo of your own, from {given.source.name}", "task": "objects", "input": place, "outputs": [OUTPUT], "head": "yolo", "labels": labels}
    write_all(given.output, NAME, model, model_name(given.source), entry | licence)
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    print(f"{NAME}\t{width} × {height}, {classes} classes, {'any batch' if dynamic else 'one picture at a time'}, opset {opset}, "
          f"within {worst:.1e} of the file given on 2 random pictures; spec.yaml beside it")  # fmt: skip


if __name__ == "__main__":
    sys.exit(ended(export, parser(__doc__).parse_args()))
