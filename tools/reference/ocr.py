"""Text in pictures by the package rapidocr-onnxruntime 1.4.4 as it comes: the golden file of tests/vision/text_test.cpp.

Needs an environment of its own: pip install rapidocr-onnxruntime==1.4.4 onnxruntime==1.31.1 pillow
usage: ocr.py SAMPLES OUTPUT.json
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import json
import sys
import zlib
from importlib.metadata import version
from pathlib import Path

import numpy as np
from rapidocr_onnxruntime import RapidOCR

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/vision"))
import make_text  # noqa: E402


def main() -> None:
    engine = RapidOCR()
    result = {
        "versions": {name: version(name) for name in ("rapidocr-onnxruntime", "onnxruntime", "opencv-python", "pillow")},
        "pictures": {},
    }
    for name, picture in make_text.pictures(Path(sys.argv[1])).items():
        pixels = np.asarray(picture)
        lines, _ = engine(np.ascontiguousarray(pixels[..., ::-1]))
        result["pictures"][name] = {
            "crc32": zlib.crc32(pixels.tobytes()),
            "lines": [{"text": text, "confidence": round(float(score), 4), "box": [[round(x) for x in point] for point in box]}
                      for box, text, score in lines or []],
        }  # fmt: skip
        print(name, [line["text"] for line in result["pictures"][name]["lines"]], file=sys.stderr)
    lines = [f'"{name}": {json.dumps(entry, ensure_ascii=False)}' for name, entry in result["pictures"].items()]
    head = json.dumps(result["versions"])
    Path(sys.argv[2]).write_text(f'{{"versions": {head},\n"pictures": {{\n' + ",\n".join(lines) + "\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
