"""`models add`: models of the user's own, and how they are tried."""

import contextlib
import json
import os
import shutil
import signal
from pathlib import Path

import onnx
import pytest
from engine import DONE, INTERRUPTED, ROOT, USAGE, children, ended_or, wait_until
from model_library import library  # noqa: F401
from onnx import TensorProto, helper


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
    model = own_model(folder)
    (folder / "my.yaml").write_text("models: {finer: {like: nanodet, input: {width: 320, height: 320}, version: '2'}}")
    library.engine.json("models", "add", model, "--spec", folder / "my.yaml", "--name", "finer-2")
    written = json.loads((library.specs / "finer-2.added.yaml").read_text())["models"]["finer-2"]
    assert written["input"]["width"] == 320 and written["input"]["order"] == "bgr" and len(written["labels"]) == 80
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


# Models of the user's own


def endless(library, folder):
    """A detector whose graph loops for ever, added."""
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
    (folder / "my.yaml").write_text("models: {endless: {like: nanodet, outputs: [y, y, y, y, y, y]}}")
    library.engine.json("models", "add", folder / "endless.onnx", "--spec", folder / "my.yaml")


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
