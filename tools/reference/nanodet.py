"""Objects by NanoDet-g 416 (ONNX of tools/models/tfjs_to_onnx.py), with Pillow, numpy and onnxruntime: JSON on stdout.

Boxes are x, y, width, height in pixels of the upright photo.

usage: nanodet.py MODEL.onnx PHOTO… [--threshold T] [--tensor OUT.npy]
"""

from pathlib import Path

import detector
import numpy as np

EDGE = 416
MEAN, DEVIATION = [103.53, 116.28, 123.675], [57.375, 57.12, 58.395]  # blue, green, red
STRIDES = (8, 16, 32)


def prepare(pixels: np.ndarray) -> np.ndarray:
    return ((pixels[..., ::-1] - MEAN) / DEVIATION).transpose(2, 0, 1)


def read(outputs: dict, threshold: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    boxes, scores, classes = [np.empty((0, 4))], [np.empty(0)], [np.empty(0, int)]
    for stride in STRIDES:
        of_classes, bins = outputs[f"scores_{stride}"][0], outputs[f"distances_{stride}"][0].astype(np.float64)
        cell, label = np.nonzero(of_classes >= threshold)
        if not len(cell):
            continue
        # The distance to each side is the mean of a distribution over 0…10 strides.
        bins = bins[cell].reshape(len(cell), 4, -1)
        weights = np.exp(bins - bins.max(2, keepdims=True))
        sides = weights @ np.arange(bins.shape[2]) / weights.sum(2) * stride
        across = EDGE // stride
        centre = np.stack([cell % across, cell // across], 1) * stride + stride / 2
        boxes.append(np.clip(np.concatenate([centre - sides[:, :2], centre + sides[:, 2:]], 1), 0, EDGE))
        scores.append(of_classes[cell, label])
        classes.append(label)
    return np.concatenate(boxes), np.concatenate(scores), np.concatenate(classes)


def create(model: Path, threshold: float = 0.4) -> detector.Detector:
    return detector.Detector(model, EDGE, prepare, read, threshold, iou=0.6, most=100)


if __name__ == "__main__":
    detector.main(__doc__, create, threshold=0.4)
