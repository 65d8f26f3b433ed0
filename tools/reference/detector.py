"""What the reference detectors share: Pillow's decoding and resizing, suppression, the way back to the photo, the output.

Written from the models' papers and training code, not from this program: it is what the program is compared with.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import argparse
import json
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

LABELS = Path(__file__).resolve().parents[2] / "config/labels/coco80.txt"


def upright(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        return ImageOps.exif_transpose(picture).convert("RGB")


def letterbox(picture: Image.Image, edge: int) -> tuple[np.ndarray, tuple]:
    """HWC, 0…255, the picture in the middle of black, and (scale x, scale y, left, top).

    Both models were trained on pictures that keep their shape, centred on black.
    """
    longest = max(picture.size)
    width, height = (max(1, int(size * edge / longest + 0.5)) for size in picture.size)
    left, top = (edge - width) // 2, (edge - height) // 2
    canvas = Image.new("RGB", (edge, edge))
    canvas.paste(picture.resize((width, height), Image.Resampling.BILINEAR), (left, top))
    return np.asarray(canvas, np.float32), (width / picture.width, height / picture.height, left, top)


def overlap(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of corners x1 y1 x2 y2."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    common = np.clip(high - low, 0, None).prod(1)
    return common / np.maximum((box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1) - common, 1e-12)


def suppress(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, iou: float, most: int) -> list[int]:
    """Indices of what stays, best first: of one class, none overlaps a better one by more than `iou`."""
    waiting, kept = list(np.argsort(-scores, kind="stable")), []
    while waiting and len(kept) < most:
        best = waiting.pop(0)
        kept.append(best)
        if waiting:
            far = (overlap(boxes[best], boxes[waiting]) <= iou) | (classes[waiting] != classes[best])
            waiting = [index for index, stays in zip(waiting, far) if stays]
    return kept


class Detector:
    """`prepare` makes HWC 0…255 RGB the model's input; `read` makes its outputs corners in the input, scores, classes."""

    def __init__(self, model: Path, edge: int, prepare, read, threshold: float, iou: float, most: int):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self.edge, self.prepare, self.read = edge, prepare, read
        self.threshold, self.iou, self.most = threshold, iou, most

    def run(self, picture: Image.Image) -> tuple[np.ndarray, dict, tuple]:
        pixels, placement = letterbox(picture, self.edge)
        tensor = np.ascontiguousarray(self.prepare(pixels)[None], np.float32)
        names = [output.name for output in self.session.get_outputs()]
        return tensor, dict(zip(names, self.session.run(names, {self.session.get_inputs()[0].name: tensor}))), placement

    def objects(self, picture: Image.Image, outputs: dict, placement: tuple) -> list[dict]:
        boxes, scores, classes = self.read(outputs, self.threshold)
        kept = suppress(boxes, scores, classes, self.iou, self.most)
        scale_x, scale_y, left, top = placement
        corners = (boxes[kept] - [left, top, left, top]) / [scale_x, scale_y, scale_x, scale_y]
        corners = np.clip(corners, 0, [*picture.size, *picture.size])
        found = []
        for (x1, y1, x2, y2), score, label in zip(corners, scores[kept], classes[kept]):
            if x2 - x1 >= 1 and y2 - y1 >= 1:
                found.append({"box": [x1, y1, x2 - x1, y2 - y1], "class": int(label), "score": float(score)})
        return found

    def detect(self, picture: Image.Image) -> list[dict]:
        _, outputs, placement = self.run(picture)
        return self.objects(picture, outputs, placement)


def main(description: str, create, threshold: float) -> None:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--threshold", type=float, default=threshold)
    parser.add_argument("--labels", type=Path, default=LABELS, help="names of the classes, one a line")
    parser.add_argument("--tensor", type=Path, metavar="OUT.npy", help="of one photo: its input there, each output in OUT.NAME.npy")
    arguments = parser.parse_args()
    if arguments.tensor and len(arguments.photos) != 1:
        parser.error("--tensor is of one photo")
    labels = arguments.labels.read_text().splitlines() if arguments.labels.exists() else []
    detector = create(arguments.model, arguments.threshold)
    results = []
    for path in arguments.photos:
        picture = upright(path)
        tensor, outputs, placement = detector.run(picture)
        if arguments.tensor:
            np.save(arguments.tensor, tensor)
            for name, array in outputs.items():
                np.save(arguments.tensor.with_suffix(f".{name}.npy"), array)
        objects = detector.objects(picture, outputs, placement)
        for item in objects:
            item["label"] = labels[item["class"]] if item["class"] < len(labels) else str(item["class"])
        results.append({"file": str(path), "width": picture.width, "height": picture.height, "objects": objects})
    print(json.dumps(results))
