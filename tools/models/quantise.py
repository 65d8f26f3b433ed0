"""Writes the int8 copy of an ONNX graph: products and convolutions between QuantizeLinear and DequantizeLinear.

Weights are int8 by channel, activations int8 by tensor, all zero points are 0: what ONNX Runtime's CPU provider, TensorRT 10 and
TensorRT 11 take alike, without calibration tables. Ranges come from samples of the user's own pictures: DIR holds
INDEX-INPUT.npy, a batch for each input of each index, as the engine's own preprocessing made it. Every fourth index is held out
and measured with. The first convolution and what makes the outputs stay in float; so does what is found to do most harm, until
the held-out samples agree with fp32. The file is written beside and then renamed.

usage: quantise.py --input M.onnx --output O.onnx --samples DIR [--least 0.99]

Prints one line of JSON: {"quantised": count, "kept_fp32": [nodes], "cosine": {output: least of the held-out samples}, "samples": [n, held out]}.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import argparse
import logging
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from converter import report
from onnx_edit import Net, load
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import create_calibrator
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from optimise import folded, lifted, save_whole
from safetensors_file import ModelError

KINDS = ("Conv", "MatMul", "Gemm")
LEAST_SAMPLES = 2
MOST_SAMPLES = 512
FORM = {"ActivationSymmetric": True, "WeightSymmetric": True, "MatMulConstBOnly": True, "DedicatedQDQPair": False, "QuantizeBias": False,
        "OpTypesToExcludeOutputQuantization": ["MatMul", "Gemm"], "EnableSubgraph": False}  # fmt: skip


class Samples(CalibrationDataReader):
    def __init__(self, feeds: list[dict[str, np.ndarray]]):
        self.feeds = iter(feeds)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.feeds, None)


def read_samples(folder: Path, model: onnx.ModelProto) -> list[dict[str, np.ndarray]]:
    weights = {tensor.name for tensor in model.graph.initializer}
    wanted = {value.name: value.type.tensor_type for value in model.graph.input if value.name not in weights}
    found: dict[int, dict] = {}
    for path in sorted(folder.iterdir()):
        match = re.fullmatch(r"(\d{1,9})-(.+)\.npy", path.name)
        if match and match[2] in wanted:
            found.setdefault(int(match[1]), {})[match[2]] = read_array(path, wanted[match[2]])
    whole = [found[index] for index in sorted(found) if len(found[index]) == len(wanted)][:MOST_SAMPLES]
    if len(whole) < LEAST_SAMPLES:
        raise ModelError(f"{folder} holds {len(whole)} samples of {', '.join(wanted)}; at least {LEAST_SAMPLES} are needed")
    return whole


def read_array(path: Path, wanted) -> np.ndarray:
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    kind = onnx.helper.tensor_dtype_to_np_dtype(wanted.elem_type)
    sizes = [dim.dim_value for dim in wanted.shape.dim]
    fits = array.dtype == kind and array.ndim == len(sizes) and all(size in (0, have) for size, have in zip(sizes, array.shape))
    if not fits or array.size == 0:
        raise ModelError(f"{path} is {array.dtype} {list(array.shape)}, which does not fit the model's input")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ModelError(f"{path} holds numbers that are not finite")
    return array


def candidates(net: Net) -> list[str]:
    """Products with constant matrices and convolutions, but the first convolution and what makes the outputs."""
    first = next((node.name for node in net.graph.node if node.op_type == "Conv"), None)
    heads = set().union(*(last_products(net, name) for name in net.results))
    return [node.name for node in net.graph.node
            if node.op_type in KINDS and node.input[1] in net.constants and node.name != first and node.name not in heads]  # fmt: skip


def last_products(net: Net, output: str) -> set[str]:
    """The products and convolutions that an output is made of directly."""
    found, seen, stack = set(), set(), [output]
    while stack:
        name = stack.pop()
        node = net.makers.get(name)
        if node is None or name in seen:
            continue
        seen.add(name)
        if node.op_type in KINDS:
            found.add(node.name)
        else:
            stack += list(node.input)
    return found


def exact_session(model: bytes | Path) -> onnxruntime.InferenceSession:
    """Runs int8 products without saturation on any CPU, as the engine does (src/infer/vnni.h): the numbers are those of a CPU with VNNI."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run(model: onnx.ModelProto, feeds: list[dict]) -> list[list[np.ndarray]]:
    session = exact_session(model.SerializeToString())
    return [session.run(None, feed) for feed in feeds]


def least_cosines(got: list[list[np.ndarray]], wanted: list[list[np.ndarray]]) -> list[float]:
    """Of each output over all samples and their pictures."""
    result = []
    for i in range(len(wanted[0])):
        a, b = (np.concatenate([sample[i].reshape(len(sample[i]) if sample[i].ndim else 1, -1) for sample in side]).astype(np.float64)
                for side in (got, wanted))  # fmt: skip
        lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        cosines = np.where(lengths > 0, (a * b).sum(1) / np.maximum(lengths, 1e-300), (np.abs(a - b).max(1) == 0).astype(float))
        result.append(float(np.nan_to_num(cosines, nan=-1.0).min()))
    return result


class Quantiser:
    def __init__(self, model: onnx.ModelProto, samples: list[dict], folder: str):
        self.model = model
        self.measured, self.held = [x for i, x in enumerate(samples) if i % 4 != 3 or len(samples) < 4], samples[3::4] or samples[-1:]
        self.wanted = run(model, self.held)
        path = os.path.join(folder, "plain.onnx")
        onnx.save(model, path)
        calibrator = create_calibrator(path, list(KINDS), os.path.join(folder, "augmented.onnx"), calibrate_method=CalibrationMethod.MinMax,
                                       extra_options={"symmetric": True})  # fmt: skip
        calibrator.collect_data(Samples(self.measured))
        self.ranges = calibrator.compute_data()

    def quantised(self, names: list[str]) -> onnx.ModelProto:
        copy = onnx.ModelProto.FromString(self.model.SerializeToString())
        worker = QDQQuantizer(copy, True, False, QuantType.QInt8, QuantType.QInt8, self.ranges, names, [], list(KINDS), dict(FORM))
        worker.quantize_model()
        worker.model.topological_sort()
        return worker.model.model

    def cosines(self, names: list[str], held: int | None = None) -> list[float]:
        return least_cosines(run(self.quantised(names), self.held[:held]), self.wanted[:held])

    def settle(self, names: list[str], least: float) -> tuple[list[str], list[float]]:
        """As many of the nodes as agree with fp32, and how well they do."""
        reached = self.cosines(names)
        if min(reached) >= least:
            return names, reached
        order = sorted(names, key=lambda name: min(self.cosines([name], 1)))
        for share in (16, 8, 4, 2):
            kept = order[-(-len(order) // share) :]
            kept = [name for name in names if name in kept]
            reached = self.cosines(kept) if kept else reached
            if kept and min(reached) >= least:
                return kept, reached
        raise ModelError(f"int8 agrees with fp32 to a cosine of {min(reached):.4f} only, not {least}; nothing was written")


def quantise(given: argparse.Namespace) -> dict:
    logging.getLogger().setLevel(logging.ERROR)
    model = load(given.input)
    if not given.samples.is_dir():
        raise ModelError(f"{given.samples} is no folder")
    samples = read_samples(given.samples, model)
    with tempfile.TemporaryDirectory() as folder:
        model = folded(lifted(model), folder)
        net = Net(model)
        for i, node in enumerate(net.graph.node):
            node.name = node.name or f"node_{i}"
        names = candidates(net)
        if not names:
            raise ModelError(f"{given.input} has no product or convolution that int8 would speed up")
        worker = Quantiser(net.finish(), samples, folder)
        kept, reached = worker.settle(names, given.least)
        result = worker.quantised(kept)
    onnx.checker.check_model(result)
    save_whole(result, given.output)
    outputs = [value.name for value in result.graph.output]
    left = [node.name for node in net.graph.node if node.op_type in KINDS and node.name not in kept and node.input[1] in net.constants]
    return {"quantised": len(kept), "kept_fp32": left, "cosine": {name: round(value, 6) for name, value in zip(outputs, reached)},
            "samples": [len(samples), len(worker.held)]}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--input", type=Path, required=True, metavar="M.onnx")
    parser.add_argument("--output", type=Path, required=True, metavar="O.onnx")
    parser.add_argument("--samples", type=Path, required=True, metavar="DIR")
    parser.add_argument("--least", type=float, default=0.99, help="the least cosine of an output to fp32")
    given = parser.parse_args()
    return report(lambda: quantise(given))


if __name__ == "__main__":
    sys.exit(main())
