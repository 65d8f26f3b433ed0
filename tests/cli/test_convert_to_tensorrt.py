"""`convert-to-tensorrt` where TensorRT is not: what is refused before a card is asked, and what is missing, one by one.

A driver, CUDA's libraries and TensorRT are stood in for by libraries that only have their names; ONNX Runtime for cards is
that of `make setup GPU=1`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from engine import FAILED, ROOT, USAGE

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
int cuDeviceGetAttribute(int *v, int what, int d) { *v = what == 75 ? 7 : 5; return 0; }
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
        command += [f"-D{key}={value}" for key, value in define.items()]
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
        pytest.skip("there may be a card here")
    assert "TensorRT: " in refused(FAILED, model(folder / "clip.onnx"), "--precision", "fp16", "--max-batch-size", "16")


def test_arguments(folder, refused):
    given = model(folder / "m.onnx")
    for precision, reason in (("int4", "language models"), ("bf16", "RTX 20"), ("fp8", "RTX 40"), ("fp15", "there is no precision")):
        assert reason in refused(USAGE, given, "--precision", precision)
    assert "--calibration" in refused(USAGE, given, "--precision", "int8")
    assert "must rise" in refused(USAGE, given, "--max-batch-size", "4", "--optimum-batch", "5")
    assert "must rise" in refused(USAGE, given, "--max-batch-size", "-1")
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
    assert "its input pixels is of any size" in refused(FAILED, given)
    assert "TensorRT: " in refused(FAILED, given, "--dimension", "height=8", "--dimension", "width=8")


def test_what_a_driver_lacks(folder, machine, refused):
    given = model(folder / "m.onnx")
    machine("libcuda.so.1", "int cuInit(unsigned f) { return 0; }")
    assert "libcuda.so.1 is not one that is known" in refused(FAILED, given)
    machine("libcuda.so.1", DRIVER.replace("return 0; }", "return 999; }", 1), VERSION=13000, CARDS=1)
    assert "does not start: fake (error 999)" in refused(FAILED, given)
    machine("libcuda.so.1", DRIVER, VERSION=13000, CARDS=0)
    assert "no card" in refused(FAILED, given)


def test_onnx_runtime_for_processors(engine, folder, machine, refused):
    machine("libcuda.so.1", DRIVER, VERSION=13000, CARDS=1)
    engine.environment["IMAGE_ENGINE_ONNXRUNTIME"] = str(ROOT / "build/onnxruntime/lib/libonnxruntime.so.1")
    assert "make setup GPU=1" in refused(FAILED, model(folder / "m.onnx"))


def test_libraries_missing_one_by_one(engine, folder, machine, refused):
    if not GPU_RUNTIME.exists():
        pytest.skip("no ONNX Runtime for cards: `make setup GPU=1` brings one")
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
