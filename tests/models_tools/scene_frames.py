"""Frames as TransNetV2 takes them, with a cut, a dissolve and a fade through black, made of the sample photos."""

from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT, WINDOW, EDGE = 48, 27, 100, 25
PHOTOS = ["apple.jpg", "baboon.jpg", "building.jpg", "coffee.png", "messi5.jpg"]
SCENE = 40  # frames
CUT, DISSOLVE, FADE, SECOND_CUT = (SCENE * i for i in range(1, 5))  # where a scene begins; the middle of the gradual ones
COUNT = SCENE * len(PHOTOS)
HALF = 8  # frames, of a gradual change


def scene(path: Path, count: int) -> np.ndarray:
    """The camera moves to the right and a little down."""
    picture = np.asarray(Image.open(path).convert("RGB").resize((WIDTH * 2, HEIGHT * 2), Image.Resampling.BOX), np.float64)
    shown = [picture[i // 4 : i // 4 + HEIGHT, i // 2 : i // 2 + WIDTH] for i in range(count)]
    return np.stack(shown)


def frames(photos: Path) -> np.ndarray:
    """[COUNT, 27, 48, 3] uint8."""
    scenes = [scene(photos / name, SCENE + 2 * HALF) for name in PHOTOS]
    video = np.concatenate([shown[HALF : HALF + SCENE] for shown in scenes])
    share = np.linspace(0, 1, 2 * HALF + 2)[1:-1, None, None, None]
    ends, begins = scenes[1][SCENE:], scenes[2][: 2 * HALF]
    video[DISSOLVE - HALF : DISSOLVE + HALF] = ends * (1 - share) + begins * share
    for place in range(-HALF, HALF):
        video[FADE + place] *= abs(place + 0.5) / HALF
    return np.rint(video).astype(np.uint8)


def windows(video: np.ndarray) -> list[np.ndarray]:
    """Of 100 frames, 50 from one to the next; the first and last frames are repeated beyond the ends."""
    step = WINDOW - 2 * EDGE
    after = EDGE + -len(video) % step
    padded = np.concatenate([np.repeat(video[:1], EDGE, 0), video, np.repeat(video[-1:], after, 0)])
    return [padded[start : start + WINDOW] for start in range(0, len(padded) - WINDOW + 1, step)]
