"""How often the look at a small picture misses text that a full reading finds, and how often it finds some where there is none:
over the pictures of text_pictures.py, read with the look and without it."""

import json
import sys

import common
import text_pictures

MODELS = common.ROOT / "build/models"
WITHOUT_LOOK = "models:\n  pp-ocrv4-all:\n    like: pp-ocrv4\n    parts: {detect: {options: {look: 0}}}\n"


def letters(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())


def is_found(words: str, lines: list[str]) -> bool:
    """A word of them, or a line of four letters that is a part of them."""
    wanted = letters(words)
    return any(len(line) >= 4 and line in wanted or any(letters(word) in line for word in words.split() if len(word) >= 4)
               for line in map(letters, lines))  # fmt: skip


def texts(bench: common.Bench, folder, model: str) -> dict[str, list[str]]:
    scratch = bench.fresh("catalogue")
    home = scratch / "config/image-engine"
    (home / "models").mkdir(parents=True)
    (home / "models/all.yaml").write_text(WITHOUT_LOOK)
    (home / "config.yaml").write_text(f"analysis: {{ml_models: {{text_model: {model}}}}}\n")
    command, environment = bench.command(scratch, "analyze", folder, "--only", "text")
    output = common.run(*command, environment=environment | {"IMAGE_ENGINE_MODELS": str(MODELS)}).output
    return {asset["path"].rsplit("/", 1)[-1][:-4]: [line["text"] for line in asset["text"]] for asset in json.loads(output)["assets"]}


def measure(bench: common.Bench) -> dict:
    """Misses among what the full reading finds."""
    folder, made = bench.fresh("pictures"), {}
    for picture in text_pictures.pictures("check", bench.size(360, 20)):
        picture.image.save(folder / f"{picture.name}.jpg", quality=90)
        made[picture.name] = picture
    whole, looked = (texts(bench, folder, model) for model in ("pp-ocrv4-all", "pp-ocrv4"))
    found = [name for name, picture in made.items() if picture.words and is_found(picture.words, whole[name])]
    lost = [name for name in found if not looked[name]]
    print(f"{len(lost)} of {len(found)} pictures lost whose words are read without the look")
    for name in lost:
        print(f"  {name}: letters of {100 * made[name].size:.1f} % of the short edge, contrast {made[name].contrast}")
    return {"with_words": len(found), "lost": len(lost)}


if __name__ == "__main__":
    if not (MODELS / "pp-ocrv4").exists():
        print("text_gate: skipped, no reader is installed: IMAGE_ENGINE_MODELS=build/models image-engine models pull", file=sys.stderr)
        sys.exit(0)
    common.main("text_gate", measure)
