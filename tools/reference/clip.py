"""What transformers' CLIP makes of the weights that tools/export/random_clip.py writes (seed 1, both kinds of pooling).

    python3.11 -m venv V && V/bin/pip install torch==2.13.0 transformers==5.23.0 onnx==1.23.2
    V/bin/python tools/reference/clip.py --output tests/golden/clip.json

Inputs are made from their numbers alone: pixel i of a picture is sin(0.37 + i · step), ids are written down.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers

ROOT = Path(__file__).resolve().parents[2]
STEPS = [0.0107, 0.173, 1.931]
GIVEN_END = 40  # as eos_token_id in a configuration of today


def pictures() -> np.ndarray:
    count = 3 * 224 * 224
    return np.stack([np.sin(0.37 + np.arange(count) * step) for step in STEPS]).astype(np.float32).reshape(-1, 3, 224, 224)


def texts(vocabulary: int) -> list[list[int]]:
    """The highest id ends them, and GIVEN_END is in each."""
    begin, end = vocabulary - 2, vocabulary - 1
    return [[begin, 3, 250, 77, GIVEN_END, 512, end, 0], [begin, GIVEN_END, end, 9, 9, 9, 9, 9], [begin, 530, 1, 531, 2, 540, GIVEN_END, end]]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-B", ROOT / "tools/export/random_clip.py", "--output", folder, "--weights"], check=True)
        config = json.loads((Path(folder) / "config.json").read_text())
        vocabulary = config["text_config"]["vocab_size"]
        ids = torch.tensor(texts(vocabulary))
        vision = transformers.CLIPVisionModelWithProjection.from_pretrained(folder, use_safetensors=True).eval()
        text = transformers.CLIPTextModelWithProjection.from_pretrained(folder, use_safetensors=True).eval()
        found = {"image_embeds": vision(pixel_values=torch.from_numpy(pictures())).image_embeds, "text_embeds": text(input_ids=ids).text_embeds}
        config["text_config"]["eos_token_id"] = GIVEN_END
        (Path(folder) / "config.json").write_text(json.dumps(config))
        text = transformers.CLIPTextModelWithProjection.from_pretrained(folder, use_safetensors=True).eval()
        found["text_embeds_given_end"] = text(input_ids=ids).text_embeds
    numbers = {name: [[round(float(x), 5) for x in row] for row in rows] for name, rows in found.items()}
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    document = {"made_by": "tools/reference/clip.py", "versions": versions, "steps": STEPS, "ids": ids.tolist(), "given_end": GIVEN_END} | numbers
    given.output.write_text(json.dumps(document, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
