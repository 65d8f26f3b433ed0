"""`models add`: models of the user's own, and how they are tried."""

import contextlib
import json
import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from action_models import save, tensor
from engine import DONE, INTERRUPTED, ROOT, USAGE, children, ended_or, wait_until
from model_library import library  # noqa: F401
from onnx import TensorProto, helper

sys.path.insert(0, str(ROOT / "tests/models_tools"))
from yolo_graph import yolo  # noqa: E402


# One's own


def own_model(folder, data=b"weights", **files):
    place = folder / "own"
    place.mkdir()
    (place / "my.onnx").write_bytes(data)
    for name, content in files.items():
        (place / name).write_bytes(content)
    return place / "my.onnx"


def test_add_and_remove(library, folder):
    model = own_model(folder, **{"my.onnx.data": b"more", "unrelated.bin": b"no"})
    yolo(model, classes=2)
    (folder / "labels.txt").write_text("cat\ndog\n")
    (folder / "my.yaml").write_text("models: {mine: {head: yolo, labels: labels.txt, input: {width: 64, height: 64}}}")
    (entry,) = library.engine.json("models", "add", model, "--task", "objects", "--spec", folder / "my.yaml")["models"]
    assert (entry["name"], entry["task"], entry["state"]) == ("mine", "objects", "installed")
    assert sorted(os.listdir(library.root / "mine")) == ["my.onnx", "my.onnx.data", "provenance.json"]
    (folder / "labels.txt").unlink()
    shutil.rmtree(model.parent)
    library.engine.json("models", "verify", "mine")
    assert library.state("mine") == "installed"
    outcome = library.engine.run("models", "add", "/etc/hostname", "--task", "objects", "--spec", folder / "my.yaml")
    assert outcome.code != DONE
    library.engine.json("models", "remove", "mine")
    assert "mine" not in {entry["name"] for entry in library.engine.json("models", "list")["models"]}
    assert not (library.root / "mine").exists() and not list(library.specs.iterdir())


def test_add_like_a_shipped_one(library, folder):
    model = yolo(folder / "own/my.onnx", classes=80)
    (folder / "my.yaml").write_text("models: {finer: {like: yolov8n, input: {width: 64, height: 64}, version: '2'}}")
    library.engine.json("models", "add", model, "--spec", folder / "my.yaml", "--name", "finer-2")
    written = json.loads((library.specs / "finer-2.added.yaml").read_text())["models"]["finer-2"]
    assert written["input"]["width"] == 64 and written["input"]["fit"] == "letterbox" and len(written["labels"]) == 80
    assert written["licence"] == {"name": "unstated", "permissive": False, "notice": "its spec states none"} and "awaits" not in written
    assert written["files"][0]["name"] == "my.onnx" and "convert" not in written
    outcome = library.engine.run("models", "add", model, "--spec", folder / "my.yaml", "--name", "finer-2")
    assert outcome.code == USAGE and "--name" in outcome.message


def test_companions_stay_in_their_folder(library, folder):
    model = own_model(folder)
    (folder / "secret").write_bytes(b"secret")
    (model.parent / "my.onnx.data").symlink_to(folder / "secret")
    (folder / "my.yaml").write_text("models: {mine: {task: objects}}")
    outcome = library.engine.run("models", "add", model, "--spec", folder / "my.yaml")
    assert outcome.code == USAGE and "my.onnx.data" in outcome.message
    assert not list(library.specs.iterdir()) and not (library.root / "mine").exists()


@pytest.mark.parametrize("spec", ["models: {a: {}, b: {}}", "models: {}", "models: {a: {like: a}}", "[", "models: {A/B: {}}"])
def test_specs_that_cannot_be_added(library, folder, spec):
    model = own_model(folder)
    (folder / "my.yaml").write_text(spec)
    outcome = library.engine.run("models", "add", model, "--task", "objects", "--spec", folder / "my.yaml")
    assert outcome.code == USAGE and "my.yaml" in outcome.message, outcome.message
    assert not list(library.specs.iterdir())


# Whether a graph is as its spec says


def spec_file(folder, **changes):
    spec = {"task": "objects", "head": "yolo", "labels": ["a", "b", "c"], "input": {"width": 64, "height": 64}, **changes}
    (folder / "my.yaml").write_text(json.dumps({"models": {"mine": {key: value for key, value in spec.items() if value is not None}}}))
    return folder / "my.yaml"


@pytest.mark.parametrize(("changes", "says"), [
    ({"input": {"width": 32, "height": 32}}, ("[1,3,64,64]", "[1,3,32,32]")),
    ({"input": {"width": 64, "height": 64, "layout": "nhwc"}}, ("[1,3,64,64]", "[1,64,64,3]")),
    ({"input": {"width": 64, "height": 64, "name": "pixels"}}, ("'images'", "spec")),
    ({"outputs": ["boxes"]}, ("'boxes'", "output0")),
    ({"labels": ["a", "b"]}, ("3 classes", "2 labels")),
    ({"head": "detectnet"}, ("detectnet",)),
    ({"head": "yolo9"}, ("yolo9",)),
    ({"task": "scene", "head": "softmax"}, ("3 classes",)),
    ({"task": "embedding", "head": None, "labels": None}, ("dimensions",)),
    ({"task": "objekts"}, ("objekts", "known tasks")),
])  # fmt: skip
def test_a_graph_that_its_spec_does_not_describe(library, folder, changes, says):
    model = yolo(folder / "own/my.onnx")
    outcome = library.engine.run("models", "add", model, "--spec", spec_file(folder, **changes))
    assert outcome.code == USAGE and "not added" in outcome.message, outcome.message
    assert all(part in outcome.message for part in says), outcome.message
    assert not list(library.specs.iterdir()) and not (library.root / "mine").exists()


def test_a_detector_that_takes_words_is_refused_plainly(library, folder):
    save(folder / "open.onnx", [helper.make_node("ReduceMean", ["pixels"], ["m"], axes=[2, 3], keepdims=0),
                                helper.make_node("Cast", ["input_ids"], ["words"], to=TensorProto.FLOAT), helper.make_node("Concat", ["m", "words"], ["y"], axis=1)],
         [tensor("pixels", [1, 3, 64, 64]), tensor("input_ids", [1, 16], TensorProto.INT64)], [tensor("y", [1, 19])])  # fmt: skip
    outcome = library.engine.run("models", "add", folder / "open.onnx", "--spec", spec_file(folder, input={"width": 64, "height": 64, "name": "pixels"}))
    assert outcome.code == USAGE and "open-vocabulary detectors, are not supported" in outcome.message


def test_variants_are_kept_or_it_is_said_why(library, folder):
    """A float graph, one whose weights are rounded as int8 would, and one that computes something else."""
    model = yolo(folder / "own/my.onnx", batch="n")
    near, far = onnx.load(model), onnx.load(model)
    for tensors, change in ((near, lambda x: np.round(x * 512) / 512), (far, lambda x: x[::-1].copy())):
        for weight in tensors.graph.initializer:
            if weight.name.startswith("kernel"):
                weight.CopyFrom(onnx.numpy_helper.from_array(change(onnx.numpy_helper.to_array(weight)).astype(np.float32), weight.name))
    onnx.save(near, folder / "own/near.onnx")
    onnx.save(far, folder / "own/far.onnx")

    def notes(int8):
        variants = [{"precision": "fp32", "file": "my.onnx"}, {"precision": "int8", "file": int8, "gate": {"cosine": 0.97}}]
        (entry,) = library.engine.json("models", "add", model, "--spec", spec_file(folder, variants=variants))["models"]
        library.engine.json("models", "remove", "mine")
        return entry["precisions"], " ".join(entry["notes"])

    precisions, note = notes("near.onnx")
    assert precisions == ["fp32", "int8"] and "int8" in note and "refused" not in note
    precisions, note = notes("far.onnx")
    assert "int8 refused" in note
    precisions, note = notes("none.onnx")
    assert precisions == ["fp32"] and "int8 is left out: none.onnx is not beside my.onnx" in note


# Models of the user's own


def endless(library, folder):
    """A detector whose graph loops for ever, installed without `models add`, which would have tried it."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("x", [1, 3, 416, 416]), ("y", [1])))
    step = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["again"]), helper.make_node("Add", ["v", "v"], ["w"])], "step",
        [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in (
            ("i", TensorProto.INT64, []), ("go", TensorProto.BOOL, []), ("v", TensorProto.FLOAT, [1]))],
        [helper.make_tensor_value_info("again", TensorProto.BOOL, []), helper.make_tensor_value_info("w", TensorProto.FLOAT, [1])])  # fmt: skip
    nodes = [helper.make_node("Flatten", ["x"], ["f"], axis=0), helper.make_node("ReduceMax", ["f"], ["m"], axes=[0, 1], keepdims=0),
             helper.make_node("Reshape", ["m", "one"], ["v0"]), helper.make_node("Loop", ["", "yes", "v0"], ["y"], body=step)]  # fmt: skip
    constants = [helper.make_tensor("one", TensorProto.INT64, [1], [1]), helper.make_tensor("yes", TensorProto.BOOL, [], [True])]
    graph = helper.make_graph(nodes, "endless", [x], [y], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), folder / "endless.onnx")
    library.text("endless", {"models": {"endless": {
        "task": "objects", "version": "1", "licence": {"name": "MIT", "permissive": True}, "head": "nanodet", "outputs": ["y"] * 6, "labels": ["a"],
        "input": {"width": 416, "height": 416}, "file": "endless.onnx",
        "files": [{"name": "endless.onnx", "sources": [f"file:{folder / 'endless.onnx'}"]}]}}})  # fmt: skip
    library.pull("endless")


def test_a_model_that_does_not_end_is_not_added(library, folder):
    endless(library, folder)
    (folder / "config/image-engine/config.yaml").write_text("inference: {run_timeout_seconds: 1}\n")
    (folder / "my.yaml").write_text("models: {other: {like: nanodet, outputs: [y, y, y, y, y, y]}}")
    outcome = library.engine.run("models", "add", folder / "endless.onnx", "--spec", folder / "my.yaml")
    assert outcome.code == USAGE and "tried in a separate process" in outcome.message
    assert not (library.root / "other").exists() and not list(library.specs.glob("*.added.yaml"))


def test_a_model_that_does_not_end_is_left_out(library, folder, photos):
    endless(library, folder)
    (folder / "config/image-engine/config.yaml").write_text("inference: {run_timeout_seconds: 1}\n")
    shutil.copy(ROOT / "build/samples/photos/left01.jpg", photos)
    report = library.engine.analyze(photos, "--object-model", "endless")["report"]
    (note,) = [note for note in report["notes"] if "endless" in note]
    assert "tried in a separate process" in note and "inference.run_timeout_seconds" in note
    assert report["failed"] == 0 and library.engine.failures() == {}


def test_an_interruption_ends_the_trial_of_a_model(library, folder, photos):
    endless(library, folder)
    shutil.copy(ROOT / "build/samples/photos/left01.jpg", photos)
    process = library.engine.start("analyze", photos, "--object-model", "endless")

    def trial():
        with contextlib.suppress(OSError):
            return [child for child in children(process.pid) if b"--try" in Path(f"/proc/{child}/cmdline").read_bytes()]

    try:
        (tried,) = wait_until(ended_or(process, trial), "the process that tries the model")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == INTERRUPTED and not Path(f"/proc/{tried}").exists()
