"""What the exporters of detectors share: arguments, the comparison of numbers, the spec, files that appear whole."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import argparse
import json
import re
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "models"))
from safetensors_file import ModelError  # noqa: E402

MOST = 1e-3
LARGEST_EDGE = 4096  # of an input, as src/preprocess/plan.h has it
PHOTOS = 4
ROOT = Path(__file__).resolve().parents[2]


def parser(text: str) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=text.split("\n\n", maxsplit=1)[0])
    made.add_argument("--from", dest="source", type=Path, required=True, metavar="PATH")
    made.add_argument("--output", type=Path, default=Path("."), metavar="FOLDER")
    made.add_argument("--opset", type=int, default=17)
    return made


def run(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is told once, by the exception
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def photos(width: int, height: int) -> list[np.ndarray]:
    """Of the source tree's samples, where they and Pillow are: [3, height, width], 0…1."""
    try:
        from PIL import Image
    except ImportError:
        return []
    found = sorted((ROOT / "build/samples/photos").rglob("*.jpg"))[:PHOTOS]
    pictures = [Image.open(path).convert("RGB").resize((width, height), Image.Resampling.BILINEAR) for path in found]
    return [np.asarray(picture, np.float32).transpose(2, 0, 1) / 255 for picture in pictures]


def probes(width: int, height: int, mean: list, deviation: list) -> tuple[np.ndarray, str]:
    """[n, 3, height, width], normalised, and what they are: noise, coarse colours, photos where there are some."""
    random = np.random.default_rng(7)
    coarse = np.kron(random.random((3, 8, 8)), np.ones((1, -(-height // 8), -(-width // 8))))[:, :height, :width]
    from_disk = photos(width, height)
    pictures = np.stack([random.random((3, height, width)), coarse, *from_disk])
    told = "2 random pictures" + (f" and {len(from_disk)} photos" if from_disk else "")
    return ((pictures - np.reshape(mean, (3, 1, 1))) / np.reshape(deviation, (3, 1, 1))).astype(np.float32), told


def difference(got: np.ndarray, wanted: np.ndarray) -> float:
    """The largest, relative to the largest number where that is above one."""
    if got.shape != wanted.shape:
        raise ModelError(f"the ONNX file gives the shape {list(got.shape)}, not {list(wanted.shape)}")
    return float(np.abs(got - wanted).max() / max(1.0, np.abs(wanted).max()))


def within(worst: float) -> float:
    if not worst <= MOST:
        raise ModelError(f"the ONNX file gives other numbers than the model does: they differ by {worst:.2g}; nothing was written")
    return worst


def model_name(path: Path) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", path.stem.lower() if path.is_file() else path.resolve().name.lower()).strip("-.") or "model"


def labels_of(config: dict) -> list[str]:
    named = config.get("id2label") or {}
    try:
        by_class = {int(key): str(value) for key, value in named.items()}
    except (AttributeError, ValueError) as error:
        raise ModelError("config.json: id2label is no list of classes") from error
    if sorted(by_class) != list(range(len(by_class))):
        raise ModelError("config.json: id2label skips classes")
    return [by_class[i] for i in range(len(by_class))]


def write_all(folder: Path, name: str, model: onnx.ModelProto, entry_name: str, entry: dict) -> None:
    """The model and spec.yaml (JSON is YAML too), each beside and then renamed."""
    onnx.checker.check_model(model, full_check=True)
    folder.mkdir(parents=True, exist_ok=True)
    spec = json.dumps({"models": {entry_name: {"file": name} | entry}}, indent=2, ensure_ascii=False) + "\n"
    try:
        onnx.save(model, folder / f"{name}.new")
        (folder / "spec.yaml.new").write_text(spec, encoding="utf-8")
        os.replace(folder / f"{name}.new", folder / name)
        os.replace(folder / "spec.yaml.new", folder / "spec.yaml")
    finally:
        for left in (f"{name}.new", "spec.yaml.new"):
            (folder / left).unlink(missing_ok=True)


def ended(work, given: argparse.Namespace) -> int:
    """The exit code; what went wrong is one line on stderr."""
    try:
        work(given)
    except (ModelError, OSError, ValueError, RuntimeError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        print(" ".join(str(error).split())[:400], file=sys.stderr)
        return 1
    return 0
