"""What transformers makes of sample photos and of texts: CLIP's pixels, and vectors by a CLIP with random weights.

Photos with another profile than sRGB are left out: the engine converts them, transformers does not.

Wants torch 2.13.0+cpu, transformers 5.23.0, pillow 13.0.0 and numpy 2.4.6 in an environment of its own, and the folder that
`tools/export/random_clip.py --weights --output CLIP` makes. Orientations are applied by Pillow first: transformers does not.

usage: clip_pixels.py CLIP SAMPLES OUTPUT     SAMPLES is build/samples, OUTPUT tests/vision; writes
OUTPUT/clip_reference.json   {versions, step, photos: [{file, sha256}], texts}
OUTPUT/clip_reference.u8     of each photo every `step`th row, from the first on, of CLIPImageProcessor's 224 × 224 × 3, as the
                             0…255 that they are before normalisation
OUTPUT/clip_reference.f32    the vector of each photo, then of each text, of length 1
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import PIL
import torch
import transformers
from PIL import Image, ImageOps
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.clip.tokenization_clip import CLIPTokenizer

STEP = 8
PHOTOS = """orientation_1.jpg orientation_2.jpg orientation_3.jpg orientation_4.jpg orientation_5.jpg orientation_6.jpg
orientation_7.jpg orientation_8.jpg HappyFish.jpg aloeL.jpg astronaut.png autumn.jpg baboon.jpg blox.jpg building.jpg
butterfly.jpg bythewater.jpg chelsea.png coffee.png ela_original.jpg fruits.jpg graf1.png hubble_deep_field.jpg kite.jpg
left01.jpg licenseplate_motion.jpg messi5.jpg motorcycle_left.png retina.jpg left02.jpg smarties.png squirrel_cls.jpg
starry_night.jpg stuff.jpg text.png""".split()
PLACES = "on the beach|at sunset|in the city at night|on a mountain|with food"
THINGS = "a dog|two people|a red car|The BLUE picture|my cat's photo"
ODD = ["", " ", "a", "dog", "dog " * 200, "Ein Löwe im Gebirge", "日本の海", "sunset 🌇 at the beach", "naïve café", "1234567890",
       "a\tb\nc", "don't, can't; won't!", "...", "people-with-a-dog", "ЗАКАТ НА МОРЕ", "غروب", "e\u0301clair", "<|endoftext|>", "x" * 300,
       "photo of the dog and the cat and the person in the red car on the green mountain at night with food " * 2,
       "UPPER lower MiXeD", "www.example.org/photo?id=7", "#beach @dog", "a  b   c", "½ ² ③"]  # fmt: skip


def upright(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        return ImageOps.exif_transpose(picture).convert("RGB")


def byte_letters() -> list[str]:
    """The letters that stand for bytes in CLIP's vocabulary, in the order of their ids."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(byte) for byte in shown] + [chr(256 + i) for i in range(256 - len(shown))]


def tokenizer(vocabulary: Path) -> CLIPTokenizer:
    merges = [tuple(line.split()) for line in vocabulary.read_text(encoding="utf-8").splitlines()[1:]]
    letters = byte_letters()
    tokens = letters + [letter + "</w>" for letter in letters] + ["".join(pair) for pair in merges]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=merges)


def unit(vectors: torch.Tensor) -> np.ndarray:
    return torch.nn.functional.normalize(vectors, dim=-1).numpy().astype("<f4")


@torch.no_grad()
def main() -> None:
    clip, samples, output = (Path(argument) for argument in sys.argv[1:4])
    model = transformers.CLIPModel.from_pretrained(clip).eval()
    processor = CLIPImageProcessorPil()
    words = tokenizer(clip / "vocabulary.txt")
    paths = [samples / "photos" / name for name in PHOTOS]
    texts = [f"{thing} {place}" for thing in THINGS.split("|") for place in PLACES.split("|")] + ODD

    rows, vectors = [], []
    mean, deviation = (np.array(values)[:, None, None] for values in (processor.image_mean, processor.image_std))
    for path in paths:
        pixels = processor(upright(path), return_tensors="pt")["pixel_values"]
        levels = (pixels[0].numpy() * deviation + mean) * 255
        assert np.abs(levels - np.rint(levels)).max() < 1e-3, "resized in whole levels, as Pillow does"
        rows.append(np.rint(levels).astype(np.uint8).transpose(1, 2, 0)[::STEP])
        vectors.append(unit(model.visual_projection(model.vision_model(pixels).pooler_output)))
    for text in texts:
        ids = words(text, truncation=True, max_length=77, return_tensors="pt")["input_ids"]
        vectors.append(unit(model.text_projection(model.text_model(ids).pooler_output)))

    (output / "clip_reference.u8").write_bytes(np.stack(rows).tobytes())
    (output / "clip_reference.f32").write_bytes(np.concatenate(vectors).tobytes())
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "pillow": PIL.__version__, "numpy": np.__version__}
    photos = [{"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in paths]
    document = {"versions": versions, "step": STEP, "photos": photos, "texts": texts}
    (output / "clip_reference.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
