"""Prints the table of docs/duplicates.md: in how many of 64 bits perceptual hashes differ, by imagehash and Pillow.

usage: hash_distances.py FOLDER…     photos; rows are a photo against a variant of itself, then against the others
"""

import io
import itertools
import pathlib
import sys

import imagehash
import numpy as np
from PIL import Image, ImageOps

EDGE = 640  # the engine's working picture
LIMITS = (4, 6, 8, 10, 14, 18, 22)
NOT_PHOTOS = (".xmp",)
COPIES = ("orientation_",)  # one picture in eight orientations


def jpeg(picture, quality):
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=quality)
    return Image.open(data).convert("RGB")


def quarter(picture):
    return picture.resize((max(1, picture.width // 4), max(1, picture.height // 4)), Image.Resampling.LANCZOS)


def cropped(picture, part):
    width, height = picture.size
    return picture.crop((int(width * part), int(height * part), int(width * (1 - part)), int(height * (1 - part))))


def gamma(picture, value):
    return picture.point([round(255 * (level / 255) ** value) for level in range(256)] * 3)


VARIANTS = {
    "JPEG quality 40": lambda p: jpeg(p, 40),
    "reduced to 25 %": quarter,
    "reduced to 25 %, quality 40": lambda p: jpeg(quarter(p), 40),
    "greyscale": lambda p: p.convert("L").convert("RGB"),
    "gamma 0.7": lambda p: gamma(p, 0.7),
    "gamma 1.5": lambda p: gamma(p, 1.5),
    "1 % cropped on each side": lambda p: cropped(p, 0.01),
    "2.5 % cropped on each side": lambda p: cropped(p, 0.025),
    "5 % cropped on each side": lambda p: cropped(p, 0.05),
    "10 % cropped on each side": lambda p: cropped(p, 0.1),
}


def load(path):
    picture = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    return picture.reduce(max(picture.size) // 1200) if max(picture.size) > 1600 else picture


def phash(picture):
    if max(picture.size) > EDGE:
        picture = ImageOps.contain(picture, (EDGE, EDGE), Image.Resampling.LANCZOS)
    return int(str(imagehash.phash(picture)), 16)


def row(name, distances):
    values = np.array(distances)
    percentiles = [f"{np.percentile(values, q, method='nearest'):.0f}" for q in (0, 10, 50, 90, 100)]
    within = [f"{100 * (values <= limit).mean():.1f}" for limit in LIMITS]
    print("| " + " | ".join([name, *percentiles, *within]) + " |")


def main():
    files = [file for folder in sys.argv[1:] for file in sorted(pathlib.Path(folder).iterdir())
             if file.suffix not in NOT_PHOTOS and not file.name.startswith(COPIES)]
    hashes, distances = [], {name: [] for name in VARIANTS}
    for file in files:
        picture = load(file)
        hashes.append(phash(picture))
        for name, change in VARIANTS.items():
            distances[name].append((hashes[-1] ^ phash(change(picture))).bit_count())
    print("| | 0 % | 10 % | 50 % | 90 % | 100 % | " + " | ".join(f"≤ {limit}" for limit in LIMITS) + " |")
    print("| --- |" + " --- |" * (5 + len(LIMITS)))
    for name, values in distances.items():
        row(name, values)
    pairs = [((a ^ b).bit_count(), one.name, two.name)
             for (a, one), (b, two) in itertools.combinations(zip(hashes, files), 2)]
    row("another photo", [distance for distance, _, _ in pairs])
    print(f"\n{len(files)} photos, {len(pairs)} pairs; the nearest:")
    for pair in sorted(pairs)[:20]:
        print(*pair)


if __name__ == "__main__":
    main()
