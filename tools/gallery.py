"""Before and after, side by side, of each plugin that comes with the program, on the sample photos: PNG files in build/gallery.

Uses the program of build/release, the models of build/models and the photos of build/samples; nothing of them is in the repository.

usage: gallery.py [--engine PROGRAM] [--models FOLDER] [--output FOLDER]
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageOps

ROOT = Path(__file__).resolve().parents[1]
HIGH, GAP, SQUARE = 360, 12, 12  # pixels: of a picture, between two, of the pattern under transparency

# Name, photo, plugin, output of the plugin, its parameters.
PICTURES = [
    ("privacy-blur-faces", "astronaut.png", "privacy-blur", "private", ()),
    ("privacy-blur-solid", "basketball1.png", "privacy-blur", "private", ("target=people", "style=solid", "margin=0.1")),
    ("privacy-blur-background", "astronaut.png", "privacy-blur", "private", ("target=background", "style=blur")),
    ("background-removal", "astronaut.png", "background-removal", "cutout", ("target=person",)),
    ("background-removal-blur", "astronaut.png", "background-removal", "cutout", ("target=person", "background=blur")),
    ("subject-isolation", "astronaut.png", "subject-isolation", "subject", ("target=person",)),
]  # fmt: skip


def on_squares(picture: Image.Image) -> Image.Image:
    """With grey squares where it is transparent."""
    picture = picture.convert("RGBA")
    squares = Image.new("RGBA", picture.size, (255, 255, 255, 255))
    for y in range(0, picture.height, SQUARE):
        for x in range(y // SQUARE % 2 * SQUARE, picture.width, 2 * SQUARE):
            squares.paste((205, 205, 205, 255), (x, y, x + SQUARE, y + SQUARE))
    return Image.alpha_composite(squares, picture).convert("RGB")


def opened(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        upright = ImageOps.exif_transpose(picture)
        return on_squares(upright.resize((max(1, round(upright.width * HIGH / upright.height)), HIGH), Image.Resampling.LANCZOS))


def side_by_side(before: Path, after: Path) -> Image.Image:
    left, right = opened(before), opened(after)
    page = Image.new("RGB", (left.width + GAP + right.width, HIGH), (255, 255, 255))
    page.paste(left, (0, 0))
    page.paste(right, (left.width + GAP, 0))
    return page


def made(engine: Path, models: Path, scratch: Path, photo: Path, plugin: str, output: str, values: tuple) -> Path:
    """The file that the plugin makes of the photo."""
    command = [engine, "plugins", "run", plugin, photo, "-o", scratch / "out", "--force", "--quiet", "--catalog", scratch / "catalog.db"]
    for value in values:
        command += ["--set", value]
    homes = {f"XDG_{kind}_HOME": str(scratch / kind.lower()) for kind in ("DATA", "CONFIG", "CACHE")}
    done = subprocess.run([str(part) for part in command], env=os.environ | homes | {"IMAGE_ENGINE_MODELS": str(models)}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return scratch / "out" / f"{photo.stem}-{output}.png"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--engine", type=Path, default=ROOT / "build/release/bin/image-engine")
    parser.add_argument("--models", type=Path, default=ROOT / "build/models")
    parser.add_argument("--output", type=Path, default=ROOT / "build/gallery")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        for name, photo, plugin, output, values in PICTURES:
            source = ROOT / "build/samples/photos" / photo
            try:
                side_by_side(source, made(given.engine, given.models, Path(scratch), source, plugin, output, values)).save(given.output / f"{name}.png")
                print(given.output / f"{name}.png")
            except (OSError, RuntimeError) as error:
                failed += 1
                print(f"gallery: {name}: {error}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
