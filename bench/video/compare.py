"""A video through image-engine, through a straightforward Python script with the same detector (peer.py) and through ffmpeg, in
one run: wall and processor seconds of each, and their ratios.

usage: python3 bench/video/compare.py VIDEO --peer PYTHON [--rounds 3] [--bin FOLDER]

PYTHON has what peer.py needs. `objects` is what the peer does (scenes, a frame a second, objects, no frames between); `all` the
default stages; `fast` those with --fast; `decode` is `ffmpeg -threads 2 -f null`. The ways take turns; of each the round of least
processor time counts. Other programs at work lengthen wall time; processor time can be compared all the same. Prints a
table, then a line of JSON.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def measured(command: list) -> dict:
    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    begin, before = time.perf_counter(), used()
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
    return {"wall": time.perf_counter() - begin, "cpu": used() - before}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--peer", help="Python with what peer.py needs; without: no peer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bin", type=Path, default=ROOT / "build/release/bin")
    given = parser.parse_args()
    os.environ.setdefault("IMAGE_ENGINE_MODELS", str(ROOT / "build/models"))
    shown = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", given.video],
                           capture_output=True, text=True, check=True)  # fmt: skip
    seconds = float(shown.stdout)
    best: dict[str, dict] = {}
    with tempfile.TemporaryDirectory() as folder:
        objects = Path(folder) / "objects.yaml"
        objects.write_text("video: {track_fps: 0}\n")
        ours = [given.bin / "image-engine", "benchmark", "video", given.video, "--quiet"]
        ways = {"decode": ["ffmpeg", "-v", "error", "-threads", "2", "-i", given.video, "-an", "-f", "null", "-"],
                "all": ours, "fast": [*ours, "--fast"]}  # fmt: skip
        if given.peer:
            ways["peer"] = [given.peer, ROOT / "bench/video/peer.py", given.video]
            only = ["--only", "video", "--only", "objects", "--config", objects, "--quiet"]
            ways["objects"] = [given.bin / "image-engine", "--catalog", Path(folder) / "objects.db", "analyze", given.video, *only]
        for _ in range(given.rounds):
            for name, command in ways.items():
                for old in Path(folder).glob("objects.db*"):
                    old.unlink()
                one = measured(command)
                if name not in best or one["cpu"] < best[name]["cpu"]:
                    best[name] = one
    print(f"{'':10}{'wall s':>8}{'cpu s':>8}{'× real time':>14}{'× by cpu':>10}   {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for name, one in best.items():
        one |= {"real_time": seconds / one["wall"], "real_time_by_cpu": seconds / (one["cpu"] / os.cpu_count())}
        print(f"{name:10}{one['wall']:8.1f}{one['cpu']:8.1f}{one['real_time']:14.1f}{one['real_time_by_cpu']:10.1f}")
    if given.peer:
        for what in ("wall", "cpu"):
            print(f"peer / objects, {what}: {best['peer'][what] / best['objects'][what]:.2f}; peer / all: {best['peer'][what] / best['all'][what]:.2f}")
    print(json.dumps(best))


if __name__ == "__main__":
    main()
