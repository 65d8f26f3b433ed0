"""What one would write in Python to analyze a video: scenes by PySceneDetect's detect-adaptive, then a frame a second by OpenCV,
resized by Pillow, objects by NanoDet in onnxruntime. One process, each library's own number of threads.

usage: peer.py VIDEO [--fps 1] [--model build/models/nanodet/nanodet.onnx] [--every]
needs: python3 -m venv V && V/bin/pip install scenedetect==0.7.2 opencv-python-headless==5.0.0.93 onnxruntime==1.32.0 pillow==13.0.0

Prints a line of JSON: scenes [[from, to]], frames, objects (their number; with --every all of them), and seconds of each part:
scenes, decode, resize, model, boxes, and total, which has loading the model too, but not Python's start and imports (`imports`).
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import time  # noqa: E402

BEGIN = time.perf_counter()

import argparse  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402
from collections import Counter  # noqa: E402
from contextlib import contextmanager  # noqa: E402
from pathlib import Path  # noqa: E402

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import onnxruntime  # noqa: E402
import scenedetect  # noqa: E402
from PIL import Image  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/reference"))
import detector  # noqa: E402
import nanodet  # noqa: E402

THRESHOLD, IOU, MOST = 0.4, 0.6, 100
seconds = Counter(imports=time.perf_counter() - BEGIN)


@contextmanager
def timed(part: str):
    begin = time.perf_counter()
    try:
        yield
    finally:
        seconds[part] += time.perf_counter() - begin


def frames_of(path: Path, fps: float):
    """(seconds, picture) of the first frame at or after each 1 / fps."""
    video, due = cv2.VideoCapture(str(path)), 0.0
    while True:
        with timed("decode"):
            if not video.grab():
                return
            at = video.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if at < due - 1e-6:
                continue
            read, frame = video.retrieve()
        if not read:
            return
        due += 1 / fps
        yield at, Image.fromarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))


def objects_in(session, picture: Image.Image) -> list[dict]:
    with timed("resize"):
        pixels, (scale_x, scale_y, left, top) = detector.letterbox(picture, nanodet.EDGE)
        tensor = np.ascontiguousarray(nanodet.prepare(pixels)[None], np.float32)
    with timed("model"):
        outputs = session.run(None, {session.get_inputs()[0].name: tensor})
    with timed("boxes"):
        named = dict(zip((output.name for output in session.get_outputs()), outputs))
        boxes, scores, classes = nanodet.read(named, THRESHOLD)
        kept = detector.suppress(boxes, scores, classes, IOU, MOST)
        corners = (boxes[kept] - [left, top, left, top]) / [scale_x, scale_y, scale_x, scale_y]
        return [{"class": int(label), "score": round(float(score), 3), "corners": [round(float(v), 1) for v in box]}
                for box, score, label in zip(corners, scores[kept], classes[kept])]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--fps", type=float, default=1)
    parser.add_argument("--model", type=Path, default=ROOT / "build/models/nanodet/nanodet.onnx")
    parser.add_argument("--every", action="store_true", help="print every object")
    given = parser.parse_args()
    with timed("total"):
        with timed("scenes"):
            scenes = scenedetect.detect(str(given.video), scenedetect.AdaptiveDetector(), start_in_scene=True)
        session = onnxruntime.InferenceSession(str(given.model), providers=["CPUExecutionProvider"])
        frames = [{"at": round(at, 3), "objects": objects_in(session, picture)} for at, picture in frames_of(given.video, given.fps)]
    objects = frames if given.every else sum(len(frame["objects"]) for frame in frames)
    print(json.dumps({
        "scenes": [[round(float(end.seconds), 3) for end in scene] for scene in scenes],
        "frames": len(frames), "objects": objects,
        "seconds": {part: round(value, 3) for part, value in seconds.items()},
    }))  # fmt: skip


if __name__ == "__main__":
    main()
