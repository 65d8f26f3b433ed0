"""`analyze --only embedding` over 12-MP photos with CLIP ViT-B/32 (random weights of its architecture), beside a script of
Pillow and transformers; the model's own computing beside the same int8 graph in onnxruntime's Python and OpenVINO in fp32;
`search` by words and by meaning over 100,000 assets, process start included. Peers are those that this Python has: torch
and transformers, openvino; what is absent says so."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import json
import shutil
import sqlite3
import sys

import common
import libraries
import numpy

PEERS = ["onnxruntime int8, our graph", "onnxruntime int8, usual export", "OpenVINO fp32"]
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


def vectors_catalogue(bench: common.Bench, environment: dict, embedded, assets: int):
    """A folder with a catalogue of that many synthetic assets, each with a random vector in the space of `embedded`."""
    folder = bench.fresh("search")
    common.run(bench.bin / "make_catalogue", folder / "catalog.db", assets)
    with sqlite3.connect(embedded / "catalog.db") as known:
        space = known.execute("SELECT stage, model, version, params, dimensions, active, 0, created FROM spaces").fetchone()
    random = numpy.random.default_rng(1)
    with sqlite3.connect(folder / "catalog.db") as catalogue:
        catalogue.execute("INSERT INTO spaces(stage, model, version, params, dimensions, active, generation, created) "
                          "VALUES(?, ?, ?, ?, ?, ?, ?, ?)", space)  # fmt: skip
        for (asset,) in catalogue.execute("SELECT id FROM assets").fetchall():
            vector = random.normal(size=space[4])
            half = (vector / numpy.linalg.norm(vector)).astype("<f2").tobytes()
            catalogue.execute("INSERT INTO embeddings(space_id, asset_id, vector) VALUES(1, ?, ?)", (asset, half))
    return folder


def measure_search(bench: common.Bench, environment: dict, embedded) -> dict:
    assets = bench.size(100_000, 1_000)
    folder = vectors_catalogue(bench, environment, embedded, assets)
    none = environment | {"IMAGE_ENGINE_MODELS": str(bench.fresh("no models"))}

    def ask(query: str, where: dict):
        def run():
            command, _ = bench.command(folder, "search", query)
            finished = common.run(*command, environment=where)
            assert finished.exit_code == 0
            return finished.seconds

        return run

    queries = {"words: kyoto canon": ask("kyoto canon", none), "meaning: kyoto canon": ask("kyoto canon", environment),
               "meaning: dog on a beach rating:4": ask("dog on a beach rating:4", environment)}  # fmt: skip
    for query in queries.values():
        query()  # makes the vectors' file, measures the text tower's precisions
    results = common.in_turns(bench.rounds * 3, queries)
    common.print_table([[f"search over {assets} assets, with process start", "median ms", "slowest ms"]] + [
        [name, f"{1000 * common.median(times):.0f}", f"{1000 * max(times):.0f}"] for name, times in results.items()
    ])  # fmt: skip
    return {name: common.median(times) for name, times in results.items()}


def measure(bench: common.Bench) -> dict:
    """Vectors of photos from nothing, and the model alone."""
    model, environment = make_model(bench)
    photos = bench.size(64, 4)
    library = libraries.twelve_megapixel(common.ROOT, photos)
    cores = len(os.sched_getaffinity(0))
    def engine():
        folder = bench.fresh("catalogue")
        command, _ = bench.command(folder, "analyze", library, "--only", "embedding", "--workers", cores)
        finished = common.run(*command, environment=environment)
        report = json.loads(finished.output)
        assert len(report["assets"]) == photos
        return finished

    def script():
        output = bench.fresh("script") / "vectors.npy"
        finished = common.run(sys.executable, common.ROOT / "tools/peers/embed_script.py", library, "-o", output, "--model", model)
        assert finished.exit_code == 0 and output.exists()
        return finished

    def alone(kind: str, file):
        def run():
            output = common.run(sys.executable, "-c", MODEL_ALONE, kind, file, cores, 8).output.strip()
            return float(output) if output else None

        return run

    def ours_alone():
        command = [bench.bin / "bench-infer", model / "clip_vision_int8.onnx", "--batch", 8, "--streams", cores, "--seconds", 2]
        return json.loads(common.run(*command).output)["images_per_second"]

    usual = bench.scratch / "usual_int8.onnx"  # absent where this Python has no torch
    common.run(sys.executable, common.ROOT / "tools/peers/export_clip_usual.py", model, usual)
    contenders = {"image-engine": engine, "script": script, "model": ours_alone, PEERS[0]: alone("onnxruntime", model / "clip_vision_int8.onnx"),
                  PEERS[1]: alone("onnxruntime", usual), PEERS[2]: alone("openvino", model / "clip_vision_fp32.onnx")}  # fmt: skip
    engine()  # measures the precisions once
    results = common.in_turns(bench.rounds, contenders, library)
    times = {name: common.median(run.seconds for run in results[name]) for name in ("image-engine", "script")}
    of_script = results["script"][0].output.strip()
    ours = common.median(results["model"])
    peers = {name: common.median(results[name]) for name in PEERS if results[name][0] is not None}
    common.print_table([[f"{photos} photos of 12 MP to vectors, {cores} cores", "seconds", "photos/s"]] + [
        [name if name != "script" else f"script of Pillow, {of_script}", f"{times[name]:.2f}", f"{photos / times[name]:.1f}"] for name in times
    ])  # fmt: skip
    common.print_table([["CLIP's vision tower alone", "pictures/s"], ["image-engine", f"{ours:.1f}"]] + [[n, f"{v:.1f}"] for n, v in peers.items()])
    for name in set(PEERS) - set(peers):
        print(f"{name}: not measured, this Python does not have it")
    searches = measure_search(bench, environment, bench.scratch / "catalogue")
    ratio = times["script"] / times["image-engine"]
    best = max((peers[name] for name in PEERS[1:] if name in peers), default=0)  # what a person has without us
    print(f"script over image-engine: {ratio:.2f}" + (f"; the model alone over the better of the last two: {ours / best:.2f}" if best else ""))
    return {"photos": photos, "seconds": times, "script": of_script, "script_over_ours": ratio, "model": {"image-engine": ours, **peers},
            "ours_over_best_peer": ours / best if best else None, "search_seconds": searches}  # fmt: skip


if __name__ == "__main__":
    common.main("meaning", measure)
