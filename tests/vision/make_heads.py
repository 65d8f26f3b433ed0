"""Makes random outputs of detectors, and by numpy the objects that they mean.

usage: make_heads.py FOLDER     writes FOLDER/manifest.json:
cases  [{head, options, width, height, fit, full, labels, outputs: [{name, shape, file}], objects: [[label, confidence, x, y, w, h]]}]
The outputs are raw float32 files; `full` is the photo's size, shown to the detector at half of it.
"""

import json
import pathlib
import sys

import numpy as np

LABELS = 5
FULL = (1000, 700)


def softmax(values: np.ndarray) -> np.ndarray:
    e = np.exp(values - values.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def iou(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    common = np.prod(np.clip(high - low, 0, None), -1)
    return common / (np.prod(box[2:] - box[:2]) + np.prod(others[:, 2:] - others[:, :2], axis=-1) - common)


def kept(boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, threshold: float, nms: float, most: int) -> list[int]:
    """Greedy suppression, the classes moved apart so that they do not meet."""
    far = boxes + labels[:, None] * 1e5
    order = [i for i in np.argsort(-scores, kind="stable") if scores[i] >= threshold]
    chosen: list[int] = []
    while order and len(chosen) < most:
        best, *rest = order
        chosen.append(best)
        rest = np.array(rest, int)
        order = list(rest[~(iou(far[best], far[rest]) > nms)]) if len(rest) else []
    return chosen


def place(box: np.ndarray, size: tuple[int, int], fit: str) -> np.ndarray:
    """The input's corners in the photo."""
    shown = np.array(FULL) / 2
    if fit == "letterbox":
        ratio = min(np.array(size) / shown)
        made = np.maximum(1, np.floor(shown * ratio + 0.5))
        offset = (np.array(size) - made) // 2
    else:
        made, offset = np.array(size, float), np.zeros(2)
    corners = (box.reshape(2, 2) - offset) / made * np.array(FULL)
    return np.clip(corners, 0, FULL).ravel()


def sparse(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Scores of which few are high."""
    return random.uniform(0, 1, shape) ** 24


def each_class(boxes: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A row for each class of a cell."""
    return np.repeat(boxes, LABELS, 0), (scores[:, :, None] * np.eye(LABELS)).reshape(-1, LABELS)


def nanodet(random, size):
    outputs, boxes, scores = [], [], []
    for stride in (8, 16, 32):
        columns, rows = -(-size[0] // stride), -(-size[1] // stride)
        confidence = sparse(random, (columns * rows, LABELS)).astype(np.float32)
        bins = random.normal(0, 2, (columns * rows, 44)).astype(np.float32)
        outputs += [(f"scores{stride}", confidence[None]), (f"boxes{stride}", bins[None])]
        sides = (softmax(bins.reshape(-1, 4, 11).astype(float)) @ np.arange(11)) * stride
        y, x = np.divmod(np.arange(columns * rows), columns)
        centre = (np.stack([x, y], -1) + 0.5) * stride
        boxes.append(np.concatenate([centre - sides[:, :2], centre + sides[:, 2:]], -1))
        scores.append(confidence)
    return outputs, *each_class(np.clip(np.concatenate(boxes), 0, size * 2), np.concatenate(scores))


def shuffled_nanodet(random, size):
    outputs, boxes, scores = nanodet(random, size)
    return [outputs[i] for i in (5, 2, 0, 4, 1, 3)], boxes, scores


def queries(activation):
    def make(random, size):
        logits = random.normal(-3, 2.5, (40, LABELS + (activation == "softmax"))).astype(np.float32)
        box = np.concatenate([random.uniform(-0.1, 1.1, (40, 2)), random.uniform(0, 0.6, (40, 2))], -1).astype(np.float32)
        corners = np.concatenate([box[:, :2] - box[:, 2:] / 2, box[:, :2] + box[:, 2:] / 2], -1) * (size * 2)
        wide = logits.astype(float)
        outputs = [("pred_boxes", box[None]), ("logits", logits[None])]
        if activation == "softmax":
            return outputs, corners, softmax(wide)[:, :-1]
        return outputs, *each_class(corners, sigmoid(wide))
    return make


def yolo(random, size):
    centre = random.uniform(-5, max(size), (2, 300))
    extent = random.uniform(0, 80, (2, 300))
    scores = sparse(random, (LABELS, 300))
    output = np.concatenate([centre, extent, scores]).astype(np.float32)
    wide = output.astype(float)
    boxes = np.concatenate([wide[:2] - wide[2:4] / 2, wide[:2] + wide[2:4] / 2]).T
    return [("output0", output[None])], boxes, wide[4:].T


def centernet(random, size):
    columns, rows = size[0] // 4, size[1] // 4
    heat = sparse(random, (rows, columns, LABELS)).astype(np.float32)
    sides = random.uniform(0, 60, (rows, columns, 4)).astype(np.float32)
    padded = np.pad(heat, ((1, 1), (1, 1), (0, 0)), constant_values=-1)
    around = np.max([padded[dy : dy + rows, dx : dx + columns] for dy in range(3) for dx in range(3)], 0)
    peaks = np.where(heat >= around, heat, 0).reshape(-1, LABELS)
    y, x = np.mgrid[:rows, :columns].reshape(2, -1) * 4
    w = sides.reshape(-1, 4).astype(float)
    boxes = np.stack([x - w[:, 0], y - w[:, 1], x + w[:, 2], y + w[:, 3]], -1)
    return [("heat", heat[None]), ("sides", sides[None])], *each_class(boxes, peaks)


CASES = (
    ("nanodet", nanodet, (416, 416), "letterbox", {}, (0.4, 0.6, 100)),
    ("nanodet", shuffled_nanodet, (320, 200), "letterbox", {"threshold": "0.25", "nms": "0.3", "most": "17"}, (0.25, 0.3, 17)),
    ("queries", queries("softmax"), (640, 480), "stretch", {"activation": "softmax", "threshold": "0.3"}, (0.3, 1, 100)),
    ("queries", queries("sigmoid"), (640, 640), "stretch", {"threshold": "0.3", "nms": "0.5"}, (0.3, 0.5, 100)),
    ("yolo", yolo, (640, 640), "letterbox", {"threshold": "0.25"}, (0.25, 0.7, 100)),
    ("centernet", centernet, (512, 512), "stretch", {"most": "300"}, (0.4, 0.6, 300)),
)


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    random, cases = np.random.default_rng(11), []
    for number, (head, make, size, fit, options, (threshold, nms, most)) in enumerate(CASES):
        outputs, boxes, scores = make(random, size)
        labels, best = scores.argmax(-1), scores.max(-1)
        objects = []
        for i in kept(boxes, best, labels, threshold, nms, most):
            x1, y1, x2, y2 = place(boxes[i], size, fit)
            if x2 - x1 >= 1 and y2 - y1 >= 1:
                objects.append([int(labels[i]), float(best[i]), x1, y1, x2 - x1, y2 - y1])
        files = []
        for name, values in outputs:
            file = f"{number}.{name}.f32"
            np.ascontiguousarray(values, np.float32).tofile(folder / file)
            files.append({"name": name, "shape": values.shape, "file": file})
        cases.append({"head": head, "options": options, "width": size[0], "height": size[1], "fit": fit, "full": FULL,
                      "labels": LABELS, "outputs": files, "objects": objects})
    (folder / "manifest.json").write_text(json.dumps({"cases": cases}))


if __name__ == "__main__":
    main()
