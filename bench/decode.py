"""Decoding a 12-megapixel JPEG to thumbnail, working picture, screen and full size, beside Pillow, in turns: CPU
time of one thread, ratios of the medians.

usage: decode.py [--quick] [--bin FOLDER]
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parent.parent
PHOTO = pathlib.Path("/usr/share/wallpapers/SafeLanding/contents/images/5120x2880.jpg")
EDGES = (256, 640, 1024, 0)


def with_pillow(path, edge, draft):
    """Milliseconds of a full decode, resized; with `draft` Pillow may use the scaled DCT as far as it does by itself."""
    begin = time.process_time()
    with Image.open(path) as image:
        if edge and draft:
            image.thumbnail((edge, edge), Image.LANCZOS)
        elif edge:
            image.load()
            image.resize((edge, round(image.height * edge / image.width)), Image.LANCZOS)
        else:
            image.convert("RGB").load()
    return (time.process_time() - begin) * 1000


def with_engine(program, path, edge, quick):
    result = subprocess.run(
        [program, f"--benchmark_filter=^decode/{edge}$", "--benchmark_format=json",
         f"--benchmark_min_time={0 if quick else 0.2}"],
        env=os.environ | {"IE_BENCH_PICTURE": str(path)}, capture_output=True, check=True)
    return json.loads(result.stdout)["benchmarks"][0]["cpu_time"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build" / "release" / "bin")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "photo.jpg"
        source = Image.open(PHOTO).convert("RGB") if PHOTO.exists() else Image.effect_noise((5120, 2880), 60).convert("RGB")
        source.resize((4032, 3024), Image.LANCZOS).save(path, quality=92)
        print(f"{'edge':>6} {'ours ms':>9} {'full ms':>9} {'ratio':>6} {'draft ms':>9} {'ratio':>6}")
        for edge in EDGES:
            ours, full, draft = [], [], []
            for _ in range(1 if arguments.quick else 7):
                ours.append(with_engine(arguments.bin / "bench_decode", path, edge, arguments.quick))
                full.append(with_pillow(path, edge, draft=False))
                draft.append(with_pillow(path, edge, draft=True))
            a, b, c = map(statistics.median, (ours, full, draft))
            print(f"{edge or 'full':>6} {a:9.1f} {b:9.1f} {b / a:6.2f} {c:9.1f} {c / a:6.2f}")


if __name__ == "__main__":
    main()
