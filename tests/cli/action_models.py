"""Models whose answers are known, made for tests of actions."""

import gzip
import json
import shutil

import numpy as np
import onnx
from engine import DONE, ROOT
from onnx import TensorProto, helper, numpy_helper

VOCABULARY = ROOT / "build/share/clip/bpe_simple_vocab_16e6.txt.gz"
MERGES, BYTES, TOKENS = 49152 - 256 - 2, 512, 49408
COLOURS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "grey": (1, 1, 1)}


def save(path, nodes, inputs, outputs, constants=()):
    graph = helper.make_graph(nodes, path.stem, inputs, outputs, [numpy_helper.from_array(value, name) for name, value in constants])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def tensor(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def token(word):
    """The number that CLIP's vocabulary gives a word that is one token."""
    with gzip.open(VOCABULARY, "rt", encoding="utf-8") as file:
        merges = file.read().split("\n")[1 : MERGES + 1]
    return BYTES + [merge.replace(" ", "") for merge in merges].index(word + "</w>")


def install_image_text(engine, name, nodes, constants, table):
    """An image-text model: `nodes` make a vector `image` of `pixels`, and a text's is the sum of its tokens' rows in `table`."""
    folder = engine.folder / name
    folder.mkdir()
    shutil.copy(VOCABULARY, folder / "words.txt.gz")
    save(folder / "vision.onnx", nodes, [tensor("pixels", ["n", 3, 8, 8])], [tensor("image", ["n", 3])], constants)
    save(folder / "text.onnx", [helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
                                helper.make_node("ReduceSum", ["rows", "axis"], ["text"], keepdims=0)],
         [tensor("input_ids", ["n", "t"], TensorProto.INT64)], [tensor("text", ["n", 3])],
         [("table", table), ("axis", np.array([1]))])  # fmt: skip
    spec = {"task": "embedding", "version": "1", "licence": {"name": "MIT", "permissive": True}, "file": "vision.onnx",
            "files": [{"name": file, "sources": [f"file:{folder / file}"]} for file in ("vision.onnx", "text.onnx", "words.txt.gz")],
            "input": {"width": 8, "height": 8, "deviation": [255, 255, 255]}, "outputs": ["image"],
            "options": {"dimensions": 3, "logit_scale": 100},
            "text": {"tokenizer": "clip-bpe", "vocabulary": "words.txt.gz", "context": 77, "file": "text.onnx", "outputs": ["text"]}}  # fmt: skip
    specs = engine.folder / "config/image-engine/models"
    specs.mkdir(parents=True, exist_ok=True)
    (specs / f"{name}.yaml").write_text(json.dumps({"models": {name: spec}}))
    assert engine.run("models", "pull", name).code == DONE


def install_colours(engine, name="colours"):
    """An image-text model for which a picture means its mean colour, and a text the colours that it names."""
    nodes = [helper.make_node("ReduceMean", ["pixels"], ["colour"], axes=[2, 3], keepdims=0),
             helper.make_node("Add", ["colour", "little"], ["image"])]  # black has a vector, too  # fmt: skip
    table = np.full((TOKENS, 3), 1e-3, np.float32)
    for colour, value in COLOURS.items():
        table[token(colour)] = value
    install_image_text(engine, name, nodes, [("little", np.array([1e-3], np.float32))], table)


# What the graph finds, and where its input has the frames.
MOTIONS, TIME_AXIS = ["brightening", "darkening", "still"], {"ncthw": 2, "ntchw": 1, "nthwc": 1}


def write_motion(folder, layout="ncthw", frames=8, head="softmax", least=0.1, **changes):
    """A temporal model that compares the brightness of its last frame with that of its first; the files for `models add`."""
    folder.mkdir(exist_ok=True)
    shape, axis = [1, 16, 16, 3] if layout == "nthwc" else [1, 3, 16, 16], TIME_AXIS[layout]
    shape.insert(axis, frames)
    nodes = [node for name, first, last in (("first", "zero", "one"), ("last", "last_index", "end")) for node in (
        helper.make_node("Slice", ["clip", first, last, "axis"], [f"{name}_frame"]),
        helper.make_node("ReduceMean", [f"{name}_frame"], [name], axes=[1, 2, 3, 4], keepdims=0))]  # fmt: skip
    nodes += [helper.make_node("Sub", ["last", "first"], ["more"]), helper.make_node("Neg", ["more"], ["less"]),
              helper.make_node("Concat", ["more", "less", "least"], ["row"], axis=0), helper.make_node("Sub", ["row", "middle"], ["above"]),
              helper.make_node("Mul", ["above", "scale"], ["logits_row"]),
              helper.make_node("Unsqueeze", ["logits_row", "zero"], ["logits"])]  # fmt: skip
    numbers = {"zero": 0, "one": 1, "last_index": frames - 1, "end": frames, "axis": axis}
    constants = [(name, np.array([value], np.int64)) for name, value in numbers.items()]
    constants += [("least", np.array([least], np.float32)), ("middle", np.array([0.1], np.float32)), ("scale", np.array([40], np.float32))]
    save(folder / "motion.onnx", nodes, [tensor("clip", shape)], [tensor("logits", [1, 3])], constants)
    spec = {"task": "actions", "labels": MOTIONS, "head": head,
            "input": {"width": 16, "height": 16, "layout": layout, "frames": frames, "stride_seconds": 0.5, "deviation": [255, 255, 255]}}  # fmt: skip
    spec["input"].update(changes)
    (folder / "motion.yaml").write_text(json.dumps({"models": {"motion": {**spec, "input": {k: v for k, v in spec["input"].items() if v is not None}}}}))
    return folder / "motion.onnx", "--spec", folder / "motion.yaml"


def install_motion(engine, **options):
    engine.json("models", "add", *write_motion(engine.folder / "motion", **options))
