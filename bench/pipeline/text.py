"""`analyze --only text` beside the rapidocr Python package over the sample pictures that have text; and what the first look
costs for pictures that have none. The peer is that of this Python (rapidocr-onnxruntime); where it is absent, that is said."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import json
import shutil
import sys

import common

SAMPLES = common.ROOT / "build/samples/photos"
MODELS = common.ROOT / "build/models"
WITH_TEXT = ["text.png", "page.png", "sudoku.png", "box.png", "box_in_scene.png", "board.jpg", "messi5.jpg"]
WITHOUT = ["baboon.jpg", "butterfly.jpg", "fruits.jpg", "orange.jpg", "apple.jpg", "aloeL.jpg", "chelsea.png", "coffee.png", "grass.png",
           "gravel.png", "moon.png", "fallenleaf.jpg", "autumn.jpg"]  # fmt: skip
PEER = """
import sys, time
from pathlib import Path
from rapidocr_onnxruntime import RapidOCR
read = RapidOCR(intra_op_num_threads=int(sys.argv[2]))
begin, processor = time.perf_counter(), time.process_time()
lines = sum(len(read(str(path))[0] or []) for path in sorted(Path(sys.argv[1]).iterdir()))
print(time.perf_counter() - begin, time.process_time() - processor, lines)
"""


def folder_of(bench: common.Bench, name: str, pictures: list[str]):
    folder = bench.fresh(name)
    for picture in pictures:
        shutil.copy(SAMPLES / picture, folder)
    return folder


def measure(bench: common.Bench) -> dict:
    """Pictures with text, read; pictures without, looked at."""
    names = WITH_TEXT[:4] if bench.quick else WITH_TEXT
    folders = {"with text": folder_of(bench, "with", names), "without": folder_of(bench, "without", WITHOUT[: len(names)])}
    cores = len(os.sched_getaffinity(0))

    def engine(folder):
        def run():
            scratch = bench.fresh("catalogue")
            command, environment = bench.command(scratch, "analyze", folder, "--only", "text", "--workers", cores)
            finished = common.run(*command, environment=environment | {"IMAGE_ENGINE_MODELS": str(MODELS)})
            document = json.loads(finished.output)
            steps = {step["step"]: step for step in document["report"]["steps"]}
            lines = sum(len(asset["text"]) for asset in document["assets"])
            return finished.seconds, finished.cpu, lines, steps["models"]["busy_seconds"]

        return run

    def peer(folder):
        def run():
            output = common.run(sys.executable, "-c", PEER, folder, cores).output.split()
            return (float(output[0]), float(output[1]), int(output[2])) if output else None

        return run

    contenders = {f"image-engine, {name}": engine(folder) for name, folder in folders.items()}
    contenders |= {f"rapidocr, {name}": peer(folder) for name, folder in folders.items()}
    results = common.in_turns(bench.rounds, contenders)
    seconds = {name: common.median(run[0] for run in runs) for name, runs in results.items() if runs[0] is not None}
    cpu = {name: common.median(run[1] for run in results[name]) for name in seconds}
    common.print_table([[f"{len(names)} pictures each, {cores} cores", "seconds", "processor seconds", "lines"]] + [
        [name, f"{seconds[name]:.2f}", f"{cpu[name]:.2f}", str(results[name][0][2])] for name in seconds
    ])  # fmt: skip
    busy = {name: common.median(run[3] for run in results[f"image-engine, {name}"]) for name in folders}
    share = busy["without"] / busy["with text"]
    print(f"looking at a picture without text takes {100 * share:.0f} % of reading one with")
    ratio = None
    if "rapidocr, with text" in seconds:
        ratio = seconds["rapidocr, with text"] / seconds["image-engine, with text"]
        of_cpu = cpu["rapidocr, with text"] / cpu["image-engine, with text"]
        print(f"rapidocr (without its start) over image-engine (with its start): {ratio:.2f}, in CPU time {of_cpu:.2f}")
    else:
        print("rapidocr: not measured, this Python does not have it")
    return {"pictures": len(names), "seconds": seconds, "processor_seconds": cpu, "look_share": share, "rapidocr_over_ours": ratio}


if __name__ == "__main__":
    if not (MODELS / "pp-ocrv4").exists():
        print("text: skipped, no reader is installed: IMAGE_ENGINE_MODELS=build/models image-engine models pull", file=sys.stderr)
        sys.exit(0)
    common.main("text", measure)
