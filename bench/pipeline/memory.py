"""Memory of `analyze` and its workers together: PSS, sampled every 50 ms, its highest sum."""

import json
import os
import subprocess
import time
from pathlib import Path

import numpy
from PIL import Image

import common
import libraries


def family(process_id: int) -> list[int]:
    """A process and its descendants."""
    members = [process_id]
    for member in members:
        for children in Path(f"/proc/{member}/task").glob("*/children"):
            try:
                members += map(int, children.read_text().split())
            except OSError:
                continue
    return members


def pss(process_id: int) -> int:
    """Bytes; 0 once the process is gone. Workers show theirs to root only."""
    try:
        with open(f"/proc/{process_id}/smaps_rollup", "rb") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith(b"Pss:"))
    except (FileNotFoundError, ProcessLookupError, StopIteration):
        return 0


def peak(bench: common.Bench, folder: Path, *arguments) -> tuple[int, int, dict]:
    """The highest sum of PSS during one engine call, of how many processes, and what it printed."""
    command, environment = bench.command(folder, *arguments)
    output = folder / "output.json"
    with output.open("wb") as stdout:
        process = subprocess.Popen(
            [str(c) for c in command], stdout=stdout, stderr=subprocess.DEVNULL, env=os.environ | environment
        )
        highest, counted = 0, 0
        while process.poll() is None:
            parts = [part for part in map(pss, family(process.pid)) if part]
            if sum(parts) > highest:
                highest, counted = sum(parts), len(parts)
            time.sleep(0.05)
    return highest, counted, json.loads(output.read_bytes())


def hundred_megapixel(folder: Path, edge: float) -> list[Path]:
    """One picture of 12,000×8,400 times `edge`: a photo, enlarged, as baseline and progressive JPEG and as PNG."""
    size = (int(12000 * edge), int(8400 * edge))
    paths = [folder / f"{size[0]}_{kind}" for kind in ("baseline.jpg", "progressive.jpg", "picture.png")]
    if not all(path.exists() for path in paths):
        folder.mkdir(parents=True, exist_ok=True)
        picture = Image.open(common.ROOT / libraries.SAMPLES / "12mp/DSC00001.jpg").resize(size, Image.Resampling.BILINEAR)
        noise = numpy.random.default_rng(7).integers(0, 8, (size[1], size[0], 1), dtype=numpy.uint8)
        picture = Image.fromarray(numpy.asarray(picture) // 2 + noise)
        picture.save(paths[0], quality=90)
        picture.save(paths[1], quality=90, progressive=True)
        picture.save(paths[2], compress_level=1)
    return paths


def measure(bench: common.Bench) -> dict:
    """The most memory in use at once, on 12-MP photos and on single very large ones."""
    if os.geteuid() != 0:
        print("memory: skipped, only root may read the workers' smaps_rollup")
        return {"skipped": "not root"}
    rows, result = [["input", "workers", "processes", "peak PSS", "analysed", "refused"]], {}

    def add(name: str, workers: int, *paths: Path) -> None:
        folder = bench.fresh("catalogue")
        highest, counted, document = peak(bench, folder, "analyze", *paths, "--workers", workers)
        _, ledger = bench.call(folder, "failures")
        report, failures = document["report"], ledger["failures"]
        pictures = sum(1 for asset in document["assets"] if not asset.get("failures"))
        rows.append([name, str(workers), str(counted), f"{highest / 1e6:.0f} MB", str(pictures), str(len(failures))])
        result[f"{name}, {workers} workers"] = {"peak_pss": highest, "processes": counted, "analysed": report["analysed"], "failures": failures}

    photos = bench.size(304, 8)
    library = libraries.twelve_megapixel(common.ROOT, photos)
    for workers in (1, 2, 4):
        add(f"{photos} photos of 12 MP", workers, library)
    for path in hundred_megapixel(common.ROOT / "build/bench/100mp", 0.25 if bench.quick else 1):
        add(path.name.replace("_", " "), 1, path)
    common.print_table(rows)
    for name, values in result.items():
        for failure in values["failures"]:
            print(f"  refused, {name}: {failure.get('error') or failure.get('message')}")
    return result


if __name__ == "__main__":
    common.main("memory", measure)
