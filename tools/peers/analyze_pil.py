"""What a person would write with Pillow, numpy and imagehash instead of `image-engine analyze`: a thumbnail of 256 px, the
EXIF tags, a hash, the same measures of quality and the same perceptual hashes of every JPEG under a folder, with a
process a core, into SQLite.

usage: analyze_pil.py FOLDER OUTPUT [--processes N]
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import sqlite3
from functools import partial
from pathlib import Path

import imagehash
import numpy as np
from PIL import ExifTags, Image, ImageOps


def exif_tags(picture: Image.Image) -> dict:
    exif = picture.getexif()
    tags = {ExifTags.TAGS.get(key, str(key)): str(value) for key, value in exif.items()}
    for directory, names in ((ExifTags.IFD.Exif, ExifTags.TAGS), (ExifTags.IFD.GPSInfo, ExifTags.GPSTAGS)):
        tags |= {names.get(key, str(key)): str(value) for key, value in exif.get_ifd(directory).items() if key != 0x927C}
    return tags


def quality(picture: Image.Image) -> dict:
    """Variance of the Laplacian, noise (Immerkaer), RMS contrast, clipping, colourfulness (Hasler and Suesstrunk)."""
    luma = np.asarray(picture.convert("L"), dtype=np.float32)
    middle, up, down = luma[1:-1, 1:-1], luma[:-2, 1:-1], luma[2:, 1:-1]
    left, right = luma[1:-1, :-2], luma[1:-1, 2:]
    corners = luma[:-2, :-2] + luma[:-2, 2:] + luma[2:, :-2] + luma[2:, 2:]
    laplacian = up + down + left + right - 4 * middle
    noise = np.abs(corners - 2 * (up + down + left + right) + 4 * middle).mean() * np.sqrt(np.pi / 2) / 6
    red, green, blue = (np.asarray(band, dtype=np.float32) for band in picture.split())
    rg, yb = red - green, (red + green) / 2 - blue
    colour = np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())
    return {"sharpness": float(laplacian.var()), "noise": float(noise), "contrast": float(luma.std() / 255),
            "clipped": float(((luma <= 2) | (luma >= 253)).mean()), "colourfulness": float(colour)}  # fmt: skip


def analyse(output: Path, path: Path) -> tuple:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        with Image.open(file) as picture:
            tags = exif_tags(picture)
            upright = ImageOps.exif_transpose(picture).convert("RGB")
    size = upright.size
    measures = quality(upright)
    hashes = {"dhash": str(imagehash.dhash(upright)), "phash": str(imagehash.phash(upright))}
    upright.thumbnail((256, 256))
    upright.save(output / f"{digest}.jpg", quality=85)
    return str(path), digest, *size, json.dumps(tags), json.dumps(measures), json.dumps(hashes)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    thumbnails = arguments.output / "thumbnails"
    thumbnails.mkdir(parents=True)
    paths = sorted(path for path in arguments.folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    database = sqlite3.connect(arguments.output / "photos.db")
    database.execute("CREATE TABLE photos (path TEXT PRIMARY KEY, sha256 TEXT, width INTEGER, height INTEGER, exif TEXT, quality TEXT, hashes TEXT)")
    with multiprocessing.Pool(arguments.processes) as pool, database:
        rows = pool.imap_unordered(partial(analyse, thumbnails), paths, chunksize=4)
        database.executemany("INSERT INTO photos VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


if __name__ == "__main__":
    main()
