"""Writes transformers as ONNX graphs, and their int8 variants. The bytes depend on the input alone."""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSETS = range(14, 23)


@dataclass(frozen=True)
class Linear:
    weight: np.ndarray  # [in, out]
    bias: np.ndarray | None = None


@dataclass(frozen=True)
class Norm:
    weight: np.ndarray
    bias: np.ndarray
    epsilon: float


class Graph:
    def __init__(self, opset: int):
        self.opset = opset
        self.nodes, self.initializers = [], []

    def emit(self, op: str, inputs: list[str], outputs: int = 1, **attributes):
        """The name of its output, or a list of several."""
        label = f"{op.lower()}_{len(self.nodes)}"
        names = [label] if outputs == 1 else [f"{label}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name=label, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, array: np.ndarray) -> str:
        name = f"constant_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def linear(self, x: str, layer: Linear) -> str:
        y = self.emit("MatMul", [x, self.constant(layer.weight)])
        return y if layer.bias is None else self.emit("Add", [y, self.constant(layer.bias)])

    def norm(self, x: str, norm: Norm) -> str:
        weight, bias = self.constant(norm.weight), self.constant(norm.bias)
        if self.opset >= 17:
            return self.emit("LayerNormalization", [x, weight, bias], axis=-1, epsilon=norm.epsilon)
        centred = self.emit("Sub", [x, self.emit("ReduceMean", [x], axes=[-1])])
        square = self.emit("Pow", [centred, self.constant(np.float32(2))])
        variance = self.emit("Add", [self.emit("ReduceMean", [square], axes=[-1]), self.constant(np.float32(norm.epsilon))])
        unit = self.emit("Div", [centred, self.emit("Sqrt", [variance])])
        return self.emit("Add", [self.emit("Mul", [unit, weight]), bias])

    def activation(self, x: str, kind: str) -> str:
        if kind == "quick_gelu":
            return self.emit("Mul", [x, self.emit("Sigmoid", [self.emit("Mul", [x, self.constant(np.float32(1.702))])])])
        erf = self.emit("Erf", [self.emit("Div", [x, self.constant(np.float32(np.sqrt(2)))])])
        return self.emit("Mul", [self.emit("Mul", [x, self.emit("Add", [erf, self.constant(np.float32(1))])]),
                                 self.constant(np.float32(0.5))])  # fmt: skip

    def attention(self, x: str, qkv: Linear, output: Linear, heads: int, mask: str | None) -> str:
        """`x` [batch, tokens, width]; `qkv` gives queries, keys, values beside each other; `mask` is added to the scores."""
        width = qkv.weight.shape[0]
        scale = np.ones(3 * width, np.float32)
        scale[:width] = (width // heads) ** -0.5
        parts = self.emit("Split", [self.linear(x, Linear(qkv.weight * scale, qkv.bias * scale)), self.ints(width, width, width)],
                          outputs=3, axis=-1)  # fmt: skip
        by_head = self.ints(0, 0, heads, width // heads)
        orders = ((0, 2, 1, 3), (0, 2, 3, 1), (0, 2, 1, 3))
        queries, keys, values = (
            self.emit("Transpose", [self.emit("Reshape", [part, by_head])], perm=order) for part, order in zip(parts, orders)
        )
        scores = self.emit("MatMul", [queries, keys])
        if mask is not None:
            scores = self.emit("Add", [scores, mask])
        mixed = self.emit("MatMul", [self.emit("Softmax", [scores], axis=-1), values])
        flat = self.emit("Reshape", [self.emit("Transpose", [mixed], perm=(0, 2, 1, 3)), self.ints(0, 0, width)])
        return self.linear(flat, output)

    def model(self, inputs: dict[str, tuple], result: str, name: str, shape: list) -> onnx.ModelProto:
        """`inputs`: name → (ONNX type, shape)."""
        self.nodes.append(helper.make_node("Identity", [result], [name], name="result"))
        values = [helper.make_tensor_value_info(key, kind, dims) for key, (kind, dims) in inputs.items()]
        output = helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        graph = helper.make_graph(self.nodes, "model", values, [output], self.initializers)
        opsets = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(graph, opset_imports=opsets, producer_name="image-engine")
        model.ir_version = helper.find_min_ir_version_for(opsets)
        onnx.checker.check_model(model, full_check=True)
        return model


def quantised(matrix: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """int8, and the scale of what `axis` runs through: 0 of each column, flat; 1 of each row, [rows, 1]."""
    scale = np.maximum(np.abs(matrix).max(axis, keepdims=axis == 1), 1e-12).astype(np.float32) / np.float32(127)
    return np.clip(np.rint(matrix / scale), -127, 127).astype(np.int8), scale


def int8_variant(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same with constant matrices in int8: by column where something is multiplied with them, by row where rows are taken.

    Products are in the pattern that ONNX Runtime's own dynamic quantisation writes and its optimiser knows.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    used = [name for node in model.graph.node for name in node.input]
    nodes, added, gone, rounded = [], [], set(), {}
    for node in model.graph.node:
        place = {"MatMul": 1, "Gather": 0}.get(node.op_type)
        matrix = constants.get(node.input[place]) if place is not None else None
        if matrix is None or len(matrix.dims) != 2 or matrix.data_type != TensorProto.FLOAT:
            nodes.append(node)
            continue
        name, y = matrix.name, node.output[0]
        if used.count(name) == 1:
            gone.add(name)
        values, scale = quantised(numpy_helper.to_array(matrix), axis=0 if place == 1 else 1)
        added += [numpy_helper.from_array(values, f"{name}_int8"), numpy_helper.from_array(scale, f"{name}_scale")]
        if place == 0:
            whole, factor = f"{y}_whole", f"{y}_scale"
            nodes += [helper.make_node("Gather", [f"{name}_int8", node.input[1]], [whole], name=f"{y}_rows"),
                      helper.make_node("Gather", [f"{name}_scale", node.input[1]], [factor], name=f"{y}_scales")]  # fmt: skip
        else:
            x, whole, factor = node.input[0], f"{y}_whole", f"{y}_scale"
            if x not in rounded:
                rounded[x] = [f"{x}_{part}" for part in ("int8", "scale", "zero")]
                nodes.append(helper.make_node("DynamicQuantizeLinear", [x], rounded[x], name=f"{x}_quantise"))
            added.append(numpy_helper.from_array(np.zeros((), np.int8), f"{name}_zero"))
            product = [rounded[x][0], f"{name}_int8", rounded[x][2], f"{name}_zero"]
            nodes += [helper.make_node("MatMulInteger", product, [whole], name=f"{y}_product"),
                      helper.make_node("Mul", [rounded[x][1], f"{name}_scale"], [factor], name=f"{y}_scales")]  # fmt: skip
        nodes += [helper.make_node("Cast", [whole], [f"{y}_float"], name=f"{y}_cast", to=TensorProto.FLOAT),
                  helper.make_node("Mul", [f"{y}_float", factor], [y], name=f"{y}_scaled")]  # fmt: skip
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.node[:], result.graph.initializer[:]
    result.graph.node.extend(nodes)
    result.graph.initializer.extend([tensor for name, tensor in constants.items() if name not in gone] + added)
    onnx.checker.check_model(result, full_check=True)
    return result
