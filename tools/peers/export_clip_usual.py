"""CLIP's vision tower in int8 as it is usually made for onnxruntime: torch.onnx.export, then quantize_dynamic.

usage: export_clip_usual.py MODEL_FOLDER OUT.onnx
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import sys
import tempfile
from pathlib import Path

import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from transformers import CLIPModel


class Vision(torch.nn.Module):
    def __init__(self, clip):
        super().__init__()
        self.tower, self.projection = clip.vision_model, clip.visual_projection

    def forward(self, pixels):
        return self.projection(self.tower(pixel_values=pixels).pooler_output)


def main() -> None:
    clip = CLIPModel.from_pretrained(sys.argv[1], attn_implementation="eager").eval()
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        exported = Path(folder) / "fp32.onnx"
        torch.onnx.export(Vision(clip), (torch.zeros(2, 3, 224, 224),), exported, input_names=["pixel_values"], output_names=["image_embeds"],
                          dynamic_axes={"pixel_values": {0: "batch"}}, opset_version=17, dynamo=False)  # fmt: skip
        quantize_dynamic(exported, sys.argv[2], weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul"], per_channel=True)


if __name__ == "__main__":
    main()
