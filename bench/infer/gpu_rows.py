"""This engine beside its peers on one GPU, in turns, as one JSON file that stays valid when the run is cut off.

usage: gpu_rows.py --bench "PROGRAM [ARGUMENT …]" --work FOLDER --output FILE [--models NAME,…] [--turns 2] [--compile]

FOLDER holds NAME.onnx and NAME.npz of torch_models.py. PROGRAM is bench-infer. A row: model, backend, precision, batch, total (s),
images_per_second, ms_per_image, speedup (over torch eager fp32 at that batch), spread, gpu_memory_mb, warmup (s), deviation (least
cosine of each output to torch fp32; for boxes the overlap), settings. Turns are joined by their median. Rows that FILE has are not
measured again.
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/peers"))
from deviation import deviation  # noqa: E402

LIMIT = 240  # seconds a peer may take
# Which flags of bench-infer were best when measured once (docs/adr/0007-graphs-for-gpus.md), and the batches that are compared.
PLAN = {
    "clip-vit-b32": ([1, 16, 64, 256], ["--graph"]),
    "dfine-s": ([8, 32], ["--graph"]),
    "detr-r50": ([8], ["--graph", "--nhwc", "--fuse"]),
    "segformer-b0": ([8], ["--graph", "--nhwc", "--fuse"]),
    "yolov8n-shaped": ([8], ["--graph", "--nhwc", "--fuse"]),
}


def run(command: list[str]) -> list[dict]:
    """The lines of JSON that it prints; one that says why, when it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return [{"error": f"took longer than {LIMIT} s"}]
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return rows or [{"error": " ".join(done.stderr.split())[-300:]}]


class Table:
    """Rows by (model, backend, precision, batch); each turn's measurements are kept."""

    def __init__(self, path: Path):
        self.path = path
        self.turns: dict[str, list[dict]] = json.loads(path.read_text())["turns"] if path.exists() else {}

    def count(self, model: str, backend: str, precision: str, batch: int) -> int:
        return sum("images_per_second" in row for row in self.turns.get(f"{model} {backend} {precision} {batch}", []))

    def add(self, row: dict) -> None:
        self.turns.setdefault(f"{row['model']} {row['backend']} {row['precision']} {row['batch']}", []).append(row)
        beside = self.path.with_name(self.path.name + ".new")
        beside.write_text(json.dumps({"rows": self.rows(), "turns": self.turns}, indent=1) + "\n")
        os.replace(beside, self.path)

    def rows(self) -> list[dict]:
        result = []
        for turns in self.turns.values():
            good = [turn for turn in turns if "images_per_second" in turn]
            row = dict((good or turns)[-1])
            if good:
                rate = statistics.median(turn["images_per_second"] for turn in good)
                rates = [turn["images_per_second"] for turn in good]
                row |= {"images_per_second": round(rate, 1), "ms_per_image": round(1000 / rate, 4),
                        "spread": round(max((max(rates) - min(rates)) / rate, *(turn["spread"] for turn in good)), 4)}  # fmt: skip
            result.append(row)
        base = {(row["model"], row["batch"]): row["images_per_second"] for row in result
                if (row["backend"], row["precision"]) == ("torch-eager", "fp32") and "images_per_second" in row}  # fmt: skip
        for row in result:
            if "images_per_second" in row and (row["model"], row["batch"]) in base:
                row["speedup"] = round(row["images_per_second"] / base[row["model"], row["batch"]], 3)
        return result


class Engine:
    def __init__(self, bench: str, work: Path):
        self.bench, self.work = shlex.split(bench), work

    def graph(self, model: str, batch: int) -> Path:
        """The rewritten graph of that batch, made when it is first asked for."""
        path = self.work / f"{model}.b{batch}.onnx"
        if not path.exists():
            subprocess.run([sys.executable, ROOT / "tools/models/optimise.py", "--input", self.work / f"{model}.onnx", "--output", path,
                            "--batch", str(batch)], check=True, stdout=subprocess.DEVNULL, timeout=LIMIT)  # fmt: skip
        return path

    def row(self, model: str, batch: int, flags: list[str]) -> dict:
        named = {"model": model, "backend": "image-engine", "precision": "fp16", "batch": batch, "settings": " ".join(flags)}
        reference = np.load(self.work / f"{model}.npz")
        with tempfile.TemporaryDirectory() as folder:
            given, made = Path(folder) / "in", Path(folder) / "out"
            pictures = reference["pixel_values"]
            np.resize(pictures, (batch, *pictures.shape[1:])).tofile(given)
            command = [*self.bench, str(self.graph(model, batch)), "--device", "cuda", *flags, "--input", str(given), "--output", str(made)]
            told = run(command)[-1]
            if "images_per_second" not in told:
                return named | told
            rate = told["images_per_second"]
            return named | {"images_per_second": rate, "ms_per_image": 1000 / rate, "total": told.get("seconds", 0),
                            "spread": (told["most"] - told["least"]) / rate, "gpu_memory_mb": told.get("gpu_memory_mb"),
                            "warmup": told["load_seconds"] + told["first_run_seconds"],
                            "deviation": deviation(outputs_of(made, reference, batch), reference)}  # fmt: skip


def outputs_of(path: Path, reference, batch: int) -> dict[str, np.ndarray]:
    """bench-infer writes its outputs one after the other, in the graph's order, which is that of the reference."""
    flat, result, at = np.fromfile(path, np.float32), {}, 0
    for name in reference.files:
        if name == "pixel_values":
            continue
        shape = (batch, *reference[name].shape[1:])
        size = int(np.prod(shape))
        result[name] = flat[at : at + size].reshape(shape)
        at += size
    return result


def torch_rows(model: str, backends: list[str], batches: list[int]) -> list[dict]:
    return run([sys.executable, "-W", "ignore", str(ROOT / "tools/peers/torch_models.py"), "time", "--model", model, "--backends", ",".join(backends),
                "--batches", ",".join(map(str, batches))])  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--bench", required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--models", default=",".join(PLAN))
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="torch.compile too, once, at the last batch of each model")
    given = parser.parse_args()
    table, engine = Table(given.output), Engine(given.bench, given.work)
    for model in given.models.split(","):
        batches, flags = PLAN[model]
        for turn in range(given.turns):
            for batch in batches:
                if table.count(model, "image-engine", "fp16", batch) <= turn:
                    table.add(engine.row(model, batch, flags))
            for precision in ("fp16", "fp32"):
                left = [batch for batch in batches if table.count(model, "torch-eager", precision, batch) <= turn]
                for row in torch_rows(model, [f"eager-{precision}"], left) if left else []:
                    table.add({"model": model, "backend": "torch-eager", "precision": precision, "batch": left[0]} | row)
        if given.compile and not table.count(model, "torch-compile", "fp16", batches[-1]):
            table.add({"model": model, "backend": "torch-compile", "precision": "fp16", "batch": batches[-1]} | torch_rows(model, ["compile-fp16"], batches[-1:])[0])
    for row in table.rows():
        print(row["model"], row["backend"], row["precision"], row["batch"], row.get("images_per_second", row.get("error")), row.get("speedup", ""),
              row.get("deviation", ""), row.get("gpu_memory_mb", ""), sep="\t")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
