"""A model that takes its time."""

import json
import shutil

import numpy as np
from action_models import COLOURS, TOKENS, VOCABULARY, save, tensor
from engine import DONE
from onnx import TensorProto, helper


def install_slow_clip(engine, at_load=0, at_run=0, side=700):
    """An image-text model that multiplies matrices of `side`: `at_load` times constants, which ONNX Runtime folds while
    it loads the model, and `at_run` times what depends on the picture."""
    folder = engine.folder / "slow"
    folder.mkdir()
    shutil.copy(VOCABULARY, folder / "words.txt.gz")
    nodes = [helper.make_node("ReduceMean", ["pixels"], ["colour"], axes=[2, 3], keepdims=0)]
    last = "turn"
    for i in range(at_load):
        nodes.append(helper.make_node("MatMul", [last, "turn"], [f"constant{i}"]))
        last = f"constant{i}"
    nodes += [helper.make_node("ReduceMean", ["colour"], ["mean"], axes=[0, 1], keepdims=0), helper.make_node("Mul", [last, "mean"], ["made"])]
    last = "made"
    for i in range(at_run):
        nodes.append(helper.make_node("MatMul", ["turn", last], [f"made{i}"]))
        last = f"made{i}"
    nodes += [helper.make_node("ReduceMean", [last], ["level"], keepdims=0), helper.make_node("Mul", ["level", "little"], ["less"]),
              helper.make_node("Add", ["colour", "less"], ["image"])]  # fmt: skip
    turn = np.roll(np.eye(side, dtype=np.float32), 1, axis=0)  # products of it neither grow nor vanish
    save(folder / "vision.onnx", nodes, [tensor("pixels", ["n", 3, 8, 8])], [tensor("image", ["n", 3])],
         [("turn", turn), ("little", np.array(1e-3, np.float32))])  # fmt: skip
    table = np.random.default_rng(1).random((TOKENS, len(COLOURS) - 1), np.float32)
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
    specs.mkdir(parents=True)
    (specs / "slow.yaml").write_text(json.dumps({"models": {"slow": spec}}))
    assert engine.run("models", "pull", "slow").code == DONE
