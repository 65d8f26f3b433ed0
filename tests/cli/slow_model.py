"""A model that takes its time."""

import numpy as np
from action_models import COLOURS, TOKENS, install_image_text
from onnx import helper


def install_slow_clip(engine, at_load=0, at_run=0, side=700):
    """An image-text model that multiplies matrices of `side`: `at_load` times constants, which ONNX Runtime folds while
    it loads the model, and `at_run` times what depends on the picture."""
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
    table = np.random.default_rng(1).random((TOKENS, len(COLOURS) - 1), np.float32)
    install_image_text(engine, "slow", nodes, [("turn", turn), ("little", np.array(1e-3, np.float32))], table)
