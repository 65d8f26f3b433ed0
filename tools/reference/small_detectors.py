"""Makes folders as Hugging Face has them, of DETR (by transformers' names and by timm's), D-FINE and SegFormer of the true
architecture made small, with seeded random weights, for the tests of `models export`. Needs tools/export/requirements.txt.

usage: small_detectors.py FOLDER
"""

import json
import os
import re
import sys
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}

import torch
from safetensors.torch import load_file, save_file
from transformers import (DetrConfig, DetrForObjectDetection, DFineConfig, DFineForObjectDetection, HGNetV2Config, ResNetConfig, SegformerConfig,
                          SegformerForSemanticSegmentation)  # fmt: skip

HEADS = {"encoder_attention_heads": 4, "decoder_attention_heads": 4, "d_model": 32, "encoder_layers": 1, "decoder_layers": 2}
STAGE = re.compile(r"encoder\.stages\.(\d)\.layers\.(\d+)\.(.*)")


def detr() -> torch.nn.Module:
    backbone = ResNetConfig(embedding_size=16, hidden_sizes=[32, 48, 64, 96], depths=[1, 2, 1, 1], layer_type="bottleneck", out_features=["stage4"])
    names = {i: name for i, name in enumerate(["N/A", "person", "bicycle", "car", "dog"])}
    return DetrForObjectDetection(DetrConfig(backbone_config=backbone, use_timm_backbone=False, num_queries=20, encoder_ffn_dim=64, decoder_ffn_dim=64,
                                             id2label=names, label2id={name: i for i, name in names.items()}, **HEADS))  # fmt: skip


def dfine() -> torch.nn.Module:
    backbone = HGNetV2Config(stem_channels=[3, 8, 8], stage_in_channels=[8, 16, 24, 32], stage_mid_channels=[8, 8, 8, 16], stage_out_channels=[16, 24, 32, 48],
                             hidden_sizes=[16, 24, 32, 48], stage_num_blocks=[1] * 4, stage_numb_of_layers=[2] * 4, out_indices=[2, 3, 4])  # fmt: skip
    return DFineForObjectDetection(DFineConfig(backbone_config=backbone, encoder_in_channels=[24, 32, 48], decoder_in_channels=[32] * 3, encoder_hidden_dim=32,
                                               hidden_expansion=0.5, num_queries=30, encoder_ffn_dim=32, decoder_ffn_dim=32, num_denoising=0,
                                               num_feature_levels=3, decoder_n_points=[3, 6, 3], num_labels=7, **HEADS))  # fmt: skip


def segformer() -> torch.nn.Module:
    return SegformerForSemanticSegmentation(SegformerConfig(hidden_sizes=[8, 16, 32, 64], depths=[1] * 4, num_attention_heads=[1, 1, 2, 2], decoder_hidden_size=32,
                                                            num_labels=9))  # fmt: skip


def spread(model: torch.nn.Module) -> torch.nn.Module:
    """Weights of a size that lets pictures and queries differ."""
    torch.manual_seed(1)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.dim() > 1:
                weights.copy_(torch.randn_like(weights) * 1.2 * weights[0].numel() ** -0.5)
            elif "bias" in name:
                weights.copy_(torch.randn_like(weights) * 0.1)
        for name, numbers in model.named_buffers():
            if "running" in name:
                numbers.copy_(torch.rand_like(numbers) * 0.5 + (0.75 if "var" in name else -0.25))
    return model.eval()


def to_timm(name: str) -> str:
    """A weight's name as published DETRs have it."""
    name = name.replace("embedder.embedder.convolution", "conv1").replace("embedder.embedder.normalization", "bn1")
    if (at := STAGE.search(name)) is None:
        return name
    rest = at[3].replace("shortcut.convolution", "downsample.0").replace("shortcut.normalization", "downsample.1")
    rest = re.sub(r"layer\.(\d)\.(convolution|normalization)", lambda m: f"{'conv' if m[2] == 'convolution' else 'bn'}{int(m[1]) + 1}", rest)
    return f"{name[: at.start()]}layer{int(at[1]) + 1}.{at[2]}.{rest}"


def with_timm_names(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    weights = load_file(source / "model.safetensors")
    changed = {to_timm(name) if ".backbone." in name else name: tensor for name, tensor in weights.items()}
    save_file(changed, target / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((source / "config.json").read_text())
    config |= {"use_timm_backbone": True, "use_pretrained_backbone": True, "backbone": "resnet50", "backbone_config": None}
    (target / "config.json").write_text(json.dumps(config, indent=2))


def main() -> None:
    folder = Path(sys.argv[1])
    for name, make in (("detr", detr), ("dfine", dfine), ("segformer", segformer)):
        spread(make()).save_pretrained(folder / name)
    with_timm_names(folder / "detr", folder / "detr-timm")


if __name__ == "__main__":
    main()
