"""How far the measures of a photo's tiles that are looked at (LumaTiles, docs/quality.md) are from those of all its tiles, by numpy: rank
correlations and the largest differences of the numbers from 0 to 1. Pictures: those of the folders that are large enough, the others
enlarged until they are, and the eight samples of 12 MP blurred and made noisy.

usage: tiles.py [--each N] FOLDER…      every N-th of the enlarged pictures
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

Image.MAX_IMAGE_PIXELS = None
EDGE, ENOUGH = 64, 400
ROOT = Path(__file__).resolve().parents[2]
MEASURES = ("sharpness", "noise", "exposure", "contrast", "score")


def rise(x: float, middle: float, power: float) -> float:
    return 1 / (1 + (middle / x) ** power) if x > 0 else 0.0


def tiles(values: np.ndarray, columns: int, rows: int) -> np.ndarray:
    """One tile a row: remainders are left out."""
    cut = values[: rows * EDGE, : columns * EDGE].reshape(rows, EDGE, columns, EDGE)
    return cut.swapaxes(1, 2).reshape(rows * columns, EDGE * EDGE)


def quality(luma: np.ndarray, laplacian: np.ndarray, noise: np.ndarray) -> dict:
    """docs/quality.md, of these tiles."""
    sigmas = np.sqrt(np.pi / 2) / 6 * noise.mean(1, dtype=np.float64)
    means = luma.mean(1, dtype=np.float64)
    usable = sigmas[(means >= 16) & (means <= 239)]
    sigma = np.quantile(usable if len(usable) else sigmas, 0.1, method="nearest")
    sharp = np.quantile(laplacian.var(1, dtype=np.float64), 0.95, method="nearest")
    counts = np.bincount(luma.ravel(), minlength=256) / luma.size
    levels = np.arange(256)
    mean = (counts * levels).sum()
    contrast = np.sqrt((counts * (levels - mean) ** 2).sum()) / 255
    exposed = (counts * np.exp(-((levels / 255 - 0.5) ** 2) / 0.08)).sum()
    clipped = counts[:3].sum() + counts[253:].sum()
    found = {"sharpness": rise(max(0.0, sharp - 22 * sigma**2), 150, 0.8), "noise": rise(sigma, 6, 2),
             "exposure": rise(exposed, 0.25, 2) * (1 - rise(clipped, 0.15, 1.5)), "contrast": rise(contrast, 0.15, 2)}  # fmt: skip
    found["score"] = found["sharpness"] ** 0.45 * found["exposure"] ** 0.25 * (1 - found["noise"]) ** 0.2 * found["contrast"] ** 0.1
    return found


def both(picture: Image.Image) -> tuple[dict, dict]:
    luma = np.asarray(picture.convert("L"))
    n = luma.astype(np.int16)
    cross = n[:-2, 1:-1] + n[2:, 1:-1] + n[1:-1, :-2] + n[1:-1, 2:]
    corners = n[:-2, :-2] + n[:-2, 2:] + n[2:, :-2] + n[2:, 2:]
    laplacian, noise = cross - 4 * n[1:-1, 1:-1], np.abs(corners - 2 * cross + 4 * n[1:-1, 1:-1])
    columns, rows = (luma.shape[1] - 2) // EDGE, (luma.shape[0] - 2) // EDGE
    step = max(1, int(np.sqrt(columns * rows / ENOUGH)))
    row, column = np.divmod(np.arange(columns * rows), columns)
    chosen = (row % step == 0) & ((column + row // step) % step == 0)
    parts = [tiles(values, columns, rows) for values in (luma[1:-1, 1:-1], laplacian, noise)]
    return quality(*parts), quality(*(part[chosen] for part in parts))


def large(path: Path) -> tuple[Image.Image, bool]:
    picture = Image.open(path).convert("L")
    factor = np.sqrt(8e6 / (picture.width * picture.height))
    if factor <= 1.1:
        return picture, False
    return picture.resize((round(picture.width * factor), round(picture.height * factor)), Image.LANCZOS), True


def noisy(picture: Image.Image, sigma: float) -> Image.Image:
    noise = np.random.default_rng(1).normal(0, sigma, (picture.height, picture.width)).astype(np.float32)
    return Image.fromarray(np.clip(np.rint(np.asarray(picture, np.float32) + noise), 0, 255).astype(np.uint8))


def ranks(values: list) -> np.ndarray:
    return np.argsort(np.argsort(values))


def report(name: str, pairs: list) -> None:
    print(f"| {name} | {len(pairs)} | " + " | ".join(
        f"{np.corrcoef(ranks([a[m] for a, _ in pairs]), ranks([b[m] for _, b in pairs]))[0, 1]:.4f}, {max(abs(a[m] - b[m]) for a, b in pairs):.3f}"
        for m in MEASURES) + " |", flush=True)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--each", type=int, default=1)
    arguments = parser.parse_args()
    print("| pictures | number | " + " | ".join(MEASURES) + " |\n|" + " --- |" * (len(MEASURES) + 2))
    files = sorted({p.resolve() for folder in arguments.folders for p in folder.rglob("*") if p.suffix in (".jpg", ".png")})
    files = [p for p in files if not p.name.startswith(("orientation_", "screenshot"))]
    as_they_are, enlarged = [], []
    for index, path in enumerate(files):
        with Image.open(path) as picture:
            is_small = picture.width * picture.height < 6.5e6
        if is_small and index % arguments.each != 0:
            continue
        picture, is_enlarged = large(path)
        (enlarged if is_enlarged else as_they_are).append(both(picture))
    report("large", as_they_are)
    report("enlarged", enlarged)
    originals = [Image.open(path).convert("L") for path in sorted((ROOT / "build/samples/12mp").glob("*.jpg"))]
    blurred = [both(p.filter(ImageFilter.GaussianBlur(s))) for s in (0.5, 1, 2, 4) for p in originals]
    with_noise = [both(noisy(p, s)) for s in (2, 5, 10, 20) for p in originals]
    report("blurred, σ 0.5 to 4", blurred)
    report("noisy, σ 2 to 20", with_noise)
    report("all", as_they_are + enlarged + blurred + with_noise)
    return 0


if __name__ == "__main__":
    sys.exit(main())
