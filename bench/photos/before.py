"""`analyze` of two builds over the same photos, in turns: user time a photo of quality, hashes and thumbnails, medians and their ratio.

usage: before.py --before FOLDER [--bin FOLDER] [--rounds N] [--photos N]      the folders hold image-engine and its worker

Photos: those of bench/pipeline/libraries.py, of 12 MP. A run over one of them is taken off, with what starting takes.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench/pipeline"))
import libraries


def user_seconds(bin_folder: Path, photos: Path) -> float:
    """Of the program and its workers; quality, hashes and thumbnails only."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {name: folder for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")}
        stages = [option for stage in ("quality", "hash", "thumbnail") for option in ("--only", stage)]
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        done = subprocess.run([bin_folder / "image-engine", "analyze", photos, "--catalog", Path(folder) / "catalog.db", "--workers", "1",
                               "--json", *stages], env=environment, capture_output=True, check=True)  # fmt: skip
        report = json.loads(done.stdout)["report"]
        assert report["failed"] == 0 and report["analysed"] == len(list(photos.rglob("*.jpg"))), report
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, required=True)
    parser.add_argument("--bin", type=Path, default=ROOT / "build/release/bin")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--photos", type=int, default=48)
    arguments = parser.parse_args()
    builds = {"before": arguments.before, "now": arguments.bin}
    times = {name: [] for name in builds}
    photos = libraries.twelve_megapixel(ROOT, arguments.photos)
    with tempfile.TemporaryDirectory() as one:
        shutil.copy(next(photos.rglob("*.jpg")), one)
        for _ in range(arguments.rounds):
            for name, bin_folder in builds.items():
                spent = user_seconds(bin_folder, photos) - user_seconds(bin_folder, Path(one))
                times[name].append(spent / (arguments.photos - 1))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, values in times.items():
        print(f"{name:<7} {medians[name] * 1e3:6.1f} ms of user time a photo, {1 / medians[name]:5.1f} photos/s a core; least {min(values) * 1e3:.1f} ms")
    least = min(times["before"]) / min(times["now"])
    print(f"ratio of medians {medians['before'] / medians['now']:.2f}, of the least {least:.2f}; {arguments.photos} photos of 12 MP, {arguments.rounds} rounds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
