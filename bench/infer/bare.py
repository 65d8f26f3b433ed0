"""A model's own computing through infer::Session (bench-infer) and through onnxruntime in Python, in turns.

usage: bench/infer/bare.py --bin DIR [--rounds N] [--seconds S] MODEL.onnx…
DIR holds bench-infer. Both have the same runtime library's version, threads and shapes (free dimensions 1, then 224), one
picture a run, and random inputs. onnxruntime runs twice: as it comes, its threads spinning while they wait, and with spinning off, as our
sessions have it. Pictures a second, and CPU time a picture of the runs alone; medians, and of each round's ratios. Above 1 ours is
faster, or takes less. On a machine with other work only the CPU time says much, and not of threads that spin.
Needs numpy and onnxruntime.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import argparse
import json
import re
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

SETUPS = [(1, 2), (2, 1)]  # streams, threads
PEERS = {"onnxruntime": "1", "without spinning": "0"}


def bare(model: str, streams: int, threads: int, seconds: float, spinning: str) -> None:
    """Prints pictures a second and milliseconds of CPU time a picture."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", spinning)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(1)
    inputs = {}
    for wanted in session.get_inputs():
        shape = [n if isinstance(n, int) else 224 if i else 1 for i, n in enumerate(wanted.shape)]
        kind = re.match(r"tensor\((\w+)\)", wanted.type)[1]
        is_float = kind == "float"
        inputs[wanted.name] = random.normal(size=shape).astype(np.float32) if is_float else np.zeros(shape, kind)
    session.run(None, inputs)
    runs = [0] * streams
    begin, cpu = time.perf_counter(), time.process_time()

    def stream(i: int) -> None:
        while time.perf_counter() - begin < seconds:
            session.run(None, inputs)
            runs[i] += 1

    workers = [threading.Thread(target=stream, args=(i,)) for i in range(streams)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print(sum(runs) / (time.perf_counter() - begin), 1000 * (time.process_time() - cpu) / sum(runs))


def numbers(command: list) -> tuple[float, float]:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    if done.stdout.startswith("{"):
        row = json.loads(done.stdout)
        return row["images_per_second"], row["cpu_ms_per_image"]
    rate, cpu = done.stdout.split()
    return float(rate), float(cpu)


def measure(program: Path, model: Path, streams: int, threads: int, rounds: int, seconds: float) -> None:
    setup = [streams, threads, seconds]
    sides = {"ours": [program, model, "--streams", streams, "--threads", threads, "--seconds", seconds, "--rounds", 1]}
    for name, spinning in PEERS.items():
        sides[name] = [sys.executable, __file__, "--bare", model, *setup, spinning]
    taken = {name: [] for name in sides}
    for _ in range(rounds):
        for name, command in sides.items():
            taken[name].append(numbers(command))
    median = {name: [statistics.median(values) for values in zip(*runs)] for name, runs in taken.items()}
    # Of each round by itself, as the machine's other work differs from one to the next.
    cells = [f"{median['ours'][0]:.2f}/s, {median['ours'][1]:.1f} ms"]
    for name in PEERS:
        pairs = list(zip(taken["ours"], taken[name]))
        faster = statistics.median(ours[0] / theirs[0] for ours, theirs in pairs)
        less = statistics.median(theirs[1] / ours[1] for ours, theirs in pairs)
        cells += [f"{median[name][0]:.2f}/s, {median[name][1]:.1f} ms", f"{faster:.2f}, {less:.2f}"]
    print(f"| {model.stem} | {streams} × {threads} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    if sys.argv[1:2] == ["--bare"]:
        model, streams, threads, seconds, spinning = sys.argv[2:]
        return bare(model, int(streams), int(threads), float(seconds), spinning)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("models", type=Path, nargs="+")
    options = parser.parse_args()
    print(f"| model | streams × threads | ours | {' | '.join(f'{name} | speed, CPU time' for name in PEERS)} |")
    print("|" + " --- |" * (3 + 2 * len(PEERS)))
    for model in options.models:
        for streams, threads in SETUPS:
            measure(options.bin / "bench-infer", model, streams, threads, options.rounds, options.seconds)


if __name__ == "__main__":
    main()
