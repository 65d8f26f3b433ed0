"""An ONNX graph being rewritten: who makes a tensor, who uses it, what is constant, which shape it has.

A rewrite adds nodes that make a tensor in place of the node that made it; what nobody uses any more goes with clean().
"""

from collections import defaultdict
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors_file import ModelError

CONTRIB = "com.microsoft"  # ONNX Runtime's own operators
MOST_BYTES = 2**31 - 1  # of one protobuf message


def load(path: Path) -> onnx.ModelProto:
    """With its external data, which must lie in the model's folder. ModelError: says what is wrong with it."""
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's errors share no base with a name
        raise ModelError(f"{path} is no ONNX model: {error}") from error
    if not model.graph.node or not model.graph.output:
        raise ModelError(f"{path} is no ONNX model: its graph is empty")
    check_external(path, model.graph)
    try:
        onnx.external_data_helper.load_external_data_for_model(model, str(path.parent))
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise ModelError(f"{path}: its external data cannot be read: {error}") from error
    if model.ByteSize() > MOST_BYTES:
        raise ModelError(f"{path} has more than 2 GB of weights")
    return model


def check_external(path: Path, graph: onnx.GraphProto) -> None:
    """External data must lie in the model's folder or below, and links may not lead out of it."""
    folder = path.parent.resolve()
    for tensor in tensors_of(graph):
        for entry in tensor.external_data:
            if entry.key != "location":
                continue
            place = Path(entry.value)
            if place.is_absolute() or ".." in place.parts or not (folder / place).resolve().is_relative_to(folder):
                raise ModelError(f"{path}: the external data {entry.value!r} lies outside the model's folder")
            if not (folder / place).is_file():
                raise ModelError(f"{path}: the external data {entry.value!r} is missing")


def tensors_of(graph: onnx.GraphProto):
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from ([attribute.t] if attribute.HasField("t") else [])
            yield from attribute.tensors
            for inner in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
                yield from tensors_of(inner)


def subgraphs(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    return [graph for attribute in node.attribute for graph in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]]


def used_in(graph: onnx.GraphProto) -> set[str]:
    """Names that a subgraph and those inside it read."""
    names = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    return names.union(*(used_in(inner) for node in graph.node for inner in subgraphs(node)))


class Net:
    def __init__(self, model: onnx.ModelProto):
        self.model, self.graph = model, model.graph
        self.count = 0
        if explicit_shapes(model):
            del model.graph.value_info[:]
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
        self.kinds, self.shapes = {}, {}
        for value in [*inferred.input, *inferred.value_info, *inferred.output]:
            self._note(value)
        for tensor in self.graph.initializer:
            self.kinds[tensor.name], self.shapes[tensor.name] = tensor.data_type, list(tensor.dims)
        self.index()

    def _note(self, value: onnx.ValueInfoProto) -> None:
        kind = value.type.tensor_type
        self.kinds[value.name] = kind.elem_type
        if kind.HasField("shape"):
            self.shapes[value.name] = [d.dim_value if d.HasField("dim_value") else d.dim_param or None for d in kind.shape.dim]

    def index(self) -> None:
        self.makers = {name: node for node in self.graph.node for name in node.output if name}
        self.users = defaultdict(list)
        for node in self.graph.node:
            for name in {*node.input, *(name for inner in subgraphs(node) for name in used_in(inner))}:
                if name:
                    self.users[name].append(node)
        self.constants = {tensor.name: tensor for tensor in self.graph.initializer}
        self.results = {value.name for value in self.graph.output}

    @property
    def opset(self) -> int:
        return next((entry.version for entry in self.model.opset_import if entry.domain in ("", "ai.onnx")), 1)

    # What is there

    def maker(self, name: str, *ops: str) -> onnx.NodeProto | None:
        """The node that makes it, if it is one of `ops` of ONNX itself or of ONNX Runtime."""
        node = self.makers.get(name)
        return node if node is not None and (not ops or node.op_type in ops) and node.domain in ("", "ai.onnx", CONTRIB) else None

    def user(self, name: str, *ops: str) -> onnx.NodeProto | None:
        """The only node that uses it, if it is one of `ops`."""
        users = self.users[name]
        return users[0] if len(users) == 1 and name not in self.results and users[0].op_type in ops else None

    def only(self, name: str) -> bool:
        """Whether one node uses it and nobody else sees it."""
        return len(self.users[name]) == 1 and name not in self.results

    def value(self, name: str) -> np.ndarray | None:
        tensor = self.constants.get(name)
        return None if tensor is None else numpy_helper.to_array(tensor)

    def scalar(self, name: str) -> float | None:
        value = self.value(name)
        return float(value.reshape(-1)[0]) if value is not None and value.size == 1 else None

    def shape(self, name: str) -> list | None:
        return self.shapes.get(name)

    def last(self, name: str) -> int | None:
        """The size of the last dimension, where it is a number."""
        shape = self.shape(name)
        return shape[-1] if shape and isinstance(shape[-1], int) else None

    def split_operand(self, node: onnx.NodeProto) -> tuple[str, float] | None:
        """Of a product or sum of two: the one that is no number, and the number."""
        for x, other in (node.input, reversed(node.input)):
            if (number := self.scalar(other)) is not None:
                return x, number
        return None

    # What is added

    def constant(self, array: np.ndarray, name: str = "constant") -> str:
        tensor = numpy_helper.from_array(np.ascontiguousarray(array).reshape(np.shape(array)), self.fresh(name))
        self.graph.initializer.append(tensor)
        self.constants[tensor.name] = tensor
        self.kinds[tensor.name], self.shapes[tensor.name] = tensor.data_type, list(tensor.dims)
        return tensor.name

    def fresh(self, name: str) -> str:
        while True:
            self.count += 1
            if (found := f"{name}_{self.count}") not in self.kinds and found not in self.makers:
                return found

    def add(self, op: str, inputs: list[str], output: str | list[str] | None = None, domain: str = "", kind: int = TensorProto.FLOAT,
            shape: list | None = None, **attributes) -> str:  # fmt: skip
        """A node; it takes over the name `output`, or gets one of its own. Its first output."""
        names = [output] if isinstance(output, str) else output or [self.fresh(op.lower())]
        for name in names:
            if (old := self.makers.get(name)) is not None:
                old.output[list(old.output).index(name)] = self.fresh("unused")
            elif name:
                self.kinds.setdefault(name, kind)
                if shape is not None:
                    self.shapes.setdefault(name, shape)
        node = helper.make_node(op, inputs, names, name=self.fresh(f"{op}_"), domain=domain, **attributes)
        self.graph.node.append(node)
        self.makers |= {name: node for name in names if name}
        return names[0]

    def clean(self) -> None:
        """Drops nodes and constants that nothing needs, and puts the rest in order."""
        makers = {name: node for node in self.graph.node for name in node.output if name}
        ordered, seen, stack = [], set(), [(makers[name], False) for name in sorted(self.results, reverse=True) if name in makers]
        while stack:
            node, ready = stack.pop()
            if ready:
                ordered.append(node)
                continue
            if id(node) in seen:
                continue
            seen.add(id(node))
            stack.append((node, True))
            needed = [*node.input, *(name for inner in subgraphs(node) for name in sorted(used_in(inner)))]
            stack += [(makers[name], False) for name in needed if name in makers and id(makers[name]) not in seen]
        kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in ordered]
        used = self.results.union(*(node.input for node in kept), *(used_in(inner) for node in kept for inner in subgraphs(node)))
        weights = [tensor for tensor in self.graph.initializer if tensor.name in used]
        del self.graph.node[:]
        self.graph.node.extend(kept)
        if len(weights) != len(self.graph.initializer):
            weights = [TensorProto.FromString(tensor.SerializeToString()) for tensor in weights]
            del self.graph.initializer[:]
            self.graph.initializer.extend(weights)
        self.index()

    def finish(self) -> onnx.ModelProto:
        """The model with what it imports, and nothing that describes tensors that are gone."""
        self.clean()
        del self.graph.value_info[:]
        domains = {node.domain for node in self.graph.node} | {node.domain for n in self.graph.node for g in subgraphs(n) for node in g.node}
        kept = [entry for entry in self.model.opset_import if entry.domain in ("", "ai.onnx") or entry.domain in domains]
        if CONTRIB in domains and all(entry.domain != CONTRIB for entry in kept):
            kept.append(helper.make_opsetid(CONTRIB, 1))
        kept = [helper.make_opsetid(entry.domain, entry.version) for entry in kept]
        del self.model.opset_import[:]
        self.model.opset_import.extend(kept)
        return self.model


def explicit_shapes(model: onnx.ModelProto) -> bool:
    """Writes the size that a Reshape's −1 stands for where all is known: shape inference does not go on behind some of them."""
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    known = {value.name: [d.dim_value for d in value.type.tensor_type.shape.dim] for value in [*graph.input, *graph.value_info]}
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    changed = False
    for node in model.graph.node:
        if node.op_type != "Reshape" or node.input[1] not in constants:
            continue
        before, wanted = known.get(node.input[0]), numpy_helper.to_array(constants[node.input[1]]).tolist()
        if not before or 0 in before or 0 in wanted or wanted.count(-1) != 1:
            continue
        rest = -int(np.prod(wanted))
        wanted[wanted.index(-1)] = int(np.prod(before)) // rest
        name = f"{node.output[0]}_shape"
        if name not in constants:
            constants[name] = numpy_helper.from_array(np.array(wanted, np.int64), name)
            model.graph.initializer.append(constants[name])
        node.input[1] = name
        changed = True
    return changed


def attribute(node: onnx.NodeProto, name: str, otherwise=None):
    return next((helper.get_attribute_value(entry) for entry in node.attribute if entry.name == name), otherwise)
