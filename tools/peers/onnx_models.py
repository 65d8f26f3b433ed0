"""Times an ONNX file with ONNX Runtime's Python package on a GPU, inputs and outputs bound on the device.

usage: onnx_models.py --file F.onnx --name NAME --batch N [--options KEY=VALUE …] [--graph] [--reference F.npz] [--profile]

Prints a line of JSON as torch_models.py does, and with --reference the deviation from PyTorch in fp32: the least cosine of each
output, and for pred_boxes the mean and the least overlap of the best 50 with their counterparts. --profile: the kernels that take
longest, on stderr.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch  # its libraries of CUDA are what ONNX Runtime finds
import onnxruntime
from deviation import deviation
from torch_models import RUNS, SECONDS


def session_of(given: argparse.Namespace) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_free_dimension_override_by_name("batch", given.batch)
    settings = dict(entry.split("=", 1) for entry in given.options) | ({"enable_cuda_graph": "1"} if given.graph else {})
    return onnxruntime.InferenceSession(str(given.file), options, providers=[("CUDAExecutionProvider", settings)])


class Bound:
    """A session with its inputs and outputs on the device."""

    def __init__(self, session: onnxruntime.InferenceSession, feeds: dict[str, np.ndarray]):
        self.session, self.binding, self.kept = session, session.io_binding(), []
        self.options = onnxruntime.RunOptions()
        self.options.add_run_config_entry("disable_synchronize_execution_providers", "1")
        for value in session.get_inputs():
            array = feeds[value.name].astype(np.float16 if "float16" in value.type else np.float32)
            self.kept.append(onnxruntime.OrtValue.ortvalue_from_numpy(array, "cuda", 0))
            self.binding.bind_ortvalue_input(value.name, self.kept[-1])
        first = [output.shape for output in session.run(None, {value.name: feeds[value.name].astype(
            np.float16 if "float16" in value.type else np.float32) for value in session.get_inputs()})] if free(session) else None  # fmt: skip
        for i, value in enumerate(session.get_outputs()):
            kind = np.float16 if "float16" in value.type else np.float32
            made = onnxruntime.OrtValue.ortvalue_from_shape_and_type(first[i] if first else value.shape, kind, "cuda", 0)
            self.kept.append(made)
            self.binding.bind_ortvalue_output(value.name, made)

    def __call__(self) -> None:
        self.session.run_with_iobinding(self.binding, self.options)

    def results(self) -> dict[str, np.ndarray]:
        torch.cuda.synchronize()
        names = [value.name for value in self.session.get_outputs()]
        return dict(zip(names, (value.numpy().astype(np.float32) for value in self.kept[-len(names) :])))


def free(session: onnxruntime.InferenceSession) -> bool:
    return any(not isinstance(size, int) for value in session.get_outputs() for size in value.shape)


def measure(given: argparse.Namespace) -> dict:
    torch.zeros(1, device="cuda")
    before = torch.cuda.mem_get_info()[0]
    begin = time.perf_counter()
    session = session_of(given)
    reference = np.load(given.reference)
    pictures = reference["pixel_values"]
    feeds = {session.get_inputs()[0].name: np.resize(pictures, (given.batch, *pictures.shape[1:]))}
    call = Bound(session, feeds)
    for _ in range(4):
        call()
    torch.cuda.synchronize()
    warmup, first = time.perf_counter() - begin, time.perf_counter()
    for _ in range(5):
        call()
    torch.cuda.synchronize()
    calls, times = max(1, round(SECONDS / RUNS / ((time.perf_counter() - first) / 5))), []
    for _ in range(RUNS):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        torch.cuda.synchronize()
        times.append((time.perf_counter() - start) / calls)
    if given.profile:
        kernels(call)
    each, (low, high) = float(np.median(times)), np.percentile(times, [10, 90])
    return {"model": given.name, "backend": "onnxruntime-python", "precision": given.precision, "batch": given.batch,
            "total": round(sum(times) * calls, 4), "images_per_second": round(given.batch / each, 1),
            "ms_per_image": round(1000 * each / given.batch, 4), "spread": round(float((high - low) / each), 4), "warmup": round(warmup, 2),
            "gpu_memory_mb": round((before - torch.cuda.mem_get_info()[0]) / 2**20, 1), "deviation": deviation(call.results(), reference)}  # fmt: skip


def kernels(call) -> None:
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as told:
        for _ in range(5):
            call()
        torch.cuda.synchronize()
    spent, times = Counter(), Counter()
    for event in told.events():
        if event.device_type == torch.autograd.DeviceType.CUDA:
            spent[event.name] += event.self_device_time_total
            times[event.name] += 1
    whole = sum(spent.values())
    print(f"{whole / 5:.0f} us of kernels a run", file=sys.stderr)
    for name, time_ in spent.most_common(22):
        print(f"{time_ / 5:9.1f} us {100 * time_ / whole:5.1f} % {times[name] / 5:6.1f} × {name[:130]}", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--precision", default="fp16")
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--options", nargs="*", default=[])
    parser.add_argument("--graph", action="store_true")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--reference", type=Path, required=True)
    given = parser.parse_args()
    told = {"options": " ".join([given.file.stem, *given.options, *(["graph"] if given.graph else [])])}
    try:
        row = measure(given)
    except Exception as error:  # what cannot be measured is a row too
        row = {"model": given.name, "batch": given.batch, "error": " ".join(str(error).split())[:400]}
    print(json.dumps(row | told), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
