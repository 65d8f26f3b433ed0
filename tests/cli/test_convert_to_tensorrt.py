"""`convert-to-tensorrt` where TensorRT is not: what is refused before a GPU is asked, and what is missing, one by one.

A driver, CUDA's libraries and TensorRT are stood in for by libraries that only have their names; ONNX Runtime for GPUs is
that of `make setup GPU=1`."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageOps

from engine import FAILED, INTERRUPTED, ROOT, USAGE, children, real_worker, wait_until

GPU_RUNTIME = Path(os.environ.get("IMAGE_ENGINE_GPU_RUNTIME", ROOT / "build/onnxruntime-gpu/lib/libonnxruntime.so.1"))
CUDA = ["libcudart.so.13", "libcublasLt.so.13", "libcublas.so.13", "libcurand.so.10", "libcufft.so.12", "libcudnn.so.9"]
TENSORRT = ["libnvinfer.so.10", "libnvonnxparser.so.10"]
DRIVER = """
#include <string.h>
int cuInit(unsigned f) { return 0; }
int cuDriverGetVersion(int *v) { *v = VERSION; return 0; }
int cuDeviceGetCount(int *n) { *n = CARDS; return 0; }
int cuDeviceGet(int *d, int i) { *d = i; return 0; }
int cuDeviceGetName(char *n, int size, int d) { strncpy(n, "Fake RTX 2080 Ti", size); return 0; }
int cuDeviceGetAttribute(int *v, int what, int d) { *v = what == 75 ? MAJOR : MINOR; return 0; }
int cuDeviceTotalMem_v2(size_t *b, int d) { *b = 11ull << 30; return 0; }
int cuGetErrorString(int e, const char **s) { *s = "fake"; return 0; }
"""


def model(path, shape=("batch", 3, 8, 8), operator="Relu", weights=None):
    """One operator between `pixels` and `out`; with weights added to, if any."""
    nodes = [helper.make_node(operator, ["pixels"], ["out" if weights is None else "between"], name="first")]
    if weights is not None:
        nodes.append(helper.make_node("Add", ["between", "weights"], ["out"]))
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)], weights or [])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def external(path, location):
    tensor = numpy_helper.from_array(np.zeros((1, 3, 8, 8), np.float32), "weights")
    onnx.external_data_helper.set_external_data(tensor, location)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    return model(path, weights=[tensor])


def in_system(library):
    """Whether the loader finds it without help."""
    return subprocess.run([sys.executable, "-c", f"import ctypes; ctypes.CDLL({library!r})"], stderr=subprocess.DEVNULL).returncode == 0


@pytest.fixture
def refused(engine, folder):
    """Runs the command, which must fail with one line and leave nothing."""
    out = folder / "out"
    out.mkdir()

    def run(code, given, *arguments):
        outcome = engine.run("convert-to-tensorrt", "--onnx", given, "--output", out / "engine.trt", *arguments)
        assert outcome.code == code, outcome.message
        assert outcome.message.startswith("image-engine: ") and outcome.message.count("\n") == 1, outcome.message
        assert not list(out.iterdir()), "nothing is left"
        return outcome.message
    return run


@pytest.fixture
def machine(folder, engine):
    """A folder that stands for the machine's libraries; gives a function that makes one of a name."""
    libraries = folder / "libraries"
    libraries.mkdir()
    engine.environment["IMAGE_ENGINE_CUDA"] = str(libraries)
    engine.environment["LD_LIBRARY_PATH"] = str(libraries)

    def make(name, source="", **define):
        command = ["cc", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-x", "c", "-", "-o", libraries / name]
        command += [f"-D{key}={value}" for key, value in ({"MAJOR": 7, "MINOR": 5} | define).items()]
        subprocess.run(command, input=source.encode(), check=True)
        return libraries / name
    return make


def test_help(engine):
    text = engine.run("convert-to-tensorrt", "--help").out.decode()
    for option in ("--onnx", "--output", "--precision", "--max-batch-size", "--workspace-gb", "--calibration", "--format", "Examples:"):
        assert option in text
    assert "--here" not in text and "--workspace-bytes" not in text


def test_without_a_driver(engine, folder, refused):
    if shutil.which("nvidia-smi"):
        pytest.skip("there may be a GPU here")
    assert "TensorRT: " in refused(FAILED, model(folder / "clip.onnx"), "--precision", "fp16", "--max-batch-size", "16")


def test_arguments(folder, refused):
    given = model(folder / "m.onnx")
    for precision, reason in (("int4", "language models"), ("bf16", "RTX 20"), ("fp8", "RTX 40"), ("fp15", "there is no precision")):
        assert reason in refused(USAGE, given, "--precision", precision)
    assert "--calibration" in refused(USAGE, given, "--precision", "int8")
    assert "must be ascending" in refused(USAGE, given, "--max-batch-size", "4", "--optimum-batch", "5")
    assert "must be ascending" in refused(USAGE, given, "--max-batch-size", "-1")
    assert "--workspace-gb" in refused(USAGE, given, "--workspace-gb", "0")
    assert "--workspace-gb" in refused(USAGE, given, "--workspace-gb", "nan")
    assert "NAME=SIZE" in refused(USAGE, given, "--dimension", "height")


def test_models_that_cannot_be(folder, refused):
    assert "cannot be loaded" in refused(FAILED, folder / "none.onnx")
    (folder / "garbage.onnx").write_bytes(b"\x08\x07garbage")
    assert "cannot be loaded" in refused(FAILED, folder / "garbage.onnx")
    whole = model(folder / "whole.onnx").read_bytes()
    (folder / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    assert "cannot be loaded" in refused(FAILED, folder / "cut.onnx")
    assert "Unheard" in refused(FAILED, model(folder / "unheard.onnx", operator="Unheard"))
    assert "cannot be loaded" in refused(FAILED, external(folder / "missing.onnx", "missing.bin"))
    (folder.parent / f"{folder.name}.bin").write_bytes(bytes(768))
    try:
        assert "cannot be loaded" in refused(FAILED, external(folder / "climbs.onnx", f"../{folder.name}.bin"))
    finally:
        (folder.parent / f"{folder.name}.bin").unlink()


def test_free_sizes_are_fixed_by_name(folder, refused):
    given = model(folder / "free.onnx", shape=("batch", 3, "height", "width"))
    assert "its input pixels has any size" in refused(FAILED, given)
    assert "TensorRT: " in refused(FAILED, given, "--dimension", "height=8", "--dimension", "width=8")


def test_what_a_driver_lacks(folder, machine, refused):
    given = model(folder / "m.onnx")
    machine("libcuda.so.1", "int cuInit(unsigned f) { return 0; }")
    assert "libcuda.so.1 is not supported" in refused(FAILED, given)
    machine("libcuda.so.1", DRIVER.replace("return 0; }", "return 999; }", 1), VERSION=13000, CARDS=1)
    assert "does not start: fake (error 999)" in refused(FAILED, given)
    machine("libcuda.so.1", DRIVER, VERSION=13000, CARDS=0)
    assert "no GPU" in refused(FAILED, given)


def test_onnx_runtime_for_cpus(engine, folder, machine, refused):
    machine("libcuda.so.1", DRIVER, VERSION=13000, CARDS=1)
    engine.environment["IMAGE_ENGINE_ONNXRUNTIME"] = str(ROOT / "build/onnxruntime/lib/libonnxruntime.so.1")
    assert "make setup GPU=1" in refused(FAILED, model(folder / "m.onnx"))


def test_libraries_missing_one_by_one(engine, folder, machine, refused):
    if not GPU_RUNTIME.exists():
        pytest.skip("no ONNX Runtime for GPUs: `make setup GPU=1` brings one")
    engine.environment["IMAGE_ENGINE_ONNXRUNTIME"] = str(GPU_RUNTIME)
    given = model(folder / "m.onnx")
    machine("libcuda.so.1", DRIVER, VERSION=12080, CARDS=1)
    message = refused(FAILED, given)
    assert "driver is too old" in message and "CUDA 12.8" in message and "580" in message
    machine("libcuda.so.1", DRIVER, VERSION=13000, CARDS=1)
    for name in CUDA:
        assert in_system(name) or name in refused(FAILED, given)
        machine(name)
    for name in TENSORRT:
        message = refused(FAILED, given)
        assert in_system(name) or (name in message and "docs/tensorrt.md" in message)
        machine(name, "int getInferLibVersion(void) { return 101401; }")
    # All are there by name, and none does anything: what the builder's own process says is told, and nothing is left.
    outcome = engine.run("convert-to-tensorrt", "--onnx", given, "--output", folder / "out/engine.trt", "--precision", "fp32")
    assert outcome.code == FAILED and "image-engine: " in outcome.message and "libonnxruntime_providers" in outcome.message
    assert not list((folder / "out").iterdir())


def test_the_plugin_for_rtx_gpus(engine, folder, machine):
    if not GPU_RUNTIME.exists():
        pytest.skip("no ONNX Runtime for GPUs: `make setup GPU=1` brings one")
    engine.environment["IMAGE_ENGINE_ONNXRUNTIME"] = str(GPU_RUNTIME)
    plugin = folder / "libraries/libonnxruntime_providers_nv_tensorrt_rtx.so"
    engine.environment["IMAGE_ENGINE_TENSORRT_RTX"] = str(folder / "libraries")

    def told():
        (finding,) = (f for f in engine.json("doctor")["findings"] if "TensorRT for RTX" in f["what"])
        assert "\n" not in finding["advice"]
        return finding["found"] + ": " + finding["advice"]

    machine("libcuda.so.1", DRIVER, VERSION=13000, CARDS=1)
    for name in CUDA:
        machine(name)
    assert "RTX 30, 40 and 50" in told()
    machine("libcuda.so.1", DRIVER, VERSION=13000, CARDS=1, MAJOR=8, MINOR=6)
    assert "make setup GPU=1" in told() and plugin.name in told()
    machine(plugin.name)
    for name in ("libtensorrt_rtx.so.1", "libtensorrt_onnxparser_rtx.so.1"):
        assert f"{name} cannot be loaded" in told()
        machine(name)
    assert "its plugin cannot be loaded" in told()
    engine.environment["IMAGE_ENGINE_TENSORRT_RTX"] = str(plugin)
    assert "its plugin cannot be loaded" in told()


# In place of the builder's process: does what its text says to the folder that it is told.
BUILDER = """#!{python}
import json, os, signal, sys, time
given = dict(zip(sys.argv[1:-1], sys.argv[2:]))
output = given["--output"]
open({seen!r}, "w").write(json.dumps(sys.argv[1:]))
tensor = lambda name, *shape: {{"name": name, "type": "float32", "shape": shape}}
record = dict(schema="image-engine/engine/1", engine=dict(bytes=0, sha256="", device_bytes=300_000_000),
  model=dict(sha256="", dimensions={{}}), precision="", batch=dict(least=1, best=1, most=1), workspace_bytes=0,
  gpu=dict(name="", compute_capability=""), versions=dict(driver="", cuda="", tensorrt="", onnxruntime=""),
  inputs=[tensor("pixels", -1, 3, 8, 8)], outputs=[tensor("out", -1, 3, 8, 8)], layer_precisions={{}}, build_seconds=61.0)
open(os.path.join(os.path.dirname(output), "TensorrtExecutionProvider_cache_sm75.timing"), "w").write("timings")
{then}
open(output, "wb").write(b"engine" * 1000)
open(output + ".json", "w").write(json.dumps(record))
"""


@pytest.fixture
def with_builder(engine, folder, machine):
    """A copy of image-engine under another name, which starts the stand-in as its builder; gives a function that says what
    that does, and runs the command."""
    if not GPU_RUNTIME.exists():
        pytest.skip("no ONNX Runtime for GPUs: `make setup GPU=1` brings one")
    engine.environment["IMAGE_ENGINE_ONNXRUNTIME"] = str(GPU_RUNTIME)
    machine("libcuda.so.1", DRIVER, VERSION=13000, CARDS=1)
    for name in CUDA:
        machine(name)
    for name in TENSORRT:
        machine(name, "int getInferLibVersion(void) { return 101401; }")
    tree = folder / "tree"  # as the source tree: converters and their Python are found by where the program lies
    (tree / "build/x/bin").mkdir(parents=True)
    for name in ("config", "tools", "build/venv"):
        (tree / name).symlink_to(ROOT / name)
    shutil.copy2(real_worker(), tree / "build/x/bin/image-engine-worker")
    shutil.copy2(engine.program, tree / "build/x/bin/converter")
    engine.program = tree / "build/x/bin/converter"

    def run(*arguments, then="", start=engine.run):
        builder = engine.program.parent / "image-engine"
        builder.write_text(BUILDER.format(python=sys.executable, then=then, seen=str(folder / "seen.json")))
        builder.chmod(0o755)
        given = [] if "--onnx" in arguments else ["--onnx", model(folder / "m.onnx"), "--precision", "fp32"]
        return start("convert-to-tensorrt", *given, *arguments)
    return run


def test_a_build(engine, folder, with_builder):
    out = folder / "out"
    document = with_builder("--output", out / "m.trt", "--max-batch-size", "4", "--workspace-gb", "0.5", "--optimum-batch", "2",
                            start=engine.json)
    assert {path.name for path in out.iterdir()} == {"m.trt", "m.trt.json", "m.trt.onnx"}
    assert (out / "m.trt").read_bytes() == b"engine" * 1000
    assert document["bytes"] == 6000 and document["batch"] == {"least": 1, "best": 2, "most": 4} and document["gpu"] == "Fake RTX 2080 Ti"
    assert document["build_seconds"] == 61 and document["device_bytes"] == 300_000_000 and document["tensorrt"] == "10.14.1"
    asked = json.loads((folder / "seen.json").read_text())
    told = dict(zip(asked, asked[1:]))
    assert told["--workspace-bytes"] == str(1 << 29) and told["--max-batch-size"] == "4" and told["--onnx"] == str(folder / "m.onnx")
    sidecar = json.loads((out / "m.trt.json").read_text())
    assert sidecar["engine"]["sha256"] == hashlib.sha256(b"engine" * 1000).hexdigest()
    assert sidecar["model"]["sha256"] == hashlib.sha256((folder / "m.onnx").read_bytes()).hexdigest()
    assert sidecar["versions"]["tensorrt"] == "10.14.1" and sidecar["gpu"]["compute_capability"] == "7.5"
    (node,) = onnx.load(out / "m.trt.onnx").graph.node
    assert {a.name: a.s for a in node.attribute}["ep_cache_context"] == b"m.trt"
    kept = engine.folder / "cache/image-engine/engines"
    assert (kept / "TensorrtExecutionProvider_cache_sm75.timing").read_text() == "timings"


def test_for_people_by_default_names(engine, folder, with_builder):
    clip = model(folder / "my-clip.onnx")
    with_builder("--output", folder / "x/y/m.trt")
    text = engine.run("convert-to-tensorrt", "--onnx", clip, "--precision", "fp32", cwd=folder)
    assert text.code == 0, text.message
    assert (folder / "clip_vision_fp32.trt").exists() and b"1 to 16, best 8" in text.out and b"1 min 01 s" in text.out
    detr = model(folder / "DETR.onnx")
    assert b"1 to 8, best 8" in engine.run("convert-to-tensorrt", "--onnx", detr, "--precision", "fp32", cwd=folder).out
    assert (folder / "detr_fp32.trt").exists()


def test_an_ep_context(engine, folder, with_builder):
    document = with_builder("--output", folder / "out/m.onnx", "--format", "epcontext", start=engine.json)
    assert {path.name for path in (folder / "out").iterdir()} == {"m.onnx", "m.engine", "m.engine.json"}
    assert document["loader"] == str(folder / "out/m.onnx") and document["engine"] == str(folder / "out/m.engine")


def test_builders_that_fail(engine, folder, with_builder):
    out = folder / "out"
    assert with_builder("--output", out / "m.trt", start=engine.json)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def told(then):
        outcome = with_builder("--output", out / "m.trt", then=then)
        assert outcome.code == FAILED and {path.name: path.read_bytes() for path in out.iterdir()} == before, outcome.message
        return outcome.message

    assert "crashed (signal 11" in told("os.kill(os.getpid(), signal.SIGSEGV)")
    assert "memory ran out" in told("os.kill(os.getpid(), signal.SIGKILL)")
    said = "sys.stderr.write('x debug ONNX Runtime: [ERROR] no Foo\\nx debug ONNX Runtime: [ERROR] no Bar\\nimage-engine: not whole\\n'); sys.exit(1)"
    assert told(said).splitlines()[-3:] == ["  [ERROR] no Foo", "  [ERROR] no Bar", f"image-engine: {folder / 'm.onnx'}: not whole"]
    assert "exit code 7" in told("sys.exit(7)")
    assert "engine.json" in told("sys.exit(0)")
    assert "engine.json" in told("open(output + '.json', 'w').write('{'); sys.exit(0)")


def test_ctrl_c(engine, folder, with_builder):
    process = with_builder("--output", folder / "out/m.trt", then="time.sleep(60)", start=engine.start)
    builder, = wait_until(lambda: (folder / "seen.json").exists() and children(process.pid), "the builder")
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == INTERRUPTED and not list((folder / "out").iterdir())
    wait_until(lambda: not Path(f"/proc/{builder}").exists(), "the builder's end")


def convolutions(path):
    """Two, the second on what the first makes of a picture of 224×224."""
    random = np.random.default_rng(1)
    weights = [numpy_helper.from_array(random.normal(0, 0.1, shape).astype(np.float32), name)
               for name, shape in (("w1", (8, 3, 8, 8)), ("w2", (16, 8, 2, 2)), ("w3", (4, 16, 1, 1)))]
    nodes = [helper.make_node("Conv", ["pixels", "w1"], ["a"], strides=[8, 8], name="c1"), helper.make_node("Relu", ["a"], ["b"]),
             helper.make_node("Conv", ["b", "w2"], ["c"], strides=[2, 2], name="c2"), helper.make_node("Relu", ["c"], ["d"]),
             helper.make_node("Conv", ["d", "w3"], ["out"], name="c3")]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 3, 224, 224])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["batch", 4, 14, 14])], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def clip_pixels(photo):
    """As CLIP's own preprocessing has it, by Pillow."""
    picture = ImageOps.exif_transpose(Image.open(photo)).convert("RGB")
    width, height = (224 * side // min(picture.size) for side in picture.size)
    left, top = (width - 224) // 2, (height - 224) // 2
    pixels = np.asarray(picture.resize((width, height), Image.BICUBIC).crop((left, top, left + 224, top + 224)), np.float32) / 255
    return ((pixels - [0.48145466, 0.4578275, 0.40821073]) / [0.26862954, 0.26130258, 0.27577711]).transpose(2, 0, 1)[None]


def test_int8_is_calibrated_on_photos(engine, folder, with_builder):
    photos = folder / "photos"
    photos.mkdir()
    given = sorted(path for path in (ROOT / "build/samples/photos").iterdir() if path.suffix == ".jpg")[:5]
    for path in given:
        shutil.copy(path, photos)
    (photos / "broken.jpg").write_bytes(b"\xff\xd8broken")
    (photos / "letter.txt").write_text("no photo")
    seen = folder / "seen"
    document = with_builder("--onnx", convolutions(folder / "net.onnx"), "--precision", "int8", "--calibration", photos,
                            "--model", "clip-vit-b-32", "--output", folder / "out/net.trt", start=engine.json,
                            then=f"import shutil; shutil.copytree(os.path.dirname(output), {str(seen)!r})")
    assert document["precision"] == "int8"
    kinds = {node.op_type for node in onnx.load(seen / "graph.onnx").graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    samples = sorted((seen / "samples").iterdir())
    assert [path.name for path in samples] == [f"{i}-pixels.npy" for i in range(len(given))]
    for sample, photo in zip(samples, given):
        made = np.load(sample, allow_pickle=False)
        assert made.shape == (1, 3, 224, 224) and made.dtype == np.float32
        assert np.abs(made - clip_pixels(photo)).mean() < 0.03
    assert {path.name for path in (folder / "out").iterdir()} == {"net.trt", "net.trt.json", "net.trt.onnx"}


def test_photos_that_are_none(engine, folder, with_builder):
    net, photos = convolutions(folder / "net.onnx"), folder / "photos"
    photos.mkdir()

    def told(code, *more):
        outcome = with_builder("--onnx", net, "--precision", "int8", "--output", folder / "out/net.trt", *more)
        assert outcome.code == code and outcome.message.count("\n") == 1 and not list((folder / "out").glob("*")), outcome.message
        return outcome.message

    assert "--model NAME" in told(USAGE, "--calibration", photos)
    assert "0 readable photos" in told(FAILED, "--calibration", photos, "--model", "clip-vit-b-32")
    for i in range(3):
        (photos / f"{i}.jpg").write_bytes(b"\xff\xd8\xff\xe0broken")
    assert "0 readable photos among 3 files" in told(FAILED, "--calibration", photos, "--model", "clip-vit-b-32")
    assert "No such file" in told(FAILED, "--calibration", folder / "none", "--model", "clip-vit-b-32")
    assert "clip-vit-b-99" in told(USAGE, "--calibration", photos, "--model", "clip-vit-b-99")
    np.save(photos / "0-pixels.npy", np.zeros((1, 3, 5, 5), np.float32))
    assert "0-pixels.npy" in told(FAILED, "--calibration", photos)


def test_half_precision(engine, folder, with_builder):
    seen = folder / "seen"
    with_builder("--onnx", convolutions(folder / "net.onnx"), "--output", folder / "out/net.trt", start=engine.json,
                 then=f"import shutil; shutil.copytree(os.path.dirname(output), {str(seen)!r})")
    graph = onnx.load(seen / "graph.onnx").graph
    assert {tensor.data_type for tensor in graph.initializer if tensor.name.startswith("w")} == {TensorProto.FLOAT16}
    assert {value.type.tensor_type.elem_type for value in [*graph.input, *graph.output]} == {TensorProto.FLOAT}
