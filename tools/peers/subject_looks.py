"""Prints the table of docs/duplicates.md on subjects before other backgrounds, by numpy, imagehash and Pillow.

usage: subject_looks.py FOLDER…     photos: parts of them are the subjects, the others the backgrounds

A subject is a part of a photo with one of a few outlines, put before several other photos at another place, size,
brightness and JPEG quality. Its mask is the true one at 256 × 256 with an edge that is wrong by as much as a model's.
"""

import io
import itertools
import pathlib
import random
import sys

import imagehash
import numpy as np
from PIL import Image, ImageEnhance, ImageOps

SIZE = (1024, 768)
OUTLINES, BACKGROUNDS = 6, 4
LIMITS = (4, 6, 8, 10, 12, 14, 18)
MASK_EDGE = 256
SHAPE_BITS, ASPECT = 26, 8  # as in src/vision/subject_look.cpp
EDGE = 32


def look_of(picture, mask):
    """src/vision/subject_look.h in numpy: hash, chroma, shape, aspect. `mask`: bool, of any size."""
    pixels = np.asarray(picture.convert("RGB"), float)
    height, width = pixels.shape[:2]
    rows, columns = np.nonzero(mask)
    x, y = (columns + 0.5) / mask.shape[1] * width, (rows + 0.5) / mask.shape[0] * height
    left, top, across, down = x.mean() - 2 * x.std(), y.mean() - 2 * y.std(), 4 * x.std(), 4 * y.std()
    inside = mask[np.arange(height) * mask.shape[0] // height][:, np.arange(width) * mask.shape[1] // width]
    cell_x = np.floor((np.arange(width) + 0.5 - left) / across * EDGE).astype(int)
    cell_y = np.floor((np.arange(height) + 0.5 - top) / down * EDGE).astype(int)
    in_window = np.outer((cell_y >= 0) & (cell_y < EDGE), (cell_x >= 0) & (cell_x < EDGE))
    cell = np.clip(cell_y, 0, EDGE - 1)[:, None] * EDGE + np.clip(cell_x, 0, EDGE - 1)
    of_subject = in_window & inside
    count = lambda where, weights=None: np.bincount(cell[where], weights, EDGE * EDGE)  # noqa: E731
    all_pixels, of_cell = count(in_window), count(of_subject)
    sums = np.stack([count(of_subject, pixels[..., c][of_subject]) for c in range(3)], -1)
    is_inside = (of_cell > 0) & (of_cell >= 0.5 * all_pixels)
    colours = np.where(is_inside[:, None], sums / np.maximum(of_cell, 1)[:, None], sums.sum(0) / of_cell.sum())
    window = np.floor(colours + 0.5).astype(np.uint8).reshape(EDGE, EDGE, 3)
    shape = is_inside.reshape(EDGE // 2, 2, EDGE // 2, 2).sum((1, 3)) >= 2
    parts = window.astype(float).reshape(4, 8, 4, 8, 3).mean((1, 3)).reshape(16, 3)
    chroma = parts @ np.array([[-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]).T
    bits = imagehash.phash(Image.fromarray(window)).hash
    return {"hash": bits.ravel(), "chroma": np.rint(chroma), "shape": shape.ravel(), "aspect": round(128 + 32 * np.log2(across / down))}


def same_colours(one, other):
    """docs/duplicates.md, Colours."""
    one, other = (chroma[:, 0] + 1j * chroma[:, 1] for chroma in (one, other))
    energy = lambda c: (abs(c) ** 2).mean()  # noqa: E731
    more, less = sorted((one, other), key=energy, reverse=True)
    if energy(more) == 0:
        return True
    gain = np.clip((np.conj(more) * less).real.mean() / energy(more), 0.7, 1)
    return energy(less - gain * more) ** 0.5 <= 2.5 + 0.15 * energy(less) ** 0.5


def fits(one, other):
    return ((one["shape"] != other["shape"]).sum() <= SHAPE_BITS and abs(one["aspect"] - other["aspect"]) <= ASPECT
            and same_colours(one["chroma"], other["chroma"]))  # fmt: skip


def outline(number, size, wrong=None):
    """Wavy, 0…1. `wrong`: a generator by which the edge is moved by up to 3 % of the radius, smoothly."""
    wave = np.random.default_rng(number)
    x, y = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size))
    angle, radius = np.arctan2(y, x), np.full((size, size), 0.8)
    for k in range(2, 7):
        radius += wave.uniform(-0.12, 0.12) / np.sqrt(k) * np.sin(k * angle + wave.uniform(0, 6.28))
    if wrong is not None:
        for k in (3, 5, 9, 14):
            radius += wrong.uniform(-0.015, 0.015) * np.sin(k * angle + wrong.uniform(0, 6.28))
    return np.clip((radius - np.hypot(x, y)) * size / 4 + 0.5, 0, 1)


def composite(subject, number, background, chance):
    wrong = np.random.default_rng(chance.randrange(1 << 30))
    picture = ImageOps.fit(background, SIZE)
    width, height = (round(SIZE[1] * chance.uniform(0.35, 0.8)),) * 2
    cut = ImageEnhance.Brightness(ImageOps.fit(subject, (width, height))).enhance(chance.uniform(0.85, 1.15))
    place = (chance.randint(0, SIZE[0] - width), chance.randint(0, SIZE[1] - height))
    picture.paste(cut, place, Image.fromarray(np.uint8(255 * outline(number, width))))
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=chance.randint(70, 95))
    seen = np.zeros(SIZE[::-1], np.float32)
    seen[place[1] : place[1] + height, place[0] : place[0] + width] = outline(number, width, wrong)
    mask = np.asarray(Image.fromarray(seen).resize((MASK_EDGE, MASK_EDGE), Image.BOX)) >= 0.5
    return look_of(Image.open(data), mask)


def load(path):
    picture = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    picture.thumbnail((1200, 1200))
    return picture


def main():
    paths = [path for folder in sys.argv[1:] for path in sorted(pathlib.Path(folder).iterdir()) if path.suffix in (".jpg", ".png", ".jpeg")]
    paths = [path for path in paths if not path.stem.startswith(("orientation_", "left", "right0", "text", "page", "sudoku"))]
    photos, chance, looks = [load(path) for path in paths], random.Random(5), []
    backgrounds = chance.sample(range(len(photos)), 8)
    for index, subject in enumerate(photos):
        if index in backgrounds or np.asarray(subject.convert("L")).std() < 12:
            continue
        for background in chance.sample(backgrounds, BACKGROUNDS):
            looks.append((index, background, composite(subject, index % OUTLINES, photos[background], chance)))
    kinds = {"one subject, two backgrounds": [], "two subjects, one background": [], "two subjects, two backgrounds": []}
    for (subject, background, look), (other, behind, second) in itertools.combinations(looks, 2):
        kind = 0 if subject == other else 1 if background == behind else 2
        distance = int((look["hash"] != second["hash"]).sum())
        kinds[list(kinds)[kind]].append((distance, distance <= LIMITS[-1] and fits(look, second), subject, other))
    print(f"{len(looks)} composites of {len({look[0] for look in looks})} subjects")
    print("| | pairs | 10 % | 50 % | 90 % | " + " | ".join(f"≤ {limit}" for limit in LIMITS) + " |\n" + "| --- " * (5 + len(LIMITS)) + "|")
    for kind, pairs in kinds.items():
        distances, fit = np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])
        few = " | ".join(f"{np.percentile(distances, p):.0f}" for p in (10, 50, 90))
        for name, of in ((kind, np.ones(len(pairs), bool)), ("… and the rest fits", fit)):
            shares = " | ".join(f"{100 * ((distances <= limit) & of).mean():.2f}" for limit in LIMITS)
            print(f"| {name} | {len(pairs) if name == kind else ''} | {few if name == kind else ' | | '} | {shares} |")
    for kind in list(kinds)[1:]:
        for distance, fit, subject, other in sorted(kinds[kind])[:6]:
            print(f"{kind}: {distance} bits{', fits' if fit else ''}: {paths[subject].name}, {paths[other].name}")


if __name__ == "__main__":
    main()
