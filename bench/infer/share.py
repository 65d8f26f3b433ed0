"""What models cost `analyze`: its CPU time with and without them, and where that goes.

usage: bench/infer/share.py --bin DIR [--models FOLDER] PHOTOS
DIR holds image-engine; FOLDER (build/models) installed models, of which objects and text are taken, none, each and both. `perf` samples
every process of a run; "the models" is what it finds in ONNX Runtime's library, "kernel" is mostly pages that are touched anew. The table
of steps that `analyze` prints for the last run is shown too.
"""

import argparse
import os
import re
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUNS = {"no model": [], "objects": ["nanodet"], "text": ["pp-ocrv4"], "objects and text": ["nanodet", "pp-ocrv4"]}
PARTS = {"libonnxruntime": "the models", "[kernel": "kernel", "libjpeg": "libjpeg", "image-engine-worker": "worker"}


def run(program: Path, models: list[Path], photos: Path) -> tuple[dict[str, float], str]:
    """Seconds of CPU time by part, and what analyze printed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        installed = folder / "models"
        installed.mkdir()
        for model in models:
            (installed / model.name).symlink_to(model)
        record = ["perf", "record", "--quiet", "--freq", "199", "--event", "cpu-clock", "--output", folder / "perf.data", "--"]
        analyze = [program, "--catalog", folder / "catalog.db", "analyze", photos]
        environment = os.environ | {"IMAGE_ENGINE_MODELS": str(installed)}
        done = subprocess.run(record + analyze, env=environment, check=True, capture_output=True, text=True)
        report = ["perf", "report", "--input", folder / "perf.data", "--stdio", "--sort", "dso"]
        told = subprocess.run(report, check=True, capture_output=True, text=True).stdout
    total = float(re.search(r"Event count \(approx\.\): (\d+)", told)[1]) / 1e9
    parts = dict.fromkeys([*PARTS.values(), "other"], 0.0)
    for share, library in re.findall(r"^ +([\d.]+)%  (\S+)", told, re.MULTILINE):
        part = next((name for start, name in PARTS.items() if library.startswith(start)), "other")
        parts[part] += total * float(share) / 100
    return {"all": total, **parts}, done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--models", type=Path, default=ROOT / "build/models")
    parser.add_argument("photos", type=Path)
    options = parser.parse_args()
    columns = ["all", *PARTS.values(), "other"]
    print(f"| CPU seconds | {' | '.join(columns)} | more than without | of that the models |\n|{' --- |' * (len(columns) + 3)}")
    steps, without = "", 0.0
    for name, wanted in RUNS.items():
        seconds, steps = run(options.bin / "image-engine", [options.models.resolve() / model for model in wanted], options.photos)
        without = seconds["all"] if not wanted else without
        more = seconds["all"] - without
        cells = [f"{seconds[column]:.2f}" for column in columns]
        share = f"{100 * seconds['the models'] / more:.0f} %" if wanted else ""
        print(f"| {name} | {' | '.join(cells)} | {more:.2f} | {share} |", flush=True)
    print(steps)


if __name__ == "__main__":
    main()
