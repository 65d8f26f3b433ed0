"""Makes pictures and what Pillow makes of them under preprocessing plans, for the preprocess tests.

usage: make_inputs.py SAMPLES FOLDER     SAMPLES is build/samples; writes FOLDER/manifest.json:
cases  [{picture, width, height, plan, expected, exact, input_width, input_height, scale, offset}]: raw RGB files; `plan` by
       the names of model specs; `expected` is the input as RGB bytes, `scale` and `offset` where the picture lies in it;
       `exact` unless Pillow resized this picture downwards before it did so across, which rounds otherwise
"""

import json
import pathlib
import sys

import numpy as np
from PIL import Image, ImageOps

FILTERS = {"nearest": Image.Resampling.NEAREST, "bilinear": Image.Resampling.BILINEAR,
           "bicubic": Image.Resampling.BICUBIC, "lanczos": Image.Resampling.LANCZOS}
PAD = (10, 20, 200)
LARGEST = 4096

# name → of the plan what is not its default
PLANS = {
    "nanodet": {"width": 416, "height": 416, "fit": "letterbox", "pad": PAD},
    "corner": {"width": 640, "height": 384, "fit": "letterbox", "align": "top-left", "filter": "bicubic", "pad": PAD},
    "stretch": {"width": 320, "height": 256, "filter": "lanczos"},
    "clip": {"width": 224, "height": 224, "fit": "centre-crop", "filter": "bicubic"},
    "crop": {"width": 96, "height": 160, "fit": "centre-crop", "resize_edge": 200},
    "detr": {"width": 300, "height": 300, "fit": "short-edge", "longest": 499},
    "nearest": {"width": 131, "height": 97, "filter": "nearest"},
}
ODD_SIZES = ((1, 1), (1, 300), (300, 1), (2, 3), (3, 2), (1999, 97), (61, 1217), (33, 31), (416, 416), (417, 415), (5, 640))


def clip_size(width: int, height: int, edge: int) -> tuple[int, int]:
    """transformers' get_resize_output_image_size with default_to_square=False."""
    short, long = min(width, height), max(width, height)
    longer = int(edge * long / short)
    return (edge, longer) if width <= height else (longer, edge)


def detr_size(width: int, height: int, size: int, max_size: int) -> tuple[int, int]:
    """transformers' get_size_with_aspect_ratio."""
    short, long = float(min(width, height)), float(max(width, height))
    raw = None
    if long / short * size > max_size:
        raw = max_size * short / long
        size = max(1, int(round(raw)))
    longer = int((raw if raw is not None else size) * long / short)
    return (size, longer) if width <= height else (longer, size)


def apply(plan: dict, picture: Image.Image) -> tuple[Image.Image, bool, list, list]:
    """The input, whether it was made across first, and the picture's scale and offset in it."""
    method = FILTERS[plan.get("filter", "bilinear")]
    fit, (width, height) = plan.get("fit", "stretch"), picture.size
    wanted, offset = (plan["width"], plan["height"]), (0, 0)
    size = wanted
    if fit == "letterbox":
        ratio = min(wanted[0] / width, wanted[1] / height)
        size = tuple(max(1, int(edge * ratio + 0.5)) for edge in picture.size)
    elif fit == "centre-crop":
        size = clip_size(width, height, plan.get("resize_edge") or max(wanted))
    elif fit == "short-edge":
        size = detr_size(width, height, plan["width"], plan.get("longest") or LARGEST)
    made = picture.resize(size, method)
    exact = made.tobytes() == picture.resize((size[0], height), method).resize(size, method).tobytes()
    if fit == "letterbox":
        if plan.get("align", "centre") == "centre":
            offset = tuple((w - s) // 2 for w, s in zip(wanted, size))
        board = Image.new("RGB", wanted, tuple(plan["pad"]))
        board.paste(made, offset)
        made = board
    elif fit == "centre-crop":
        left, top = ((s - w) // 2 for s, w in zip(size, wanted))
        offset = (-left, -top)
        made = made.crop((left, top, left + wanted[0], top + wanted[1]))
    return made, exact, [size[0] / width, size[1] / height], list(offset)


def pictures(samples: pathlib.Path):
    """(name, picture, plans): each plan on the small ones, the two usual ones on the large."""
    photos = [p for p in sorted((samples / "photos").iterdir()) if p.suffix in (".jpg", ".png")]
    for number, path in enumerate(photos[:30]):
        photo = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        yield path.stem, photo, list(PLANS)
        if number < 2:
            width, height = photo.size
            yield path.stem + "_panorama", photo.crop((0, height // 2, width, height // 2 + max(1, width // 20))), list(PLANS)
            yield path.stem + "_small", photo.resize((37, 23)), list(PLANS)
    for path in sorted((samples / "12mp").glob("*.jpg"))[:2]:
        yield path.stem, ImageOps.exif_transpose(Image.open(path)).convert("RGB"), ["nanodet", "clip"]
    random = np.random.default_rng(4)
    for width, height in ODD_SIZES:
        noise = random.integers(0, 256, (height, width, 3), np.uint8)
        yield f"noise_{width}x{height}", Image.fromarray(noise), list(PLANS)


def main() -> None:
    samples, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    cases = []
    for name, picture, plans in pictures(samples):
        (folder / f"{name}.rgb").write_bytes(picture.tobytes())
        for plan in plans:
            expected, exact, scale, offset = apply(PLANS[plan], picture)
            file = f"{name}.{plan}.rgb"
            (folder / file).write_bytes(expected.tobytes())
            cases.append({"picture": f"{name}.rgb", "width": picture.width, "height": picture.height,
                          "plan": PLANS[plan], "expected": file, "exact": exact, "input_width": expected.width,
                          "input_height": expected.height, "scale": scale, "offset": offset})
    (folder / "manifest.json").write_text(json.dumps({"photos": len(list((samples / "photos").iterdir())), "cases": cases}))


if __name__ == "__main__":
    main()
