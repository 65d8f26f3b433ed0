"""The tables of docs/quality.md: the measures on real photos, and on photos with known blur, noise and gamma.

usage: build/venv/bin/python tools/peers/quality_tables.py MEASURE_QUALITY FOLDER…     prints Markdown
MEASURE_QUALITY is the program build/<preset>/bin/measure_quality. Degraded pictures are made by Pillow and numpy.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps

# Drawn, not photographed, or copies of others in the set.
NOT_PHOTOS = ("orientation_", "ela_", "page", "text", "sudoku", "blox", "cards", "color", "logo", "phantom", "horse",
              "chessboard", "multipage", "no_time", "chicky", "smarties", "screenshot")
PERCENTILES = (0, 10, 25, 50, 75, 90, 100)
SERIES = {
    "Gaussian blur, σ in pixels": ((0, 0.5, 1, 2, 4, 8), lambda p, s: p.filter(ImageFilter.GaussianBlur(s)) if s else p),
    "Gaussian noise, σ of 255": ((0, 2, 5, 10, 20, 40), lambda p, s: with_noise(p, s)),
    "gamma (below 1 is brighter)": ((0.25, 0.5, 0.7, 1, 1.5, 2, 4), lambda p, g: p.point(gamma_table(g))),
}
EDGE = 1024  # of the pictures that are degraded


def gamma_table(gamma: float) -> list[int]:
    return [round(255 * (i / 255) ** gamma) for i in range(256)] * 3


def with_noise(picture: Image.Image, sigma: float) -> Image.Image:
    noise = np.random.default_rng(1).normal(0, sigma, (picture.height, picture.width, 1))
    return Image.fromarray(np.clip(np.rint(np.asarray(picture, np.float64) + noise), 0, 255).astype(np.uint8))


def photos(folders: list[str]) -> list[Path]:
    """Each file once, however many links there are to it."""
    found = {p.resolve() for folder in folders for p in Path(folder).rglob("*") if p.suffix in (".jpg", ".png")}
    return [p for p in sorted(found) if not p.name.startswith(NOT_PHOTOS)]


def measure(program: str, pictures: list[Image.Image]) -> list[dict]:
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.ppm"
        for picture in pictures:
            picture.save(path)
            lines.append(json.loads(subprocess.run([program, path], capture_output=True, check=True).stdout))
    return lines


def table(header: list[str], rows: list[list]) -> None:
    print("| " + " | ".join(header) + " |\n|" + " --- |" * len(header))
    for row in rows:
        print("| " + " | ".join(cell if isinstance(cell, str) else f"{cell:.3g}" for cell in row) + " |")
    print()


def main() -> None:
    program, paths = sys.argv[1], photos(sys.argv[2:])
    pictures = [ImageOps.exif_transpose(Image.open(path)).convert("RGB") for path in paths]
    results = measure(program, pictures)
    print(f"{len(results)} photos at full resolution:\n")
    rows = []
    for kind in ("measures", "quality"):
        for name in sorted(results[0][kind]):
            values = [result[kind][name] for result in results]
            rows.append([f"{name} ({kind})", *np.percentile(values, PERCENTILES)])
    table(["", *(f"{p} %" for p in PERCENTILES)], rows)

    small = [ImageOps.contain(picture, (EDGE, EDGE)) if max(picture.size) > EDGE else picture for picture in pictures]
    names = list(results[0]["quality"])
    for title, (strengths, degrade) in SERIES.items():
        print(f"{title}, medians over the same photos at {EDGE} px:\n")
        rows = []
        for strength in strengths:
            qualities = [line["quality"] for line in measure(program, [degrade(picture, strength) for picture in small])]
            rows.append([str(strength), *(float(np.median([q[name] for q in qualities])) for name in names)])
        table(["", *names], rows)


if __name__ == "__main__":
    main()
