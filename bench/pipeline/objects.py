"""`analyze` with objects from nothing over 12-MP photos, beside a Python script of Pillow and onnxruntime that does as much
with a process a core; and how much of it is the model's own computing."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import sys

import common
import libraries

MODELS = common.ROOT / "build/models"  # IMAGE_ENGINE_MODELS=build/models image-engine models pull
PYTHON = common.ROOT / "build/venv/bin/python"
TIME_OF_MODEL = """
import statistics, sys, time
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
picture = {"image": numpy.random.default_rng(1).normal(size=(1, 3, 416, 416)).astype(numpy.float32)}
times = []
for _ in range(40):
    begin = time.perf_counter()
    session.run(None, picture)
    times.append(time.perf_counter() - begin)
print(statistics.median(times[5:]))
"""


def measure(bench: common.Bench) -> dict:
    """Whole analyze with objects: hash, headers, thumbnails, measures, objects, catalogue."""
    model = next(MODELS.glob("*/nanodet.onnx"))
    photos = bench.size(96, 8)
    library = libraries.twelve_megapixel(common.ROOT, photos)
    cores = len(os.sched_getaffinity(0))
    script = common.ROOT / "tools/peers/analyze_script.py"

    def engine():
        folder = bench.fresh("catalogue")
        command, environment = bench.command(folder, "analyze", library, "--workers", cores)
        environment["IMAGE_ENGINE_MODELS"] = str(MODELS)
        finished = common.run(*command, environment=environment)
        # Every eighth photo shows an aeroplane, which the script finds with 0.74.
        _, found = bench.call(folder, "search", "object:airplane", "--limit", photos)
        assert len(found["results"]) >= photos // 8, f"{len(found['results'])} of {photos // 8} aeroplanes found"
        return finished

    def peer():
        output = bench.fresh("script") / "photos.json"
        finished = common.run(PYTHON, "-B", script, library, "-o", output, "--model", model, "--processes", cores)
        assert finished.exit_code == 0 and output.exists()
        return finished

    def model_alone():
        return float(common.run(PYTHON, "-c", TIME_OF_MODEL, model, one_core=True).output)

    results = common.in_turns(bench.rounds, {"image-engine": engine, "script": peer, "model": model_alone}, library)
    of_model = common.median(results.pop("model"))
    times = {name: common.median(run.seconds for run in runs) for name, runs in results.items()}
    cpu = {name: common.median(run.cpu for run in runs) for name, runs in results.items()}
    common.print_table([[f"{photos} photos of 12 MP with objects, {cores} cores", "seconds", "photos/s", "cpu s", "photos a cpu s"]] + [
        [name, f"{times[name]:.2f}", f"{photos / times[name]:.1f}", f"{cpu[name]:.2f}", f"{photos / cpu[name]:.1f}"] for name in times
    ])  # fmt: skip
    ratio, cpu_ratio = times["script"] / times["image-engine"], cpu["script"] / cpu["image-engine"]
    shares = {name: photos * of_model / cpu[name] for name in cpu}
    print(f"script over image-engine: {ratio:.2f} in time, {cpu_ratio:.2f} in CPU time")
    print(
        f"the model alone, one thread: {1000 * of_model:.1f} ms a photo, {100 * shares['image-engine']:.0f} % of image-engine's "
        f"processor time, {100 * shares['script']:.0f} % of the script's"
    )
    return {"photos": photos, "script_over_ours": ratio, "script_over_ours_cpu": cpu_ratio, "seconds": times, "cpu_seconds": cpu,
            "model_ms": 1000 * of_model, "model_share": shares}  # fmt: skip


if __name__ == "__main__":
    if not any(MODELS.glob("*/nanodet.onnx")):
        print("objects: skipped, no detector is installed: IMAGE_ENGINE_MODELS=build/models image-engine models pull", file=sys.stderr)
        sys.exit(0)
    common.main("objects", measure)
