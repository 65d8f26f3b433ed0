"""The reference detectors and the script that bench/pipeline/objects.py runs: on graphs that always give the same outputs,
whose boxes are known by hand."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


def constant_graph(path: Path, edge: int, outputs: dict) -> Path:
    """Takes a picture and gives `outputs` plus nothing of it."""
    nodes = [helper.make_node("ReduceMin", ["image"], ["least"], keepdims=0), helper.make_node("Mul", ["least", "zero"], ["nothing"])]
    constants, infos = [numpy_helper.from_array(np.float32(0), "zero")], []
    for name, array in outputs.items():
        constants.append(numpy_helper.from_array(array.astype(np.float32), f"of_{name}"))
        nodes.append(helper.make_node("Add", [f"of_{name}", "nothing"], [name]))
        infos.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, edge, edge])
    graph = helper.make_graph(nodes, "g", [image], infos, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def nanodet_graph(path: Path, found: list) -> Path:
    """`found`: (stride, row, column, class, score, distances in strides, a whole number each)."""
    outputs = {}
    for kind, width in (("scores", 80), ("distances", 44)):
        outputs |= {f"{kind}_{stride}": np.zeros((1, (416 // stride) ** 2, width)) for stride in (8, 16, 32)}
    for stride, row, column, label, score, distances in found:
        cell = row * (416 // stride) + column
        outputs[f"scores_{stride}"][0, cell, label] = score
        for side, distance in enumerate(distances):
            outputs[f"distances_{stride}"][0, cell, side * 11 + distance] = 100
    return constant_graph(path, 416, outputs)


def run(script: str, *arguments) -> str:
    done = subprocess.run([sys.executable, "-B", ROOT / script, *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def photo(tmp_path):
    """832×416 upright, so half of it is 416×208 at the top 104; stored lying on its side."""
    picture = Image.new("RGB", (416, 832), (255, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "photo.jpg"
    picture.save(path, exif=exif, quality=95)
    return path


def test_nanodet(tmp_path, photo):
    model = nanodet_graph(tmp_path / "n.onnx", [
        (8, 20, 10, 16, 0.9, (2, 1, 4, 3)),  # centre 84, 164: 68 156 116 188
        (8, 20, 11, 16, 0.8, (3, 1, 3, 3)),  # the same box, weaker
        (8, 20, 11, 2, 0.7, (3, 1, 3, 3)),  # of another class
        (32, 6, 6, 0, 0.5, (10, 10, 10, 10)),  # all of the picture and more
        (16, 0, 0, 5, 0.39, (1, 1, 1, 1)),  # too weak
        (16, 1, 3, 7, 0.6, (1, 1, 1, 1)),  # above the picture, in the padding
    ])  # fmt: skip
    (tmp_path / "labels").write_text("".join(f"class {i}\n" for i in range(80)))
    tensor = tmp_path / "t.npy"
    (answer,) = json.loads(run("tools/reference/nanodet.py", model, photo, "--tensor", tensor, "--labels", tmp_path / "labels"))
    assert (answer["width"], answer["height"]) == (832, 416)
    found = [(item["label"], round(item["score"], 4), [round(value, 3) for value in item["box"]]) for item in answer["objects"]]
    assert found == [
        ("class 16", 0.9, [136, 104, 96, 64]),
        ("class 2", 0.7, [136, 104, 96, 64]),
        ("class 0", 0.5, [0, 0, 832, 416]),
    ]
    given = np.load(tensor)
    assert given.shape == (1, 3, 416, 416)
    # Blue, green, red; black above and below.
    red, black = (255 - 123.675) / 58.395, -123.675 / 58.395
    assert abs(given[0, 2, 208, 208] - red) < 0.1 and abs(given[0, 2, 103, 208] - black) < 1e-5 and abs(given[0, 2, 312, 0] - black) < 1e-5
    assert abs(given[0, 2, 104, 208] - red) < 0.1 and abs(given[0, 0, 208, 208] + 103.53 / 57.375) < 0.1
    assert np.load(tmp_path / "t.scores_8.npy").max() == np.float32(0.9)


def test_centernet(tmp_path, photo):
    heat, sides = np.full((1, 128, 128, 80), 0.01), np.zeros((1, 128, 128, 4))
    heat[0, 60, 30, 3], heat[0, 60, 31, 3], heat[0, 61, 31, 4] = 0.8, 0.7, 0.6  # the second is beside a hotter one
    sides[0, 60, 30], sides[0, 60, 31], sides[0, 61, 31] = (20, 8, 40, 16), (4, 40, 4, 40), (4, 4, 4, 4)
    model = constant_graph(tmp_path / "c.onnx", 512, {"keypoints": heat, "wh": sides})
    (answer,) = json.loads(run("tools/reference/centernet.py", model, photo, "--tensor", tmp_path / "t.npy"))
    found = [(item["class"], round(item["score"], 4), [round(value, 3) for value in item["box"]]) for item in answer["objects"]]
    # In the input: x 120−20…120+40, y 240−8…240+16; the picture is 512×256 at 128.
    assert found == [(3, 0.8, [162.5, 169, 97.5, 39]), (4, 0.6, [195, 182, 13, 13])]
    given = np.load(tmp_path / "t.npy")
    assert given.shape == (1, 3, 512, 512) and given[0, 0, 256, 256] > 250 and given[0, 2, 256, 256] < 5 and not given[0, :, :128].any()


def test_the_script_of_a_person(tmp_path, photo):
    model = nanodet_graph(tmp_path / "n.onnx", [(8, 20, 10, 16, 0.9, (2, 1, 4, 3))])
    output = tmp_path / "out/photos.json"
    run("tools/peers/analyze_script.py", photo.parent, "-o", output, "--model", model, "--processes", "1")
    (record,) = json.loads(output.read_text())
    assert (record["width"], record["height"], record["exif"]["Orientation"]) == (832, 416, "6")
    assert [item["class"] for item in record["objects"]] == [16] and len(record["dhash"]) == len(record["phash"]) == 16
    with Image.open(tmp_path / f"out/photos.thumbnails/{record['sha256']}.jpg") as thumbnail:
        assert thumbnail.size == (256, 128)
