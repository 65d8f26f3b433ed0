"""`benchmark models` and `benchmark batch-size`, with small real models and with planted ones whose answers are known."""

import json
import shutil
import signal
import sys
from hashlib import sha256
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import onnx
import pytest
from engine import DONE, FAILED, INTERRUPTED, ROOT, SAMPLES, USAGE, validate, wait_until
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

MODELS = ROOT / "build/models"
PEOPLE = ["basketball1.png", "basketball2.png", "messi5.jpg", "building.jpg", "baboon.jpg", "fruits.jpg"]
COLOURS = [(250, 10, 20), (240, 30, 10), (20, 200, 40), (30, 210, 5), (10, 40, 220), (60, 20, 200), (120, 120, 10)]


@pytest.fixture
def people(photos):
    for name in PEOPLE:
        shutil.copy(SAMPLES / "photos" / name, photos)
    return photos


@pytest.fixture
def two_people(photos):
    for name in PEOPLE[:2]:
        shutil.copy(SAMPLES / "photos" / name, photos)
    return photos


@pytest.fixture
def colours(photos):
    """Plain pictures: what a model gets of them is known without resizing anything."""
    for i, colour in enumerate(COLOURS):
        Image.new("RGB", (32, 32), colour).save(photos / f"{i}.png")
    return photos


def plant(engine, name, matrices, batch="batch"):
    """Installs an embedding model whose vectors are the picture's mean colour by a matrix, one for each precision."""
    specs = Path(engine.environment["XDG_CONFIG_HOME"]) / "image-engine/models"
    specs.mkdir(parents=True, exist_ok=True)
    files = []
    for precision, matrix in matrices.items():
        nodes = [helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=[2, 3], keepdims=0), helper.make_node("MatMul", ["mean", "m"], ["vector"])]
        graph = helper.make_graph(
            nodes, "planted", [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [batch, 3, 8, 8])],
            [helper.make_tensor_value_info("vector", TensorProto.FLOAT, [batch, 3])],
            [numpy_helper.from_array(np.array(matrix, np.float32), "m")])  # fmt: skip
        file = engine.folder / f"{name}-{precision}.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file)
        files.append({"name": file.name, "sha256": sha256(file.read_bytes()).hexdigest(), "sources": [f"file:{file}"]})
    spec = {"task": "embedding", "version": "1", "licence": {"name": "MIT", "permissive": True}, "files": files,
            "variants": [{"precision": precision, "file": f"{name}-{precision}.onnx"} for precision in matrices],
            "input": {"width": 8, "height": 8, "fit": "stretch"}, "outputs": ["vector"], "options": {"dimensions": 3}}  # fmt: skip
    (specs / f"{name}.yaml").write_text(json.dumps({"models": {name: spec}}))
    assert engine.run("models", "pull", name).code == DONE


def vectors(matrix):
    made = np.array(COLOURS, np.float64) @ np.array(matrix, np.float64)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def measured(document):
    return {(row["model"], row["backend"], row["precision"]): row for row in document["rows"] if row["rounds"] > 0}


def check_relations(document):
    rows = measured(document)
    assert rows
    for row in rows.values():
        assert row["images_per_second"] == pytest.approx(row["images"] / row["total"], rel=1e-3)
        assert row["ms_per_image"] == pytest.approx(1000 * row["total"] / row["images"], rel=1e-3, abs=1e-4)
        backend, precision = row["baseline"].split()
        baseline = rows[row["model"], backend, precision]
        assert row["speedup"] == pytest.approx(row["images_per_second"] / baseline["images_per_second"], rel=1e-2)
    assert all(row["note"] for row in document["rows"] if row["rounds"] == 0)
    assert len({row["key"] for row in document["rows"]}) == len(document["rows"])


def cut_off(engine, number, results, *flags):
    """A run that is stopped once its first rows are written; its exit code and what it left."""
    process = engine.start("benchmark", "models", "-o", results, *flags)
    wait_until(results.exists, "the first rows")
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    left = json.loads(results.read_text())
    validate(left, "benchmark-models")
    return process.returncode, left, err.decode()


# models


@pytest.fixture(autouse=True)
def here(folder, monkeypatch):
    """The current folder, where results are written that have no place of their own."""
    path = folder / "here"
    path.mkdir()
    monkeypatch.chdir(path)
    return path


def test_results_are_written_here_without_a_place_for_them(real, two_people, here):
    flags = ["benchmark", "models", "--images", two_people, "--models", "efficientnet-lite0"]
    document = real.json(*flags)
    results = here / "benchmark_results.json"
    assert json.loads(results.read_text()) == document
    text = real.run(*flags).out.decode()
    assert f"written to {results}" in text
    results.write_text("a diary")
    refused = real.run(*flags)
    assert refused.code == USAGE and "benchmark_results.json" in refused.message
    assert results.read_text() == "a diary", "a file that is not ours"


def test_every_installed_model_is_measured(real, people, folder):
    results, chart = folder / "results.json", folder / "chart.svg"
    document = real.json("benchmark", "models", "--images", people, "--batch", "4", "-o", results, "--chart", chart)
    assert json.loads(results.read_text()) == document and document["complete"]
    assert document["images"] == len(PEOPLE) and document["unreadable"] == 0
    check_relations(document)
    models = {"nanodet", "centernet", "efficientnet-lite0", "efficientnet-lite0+nanodet"}
    assert {row["model"] for row in document["rows"]} == models
    assert {one["model"] for one in document["preparation"]} == {"nanodet", "centernet", "efficientnet-lite0"}
    rows = measured(document)
    for model in models:
        row = rows[model, "image-engine-cpu", "fp32"]
        assert (row["batch"], row["speedup"], row["deviation"], row["gpu_memory_mb"]) == (4, 1, 0, 0)
    notes = {(row["backend"], row["precision"]): row["note"] for row in document["rows"] if row["rounds"] == 0}
    assert "fp32" not in {precision for backend, precision in notes if backend == "image-engine-cpu"}
    assert "--peers" in notes["torch-eager", "fp32"] and "int8" in notes["image-engine-cpu", "int8"]
    drawn = ElementTree.parse(chart).getroot()
    bars = [node for node in drawn.iter() if node.tag.endswith("rect") and node.get("rx")]
    assert len(bars) == len(rows) and models <= {node.text for node in drawn.iter()}


def test_peers_are_measured_where_their_python_has_them(real, people):
    document = real.json("benchmark", "models", "--models", "efficientnet-lite0", "--images", people, "--peers", sys.executable)
    check_relations(document)
    peer = measured(document)["efficientnet-lite0", "onnxruntime-python-cpu", "fp32"]
    assert peer["deviation"] < 1e-4 and peer["baseline"] == "image-engine-cpu fp32"
    assert all(row["note"] for row in document["rows"] if row["backend"].startswith("torch"))


def test_deviation_is_one_less_the_cosine(engine, colours):
    swapped = [[1, 0, 0], [0, 0, 1], [0, 1, 0]]
    plant(engine, "planted", {"fp32": np.eye(3), "int8": swapped})
    document = engine.json("benchmark", "models", "--images", colours)
    check_relations(document)
    expected = 1 - (vectors(np.eye(3)) * vectors(swapped)).sum(1).mean()
    row = measured(document)["planted", "image-engine-cpu", "int8"]
    assert expected > 0.05 and row["deviation"] == pytest.approx(expected, abs=1e-5)


def test_two_models_side_by_side(engine, colours):
    other = [[1, 0, 0], [0.9, 0, 0], [0.2, 0.1, 1]]
    plant(engine, "one", {"fp32": np.eye(3)})
    plant(engine, "two", {"fp32": other})
    document = engine.json("benchmark", "models", "--model1", "one", "--model2", "two", "--images", colours)
    nearest = []
    for matrix in (np.eye(3), other):
        cosines = vectors(matrix) @ vectors(matrix).T
        np.fill_diagonal(cosines, -2)
        nearest.append(cosines.argmax(1))
    expected = (nearest[0] == nearest[1]).mean()
    assert 0 < expected < 1
    assert document["comparison"] == {"model1": "one", "model2": "two", "what": "nearest pictures", "compared": len(COLOURS),
                                      "agreement": pytest.approx(expected, abs=1e-3)}  # fmt: skip


def test_detectors_side_by_side(real, two_people):
    flags = ["--images", two_people, "--batch", "1"]
    document = real.json("benchmark", "models", "--model1", "nanodet", "--model2", "centernet", *flags)
    comparison = document["comparison"]
    assert comparison["what"] == "objects" and comparison["compared"] >= 4 and 0 < comparison["agreement"] < 1
    mirrored = real.json("benchmark", "models", "--model1", "centernet", "--model2", "nanodet", *flags)["comparison"]
    assert (mirrored["compared"], mirrored["agreement"]) == (comparison["compared"], comparison["agreement"])
    itself = real.json("benchmark", "models", "--model1", "nanodet", "--model2", "nanodet", *flags)["comparison"]
    assert itself["agreement"] == 1
    different = real.json("benchmark", "models", "--model1", "nanodet", "--model2", "efficientnet-lite0", "--limit", "1", *flags)
    assert "comparison" not in different


@pytest.mark.parametrize("number, code", [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, INTERRUPTED)])
def test_a_run_that_was_cut_off_goes_on(real, two_people, folder, number, code):
    results = folder / "results.json"
    flags = ["--images", two_people, "--batch", "1", "--models", "efficientnet-lite0,centernet,nanodet,efficientnet-lite0+nanodet"]
    exit_code, left, message = cut_off(real, number, results, *flags)
    assert exit_code == code and not left["complete"]
    before = measured(left)
    assert 1 <= len(before) < 4 and ("efficientnet-lite0", "image-engine-cpu", "fp32") in before
    if number == signal.SIGINT:
        assert "the same command continues" in message and str(results) in message
    document = real.json("benchmark", "models", "-o", results, *flags)
    after = measured(document)
    assert document["complete"] and len(after) == 4
    for way, row in before.items():
        assert (after[way]["total"], after[way]["spread"], after[way]["warmup"]) == (row["total"], row["spread"], row["warmup"])


def test_only_what_is_the_same_is_not_measured_again(real, two_people, folder):
    results = folder / "results.json"
    flags = ["benchmark", "models", "--images", two_people, "--models", "efficientnet-lite0", "-o", results]
    way = "efficientnet-lite0", "image-engine-cpu", "fp32"

    def run_over(document, *more, batch="1"):
        results.write_text(document if isinstance(document, str) else json.dumps(document))
        return measured(real.json(*flags, "--batch", batch, *more))[way]["total"]

    partial = real.json(*flags, "--batch", "1") | {"complete": False}
    next(row for row in partial["rows"] if row["rounds"] > 0)["total"] = 12345.0
    assert run_over(partial) == 12345
    assert run_over(partial, "--limit", "1") < 12345  # other photos
    assert run_over(partial, batch="2") < 12345
    assert run_over(partial | {"complete": True}) < 12345  # one that ended is not gone on with
    mark = "image-engine/benchmark-models/1"
    for damaged in ("", f'{{"schema": "{mark}', f'["{mark}"]', f'{{"schema": 1, "was": "{mark}"}}', json.dumps(partial | {"rows": [1, {}, {"rounds": 3}, {"rounds": "x", "key": []}]})):
        assert run_over(damaged) < 12345


# batch-size


def check_batches(document, sizes):
    rows = document["rows"]
    assert [row["batch"] for row in rows] == sizes
    for row in rows:
        assert row["images_per_second"] == pytest.approx(row["images"] / row["total"], rel=1e-3) and row["memory_mb"] > 1
    fastest = max(row["images_per_second"] for row in rows)
    good = [row["batch"] for row in rows if row["images_per_second"] >= 0.949 * fastest]
    best = [row["batch"] for row in rows if row["best"]]
    assert best == [document["best"]] and document["best"] in good and good.index(document["best"]) <= 1


def test_batch_sizes(real, people, folder):
    results, plot = folder / "batches.json", folder / "batches.svg"
    document = real.json("benchmark", "batch-size", "--model", "efficientnet-lite0", "--images", people, "--most", "15",
                         "-o", results, "--plot", plot)  # fmt: skip
    assert json.loads(results.read_text()) == document
    check_batches(document, [1, 2, 4, 8, 12])
    assert document["device"] == "cpu" and not document["remembered"]
    drawn = ElementTree.parse(plot).getroot()
    assert sum(node.tag.endswith("circle") for node in drawn.iter()) == 5
    outcome = real.run("benchmark", "batch-size", "--images", people, "--limit", "2", "--most", "2")
    table = outcome.out.decode().splitlines()
    assert outcome.code == DONE and table[0].startswith("nanodet on cpu, 2 photos")
    assert table[1].split() == ["batch", "time", "s", "images/s", "memory", "MB"]
    assert [line.split()[0] for line in table[2:4]] == ["1", "2"] and sum(line.endswith("best") for line in table) == 1


def test_a_model_of_a_fixed_batch(engine, colours):
    plant(engine, "fixed", {"fp32": np.eye(3)}, batch=1)
    (row,) = engine.json("benchmark", "batch-size", "--images", colours)["rows"]
    assert row["batch"] == 1 and row["best"] and "1 at a time" in row["note"]
    document = engine.json("benchmark", "models", "--images", colours, "--batch", "4")
    assert measured(document)["fixed", "image-engine-cpu", "fp32"]["batch"] == 1


# what is wrong


@pytest.mark.parametrize("command", ["models", "batch-size"])
def test_what_is_missing_is_said(engine, photos, command):
    shutil.copy(SAMPLES / "photos/baboon.jpg", photos)
    outcome = engine.run("benchmark", command, "--images", photos)
    assert outcome.code == FAILED and "models pull" in outcome.message
    engine.environment["IMAGE_ENGINE_MODELS"] = str(MODELS)
    flag = {"models": "--models", "batch-size": "--model"}[command]
    for arguments, code, part in [
        ((flag, "nanodte", "--images", photos), USAGE, '"nanodet"'),
        ((flag, "minilm", "--images", photos), USAGE, "sentences"),
        ((flag, "dfine-s", "--images", photos), FAILED, "models pull dfine-s"),
        (("--images", engine.folder / "nowhere"), FAILED, "nowhere"),
        (("--images", engine.folder / "home"), FAILED, "no photo"),
        (("--limit", "0"), USAGE, "limit"),
    ]:  # fmt: skip
        outcome = engine.run("benchmark", command, *arguments)
        assert (outcome.code, part in outcome.message) == (code, True), outcome.message
    (photos / "baboon.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    outcome = engine.run("benchmark", command, "--images", photos)
    assert outcome.code == FAILED and "baboon.jpg" in outcome.message


def test_photos_that_cannot_be_decoded_are_counted(real, people):
    (people / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    document = real.json("benchmark", "models", "--models", "efficientnet-lite0", "--images", people)
    assert (document["images"], document["unreadable"]) == (len(PEOPLE), 1)


def test_the_samples_are_measured_on_by_default_and_spread_over(real, folder):
    if ROOT / "build" not in real.program.parents:
        pytest.skip("this program does not lie in the build tree, where samples are")
    document = real.json("benchmark", "models", "--models", "efficientnet-lite0", "--limit", "3")
    assert document["images"] == 3 and Path(document["folder"]) == SAMPLES / "photos"


@pytest.mark.parametrize("flags", [["--model1", "nanodet"], ["--model1", "nanodet", "--model2", "centernet", "--models", "nanodet"],
                                   ["--peers", "/nowhere/python"], ["--batch", "0"], ["--batch", "x"]])  # fmt: skip
def test_wrong_usage(real, flags):
    assert real.run("benchmark", "models", *flags).code == USAGE


def test_results_that_cannot_be_written(real, people, folder):
    outcome = real.run("benchmark", "models", "--models", "efficientnet-lite0", "--images", people, "-o", folder / "none/results.json")
    assert outcome.code == FAILED and "none/results.json" in outcome.message
    assert not (folder / "none").exists()
