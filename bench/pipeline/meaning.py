"""`analyze --only embedding` over 12-MP photos with CLIP ViT-B/32 (random weights of its architecture), beside a script of
Pillow and transformers; the model's own computing beside the same int8 graph in onnxruntime's Python and OpenVINO in fp32.
Peers are those that this Python has: torch and transformers, openvino; what is absent says so."""

import json
import os
import shutil
import sys

import common
import libraries

BUILD_PYTHON = common.ROOT / "build/venv/bin/python"
MODEL_ALONE = """
import sys, time, numpy
kind, model, cores, batch = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
pictures = numpy.random.default_rng(1).normal(size=(batch, 3, 224, 224)).astype(numpy.float32)
if kind == "onnxruntime":
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    run = lambda: session.run(None, {"pixel_values": pictures})
else:
    import openvino
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": cores, "PERFORMANCE_HINT": "THROUGHPUT"})
    run = lambda: compiled(pictures)
for _ in range(2): run()
times = []
for _ in range(5):
    begin = time.perf_counter()
    run()
    times.append(time.perf_counter() - begin)
print(batch / sorted(times)[2])
"""


def make_model(bench: common.Bench):
    """The folder of a random CLIP, and one with which it is installed: {models, config}."""
    folder = bench.fresh("clip")
    size = [] if bench.quick else ["--full"]
    common.run(BUILD_PYTHON, common.ROOT / "tools/export/random_clip.py", "--output", folder, "--int8", "--weights", *size,
               "--vocabulary", common.ROOT / "build/share/clip/bpe_simple_vocab_16e6.txt.gz")  # fmt: skip
    home = bench.fresh("home")
    specs = home / "config/image-engine/models"
    specs.mkdir(parents=True)
    shutil.copy(folder / "pull.yaml", specs)
    environment = {"XDG_CONFIG_HOME": str(home / "config"), "IMAGE_ENGINE_MODELS": str(home / "models"), "XDG_CACHE_HOME": str(home / "cache")}
    assert common.run(bench.engine, "models", "pull", "random-clip", environment=environment).exit_code == 0
    return folder, environment


def measure(bench: common.Bench) -> dict:
    """Vectors of photos from nothing, and the model alone."""
    model, environment = make_model(bench)
    photos = bench.size(64, 4)
    library = libraries.twelve_megapixel(common.ROOT, photos)
    cores = len(os.sched_getaffinity(0))
    reports = []

    def engine():
        folder = bench.fresh("catalogue")
        command, _ = bench.command(folder, "analyze", library, "--only", "embedding", "--workers", cores)
        finished = common.run(*command, environment=environment)
        report = json.loads(finished.output)
        assert len(report["assets"]) == photos
        reports.append({step["step"]: step for step in report["report"]["steps"]}["models"])
        return finished

    def script():
        output = bench.fresh("script") / "vectors.npy"
        finished = common.run(sys.executable, common.ROOT / "tools/peers/embed_script.py", library, "-o", output, "--model", model)
        assert finished.exit_code == 0 and output.exists()
        return finished

    def alone(kind: str, file: str):
        def run():
            output = common.run(sys.executable, "-c", MODEL_ALONE, kind, model / file, cores, 8).output.strip()
            return float(output) if output else None

        return run

    contenders = {"image-engine": engine, "script": script, "onnxruntime int8": alone("onnxruntime", "clip_vision_int8.onnx"),
                  "OpenVINO fp32": alone("openvino", "clip_vision_fp32.onnx")}  # fmt: skip
    engine()  # measures the precisions once
    reports.clear()
    results = common.in_turns(bench.rounds, contenders, library)
    times = {name: common.median(run.seconds for run in results[name]) for name in ("image-engine", "script")}
    of_script = results["script"][0].output.strip()
    ours = common.median(step["count"] / step["busy_seconds"] * cores for step in reports)
    peers = {name: common.median(results[name]) for name in ("onnxruntime int8", "OpenVINO fp32") if results[name][0] is not None}
    common.print_table([[f"{photos} photos of 12 MP to vectors, {cores} cores", "seconds", "photos/s"]] + [
        [name if name != "script" else f"script of Pillow, {of_script}", f"{times[name]:.2f}", f"{photos / times[name]:.1f}"] for name in times
    ])  # fmt: skip
    common.print_table([["CLIP's vision tower alone", "pictures/s"], ["image-engine", f"{ours:.1f}"]] + [[n, f"{v:.1f}"] for n, v in peers.items()])
    for name in {"onnxruntime int8", "OpenVINO fp32"} - set(peers):
        print(f"{name}: not measured, this Python does not have it")
    ratio = times["script"] / times["image-engine"]
    best = max(peers.values(), default=0)
    print(f"script over image-engine: {ratio:.2f}" + (f"; the model alone over the better peer: {ours / best:.2f}" if best else ""))
    return {"photos": photos, "seconds": times, "script": of_script, "script_over_ours": ratio, "model": {"image-engine": ours, **peers},
            "ours_over_best_peer": ours / best if best else None}  # fmt: skip


if __name__ == "__main__":
    common.main("meaning", measure)
