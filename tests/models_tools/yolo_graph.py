"""Writes a small detector of the form that Ultralytics exports: [1, 3, edge, edge] → [1, 4 + classes, n]."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

STRIDES = (8, 16, 32)


def cells(edge: int) -> int:
    return sum((edge // stride) ** 2 for stride in STRIDES)


def yolo(path: Path, edge: int = 64, classes: int = 3, batch: int | str = 1, metadata: dict | None = None, fixed_inside: bool = False,
         raw: bool = False, transposed: bool = False, outputs: int = 1, dtype: int = TensorProto.FLOAT) -> Path:  # fmt: skip
    """`batch` is the declared one; `fixed_inside`: something beyond Reshape also holds it to one."""
    random = np.random.default_rng(5)
    rows, nodes, weights, maps = 4 + classes, [], [], []

    def constant(name: str, array) -> str:
        weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    first = constant("first", np.array([1 if isinstance(batch, int) else 0, rows, -1], np.int64))
    for stride in STRIDES:
        kernel = constant(f"kernel_{stride}", (random.standard_normal((rows, 3, stride, stride)) / stride).astype(np.float32))
        nodes.append(helper.make_node("Conv", ["images", kernel], [f"conv_{stride}"], strides=[stride, stride], kernel_shape=[stride, stride]))
        nodes.append(helper.make_node("Reshape", [f"conv_{stride}", first], [f"flat_{stride}"]))
        maps.append(f"flat_{stride}")
    nodes.append(helper.make_node("Concat", maps, ["all"], axis=2))
    nodes.append(helper.make_node("Split", ["all", constant("parts", np.array([4, classes], np.int64))], ["boxes", "scores"], axis=1))
    nodes.append(helper.make_node("Mul", ["boxes", constant("scale", np.float32(edge))], ["scaled"]))
    nodes.append(helper.make_node("Identity" if raw else "Sigmoid", ["scores"], ["probabilities"]))
    last = "joined" if fixed_inside or transposed else "output0"
    nodes.append(helper.make_node("Concat", ["scaled", "probabilities"], [last], axis=1))
    shape = [batch, rows, cells(edge)]
    if transposed:
        nodes.append(helper.make_node("Transpose", [last], ["output0"], perm=[0, 2, 1]))
        shape = [batch, cells(edge), rows]
    elif fixed_inside:
        nodes.append(helper.make_node("Split", [last, constant("one", np.array([1], np.int64))], ["output0"], axis=0))
    values = [helper.make_tensor_value_info("output0", TensorProto.FLOAT, shape)]
    for i in range(1, outputs):
        nodes.append(helper.make_node("Identity", ["all"], [f"output{i}"]))
        values.append(helper.make_tensor_value_info(f"output{i}", TensorProto.FLOAT, shape))
    picture = helper.make_tensor_value_info("images", dtype, [batch, 3, edge, edge])
    model = helper.make_model(helper.make_graph(nodes, "net", [picture], values, weights), opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for key, value in (metadata or {}).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, str(value)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path
