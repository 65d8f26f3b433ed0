"""Preprocessing against Pillow and numpy: in turns, CPU time, ratio of medians.

usage: bench/vision/preprocess/compare.py [--quick] [--rounds N] [--bin DIR]
"""

import argparse
import json
import statistics
import subprocess
import time
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[3]


def picture(width: int, height: int) -> Image.Image:
    i = np.arange(width * height * 3)
    return Image.fromarray((40 + i * 7 % 160 + i // 977 % 16).astype(np.uint8).reshape(height, width, 3))


def letterbox(source: Image.Image) -> np.ndarray:
    ratio = 416 / max(source.size)
    size = tuple(round(edge * ratio) for edge in source.size)
    board = Image.new("RGB", (416, 416))
    board.paste(source.resize(size, Image.Resampling.BILINEAR), ((416 - size[0]) // 2, (416 - size[1]) // 2))
    bgr = np.asarray(board, np.float32)[..., ::-1]
    normal = (bgr - np.float32([103.53, 116.28, 123.675])) / np.float32([57.375, 57.12, 58.395])
    return np.ascontiguousarray(normal.transpose(2, 0, 1))


def clip(source: Image.Image) -> np.ndarray:
    ratio = 224 / min(source.size)
    size = tuple(int(edge * ratio) for edge in source.size)
    left, top = (size[0] - 224) // 2, (size[1] - 224) // 2
    made = source.resize(size, Image.Resampling.BICUBIC).crop((left, top, left + 224, top + 224))
    normal = (np.asarray(made, np.float32) - np.float32([122.77, 116.75, 104.09])) / np.float32([68.5, 66.63, 70.32])
    return np.ascontiguousarray(normal.transpose(2, 0, 1))


def ours(program: Path, name: str, quick: bool) -> float:
    """CPU seconds of one call."""
    options = [f"--benchmark_filter=^measure/{name}$", "--benchmark_format=json", *(["--benchmark_min_time=0"] if quick else [])]
    done = subprocess.run([program, *options], capture_output=True, check=True)
    result = json.loads(done.stdout)["benchmarks"][0]
    return result["cpu_time"] / {"us": 1e6, "ms": 1e3}[result["time_unit"]]


def theirs(call, source: Image.Image) -> float:
    times = []
    for _ in range(5):
        begin = time.process_time()
        call(source)
        times.append(time.process_time() - begin)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bin", type=Path, default=ROOT / "build/release/bin")
    arguments = parser.parse_args()
    for size in ((640, 480), (4000, 3000)):
        source = picture(*size)
        for call in (letterbox, clip):
            name, mine, peer = f"{call.__name__}_{size[0]}x{size[1]}", [], []
            for _ in range(1 if arguments.quick else arguments.rounds):
                mine.append(ours(arguments.bin / "bench_preprocess", name, arguments.quick))
                peer.append(theirs(call, source))
            seconds, python = statistics.median(mine), statistics.median(peer)
            print(f"{name:<24} {seconds * 1e3:8.2f} ms   Python {python * 1e3:8.2f} ms   {python / seconds:5.1f} times", flush=True)
            print(json.dumps({"benchmark": name, "seconds": seconds, "peer_seconds": python, "ratio": python / seconds}), flush=True)


if __name__ == "__main__":
    main()
