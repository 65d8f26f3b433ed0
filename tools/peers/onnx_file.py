"""Times an ONNX file with ONNX Runtime's Python package on given inputs: the peer of `image-engine benchmark models`.

usage: onnx_file.py --file F.onnx --provider cpu|cuda [--threads N] --input NAME=TYPE:SHAPE:FILE … [--expected NAME=TYPE:SHAPE:FILE]

TYPE is numpy's, SHAPE numbers with commas, FILE raw numbers. Prints a line of JSON: batch, ms_per_image and spread ((most − least)
over the median) of `rounds`, warmup (s, loading included), and with --expected the deviation, 1 − cosine, the mean over pictures.
What cannot be measured is {"error": …}. On a GPU inputs and outputs are bound there.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import argparse
import json
import sys
import time

import numpy as np

ROUNDS = 5
SECONDS = 1.0  # of all rounds, at least one call each


def tensor(text: str) -> tuple[str, np.ndarray]:
    name, rest = text.split("=", 1)
    kind, shape, file = rest.split(":", 2)
    return name, np.fromfile(file, np.dtype(kind)).reshape([int(edge) for edge in shape.split(",")])


def deviation(got: np.ndarray, wanted: np.ndarray) -> float:
    a, b = (x.reshape(len(wanted), -1).astype(np.float64) for x in (got, wanted))
    return float(max(0.0, (1 - (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))).mean()))


def caller(session, provider: str, feeds: dict[str, np.ndarray]):
    if provider == "cpu":
        return lambda: session.run(None, feeds)
    import onnxruntime

    binding = session.io_binding()
    for name, array in feeds.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array, "cuda", 0))
    for output in session.get_outputs():
        binding.bind_output(output.name, "cuda")

    def call():
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    return call


def measure(given: argparse.Namespace) -> dict:
    import onnxruntime

    feeds = dict(map(tensor, given.input))
    provider = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}[given.provider]
    if provider not in onnxruntime.get_available_providers():
        return {"error": f"onnxruntime {onnxruntime.__version__} of this Python has no {provider}"}
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = given.threads
    begin = time.perf_counter()
    session = onnxruntime.InferenceSession(given.file, options, providers=[provider])
    if session.get_providers()[0] != provider:
        return {"error": f"onnxruntime {onnxruntime.__version__} could not use {provider}"}
    call = caller(session, given.provider, feeds)
    call()
    warmup, first = time.perf_counter() - begin, time.perf_counter()
    call()
    calls = max(1, round(SECONDS / ROUNDS / max(time.perf_counter() - first, 1e-6)))
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        times.append((time.perf_counter() - start) / calls)
    each, batch = float(np.median(times)), len(next(iter(feeds.values())))
    row = {"batch": batch, "ms_per_image": 1000 * each / batch, "spread": (max(times) - min(times)) / each, "rounds": ROUNDS, "warmup": warmup}
    if given.expected:
        name, wanted = tensor(given.expected)
        row["deviation"] = deviation(session.run([name], feeds)[0], wanted)
    return row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--file", required=True)
    parser.add_argument("--provider", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--input", action="append", required=True)
    parser.add_argument("--expected")
    given = parser.parse_args()
    try:
        row = measure(given)
    except Exception as error:  # what cannot be measured is a row too
        row = {"error": " ".join(f"{type(error).__name__}: {error}".split())[:300]}
    print(json.dumps(row), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
