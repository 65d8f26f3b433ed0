"""Networks of the true architectures with random weights, for measuring: the same seed gives the same weights."""

import os
from dataclasses import dataclass
from typing import Callable

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}

import torch
import transformers
from torch import nn

SEED = 1


class Outputs(nn.Module):
    """A model of transformers as a function of pictures that gives the named outputs."""

    def __init__(self, model: nn.Module, names: list[str]):
        super().__init__()
        self.model, self.names = model, names

    def forward(self, pixel_values):
        given = self.model(pixel_values=pixel_values)
        return tuple(given[name] for name in self.names)


def of_transformers(kind: str, config, names: list[str], attention: str | None) -> nn.Module:
    given = {"attn_implementation": attention} if attention else {}
    return Outputs(getattr(transformers, kind)._from_config(config, **given), names)


def clip(attention: str | None) -> nn.Module:
    """ViT-B/32, 224 × 224, with its projection."""
    return of_transformers("CLIPVisionModelWithProjection", transformers.CLIPVisionConfig(projection_dim=512), ["image_embeds"], attention)


def detr(attention: str | None) -> nn.Module:
    """ResNet-50, 800 × 800."""
    backbone = transformers.ResNetConfig(out_features=["stage4"])
    config = transformers.DetrConfig(backbone_config=backbone, use_timm_backbone=False, num_labels=91)
    return of_transformers("DetrForObjectDetection", config, ["logits", "pred_boxes"], attention)


def dfine(attention: str | None) -> nn.Module:
    """Size S: HGNetV2-B0, three decoder layers, 640 × 640."""
    backbone = {"model_type": "hgnet_v2", "stem_channels": [3, 16, 16], "stage_in_channels": [16, 64, 256, 512],
                "hidden_sizes": [64, 256, 512, 1024], "embedding_size": 16, "stage_mid_channels": [16, 32, 64, 128], "stage_out_channels": [64, 256, 512, 1024], "stage_num_blocks": [1, 1, 2, 1],
                "stage_numb_of_layers": [3, 3, 3, 3], "stage_downsample": [False, True, True, True],
                "stage_light_block": [False, False, True, True], "stage_kernel_size": [3, 3, 5, 5],
                "use_learnable_affine_block": True, "out_features": ["stage2", "stage3", "stage4"]}  # fmt: skip
    config = transformers.DFineConfig(backbone_config=transformers.HGNetV2Config(**{k: v for k, v in backbone.items() if k != "model_type"}),
                                      encoder_in_channels=[256, 512, 1024], encoder_hidden_dim=256, depth_mult=0.34, hidden_expansion=0.5,
                                      decoder_layers=3, decoder_n_points=[3, 6, 3], num_labels=80)  # fmt: skip
    return of_transformers("DFineForObjectDetection", config, ["logits", "pred_boxes"], attention)


def segformer(attention: str | None) -> nn.Module:
    """b0, 512 × 512."""
    return of_transformers("SegformerForSemanticSegmentation", transformers.SegformerConfig(num_labels=150), ["logits"], attention)


# A net of YOLOv8n's shape: the same stages, widths and heads.


def conv(inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs, eps=1e-3), nn.SiLU())


class Pair(nn.Module):
    def __init__(self, width: int, shortcut: bool):
        super().__init__()
        self.first, self.second, self.shortcut = conv(width, width, 3), conv(width, width, 3), shortcut

    def forward(self, x):
        y = self.second(self.first(x))
        return x + y if self.shortcut else y


class Stage(nn.Module):
    """Splits, goes through pairs, and joins everything on the way."""

    def __init__(self, inputs: int, outputs: int, pairs: int, shortcut: bool):
        super().__init__()
        half = outputs // 2
        self.enter, self.leave = conv(inputs, outputs), conv(half * (2 + pairs), outputs)
        self.pairs = nn.ModuleList(Pair(half, shortcut) for _ in range(pairs))

    def forward(self, x):
        parts = list(self.enter(x).chunk(2, 1))
        for pair in self.pairs:
            parts.append(pair(parts[-1]))
        return self.leave(torch.cat(parts, 1))


class Pyramid(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.enter, self.leave = conv(width, width // 2), conv(2 * width, width)

    def forward(self, x):
        parts = [self.enter(x)]
        for _ in range(3):
            parts.append(nn.functional.max_pool2d(parts[-1], 5, 1, 2))
        return self.leave(torch.cat(parts, 1))


class Yolo(nn.Module):
    BINS, CLASSES, STRIDES, EDGE = 16, 80, (8, 16, 32), 640

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(conv(3, 16, 3, 2), conv(16, 32, 3, 2), Stage(32, 32, 1, True))
        self.third = nn.Sequential(conv(32, 64, 3, 2), Stage(64, 64, 2, True))
        self.fourth = nn.Sequential(conv(64, 128, 3, 2), Stage(128, 128, 2, True))
        self.fifth = nn.Sequential(conv(128, 256, 3, 2), Stage(256, 256, 1, True), Pyramid(256))
        self.up_fourth, self.up_third = Stage(384, 128, 1, False), Stage(192, 64, 1, False)
        self.down_third, self.down_fourth = conv(64, 64, 3, 2), conv(128, 128, 3, 2)
        self.out_fourth, self.out_fifth = Stage(192, 128, 1, False), Stage(384, 256, 1, False)
        self.boxes = nn.ModuleList(nn.Sequential(conv(w, 64, 3), conv(64, 64, 3), nn.Conv2d(64, 4 * self.BINS, 1)) for w in (64, 128, 256))
        self.scores = nn.ModuleList(nn.Sequential(conv(w, 80, 3), conv(80, 80, 3), nn.Conv2d(80, self.CLASSES, 1)) for w in (64, 128, 256))
        grids, steps = [], []
        for stride in self.STRIDES:
            side = torch.arange(self.EDGE // stride) + 0.5
            y, x = torch.meshgrid(side, side, indexing="ij")
            grids.append(torch.stack([x.flatten(), y.flatten()]))
            steps.append(torch.full((1, x.numel()), float(stride)))
        self.register_buffer("cells", torch.cat(grids, 1))
        self.register_buffer("steps", torch.cat(steps, 1))
        self.register_buffer("bins", torch.arange(self.BINS, dtype=torch.float32).view(1, 1, self.BINS, 1))

    def forward(self, pixel_values):
        third = self.third(self.stem(pixel_values))
        fourth = self.fourth(third)
        fifth = self.fifth(fourth)
        upper = self.up_fourth(torch.cat([nn.functional.interpolate(fifth, scale_factor=2.0), fourth], 1))
        a = self.up_third(torch.cat([nn.functional.interpolate(upper, scale_factor=2.0), third], 1))
        b = self.out_fourth(torch.cat([self.down_third(a), upper], 1))
        c = self.out_fifth(torch.cat([self.down_fourth(b), fifth], 1))
        maps = (a, b, c)
        sides = torch.cat([head(x).flatten(2) for head, x in zip(self.boxes, maps)], 2)
        scores = torch.cat([head(x).flatten(2) for head, x in zip(self.scores, maps)], 2)
        chances = sides.view(-1, 4, self.BINS, sides.shape[-1]).softmax(2)
        first, last = (chances * self.bins).sum(2).chunk(2, 1)
        low, high = self.cells - first, self.cells + last
        return (torch.cat([(low + high) / 2 * self.steps, (high - low) * self.steps, scores.sigmoid()], 1),)


def yolo(attention: str | None) -> nn.Module:
    return Yolo()


@dataclass(frozen=True)
class Entry:
    build: Callable[[str], nn.Module]
    edge: int
    outputs: tuple[str, ...]


NETS = {
    "clip-vit-b32": Entry(clip, 224, ("image_embeds",)),
    "detr-r50": Entry(detr, 800, ("logits", "pred_boxes")),
    "dfine-s": Entry(dfine, 640, ("logits", "pred_boxes")),
    "segformer-b0": Entry(segformer, 512, ("logits",)),
    "yolov8n-shaped": Entry(yolo, 640, ("predictions",)),
}


def settled(name: str, model: nn.Module) -> nn.Module:
    """Weights as they are before training make numbers vanish and scores all alike: layers are drawn again, the norms of
    convolutions are set from a few pictures, scores are spread, and factors and sums are no ones and zeros, which would
    vanish from a graph."""
    for part, module in model.named_modules():
        if type(module).__name__.endswith("LearnableAffineBlock"):
            nn.init.uniform_(module.scale, 0.8, 1.25)
            nn.init.uniform_(module.bias, -0.1, 0.1)
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            module.reset_parameters()
            if any(key in part for key in ("class_labels_classifier", "enc_score_head", "class_embed")):
                nn.init.normal_(module.weight, std=0.2)
        if hasattr(module, "running_mean"):
            module.register_forward_pre_hook(measured)
    model.eval()
    with torch.no_grad():
        model(pictures(name, 2, seed=11))
    for module in model.modules():
        if hasattr(module, "running_mean"):
            module._forward_pre_hooks.clear()
    return model


def measured(norm: nn.Module, inputs: tuple) -> None:
    norm.running_mean.copy_(inputs[0].mean((0, 2, 3)))
    norm.running_var.copy_(inputs[0].var((0, 2, 3)) + 1e-3)


def build(name: str, attention: str | None = None) -> nn.Module:
    torch.manual_seed(SEED)
    return settled(name, NETS[name].build(attention).float())


def pictures(name: str, count: int, seed: int = 7) -> torch.Tensor:
    """[count, 3, edge, edge]: coarse colours with grain, about as photos are after normalisation."""
    edge, made = NETS[name].edge, torch.Generator().manual_seed(seed)
    coarse = nn.functional.interpolate(torch.randn(count, 3, 12, 12, generator=made), (edge, edge), mode="bicubic")
    return coarse + 0.3 * torch.randn(count, 3, edge, edge, generator=made)
