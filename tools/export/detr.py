"""Exports DETR from safetensors to ONNX: detr_fp32.onnx, `pixel_values` → `logits` (for a softmax, the last is none), `pred_boxes`.

Its input is 800 × 800 (--size N for another), or with --dynamic of any size, with `pixel_mask` [batch, height, width], 1 where
there is a picture. A ResNet by timm's names is read as transformers' own, so that timm is not needed. Run beside torch before
it gets its name.

usage: detr.py --from FOLDER [--output FOLDER] [--opset N] [--size N | --dynamic]
"""

import re
import sys

from from_torch import (IMAGENET, Folder, ModelError, Outputs, arguments, check_request, compare, finish, load, probes, spec_input,
                        to_onnx, torch, transformers)  # fmt: skip  # before all else: it says what is missing
from export_files import ended

import numpy as np

NAME = "detr_fp32.onnx"
SHORT, LONG = 800, 1333  # of --dynamic, as DETR's own processor has it
BACKBONE = re.compile(r"model\.backbone\.(?:conv_encoder\.)?model\.")
# timm's names of a ResNet and transformers'; counted from 1 there, from 0 here.
RULES = [
    (re.compile(r"conv1\.(.*)"), lambda m: f"embedder.embedder.convolution.{m[1]}"),
    (re.compile(r"bn1\.(.*)"), lambda m: f"embedder.embedder.normalization.{m[1]}"),
    (re.compile(r"layer(\d)\.(\d+)\.conv(\d)\.(.*)"), lambda m: f"{place(m)}.layer.{int(m[3]) - 1}.convolution.{m[4]}"),
    (re.compile(r"layer(\d)\.(\d+)\.bn(\d)\.(.*)"), lambda m: f"{place(m)}.layer.{int(m[3]) - 1}.normalization.{m[4]}"),
    (re.compile(r"layer(\d)\.(\d+)\.downsample\.0\.(.*)"), lambda m: f"{place(m)}.shortcut.convolution.{m[3]}"),
    (re.compile(r"layer(\d)\.(\d+)\.downsample\.1\.(.*)"), lambda m: f"{place(m)}.shortcut.normalization.{m[3]}"),
]


def place(match: re.Match) -> str:
    return f"encoder.stages.{int(match[1]) - 1}.layers.{match[2]}"


def of_timm(config: dict) -> bool:
    backbone = config.get("backbone_config")
    if isinstance(backbone, dict):
        return backbone.get("model_type") == "timm_backbone"
    return bool(config.get("use_timm_backbone", True))


def renamed(state: dict) -> dict:
    """The backbone's weights by transformers' names."""
    result = {}
    for name, tensor in state.items():
        if (at := BACKBONE.match(name)) is not None:
            found = next((say(match) for rule, say in RULES if (match := rule.fullmatch(name, at.end()))), None)
            if found is None:
                raise ModelError(f"{name} is in no ResNet: only plain ResNets (resnet50, resnet101) are read as a backbone")
            name = "model.backbone.conv_encoder.model." + found
        result[name] = tensor
    return result


def resnet_config(state: dict) -> dict:
    """What the shapes of the weights say."""
    prefix = "model.backbone.conv_encoder.model."
    depths, widths, deep = [], [], f"{prefix}encoder.stages.0.layers.0.layer.2.convolution.weight" in state
    for stage in range(4):
        at = f"{prefix}encoder.stages.{stage}.layers."
        depths.append(len({name[len(at) :].split(".")[0] for name in state if name.startswith(at)}))
        last = state.get(f"{at}0.layer.{2 if deep else 1}.convolution.weight")
        if last is None:
            raise ModelError("the backbone is no ResNet of four stages")
        widths.append(last.shape[0])
    stem = state.get(f"{prefix}embedder.embedder.convolution.weight")
    if stem is None or stem.dim() != 4 or stem.shape[1] != 3:
        raise ModelError("the backbone does not begin with a convolution of three channels")
    return {"model_type": "resnet", "embedding_size": stem.shape[0], "hidden_sizes": widths, "depths": depths,
            "layer_type": "bottleneck" if deep else "basic", "out_features": ["stage4"]}  # fmt: skip


def configured(folder: Folder) -> tuple[transformers.DetrConfig, dict]:
    """The configuration without timm, and the weights that fit it."""
    config, state = dict(folder.config), folder.state()
    if config.get("dilation"):
        raise ModelError("a DETR with a dilated backbone (DC5) is not read")
    if of_timm(config):
        state = renamed(state)
        config |= {"backbone_config": resnet_config(state)}
    for gone in ("backbone", "backbone_kwargs", "use_pretrained_backbone"):
        config.pop(gone, None)
    return transformers.DetrConfig.from_dict(config | {"use_timm_backbone": False}), state


def padded(pictures: np.ndarray) -> dict[str, np.ndarray]:
    """Pictures of several sizes in one batch: each loses some of its right and lower edge to padding."""
    mask = np.ones((len(pictures), *pictures.shape[2:]), np.int64)
    for i in range(1, len(pictures)):
        mask[i, mask.shape[1] - 37 * i :, :] = 0
        mask[i, :, mask.shape[2] - 53 * i :] = 0
    return {"pixel_values": pictures * mask[:, None].astype(np.float32), "pixel_mask": mask}


def export(given) -> None:
    folder = Folder(given.source, "detr")
    edge = given.size or SHORT
    check_request(given.opset, edge, 32)
    config, state = configured(folder)
    model = Outputs(load(transformers.DetrForObjectDetection, config, state), ["logits", "pred_boxes"])
    mean, deviation = folder.normalisation(IMAGENET)
    axes = {name: {0: "batch"} for name in ("pixel_values", "logits", "pred_boxes")}
    if given.dynamic:
        axes |= {"pixel_values": {0: "batch", 2: "height", 3: "width"}, "pixel_mask": {0: "batch", 1: "height", 2: "width"}}
        wide, told = probes(608, 448, mean, deviation)
        high = probes(320, 512, mean, deviation)[0][:1]
        traced = {name: torch.from_numpy(array) for name, array in padded(probes(352, 480, mean, deviation)[0][[0, 1, 0]]).items()}
        feeds = [padded(high), padded(wide[:3])]
        size, place_in = "any size, pixel_mask", {"width": SHORT, "height": SHORT, "longest": LONG, "fit": "short-edge"}
        told = f"{len(feeds[1]['pixel_mask'])} pictures of two sizes with and without padding"
    else:
        pictures, told = probes(edge, edge, mean, deviation)
        traced = {"pixel_values": torch.zeros(3, 3, edge, edge)}
        feeds = [{"pixel_values": pictures[:1]}, {"pixel_values": pictures[1:]}]
        size, place_in = f"{edge} × {edge}", {"width": edge, "height": edge, "fit": "stretch"}
    graph = to_onnx(model, traced, axes, given.opset)
    worst = compare(model, graph, feeds)
    entry = {"task": "objects", "input": spec_input(mean, deviation, folder.pictures, **place_in), "outputs": ["logits", "pred_boxes"],
             "head": "queries", "options": {"threshold": 0.5, "activation": "softmax"}}  # fmt: skip
    finish(folder, given, NAME, graph, entry, f"{size}, any batch, opset {given.opset}, within {worst:.1e} of torch on {told}")


if __name__ == "__main__":
    sys.exit(ended(export, arguments(__doc__, dynamic=True)))
