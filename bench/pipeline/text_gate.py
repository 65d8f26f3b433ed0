"""How often the look at a small picture misses text that reading the whole picture finds, and how often it has a picture read for
nothing: pictures of text_pictures.py, read with the look and without. The set is `tune` or `check`, the last in IMAGE_ENGINE_TEXT_SET;
IMAGE_ENGINE_TEXT_LOOK is the short edge that is looked at, where it is not the engine's own."""

import json
import os
import shutil
import sys
from dataclasses import dataclass

import common
import text_pictures

MODELS = common.ROOT / "build/models"
PICTURES = 300
LOOKED_AT = 640  # the longer edge of what the engine looks at; what is no larger is not decoded again to be read
OWN_LOOK = "models:\n  looked:\n    like: pp-ocrv4\n    preference: 99\n    parts: {{detect: {{options: {{look: {}}}}}}}\n"


def letters(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())


def is_found(words: str, lines: list[str]) -> bool:
    """One of the words, or a line of four letters that is a part of them."""
    wanted = letters(words)
    return any(len(line) >= 4 and line in wanted or any(letters(word) in line for word in words.split() if len(letters(word)) >= 4)
               for line in map(letters, lines))  # fmt: skip


@dataclass(frozen=True)
class Read:
    texts: dict[str, list[str]]  # what each picture says
    larger: int  # pictures that were decoded again, to be read


def read(bench: common.Bench, folder, look: str | None) -> Read:
    scratch, models = bench.fresh("catalogue"), bench.fresh("models")
    name = "pp-ocrv4"
    if look is not None:
        name = "looked"
        home = scratch / "config/image-engine/models"
        home.mkdir(parents=True)
        (home / "looked.yaml").write_text(OWN_LOOK.format(look))
    shutil.copytree(MODELS / "pp-ocrv4", models / name)
    command, environment = bench.command(scratch, "analyze", folder, "--only", "text")
    document = json.loads(common.run(*command, environment=environment | {"IMAGE_ENGINE_MODELS": str(models)}).output)
    texts = {asset["path"].rsplit("/", 1)[-1][:-4]: [line["text"] for line in asset["text"]] for asset in document["assets"]}
    decoded = next(step["count"] for step in document["report"]["steps"] if step["step"] == "decode")
    return Read(texts, decoded - len(texts))


def share(count: int, of: int) -> str:
    return f"{count} of {of} ({100 * count / max(of, 1):.1f} %)"


def measure(bench: common.Bench) -> dict:
    """Misses among what the full reading finds; what is read and says nothing."""
    which = os.environ.get("IMAGE_ENGINE_TEXT_SET", "tune")
    folders = {name: bench.fresh(name) for name in ("words", "plain")}
    made = {}
    for picture in text_pictures.pictures(which, bench.size(PICTURES, 10)):
        if picture.words or max(picture.image.size) > LOOKED_AT:
            picture.image.save(folders["words" if picture.words else "plain"] / f"{picture.name}.jpg", quality=90)
            made[picture.name] = picture
    look = os.environ.get("IMAGE_ENGINE_TEXT_LOOK")
    whole, looked = ({name: read(bench, folder, edge) for name, folder in folders.items()} for edge in ("0", look))
    found = [name for name, lines in whole["words"].texts.items() if is_found(made[name].words, lines)]
    lost = [name for name in found if not looked["words"].texts[name]]
    without = [name for name, lines in whole["plain"].texts.items() if not lines]
    own = [name for name, lines in whole["plain"].texts.items() if lines]
    print(f"set {which}, look {look or 'of its own'}: lost {share(len(lost), len(found))} pictures whose words are read without the look")
    for name in lost:
        print(f"  {name}: letters of {100 * made[name].size:.1f} % of the short edge, contrast {made[name].contrast}")
    idle = looked["plain"].larger - sum(bool(looked["plain"].texts[name]) for name in own)
    print(f"{share(idle, len(without))} photos of more than {LOOKED_AT} pixels without text are read for nothing")
    print(f"{len(own)} more say something of their own, {sum(not looked['plain'].texts[name] for name in own)} of them lost")
    return {"set": which, "look": look, "with_words": len(found), "lost": len(lost), "without": len(without), "idle": idle}


if __name__ == "__main__":
    if not (MODELS / "pp-ocrv4").exists():
        print("text_gate: skipped, no reader is installed: IMAGE_ENGINE_MODELS=build/models image-engine models pull", file=sys.stderr)
        sys.exit(0)
    common.main("text_gate", measure)
