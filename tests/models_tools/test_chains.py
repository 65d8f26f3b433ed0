"""Chains of elementwise nodes as nodes of our operator: they compute what the graph computed before, by ONNX Runtime's own operators, in
fp32 and fp16, with channels first and last; what must not be joined is not. The operator's kernels are those for the CPU, which share
all but their launch with CUDA's."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import json
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from chain_graphs import Graph, dfine, resnet
from onnx import TensorProto, helper
from yolo_graph import yolo

ROOT = Path(__file__).resolve().parents[2]
TREE = Path(os.environ.get("IMAGE_ENGINE_BUILD", ROOT / "build/release"))
OPERATORS = TREE / "bin/libimage-engine-cpu-ops.so"
CHAIN = "PointwiseChain"
LAYOUTS = ["first", "last"]


def chained(source, target, layout="first", *arguments, precision="fp32"):
    done = subprocess.run([TREE / "bin/optimise_graph", "--input", source, "--output", target, "--precision", precision, "--chains", layout,
                           "--operators", OPERATORS, *arguments], capture_output=True, text=True, timeout=120, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)["fused"]["chains"]


def session_of(path, runs_all=True):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.register_custom_ops_library(str(OPERATORS))
    if not runs_all:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def results(path, feed, runs_all=True):
    return session_of(path, runs_all).run(None, feed)


def feed_of(path, rows=2, about=0.0):
    random = np.random.default_rng(12)
    shapes = {value.name: [dim.dim_value or rows for dim in value.type.tensor_type.shape.dim] for value in onnx.load(path).graph.input}
    return {name: np.asarray(random.standard_normal(shape) + about, np.float32) for name, shape in shapes.items()}


def kinds_of(path):
    return Counter(node.op_type for node in onnx.load(path).graph.node)


def is_same(source, target, feed, near=2e-5):
    for wanted, got in zip(results(source, feed, runs_all=False), results(target, feed), strict=True):
        assert got.dtype == wanted.dtype and got.shape == wanted.shape and np.isfinite(wanted).all()
        np.testing.assert_allclose(got, wanted, rtol=0, atol=near * max(1, np.abs(wanted).max()))


UNARIES = ["Relu", "Sigmoid", "Tanh", "Exp", "Log", "Sqrt", "Abs", "Neg"]
BINARIES = ["Add", "Sub", "Mul", "Div", "Max", "Min"]


@pytest.mark.parametrize("op", UNARIES + BINARIES + [f"{op} swapped" for op in BINARIES])
def test_each_step_is_that_of_onnx(tmp_path, op):
    g = Graph()
    name, swapped = op.removesuffix(" swapped"), op.endswith("swapped")
    x = g.add("Add", "x", g.constant(np.float32(0.5)))
    operands = [x] if name in UNARIES else [x, g.numbers(7, about=4)]
    y = g.add(name, *(operands[::-1] if swapped else operands))
    source = g.save(tmp_path / "m.onnx", {"x": [3, 5, 7]}, {y: None})
    assert chained(source, tmp_path / "o.onnx") == 1 and kinds_of(tmp_path / "o.onnx") == {CHAIN: 1}
    is_same(source, tmp_path / "o.onnx", feed_of(source, about=4 if name in ("Log", "Sqrt") else 0), near=1e-6)


def test_without_the_flag_there_are_none(tmp_path):
    """Nor anything else that only they need."""
    target = tmp_path / "o.onnx"
    for source in (dfine(tmp_path / "d.onnx"), deformable(tmp_path / "a.onnx"), mixer(tmp_path / "m.onnx", 7, 16), picker(tmp_path / "p.onnx"), stem(tmp_path / "s.onnx"), normed(tmp_path / "n.onnx")):
        done = subprocess.run([TREE / "bin/optimise_graph", "--input", source, "--output", target, "--precision", "fp16"], capture_output=True, text=True, check=False)
        fused = json.loads(done.stdout)["fused"]
        assert not {"chains", "deformable", "resized", "picked_rows", "pads", "norms", "pools", "turned"} & fused.keys()
        assert not [node for node in onnx.load(target).graph.node if node.domain == "image_engine"]


def test_nan_stays_nan(tmp_path):
    g = Graph()
    zero, one = g.constant(np.float32(0)), g.constant(np.float32(1))
    source = g.save(tmp_path / "m.onnx", {"x": [9]}, {g.relu(g.add("Clip", g.add("Mul", "x", one), zero, one)): None})
    assert chained(source, tmp_path / "o.onnx") == 1
    x = np.array([np.nan, -1, 0.5, 2, np.nan, np.inf, -np.inf, -0.0, 1], np.float32)
    np.testing.assert_array_equal(results(tmp_path / "o.onnx", {"x": x})[0], [np.nan, 0, 0.5, 1, np.nan, 1, 0, 0, 1])


SHAPES = [[], [1], [6], [5, 1], [4, 5, 1], [4, 1, 1], [1, 4, 1, 1], [3, 4, 1, 1], [3, 1, 5, 6], [3, 1, 1, 1], [1, 4, 5, 6], [3, 1, 5, 1], [3, 4, 5, 6], [1, 1, 1, 6]]


@pytest.mark.parametrize("width", [6, 8])
@pytest.mark.parametrize("shape", SHAPES)
def test_operands_are_broadcast(tmp_path, shape, width):
    """Constants and inputs; widths that do and do not make whole sixteen bytes."""
    shape, full = [width if side == 6 else side for side in shape], [3, 4, 5, width]
    for given in (True, False):
        g = Graph()
        operand = "operand" if given else g.numbers(*shape)
        y = g.relu(g.add("Add", g.add("Mul", operand, "x"), operand))
        inputs = {"x": full} | ({"operand": shape} if given else {})
        source = g.save(tmp_path / "m.onnx", inputs, {y: None})
        assert chained(source, tmp_path / "o.onnx") == 1 and kinds_of(tmp_path / "o.onnx") == {CHAIN: 1}
        is_same(source, tmp_path / "o.onnx", feed_of(source), near=1e-6)


def test_what_makes_the_tensor_larger_begins_the_chain_from_the_larger(tmp_path):
    g = Graph()
    y = g.relu(g.add("Add", "row", "x"))
    source = g.save(tmp_path / "m.onnx", {"row": [1, 8], "x": [5, 8]}, {y: None})
    assert chained(source, tmp_path / "o.onnx") == 1
    is_same(source, tmp_path / "o.onnx", feed_of(source))
    g = Graph()  # neither has the result's shape
    source = g.save(tmp_path / "m.onnx", {"row": [1, 8], "column": [5, 1]}, {g.add("Add", g.relu(g.add("Add", "row", "column")), g.constant(np.float32(1))): None})
    assert chained(source, tmp_path / "o.onnx") == 1 and kinds_of(tmp_path / "o.onnx") == {"Add": 1, CHAIN: 1}
    is_same(source, tmp_path / "o.onnx", feed_of(source))


def test_what_others_need_stays(tmp_path):
    g = Graph()
    conv = g.conv("x", 3, 4)
    first = g.relu(conv)  # a result, too
    second = g.add("Add", g.silu(first), first)
    product = g.add("Mul", second, second)
    last = g.add("Sub", g.add("Tanh", product), conv)  # needs the convolution with its bias
    source = g.save(tmp_path / "m.onnx", {"x": [2, 3, 5, 5]}, {last: None, first: None})
    for layout in LAYOUTS:
        assert chained(source, tmp_path / "o.onnx", layout) == 2
        kinds = kinds_of(tmp_path / "o.onnx")
        assert (kinds["Relu"], kinds["Mul"], kinds["Conv"], kinds[CHAIN]) == (1, 1, 1, 2)
        is_same(source, tmp_path / "o.onnx", feed_of(source))


def test_whole_numbers_and_short_chains_stay(tmp_path):
    g = Graph()
    shape = g.add("Add", g.add("Mul", g.add("Shape", "y"), g.constant(np.array([1, 1]))), g.constant(np.array([0, 0])))
    source = g.save(tmp_path / "m.onnx", {"x": ["n", 4], "y": ["a", "b"]}, {g.relu("x"): None, g.add("Cast", shape, to=TensorProto.FLOAT): None})
    assert chained(source, tmp_path / "o.onnx") == 0


@pytest.mark.parametrize("batch", [2, "batch"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_resnet_becomes_convolutions_and_chains(tmp_path, layout, batch):
    source, target = resnet(tmp_path / "m.onnx", batch=batch), tmp_path / "o.onnx"
    assert chained(source, target, layout) == 7
    kinds = kinds_of(target)
    # With channels last, before each of a chain's inputs and behind it: a convolution, its bias, and a sum's operand (of one sum
    # what a chain makes, which has channels last) with its bias.
    assert kinds.pop("Transpose", 0) == (0 if layout == "first" else 7 * 3 + 2)
    assert kinds == {"Conv": 8, CHAIN: 7}
    assert all(len(node.input) == 2 for node in onnx.load(target).graph.node if node.op_type == "Conv")  # biases are in the chains
    is_same(source, target, feed_of(source))


@pytest.mark.parametrize("batch", [2, "batch"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_dfine_computes_the_same(tmp_path, layout, batch):
    source, target = dfine(tmp_path / "m.onnx", batch=batch), tmp_path / "o.onnx"
    assert chained(source, target, layout) >= 16
    kinds = kinds_of(target)
    assert not {"Clip", "Log"} & kinds.keys() or kinds["Clip"] < 4
    is_same(source, target, feed_of(source), near=1e-4)


def run_kinds_of(path):
    """Once the runtime has computed what is constant and cancelled out transposes."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(path) + ".run.onnx"
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.register_custom_ops_library(str(OPERATORS))
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return kinds_of(options.optimized_model_filepath)


def pyramid(path, sizes, mode="linear", batch=2, rows=False, inputs_of=None, **attributes):
    """Pictures of several sizes, made as large as the first, behind each other, and a 1 x 1 convolution: as SegFormer and pyramids have it."""
    g, parts, inputs, largest = Graph(6), [], {}, sizes[0]
    for i, (side, channels) in enumerate(sizes):
        name = f"x{i}"
        inputs[name] = [batch, side * side, inputs_of or channels] if rows else [batch, channels, side, side]
        made = g.linear(name, inputs_of, channels) if inputs_of else name
        part = g.add("Reshape", g.add("Transpose", made, perm=[0, 2, 1]), g.constant(np.array([0, channels, side, side]))) if rows else name
        scale = np.array([1, 1, largest[0] / side, largest[0] / side], np.float32)
        part = g.add("Resize", part, "", g.constant(scale), mode=mode, **attributes) if i > 0 or rows else part
        parts.append(part)
    joined = g.add("Concat", *reversed(parts), axis=1)
    first, second = (g.relu(g.conv(joined, sum(channels for _, channels in sizes), 8, size=1, biased=biased)) for biased in (True, False))
    return g.save(path, inputs, {first: None, second: None})


@pytest.mark.parametrize("batch", [2, "batch"])
@pytest.mark.parametrize(("inputs_of", "merged"), [(4, 3), (8, 3), (12, 1)])  # no more than the channels
def test_two_products_of_rows_one_after_the_other_are_one(tmp_path, batch, inputs_of, merged):
    source, target = pyramid(tmp_path / "m.onnx", [(8, 8), (4, 16), (2, 8)], batch=batch, rows=True, inputs_of=inputs_of), tmp_path / "o.onnx"
    assert chained(source, target, "last") == 2
    assert kinds_of(target)["MatMul"] == 6 + (3 - merged) and kinds_of(target)["Add"] == 3 - merged
    is_same(source, target, feed_of(source))


NEAREST = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("batch", [2, "batch"])
@pytest.mark.parametrize("way", [{}, NEAREST])
def test_products_of_what_is_made_larger_are_computed_before(tmp_path, way, batch, rows):
    source, target = pyramid(tmp_path / "m.onnx", [(8, 8), (4, 16), (2, 8)], batch=batch, rows=rows, **way), tmp_path / "o.onnx"
    assert chained(source, target, "last") == 2
    kinds = kinds_of(target)
    assert (kinds["Resize"], kinds["Concat"], kinds["MatMul" if rows else "Conv"], kinds[CHAIN]) == (0, 0, 6, 2)
    is_same(source, target, feed_of(source))
    assert chained(source, target, "first") == 1 and kinds_of(target)["Concat"] == 1
    chained(source, target, "last", precision="fp16")
    assert kinds_of(target)["PointwiseChainHalf"] + kinds_of(target)[CHAIN] == 2
    for wanted, got in zip(results(source, feed_of(source)), results(target, feed_of(source)), strict=True):
        assert cosine(wanted, got) > 0.9999


@pytest.mark.parametrize("sizes, way", [([(8, 8), (4, 16)], {"coordinate_transformation_mode": "align_corners"}), ([(8, 8), (4, 16)], {"mode": "nearest"}),
                                        ([(9, 8), (4, 16)], {}), ([(8, 8), (8, 8)], {}), ([(8, 8), (4, 16)], {"mode": "cubic"})])  # fmt: skip
def test_what_is_made_larger_in_other_ways_stays(tmp_path, sizes, way):
    source = pyramid(tmp_path / "m.onnx", sizes, **way)
    chained(source, tmp_path / "o.onnx", "last")
    assert kinds_of(tmp_path / "o.onnx")["Concat"] == 1
    is_same(source, tmp_path / "o.onnx", feed_of(source))


def mixer(path, side, channels, batch=2, stride=1):
    """Rows of a transformer through a depthwise convolution, as SegFormer has it: rows, a picture, the convolution, rows, Gelu."""
    g, after = Graph(5), (side - 1) // stride + 1
    rows = g.add("MatMul", "x", g.numbers(6, channels))
    picture = g.add("Reshape", g.add("Transpose", rows, perm=[0, 2, 1]), g.constant(np.array([0, channels, side, side])))
    y = g.conv(picture, channels, channels, size=3, stride=stride, group=channels)
    y = g.add("Transpose", g.add("Reshape", y, g.constant(np.array([0, channels, after * after]))), perm=[0, 2, 1])
    half = g.add("Mul", y, g.constant(np.float32(0.5)))
    y = g.add("Mul", half, g.add("Add", g.add("Erf", g.add("Div", y, g.constant(np.float32(2**0.5)))), g.constant(np.float32(1))))
    return g.save(path, {"x": [batch, side * side, 6]}, {g.add("MatMul", y, g.numbers(channels, 4)): None})


@pytest.mark.parametrize("batch", [2, "batch"])
@pytest.mark.parametrize("stride", [1, 2])
def test_rows_through_depthwise_convolutions_are_never_transposed(tmp_path, batch, stride):
    source, target = mixer(tmp_path / "m.onnx", 7, 16, batch, stride), tmp_path / "o.onnx"
    assert chained(source, target, "last") == 1
    assert run_kinds_of(target) == {"MatMul": 2, "Reshape": 2, "DepthwiseChain": 1}
    is_same(source, target, feed_of(source))
    assert chained(source, target, "first") == 0


def test_depthwise_convolutions_take_what_follows(tmp_path):
    """Also a sum with another convolution, whose bias goes along; others need what the first makes."""
    g = Graph()
    first = g.silu(g.conv("x", 3, 8))
    deep = g.conv(first, 8, 8, size=5, group=8, stride=2)
    y = g.relu(g.add("Add", deep, g.conv(first, 8, 8, size=1, stride=2)))
    z = g.conv(y, 8, 8, size=3, group=8, biased=False)
    source = g.save(tmp_path / "m.onnx", {"x": [2, 3, 12, 10]}, {g.add("Concat", z, y, axis=1): None})
    assert chained(source, tmp_path / "o.onnx", "last") == 3
    kinds = kinds_of(tmp_path / "o.onnx")
    assert (kinds["Conv"], kinds["DepthwiseChain"], kinds[CHAIN]) == (2, 2, 1) and "Add" not in kinds
    is_same(source, tmp_path / "o.onnx", feed_of(source))


@pytest.mark.parametrize("change", [{"size": 1}, {"size": 9}, {"stride": 3}, {"channels": 12}, {"dilation": 2}, {"group": 4}])
def test_other_convolutions_stay(tmp_path, change):
    g, channels = Graph(), change.get("channels", 8)
    conv = g.conv("x", channels, channels, change.get("size", 3), change.get("stride", 1), group=change.get("group", channels))
    g.nodes[-1].attribute.append(helper.make_attribute("dilations", [change.get("dilation", 1)] * 2))
    source = g.save(tmp_path / "m.onnx", {"x": [1, channels, 11, 11]}, {conv: None})
    assert chained(source, tmp_path / "o.onnx", "last") == 0


def deformable(path, levels=((4, 5), (2, 3)), counts=(2, 3), batch=2, heads=2, size=8, queries=6, align=0):
    """Deformable attention as exporters of D-FINE and RT-DETR write it."""
    g, width, points = Graph(8), heads * size, sum(counts)
    places, starts = sum(h * w for h, w in levels), np.cumsum([0] + [h * w for h, w in levels])
    value = g.add("MatMul", "memory", g.numbers(width, width, scale=width**-0.5))
    value = g.add("Transpose", g.add("Reshape", value, g.constant(np.array([0, places, heads, size]))), perm=[0, 2, 3, 1])
    value = g.add("Reshape", value, g.constant(np.array([-1, size, places])))
    offsets = g.add("Tanh", g.add("Reshape", g.linear("queries", width, 2 * points * heads), g.constant(np.array([0, queries, heads, points, 2]))))
    grid = g.add("Reshape", g.add("Transpose", offsets, perm=[0, 2, 1, 3, 4]), g.constant(np.array([-1, queries, points, 2])))
    grids = g.add("Split", grid, g.constant(np.array(counts)), axis=-2, outputs=len(counts))
    scores = g.add("Softmax", g.add("Reshape", g.linear("queries", width, points * heads), g.constant(np.array([0, queries, heads, points]))), axis=-1)
    scores = g.add("Reshape", g.add("Transpose", scores, perm=[0, 2, 1, 3]), g.constant(np.array([-1, 1, queries, points])))
    sampled = []
    for i, (h, w) in enumerate(levels):
        plane = g.add("Slice", value, *(g.constant(np.array([number])) for number in (starts[i], starts[i + 1], -1)))
        plane = g.add("Reshape", plane, g.constant(np.array([0, size, h, w])))
        sampled.append(g.add("GridSample", plane, grids[i], mode="bilinear", padding_mode="zeros", align_corners=align))
    mixed = g.add("ReduceSum", g.add("Mul", g.add("Concat", *sampled, axis=-1), scores), g.constant(np.array([-1])), keepdims=0)
    rows = g.add("Transpose", g.add("Reshape", mixed, g.constant(np.array([-1, width, queries]))), perm=[0, 2, 1])
    inputs = {"memory": [batch, places, width], "queries": [batch, queries, width]}
    return g.save(path, inputs, {g.add("MatMul", rows, g.numbers(width, 4)): None})


@pytest.mark.parametrize("batch", [2, "batch"])
def test_deformable_attention_is_one_node(tmp_path, batch):
    source, target = deformable(tmp_path / "m.onnx", batch=batch), tmp_path / "o.onnx"
    for layout in LAYOUTS:
        chained(source, target, layout)
        kinds = kinds_of(target)
        assert kinds["DeformableSum"] == 1 and not {"GridSample", "Slice", "Split", "Concat", "ReduceSum"} & kinds.keys()
        is_same(source, target, feed_of(source))
    chained(source, target, "last", precision="fp16")
    assert kinds_of(target)["DeformableSumHalf"] == 1 and not {"GridSample", "Slice"} & kinds_of(target).keys()
    assert cosine(results(source, feed_of(source))[0], results(target, feed_of(source))[0]) > 0.9999


@pytest.mark.parametrize("change", [{"align": 1}, {"size": 6}])
def test_deformable_attention_of_other_forms_stays(tmp_path, change):
    source = deformable(tmp_path / "m.onnx", **change)
    chained(source, tmp_path / "o.onnx")
    assert kinds_of(tmp_path / "o.onnx")["GridSample"] == 2
    is_same(source, tmp_path / "o.onnx", feed_of(source))


def picker(path, others_need=False, other_index=False):
    """A head on all rows of which the best are picked, as of those rows themselves: as detectors choose their queries."""
    g, rows, width = Graph(9), 30, 16
    memory = g.linear("x", 8, width)
    head = g.linear(g.relu(g.linear(memory, width, width)), width, 4)
    head = g.add("Add", head, g.numbers(1, rows, 4))
    _, best = g.add("TopK", g.add("ReduceMax", memory, axes=[2], keepdims=0), g.constant(np.array([5])), axis=1, outputs=2)
    column = g.add("Unsqueeze", best, g.constant(np.array([2])))
    last = g.add("Sub", g.constant(np.array(rows - 1)), column) if other_index else column
    targets = g.add("GatherElements", memory, g.add("Tile", column, g.constant(np.array([1, 1, width]))), axis=1)
    boxes = g.add("GatherElements", head, g.add("Expand", last, g.constant(np.array([1, 1, 4]))), axis=1)
    outputs = {targets: None, boxes: None} | ({g.add("Abs", head): None} if others_need else {})
    return g.save(path, {"x": [2, rows, 8]}, outputs)


def test_a_head_is_computed_of_picked_rows(tmp_path):
    source, target = picker(tmp_path / "m.onnx"), tmp_path / "o.onnx"
    for layout in LAYOUTS:
        chained(source, target, layout)
        kinds = kinds_of(target)
        assert (kinds["GatherElements"], kinds["Gather"], kinds["MatMul"]) == (1, 1, 3)
        is_same(source, target, feed_of(source))


@pytest.mark.parametrize("change", [{"others_need": True}, {"other_index": True}])
def test_a_head_that_others_need_stays(tmp_path, change):
    source, target = picker(tmp_path / "m.onnx", **change), tmp_path / "o.onnx"
    chained(source, target)
    assert (kinds_of(target)["GatherElements"], kinds_of(target)["Gather"]) == (2, 0)
    is_same(source, target, feed_of(source))


def stem(path, pads=(0, 0, 0, 0, 0, 0, 1, 1), value=0.0, mode="constant", size=2, pool=None, channels=8, ceil=1, sides=(16, 12)):
    """As HGNetV2's: a picture with zeros beside it goes through a convolution and a maximum."""
    g = Graph(8)
    x = g.affine_relu(g.conv("x", 3, channels, stride=2))
    wide = g.add("Pad", x, g.constant(np.array(pads, np.int64)), g.constant(np.float32(value)), mode=mode)
    first = g.relu(g.add("Conv", wide, g.numbers(channels, channels, size, size, scale=0.2), g.numbers(channels), kernel_shape=[size] * 2))
    most = g.add("MaxPool", wide, **{"kernel_shape": [2, 2], "strides": [1, 1], "ceil_mode": ceil} | (pool or {}))
    return g.save(path, {"x": [2, 3, *sides]}, {g.relu(g.conv(most, channels, 8)): None, g.relu(g.conv(first, channels, 8)): None})


@pytest.mark.parametrize("pads", [(0, 0, 0, 0, 0, 0, 1, 1), (0, 0, 1, 0, 0, 0, 0, 1), (0, 0, 1, 1, 0, 0, 1, 1)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_zeros_around_pictures_are_in_what_reads_them(tmp_path, layout, pads):
    source, target = stem(tmp_path / "m.onnx", pads), tmp_path / "o.onnx"
    chained(source, target, layout)
    kinds = kinds_of(target)
    assert (kinds["WindowMax"], kinds["MaxPool"], kinds["Pad"]) == ((1, 0, 0) if layout == "last" else (0, 1, 1))
    is_same(source, target, feed_of(source))


@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_kernel_has_zeros_beside_it_where_pads_are_unequal(tmp_path, layout, stride, group):
    for pads in ((0, 0, 0, 0, 0, 0, 1, 1), (0, 0, 1, 0, 0, 0, 0, 1), (0, 0, 2, 1, 0, 0, 2, 0)):
        g = Graph()
        wide = g.add("Pad", "x", g.constant(np.array(pads, np.int64)))
        y = g.relu(g.add("Conv", wide, g.numbers(6, 4 // group, 2, 3), g.numbers(6), strides=[stride] * 2, group=group))
        z = g.relu(g.add("Conv", wide, g.numbers(6, 4 // group, 1, 1), g.numbers(6), strides=[stride] * 2, group=group))
        source = g.save(tmp_path / "m.onnx", {"x": ["batch", 4, 7, 9]}, {y: None, z: None})
        chained(source, tmp_path / "o.onnx", layout)
        assert not kinds_of(tmp_path / "o.onnx")["Pad"]
        given = [list(each.ints) for node in onnx.load(tmp_path / "o.onnx").graph.node if node.op_type == "Conv" for each in node.attribute if each.name == "pads"]
        assert [each[:2] for each in given] == [each[2:] for each in given] != []
        is_same(source, tmp_path / "o.onnx", feed_of(source))


@pytest.mark.parametrize(("change", "kept"), [({"value": 1.0}, ["Pad", "WindowMax"]), ({"mode": "reflect"}, ["Pad", "WindowMax"]), ({"pads": (0, 0, 0, 0, 0, 0, 2, 0)}, ["Pad", "MaxPool"]),
                                              ({"pads": (0, 1, 0, 0, 0, 7, 0, 0), "channels": 8, "only": True}, ["Pad"]), ({"channels": 12}, ["Pad", "MaxPool"]),
                                              ({"pool": {"dilations": [2, 2]}}, ["Pad", "MaxPool"]), ({"pool": {"kernel_shape": [2, 3]}}, ["Pad", "MaxPool"])])  # fmt: skip
def test_other_paddings_and_pools_stay(tmp_path, change, kept):
    if change.get("only"):  # channels are added
        g = Graph()
        wide = g.add("Pad", "x", g.constant(np.array(change["pads"], np.int64)))
        source = g.save(tmp_path / "m.onnx", {"x": [2, 3, 4, 4]}, {g.relu(g.conv(wide, 11, 8)): None})
    else:
        source = stem(tmp_path / "m.onnx", **change)
    chained(source, tmp_path / "o.onnx", "last")
    kinds = kinds_of(tmp_path / "o.onnx")
    assert all(kinds[kind] for kind in kept), kinds
    is_same(source, tmp_path / "o.onnx", feed_of(source))


@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 1, 1, 1]])
def test_pools_without_zeros_leave_out_what_is_outside(tmp_path, pads):
    g = Graph()
    x = g.relu(g.conv("x", 3, 8))
    below = g.add("Sub", x, g.constant(np.float32(9)))
    y = g.relu(g.conv(g.add("MaxPool", below, kernel_shape=[3, 3], strides=[2, 2], pads=pads), 8, 8))
    source = g.save(tmp_path / "m.onnx", {"x": [2, 3, 9, 9]}, {y: None})
    chained(source, tmp_path / "o.onnx", "last")
    assert kinds_of(tmp_path / "o.onnx")["WindowMax"] == 1
    is_same(source, tmp_path / "o.onnx", feed_of(source))


def test_pools_that_round_up_stay(tmp_path):
    g = Graph()
    most = g.add("MaxPool", g.relu(g.conv("x", 3, 8)), kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    source = g.save(tmp_path / "m.onnx", {"x": [2, 3, 9, 9]}, {g.relu(g.conv(most, 8, 8)): None})
    chained(source, tmp_path / "o.onnx", "last")
    assert kinds_of(tmp_path / "o.onnx")["MaxPool"] == 1
    is_same(source, tmp_path / "o.onnx", feed_of(source))


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_pictures_enter_with_channels_last(tmp_path, precision):
    g = Graph()
    source = g.save(tmp_path / "m.onnx", {"x": [2, 3, 8, 6]}, {g.relu(g.conv("x", 3, 8)): None})
    chained(source, tmp_path / "o.onnx", "last", precision=precision)
    kinds = kinds_of(tmp_path / "o.onnx")
    assert kinds["ChannelsLast" + "Half" * (precision == "fp16")] == 1 and (precision == "fp32" or kinds["Cast"] <= 1)
    is_same(source, tmp_path / "o.onnx", feed_of(source), near=2e-5 if precision == "fp32" else 4e-3)
    for shape in ([2, 3, 5, 7], [2, 5, 8, 8]):  # no whole words; too many channels
        g = Graph()
        source = g.save(tmp_path / "m.onnx", {"x": shape}, {g.relu(g.conv("x", shape[1], 8)): None})
        chained(source, tmp_path / "o.onnx", "last")
        assert not kinds_of(tmp_path / "o.onnx")["ChannelsLast"]
        is_same(source, tmp_path / "o.onnx", feed_of(source))


def normed(path, channels=32, axis=-1, vectors=None):
    """A transformer's norms: alone, of a sum that goes on, and of one that does not."""
    g = Graph(4)
    vectors = vectors or [channels]
    norm = lambda x: g.add("LayerNormalization", x, g.numbers(*vectors), g.numbers(*vectors), axis=axis, epsilon=1e-3)  # noqa: E731
    first = norm("x")
    total = g.add("Add", g.linear(first, channels, channels), "x")
    second = norm(total)
    last = norm(g.add("Add", g.linear(second, channels, channels), total))
    return g.save(path, {"x": [2, 5, channels]}, {g.add("MatMul", last, g.numbers(channels, 6)): None})


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_norms_are_nodes_of_ours(tmp_path, layout, precision):
    source = normed(tmp_path / "m.onnx")
    chained(source, tmp_path / "o.onnx", layout, precision=precision)
    half = "Half" * (precision == "fp16")
    kinds = kinds_of(tmp_path / "o.onnx")
    assert (kinds["RowNorm" + half], kinds["RowNormSum" + half]) == (2, 1) and not {"LayerNormalization", "SkipLayerNormalization"} & kinds.keys()
    is_same(source, tmp_path / "o.onnx", feed_of(source), near=2e-5 if precision == "fp32" else 4e-3)


@pytest.mark.parametrize("change", [{"channels": 12}, {"channels": 520}, {"axis": 1, "vectors": [5, 32]}])
def test_other_norms_stay(tmp_path, change):
    source = normed(tmp_path / "m.onnx", **change)
    chained(source, tmp_path / "o.onnx")
    assert not {"RowNorm", "RowNormSum"} & kinds_of(tmp_path / "o.onnx").keys()
    is_same(source, tmp_path / "o.onnx", feed_of(source))


def cosine(a, b):
    a, b = (np.asarray(x, np.float64).ravel() for x in (a, b))
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("make", [resnet, yolo, dfine])
def test_in_fp16_they_are_as_close_as_without(tmp_path, make, layout):
    source, target = make(tmp_path / "m.onnx", batch=2), tmp_path / "o.onnx"
    count = chained(source, target, layout, precision="fp16")
    assert count > 0 or make is yolo
    kinds = kinds_of(target)
    assert make is yolo or kinds["PointwiseChainHalf"] > 0
    feed = feed_of(source)
    for wanted, got in zip(results(source, feed), results(target, feed), strict=True):
        assert got.dtype == wanted.dtype and cosine(wanted, got) > (0.999 if make is dfine else 0.9999)


def test_casts_go_into_chains(tmp_path):
    """What fp16 does not hold is computed in fp32 between halves."""
    g = Graph()
    y = g.add("Mul", g.silu(g.conv("x", 3, 4)), g.constant(np.float32(1e-9)))
    y = g.add("Mul", y, g.constant(np.float32(1e9)))
    source = g.save(tmp_path / "m.onnx", {"x": [2, 3, 5, 5]}, {g.conv(y, 4, 4, size=1, biased=False): None})
    assert chained(source, tmp_path / "o.onnx", precision="fp16") == 1
    assert kinds_of(tmp_path / "o.onnx") == {"Conv": 2, "PointwiseChainHalf": 1, "Cast": 2}  # of the graph's own input and output
    feed = feed_of(source)
    assert cosine(results(source, feed)[0], results(tmp_path / "o.onnx", feed)[0]) > 0.9999


def node_graph(path, steps, inputs=("x", "o"), shape=(4,)):
    node = helper.make_node(CHAIN, list(inputs), ["y"], domain="image_engine", steps=steps)
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, sides) for name, sides in {"x": ["n"], "o": shape}.items()]
    graph = helper.make_graph([node], "g", values, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("image_engine", 1)], ir_version=8), path)
    return path


@pytest.mark.parametrize("steps", [[0], [0, 0], [0, 12], [0, -1], [8, 1], [99, -1], [-1, -1], [0, 1] * 25])
def test_bad_steps_are_refused_at_load(tmp_path, steps):
    with pytest.raises(Exception, match=r"step"):
        session_of(node_graph(tmp_path / "m.onnx", steps))


def test_bad_tensors_are_refused_at_run(tmp_path):
    x, o = np.ones(4, np.float32), np.ones(3, np.float32)
    with pytest.raises(Exception, match="shape"):
        results(node_graph(tmp_path / "m.onnx", [0, 1], shape=["k"]), {"x": x, "o": o})
    with pytest.raises(Exception, match="operand"):
        results(node_graph(tmp_path / "m.onnx", [0, 2]), {"x": x, "o": np.ones(4, np.float32)})
    empty = np.ones(0, np.float32)
    assert results(node_graph(tmp_path / "m.onnx", [0, 1], shape=["k"]), {"x": empty, "o": np.ones(1, np.float32)})[0].shape == (0,)
