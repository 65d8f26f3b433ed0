"""Models that are asked for by name: those of the catalogue whose file the user brings, each run on a graph of its true shape whose answer is
known; the names of repositories; and what is said where one is not there."""

import json
import os
import socket
import sys
import threading

import numpy as np
import onnx
import pytest
from action_models import save, tensor
from engine import DONE, FAILED, ROOT, USAGE
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

sys.path.insert(0, str(ROOT / "tests/models_tools"))
from yolo_graph import yolo  # noqa: E402

SIZE = 1280, 960  # of the photo


@pytest.fixture
def photo(photos):
    ramp = np.linspace(0, 255, SIZE[0] * SIZE[1]).reshape(SIZE[1], SIZE[0]).astype(np.uint8)
    Image.merge("RGB", [Image.fromarray(ramp)] * 3).save(photos / "ramp.jpg")
    return photos / "ramp.jpg"


def constant_graph(path, picture, outputs):
    """A graph that gives these outputs of any picture: [(name, array)]."""
    nodes = [helper.make_node("Identity", [f"{name}_"], [name]) for name, _ in outputs]
    given = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape) for name, array in outputs]
    graph = helper.make_graph(nodes, path.stem, [picture], given, [numpy_helper.from_array(array, f"{name}_") for name, array in outputs])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


# Each gives the graph's input and outputs, and what they mean in the photo: label, confidence, box. The arithmetic is the
# makers', by hand: the photo of 4 : 3 is 640 × 480 in a letterbox of 640, 80 from the top, at half its size; and so on.


def ultralytics():
    rows = np.zeros((1, 84, 8400), np.float32)
    rows[0, :4, 1234], rows[0, 4 + 16, 1234] = (320, 320, 100, 60), 0.9
    return tensor("images", [1, 3, 640, 640]), [("output0", rows)], ("dog", 0.9, [540, 420, 200, 120])


def model_zoo_yolov4():
    """Column 10, row 12 of stride 16, its second anchor, 76 × 55: a sigmoid of 0.5 is the cell's centre, e^ln 2 twice the height."""
    maps = [np.zeros((1, side, side, 3, 85), np.float32) for side in (52, 26, 13)]
    maps[1][0, 12, 10, 1, :5] = 0, 0, 0, np.log(2), 0.95
    maps[1][0, 12, 10, 1, 5 + 2] = 0.9
    scale, top = 416 / 1280, 52  # 416 × 312 in 416 × 416
    box = [(168 - 38) / scale, (200 - 55 - top) / scale, 76 / scale, 110 / scale]
    return tensor("input_1:0", [1, 416, 416, 3]), list(zip(("Identity:0", "Identity_1:0", "Identity_2:0"), maps)), ("car", 0.855, box)


def detectnet(classes, label, name):
    """Column 20, row 10 of stride 16: distances in units of 35 pixels from (320.5, 160.5)."""
    def made():
        cover, boxes = np.zeros((1, classes, 34, 60), np.float32), np.zeros((1, 4 * classes, 34, 60), np.float32)
        cover[0, label, 10, 20] = 0.9
        boxes[0, 4 * label : 4 * label + 4, 10, 20] = 1, 0.5, 2, 1.5
        across, down = 1280 / 960, 960 / 544
        box = [285.5 * across, 143 * down, 105 * across, 70 * down]
        return tensor("input_1:0", [1, 3, 544, 960]), [("output_bbox/BiasAdd:0", boxes), ("output_cov/Sigmoid:0", cover)], (name, 0.9, box)
    return made


def torchvision_retinanet():
    """Pixels of 800 × 800, where the photo is 800 × 600, 100 from the top; COCO's own numbers."""
    outputs = [("boxes", np.array([[100, 150, 300, 350]], np.float32)), ("scores", np.array([0.8], np.float32)), ("labels", np.array([3], np.int64))]
    return tensor("image", [1, 3, 800, 800]), outputs, ("car", 0.8, [160, 80, 320, 320])


def tensorflow_efficientdet():
    """Fractions of 512 × 512, top and left first, where the photo is 512 × 384 from the top left."""
    boxes, scores, classes = np.zeros((1, 100, 4), np.float32), np.zeros((1, 100), np.float32), np.ones((1, 100), np.float32)
    boxes[0, 0], scores[0, 0], classes[0, 0] = (0.25, 0.5, 0.5, 0.75), 0.7, 18
    outputs = [("num_detections", np.array([1], np.float32)), ("detection_boxes", boxes), ("detection_scores", scores), ("detection_classes", classes)]
    return tensor("input_tensor", [1, 512, 512, 3], TensorProto.UINT8), outputs, ("dog", 0.7, [640, 320, 320, 320])


DETECTORS = {"yolov8n": ultralytics, "yolov8s": ultralytics, "yolo11n": ultralytics, "yolo11s": ultralytics, "yolov4": model_zoo_yolov4,
             "peoplenet": detectnet(3, 1, "bag"), "trafficcamnet": detectnet(4, 3, "road sign"), "retinanet": torchvision_retinanet,
             "efficientdet-d0": tensorflow_efficientdet}  # fmt: skip
CLASSIFIERS = {"tao-resnet": np.array([[0.1, 0.7, 0.2]], np.float32), "tao-vit": np.log(np.array([[0.1, 0.7, 0.2]], np.float32)) + 3}
TENSORRT_ONLY = {"tao-yolov4"}
PROMPTED = {"mobile-sam", "sam-vit-b", "sam2-hiera-tiny", "clipseg"}  # in test_prompts.py


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_of_its_true_shape(engine, folder, photo, name):
    picture, outputs, (label, confidence, box) = DETECTORS[name]()
    file = constant_graph(folder / "brought.onnx", picture, outputs)
    (added,) = engine.json("models", "add", file, "--as", name)["models"]
    assert (added["name"], added["state"], added["awaits"]) == (name, "installed", "")
    (asset,) = engine.analyze(photo, "--object-model", name, "--only", "objects")["assets"]
    (found,) = asset["objects"]
    assert found["object"] == label and found["confidence"] == pytest.approx(confidence, abs=0.002)
    assert found["bbox"] == pytest.approx(box, abs=0.15), name
    again = engine.run("models", "add", file, "--as", name)
    assert again.code == USAGE and f"models remove {name}" in again.message
    engine.json("models", "remove", name)
    assert engine.run("analyze", photo, "--object-model", name).code == USAGE, "it waits for its file again"


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_of_ones_own_classes(engine, folder, photo, name):
    file = constant_graph(folder / "brought.onnx", tensor("input_1", [1, 3, 224, 224]), [("predictions", CLASSIFIERS[name])])
    outcome = engine.run("models", "add", file, "--as", name)
    assert outcome.code == USAGE and "--labels FILE" in outcome.message
    (folder / "classes.txt").write_text("kitchen\nbeach\n")
    outcome = engine.run("models", "add", file, "--as", name, "--labels", folder / "classes.txt")
    assert outcome.code == USAGE and "not of 2 classes" in outcome.message
    (folder / "classes.txt").write_text("kitchen\nbeach\noffice\n")
    engine.json("models", "add", file, "--as", name, "--labels", folder / "classes.txt")
    (asset,) = engine.analyze(photo, "--scene-model", name, "--only", "scene")["assets"]
    assert asset["scene"]["label"] == "beach" and asset["scene"]["confidence"] == pytest.approx(0.7, abs=0.002)


def test_a_graph_for_tensorrt_only(engine, folder):
    boxes = [("num", [1, 1]), ("boxes", [1, 200, 4]), ("scores", [1, 200]), ("classes", [1, 200])]
    node = helper.make_node("BatchedNMSDynamic_TRT", ["Input"], [name for name, _ in boxes])
    save(folder / "tao.onnx", [node], [tensor("Input", [1, 3, 544, 960])], [tensor(name, shape) for name, shape in boxes])
    (folder / "classes.txt").write_text("car\nbus\n")
    (added,) = engine.json("models", "add", folder / "tao.onnx", "--as", "tao-yolov4", "--labels", folder / "classes.txt")["models"]
    assert added["state"] == "installed" and "not tried" in added["notes"][0] and "BatchedNMSDynamic_TRT" in added["notes"][0]


def test_each_model_that_waits_is_tried_here(engine):
    waiting = {entry["name"] for entry in engine.json("models", "list")["models"] if entry["awaits"]}
    assert waiting == {*DETECTORS, *CLASSIFIERS, *TENSORRT_ONLY, *PROMPTED}


def test_no_name_is_of_two_models(engine):
    models = engine.json("models", "list")["models"]
    names = [name for entry in models for name in (entry["name"], *entry["aliases"])]
    assert len(names) == len(set(names))
    seeds = {"openai/clip-vit-base-patch32", "facebook/detr-resnet-50", "nvidia/nvclip", "yolov8n", "yolov4", "peoplenet", "trafficcamnet"}
    assert seeds <= set(names)


@pytest.mark.parametrize(("flags", "says"), [
    (["--object-model", "yolov4"], ["object_model is yolov4", "image-engine models add yolov4.onnx --as yolov4"]),
    (["--object-model", "yolov8n"], ["image-engine models add yolov8n.pt --as yolov8n --trust", "Ultralytics"]),
    (["--object-model", "yolov88n"], ['no model "yolov88n"', 'did you mean "yolov8n"?', "--as yolov8n"]),
    (["--object-model", "facebook/detr-resnet-50"], ["image-engine models pull detr-resnet-50"]),
    (["--object-model", "openai/clip-vit-base-patch32"], ["is for embedding, not for objects"]),
    (["--embedding-model", "openai/clip-vit-base-patch32"], ["image-engine models pull clip-vit-b-32"]),
    (["--scene-model", "openai/clip-vit-base-patch32"], ["scene_model is openai/clip-vit-base-patch32", "image-engine models pull clip-vit-b-32"]),
    (["--scene-model", "nanodet"], ["is for objects, not for scene"]),
    (["--action-model", "nothing-like-it-at-all"], ["image-engine models list"]),
])  # fmt: skip
def test_a_model_that_is_named_must_be_there(engine, photo, flags, says):
    outcome = engine.run("analyze", photo.parent, *flags)
    assert outcome.code == USAGE and all(part in outcome.message for part in says), outcome.message
    assert outcome.message.count("\n") == 1 and outcome.out == b""


@pytest.mark.parametrize(("key", "name"), [
    ("object_model", "peoplenet"), ("scene_model", "tao-vit"), ("embedding_model", "siglip2-b-16-256"), ("feature_model", "dinov2-s-14"),
    ("sentence_model", "minilm"), ("text_model", "pp-ocrv4"), ("action_model", "clip-vit-b-32"),
])  # fmt: skip
def test_so_must_one_that_the_configuration_names(engine, folder, photo, key, name):
    (folder / "named.yaml").write_text(f"analysis: {{ml_models: {{{key}: {name}}}}}\n")
    outcome = engine.run("analyze", photo.parent, "--config", folder / "named.yaml")
    assert outcome.code == USAGE and f"{key} is {name}" in outcome.message and "image-engine models" in outcome.message, outcome.message


def test_a_default_that_is_missing_is_left_out(engine, photo):
    report = engine.analyze(photo.parent)["report"]
    assert any("objects: left out" in note and "image-engine models pull nanodet" in note for note in report["notes"])


def test_the_name_of_a_server_s_model(engine, photo):
    report = engine.analyze(photo.parent, "--embedding-model", "nvidia/nvclip")["report"]
    assert any("nvclip runs on a server" in note for note in report["notes"])


def test_a_model_of_segmentation_by_name(engine, photo, folder):
    outcome = engine.run("segment", photo, "--target", "subject", "--model", "isnet", "-o", folder / "out.png")
    assert outcome.code == USAGE and "image-engine models pull isnet" in outcome.message, outcome.message


def test_what_waits_cannot_be_pulled(engine):
    outcome = engine.run("models", "pull", "peoplenet", "--accept-licence")
    assert outcome.code == FAILED and "yours to bring" in outcome.message and "NGC" in outcome.message


def test_what_add_has_to_be_told(engine, folder):
    file = yolo(folder / "my.onnx")
    outcome = engine.run("models", "add", file)
    assert outcome.code == USAGE and "--as NAME" in outcome.message and "--spec FILE" in outcome.message
    outcome = engine.run("models", "add", file, "--as", "nanodet")
    assert outcome.code == USAGE and "image-engine models pull nanodet" in outcome.message
    outcome = engine.run("models", "add", file, "--as", "yolov8")
    assert outcome.code == USAGE and "did you mean" in outcome.message


# A pickle that is trusted

ULTRALYTICS = '''"""Stands in for Ultralytics: says what it was asked, and whether it has a network."""
import json, os, shutil, socket
from pathlib import Path

class YOLO:
    def __init__(self, path, task):
        self.path = Path(path)
        assert self.path.read_bytes() == b"a pickle"

    def export(self, **options):
        told = {"options": options, "folder": str(self.path.parent), "home": os.environ["HOME"], "install": os.environ["YOLO_AUTOINSTALL"]}
        try:
            socket.create_connection(("127.0.0.1", PORT), 2).close()
            told["network"] = True
        except OSError:
            told["network"] = False
        print("chatter")
        Path("TOLD").write_text(json.dumps(told))
        return shutil.copy("GRAPH", self.path.with_suffix(".onnx"))
'''


@pytest.fixture
def listener():
    server = socket.create_server(("127.0.0.1", 0))
    taken = []
    threading.Thread(target=lambda: [taken.append(server.accept()) for _ in range(2)], daemon=True).start()
    yield server.getsockname()[1], taken
    server.close()


@pytest.fixture
def own_python(folder, listener):
    """A Python with the stand-in, and the file in which that says what it was asked."""
    packages = folder / "packages/ultralytics"
    packages.mkdir(parents=True)
    graph = yolo(folder / "graph/made.onnx", edge=640, classes=80, metadata={"task": "detect", "imgsz": [640, 640], "license": "AGPL-3.0 License"})
    text = ULTRALYTICS.replace("PORT", str(listener[0])).replace("TOLD", str(folder / "told.json")).replace("GRAPH", str(graph))
    (packages / "__init__.py").write_text(text)
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nshift\nexport PYTHONPATH={folder / "packages"}\nexec {sys.executable} "$@"\n')  # without -I, which would hide it
    python.chmod(0o755)
    return python, folder / "told.json"


def pickled(folder, name="yolov8n.pt"):
    (folder / name).write_bytes(b"a pickle")
    return folder / name


def test_a_pickle_is_not_read_unless_it_is_trusted(engine, folder, own_python):
    outcome = engine.run("models", "add", pickled(folder), "--as", "yolov8n", "--python", own_python[0])
    assert outcome.code == FAILED and "--trust" in outcome.message and not own_python[1].exists()


def test_a_trusted_pickle_is_converted_once_without_a_network(engine, folder, photo, own_python, listener):
    file = pickled(folder)
    (folder / "yolov8n.onnx").write_text("mine")
    outcome = engine.run("models", "add", file, "--as", "yolov8n", "--trust", "--python", own_python[0])
    if "network cannot be taken away" in outcome.message:
        pytest.skip("this system lets no process leave its network")
    assert outcome.code == DONE, outcome.message
    told = json.loads(own_python[1].read_text())
    assert told["network"] is False and not listener[1] and told["install"] == "false" and told["options"]["format"] == "onnx"
    assert told["folder"] == told["home"] != str(folder) and not os.path.exists(told["folder"])
    assert (folder / "yolov8n.onnx").read_text() == "mine" and sorted(path.name for path in folder.glob("yolov8n.*")) == ["yolov8n.onnx", "yolov8n.pt"]
    file.unlink()
    own_python[0].unlink()
    assert engine.run("analyze", photo, "--object-model", "yolov8n").code == DONE, "what was converted stays"


def test_a_trusted_pickle_of_ones_own_classes(engine, folder, own_python):
    outcome = engine.run("models", "add", pickled(folder, "mine.pt"), "--trust", "--python", own_python[0])
    if "network cannot be taken away" in outcome.message:
        pytest.skip("this system lets no process leave its network")
    (entry,) = [entry for entry in engine.json("models", "list")["models"] if entry["spec"].endswith(".added.yaml")]
    assert (entry["name"], entry["state"], entry["licence"]["name"]) == ("mine", "installed", "AGPL-3.0")
    outcome = engine.run("models", "add", pickled(folder), "--trust", "--python", own_python[0])
    assert outcome.code == USAGE and "--as yolov8n where this is its file" in outcome.message


def test_trust_needs_a_python(engine, folder):
    outcome = engine.run("models", "add", pickled(folder), "--as", "yolov8n", "--trust")
    assert outcome.code == FAILED and "pip install ultralytics" in outcome.message and "--python" in outcome.message
    outcome = engine.run("models", "add", pickled(folder), "--as", "yolov8n", "--trust", "--python", sys.executable)
    assert outcome.code == FAILED and ("lacks ultralytics" in outcome.message or "network" in outcome.message), outcome.message
