"""Photos as raw RGB, and what the reference detectors (tools/reference) find in them with the models in MODELS.

usage: make_references.py SAMPLES MODELS FOLDER     MODELS is build/models; writes FOLDER/manifest.json:
photos      [{file, width, height}]
detectors   [{model, file, threshold, photos: [[[label, score, x, y, w, h]]]}], of the models that are there; objects of
            at least `threshold`, less 0.01, in the order of `photos`
"""

import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/reference"))

THRESHOLD = 0.4
MODELS = {"nanodet": ("nanodet", "nanodet.onnx"), "centernet": ("centernet", "centernet.onnx")}
NEAR = 0.01
MOST_PHOTOS = 40


def main() -> None:
    samples, models, folder = (pathlib.Path(argument) for argument in sys.argv[1:4])
    folder.mkdir(parents=True, exist_ok=True)
    present = {name: entry for name, entry in MODELS.items() if (models / name / entry[1]).exists()}
    if not present:
        (folder / "manifest.json").unlink(missing_ok=True)
        return print(f"no model in {models}")
    import detector

    paths = [p for p in sorted((samples / "photos").iterdir()) if p.suffix in (".jpg", ".png")][:MOST_PHOTOS]
    pictures = [detector.upright(path) for path in paths]
    manifest = {"photos": [], "detectors": []}
    for path, picture in zip(paths, pictures):
        (folder / f"{path.name}.rgb").write_bytes(picture.tobytes())
        manifest["photos"].append({"file": f"{path.name}.rgb", "width": picture.width, "height": picture.height})
    for name, (module, file) in present.items():
        reference = __import__(module).create(models / name / file, THRESHOLD - NEAR)
        found = [[[item["class"], item["score"], *item["box"]] for item in reference.detect(p)] for p in pictures]
        manifest["detectors"].append({"model": name, "file": str((models / name / file).resolve()), "threshold": THRESHOLD,
                                      "photos": found})
    (folder / "manifest.json").write_text(json.dumps(manifest))


if __name__ == "__main__":
    main()
