"""The half-precision copy of a graph, in which what needs the range or the digits of fp32 keeps them."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from onnx_edit import Net, attribute, subgraphs, used_in

FULL, HALF = TensorProto.FLOAT, TensorProto.FLOAT16
LARGEST = float(np.finfo(np.float16).max)
SMALLEST = 2.0**-24  # what fp16 holds above zero

# Computed in fp32: indices and places, whose rounding moves them; sums over many; what the CUDA provider has no half kernel
# for. Norms, softmaxes and attentions take halves and add up in fp32 inside their kernels.
KEPT = frozenset("CumSum GridSample NonMaxSuppression Range ReduceProd ReduceSumSquare ReduceL2 Resize RoiAlign ScatterND "
                 "ScatterElements TopK Upsample Einsum RandomNormal RandomUniform RandomNormalLike RandomUniformLike "
                 "ConstantOfShape QuantizeLinear DequantizeLinear LSTM GRU RNN LpNormalization".split())  # fmt: skip
# What an output's last part may consist of, which is computed in fp32: boxes in pixels need more digits than fp16 has.
TAIL = frozenset("Add Sub Mul Div Neg Exp Log Pow Sqrt Sigmoid Softmax Clip Min Max Reshape Transpose Concat Split Slice Squeeze "
                 "Unsqueeze Expand Gather Identity ReduceSum Relu Where".split())  # fmt: skip
MOVES = frozenset("Reshape Transpose Concat Split Slice Squeeze Unsqueeze Expand Gather Identity".split())
FIXED_INPUTS = {"Resize": {1, 2}, "Upsample": {1}}  # of whatever type the others are


def to_half(net: Net, io_too: bool) -> list[str]:
    """Changes the graph; the kinds of nodes that stay in fp32, sorted."""
    full = kept_nodes(net)
    kinds = {name: kind for name, kind in net.kinds.items()}
    inputs = [value.name for value in net.graph.input]
    # What a tensor is once all is done: inputs and outputs keep their names and, unless io_too, their type.
    homes = {name: HALF if io_too else FULL for name in [*inputs, *net.results] if kinds.get(name) == FULL}
    for node in net.graph.node:
        for name in node.output:
            if name and kinds.get(name) == FULL:
                homes.setdefault(name, FULL if id(node) in full else HALF)
    made, nodes, weights = {}, [], {}

    def as_kind(name: str, kind: int) -> str:
        """The tensor in that type."""
        if name in net.constants:
            key = (name, kind)
            if key not in weights:
                weights[key] = converted(net.constants[name], kind)
            return weights[key].name
        if homes[name] == kind:
            return name
        if (name, kind) not in made:
            made[name, kind] = net.fresh(f"{name}_{'half' if kind == HALF else 'full'}")
            nodes.append(helper.make_node("Cast", [name], [made[name, kind]], name=net.fresh("Cast_"), to=kind))
        return made[name, kind]

    for node in list(net.graph.node):
        kind = FULL if id(node) in full else HALF
        for i, name in enumerate(node.input):
            if name and kinds.get(name) == FULL and i not in FIXED_INPUTS.get(node.op_type, ()):
                node.input[i] = as_kind(name, kind)
        if node.op_type == "Cast" and attribute(node, "to") == FULL and homes.get(node.output[0]) == HALF:
            set_attribute(node, "to", HALF)
        later = []
        if node.op_type != "Cast":
            for i, name in enumerate(node.output):
                if name and kinds.get(name) == FULL and homes[name] != kind:
                    # An output of the graph in another type than its node: the node's result gets another name.
                    node.output[i] = made[name, kind] = net.fresh(f"{name}_{'half' if kind == HALF else 'full'}")
                    later.append(helper.make_node("Cast", [node.output[i]], [name], name=net.fresh("Cast_"), to=homes[name]))
        nodes += [node, *later]
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del net.graph.node[:]
    net.graph.node.extend(copies)
    net.graph.initializer.extend(tensor for (name, _), tensor in weights.items() if tensor.name != name)
    for value in [*net.graph.input, *net.graph.output]:
        if value.name in homes:
            value.type.tensor_type.elem_type = homes[value.name]
    net.clean()
    return sorted({node.op_type for node in net.graph.node if node.op_type in {n.op_type for n in nodes if id(n) in full} and node.op_type not in MOVES})


def converted(tensor: TensorProto, kind: int) -> TensorProto:
    if kind == FULL:
        return tensor
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), f"{tensor.name}_half")


def set_attribute(node, name: str, value: int) -> None:
    next(entry for entry in node.attribute if entry.name == name).i = value


def kept_nodes(net: Net) -> set[int]:
    """The ids of the nodes that compute in fp32."""
    captured = {name for node in net.graph.node for inner in subgraphs(node) for name in used_in(inner)}
    full = {id(node) for node in net.graph.node
            if node.op_type in KEPT or subgraphs(node) or captured.intersection(node.output) or not fits(net, node)}  # fmt: skip
    return full | tails(net) | boxes(net)


def fits(net: Net, node) -> bool:
    """Whether fp16 can hold its constants: no number overflows, no small one that is not zero vanishes in a scalar."""
    for name in node.input:
        tensor = net.constants.get(name)
        if tensor is None or tensor.data_type != FULL:
            continue
        value = np.abs(numpy_helper.to_array(tensor))
        finite = value[np.isfinite(value)]
        if finite.size and (finite.max() > LARGEST or (value.size == 1 and 0 < finite.max() < SMALLEST)):
            return False
    return True


def tails(net: Net) -> set[int]:
    """From each output, and each place where boxes are refined, upwards as far as there is only arithmetic; not where nothing
    is computed."""
    result = set()
    refined = boxes(net)
    for start in [*net.results, *(node.output[0] for node in net.graph.node if id(node) in refined)]:
        found, stack, counts = set(), [start], False
        while stack:
            node = net.makers.get(stack.pop())
            if node is None or id(node) in found or net.kinds.get(node.output[0]) != FULL or not is_arithmetic(net, node):
                continue
            found.add(id(node))
            counts |= node.op_type not in MOVES
            stack += [name for name in node.input if name]
        result |= found if counts else set()
    return result


def is_arithmetic(net: Net, node) -> bool:
    """A weighted sum with one vector, as that over the bins of a distance, is."""
    weights = net.constants.get(node.input[1]) if node.op_type == "MatMul" else None
    return node.op_type in TAIL or (weights is not None and (len(weights.dims) == 1 or weights.dims[-1] == 1))


def boxes(net: Net) -> set[int]:
    """Arithmetic on four numbers an item, as boxes and references are refined."""
    return {id(node) for node in net.graph.node
            if node.op_type in TAIL and net.kinds.get(node.output[0]) == FULL and net.last(node.output[0]) == 4
            and len(net.shape(node.output[0])) == 3}  # fmt: skip
