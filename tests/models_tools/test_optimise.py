"""Rewriting graphs, by the program's own code and by optimise.py, its reference: what is fused computes the same, in fp32 and in
fp16, with fixed and free batches; both make the same; what they refuse."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import json
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from yolo_graph import yolo

ROOT = Path(__file__).resolve().parents[2]
TREE = Path(os.environ.get("IMAGE_ENGINE_BUILD", ROOT / "build/release"))
PYTHON = [sys.executable, "-B"]
TOOLS = {"program": [TREE / "bin/optimise_graph"], "reference": [*PYTHON, ROOT / "tools/models/optimise.py"]}
EDGE = 224


def run(*command):
    return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(params=TOOLS)
def tool(request):
    return TOOLS[request.param]


def optimise(tool, source, target, *arguments):
    done = run(*tool, "--input", source, "--output", target, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert not list(target.parent.glob("*.new"))
    return json.loads(done.stdout)


def results(path, feed, runs_all=True):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if not runs_all:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    kinds = {value.name: np.float16 if "float16" in value.type else np.float32 for value in session.get_inputs()}
    return session.run(None, {name: array.astype(kinds[name]) for name, array in feed.items()})


def cosines(a, b):
    a, b = (np.asarray(x, np.float64).reshape(len(x), -1) for x in (a, b))
    return (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))


def kinds_of(path):
    return [node.op_type for node in onnx.load(path).graph.node]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    for opset in (14, 17):
        done = run(*PYTHON, ROOT / "tools/export/random_clip.py", "--output", folder / str(opset), "--opset", opset)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(2).standard_normal((3, 3, EDGE, EDGE)).astype(np.float32)


@pytest.mark.parametrize("opset", [14, 17])
def test_clip_in_fp32_is_fused_and_the_same(tool, clip, pictures, tmp_path, opset):
    source, target = clip / str(opset) / "clip_vision_fp32.onnx", tmp_path / "o.onnx"
    told = optimise(tool, source, target, "--precision", "fp32")
    fused = told["fused"]
    assert (fused["attention"], fused["gelu"], fused["patches"], fused["early_rows"]) == (2, 2, 1, 1)
    assert fused["skip_layer_norm"] == 3 and fused["layer_norm"] == (6 if opset == 14 else 0)
    assert told["nodes"] == len(kinds_of(target)) and "Softmax" not in kinds_of(target) and "Conv" not in kinds_of(target)
    wanted, got = (results(path, {"pixel_values": pictures})[0] for path in (source, target))
    np.testing.assert_allclose(got, wanted, atol=2e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("way", [["--qkv", "joined"], ["--qkv", "separate", "--batch", "3"], ["--patches", "conv", "--half-io"], ["--for", "tensorrt"]])
def test_clip_in_fp16_stays_close_and_keeps_its_names(tool, clip, pictures, tmp_path, way):
    source, target = clip / "17/clip_vision_fp32.onnx", tmp_path / "o.onnx"
    optimise(tool, source, target, *way)
    wanted, got = (results(path, {"pixel_values": pictures})[0] for path in (source, target))
    assert cosines(got, wanted).min() > 0.9999
    model = onnx.load(target)
    assert [value.name for value in (*model.graph.input, *model.graph.output)] == ["pixel_values", "image_embeds"]
    kind = TensorProto.FLOAT16 if "--half-io" in way else TensorProto.FLOAT
    assert {value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)} == {kind}
    weights = {tensor.data_type for tensor in model.graph.initializer if np.prod(tensor.dims) > 64}
    assert weights == {TensorProto.FLOAT16}
    if "tensorrt" in way:
        assert {node.domain for node in model.graph.node} <= {"", "ai.onnx"}
        onnx.checker.check_model(model, full_check=True)


def test_text_with_its_mask_is_left_whole(tool, clip, tmp_path):
    source, target = clip / "17/clip_text_fp32.onnx", tmp_path / "o.onnx"
    assert optimise(tool, source, target, "--precision", "fp32")["fused"]["attention"] == 0
    ids = np.array([[5, 9, 7, 100, 101]] * 2, np.int64)
    options = onnxruntime.SessionOptions()
    wanted, got = (onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(None, {"input_ids": ids})[0] for path in (source, target))
    np.testing.assert_allclose(got, wanted, atol=1e-5 * np.abs(wanted).max())


def operators(path):
    return Counter((node.domain, node.op_type) for node in onnx.load(path).graph.node)


def feed_of(path, rows):
    random = np.random.default_rng(12)
    inputs = {value.name: [dim.dim_value or rows for dim in value.type.tensor_type.shape.dim] for value in onnx.load(path).graph.input}
    return {name: random.standard_normal(shape).astype(np.float32) for name, shape in inputs.items()}


SHAPES = {
    "clip_14": lambda clip, _: clip / "14/clip_vision_fp32.onnx",
    "clip_17": lambda clip, _: clip / "17/clip_vision_fp32.onnx",
    "attention_before": lambda _, folder: attention_graph(folder / "m.onnx", "before"),
    "attention_after": lambda _, folder: attention_graph(folder / "m.onnx", "after"),
    "attention_open": lambda _, folder: attention_graph(folder / "m.onnx", "open"),
    "attention_flat": lambda _, folder: attention_graph(folder / "m.onnx", "flat"),
    "yolo": lambda _, folder: yolo(folder / "m.onnx", batch="batch"),
}


@pytest.mark.parametrize("way", [["--precision", "fp32"], ["--precision", "fp32", "--batch", "2"], [], ["--qkv", "packed"], ["--for", "tensorrt"]])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_program_makes_what_the_reference_makes(clip, tmp_path, shape, way):
    source = SHAPES[shape](clip, tmp_path)
    paths = {name: tmp_path / f"{name}.onnx" for name in TOOLS}
    told = {name: optimise(TOOLS[name], source, path, *way) for name, path in paths.items()}
    assert told["program"] == told["reference"] and operators(paths["program"]) == operators(paths["reference"])
    if "packed" in way:  # a form that only the CUDA provider has a kernel for
        return
    feed = feed_of(source, 2)
    for wanted, got in zip(*(results(paths[name], feed) for name in ("reference", "program"))):
        if "fp32" in way:
            np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-4 * max(1, np.abs(wanted).max()))
        else:
            assert cosines(got, wanted).min() >= 0.9999


def save(path, nodes, weights, inputs, outputs, opset=17, **more):
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
                              [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
                              [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()])  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path, **more)
    return path


def attention_graph(path, way, mask=0.0):
    """As exporters of traces write it: shapes computed from the input, products apart, the factor where `way` puts it."""
    random, width, heads = np.random.default_rng(9), 32, 4
    size = width // heads
    weights = {name: (random.standard_normal((width, width)) * 0.3).astype(np.float32) for name in "qkv"}
    weights |= {f"{name}b": random.standard_normal(width).astype(np.float32) for name in "qkv"}
    weights |= {"zero": np.int64(0), "front": np.array([0]), "scale": np.float32(size**-0.5), "root": np.float32(size**0.5),
                "mask": np.full((1, 1, 6, 6), mask, np.float32) * np.tri(6, dtype=np.float32)}  # fmt: skip
    nodes = [helper.make_node("Shape", ["x"], ["shape"]), helper.make_node("Gather", ["shape", "zero"], ["n"]), helper.make_node("Unsqueeze", ["n", "front"], ["batch"])]

    def target(name, *sizes, first="batch"):
        weights[f"{name}_rest"] = np.array(sizes, np.int64)
        nodes.append(helper.make_node("Concat", [first, f"{name}_rest"], [name], axis=0))
        return name

    flat = way == "flat"
    if flat:
        weights["heads"] = np.array([heads])
        nodes.append(helper.make_node("Mul", ["batch", "heads"], ["all"]))
    for name in "qkv":
        nodes += [helper.make_node("MatMul", ["x", name], [f"{name}1"]), helper.make_node("Add", [f"{name}1", f"{name}b"], [f"{name}2"])]
        last = f"{name}2"
        if name == "q" and way != "after":
            nodes.append(helper.make_node("Mul", [last, "scale"], ["q_scaled"]))
            last = "q_scaled"
        nodes.append(helper.make_node("Reshape", [last, target(f"{name}_four", 6, heads, size)], [f"{name}3"]))
        turned = [0, 2, 3, 1] if name == "k" and not flat else [0, 2, 1, 3]
        nodes.append(helper.make_node("Transpose", [f"{name}3"], [f"{name}4"], perm=turned))
        if flat:
            nodes.append(helper.make_node("Reshape", [f"{name}4", target(f"{name}_three", 6, size, first="all")], [f"{name}5"]))
    if flat:
        nodes.append(helper.make_node("Transpose", ["k5"], ["k6"], perm=[0, 2, 1]))
    operands = {False: ["q4", "k4", "v4"], True: ["q5", "k6", "v5"]}[flat]
    nodes.append(helper.make_node("MatMul", operands[:2], ["scores"]))
    last = "scores"
    if way == "after":
        nodes += [helper.make_node("Div", ["scores", "root"], ["scaled"]), helper.make_node("Add", ["scaled", "mask"], ["masked"])]
        last = "masked"
    nodes += [helper.make_node("Softmax", [last], ["chances"], axis=-1), helper.make_node("MatMul", ["chances", operands[2]], ["mixed"])]
    last = "mixed"
    if flat:
        nodes.append(helper.make_node("Reshape", ["mixed", target("out_four", heads, 6, size)], ["mixed4"]))
        last = "mixed4"
    nodes += [helper.make_node("Transpose", [last], ["turned"], perm=[0, 2, 1, 3]), helper.make_node("Reshape", ["turned", target("out", 6, -1 if way == "open" else width)], ["y"])]
    return save(path, nodes, weights, {"x": ["n_pictures", 6, width]}, {"y": ["n_pictures", 6, width]})


@pytest.mark.parametrize("batch", [[], ["--batch", "2"], ["--dimension", "n_pictures=2"]])
@pytest.mark.parametrize("way", ["before", "after", "flat"])
def test_attention_as_exporters_write_it(tool, tmp_path, way, batch):
    source, target = attention_graph(tmp_path / "m.onnx", way), tmp_path / "o.onnx"
    fused = optimise(tool, source, target, "--precision", "fp32", *batch)["fused"]
    assert (fused["attention"], fused["qkv"]) == (1, 1) and kinds_of(target) == ["Attention"]
    x = np.random.default_rng(10).standard_normal((2, 6, 32)).astype(np.float32)
    np.testing.assert_allclose(*(results(path, {"x": x})[0] for path in (target, source)), atol=1e-5)


def test_a_mask_that_masks_stays(tool, tmp_path):
    source, target = attention_graph(tmp_path / "m.onnx", "after", mask=-3.0), tmp_path / "o.onnx"
    assert optimise(tool, source, target, "--precision", "fp32")["fused"]["attention"] == 0
    x = np.random.default_rng(10).standard_normal((2, 6, 32)).astype(np.float32)
    np.testing.assert_allclose(*(results(path, {"x": x})[0] for path in (target, source)), atol=1e-5)


def test_gelu_takes_the_bias_before_it(tool, tmp_path):
    random = np.random.default_rng(4)
    weights = {"w": random.standard_normal((8, 16)).astype(np.float32), "b": random.standard_normal(16).astype(np.float32),
               "root": np.float32(math.sqrt(2)), "one": np.float32(1), "half": np.float32(0.5)}  # fmt: skip
    nodes = [helper.make_node("MatMul", ["x", "w"], ["p"]), helper.make_node("Add", ["b", "p"], ["a"]), helper.make_node("Div", ["a", "root"], ["d"]),
             helper.make_node("Erf", ["d"], ["e"]), helper.make_node("Add", ["e", "one"], ["s"]), helper.make_node("Mul", ["a", "s"], ["m"]),
             helper.make_node("Mul", ["m", "half"], ["y"])]  # fmt: skip
    source = save(tmp_path / "m.onnx", nodes, weights, {"x": ["n", 5, 8]}, {"y": ["n", 5, 16]})
    told = optimise(tool, source, tmp_path / "o.onnx", "--precision", "fp32")
    assert told["fused"]["gelu"] == 1 and kinds_of(tmp_path / "o.onnx") == ["MatMul", "BiasGelu"]
    x = random.standard_normal((2, 5, 8)).astype(np.float32)
    a = x @ weights["w"] + weights["b"]
    wanted = a * (1 + np.vectorize(math.erf)(a / math.sqrt(2))) / 2
    np.testing.assert_allclose(results(tmp_path / "o.onnx", {"x": x})[0], wanted, atol=1e-5)


@pytest.mark.parametrize(("factor", "shift", "biased"), [(1.3, 0.4, True), (-0.7, 0.2, False), (2.0, None, True), (None, -0.3, False)])
def test_what_follows_a_relu_goes_into_the_convolution(tool, tmp_path, factor, shift, biased):
    random = np.random.default_rng(11)
    weights = {"w": random.standard_normal((4, 3, 3, 3)).astype(np.float32)} | ({"b": random.standard_normal(4).astype(np.float32)} if biased else {})
    nodes = [helper.make_node("Conv", ["x", *weights], ["c"], pads=[1] * 4, strides=[2, 2]), helper.make_node("Relu", ["c"], ["r"])]
    last = "r"
    for op, name, number in (("Mul", "s", factor), ("Add", "t", shift)):
        if number is not None:
            weights[name] = np.array([number], np.float32)
            nodes.append(helper.make_node(op, [name, last], [f"{name}_y"]))
            last = f"{name}_y"
    # A padded convolution behind it sees zeros at the border, not the shift.
    nodes.append(helper.make_node("Conv", [last, "v"], ["y"], pads=[1] * 4))
    weights["v"] = random.standard_normal((2, 4, 3, 3)).astype(np.float32)
    source = save(tmp_path / "m.onnx", nodes, weights, {"x": ["n", 3, 8, 8]}, {"y": ["n", 2, 4, 4]})
    assert optimise(tool, source, tmp_path / "o.onnx", "--precision", "fp32")["fused"]["affine_relu"] == 1
    assert kinds_of(tmp_path / "o.onnx") == ["Conv", "Clip", "Conv"]
    x = random.standard_normal((2, 3, 8, 8)).astype(np.float32)
    np.testing.assert_allclose(*(results(path, {"x": x})[0] for path in (tmp_path / "o.onnx", source)), atol=1e-5)


def test_places_in_pixels_are_computed_in_fp32(tool, tmp_path):
    """Centres of a thousand and some: fp16 knows them to a whole pixel only."""
    weights = {"w": np.eye(4, dtype=np.float32).reshape(4, 4, 1, 1), "c": np.float32(1024.3)}
    nodes = [helper.make_node("Conv", ["x", "w"], ["p"]), helper.make_node("Add", ["p", "c"], ["y"])]
    source = save(tmp_path / "m.onnx", nodes, weights, {"x": ["n", 4, 3, 3]}, {"y": ["n", 4, 3, 3]})
    assert optimise(tool, source, tmp_path / "o.onnx")["kept_fp32"] == ["Add"]
    x = np.linspace(0, 1, 36, dtype=np.float32).reshape(1, 4, 3, 3)
    np.testing.assert_allclose(results(tmp_path / "o.onnx", {"x": x})[0], x + np.float32(1024.3), atol=2e-3)


def test_constants_that_fp16_cannot_hold_stay(tool, tmp_path):
    weights = {"w": np.eye(4, dtype=np.float32), "large": np.float32(1e6)}
    nodes = [helper.make_node("Mul", ["x", "large"], ["a"]), helper.make_node("Tanh", ["a"], ["t"]), helper.make_node("MatMul", ["t", "w"], ["y"])]
    source = save(tmp_path / "m.onnx", nodes, weights, {"x": ["n", 4]}, {"y": ["n", 4]})
    optimise(tool, source, tmp_path / "o.onnx")
    x = np.array([[1e-6, -2e-6, 5e-7, 0]], np.float32)
    np.testing.assert_allclose(results(tmp_path / "o.onnx", {"x": x})[0], np.tanh(x * 1e6), atol=2e-3)


def test_an_if_passes_through(tool, tmp_path):
    branches = []
    for name, op in (("then_branch", "Neg"), ("else_branch", "Abs")):
        branches.append(helper.make_graph([helper.make_node(op, ["a"], [f"{name}_y"])], name, [], [helper.make_tensor_value_info(f"{name}_y", TensorProto.FLOAT, None)]))
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0), helper.make_node("Greater", ["s", "zero"], ["c"]),
             helper.make_node("If", ["c"], ["r"], then_branch=branches[0], else_branch=branches[1]), helper.make_node("MatMul", ["r", "w"], ["y"])]  # fmt: skip
    weights = {"w": np.array([[1, -2], [3, 4]], np.float32), "zero": np.float32(0)}
    source = save(tmp_path / "m.onnx", nodes, weights, {"x": ["n", 2]}, {"y": ["n", 2]})
    optimise(tool, source, tmp_path / "o.onnx")
    for x in (np.array([[1, 2]], np.float32), np.array([[-1, -2]], np.float32)):
        np.testing.assert_allclose(*(results(path, {"x": x})[0] for path in (tmp_path / "o.onnx", source)), atol=1e-2)


def refused(tool, tmp_path, source, *arguments):
    target = tmp_path / "refused.onnx"
    done = run(*tool, "--input", source, "--output", target, *arguments)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr and not done.stdout, done.stderr
    assert not list(tmp_path.glob("refused*"))
    return done.stderr


def test_bad_files_are_refused_in_one_line(tool, tmp_path):
    for name, data in (("empty", b""), ("text", b"no model at all"), ("cut", None)):
        path = tmp_path / f"{name}.onnx"
        if data is None:
            whole = save(tmp_path / "whole.onnx", [helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": np.ones((64, 64), np.float32)}, {"x": [1, 64]}, {"y": [1, 64]})
            data = whole.read_bytes()[: whole.stat().st_size // 2]
        path.write_bytes(data)
        assert str(path) in refused(tool, tmp_path, path)
    refused(tool, tmp_path, tmp_path / "absent.onnx")
    unknown = save(tmp_path / "unknown.onnx", [helper.make_node("Frobnicate", ["x"], ["y"])], {}, {"x": [1]}, {"y": [1]})
    assert "Frobnicate" in refused(tool, tmp_path, unknown)


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/hostname", "link/weights.bin", "absent.bin"])
def test_external_data_stays_in_the_folder(tool, tmp_path, location):
    inside = tmp_path / "in"
    inside.mkdir()
    (tmp_path / "weights.bin").write_bytes(bytes(64 * 64 * 4))
    (inside / "link").symlink_to(tmp_path)
    path = save(inside / "m.onnx", [helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": np.ones((64, 64), np.float32)}, {"x": [1, 64]}, {"y": [1, 64]},
                save_as_external_data=True, location="w.bin", size_threshold=0)  # fmt: skip
    good = run(*tool, "--input", path, "--output", tmp_path / "good.onnx")
    assert good.returncode == 0, good.stderr
    model = onnx.load(path, load_external_data=False)
    next(entry for entry in model.graph.initializer[0].external_data if entry.key == "location").value = location
    path.write_bytes(model.SerializeToString())
    assert location in refused(tool, tmp_path, path)


def test_dimensions_are_checked(tool, clip, tmp_path):
    source = clip / "17/clip_vision_fp32.onnx"
    assert "nowhere" in refused(tool, tmp_path, source, "--dimension", "nowhere=3")
    assert "dimension" in refused(tool, tmp_path, source, "--dimension", "batch=-1")
    assert "batch" in refused(tool, tmp_path, source, "--batch", "0")
    fixed = tmp_path / "fixed.onnx"
    optimise(tool, source, fixed, "--batch", "2", "--precision", "fp32")
    assert "fixed batch 2" in refused(tool, tmp_path, fixed, "--batch", "3")
    assert [dim.dim_value for dim in onnx.load(fixed).graph.output[0].type.tensor_type.shape.dim] == [2, 512]
    assert "Shape" not in kinds_of(fixed)
