"""Models of segmentation whose answers are known, and pictures that they are asked about."""

import json

import numpy as np
import onnx
from action_models import save, tensor
from engine import DONE
from onnx import TensorProto, helper, numpy_helper


def install(engine, name, path, **spec):
    """The graph in `path` as an installed model of the task segmentation."""
    spec = {"task": "segmentation", "version": "1", "licence": {"name": "MIT", "permissive": True}, "file": path.name,
            "files": [{"name": path.name, "sources": [f"file:{path}"]}], "head": "alpha", "labels": ["subject"], **spec}  # fmt: skip
    specs = engine.folder / "config/image-engine/models"
    specs.mkdir(parents=True, exist_ok=True)
    (specs / f"{name}.yaml").write_text(json.dumps({"models": {name: spec}}))
    outcome = engine.run("models", "pull", name)
    assert outcome.code == DONE, outcome.message


def install_known(engine, alpha, name="known", **spec):
    """A model that gives this alpha of any picture."""
    side, path = alpha.shape[0], engine.folder / f"{name}.onnx"
    save(path, [helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1, 2, 3], keepdims=1),
                helper.make_node("Mul", ["mean", "nothing"], ["none"]), helper.make_node("Add", ["none", "alpha"], ["mask"])],
         [tensor("image", [1, 3, side, side])], [tensor("mask", [1, 1, side, side])],
         [("nothing", np.zeros(1, np.float32)), ("alpha", alpha[None, None].astype(np.float32))])  # fmt: skip
    install(engine, name, path, input={"width": side, "height": side}, **spec)


def install_red(engine, size=1024, name="red", reduced=4, **spec):
    """IS-Net's shape: [1,3,1024,1024] → a mask of what is red, among outputs of other sizes; its input is normalised."""
    path = engine.folder / f"{name}.onnx"
    colour = np.array([6, -4, -4], np.float32).reshape(1, 3, 1, 1)
    sizes = np.array([1, 1, size, size], np.int64)
    save(path, [helper.make_node("AveragePool", ["image"], ["small"], kernel_shape=[reduced, reduced], strides=[reduced, reduced]),
                helper.make_node("Conv", ["small", "colour", "bias"], ["d1"]), helper.make_node("Resize", ["d1", "", "", "sizes"], ["logits"], mode="linear"),
                helper.make_node("Sigmoid", ["logits"], ["output"])],
         [tensor("image", [1, 3, size, size])], [tensor("d1", [1, 1, size // reduced, size // reduced]), tensor("output", [1, 1, size, size])],
         [("colour", colour), ("bias", np.array([-1.2], np.float32)), ("sizes", sizes)])  # fmt: skip
    spec = {"input": {"width": size, "height": size, "mean": [128] * 3, "deviation": [256] * 3}, "outputs": ["output"], **spec}
    install(engine, name, path, **spec)
    return path


def install_colours(engine, labels=("red thing", "green thing", "person"), last=False, **spec):
    """SegFormer's shape: logits of each label at a quarter of the size, by which of red, green and blue is greatest."""
    path, shape = engine.folder / "colours.onnx", [1, 64, 64, 3] if last else [1, 3, 64, 64]
    nodes = [helper.make_node("AveragePool", ["pixels"], ["small" if last else "logits"], kernel_shape=[4, 4], strides=[4, 4])]
    nodes += [helper.make_node("Transpose", ["small"], ["logits"], perm=[0, 2, 3, 1])] if last else []
    save(path, nodes, [tensor("pixels", [1, 3, 256, 256])], [tensor("logits", shape)])
    install(engine, "colours", path, input={"width": 256, "height": 256, "deviation": [32] * 3}, head="classes", labels=list(labels), **spec)
    return path


def iou(one, other):
    return (one & other).sum() / max(1, (one | other).sum())


def from_counts(segmentation):
    """The mask of COCO's compressed run lengths, by the format's definition."""
    height, width = segmentation["size"]
    lengths, value, shift = [], 0, 0
    for character in segmentation["counts"]:
        code = ord(character) - 48
        value |= (code & 0x1F) << shift
        shift += 5
        if not code & 0x20:
            value -= (1 << shift) if code & 0x10 else 0
            lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
            value, shift = 0, 0
    flat = np.repeat(np.arange(len(lengths)) % 2, lengths)
    return flat.reshape(width, height).T.astype(bool)
