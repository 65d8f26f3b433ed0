"""Which pictures are taken for drawings of flat colours, and what NanoDet sees in those: drawings of ten kinds by Pillow (JPEG of quality 60
to 95, PNG, WebP; 640 to 4000 pixels), and the sample photos as they are, overexposed, darkened, blurred and compressed harder.

usage: drawings.py [--bin FOLDER]      nanodet is installed in build/models
"""

import argparse
import json
import os
import random
import subprocess
import tempfile
from pathlib import Path

import objects
from PIL import Image, ImageDraw, ImageFilter, ImageFont

ROOT = Path(__file__).resolve().parents[2]
FACE = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
SIZES = {"tune": [(640, 480), (2400, 1600)], "check": [(1200, 900), (3000, 4000)]}
FORMATS = [(".jpg", {"quality": 60}), (".jpg", {"quality": 75}), (".jpg", {"quality": 85}), (".jpg", {"quality": 95}), (".png", {}),
           (".webp", {"quality": 80})]  # fmt: skip
HARD = {
    "overexposed": lambda image: image.point(lambda level: min(255, level * 3)),
    "dark": lambda image: image.point(lambda level: max(0, (level - 90) * 7 // 10)),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(12)),
    "quality 40": lambda image: image,
}
THRESHOLDS = (0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)


class Painter:
    def __init__(self, seed: str):
        self.chance = random.Random(seed)

    def colour(self):
        return tuple(self.chance.randrange(256) for _ in range(3))

    def shapes(self, size, count, background=None):
        image = Image.new("RGB", size, background or self.colour())
        draw, (width, height) = ImageDraw.Draw(image), size
        for _ in range(count):
            x, y, edge = self.chance.randrange(width), self.chance.randrange(height), self.chance.randrange(width // 20, width // 3)
            match self.chance.randrange(3):
                case 0:
                    draw.ellipse((x, y, x + edge, y + edge * self.chance.uniform(0.5, 1.5)), fill=self.colour())
                case 1:
                    draw.rectangle((x, y, x + edge, y + edge), fill=self.colour(), outline=self.colour(), width=width // 200)
                case _:
                    corners = [(x + self.chance.randrange(edge), y + self.chance.randrange(edge)) for _ in range(5)]
                    draw.polygon(corners, fill=self.colour())
        return image

    def chart(self, size):
        image = Image.new("RGB", size, "white")
        draw, (width, height) = ImageDraw.Draw(image), size
        for bar in range(1, 9):
            top = height * self.chance.uniform(0.1, 0.8)
            draw.rectangle((width * bar / 10, top, width * (bar + 0.7) / 10, height * 0.9), fill=self.colour())
            draw.text((width * bar / 10, height * 0.92), f"20{bar:02}", fill="black", font=ImageFont.truetype(FACE, height // 30))
        return image

    def pie(self, size):
        image = Image.new("RGB", size, (240, 240, 235))
        draw, (width, height), angle = ImageDraw.Draw(image), size, 0
        edge = 0.8 * min(size)
        while angle < 360:
            end = angle + self.chance.randrange(20, 90)
            draw.pieslice((width * 0.1, height * 0.1, width * 0.1 + edge, height * 0.1 + edge), angle, min(end, 360), fill=self.colour())
            angle = end
        return image

    def screen(self, size, paper, ink):
        image = Image.new("RGB", size, paper)
        draw, (width, height) = ImageDraw.Draw(image), size
        draw.rectangle((0, 0, width, height // 25), fill=self.colour())
        for y in range(height // 20, height, height // 35):
            words = ["".join(self.chance.choices("abcdefghiklmnorstu", k=self.chance.randrange(2, 9))) for _ in range(6)]
            draw.text((width // 4, y), " ".join(words), fill=ink, font=ImageFont.truetype(FACE, height // 50))
        return image

    def logo(self, size):
        image = Image.new("RGB", size, self.colour())
        draw, (width, height) = ImageDraw.Draw(image), size
        draw.ellipse((width * 0.3, height * 0.15, width * 0.7, height * 0.6), fill=self.colour())
        draw.text((width * 0.2, height * 0.68), "ACME", fill="white", font=ImageFont.truetype(FACE, height // 8))
        return image

    def cartoon(self, size):
        image = Image.new("RGB", size, (140, 200, 240))
        draw, (width, height) = ImageDraw.Draw(image), size
        draw.rectangle((0, height * 0.6, width, height), fill=(110, 180, 80))
        draw.ellipse((width * 0.75, height * 0.08, width * 0.9, height * 0.25), fill=(255, 220, 60))
        draw.rectangle((width * 0.15, height * 0.35, width * 0.4, height * 0.7), fill=(200, 90, 70), outline="black", width=width // 200)
        x = width * self.chance.uniform(0.5, 0.7)
        draw.ellipse((x, height * 0.35, x + width * 0.08, height * 0.35 + width * 0.08), fill=(240, 200, 170), outline="black")
        draw.rectangle((x, height * 0.45, x + width * 0.08, height * 0.7), fill=self.colour(), outline="black", width=width // 200)
        return image

    def all(self, size):
        yield from (self.shapes(size, count, background) for count, background in ((5, None), (12, "white"), (30, None)))
        yield from (self.chart(size), self.pie(size), self.screen(size, (250, 250, 250), (40, 40, 40)))
        yield from (self.screen(size, (30, 30, 46), (205, 214, 244)), self.logo(size), self.logo(size), self.cartoon(size))


def draw_all(half: str, folder: Path) -> None:
    folder.mkdir()
    painter, number = Painter(half), 0
    for size in SIZES[half]:
        for image in painter.all(size):
            suffix, options = FORMATS[number % len(FORMATS)]
            image.save(folder / f"{number}{suffix}", **options)
            number += 1


def analyze(engine: Path, scratch: Path, folders: list[Path], options: str) -> dict[Path, list[float]]:
    """Path → confidences of all objects."""
    home = Path(tempfile.mkdtemp(dir=scratch))
    (home / "image-engine/models").mkdir(parents=True)
    (home / "image-engine/models/unsure.yaml").write_text(f"models:\n  unsure:\n    like: nanodet\n    options: {options}\n")
    (home / "installed").mkdir()
    (home / "installed/unsure").symlink_to(ROOT / "build/models/nanodet")
    environment = os.environ | {"XDG_CONFIG_HOME": str(home), "XDG_CACHE_HOME": str(home), "IMAGE_ENGINE_MODELS": str(home / "installed")}
    done = subprocess.run([engine, "analyze", *folders, "--catalog", home / "catalog.db", "--only", "objects", "--object-model", "unsure",
                           "--json"], env=environment, capture_output=True, check=True)  # fmt: skip
    assets = json.loads(done.stdout)["assets"]
    return {Path(file["path"]): [o["confidence"] for o in asset["objects"]] for asset in assets for file in asset["files"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, default=ROOT / "build/release/bin")
    engine = parser.parse_args().bin.resolve() / "image-engine"
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        folders = {f"drawings, {half}": scratch / half for half in SIZES}
        for half in SIZES:
            draw_all(half, scratch / half)
        photos = [picture for picture in objects.pictures() if picture.kind == "photo" and picture.path.exists()]
        for kind, change in {"as they are": lambda image: image, **HARD}.items():
            folders[f"photos, {kind}"] = folder = scratch / kind.replace(" ", "_")
            folder.mkdir()
            for number, picture in enumerate(photos):
                image = Image.open(picture.path)
                image.draft("RGB", (1600, 1600))
                image = image.convert("RGB")
                image.thumbnail((1600, 1600))
                change(image).save(folder / f"{number}.jpg", quality=40 if kind == "quality 40" else 85)
        everything = analyze(engine, scratch, list(folders.values()), "{threshold: 0.03, drawing_threshold: 0}")
        # No object is 1 sure: of these, those without any are taken for drawings.
        strict = analyze(engine, scratch, list(folders.values()), "{threshold: 0.03, drawing_threshold: 1}")
        columns = " | ".join(f"{threshold} sure" for threshold in THRESHOLDS)
        print(f"| pictures | with objects at 0.03 | taken for drawings | {columns} |\n|{' --- |' * (3 + len(THRESHOLDS))}")
        for title, folder in folders.items():
            seen = {path: found for path, found in everything.items() if path.parent == folder and found}
            taken = sum(not strict[path] for path in seen)
            counts = (str(sum(one >= threshold for found in seen.values() for one in found)) for threshold in THRESHOLDS)
            print(f"| {len(list(folder.iterdir()))} {title} | {len(seen)} | {taken} | {' | '.join(counts)} |")


if __name__ == "__main__":
    main()
