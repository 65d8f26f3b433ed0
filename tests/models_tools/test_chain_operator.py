"""Our operator for chains of elementwise steps, by its kernels for the CPU, which share all but their launch with CUDA's: each step, each
way to broadcast and both types are as numpy computes them; graphs with other steps or tensors are refused."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

from math import erf
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

ROOT = Path(__file__).resolve().parents[2]
TREE = Path(os.environ.get("IMAGE_ENGINE_BUILD", ROOT / "build/release"))
OPERATORS = TREE / "bin/libimage-engine-cpu-ops.so"
FULL, HALF = "PointwiseChain", "PointwiseChainHalf"


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# By their numbers in graphs (src/graph/chains.h).
WITH_OPERAND = [np.add, np.subtract, lambda x, o: o - x, np.multiply, np.divide, lambda x, o: o / x, np.maximum, np.minimum]
ALONE = [lambda x: np.maximum(x, 0), sigmoid, lambda x: x * sigmoid(x), lambda x: 0.5 * x * (1 + np.vectorize(erf)(x / np.sqrt(2))),
         np.tanh, np.exp, np.log, np.sqrt, np.abs, np.negative]  # fmt: skip


def session_of(steps, inputs, op=FULL, **attributes):
    """A graph of one node; `inputs` by name: an array, or the declared shape of float32."""
    kind = {np.float32: TensorProto.FLOAT, np.float16: TensorProto.FLOAT16}
    values = [helper.make_tensor_value_info(name, kind[x.dtype.type], x.shape) if isinstance(x, np.ndarray) else helper.make_tensor_value_info(name, TensorProto.FLOAT, x)
              for name, x in inputs.items()]  # fmt: skip
    node = helper.make_node(op, list(inputs), ["y"], domain="image_engine", steps=[number for step in steps for number in step], **attributes)
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT16 if op == HALF else TensorProto.FLOAT, None)
    model = helper.make_model(helper.make_graph([node], "g", values, [output]), opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("image_engine", 1)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.register_custom_ops_library(str(OPERATORS))
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def result(steps, op=FULL, sizes=None, **inputs):
    return session_of(steps, inputs, op, **({} if sizes is None else {"sizes": sizes})).run(None, inputs)[0]


def numbers(*shape, seed=1, about=0.0, kind=np.float32):
    return np.asarray(np.random.default_rng(seed).standard_normal(shape) + about, kind)


@pytest.mark.parametrize("code", range(len(WITH_OPERAND) + len(ALONE)))
def test_each_step(code):
    x = numbers(3, 7, about=0.5 + 4 * (code in (14, 15)))  # positive for logarithms and roots
    if code < len(WITH_OPERAND):
        o = numbers(3, 7, seed=2, about=5)
        got, wanted = result([(code, 1)], x=x, o=o), WITH_OPERAND[code](x.astype(float), o.astype(float))
    else:
        got, wanted = result([(code, -1)], x=x), ALONE[code - len(WITH_OPERAND)](x.astype(float))
    np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-6)
    with pytest.raises(Exception, match="step"):
        session_of([(len(WITH_OPERAND) + len(ALONE), -1)], {"x": x})


SHAPES = [(), (1,), (6,), (5, 1), (4, 5, 1), (4, 1, 1), (1, 4, 1, 1), (3, 4, 1, 1), (3, 1, 5, 6), (3, 1, 1, 1), (1, 4, 5, 6), (3, 1, 5, 1), (3, 4, 5, 6), (1, 1, 1, 6),
          (3, 1, 1, 6)]  # fmt: skip


@pytest.mark.parametrize("kinds", [(np.float32, np.float32), (np.float16, np.float32), (np.float32, np.float16), (np.float16, np.float16)])
@pytest.mark.parametrize("width", [6, 16])  # rows that are and are not whole sixteen bytes
@pytest.mark.parametrize("shape", SHAPES)
def test_operands_are_broadcast(shape, width, kinds):
    shape = tuple(width if side == 6 else side for side in shape)
    x, o = numbers(3, 4, 5, width, kind=kinds[0]), numbers(*shape, seed=2, kind=kinds[1])
    wanted = np.maximum((x.astype(np.float32) + o) * o.astype(np.float32), 0)
    steps = [(0, 1), (3, 1), (8, -1)]
    np.testing.assert_allclose(result(steps, x=x, o=o), wanted, rtol=1e-6, atol=1e-7)
    # One rounding, at the end.
    np.testing.assert_array_equal(result(steps, op=HALF, x=x, o=o), result(steps, x=x, o=o).astype(np.float16))


def node_result(op, feed, **attributes):
    kind = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.float16): TensorProto.FLOAT16}
    values = [helper.make_tensor_value_info(name, kind[array.dtype], array.shape) for name, array in feed.items()]
    node = helper.make_node(op, list(feed), ["y"], domain="image_engine", **attributes)
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT16 if op.endswith("Half") else TensorProto.FLOAT, None)
    model = helper.make_model(helper.make_graph([node], "g", values, [output]), opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("image_engine", 1)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.register_custom_ops_library(str(OPERATORS))
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, feed)[0]


def linear(small, axis, times):
    """Between centres, in float64."""
    size = small.shape[axis]
    at = np.clip((np.arange(size * times) + 0.5) / times - 0.5, 0, size - 1)
    low = np.floor(at).astype(int)
    part = (at - low).reshape([-1 if i == axis else 1 for i in range(small.ndim)])
    small = np.asarray(small, np.float64)
    return small.take(low, axis) * (1 - part) + small.take(np.minimum(low + 1, size - 1), axis) * part


@pytest.mark.parametrize("kind", [np.float32, np.float16])
@pytest.mark.parametrize("times", [(1, 2), (2, 2), (8, 4), (3, 1)])
def test_operands_are_made_larger(times, kind):
    small, other = numbers(2, 3, 5, 16, kind=kind), numbers(2, 1, 1, 16, seed=3, kind=kind)
    x = numbers(2, 3 * times[0], 5 * times[1], 16, seed=2, kind=kind)
    repeated = small.repeat(times[0], 1).repeat(times[1], 2).astype(float)
    between = linear(linear(small, 1, times[0]), 2, times[1])
    wanted = np.maximum(x.astype(float) * repeated + between - other.astype(float), 0)
    got = result([(3, 1), (0, 2), (1, 3), (8, -1)], sizes=[0, 1, 2, 0], x=x, near=small, between=small, other=other)
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)
    weights = np.zeros((3, 3, 1, 16), kind)
    weights[1, 1] = 1
    got = depthwise(x, weights, pads=[1] * 4, steps=[(3, 1), (0, 2), (1, 3), (8, -1)], sizes=[0, 1, 2, 0], near=small, between=small, other=other)
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sizes", [[1, 0], [0, 3], [0, -1], [0] * 13])
def test_other_sizes_are_refused_at_load(sizes):
    with pytest.raises(Exception, match="size"):
        session_of([(0, 1)], {"x": [2, 4, 4, 8], "o": [2, 2, 2, 8]}, sizes=sizes)


@pytest.mark.parametrize("shape", [(2, 3, 2, 8), (2, 2, 2, 1), (1, 2, 2, 8), (2, 2, 8), (2, 8, 4, 8), (2, 0, 2, 8)])
def test_operands_that_cannot_be_made_larger_are_refused(shape):
    session = session_of([(0, 1)], {"x": ["a", "b", "c", "d"], "o": [f"e{i}" for i in range(len(shape))]}, sizes=[0, 1])
    with pytest.raises(Exception, match="larger"):
        session.run(None, {"x": np.ones((2, 4, 4, 8), np.float32), "o": np.ones(shape, np.float32)})


def depthwise(x, weights, strides=(1, 1), pads=(0, 0, 0, 0), steps=(), sizes=(0,), op="DepthwiseChain", **operands):
    """The picture, its weights and operands of the steps."""
    return node_result(op, {"x": x, "w": weights, **operands}, steps=[number for step in steps for number in step], strides=strides, pads=pads, sizes=sizes)


def convolved(x, weights, stride, pads):
    """Each channel by itself, in float64."""
    x, weights, size = np.asarray(x, np.float64), np.asarray(weights, np.float64), weights.shape[0]
    padded = np.pad(x, ((0, 0), (pads[0], pads[2]), (pads[1], pads[3]), (0, 0)))
    height, width = ((side - size) // stride + 1 for side in padded.shape[1:3])
    return sum(padded[:, i : i + (height - 1) * stride + 1 : stride, j : j + (width - 1) * stride + 1 : stride] * weights[i, j, 0]
               for i in range(size) for j in range(size))  # fmt: skip


@pytest.mark.parametrize("kind", [np.float32, np.float16])
@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 2, 0, 3), (3, 3, 3, 3)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [3, 5, 7])
def test_depthwise_convolutions(size, stride, pads, kind):
    for height, width, channels in ((7, 7, 8), (9, 14, 24), (8, 17, 16)):
        x, w = numbers(2, height, width, channels, kind=kind), numbers(size, size, 1, channels, seed=2, kind=kind)
        bias, other = numbers(channels, seed=3), numbers(2, 1, 1, channels, seed=4)
        wanted = np.maximum(convolved(x, w, stride, pads) + bias, 0) * other
        steps = [(0, 1), (8, -1), (3, 2)]
        given = {"strides": [stride] * 2, "pads": pads, "steps": steps, "bias": bias, "other": other}
        np.testing.assert_allclose(depthwise(x, w, **given), wanted, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(depthwise(x, w, op="DepthwiseChainHalf", **given), wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("what", [{"weights": (4, 4, 1, 8)}, {"weights": (3, 3, 8)}, {"weights": (3, 3, 1, 16)}, {"strides": [1, 2]}, {"strides": [3, 3]},
                                  {"pads": [0, 0, 0]}, {"pads": [-1, 0, 0, 0]}, {"channels": 12}, {"steps": [(0, 2)]}])  # fmt: skip
def test_other_depthwise_convolutions_are_refused(what):
    channels = what.get("channels", 8)
    w = numbers(*what.get("weights", (3, 3, 1, channels)))
    given = {"steps": [(0, 1)]} | {key: value for key, value in what.items() if key in ("strides", "pads", "steps")}
    with pytest.raises(Exception, match=r"weights|kernel|strides|pads|operand"):
        depthwise(numbers(1, 5, 5, channels), w, bias=numbers(channels), **given)


def test_a_picture_smaller_than_the_kernel_gives_nothing():
    assert depthwise(numbers(1, 2, 9, 8), numbers(3, 3, 1, 8), steps=[(8, -1)]).shape == (1, 0, 7, 8)


LEVELS = [0, 3, 5, 2, 15, 2, 2, 3]  # of each: first place, height, width, points


def sampled(rows, points, weights, levels):
    """The definition, number by number."""
    pictures, queries, heads, _, _ = points.shape
    size = rows.shape[2] // heads
    made = np.zeros((pictures, queries, heads, size))
    for b, q, h in np.ndindex(pictures, queries, heads):
        k = 0
        for first, height, width, count in np.reshape(levels, (-1, 4)):
            plane = rows[b, first : first + height * width, h * size : (h + 1) * size].reshape(height, width, size).astype(float)
            for _ in range(count):
                x, y = ((float(points[b, q, h, k, i]) + 1) * side / 2 - 0.5 for i, side in ((0, width), (1, height)))
                for row in (int(np.floor(y)), int(np.floor(y)) + 1):
                    for column in (int(np.floor(x)), int(np.floor(x)) + 1):
                        if 0 <= row < height and 0 <= column < width:
                            made[b, q, h] += float(weights[b, q, h, k]) * (1 - abs(x - column)) * (1 - abs(y - row)) * plane[row, column]
                k += 1
    return made.reshape(pictures, queries, heads * size)


@pytest.mark.parametrize("kind", [np.float32, np.float16])
@pytest.mark.parametrize("size", [8, 16])
def test_deformable_sums(size, kind):
    rows, weights = numbers(2, 19, 3 * size, kind=kind), numbers(2, 4, 3, 5, seed=2, kind=kind)
    points = np.asarray(numbers(2, 4, 3, 5, 2, seed=3) * 0.8, kind)  # some outside
    points[0, 0, 0, 0], points[0, 0, 0, 1] = (-1, 1), (0.6, -0.999)
    wanted = sampled(rows, points, weights, LEVELS)
    feed = {"rows": rows, "points": points, "weights": weights}
    np.testing.assert_allclose(node_result("DeformableSum", feed, levels=LEVELS), wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(node_result("DeformableSumHalf", feed, levels=LEVELS), wanted, rtol=2e-3, atol=1e-3)


def test_points_far_away_or_nowhere_give_nothing():
    points = np.full((1, 1, 1, 5, 2), 2.0, np.float32)
    points[0, 0, 0, :, 0] = [np.nan, np.inf, -np.inf, 1e30, -1e30]
    feed = {"rows": numbers(1, 19, 8), "points": points, "weights": numbers(1, 1, 1, 5)}
    assert not node_result("DeformableSum", feed, levels=LEVELS).any()


@pytest.mark.parametrize("change", [{"levels": [0, 3, 5]}, {"levels": [0, 3, 5, 5, 15, 2, 3, 0]}, {"levels": [-1, 3, 5, 5]}, {"levels": [0, 3, 5, 4]}, {"levels": []},
                                    {"rows": (2, 19, 12)}, {"rows": (1, 19, 8)}, {"weights": (2, 4, 1, 4)}, {"points": (2, 4, 1, 5, 3)}])  # fmt: skip
def test_other_deformable_sums_are_refused(change):
    shapes = {"rows": (2, 19, 8), "points": (2, 4, 1, 5, 2), "weights": (2, 4, 1, 5)} | {key: value for key, value in change.items() if key != "levels"}
    with pytest.raises(Exception, match=r"level|rows|rank|fit|heads"):
        node_result("DeformableSum", {name: numbers(*shape) for name, shape in shapes.items()}, levels=change.get("levels", LEVELS))


def of_kind(op, kind):
    return op + "Half" * (kind == np.float16)


@pytest.mark.parametrize("kinds", [(np.float32, np.float32), (np.float32, np.float16), (np.float16, np.float16)])
@pytest.mark.parametrize("shape", [(2, 3, 4, 10), (1, 1, 8, 1), (3, 4, 16, 5), (2, 2, 2, 4), (0, 3, 8, 8)])
def test_pictures_are_laid_out_with_channels_last(shape, kinds):
    x = numbers(*shape, kind=kinds[0])
    np.testing.assert_array_equal(node_result(of_kind("ChannelsLast", kinds[1]), {"x": x}), x.transpose(0, 2, 3, 1).astype(kinds[1]))


@pytest.mark.parametrize("shape", [(2, 5, 8, 8), (2, 3, 3, 3), (2, 8, 8)])
def test_other_pictures_are_not_laid_out(shape):
    with pytest.raises(Exception, match="picture"):
        node_result("ChannelsLast", {"x": numbers(*shape)})


def greatest(x, size, stride, pads, outside):
    padded = np.pad(x, ((0, 0), (pads[0], pads[2]), (pads[1], pads[3]), (0, 0)), constant_values=outside)
    height, width = ((side - size) // stride + 1 for side in padded.shape[1:3])
    parts = [padded[:, i : i + (height - 1) * stride + 1 : stride, j : j + (width - 1) * stride + 1 : stride] for i in range(size) for j in range(size)]
    return np.max(parts, axis=0)


@pytest.mark.parametrize("kind", [np.float32, np.float16])
@pytest.mark.parametrize("zeros", [0, 1])
@pytest.mark.parametrize(("size", "stride", "pads"), [(2, 1, (0, 0, 1, 1)), (2, 2, (0, 0, 0, 0)), (3, 2, (1, 1, 1, 1)), (5, 1, (2, 2, 2, 2)), (3, 1, (2, 0, 0, 1))])
def test_greatest_of_windows(size, stride, pads, zeros, kind):
    for sides in ((7, 9, 8), (6, 5, 24)):
        x = numbers(2, *sides, about=-1, kind=kind)
        got = node_result(of_kind("WindowMax", kind), {"x": x}, window=[size, stride, *pads, zeros])
        np.testing.assert_array_equal(got, greatest(x, size, stride, pads, 0 if zeros else -np.inf))


def test_the_greatest_with_nan_is_nan():
    x = np.full((1, 2, 2, 8), -1, np.float32)
    x[0, 0, 1, 3], x[0, 1, 0, 5] = np.nan, np.nan
    assert np.isnan(node_result("WindowMax", {"x": x}, window=[2, 1, 0, 0, 0, 0, 0])[0, 0, 0]).nonzero()[0].tolist() == [3, 5]


@pytest.mark.parametrize(("shape", "window"), [((1, 4, 4, 8), [2, 1, 0, 0]), ((1, 4, 4, 8), [0, 1, 0, 0, 0, 0, 0]), ((1, 4, 4, 8), [9, 1, 0, 0, 0, 0, 0]), ((1, 4, 4, 8), [2, 0, 0, 0, 0, 0, 0]),
                                               ((1, 4, 4, 8), [2, 1, 0, 0, 2, 0, 0]), ((1, 4, 4, 8), [2, 1, -1, 0, 0, 0, 0]), ((1, 4, 4, 6), [2, 1, 0, 0, 0, 0, 0]), ((4, 4, 8), [2, 1, 0, 0, 0, 0, 0])])  # fmt: skip
def test_other_windows_are_refused(shape, window):
    with pytest.raises(Exception, match=r"window|channels"):
        node_result("WindowMax", {"x": numbers(*shape)}, window=window)


def norm_results(op, feed, outputs, **attributes):
    kind = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.float16): TensorProto.FLOAT16}
    values = [helper.make_tensor_value_info(name, kind[array.dtype], array.shape) for name, array in feed.items()]
    node = helper.make_node(op, list(feed), outputs, domain="image_engine", **attributes)
    made = [helper.make_tensor_value_info(name, TensorProto.FLOAT16 if op.endswith("Half") else TensorProto.FLOAT, None) for name in outputs]
    model = helper.make_model(helper.make_graph([node], "g", values, made), opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("image_engine", 1)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.register_custom_ops_library(str(OPERATORS))
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, feed)


@pytest.mark.parametrize("kind", [np.float32, np.float16])
@pytest.mark.parametrize("parts", [0, 1, 2])
@pytest.mark.parametrize("channels", [8, 32, 64, 160, 256, 320, 512])
def test_norms_of_rows(channels, parts, kind):
    rows, added, bias = numbers(3, 5, channels, about=4, kind=kind), numbers(3, 5, channels, seed=2, kind=kind), numbers(channels, seed=3, kind=kind)
    feed = {"rows": rows, "gain": numbers(channels, seed=4, kind=kind), "shift": numbers(channels, seed=5, kind=kind)} | dict([("added", added), ("bias", bias)][:parts])
    x = sum(each.astype(float) for each in [rows, added, bias][: parts + 1])
    wanted = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-3) * feed["gain"].astype(float) + feed["shift"].astype(float)
    near = {"rtol": 1e-5, "atol": 1e-5} if kind == np.float32 else {"rtol": 2e-3, "atol": 2e-3}
    np.testing.assert_allclose(norm_results(of_kind("RowNorm", kind), feed, ["y"], epsilon=1e-3)[0], wanted, **near)
    got, total = norm_results(of_kind("RowNormSum", kind), feed, ["y", "sum"], epsilon=1e-3)
    np.testing.assert_allclose(got, wanted, **near)
    np.testing.assert_allclose(total, x, **near)


@pytest.mark.parametrize("change", [{"rows": (4, 12)}, {"rows": (4, 520)}, {"gain": (8,)}, {"shift": (1, 16)}, {"added": (1, 16)}, {"bias": (4, 16)}, {"gain": None}])
def test_other_norms_are_refused(change):
    shapes = {"rows": (4, 16), "gain": (16,), "shift": (16,), "added": (4, 16), "bias": (16,)} | {key: value for key, value in change.items() if value}
    feed = {name: numbers(*shape) for name, shape in shapes.items()}
    if change.get("gain", 1) is None:
        feed["gain"] = feed["gain"].astype(np.float16)
    with pytest.raises(Exception, match=r"rows|shape|type"):
        norm_results("RowNorm", feed, ["y"], epsilon=1e-5)


@pytest.mark.parametrize("count", [8, 16, 24, 4096])
@pytest.mark.parametrize("operands", [0, 1, 2, 3, 4])
def test_chains_of_halves(count, operands):
    """Those of which everything is read before the first step, and with too many operands for it."""
    x, others = numbers(3, count, kind=np.float16), [numbers(*shape, seed=i, kind=np.float16) for i, shape in enumerate([(count,), (3, count), (1,), (3, 1)])]
    names = ["a", "b", "c", "d"][:operands]
    wanted = x.astype(np.float32)
    for other in others[:operands]:
        wanted = np.maximum(wanted + other.astype(np.float32), 0)
    steps = [step for i in range(operands) for step in ((0, i + 1), (8, -1))] or [(17, -1)]
    got = result(steps, op=HALF, x=x, **dict(zip(names, others)))
    np.testing.assert_array_equal(got, (wanted if operands else -wanted).astype(np.float16))


@pytest.mark.parametrize("count", [1, 7, 8, 9, 1000])
def test_every_element_is_computed(count):
    x = numbers(count)
    np.testing.assert_array_equal(result([(17, -1), (17, -1), (17, -1)], x=x), -x)


def test_halves_are_rounded_to_even_and_overflow_to_infinity():
    x = np.array([1 + 2**-11, 1 + 3 * 2**-11, 65519, 65520, -1e6, 2.0**-25, 1.5 * 2.0**-25, -0.0, np.nan], np.float32)
    np.testing.assert_array_equal(result([(16, -1)], op=HALF, x=x), np.abs(x).astype(np.float16))


def test_nan_stays_nan():
    x = np.array([np.nan, -1, 0.5, 2, np.inf, -np.inf, -0.0], np.float32)
    o = np.array([1], np.float32)
    np.testing.assert_array_equal(result([(8, -1), (7, 1)], x=x, o=o), [np.nan, 0, 0.5, 1, 1, 0, 0])


def test_nothing_makes_nothing():
    assert result([(0, 1)], x=np.ones((0, 4), np.float32), o=np.ones(4, np.float32)).shape == (0, 4)


@pytest.mark.parametrize("steps", [[(0,)], [(0, 0)], [(0, 12)], [(0, -1)], [(8, 1)], [(99, -1)], [(-1, -1)], [(0, 1)] * 25])
def test_other_steps_are_refused_at_load(steps):
    with pytest.raises(Exception, match="step"):
        session_of(steps, {"x": [4], "o": [4]})


@pytest.mark.parametrize("shape", [(3,), (2, 4), (1, 1, 1)])
def test_other_shapes_are_refused_at_run(shape):
    o = np.ones(shape, np.float32)
    session = session_of([(0, 1)], {"x": ["n"], "o": [f"d{i}" for i in range(o.ndim)]})
    with pytest.raises(Exception, match="another shape"):
        session.run(None, {"x": np.ones(4, np.float32), "o": o})


def test_an_operand_that_is_not_there_is_refused():
    with pytest.raises(Exception, match="operand"):
        result([(0, 2)], x=numbers(4), o=numbers(4))


def test_other_types_are_refused():
    values = [helper.make_tensor_value_info("x", TensorProto.INT64, [4])]
    node = helper.make_node(FULL, ["x"], ["y"], domain="image_engine", steps=[8, -1])
    graph = helper.make_graph([node], "g", values, [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("image_engine", 1)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.register_custom_ops_library(str(OPERATORS))
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    with pytest.raises(Exception, match="float16"):
        session.run(None, {"x": np.ones(4, np.int64)})
