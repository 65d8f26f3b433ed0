"""Photos with words drawn on them, and the same photos without: for measuring how often the look at a small picture misses text.

Two sets that share neither photo nor face nor word: what is tuned on `tune` is measured on `check`.
"""

import random
import zlib
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps, ImageStat

ROOT = Path(__file__).resolve().parents[2]
PHOTOS = [ROOT / "build/samples/photos", ROOT / "build/share/skimage", Path("/usr/share/doc/opencv-doc/examples/data"),
          Path("/usr/share/wallpapers")]  # fmt: skip
FACES = Path("/usr/share/fonts/truetype/dejavu")
SETS = {
    "tune": (0, ["DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSansMono", "DejaVuSansCondensed"],
             "EXIT OPEN STATION Coffee Welcome Platform 9 Main Street No parking Sale 50% Library Police Bakery Happy birthday".split()),
    "check": (1, ["DejaVuSerif-Bold", "DejaVuSans-Oblique", "DejaVuSerifCondensed", "DejaVuSansMono-Bold", "DejaVuSans-ExtraLight",
                  "DejaVuSansCondensed-Bold", "DejaVuSerif-Italic"],
              "HOTEL CLOSED Airport Museum Restaurant Harbour Entrance Tickets Pharmacy Bridge Gate 12 Kyoto 2019 School "
              "Danger Summer festival Speed limit 30 Bicycle Market".split()),
}  # fmt: skip
LEAST_EDGE = 200  # of a photo
EDGES = (640, 800, 1024, 1280, 1600)  # longer edges of what is made


@dataclass(frozen=True)
class Made:
    name: str
    image: Image.Image
    words: str  # none: nothing was drawn
    size: float  # of the letters, of the short edge
    contrast: int


def family(path: Path) -> str:
    """The same for pictures of the same thing: left and right, sizes of a wallpaper, orientations."""
    letters = "".join(letter for letter in path.stem.lower() if letter.isalpha())
    return letters.replace("right", "left") if len(letters) > 1 else path.parents[2].name


def photos(parity: int) -> list[Path]:
    """Of each family one, of the families half."""
    first = {}
    for folder in PHOTOS:
        for path in sorted(folder.rglob("*")):
            if path.suffix in (".jpg", ".png") and path.is_file():
                first.setdefault(family(path), path)
    kept = []
    for name, path in sorted(first.items()):
        with Image.open(path) as image:
            if min(image.size) >= LEAST_EDGE and zlib.crc32(name.encode()) % 2 == parity:
                kept.append(path)
    return kept


def opened(path: Path, edge: int) -> Image.Image:
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    scale = edge / max(image.size)
    return image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))), Image.Resampling.LANCZOS)


def with_words(image: Image.Image, words: str, face: str, size: float, chance: random.Random) -> tuple[Image.Image, int] | None:
    """The words somewhere in the picture, turned by up to 15 degrees; a third of them blurred. None: too wide for it."""
    letters = max(8, round(size * min(image.size)))
    font = ImageFont.truetype(str(FACES / f"{face}.ttf"), letters)
    left, top, right, bottom = font.getbbox(words)
    margin = letters // 2
    mask = Image.new("L", (right - left + 2 * margin, bottom - top + 2 * margin))
    ImageDraw.Draw(mask).text((margin - left, margin - top), words, fill=255, font=font)
    if chance.random() < 0.6:
        mask = mask.rotate(chance.uniform(-15, 15), Image.Resampling.BICUBIC, expand=True)
    if chance.random() < 0.33:
        mask = mask.filter(ImageFilter.GaussianBlur(letters * chance.uniform(0.02, 0.06)))
    if mask.width >= image.width or mask.height >= image.height:
        return None
    at = chance.randrange(image.width - mask.width), chance.randrange(image.height - mask.height)
    under = ImageStat.Stat(image.crop((*at, at[0] + mask.width, at[1] + mask.height))).mean
    contrast = chance.choice([40, 60, 90, 130, 200])
    sign = 1 if sum(under) < 3 * 128 else -1
    ink = tuple(min(255, max(0, round(value + sign * contrast))) for value in under)
    image.paste(Image.new("RGB", mask.size, ink), at, mask)
    return image, contrast


def pictures(which: str, count: int, seed: int = 1):
    """First every photo as it is, then `count` with words."""
    parity, faces, vocabulary = SETS[which]
    chance = random.Random(f"{which} {seed}")
    sources = photos(parity)
    for i, path in enumerate(sources):
        yield Made(f"plain_{i:03}_{path.stem}", opened(path, chance.choice(EDGES)), "", 0, 0)
    made = 0
    while made < count:
        path = sources[made % len(sources)] if chance.random() < 0.9 else chance.choice(sources)
        words = " ".join(chance.sample(vocabulary, chance.choice([1, 1, 2, 3])))
        size = 0.03 * (0.20 / 0.03) ** chance.random()
        drawn = with_words(opened(path, chance.choice(EDGES)), words, chance.choice(faces), size, chance)
        if drawn and len(words) >= 4:
            yield Made(f"words_{made:03}_{path.stem}", drawn[0], words, size, drawn[1])
            made += 1
