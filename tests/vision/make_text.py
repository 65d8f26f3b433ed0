"""Pictures with text, and some without: photos of the samples and drawn ones, as PPM files.

usage: make_text.py SAMPLES OUTPUT
"""

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

PHOTOS = (
    "text.png text_defocus.jpg text_motion.jpg licenseplate_motion.jpg page.png box.png box_in_scene.png sudoku.png cards.png board.jpg "
    "rocket.jpg building.jpg leuvenA.jpg home.jpg motorcycle_left.png coffee.png stuff.jpg orientation_6.jpg basketball1.png clock_motion.png "
    "astronaut.png apple.jpg baboon.jpg grass.png fallenleaf.jpg"
).split()
LINES = ["The quick brown fox jumps", "over the lazy dog 0123456789", "EXIT ONLY", "Total: 42.50 EUR (VAT 19%)", "hello@example.com"]
HEBREW = "םולש תיב"  # as it is seen, from the left


def font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)  # Pillow's own: the same everywhere


def lines(size: int, ink="black", paper="white", edge=(800, 600), texts=tuple(LINES)) -> Image.Image:
    picture = Image.new("RGB", edge, paper)
    draw = ImageDraw.Draw(picture)
    for i, text in enumerate(texts):
        draw.text((size, size + i * size * 2), text, fill=ink, font=font(size))
    return picture


def turned(degrees: float) -> Image.Image:
    return lines(36).rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor="white")


def columns() -> Image.Image:
    picture = Image.new("RGB", (900, 500), (235, 230, 210))
    draw = ImageDraw.Draw(picture)
    for column in range(2):
        for row in range(6):
            draw.text((40 + 450 * column, 30 + 75 * row + 4 * column), f"Column {column + 1} line {row + 1}", fill=(20, 20, 60), font=font(34))
    return picture


def upright() -> Image.Image:
    picture = Image.new("RGB", (300, 700), "white")
    draw = ImageDraw.Draw(picture)
    for i, letter in enumerate("STATION"):
        draw.text((120, 30 + 90 * i), letter, fill="black", font=font(72))
    return picture


def screenshot() -> Image.Image:
    picture = Image.new("RGB", (1280, 800), (245, 245, 245))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, 1280, 48), fill=(40, 44, 52))
    for i, word in enumerate(["File", "Edit", "View", "History", "Help"]):
        draw.text((24 + 110 * i, 12), word, fill=(230, 230, 230), font=font(20))
    for i in range(14):
        draw.text((60, 80 + 48 * i), f"{i + 1:2}. {LINES[i % len(LINES)]}", fill=(30, 30, 30), font=font(18))
    return picture


def panorama() -> Image.Image:
    picture = Image.new("RGB", (3000, 150), (90, 140, 200))
    ImageDraw.Draw(picture).text((300, 50), "A very wide view of the mountains", fill="white", font=font(48))
    return picture


def large() -> Image.Image:
    return lines(120, edge=(4000, 3000), ink=(200, 30, 30), paper=(250, 240, 220))


def drawn() -> dict[str, Image.Image]:
    pictures = {f"size_{size}": lines(size, edge=(900, 640)) for size in (10, 14, 20, 32, 48)}
    pictures |= {f"turned_{d}": turned(d) for d in (5, -12, 30, 90, 180, 270)}
    pictures |= {
        "dark": lines(30, ink=(46, 44, 40), paper=(22, 20, 20)),
        "light_on_dark": lines(30, ink="white", paper=(10, 40, 10)),
        "faint": lines(30, ink=(215, 215, 215)),
        "blurred": lines(30).filter(ImageFilter.GaussianBlur(2)),
        "small_picture": lines(12, edge=(120, 40), texts=("Tiny",)),
        "low_picture": lines(8, edge=(200, 24), texts=("A line",)),
        "columns": columns(), "upright": upright(), "screenshot": screenshot(), "panorama": panorama(), "large": large(),
        "white": Image.new("RGB", (640, 480), "white"), "one_pixel": Image.new("RGB", (1, 1)),
        "gradient": Image.linear_gradient("L").resize((640, 480)).convert("RGB"),
    }  # fmt: skip
    dejavu = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
    if dejavu.exists():
        picture = Image.new("RGB", (500, 120), "white")
        ImageDraw.Draw(picture).text((30, 30), HEBREW, fill="black", font=ImageFont.truetype(dejavu, 48, layout_engine=ImageFont.Layout.BASIC))
        pictures["hebrew"] = picture
    return pictures


def photos(samples: Path) -> dict[str, Image.Image]:
    found = {}
    for name in PHOTOS:
        path = samples / "photos" / name
        if path.exists():
            found[name] = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    return found


def pictures(samples: Path) -> dict[str, Image.Image]:
    return photos(samples) | drawn()


if __name__ == "__main__":
    output = Path(sys.argv[2])
    output.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures(Path(sys.argv[1])).items():
        picture.save(output / f"{name}.ppm")
