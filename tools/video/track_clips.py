"""Composes clips with known tracks, and what a detector that errs would find in them: JSON, for bench/video/track_quality.py.

usage: track_clips.py OUT.json --seed N [--clips N] [--half 0|1] [--photos FOLDER] [--models FOLDER]

Things are real: what NanoDet finds in the sample photos, cut out; half 0 and half 1 share none. Their paths are known: they
stand, walk straight, wander, run, come and go, and pairs of them cross. Found is what is at least 30 % to be seen, with noise
in the box, confidences that fall with what is hidden, misses, false finds and double ones. The vectors are EfficientNet-Lite0's
of the cut-outs, each moved, blurred, lit and partly hidden anew for every sighting, by their first DIMENSIONS components. What
all have in common is doubled: things of all kinds would be easier to tell apart than two of one kind are.

kinds of clips: "shot", "cut" (other things after it), "return" (a cut, and one back to the first things).
OUT.json: {"vectors": [[…]], "clips": [{"name", "kind", "frames": [{"at", "cut", "true": [{"id", "name", "box"}],
"found": [{"id" (0: false), "name", "confidence", "box", "vector" (its number)}]}]}]}; five frames a second.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import argparse  # noqa: E402
import json  # noqa: E402
import re  # noqa: E402
import sys  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
from PIL import Image, ImageEnhance, ImageFilter  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/reference"))
import detector  # noqa: E402
import nanodet  # noqa: E402

WIDTH, HEIGHT, FPS, SECONDS = 1280, 720, 5, 30
KINDS = ("shot", "cut", "return")
NAMES = ("person", "dog")
VARIANTS, DIMENSIONS = 12, 128
VISIBLE = 0.3  # less of a thing is nothing that can be found
SAME_SCENES = re.compile(r"orientation_|left0[2-9]|right|leuvenB|aloeR|graf3|box_in_scene|basketball2|aero3")


def cut_outs(photos: Path, models: Path) -> list[Image.Image]:
    """Of every photo that no other shows too, the three best things."""
    finder = nanodet.create(models / "nanodet/nanodet.onnx", 0.4)
    things = []
    for path in sorted(photos.iterdir()):
        if path.suffix not in (".jpg", ".png") or SAME_SCENES.search(path.name):
            continue
        picture = detector.upright(path)
        for item in finder.detect(picture)[:3]:
            x, y, width, height = item["box"]
            if min(width, height) >= 40:
                things.append(picture.crop((int(x), int(y), int(x + width), int(y + height))))
    return things


def variant(thing: Image.Image, rng) -> Image.Image:
    """The thing as another frame shows it."""
    width, height = thing.size
    edges = [int(rng.uniform(0, 0.1) * side) for side in (width, height, width, height)]
    seen = thing.crop((edges[0], edges[1], width - edges[2], height - edges[3]))
    seen = ImageEnhance.Brightness(seen).enhance(rng.uniform(0.75, 1.25))
    scale = min(1, rng.uniform(60, 200) / max(seen.size))
    seen = seen.resize([max(8, int(side * scale)) for side in seen.size], Image.Resampling.BILINEAR)
    seen = seen.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.5)))
    if rng.random() < 0.3:  # something before it
        side = rng.integers(4)
        share = rng.uniform(0.1, 0.4)
        w, h = seen.size
        hidden = [(0, 0, int(w * share), h), (int(w * (1 - share)), 0, w, h), (0, 0, w, int(h * share)), (0, int(h * (1 - share)), w, h)][side]
        seen.paste(tuple(int(v) for v in rng.integers(0, 256, 3)), hidden)
    return seen


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def vectors_of(pictures: list[Image.Image], models: Path) -> np.ndarray:
    """Unit vectors: what EfficientNet-Lite0's classes are made from."""
    graph = onnx.load(models / "efficientnet-lite0/efficientnet-lite0.onnx")
    last = next(node for node in reversed(graph.graph.node) if node.op_type in ("Gemm", "MatMul"))
    graph.graph.output.append(onnx.helper.make_tensor_value_info(last.input[0], onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    rows = []
    for picture in pictures:
        pixels = (np.asarray(picture.resize((224, 224), Image.Resampling.BILINEAR), np.float32) - 127) / 128
        rows.append(session.run([last.input[0]], {"image": pixels.transpose(2, 0, 1)[None]})[0].reshape(-1))
    rows = np.array(rows)
    rows = rows @ np.linalg.svd(rows, full_matrices=False)[2][:DIMENSIONS].T
    rows = unit(rows)
    return unit(rows + unit(rows.mean(0)))


@dataclass
class Thing:
    id: int
    name: str
    look: int
    size: np.ndarray  # width, height
    centre: np.ndarray  # frames × 2, NaN where it is not there

    def box(self, frame: int):
        """Corners within the picture; None where less than half of it is inside."""
        if np.isnan(self.centre[frame, 0]):
            return None
        corners = np.concatenate([self.centre[frame] - self.size / 2, self.centre[frame] + self.size / 2])
        inside = np.clip(corners, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT])
        area = np.prod(np.clip(inside[2:] - inside[:2], 0, None))
        return inside if area > 0.5 * np.prod(self.size) else None


def path(rng, frames: int, size) -> np.ndarray:
    times = np.arange(frames)[:, None] / FPS
    low, high = np.array(size) / 2, np.array([WIDTH, HEIGHT]) - np.array(size) / 2
    begin = rng.uniform(low, high)
    kind = rng.choice(["stand", "straight", "wander", "run"], p=[0.3, 0.3, 0.25, 0.15])
    if kind == "stand":
        return np.repeat(begin[None], frames, 0)
    if kind == "wander":
        velocity, at, places = rng.normal(0, 60, 2), begin, []
        for _ in range(frames):
            velocity = velocity * np.exp(-1 / (1.5 * FPS)) + rng.normal(0, 60 * np.sqrt(1 - np.exp(-2 / (1.5 * FPS))), 2)
            velocity = np.where(((at < low) & (velocity < 0)) | ((at > high) & (velocity > 0)), -velocity, velocity)
            at = at + velocity / FPS
            places.append(at)
        return np.array(places)
    speed = rng.uniform(30, 150) if kind == "straight" else rng.uniform(200, 350)
    direction = rng.uniform(-0.4, 0.4) + rng.choice([0, np.pi])
    velocity = speed * np.array([np.cos(direction), np.sin(direction)])
    return begin + velocity * (times - rng.uniform(0, frames / FPS))


def crossing(rng, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Two paths that meet in the middle of the picture, side on."""
    times = np.arange(frames)[:, None] / FPS
    meet, when = rng.uniform([400, 250], [880, 470]), rng.uniform(0.3, 0.7) * frames / FPS
    speed = rng.uniform(40, 140)
    first, second = speed * np.array([1, rng.uniform(-0.2, 0.2)]), -speed * rng.uniform(0.7, 1.3) * np.array([1, rng.uniform(-0.2, 0.2)])
    return meet + first * (times - when), meet + second * (times - when)


def shot(rng, frames: int, looks: list[int], first_id: int) -> list[Thing]:
    things = []

    def add(name, size, places):
        if rng.random() < 0.5:  # it comes later, or goes earlier
            stay = sorted(rng.choice(frames, 2, replace=False)) if frames > 2 else [0, frames]
            if stay[1] - stay[0] >= 2 * FPS:
                places = places.copy()
                places[: stay[0]] = places[stay[1] :] = np.nan
        things.append(Thing(first_id + len(things), name, looks[len(things)], np.array(size), places))

    for _ in range(rng.integers(2, 6)):
        height = rng.uniform(80, 240)
        size = (height * rng.uniform(0.4, 1.2), height)
        add(str(rng.choice(NAMES, p=[0.75, 0.25])), size, path(rng, frames, size))
    for _ in range(rng.integers(0, 3)):
        height = rng.uniform(120, 220)
        for places in crossing(rng, frames):
            add("person", (height * 0.5, height * rng.uniform(0.9, 1.1)), places)
    return things


def shares_seen(things: list[Thing], frame: int) -> list[tuple[Thing, np.ndarray, float]]:
    """What is in the picture, and how much of it no nearer one (an earlier one) hides."""
    there = [(thing, box) for thing in things if (box := thing.box(frame)) is not None]
    seen = []
    for place, (thing, box) in enumerate(there):
        x, y = (np.linspace(box[axis], box[axis + 2], 12) for axis in (0, 1))
        hidden = np.zeros((12, 12), bool)
        for _, other in there[:place]:
            hidden |= ((y >= other[1]) & (y <= other[3]))[:, None] & ((x >= other[0]) & (x <= other[2]))[None]
        seen.append((thing, box, 1 - hidden.mean()))
    return seen


def found_of(rng, thing: Thing, box, share: float, confidence: float, noise: float) -> dict:
    side = np.tile(box[2:] - box[:2], 2)
    noisy = box + rng.normal(0, noise, 4) * side
    if share < 0.9:  # the detector sees less of it
        noisy[rng.integers(4)] += (1 - share) * 0.3 * side[0] * rng.choice([-1, 1])
    noisy = np.clip(noisy, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT])
    corners = np.concatenate([np.minimum(noisy[:2], noisy[2:] - 4), noisy[2:]])
    return {"id": thing.id, "name": thing.name, "confidence": round(float(np.clip(confidence, 0.05, 0.99)), 3), "box": extent(corners),
            "vector": int(thing.look * VARIANTS + rng.integers(VARIANTS))}  # fmt: skip


def extent(corners) -> list[float]:
    return [round(float(value), 2) for value in (*corners[:2], *(corners[2:] - corners[:2]))]


def frame_of(rng, things: list[Thing], frame: int, at: float, looks: int, cut: bool) -> dict:
    true, found = [], []
    for thing, box, share in shares_seen(things, frame):
        if share < VISIBLE:
            continue
        true.append({"id": thing.id, "name": thing.name, "box": extent(box)})
        if rng.random() > 0.04 + 0.5 * (1 - share):
            found.append(found_of(rng, thing, box, share, rng.normal(0.78 - 0.4 * (1 - share), 0.12), 0.03))
        if rng.random() < 0.02:
            found.append(found_of(rng, thing, box, share, rng.uniform(0.2, 0.55), 0.1) | {"id": 0})
    for _ in range(rng.poisson(0.3)):
        corner, size = rng.uniform([0, 0], [WIDTH - 160, HEIGHT - 160]), rng.uniform(40, 160, 2)
        found.append({"id": 0, "name": str(rng.choice(NAMES)), "confidence": round(float(rng.uniform(0.1, 0.65)), 3),
                      "box": extent(np.concatenate([corner, corner + size])), "vector": int(rng.integers(looks * VARIANTS))})  # fmt: skip
    return {"at": at, "cut": cut, "true": true, "found": [item for item in found if item["confidence"] >= 0.1]}


def clip_of(rng, name: str, kind: str, looks: int) -> dict:
    order = list(rng.permutation(looks))
    parts = {"shot": (0,), "cut": (0, 1), "return": (0, 1, 0)}[kind]
    frames_of_part = SECONDS * FPS // len(parts)
    first = [shot(rng, frames_of_part, order[: len(order) // 2], 1), shot(rng, frames_of_part, order[len(order) // 2 :], 100)]
    frames = []
    for number, part in enumerate(parts):
        things = first[part]
        if number == 2:  # the same things, elsewhere
            things = [Thing(t.id, t.name, t.look, t.size, path(rng, frames_of_part, t.size)) for t in things]
        for frame in range(frames_of_part):
            at = len(frames) / FPS
            frames.append(frame_of(rng, things, frame, at, looks, cut=number > 0 and frame == 0))
    return {"name": name, "kind": kind, "frames": frames}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--half", type=int, choices=(0, 1), default=0, help="which of the cut-outs")
    parser.add_argument("--photos", type=Path, default=ROOT / "build/samples/photos")
    parser.add_argument("--models", type=Path, default=ROOT / "build/models")
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    things = cut_outs(given.photos, given.models)[given.half :: 2]
    vectors = vectors_of([variant(thing, rng) for thing in things for _ in range(VARIANTS)], given.models)
    clips = [clip_of(rng, f"{given.seed}-{number}", KINDS[number % len(KINDS)], len(things)) for number in range(given.clips)]
    given.output.write_text(json.dumps({"vectors": vectors.round(4).tolist(), "clips": clips}))
    of_thing = vectors.reshape(len(things), VARIANTS, -1)
    same = np.einsum("tvd,twd->tvw", of_thing, of_thing)[:, *np.triu_indices(VARIANTS, 1)].ravel()
    different = np.einsum("tvd,uvd->tuv", of_thing, of_thing)[np.triu_indices(len(things), 1)].ravel()
    told = {name: [round(float(q), 3) for q in np.quantile(values, (0.05, 0.5, 0.95))] for name, values in
            (("same", same), ("different", different))}  # fmt: skip
    print(json.dumps({"things": len(things), "clips": len(clips), "cosines_5_50_95": told}))


if __name__ == "__main__":
    main()
