"""Exports SegFormer for semantic segmentation from safetensors to ONNX: segformer_fp32.onnx, `pixel_values` → `logits`.

The logits are a quarter of the input's width and height. Run beside torch before it gets its name.

usage: segformer.py --from FOLDER [--output FOLDER] [--opset N] [--size N]
"""

import sys

from from_torch import (IMAGENET, Folder, Outputs, arguments, check_request, compare, finish, load, probes, spec_input, to_onnx,
                        torch, transformers)  # fmt: skip  # before all else: it says what is missing
from export_files import ended

NAME = "segformer_fp32.onnx"


def export(given) -> None:
    folder = Folder(given.source, "segformer")
    edge = given.size or folder.edge(512)
    check_request(given.opset, edge, 32)
    config = transformers.SegformerConfig.from_dict(folder.config)
    model = Outputs(load(transformers.SegformerForSemanticSegmentation, config, folder.state()), ["logits"])
    mean, deviation = folder.normalisation(IMAGENET)
    pictures, told = probes(edge, edge, mean, deviation)
    graph = to_onnx(model, {"pixel_values": torch.zeros(3, 3, edge, edge)}, {"pixel_values": {0: "batch"}, "logits": {0: "batch"}}, given.opset)
    worst = compare(model, graph, [{"pixel_values": pictures[:1]}, {"pixel_values": pictures}])
    entry = {"task": "segmentation", "input": spec_input(mean, deviation, folder.pictures, width=edge, height=edge, fit="stretch"), "outputs": ["logits"]}
    finish(folder, given, NAME, graph, entry, f"{edge} × {edge}, any batch, opset {given.opset}, within {worst:.1e} of torch on {told}")


if __name__ == "__main__":
    sys.exit(ended(export, arguments(__doc__)))
