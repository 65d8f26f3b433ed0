"""What a person would write instead of `image-engine analyze --only embedding`: Pillow, transformers' processor and CLIP in
torch, or in onnxruntime where torch is not installed; vectors of every JPEG under a folder into a .npy file.

usage: embed_script.py FOLDER -o OUT.npy --model FOLDER [--batch 8]     MODEL: config.json, model.safetensors, *.onnx
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

MEAN, DEVIATION = np.array([0.48145466, 0.4578275, 0.40821073]), np.array([0.26862954, 0.26130258, 0.27577711])


def by_torch(model: Path):
    import torch
    from transformers import CLIPImageProcessor, CLIPModel

    processor, clip = CLIPImageProcessor(), CLIPModel.from_pretrained(model).eval()

    def embed(pictures: list[Image.Image]) -> np.ndarray:
        with torch.inference_mode():
            found = clip.get_image_features(**processor(images=pictures, return_tensors="pt"))
            return getattr(found, "pooler_output", found).numpy()

    return embed


def by_onnxruntime(model: Path):
    import onnxruntime

    session = onnxruntime.InferenceSession(model / "clip_vision_fp32.onnx", providers=["CPUExecutionProvider"])

    def prepare(picture: Image.Image) -> np.ndarray:
        short = min(picture.size)
        picture = picture.resize([224 if side == short else int(side * 224 / short) for side in picture.size], Image.BICUBIC)
        left, top = (picture.width - 224) // 2, (picture.height - 224) // 2
        pixels = np.asarray(picture.crop((left, top, left + 224, top + 224))) / 255
        return ((pixels - MEAN) / DEVIATION).transpose(2, 0, 1).astype(np.float32)

    return lambda pictures: session.run(None, {"pixel_values": np.stack([prepare(picture) for picture in pictures])})[0]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--batch", type=int, default=8)
    arguments = parser.parse_args()
    try:
        embed, runtime = by_torch(arguments.model), "transformers and torch"
    except ImportError:
        embed, runtime = by_onnxruntime(arguments.model), "onnxruntime"
    paths = sorted(path for path in arguments.folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    rows = []
    for at in range(0, len(paths), arguments.batch):
        pictures = [ImageOps.exif_transpose(Image.open(path)).convert("RGB") for path in paths[at : at + arguments.batch]]
        rows.append(embed(pictures))
    vectors = np.concatenate(rows)
    np.save(arguments.output, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    print(runtime)


if __name__ == "__main__":
    main()
