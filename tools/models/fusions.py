"""Rewrites of an fp32 graph into the operators that ONNX Runtime's CUDA provider has fast kernels for.

Each returns how many places it found, and leaves what it does not know as it is. Those marked CONTRIB use operators of ONNX
Runtime's own; the others keep to ONNX.
"""

import math

import numpy as np
from onnx_edit import CONTRIB, Net, attribute

NEAR = 1e-3  # relative, of constants written as decimals


def near(value: float | None, wanted: float) -> bool:
    return value is not None and abs(value - wanted) <= NEAR * abs(wanted)


# Rows


ROWWISE = frozenset("Add Sub Mul Div MatMul LayerNormalization Sigmoid Erf Gelu Relu Tanh Identity".split())


def early_rows(net: Net) -> int:
    """Where one row of each picture is taken at the end (a class token), what is computed row by row before it is computed of
    that row alone."""
    found = 0
    for pick in [node for node in net.graph.node if node.op_type == "Gather"]:
        shape, row = net.shape(pick.input[0]), net.value(pick.input[1])
        if attribute(pick, "axis", 0) != 1 or row is None or row.size != 1 or not shape or len(shape) != 3:
            continue
        region = region_above(net, pick, shape[:2])
        outputs = {name for node in region for name in node.output}
        if not any(node.op_type == "MatMul" for node in region):
            continue
        index, taken = net.constant(row.reshape(1).astype(np.int64), "row"), {}
        for node in region:
            for i, name in enumerate(node.input):
                if name in outputs or len(net.shape(name) or []) != 3 or net.shape(name)[:2] != shape[:2]:
                    continue
                if name not in taken:
                    taken[name] = net.add("Gather", [name, index], axis=1, shape=[shape[0], 1, net.shape(name)[2]])
                node.input[i] = taken[name]
        for name in outputs:
            net.shapes[name] = [shape[0], 1, *net.shape(name)[2:]]
        if row.ndim == 0:
            net.add("Squeeze", [pick.input[0], net.constant(np.array([1], np.int64), "axes")], pick.output[0])
        else:
            net.add("Identity", [pick.input[0]], pick.output[0])
        found += 1
        net.clean()
    return found


def region_above(net: Net, pick, rows: list) -> list:
    """The nodes whose results reach only `pick`, and take each row by itself."""
    region, ids = [], {id(pick)}
    for node in reversed(net.graph.node):
        name = node.output[0]
        if node.op_type not in ROWWISE or name in net.results or len(node.output) != 1 or not net.users[name]:
            continue
        if (net.shape(name) or [])[:2] != rows or not all(id(user) in ids for user in net.users[name]):
            continue
        if all(by_row(net, node, i, rows) for i in range(len(node.input))):
            region.append(node)
            ids.add(id(node))
    return region


def by_row(net: Net, node, i: int, rows: list) -> bool:
    shape = net.shape(node.input[i])
    if shape is None:
        return False
    if len(shape) == 3 and shape[:2] == rows and node.input[i] not in net.constants:
        return not (node.op_type == "MatMul" and i == 1)
    if node.op_type == "MatMul":
        return i == 1 and len(shape) == 2 and node.input[i] in net.constants
    if node.op_type == "LayerNormalization":
        return i > 0 and attribute(node, "axis", -1) in (-1, 2)
    return len(shape) <= 1 and node.input[i] in net.constants


# Norms


def skip_norms(net: Net) -> int:
    """CONTRIB: a sum and the norm of it in one, with the bias of the product that is summed."""
    found = 0
    for norm in [node for node in net.graph.node if node.op_type == "LayerNormalization"]:
        total = net.maker(norm.input[0], "Add")
        shape = net.shape(norm.input[0])
        if total is None or len(norm.input) < 3 or not shape or len(shape) != 3 or attribute(norm, "axis", -1) not in (-1, 2):
            continue
        if any(net.shape(name) != shape or name in net.constants for name in total.input):
            continue
        inputs = biased(net, list(total.input)) + [norm.input[1], norm.input[2]]
        bias = inputs.pop(2)
        outputs = [norm.output[0]]
        if not net.only(total.output[0]):
            outputs += ["", "", total.output[0]]
        net.add("SkipLayerNormalization", inputs + ([bias] if bias else []), outputs, CONTRIB, epsilon=attribute(norm, "epsilon", 1e-5))
        found += 1
    net.clean()
    return found


def biased(net: Net, operands: list[str]) -> list[str | None]:
    """The two operands and, where one is a product plus a vector that nobody else needs, that vector."""
    for i, name in enumerate(operands):
        taken = bias_of(net, name) if net.only(name) else None
        if taken is not None:
            return [*operands[:i], taken[0], *operands[i + 1 :], taken[1]]
    return [*operands, None]


def bias_of(net: Net, name: str) -> tuple[str, str] | None:
    """Of `product + vector`: both."""
    added = net.maker(name, "Add")
    for x, vector in (added.input, reversed(added.input)) if added is not None else ():
        shape = net.shape(vector) if vector in net.constants else None
        if shape is not None and len(shape) == 1 and shape[0] > 1 and net.maker(x, "MatMul") is not None and net.only(x):
            return x, vector
    return None


# Activations


def gelus(net: Net) -> int:
    """CONTRIB: x · (1 + erf(x / √2)) / 2 and x · σ(1.702 x), the former with the bias before it. σ(x) · x stays: a convolution's
    layout may change before the provider fuses it by itself."""
    found = 0
    for error in [node for node in net.graph.node if node.op_type == "Erf"]:
        parts = gelu_parts(net, error)
        if parts is None:
            continue
        x, result = parts
        taken = bias_of(net, x)
        if taken is not None:
            net.add("BiasGelu", list(taken), result, CONTRIB)
        else:
            net.add("Gelu", [x], result, CONTRIB)
        found += 1
    for sigmoid in [node for node in net.graph.node if node.op_type == "Sigmoid"]:
        scaled, product = net.maker(sigmoid.input[0], "Mul"), net.user(sigmoid.output[0], "Mul")
        x, factor = (net.split_operand(scaled) or (None, None)) if scaled is not None else (None, None)
        if product is not None and x is not None and near(factor, 1.702) and sorted(product.input) == sorted([x, sigmoid.output[0]]):
            net.add("QuickGelu", [x], product.output[0], CONTRIB, alpha=factor)
            found += 1
    net.clean()
    return found


def gelu_parts(net: Net, error) -> tuple[str, str] | None:
    scaled, plus = net.maker(error.input[0], "Div", "Mul"), net.user(error.output[0], "Add")
    if scaled is None or plus is None:
        return None
    x, factor = net.split_operand(scaled) or (None, None)
    wanted = math.sqrt(2) if scaled.op_type == "Div" else math.sqrt(0.5)
    if x is None or not near(factor, wanted) or not near((net.split_operand(plus) or (0, None))[1], 1):
        return None
    # The product of x, the sum and a half, in any order.
    factors, half, name = [x], 1.0, plus.output[0]
    for _ in range(2):
        product = net.user(name, "Mul")
        if product is None:
            return None
        other = next(input_ for input_ in product.input if input_ != name)
        number = net.scalar(other)
        if number is not None:
            half *= number
        elif other == x and factors:
            factors = []
        elif (made := net.maker(other, "Mul")) is not None and factors and (net.split_operand(made) or (None, 0))[0] == x:
            half *= net.split_operand(made)[1]
            factors = []
        else:
            return None
        name = product.output[0]
        if not factors and near(half, 0.5):
            return x, name
    return None


# Attention


def attentions(net: Net) -> int:
    """CONTRIB: softmax(q kᵀ · scale) v over heads, without a mask or with one that is all zeros."""
    found = 0
    for softmax in [node for node in net.graph.node if node.op_type == "Softmax"]:
        found += attention(net, softmax)
    net.clean()
    return found


def through(net: Net, name: str, scale: float) -> tuple[str, float]:
    """Upwards past factors, additions of zeros and changes of shape that keep the last two dimensions."""
    while True:
        node = net.maker(name, "Mul", "Div", "Add", "Reshape", "Identity")
        if node is None or not net.only(name):
            return name, scale
        if node.op_type == "Add":
            rest = [x for x in node.input if net.value(x) is None or np.any(net.value(x))]
            if len(rest) != 1:
                return name, scale
            name = rest[0]
        elif node.op_type in ("Mul", "Div"):
            number = net.scalar(node.input[1])
            x = node.input[0]
            if number is None and node.op_type == "Mul":
                number, x = net.scalar(node.input[0]), node.input[1]
            if not number:
                return name, scale
            name, scale = x, scale * number if node.op_type == "Mul" else scale / number
        elif node.op_type == "Reshape":
            before, after = net.shape(node.input[0]), net.shape(name)
            if not before or not after or len(before) < 3 or before[-2:] != after[-2:] or not all(isinstance(d, int) for d in after[-2:]):
                return name, scale
            name = node.input[0]
        else:
            name = node.input[0]


def heads_of(net: Net, name: str, order: list[int]) -> tuple[str, int, int, float] | None:
    """[batch, tokens, width] of a tensor that is it split into heads: its name, the heads, their size, a factor on the way."""
    name, scale = through(net, name, 1.0)
    turned = net.maker(name, "Transpose")
    if turned is None:
        return None
    perm = list(attribute(turned, "perm", []))
    if order == [0, 2, 3, 1] and perm in ([0, 1, 3, 2], [0, 2, 1]):
        found = heads_of(net, turned.input[0], [0, 2, 1, 3])
        return found and (*found[:3], found[3] * scale)
    if perm != order:
        return None
    split, scale = through_factor(net, turned.input[0], scale)
    reshaped = net.maker(split, "Reshape")
    if reshaped is None:
        return None
    four, three = net.shape(split), net.shape(reshaped.input[0])
    if not four or not three or len(four) != 4 or len(three) != 3 or not all(isinstance(d, int) for d in (*four[2:], three[2])):
        return None
    if four[2] * four[3] != three[2] or (isinstance(four[1], int) and isinstance(three[1], int) and four[1] != three[1]):
        return None
    return reshaped.input[0], four[2], four[3], scale


def through_factor(net: Net, name: str, scale: float) -> tuple[str, float]:
    node = net.maker(name, "Mul", "Div")
    if node is None or not net.only(name) or (number := net.scalar(node.input[1])) is None or not number:
        return name, scale
    return node.input[0], scale * number if node.op_type == "Mul" else scale / number


def attention(net: Net, softmax) -> bool:
    shape = net.shape(softmax.output[0])
    if attribute(softmax, "axis", -1 if net.opset >= 13 else 1) not in (-1, len(shape or []) - 1):
        return False
    mixed = net.user(through_down(net, softmax.output[0]), "MatMul")
    scores, scale = through(net, softmax.input[0], 1.0)
    product = net.maker(scores, "MatMul")
    if mixed is None or product is None or not net.only(scores) or mixed.input[0] != through_down(net, softmax.output[0]):
        return False
    queries = heads_of(net, product.input[0], [0, 2, 1, 3])
    keys = heads_of(net, product.input[1], [0, 2, 3, 1])
    values = heads_of(net, mixed.input[1], [0, 2, 1, 3])
    if not queries or not keys or not values or queries[1] != keys[1] or queries[1] != values[1] or queries[2] != keys[2]:
        return False
    turned = net.user(through_down(net, mixed.output[0]), "Transpose")
    if turned is None or list(attribute(turned, "perm", [])) != [0, 2, 1, 3]:
        return False
    flat = net.user(turned.output[0], "Reshape")
    result = net.shape(flat.output[0]) if flat is not None else None
    width = values[1] * values[2]
    if not result or result[-1] != width or len(result) not in (2, 3):
        return False
    rows = net.shape(queries[0])
    if len(result) == 3 and result[:2] != rows[:2] and not all(a == b or not isinstance(a, int) or not isinstance(b, int) for a, b in zip(result, rows)):
        return False
    factor = float(scale * queries[3] * keys[3])
    inputs = [queries[0], keys[0], values[0]]
    if values[3] != 1.0:
        return False
    name = flat.output[0] if len(result) == 3 else None
    name = net.add("MultiHeadAttention", inputs, name, CONTRIB, shape=[*rows[:2], width], num_heads=queries[1], scale=factor)
    if len(result) == 2:
        net.add("Reshape", [name, net.constant(np.array([-1, width], np.int64))], flat.output[0])
    return True


def through_down(net: Net, name: str) -> str:
    """Downwards past changes of shape that keep the last two dimensions."""
    while (node := net.user(name, "Reshape", "Identity")) is not None:
        before, after = net.shape(name), net.shape(node.output[0])
        if not before or not after or before[-2:] != after[-2:] or not all(isinstance(d, int) for d in after[-2:]):
            break
        name = node.output[0]
    return name


# Queries, keys and values


def attention_inputs(net: Net, way: str) -> int:
    """CONTRIB: how what goes into an attention is made from one tensor. `separate`: a product each; `packed`: one product, split
    by the kernel; `joined`: one product inside the operator."""
    found = 0
    for node in [node for node in net.graph.node if node.op_type == "MultiHeadAttention"]:
        parts = projections(net, node)
        if parts is None:
            continue
        x, weights, biases = parts
        heads, size = attribute(node, "num_heads"), weights[0].shape[1] // attribute(node, "num_heads")
        scale, rows = attribute(node, "scale"), net.shape(x)
        if way == "separate":
            biases = net.constant(np.concatenate(biases), "qkv_bias")
            made = [net.add("MatMul", [x, net.constant(weight, "weight")], shape=[*rows[:2], weight.shape[1]]) for weight in weights]
            net.add("MultiHeadAttention", [*made, biases], node.output[0], CONTRIB, num_heads=heads, scale=scale)
        elif way == "joined":
            weight, bias = net.constant(np.concatenate(weights, 1), "qkv_weight"), net.constant(np.concatenate(biases), "qkv_bias")
            net.add("Attention", [x, weight, bias], node.output[0], CONTRIB, num_heads=heads, scale=scale)
        else:
            # [in, part, head, size] → [in, head, part, size], which is what the packed form wants.
            weight = np.stack(weights, 1).reshape(-1, 3, heads, size).transpose(0, 2, 1, 3).reshape(-1, 3 * heads * size)
            bias = np.stack(biases).reshape(3, heads, size).transpose(1, 0, 2).reshape(-1)
            made = net.add("MatMul", [x, net.constant(weight, "qkv_weight")], shape=[*rows[:2], len(bias)])
            made = net.add("Add", [made, net.constant(bias, "qkv_bias")], shape=[*rows[:2], len(bias)])
            five = net.constant(np.array([0, 0, heads, 3, size], np.int64), "heads")
            made = net.add("Reshape", [made, five], shape=[*rows[:2], heads, 3, size])
            net.add("MultiHeadAttention", [made], node.output[0], CONTRIB, num_heads=heads, scale=scale)
        found += 1
    net.clean()
    return found


def projections(net: Net, node) -> tuple | None:
    """Of an attention whose inputs come from one tensor, by three products or one that is split: it, the weights, the biases."""
    if len(node.input) != 3 or len(net.shape(node.input[0]) or []) != 3:
        return None
    if all((made := net.maker(name, "Split")) is not None for name in node.input) and len({id(net.maker(name)) for name in node.input}) == 1:
        at = [list(made.output).index(name) for name in node.input]
        joined = linear_of(net, made.input[0])
        widths = [net.last(name) for name in made.output]
        if joined is None or len(widths) != 3 or len(set(widths)) != 1 or attribute(made, "axis", 0) not in (-1, 2):
            return None
        weights, biases = np.split(joined[1], 3, 1), np.split(joined[2], 3)
        return joined[0], [weights[i] for i in at], [biases[i] for i in at]
    parts = [linear_of(net, name) for name in node.input]
    if any(part is None for part in parts) or len({part[0] for part in parts}) != 1 or len({part[1].shape for part in parts}) != 1:
        return None
    return parts[0][0], [part[1] for part in parts], [part[2] for part in parts]


def linear_of(net: Net, name: str) -> tuple[str, np.ndarray, np.ndarray] | None:
    """Of x · W + b: x, W, b (zeros where there is none), times what constants follow."""
    name, scale = through_factor(net, name, 1.0)
    taken = bias_of(net, name)
    product = net.maker(taken[0] if taken else name, "MatMul")
    weight = net.value(product.input[1]) if product is not None else None
    if weight is None or weight.ndim != 2:
        return None
    bias = net.value(taken[1]) if taken else np.zeros(weight.shape[1], weight.dtype)
    if bias.shape != (weight.shape[1],):
        return None
    return product.input[0], weight * weight.dtype.type(scale), bias * bias.dtype.type(scale)


# Others


def affine_relus(net: Net) -> int:
    """s · relu(conv) + t, as HGNetV2 has it, is a convolution with other numbers, cut at t."""
    found = 0
    for relu in [node for node in net.graph.node if node.op_type == "Relu"]:
        conv = net.maker(relu.input[0], "Conv")
        weight = net.value(conv.input[1]) if conv is not None and net.only(relu.input[0]) else None
        bias = net.value(conv.input[2]) if weight is not None and len(conv.input) > 2 else None
        factor, shift, last = affine_after(net, relu.output[0])
        if weight is None or last == relu.output[0] or factor == 0 or (len(conv.input) > 2 and bias is None):
            continue
        kind = weight.dtype.type
        bias = np.zeros(len(weight), weight.dtype) if bias is None else bias
        inputs = [conv.input[0], net.constant(weight * kind(factor), "kernel"), net.constant(bias * kind(factor) + kind(shift), "bias")]
        attributes = {entry.name: attribute(conv, entry.name) for entry in conv.attribute}
        made = net.add("Conv", inputs, shape=net.shape(relu.input[0]), **attributes)
        cut = net.constant(np.array(shift, weight.dtype), "cut")
        net.add("Clip", [made, cut] if factor > 0 else [made, "", cut], last)
        found += 1
    net.clean()
    return found


def affine_after(net: Net, name: str) -> tuple[float, float, str]:
    """The factor and the sum that follow it, and the name of what they give."""
    factor, shift = 1.0, 0.0
    if (scaled := net.user(name, "Mul")) is not None and (operand := net.split_operand(scaled)) and operand[0] == name:
        factor, name = operand[1], scaled.output[0]
    if (added := net.user(name, "Add")) is not None and (operand := net.split_operand(added)) and operand[0] == name:
        shift, name = operand[1], added.output[0]
    return factor, shift, name


def patches(net: Net) -> int:
    """A convolution whose kernel is its stride, laid out as rows afterwards, as a product."""
    found = 0
    for conv in [node for node in net.graph.node if node.op_type == "Conv"]:
        weight, before, after = net.value(conv.input[1]), net.shape(conv.input[0]), net.shape(conv.output[0])
        steps = list(attribute(conv, "strides", []))
        if weight is None or weight.ndim != 4 or list(weight.shape[2:]) != steps or max(steps) == 1 or attribute(conv, "group", 1) != 1 or any(attribute(conv, "pads", [])):
            continue
        rows = net.user(conv.output[0], "Reshape")
        turned = net.user(rows.output[0], "Transpose") if rows is not None else None
        if turned is None or list(attribute(turned, "perm", [])) != [0, 2, 1] or not before or not after:
            continue
        if not all(isinstance(d, int) for d in (*before[1:], *after[1:])) or before[2] % steps[0] or before[3] % steps[1]:
            continue
        outputs, channels, high, wide = weight.shape
        if (net.shape(rows.output[0]) or [])[1:] != [outputs, after[2] * after[3]]:
            continue
        cells = net.constant(np.array([0, channels, after[2], high, after[3], wide], np.int64), "cells")
        flat = net.constant(np.array([0, after[2] * after[3], channels * high * wide], np.int64), "rows")
        made = net.add("Reshape", [conv.input[0], cells], shape=[before[0], channels, after[2], high, after[3], wide])
        made = net.add("Transpose", [made], perm=[0, 2, 4, 1, 3, 5])
        made = net.add("Reshape", [made, flat], shape=[before[0], after[2] * after[3], channels * high * wide])
        matrix = net.constant(weight.reshape(outputs, -1).T, "patches")
        biased_ = len(conv.input) > 2 and conv.input[2]
        made = net.add("MatMul", [made, matrix], None if biased_ else turned.output[0], shape=[before[0], after[2] * after[3], outputs])
        if biased_:
            net.add("Add", [made, conv.input[2]], turned.output[0])
        found += 1
    net.clean()
    return found
