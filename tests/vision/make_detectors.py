"""Makes detectors that give seeded random outputs, one of each family: ONNX graphs whose outputs do not depend on the picture.

usage: make_detectors.py FOLDER     writes FOLDER/NAME.onnx and FOLDER/manifest.json:
cases  [{name, head, options, width, height, fit, align, mask, labels, outputs: [name], sha256}]
What they mean is in tests/golden/detectors.json, made by tools/reference/detectors.py from the same outputs.
"""

import hashlib
import json
import pathlib
import sys
from dataclasses import dataclass, field

import numpy as np

ANCHORS_V4 = [[(12, 16), (19, 36), (40, 28)], [(36, 75), (76, 55), (72, 146)], [(142, 110), (192, 243), (459, 401)]]
ANCHORS_TINY = [[(10, 14), (23, 27), (37, 58)], [(81, 82), (135, 169), (344, 319)]]
ANCHORS_V5 = [[(10, 13), (16, 30), (33, 23)], [(30, 61), (62, 45), (59, 119)]]
ANCHORS_SSD = [[(30, 30), (42, 42), (42, 21), (21, 42)],
               [(60, 60), (81, 81), (85, 42), (42, 85), (104, 35), (35, 104)],
               [(111, 111), (157, 78)]]


@dataclass
class Case:
    name: str
    head: str
    size: tuple[int, int]  # width, height
    labels: int
    make: object           # of a generator: {name: array}
    options: dict = field(default_factory=dict)
    fit: str = "stretch"
    align: str = "centre"
    mask: bool = False     # a second input, pixel_mask
    longest: int = 0

    def outputs(self) -> dict[str, np.ndarray]:
        return self.make(np.random.default_rng([7, *self.name.encode()]))


def text_of(anchors: list) -> str:
    return "; ".join(" ".join(f"{w}x{h}" for w, h in level) for level in anchors)


def spread(random, shape, low, high) -> np.ndarray:
    return (random.random(shape) * (high - low) + low).astype(np.float32)


def rare(random, shape, low, high) -> np.ndarray:
    """Few near `high`."""
    return (random.random(shape) ** 12 * (high - low) + low).astype(np.float32)


def queries(count, classes, names=("logits", "pred_boxes")):
    def make(random):
        boxes = np.concatenate([spread(random, (1, count, 2), -0.05, 1.05), spread(random, (1, count, 2), 0.02, 0.6)], 2)
        return {names[0]: rare(random, (1, count, classes), -5, 4), names[1]: boxes}
    return make


def yolo(objectness, boxes=700, labels=6):
    def make(random):
        rows = [spread(random, (2, boxes), 0, 640), spread(random, (2, boxes), 8, 300)]
        rows += [spread(random, (1, boxes), 0.3, 1)] if objectness else []
        rows = np.concatenate([*rows, rare(random, (labels, boxes), 0, 1)])
        return {"output0": np.ascontiguousarray(rows.T if objectness else rows)[None]}
    return make


def raw_maps(grids, anchors, labels, layout):
    def make(random):
        outputs = {}
        for grid, (rows, columns) in enumerate(grids):
            a = len(anchors[grid])
            values = np.concatenate([spread(random, (a, rows, columns, 4), -1.5, 1.5), rare(random, (a, rows, columns, 1), -7, 5),
                                     spread(random, (a, rows, columns, labels), -2, 4)], 3)
            values = {"nchw": lambda v: v.transpose(0, 3, 1, 2).reshape(-1, rows, columns), "nhwac": lambda v: v.transpose(1, 2, 0, 3),
                      "ahwc": lambda v: v, "nhwc": lambda v: v.transpose(1, 2, 0, 3).reshape(rows, columns, -1)}[layout](values)
            outputs[f"map{grid}"] = np.ascontiguousarray(values)[None]
        return dict(reversed(outputs.items()))  # the coarsest first, as darknet has it
    return make


def anchor_maps(grids, anchors, classes):
    def make(random):
        outputs = {}
        for level, (rows, columns) in enumerate(grids):
            outputs[f"class{level}"] = rare(random, (1, anchors * classes, rows, columns), -6, 3)
            outputs[f"box{level}"] = spread(random, (1, anchors * 4, rows, columns), -1, 1)
        return outputs
    return make


def joined(count, classes, low, high):
    def make(random):
        return {"boxes": spread(random, (1, count, 4), -2, 2), "classes": rare(random, (1, count, classes), low, high)}
    return make


def detectnet(random):
    return {"output_bbox": spread(random, (1, 12, 34, 60), 0, 4), "output_cov": rare(random, (1, 3, 34, 60), 0, 1)}


def centerface(random):
    return {"heat": rare(random, (1, 1, 120, 160), 0, 0.6), "sizes": spread(random, (1, 2, 120, 160), 0.5, 4),
            "offsets": spread(random, (1, 2, 120, 160), -0.5, 0.5)}


def corners(random, count, width, height):
    low = random.random((count, 2)) * 0.8 - 0.05
    high = low + random.random((count, 2)) * 0.5
    return (np.concatenate([low, high], 1) * [width, height, width, height]).astype(np.float32)


def falling(random, count):
    return np.sort(random.random(count).astype(np.float32))[::-1].copy()


def batched(width, height, whole, turned):
    def make(random):
        boxes = corners(random, 200, width, height)
        classes = random.integers(0, 6, (1, 200)).astype(np.int32 if whole else np.float32)
        scores = falling(random, 200)[None]
        classes[0, 60:], scores[0, 60:] = -1 if whole else 77, 0.99  # beyond the number: nothing
        if turned:
            boxes = boxes[:, [1, 0, 3, 2]]
        return {"num": np.array([[60]], np.int32), "boxes": np.ascontiguousarray(boxes)[None], "scores": scores, "classes": classes}
    return make


def fasterrcnn(random):
    return {"boxes": corners(random, 40, 800, 600), "labels": random.integers(1, 7, 40), "scores": falling(random, 40)}


def dense(random):
    """Of TAO's FasterRCNN before its NMS: the ones behind are TensorFlow's."""
    proposals = corners(random, 300, 1, 1)[:, [1, 0, 3, 2]].clip(0, 1)
    logits = random.normal(0, 3, (300, 7))
    scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return {"dense_class_td/Softmax": scores.astype(np.float32)[None, :, :, None, None],
            "dense_regress_td/BiasAdd": spread(random, (1, 300, 24, 1, 1), -4, 4),
            "proposal": np.ascontiguousarray(proposals)[None, :, :, None]}


def yolo_rows(random):
    table = np.concatenate([corners(random, 100, 640, 640), falling(random, 100)[:, None], random.integers(0, 6, (100, 1))], 1)
    return {"output0": table.astype(np.float32)[None]}


def nms_rows(random):
    table = np.concatenate([np.zeros((100, 1)), random.integers(1, 7, (100, 1)), falling(random, 100)[:, None],
                            corners(random, 100, 1, 1)], 1)
    return {"NMS": table.astype(np.float32)[None, None], "NMS_1": np.array([[[70]]], np.int32)}


def cases() -> list[Case]:
    v4, tiny, v5, ssd = (text_of(anchors) for anchors in (ANCHORS_V4, ANCHORS_TINY, ANCHORS_V5, ANCHORS_SSD))
    ssd_count = 38 * 38 * 4 + 19 * 19 * 6 + 10 * 10 * 2
    retina = [(60, 80), (30, 40), (15, 20), (8, 10), (4, 5)]
    return [
        Case("detr", "queries", (200, 200), 6, queries(100, 7), {"activation": "softmax"}, "short-edge", longest=333, mask=True),
        Case("detr-padded", "queries", (320, 320), 6, queries(100, 7), {"activation": "softmax"}, "letterbox", "top-left", mask=True),
        Case("dfine", "queries", (640, 640), 6, queries(300, 6), {"most": "300"}),
        Case("rf-detr", "queries", (512, 512), 6, queries(300, 6, ("labels", "dets")), {"threshold": "0.3", "most": "300"}),
        Case("yolov8", "yolo", (640, 640), 6, yolo(False), {"threshold": "0.25", "most": "300"}, "letterbox"),
        Case("yolov5", "yolo", (640, 640), 6, yolo(True), {"threshold": "0.25", "nms": "0.45", "objectness": "yes", "most": "300"},
             "letterbox"),
        Case("yolov4", "yolo_anchors", (416, 320), 6, raw_maps([(40, 52), (20, 26), (10, 13)], ANCHORS_V4, 6, "nchw"),
             {"anchors": v4, "scale_xy": "1.2, 1.1, 1.05", "most": "300"}, "letterbox"),
        Case("yolov4-onnx-zoo", "yolo_anchors", (416, 416), 6, raw_maps([(52, 52), (26, 26), (13, 13)], ANCHORS_V4, 6, "nhwac"),
             {"anchors": v4, "scale_xy": "1.2 1.1 1.05"}, "letterbox"),
        Case("yolov3-tiny", "yolo_anchors", (416, 416), 6, raw_maps([(26, 26), (13, 13)], ANCHORS_TINY, 6, "nhwc"), {"anchors": tiny},
             "letterbox"),
        Case("yolov5-raw", "yolo_anchors", (320, 256), 6, raw_maps([(32, 40), (16, 20)], ANCHORS_V5, 6, "ahwc"),
             {"anchors": v5, "scale_xy": "2", "growth": "square"}, "letterbox"),
        Case("retinanet", "anchors", (640, 480), 6, anchor_maps(retina, 9, 6),
             {"sizes": "32 64 128 256 512", "scales": "1 1.25992105 1.58740105", "ratios": "0.5 1 2", "strides": "8 16 32 64 128",
              "centre": "0", "most": "300"}),
        Case("efficientdet", "anchors", (512, 512), 6, anchor_maps([(64, 64), (32, 32), (16, 16), (8, 8), (4, 4)], 9, 6),
             {"sizes": "32 64 128 256 512", "scales": "1 1.25992105 1.58740105", "ratios": "1x1 1.4x0.7 0.7x1.4", "order": "scales",
              "axes": "yx", "most": "300"}),
        Case("ssd", "anchors", (300, 300), 6, joined(ssd_count, 7, -2, 9),
             {"anchors": ssd, "strides": "8 16 32", "variances": "0.1 0.1 0.2 0.2", "activation": "softmax",
              "background": "first", "most": "300"}),
        Case("detectnet", "detectnet", (960, 544), 3, detectnet, {"most": "300"}),
        Case("centerface", "centerface", (640, 480), 1, centerface, {"most": "300"}, "letterbox"),
        Case("tao-yolov4", "batched_nms", (960, 544), 6, batched(1, 1, False, False), {"threshold": "0.3"}),
        Case("tao-efficientdet", "batched_nms", (512, 512), 6, batched(512, 512, True, True), {"unit": "pixels", "axes": "yx"}),
        Case("fasterrcnn", "fasterrcnn", (800, 600), 6, fasterrcnn, {"first_label": "1"}),
        Case("tao-fasterrcnn", "fasterrcnn_dense", (480, 272), 6, dense, {"most": "300"}),
        Case("yolo-end-to-end", "yolo_rows", (640, 640), 6, yolo_rows, {}, "letterbox"),
        Case("tao-ssd", "nms_rows", (300, 300), 6, nms_rows, {"first_label": "1"}),
    ]


def sha256_of(outputs: dict[str, np.ndarray]) -> str:
    return hashlib.sha256(b"".join(array.tobytes() for array in outputs.values())).hexdigest()


def write_graph(case: Case, outputs: dict[str, np.ndarray], path: pathlib.Path) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    free = case.fit == "short-edge"
    edges = ["h", "w"] if free else [case.size[1], case.size[0]]
    inputs = [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, [1, 3, *edges])]
    if case.mask:
        inputs.append(helper.make_tensor_value_info("pixel_mask", TensorProto.INT64, [1, *edges]))
    stored = [numpy_helper.from_array(array, f"{name}_") for name, array in outputs.items()]
    nodes = [helper.make_node("Identity", [f"{name}_"], [name]) for name in outputs]
    given = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
             for name, array in outputs.items()]
    graph = helper.make_graph(nodes, case.name, inputs, given, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    listed = []
    for case in cases():
        outputs = case.outputs()
        write_graph(case, outputs, folder / f"{case.name}.onnx")
        listed.append({"name": case.name, "head": case.head, "options": case.options, "width": case.size[0], "height": case.size[1],
                       "fit": case.fit, "align": case.align, "longest": case.longest, "labels": case.labels, "outputs": list(outputs),
                       "sha256": sha256_of(outputs)})
    (folder / "manifest.json").write_text(json.dumps({"cases": listed}))


if __name__ == "__main__":
    main()
