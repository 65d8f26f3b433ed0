"""Objects by MobileNetV3-CenterNet 512 (ONNX of tools/models/tfjs_to_onnx.py), with Pillow, numpy and onnxruntime: JSON
on stdout. Boxes are x, y, width, height in pixels of the upright photo.

usage: centernet.py MODEL.onnx PHOTO… [--threshold T] [--tensor OUT.npy]
"""

from pathlib import Path

import detector
import numpy as np

EDGE = 512
STRIDE = 4


def prepare(pixels: np.ndarray) -> np.ndarray:
    return pixels.transpose(2, 0, 1)


def read(outputs: dict, threshold: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    heat, sides = outputs["keypoints"][0], outputs["wh"][0]
    # A peak is as hot as the hottest of the nine cells around it.
    rows, columns, _ = heat.shape
    padded = np.pad(heat, ((1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    around = np.max([padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3)], axis=0)
    row, column, label = np.nonzero((heat == around) & (heat >= threshold))
    scores = heat[row, column, label]
    best = np.argsort(-scores, kind="stable")[:100]
    row, column, label, scores = row[best], column[best], label[best], scores[best]
    peak = np.stack([column, row], 1) * STRIDE
    size = sides[row, column].astype(np.float64)
    return np.concatenate([peak - size[:, :2], peak + size[:, 2:]], 1), scores, label


def create(model: Path, threshold: float = 0.4) -> detector.Detector:
    return detector.Detector(model, EDGE, prepare, read, threshold, iou=0.6, most=100)


if __name__ == "__main__":
    detector.main(__doc__, create, threshold=0.4)
