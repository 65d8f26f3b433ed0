"""Makes the pictures that the vision tests read, with what imagehash, numpy and scipy say of them.

usage: make_inputs.py SAMPLES FOLDER     SAMPLES is build/samples; writes FOLDER/manifest.json:
hashes  [{file, dhash, phash, full_dhash, full_phash, variants?}]: PPM at 640 px or less, imagehash of it and of the whole photo
luma    [{file, …}]: statistics of the same PPM's luma, by numpy
series  [{photo, kind, strengths, files, median}]: PGM of a photo degraded more and more by Pillow and numpy
"""

import json
import pathlib
import sys

import imagehash
import numpy as np
import scipy.ndimage
from PIL import Image, ImageFilter, ImageOps

EDGE, TILE = 640, 64
ODD_SIZES = ((1, 1), (2, 7), (9, 8), (8, 9), (32, 32), (5, 300), (300, 5), (33, 31), (640, 1), (131, 195))
VARIED = 12  # photos whose eight versions are hashed
SERIES_PHOTOS = 14
# Drawn, tiny, or copies of others in the set: no measure of photographic quality is promised on them.
NOT_PHOTOS = ("orientation_", "ela_", "page", "text", "sudoku", "blox", "cards", "box", "smarties", "right", "left0", "chicky")


def load(path: pathlib.Path) -> Image.Image:
    return ImageOps.exif_transpose(Image.open(path)).convert("RGB")


def reduce(picture: Image.Image, edge: int = EDGE) -> Image.Image:
    return ImageOps.contain(picture, (edge, edge), Image.Resampling.LANCZOS) if max(picture.size) > edge else picture


def versions(picture: Image.Image) -> list[Image.Image]:
    turned = [picture.rotate(-90 * turn, expand=True) for turn in range(4)]
    return [version for t in turned for version in (t, ImageOps.mirror(t))]


def hash_entry(name: str, reduced: Image.Image, full: Image.Image, with_versions: bool) -> dict:
    entry = {"file": name}
    for method in (imagehash.dhash, imagehash.phash):
        entry[method.__name__] = str(method(reduced))
        entry["full_" + method.__name__] = str(method(full))
    if with_versions:
        entry["variants"] = [[str(imagehash.dhash(v)), str(imagehash.phash(v))] for v in versions(reduced)]
    return entry


def tiles(values: np.ndarray):
    """The tiles of about 64 × 64; the last row and column take in what is left over."""
    rows, columns = (max(1, size // TILE) for size in values.shape)
    edges_y = [*range(0, rows * TILE, TILE), values.shape[0]]
    edges_x = [*range(0, columns * TILE, TILE), values.shape[1]]
    for top, bottom in zip(edges_y, edges_y[1:]):
        for left, right in zip(edges_x, edges_x[1:]):
            yield values[top:bottom, left:right]


def nearest_rank(values: list[float], fraction: float) -> float:
    return sorted(values)[int(fraction * (len(values) - 1) + 0.5)]


def luma_entry(name: str, picture: Image.Image) -> dict:
    luma = np.asarray(picture.convert("L"), np.float64)
    inside = np.s_[1:-1, 1:-1]
    laplacian = scipy.ndimage.convolve(luma, [[0, 1, 0], [1, -4, 1], [0, 1, 0]])[inside]
    noise = np.abs(scipy.ndimage.convolve(luma, [[1, -2, 1], [-2, 4, -2], [1, -2, 1]])[inside])
    sigmas = [np.sqrt(np.pi / 2) * tile.mean() / 6 for tile in tiles(noise)]
    usable = [s for s, tile in zip(sigmas, tiles(luma[inside])) if 16 <= tile.mean() <= 239] or sigmas
    r, g, b = (np.asarray(picture, np.float64)[..., channel] for channel in range(3))
    rg, yb = r - g, (r + g) / 2 - b
    return {
        "file": name,
        "histogram": np.bincount(luma.astype(int).ravel(), minlength=256).tolist(),
        "laplacian_variance": laplacian.var(),
        "laplacian_variance_top": nearest_rank([tile.var() for tile in tiles(laplacian)], 0.95),
        "noise_sigma": nearest_rank(usable, 0.10),
        "contrast": (luma / 255).std(),
        "colourfulness": np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean()),
    }


def with_noise(grey: Image.Image, sigma: float) -> Image.Image:
    noise = np.random.default_rng(7).normal(0, sigma, (grey.height, grey.width))
    return Image.fromarray(np.clip(np.rint(np.asarray(grey, np.float64) + noise), 0, 255).astype(np.uint8))


SERIES = {
    "blur": ((0, 0.5, 1, 2, 4), lambda grey, sigma: grey.filter(ImageFilter.GaussianBlur(sigma)) if sigma else grey),
    "noise": ((0, 2, 5, 10, 20, 40), with_noise),
    "darker": ((2, 3, 5), lambda grey, gamma: grey.point([round(255 * (i / 255) ** gamma) for i in range(256)])),
    "brighter": ((2, 3, 5), lambda grey, gamma: grey.point([round(255 * (i / 255) ** (1 / gamma)) for i in range(256)])),
}


def make_series(folder: pathlib.Path, name: str, picture: Image.Image) -> list[dict]:
    grey, made = reduce(picture).convert("L"), []
    for kind, (strengths, degrade) in SERIES.items():
        files = [f"{name}.{kind}.{strength}.pgm" for strength in strengths]
        for file, strength in zip(files, strengths):
            degrade(grey, strength).save(folder / file)
        median = float(np.median(np.asarray(grey)))
        made.append({"photo": name, "kind": kind, "strengths": strengths, "files": files, "median": median})
    return made


def main() -> None:
    samples, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {"hashes": [], "luma": [], "series": []}
    degraded = 0
    paths = [p for p in sorted((samples / "photos").iterdir()) if p.suffix in (".jpg", ".png")]
    paths += sorted((samples / "12mp").glob("*.jpg"))[:2]
    for number, path in enumerate(paths):
        full, name = load(path), path.name + ".ppm"
        reduced = reduce(full)
        reduced.save(folder / name)
        manifest["hashes"].append(hash_entry(name, reduced, full, number < VARIED))
        manifest["luma"].append(luma_entry(name, reduced))
        if degraded < SERIES_PHOTOS and min(full.size) >= 200 and not path.name.startswith(NOT_PHOTOS):
            manifest["series"] += make_series(folder, path.stem, full)
            degraded += 1
    random = np.random.default_rng(3)
    for width, height in ODD_SIZES:
        picture = Image.fromarray(random.integers(0, 256, (height, width, 3), np.uint8))
        name = f"odd_{width}x{height}.ppm"
        picture.save(folder / name)
        manifest["hashes"].append(hash_entry(name, picture, picture, True))
        if min(width, height) >= 3:
            manifest["luma"].append(luma_entry(name, picture))
    for level in (0, 127, 255):
        picture = Image.new("RGB", (200, 150), (level, level, level))
        picture.save(folder / f"flat_{level}.ppm")
        manifest["hashes"].append(hash_entry(f"flat_{level}.ppm", picture, picture, True))
    (folder / "manifest.json").write_text(json.dumps(manifest))


if __name__ == "__main__":
    main()
