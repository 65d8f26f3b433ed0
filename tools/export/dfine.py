"""Exports D-FINE from safetensors to ONNX: dfine_fp32.onnx, `pixel_values` → `logits` (for a sigmoid), `pred_boxes`.

Run beside torch before it gets its name; queries are compared as a set, since which of two about equal ones is first is chance.

usage: dfine.py --from FOLDER [--output FOLDER] [--opset N] [--size N]
"""

import sys

from from_torch import (Folder, Outputs, arguments, check_request, compare, finish, load, probes, spec_input, to_onnx, torch,
                        transformers)  # fmt: skip  # before all else: it says what is missing
from export_files import ended

NAME = "dfine_fp32.onnx"
LEAST_OPSET = 16  # GridSample


def export(given) -> None:
    folder = Folder(given.source, "d_fine")
    edge = given.size or folder.edge(640)
    check_request(given.opset, edge, 32, LEAST_OPSET)
    # Positions and anchors are computed from the input in any case; a size in the configuration only caches them.
    config = transformers.DFineConfig.from_dict(folder.config | {"eval_size": None, "anchor_image_size": None})
    model = Outputs(load(transformers.DFineForObjectDetection, config, folder.state()), ["logits", "pred_boxes"])
    mean, deviation = folder.normalisation(([0.0] * 3, [1.0] * 3))
    pictures, told = probes(edge, edge, mean, deviation)
    axes = {name: {0: "batch"} for name in ("pixel_values", "logits", "pred_boxes")}
    graph = to_onnx(model, {"pixel_values": torch.from_numpy(pictures[[0, 1, 0]])}, axes, given.opset)
    worst = compare(model, graph, [{"pixel_values": pictures[:1]}, {"pixel_values": pictures}], as_sets=True)
    entry = {"task": "objects", "input": spec_input(mean, deviation, folder.pictures, width=edge, height=edge, fit="stretch"),
             "outputs": ["logits", "pred_boxes"], "head": "queries", "options": {"threshold": 0.5, "activation": "sigmoid"}}  # fmt: skip
    finish(folder, given, NAME, graph, entry, f"{edge} × {edge}, any batch, opset {given.opset}, within {worst:.1e} of torch on {told}")


if __name__ == "__main__":
    sys.exit(ended(export, arguments(__doc__)))
