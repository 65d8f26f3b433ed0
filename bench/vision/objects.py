"""How well an object model finds what a person sees in the sample photos, and how much it sees in drawings: recall, precision and false
objects by the least confidence, of each half of bench/vision/objects.tsv. Without boxes: of a class in a picture as many are right as a
person counted.

usage: objects.py [--model NAME] [--bin FOLDER]      the model installed in build/models
"""

import argparse
import collections
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"": ROOT / "build/samples/photos", "W/": Path("/usr/share/wallpapers")}
THRESHOLDS = (0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7)


@dataclass(frozen=True)
class Picture:
    half: str
    kind: str
    path: Path
    counts: dict  # class → number
    open_ended: set  # of which there may be more
    may: str


def pictures() -> list[Picture]:
    result = []
    for line in (Path(__file__).parent / "objects.tsv").read_text().splitlines():
        if line.startswith("#"):
            continue
        half, kind, name, objects, may = (line.split("\t") + ["", ""])[:5]
        prefix = "W/" if name.startswith("W/") else ""
        seen = re.findall(r"([a-z][a-z ]*):(\d+)(\+?)", objects)
        counts = {name.strip(): int(count) for name, count, _ in seen}
        open_ended = {name.strip() for name, _, more in seen if more}
        result.append(Picture(half, kind, (FOLDERS[prefix] / name.removeprefix(prefix)).resolve(), counts, open_ended, may))
    return result


def find(engine: Path, model: str, wanted: list[Picture]) -> dict[Path, list]:
    """Path → (class, confidence) of all that the model is at least the lowest threshold sure of."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "image-engine/models").mkdir(parents=True)
        (home / "image-engine/models/unsure.yaml").write_text(
            f"models:\n  unsure:\n    like: {model}\n    options: {{threshold: {min(THRESHOLDS)}}}\n")
        (home / "installed").mkdir()
        (home / "installed/unsure").symlink_to(ROOT / "build/models" / model)
        environment = os.environ | {"XDG_CONFIG_HOME": folder, "XDG_CACHE_HOME": folder, "IMAGE_ENGINE_MODELS": str(home / "installed")}
        done = subprocess.run([engine, "analyze", *{picture.path for picture in wanted}, "--catalog", home / "catalog.db", "--only", "objects",
                               "--object-model", "unsure", "--json"], env=environment, capture_output=True, check=True)  # fmt: skip
    found = {}
    for asset in json.loads(done.stdout)["assets"]:
        for file in asset["files"]:
            found[Path(file["path"]).resolve()] = [(o["object"], o["confidence"]) for o in asset.get("objects", [])]
    return found


def judge(chosen: list[Picture], found: dict, threshold: float) -> tuple[int, int]:
    """How many objects are right, and how many are not there."""
    right = wrong = 0
    for picture in chosen:
        names = collections.Counter(name for name, confidence in found[picture.path] if confidence >= threshold)
        for name, count in names.items():
            seen = picture.counts.get(name, 0)
            right += min(seen, count)
            if name not in picture.open_ended and (seen > 0 or name not in picture.may):
                wrong += max(0, count - seen)
    return right, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="nanodet")
    parser.add_argument("--bin", type=Path, default=ROOT / "build/release/bin")
    arguments = parser.parse_args()
    listed = pictures()
    there = [picture for picture in listed if picture.path.exists()]
    if len(there) < len(listed):
        print(f"{len(listed) - len(there)} of {len(listed)} pictures are not installed", file=sys.stderr)
    found = find(arguments.bin / "image-engine", arguments.model, there)
    for half in ("tune", "check"):
        photos, drawings = ([p for p in there if p.half == half and p.kind == kind] for kind in ("photo", "drawing"))
        objects = sum(sum(p.counts.values()) for p in photos)
        print(f"\n{half}: {len(photos)} photos with {objects} objects, {len(drawings)} drawings\n")
        print("| least confidence | recall | precision | false in photos | false in drawings |\n| --- | --- | --- | --- | --- |")
        for threshold in THRESHOLDS:
            right, wrong = judge(photos, found, threshold)
            precision = f"{right / (right + wrong):.2f}" if right + wrong else "–"
            print(f"| {threshold} | {right / objects:.2f} | {precision} | {wrong} | {judge(drawings, found, threshold)[1]} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
