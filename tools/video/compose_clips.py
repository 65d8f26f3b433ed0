#!/usr/bin/env python3
"""Cuts real footage together with known scene changes: writes an MP4 and, beside it, its truth as JSON.

usage: compose_clips.py FOOTAGE.json SET SEED OUTPUT.mp4 FOLDER…    FOLDER: where the files of the footage are
       optional before the others: --scenes N (24), --changes KIND[,KIND…] (cut,fade,dissolve)

FOOTAGE.json: {SET: [{"file": NAME, "crop": "W:H:X:Y" (optional, of ffmpeg), "shots": [[FIRST, LAST], …]}]}: frames of the file between which
it has no scene change. The same footage, set and seed give the same frames.

OUTPUT.json: {"fps", "frames", "changes": [{"kind", "from", "to"}], "disturbances": [{"kind", "from", "to"}]}. A change goes from the last frame
wholly of the old scene to the first wholly of the new one. Flashes, shakes and jumps of brightness are disturbances: no change of scene.
"""

import argparse
import json
import pathlib
import subprocess
import sys

import numpy as np

WIDTH, HEIGHT, FPS = 256, 144, 25
MARGIN = 12  # pixels around the picture that shakes move into view
SCENE = (22, 60)  # frames of a scene without changes in it: 0.9 to 2.4 s
DISSOLVE = (8, 40)  # frames mixed of both scenes
RAMP = (5, 16)  # frames in which a scene fades out or in
HOLD = (0, 10)  # frames between them
SHARES = {"cut": 0.55, "fade": 0.2, "dissolve": 0.25}
DISTURBED = {"flash": 0.15, "shake": 0.15, "brightness": 0.05}  # of scenes
WHITE_SHARE = 0.25  # of fades
DISTURBANCE = {"flash": (1, 4), "shake": (8, 16), "brightness": (1, 1)}  # frames
KEPT = 3  # frames at both ends of a scene that nothing disturbs
NO_CHANGE = {"kind": "none", "leaving": 0, "entering": 0, "hold": 0}


def fail(message: str) -> None:
    sys.exit(f"compose_clips: {message}")


def find(name: str, folders: list[pathlib.Path]) -> pathlib.Path:
    for folder in folders:
        if found := next(folder.rglob(name), None):
            return found
    fail(f"{name} is in none of {', '.join(map(str, folders))}: name the folder that has it")


def decode(path: pathlib.Path, crop: str | None) -> np.ndarray:
    width, height = WIDTH + 2 * MARGIN, HEIGHT + 2 * MARGIN
    filters = ([f"crop={crop}"] if crop else []) + [f"scale={width}:{height}:force_original_aspect_ratio=increase:flags=area",
                                                   f"crop={width}:{height}"]  # fmt: skip
    # "-vsync", not "-fps_mode", which older releases lack: each frame as it is coded, none repeated or dropped
    command = ["ffmpeg", "-v", "error", "-i", path, "-vf", ",".join(filters), "-vsync", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        fail(f"ffmpeg cannot read {path}: {done.stderr.decode(errors='replace').strip()}")
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width, 3)


def read_set(footage: pathlib.Path, name: str) -> list[dict]:
    sets = json.loads(footage.read_text())
    if name not in sets:
        fail(f"{footage} has no set {name}, only {', '.join(sets)}")
    return sets[name]


def load_shots(sources: list[dict], folders: list[pathlib.Path]) -> list[np.ndarray]:
    """The shots of one set of the footage."""
    shots = []
    for source in sources:
        frames = decode(find(source["file"], folders), source.get("crop"))
        shots += [frames[first : last + 1] for first, last in source["shots"]]
    return shots


class Composer:
    def __init__(self, shots: list[np.ndarray], seed: int, kinds: list[str]):
        self.shots, self.random, self.kinds = shots, np.random.default_rng(seed), kinds
        self.frames: list[np.ndarray] = []
        self.changes: list[dict] = []
        self.disturbances: list[dict] = []

    def between(self, limits: tuple[int, int]) -> int:
        return int(self.random.integers(limits[0], limits[1] + 1))

    def compose(self, scenes: int) -> None:
        """Scenes of a length that is drawn, from shots that are drawn; none follows another of its own shot."""
        shot, change, tail = None, NO_CHANGE, None
        for left in range(scenes, 0, -1):
            shot = self.draw_shot(shot)
            following = self.draw_change() if left > 1 else NO_CHANGE
            scene = self.draw_scene(shot, change, following)
            if tail is not None:
                self.join(change, tail, scene[: change["entering"]])
            end = len(scene) - following["leaving"]
            self.frames += list(scene[change["entering"] : end])
            change, tail = following, scene[end:]

    def draw_shot(self, before: int | None) -> int:
        return int(self.random.choice([number for number in range(len(self.shots)) if number != before]))

    def draw_change(self) -> dict:
        shares = np.array([SHARES[kind] for kind in self.kinds])
        kind = str(self.random.choice(self.kinds, p=shares / shares.sum()))
        if kind == "cut":
            return NO_CHANGE | {"kind": kind}
        if kind == "dissolve":
            length = self.between(DISSOLVE)
            return {"kind": kind, "leaving": length, "entering": length, "hold": 0}
        colour = 255 if self.random.random() < WHITE_SHARE else 0
        return {"kind": kind, "leaving": self.between(RAMP), "entering": self.between(RAMP), "hold": self.between(HOLD), "colour": colour}

    def draw_scene(self, number: int, before: dict, after: dict) -> np.ndarray:
        """Frames of a shot, to and fro where it is too short; half of them mirrored; some disturbed where no change of scene is."""
        shot, alone = self.shots[number], self.between(SCENE)
        length = before["entering"] + alone + after["leaving"]
        start = int(self.random.integers(0, max(1, len(shot) - length + 1)))
        there_and_back = np.concatenate([np.arange(len(shot)), np.arange(len(shot) - 2, 0, -1)])
        frames = shot[there_and_back[(start + np.arange(length)) % len(there_and_back)]]
        if self.random.random() < 0.5:
            frames = frames[:, :, ::-1]
        moves = np.zeros((length, 2), int)
        frames = self.disturb(frames, moves, before, range(before["entering"] + KEPT, before["entering"] + alone - KEPT))
        return np.stack([frame[MARGIN + y : MARGIN + y + HEIGHT, MARGIN + x : MARGIN + x + WIDTH] for frame, (y, x) in zip(frames, moves)])

    def disturb(self, frames: np.ndarray, moves: np.ndarray, before: dict, where: range) -> np.ndarray:
        kind = str(self.random.choice([*DISTURBED, "none"], p=[*DISTURBED.values(), 1 - sum(DISTURBED.values())]))
        if kind == "none":
            return frames
        length = self.between(DISTURBANCE[kind])
        start = where.start + int(self.random.integers(0, len(where) - length + 1))
        end = start + length
        frames = frames.copy()
        if kind == "shake":
            moves[start:end] = self.random.integers(-MARGIN, MARGIN + 1, (length, 2))
        elif kind == "flash":
            strength = self.random.uniform(0.4, 1.0)
            frames[start:end] = toward(frames[start:end], 255, np.full(length, strength))
        else:  # a lamp is turned on or off, or the camera's exposure changes
            frames[start:] = np.minimum(frames[start:] * self.random.choice([0.7, 1.35]), 255).astype(np.uint8)
        # A scene begins where the mixed frames of a dissolve do, and after the old one's in a fade.
        first = len(self.frames) + (before["leaving"] + before["hold"] if before["kind"] == "fade" else 0)
        self.disturbances.append({"kind": kind, "from": first + start - 1, "to": first + end})
        return frames

    def join(self, change: dict, old: np.ndarray, new: np.ndarray) -> None:
        first = len(self.frames) - 1
        if change["kind"] == "dissolve":
            weights = (np.arange(1, len(new) + 1) / (len(new) + 1))[:, None, None, None]
            self.frames += list((old * (1 - weights) + new * weights + 0.5).astype(np.uint8))
        elif change["kind"] == "fade":
            self.frames += list(toward(old, change["colour"], np.arange(1, len(old) + 1) / len(old)))
            self.frames += [np.full((HEIGHT, WIDTH, 3), change["colour"], np.uint8)] * change["hold"]
            self.frames += list(toward(new, change["colour"], np.arange(len(new), 0, -1) / len(new)))
        self.changes.append({"kind": change["kind"], "from": first, "to": len(self.frames)})

    def write(self, output: pathlib.Path) -> None:
        command = ["ffmpeg", "-y", "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(FPS), "-i", "-",
                   "-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p", "-fflags", "+bitexact", output]  # fmt: skip
        done = subprocess.run(command, input=np.stack(self.frames).tobytes(), stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            fail(f"ffmpeg cannot write {output}: {done.stderr.decode(errors='replace').strip()}")
        truth = {"fps": FPS, "frames": len(self.frames), "changes": self.changes, "disturbances": self.disturbances}
        output.with_suffix(".json").write_text(json.dumps(truth, indent=1))


def toward(frames: np.ndarray, colour: int, shares: np.ndarray) -> np.ndarray:
    shares = shares[:, None, None, None]
    return (frames * (1 - shares) + colour * shares + 0.5).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n\n")[0])
    parser.add_argument("--scenes", type=int, default=24)
    parser.add_argument("--changes", default=",".join(SHARES))
    parser.add_argument("footage", type=pathlib.Path)
    parser.add_argument("set")
    parser.add_argument("seed", type=int)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("folders", type=pathlib.Path, nargs="+")
    arguments = parser.parse_args()
    composer = Composer(load_shots(read_set(arguments.footage, arguments.set), arguments.folders), arguments.seed, arguments.changes.split(","))
    composer.compose(arguments.scenes)
    composer.write(arguments.output)


if __name__ == "__main__":
    main()
