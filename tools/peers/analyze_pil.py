"""What a person would write with Pillow instead of `image-engine analyze`: a thumbnail of 256 px, the EXIF tags and a hash
of every JPEG under a folder, on all cores, into SQLite.

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

from PIL import ExifTags, Image, ImageOps


def exif_tags(picture: Image.Image) -> dict:
    exif = picture.getexif()
    tags = {ExifTags.TAGS.get(key, str(key)): str(value) for key, value in exif.items()}
    for directory, names in ((ExifTags.IFD.Exif, ExifTags.TAGS), (ExifTags.IFD.GPSInfo, ExifTags.GPSTAGS)):
        tags |= {names.get(key, str(key)): str(value) for key, value in exif.get_ifd(directory).items() if key != 0x927C}
    return tags


def analyse(output: Path, path: Path) -> tuple:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        with Image.open(file) as picture:
            size = picture.size
            tags = exif_tags(picture)
            picture.thumbnail((256, 256))
            ImageOps.exif_transpose(picture).convert("RGB").save(output / f"{digest}.jpg", quality=85)
    return str(path), digest, *size, json.dumps(tags)


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
    database.execute("CREATE TABLE photos (path TEXT PRIMARY KEY, sha256 TEXT, width INTEGER, height INTEGER, exif TEXT)")
    with multiprocessing.Pool(arguments.processes) as pool, database:
        rows = pool.imap_unordered(partial(analyse, thumbnails), paths, chunksize=4)
        database.executemany("INSERT INTO photos VALUES (?, ?, ?, ?, ?)", rows)


if __name__ == "__main__":
    main()
