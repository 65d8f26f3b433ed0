"""What a person would write with Pillow, numpy, imagehash and onnxruntime instead of `image-engine analyze` with objects: of
every JPEG under a folder a thumbnail of 256 px, the EXIF tags, hashes, measures of quality and the objects that NanoDet
finds, with a process a core, into JSON. Thumbnails lie in OUT.thumbnails.

usage: analyze_script.py FOLDER -o OUT.json --model NANODET.onnx [--processes N]
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a process a core is enough

import argparse
import hashlib
import io
import json
import multiprocessing
import sys
from pathlib import Path

import imagehash
from PIL import Image, ImageOps

sys.path.append(str(Path(__file__).resolve().parents[1] / "reference"))
import nanodet
from analyze_pil import exif_tags, quality

state = {}  # of one process


def start(model: Path, thumbnails: Path) -> None:
    state.update(detector=nanodet.create(model), thumbnails=thumbnails)


def analyse(path: Path) -> dict:
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    with Image.open(io.BytesIO(data)) as picture:
        tags = exif_tags(picture)
        upright = ImageOps.exif_transpose(picture).convert("RGB")
    record = {"path": str(path), "sha256": digest, "width": upright.width, "height": upright.height, "exif": tags}
    record |= {"quality": quality(upright), "dhash": str(imagehash.dhash(upright)), "phash": str(imagehash.phash(upright))}
    record["objects"] = state["detector"].detect(upright)
    upright.thumbnail((256, 256))
    upright.save(state["thumbnails"] / f"{digest}.jpg", quality=85)
    return record


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    thumbnails = arguments.output.with_suffix(".thumbnails")
    thumbnails.mkdir(parents=True)
    paths = sorted(path for path in arguments.folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    with multiprocessing.Pool(arguments.processes, start, (arguments.model, thumbnails)) as pool:
        arguments.output.write_text(json.dumps(list(pool.imap(analyse, paths, chunksize=4))))


if __name__ == "__main__":
    main()
