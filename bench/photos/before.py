"""`analyze` of two builds over the same photos, in turns: user time a photo of quality, hashes and thumbnails, medians and their ratio.

usage: before.py --before FOLDER [--bin FOLDER] [--rounds N] [--copies N] PHOTO…      the folders hold image-engine and its worker

Each round analyzes copies of the photos that differ in their coded data, so that none is a copy to the engine. An empty run is taken off.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def copies(photos: list[Path], count: int, folder: Path) -> int:
    """With another byte behind the end of the picture, which no decoder reads."""
    folder.mkdir()
    for index in range(count):
        for photo in photos:
            (folder / f"{photo.stem}_{index}.jpg").write_bytes(photo.read_bytes() + bytes([index]))
    return count * len(photos)


def user_seconds(bin_folder: Path, photos: Path) -> float:
    """Of the program and its workers; quality, hashes and thumbnails only."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {name: folder for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")}
        stages = [option for stage in ("quality", "hash", "thumbnail") for option in ("--only", stage)]
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        done = subprocess.run([bin_folder / "image-engine", "analyze", photos, "--catalog", Path(folder) / "catalog.db", "--workers", "1",
                               "--json", *stages], env=environment, capture_output=True, check=True)  # fmt: skip
        report = json.loads(done.stdout)["report"]
        assert report["failed"] == 0 and report["analysed"] == len(list(photos.iterdir())), report
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--before", type=Path, required=True)
    parser.add_argument("--bin", type=Path, default=ROOT / "build/release/bin")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--copies", type=int, default=3)
    arguments = parser.parse_args()
    builds = {"before": arguments.before, "now": arguments.bin}
    times = {name: [] for name in builds}
    with tempfile.TemporaryDirectory() as folder:
        photos, nothing = Path(folder) / "photos", Path(folder) / "nothing"
        nothing.mkdir()
        count = copies(arguments.photos, arguments.copies, photos)
        for _ in range(arguments.rounds):
            for name, bin_folder in builds.items():
                times[name].append((user_seconds(bin_folder, photos) - user_seconds(bin_folder, nothing)) / count)
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, values in times.items():
        print(f"{name:<7} {medians[name] * 1e3:6.1f} ms of user time a photo, {1 / medians[name]:5.1f} photos/s a core; least {min(values) * 1e3:.1f} ms")
    least = min(times["before"]) / min(times["now"])
    print(f"ratio of medians {medians['before'] / medians['now']:.2f}, of the least {least:.2f}; {count} photos, {arguments.rounds} rounds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
