"""Luma statistics, quality, hashes and near duplicates against Python: imagehash and numpy, in turns, CPU time, ratio of medians.

usage: bench/vision.py [--quick] [--rounds N] [--bin DIR]
Each side works on pictures of the same size made by the same formula; numpy computes the same measures by slicing.
"""

import argparse
import json
import statistics
import subprocess
import time
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent


def samples(width: int, height: int) -> np.ndarray:
    ramp = 40 + np.arange(width) * 160 // width
    return (ramp + np.random.default_rng(1).integers(0, 16, (height, width))).astype(np.uint8)


def luma_statistics(luma: np.ndarray) -> tuple:
    n = luma.astype(np.int16)
    up, here, down = n[:-2], n[1:-1], n[2:]
    cross = up[:, 1:-1] + down[:, 1:-1] + here[:, :-2] + here[:, 2:]
    corners = up[:, :-2] + up[:, 2:] + down[:, :-2] + down[:, 2:]
    laplacian = cross - 4 * here[:, 1:-1]
    noise = np.abs(corners - 2 * cross + 4 * here[:, 1:-1])
    gx = up[:, 2:] - up[:, :-2] + down[:, 2:] - down[:, :-2] + 2 * (here[:, 2:] - here[:, :-2])
    gy = down[:, :-2] - up[:, :-2] + down[:, 2:] - up[:, 2:] + 2 * (down[:, 1:-1] - up[:, 1:-1])
    energy = np.mean(gx.astype(np.float32) ** 2) + np.mean(gy.astype(np.float32) ** 2)
    return laplacian.var(dtype=np.float64), energy, noise.mean(), np.bincount(luma.ravel(), minlength=256)


def colourfulness(picture: np.ndarray) -> float:
    r, g, b = (picture[..., c].astype(np.float32) for c in range(3))
    rg, yb = r - g, (r + g) / 2 - b
    return float(np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean()))


def brute_force(hashes: np.ndarray, reach: int) -> int:
    return sum(int((np.bitwise_count(h ^ hashes[i + 1 :]) <= reach).sum()) for i, h in enumerate(hashes))


def peers() -> dict:
    """Benchmark of bench_vision → what Python does instead."""
    large, small = samples(4000, 3000), samples(640 * 3, 480).reshape(480, 640, 3)
    picture = Image.fromarray(small)
    hashes = np.random.default_rng(2).integers(0, 2**64, 20_000, np.uint64)
    return {
        "luma_12mp": lambda: luma_statistics(large),
        "quality_640": lambda: colourfulness(small),
        "hashes_640": lambda: (imagehash.dhash(picture), imagehash.phash(picture)),
        "all_pairs_within_8/20000/process_time": lambda: brute_force(hashes, 8),
        "all_pairs_within_8/1000000/process_time": None,
        "groups_of_1m": None,
        "nearest_of_1m": None,
    }


def ours(program: Path, name: str, quick: bool) -> float:
    """CPU seconds of one call."""
    options = [f"--benchmark_filter=^{name}$", "--benchmark_format=json", *(["--benchmark_min_time=0"] if quick else [])]
    done = subprocess.run([program, *options], capture_output=True, check=True)
    result = json.loads(done.stdout)["benchmarks"][0]
    return result["cpu_time"] / {"us": 1e6, "ms": 1e3}[result["time_unit"]]


def theirs(call) -> float:
    begin = time.process_time()
    call()
    return time.process_time() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bin", type=Path, default=ROOT / "build/release/bin")
    arguments = parser.parse_args()
    rounds = 1 if arguments.quick else arguments.rounds
    for name, call in peers().items():
        times = ([], [])
        for _ in range(rounds):
            times[0].append(ours(arguments.bin / "bench_vision", name, arguments.quick))
            if call:
                times[1].append(theirs(call))
        mine = statistics.median(times[0])
        peer = statistics.median(times[1]) if call else None
        ratio = f"Python {peer * 1e3:10.2f} ms   {peer / mine:6.1f} times" if peer else "no peer"
        print(f"{name:<42} {mine * 1e3:10.2f} ms   {ratio}", flush=True)
        print(json.dumps({"benchmark": name, "seconds": mine, "peer_seconds": peer, "ratio": peer and peer / mine}), flush=True)


if __name__ == "__main__":
    main()
