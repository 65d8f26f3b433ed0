"""What the outputs of tests/vision/make_detectors.py mean: objects by transformers (queries) and, for the other families, by numpy.

The numpy is written from what each family's authors publish, not from this program: Ultralytics' NMS and letterbox (best class, then
greedy by class); darknet's and YOLOv4's scale_x_y; YOLOv5's Detect; torchvision's RetinaNet and SSD; EfficientDet's anchors; and
the layouts that DeepStream's parsers of TAO models read (DetectNet's centres and bbox_norm 35, BatchedNMS, NMS rows of seven,
FasterRCNN's proposals); CenterFace's demo.

Wants torch 2.13.0+cpu, transformers 5.23.0, pillow and numpy in an environment of its own.

usage: detectors.py OUTPUT.json     {versions, full, cases: {name: {sha256, objects: [[label, score, x, y, width, height]]}}},
best first, in pixels of a photo of the size `full`.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers.models.detr.image_processing_pil_detr import DetrImageProcessorPil
from transformers.models.rt_detr.image_processing_pil_rt_detr import RTDetrImageProcessorPil

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/vision"))
import make_detectors as made  # noqa: E402

FULL = (1000, 700)


def expit(x):
    return 1 / (1 + np.exp(-x.astype(np.float64)))


def wide(array):
    return array.astype(np.float64)


def centred(x, y, w, h):
    return np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], -1)


def nms(boxes, scores, labels, threshold):
    """As torchvision's batched_nms: the classes moved apart, then greedy."""
    apart = boxes + labels[:, None] * (np.abs(boxes).max(initial=0) * 2 + 1)
    area = (apart[:, 2] - apart[:, 0]) * (apart[:, 3] - apart[:, 1])
    gone, chosen = np.zeros(len(boxes), bool), []
    for i in np.argsort(-scores, kind="stable"):
        if gone[i]:
            continue
        chosen.append(i)
        w = np.minimum(apart[:, 2], apart[i, 2]) - np.maximum(apart[:, 0], apart[i, 0])
        h = np.minimum(apart[:, 3], apart[i, 3]) - np.maximum(apart[:, 1], apart[i, 1])
        shared = np.maximum(w, 0) * np.maximum(h, 0)
        gone |= shared / (area + area[i] - shared) > threshold
    return np.array(chosen, int)


def unletterboxed(boxes, size):
    """Ultralytics' scale_boxes, but each edge by what it was really resized to: theirs takes one gain for both, half a pixel off."""
    gain = min(size[0] / FULL[0], size[1] / FULL[1])
    resized = [round(edge * gain) for edge in FULL]
    pad = [round((size[i] - resized[i]) / 2 - 0.1) for i in (0, 1)]
    return (boxes - np.tile(pad, 2)) / np.tile([resized[0] / FULL[0], resized[1] / FULL[1]], 2)


def stretched(boxes, size):
    return boxes * np.tile([FULL[0] / size[0], FULL[1] / size[1]], 2)


def detected(case, boxes, scores, labels, threshold, iou):
    """Corners in the model's input: threshold, suppression, to the photo."""
    over = scores >= threshold
    boxes, scores, labels = boxes[over], scores[over], labels[over]
    if iou < 1:
        kept = nms(boxes, scores, labels, iou)
        boxes, scores, labels = boxes[kept], scores[kept], labels[kept]
    return (unletterboxed if case.fit == "letterbox" else stretched)(boxes, case.size), scores, labels


def option(case, name, otherwise):
    return float(case.options.get(name, otherwise))


def of_queries(case, logits, boxes):
    class Outputs:
        pass
    outputs = Outputs()
    outputs.logits, outputs.pred_boxes = torch.from_numpy(logits), torch.from_numpy(boxes)
    processor = DetrImageProcessorPil() if case.options.get("activation") == "softmax" else RTDetrImageProcessorPil()
    threshold = option(case, "threshold", 0.5)
    found = processor.post_process_object_detection(outputs, threshold=threshold, target_sizes=[(FULL[1], FULL[0])])[0]
    return found["boxes"].numpy(), found["scores"].numpy(), found["labels"].numpy()


def of_yolo(case, output):
    rows = wide(output[0])
    if "objectness" in case.options:
        classes = rows[:, 5:] * rows[:, 4:5]
    else:
        rows = rows.T
        classes = rows[:, 4:]
    return detected(case, centred(*rows[:, :4].T), classes.max(1), classes.argmax(1),
                    option(case, "threshold", 0.4), option(case, "nms", 0.7))


def of_raw_maps(case, maps, anchors, scales, square):
    boxes, scores, labels = [], [], []
    for level, (shapes, scale) in enumerate(zip(anchors, scales)):
        values = wide(maps[f"map{level}"][0])
        a, numbers = len(shapes), 5 + case.labels
        if values.ndim == 3 and values.shape[0] == a * numbers:
            values = np.moveaxis(values.reshape(a, numbers, *values.shape[1:]), 1, 3)
        elif values.ndim == 3:
            values = np.moveaxis(values.reshape(*values.shape[:2], a, numbers), 2, 0)
        elif values.shape[2] == a:
            values = np.moveaxis(values, 2, 0)
        _, rows, columns, _ = values.shape
        grid_y, grid_x = np.mgrid[:rows, :columns]
        stride = case.size[0] / columns
        size = np.array(shapes, float)[:, None, None]
        if square:
            xy = expit(values[..., :2]) * 2 - 0.5
            wh = (expit(values[..., 2:4]) * 2) ** 2 * size
        else:
            xy = expit(values[..., :2]) * scale - 0.5 * (scale - 1)
            wh = np.exp(values[..., 2:4]) * size
        x, y = (xy[..., 0] + grid_x) * stride, (xy[..., 1] + grid_y) * stride
        of_class = expit(values[..., 4:5]) * expit(values[..., 5:])
        boxes.append(centred(x, y, wh[..., 0], wh[..., 1]).reshape(-1, 4))
        scores.append(of_class.max(-1).ravel())
        labels.append(of_class.argmax(-1).ravel())
    return detected(case, *map(np.concatenate, (boxes, scores, labels)), option(case, "threshold", 0.4), option(case, "nms", 0.5))


def each(case, boxes, scores):
    """Every class of every box is a candidate."""
    which, label = np.nonzero(scores >= 0.4)
    return detected(case, boxes[which], scores[which, label], label, 0.4, 0.5)


def of_retinanet(case, outputs):
    """torchvision's AnchorGenerator, but for its rounding, and BoxCoder with weights 1."""
    boxes, scores = [], []
    for level, stride in enumerate((8, 16, 32, 64, 128)):
        base = 32 * 2**level * np.array([1, 2 ** (1 / 3), 2 ** (2 / 3)])
        h_ratios = np.sqrt([0.5, 1, 2])
        w = ((1 / h_ratios)[:, None] * base[None]).ravel()
        h = (h_ratios[:, None] * base[None]).ravel()
        _, _, rows, columns = outputs[f"box{level}"].shape
        deltas = wide(outputs[f"box{level}"]).reshape(9, 4, rows, columns).transpose(2, 3, 0, 1)
        classes = expit(outputs[f"class{level}"]).reshape(9, case.labels, rows, columns).transpose(2, 3, 0, 1)
        y, x = np.meshgrid(np.arange(rows) * stride, np.arange(columns) * stride, indexing="ij")
        boxes.append(centred(deltas[..., 0] * w + x[..., None], deltas[..., 1] * h + y[..., None], np.exp(deltas[..., 2]) * w,
                             np.exp(deltas[..., 3]) * h).reshape(-1, 4))
        scores.append(classes.reshape(-1, case.labels))
    return each(case, np.concatenate(boxes), np.concatenate(scores))


def of_efficientdet(case, outputs):
    """Anchors as the paper's code has them: scale 4, three octaves, for each of them the aspects; offsets ty tx th tw."""
    boxes, scores = [], []
    for level in range(3, 8):
        stride = 2**level
        shapes = np.array([(4 * stride * 2 ** (octave / 3) * w, 4 * stride * 2 ** (octave / 3) * h)
                           for octave in range(3) for w, h in ((1, 1), (1.4, 0.7), (0.7, 1.4))])
        cells = case.size[0] // stride
        deltas = wide(outputs[f"box{level - 3}"][0]).reshape(9, 4, -1).transpose(2, 0, 1)
        at = np.arange(stride / 2, case.size[0], stride)
        assert len(at) == cells
        x, y = np.tile(at, cells)[:, None], np.repeat(at, cells)[:, None]
        boxes.append(centred(deltas[..., 1] * shapes[:, 0] + x, deltas[..., 0] * shapes[:, 1] + y, np.exp(deltas[..., 3]) * shapes[:, 0],
                             np.exp(deltas[..., 2]) * shapes[:, 1]).reshape(-1, 4))
        scores.append(expit(outputs[f"class{level - 3}"][0]).reshape(9, case.labels, -1).transpose(2, 0, 1).reshape(-1, case.labels))
    return each(case, np.concatenate(boxes), np.concatenate(scores))


def of_ssd(case, outputs):
    boxes, classes = wide(outputs["boxes"][0]), wide(outputs["classes"][0])
    priors = [((column + 0.5) * stride, (row + 0.5) * stride, w, h) for stride, shapes in zip((8, 16, 32), made.ANCHORS_SSD)
              for row in range(-(-300 // stride)) for column in range(-(-300 // stride)) for w, h in shapes]
    x, y, w, h = np.array(priors, float).T
    placed = centred(x + boxes[:, 0] * 0.1 * w, y + boxes[:, 1] * 0.1 * h, w * np.exp(boxes[:, 2] * 0.2), h * np.exp(boxes[:, 3] * 0.2))
    weights = np.exp(classes - classes.max(1, keepdims=True))
    return each(case, placed, (weights / weights.sum(1, keepdims=True))[:, 1:])


def of_detectnet(case, outputs):
    coverage, sides = wide(outputs["output_cov"][0]), wide(outputs["output_bbox"][0]) * 35
    boxes, scores, labels = [], [], []
    for label in range(case.labels):
        for row, column in np.argwhere(coverage[label] >= 0.4):
            x, y = column * 16 + 0.5, row * 16 + 0.5
            left, top, right, bottom = sides[label * 4 : label * 4 + 4, row, column]
            boxes.append([x - left, y - top, x + right, y + bottom])
            scores.append(coverage[label, row, column])
            labels.append(label)
    return detected(case, np.array(boxes), np.array(scores), np.array(labels), 0.4, 0.5)


def of_centerface(case, outputs):
    """As its authors' demo: sizes and offsets have the vertical number first."""
    heat, (sizes, offsets) = wide(outputs["heat"][0, 0]), (wide(outputs[name][0]) for name in ("sizes", "offsets"))
    row, column = np.where(heat >= 0.5)
    (h, w), (down, across) = np.exp(sizes[:, row, column]) * 4, offsets[:, row, column]
    boxes = centred((column + across + 0.5) * 4, (row + down + 0.5) * 4, w, h).clip(0, np.tile(case.size, 2))
    return detected(case, boxes, heat[row, column], np.zeros(len(row), int), 0.5, 0.3)


def of_lists(case, outputs):
    name = case.name
    if name == "tao-yolov4":
        boxes, scores, labels = outputs["boxes"][0, :60] * np.tile(case.size, 2), outputs["scores"][0, :60], outputs["classes"][0, :60]
    elif name == "tao-efficientdet":
        boxes, scores, labels = outputs["boxes"][0, :60][:, [1, 0, 3, 2]], outputs["scores"][0, :60], outputs["classes"][0, :60]
    elif name == "fasterrcnn":
        boxes, scores, labels = outputs["boxes"], outputs["scores"], outputs["labels"] - 1
    elif name == "yolo-end-to-end":
        table = outputs["output0"][0]
        boxes, scores, labels = table[:, :4], table[:, 4], table[:, 5]
    else:
        table = outputs["NMS"][0, 0, :70]
        boxes, scores, labels = table[:, 3:] * np.tile(case.size, 2), table[:, 2], table[:, 1] - 1
    return detected(case, wide(boxes), wide(scores), labels.astype(int), option(case, "threshold", 0.5 if name == "fasterrcnn" else 0.4), 1)


def of_dense(case, outputs):
    """TAO's proposals, each moved as the offsets of its best class say, in the order and units of DeepStream's parser."""
    scores = wide(outputs["dense_class_td/Softmax"]).reshape(300, -1)
    labels = scores.argmax(1)
    deltas = wide(outputs["dense_regress_td/BiasAdd"]).reshape(300, -1, 4) / [10, 10, 5, 5]
    top, left, bottom, right = (wide(outputs["proposal"]).reshape(300, 4) * np.tile([case.size[1] - 1, case.size[0] - 1], 2)).T
    things = np.flatnonzero(labels < case.labels)
    dx, dy, dw, dh = deltas[things, labels[things]].T
    w, h = (right - left)[things], (bottom - top)[things]
    boxes = centred((left[things] + w / 2) + dx * w, (top[things] + h / 2) + dy * h, w * np.exp(dw), h * np.exp(dh))
    return detected(case, boxes, scores.max(1)[things], labels[things], option(case, "threshold", 0.5), option(case, "nms", 0.3))


def read(case, outputs):
    if case.name == "rf-detr":
        return of_queries(case, outputs["labels"], outputs["dets"])
    if case.head == "queries":
        return of_queries(case, outputs["logits"], outputs["pred_boxes"])
    if case.head == "yolo":
        return of_yolo(case, outputs["output0"])
    if case.head == "yolo_anchors":
        anchors = {"yolov3-tiny": made.ANCHORS_TINY, "yolov5-raw": made.ANCHORS_V5}.get(case.name, made.ANCHORS_V4)
        return of_raw_maps(case, outputs, anchors, (1.2, 1.1, 1.05) if anchors is made.ANCHORS_V4 else (1, 1, 1), case.name == "yolov5-raw")
    known = {"retinanet": of_retinanet, "efficientdet": of_efficientdet, "ssd": of_ssd, "detectnet": of_detectnet, "centerface": of_centerface,
             "tao-fasterrcnn": of_dense}
    return known.get(case.name, of_lists)(case, outputs)


def objects(case, outputs):
    boxes, scores, labels = read(case, outputs)
    order = np.argsort(-scores, kind="stable")[: int(case.options.get("most", 100))]
    found = []
    for i in order:
        x1, y1, x2, y2 = np.clip(wide(boxes[i]), 0, [*FULL, *FULL])
        if x2 - x1 >= 1 and y2 - y1 >= 1:
            found.append([int(labels[i]), round(float(scores[i]), 5), *(round(v, 2) for v in (x1, y1, x2 - x1, y2 - y1))])
    return found


def main() -> None:
    listed = {}
    for case in made.cases():
        outputs = case.outputs()
        listed[case.name] = {"sha256": made.sha256_of(outputs), "objects": objects(case, outputs)}
        print(case.name, len(listed[case.name]["objects"]))
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "numpy": np.__version__}
    rows = ",\n".join(json.dumps(name) + ": " + json.dumps(entry) for name, entry in listed.items())
    Path(sys.argv[1]).write_text(f'{{"versions": {json.dumps(versions)}, "full": {json.dumps(FULL)}, "cases": {{\n{rows}\n}}}}\n')


if __name__ == "__main__":
    main()
