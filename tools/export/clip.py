"""Exports CLIP from safetensors to ONNX: clip_vision_fp32.onnx and clip_text_fp32.onnx, with --int8 also *_int8.onnx; beside
them the vocabulary, if the folder has one of this model, and spec.yaml: `models add clip_vision_fp32.onnx --spec spec.yaml`.

Each file is run beside a forward pass in plain numpy, and beside transformers where that is installed; a difference beyond
1e-3 of the largest number is an error, and no file is written then. Prints a line for each file: its name, a tab, what was
found.

usage: clip.py --from FOLDER [--output FOLDER] [--opset N] [--int8]
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import argparse
import gzip
import importlib.util
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "models"))
import clip_graph  # noqa: E402
from clip_numpy import Clip as NumpyClip  # noqa: E402
from export_files import ROOT, model_name  # noqa: E402
from onnx_graph import OPSETS, int8_variant  # noqa: E402
from safetensors_file import ModelError, Tensors, find  # noqa: E402

MOST = 1e-3
OUTPUT_NAMES = {"vision": "image_embeds", "text": "text_embeds"}
# CLIP's merges as its publishers ship them, under the names that they have in the folders of models; ours last.
VOCABULARIES = ("merges.txt", "bpe_simple_vocab_16e6.txt.gz", "vocabulary.txt")
OURS = ROOT / "build/share/clip/bpe_simple_vocab_16e6.txt.gz"
MERGES = 49152 - 256 - 2  # of CLIP; its published file has more
BYTES, MARKS = 512, 2
MEAN, DEVIATION = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]  # OpenAI's
INT8_COSINE = 0.99


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--from", dest="folder", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--output", type=Path, default=Path("."), metavar="FOLDER")
    parser.add_argument("--opset", type=int, default=17)
    parser.add_argument("--int8", action="store_true")
    return parser.parse_args()


def probes(clip: clip_graph.Clip) -> dict[str, np.ndarray]:
    """Three pictures, and texts that end at different places."""
    random = np.random.default_rng(7)
    edge, (words, context) = clip.vision.edge, (len(clip.text.words), len(clip.text.positions))
    coarse = np.kron(random.standard_normal((3, 3, 8, 8)), np.ones((1, 1, -(-edge // 8), -(-edge // 8))))[:, :, :edge, :edge]
    ids = random.integers(1, words - 2, (3, min(12, context)))
    ids[:, 0] = words - 2
    ends = words - 1 if clip.text.end is None else clip.text.end
    for row, place in enumerate((-1, 3, 1)):
        ids[row, place] = ends
    return {"vision": (coarse + random.standard_normal(coarse.shape) * 0.2).astype(np.float32), "text": ids.astype(np.int64)}


def run(model: onnx.ModelProto, batch: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: batch})[0]


def by_numpy(folder: Path, clip: clip_graph.Clip, batches: dict) -> dict[str, np.ndarray]:
    reference = NumpyClip(Tensors(find(folder)), (clip.vision.heads, clip.text.heads), clip.vision.activation,
                          clip.vision.last.epsilon, clip.text.end)  # fmt: skip
    return {"vision": reference.pictures(batches["vision"]), "text": reference.texts(batches["text"])}


def by_transformers(folder: Path, batches: dict) -> dict[str, np.ndarray]:
    """Empty where it is not installed or the model is not of its naming."""
    known = "vision_model.embeddings.class_embedding" in Tensors(find(folder))
    if not known or any(importlib.util.find_spec(name) is None for name in ("transformers", "torch")):
        return {}
    import torch
    import transformers

    folder = str(folder)
    vision = transformers.CLIPVisionModelWithProjection.from_pretrained(folder, use_safetensors=True).eval()
    text = transformers.CLIPTextModelWithProjection.from_pretrained(folder, use_safetensors=True).eval()
    with torch.no_grad():
        return {"vision": vision(pixel_values=torch.from_numpy(batches["vision"])).image_embeds.numpy(),
                "text": text(input_ids=torch.from_numpy(batches["text"])).text_embeds.numpy()}  # fmt: skip


def compare(name: str, got: np.ndarray, references: dict[str, np.ndarray]) -> str:
    told = []
    for source, wanted in references.items():
        worst = float(np.abs(got - wanted).max() / max(1.0, np.abs(wanted).max()))
        if not worst <= MOST:
            raise ModelError(f"{name} gives other numbers than {source} does: they differ by {worst:.2g}")
        told.append(f"within {worst:.1e} of {source}")
    return ", ".join(told)


def least_cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(((a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))).min())


def merge_count(path: Path) -> int:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        return min(MERGES, sum(1 for line in file if line.strip() and not line.startswith("#version") and not line.startswith('"bpe_simple')))


def vocabulary_of(folder: Path, words: int) -> Path | None:
    """The file of merges that has an id for each of the text tower's words."""
    candidates = [folder / name for name in VOCABULARIES] + [OURS]
    return next((path for path in candidates if path.is_file() and BYTES + merge_count(path) + MARKS == words), None)


def normalisation(folder: Path) -> tuple[list, list]:
    """Mean and deviation, 0…1, of the folder's configuration; OpenAI's where it has none."""
    for name, section, keys in (("preprocessor_config.json", None, ("image_mean", "image_std")), ("open_clip_config.json", "preprocess_cfg", ("mean", "std"))):
        if (folder / name).is_file():
            document = clip_graph.load_json(folder / name)
            values = [(document.get(section) or {} if section else document).get(key) for key in keys]
            if all(isinstance(value, list) and len(value) == 3 and all(isinstance(x, (int, float)) for x in value) for value in values):
                return values[0], values[1]
    return MEAN, DEVIATION


def spec_of(given: argparse.Namespace, clip: clip_graph.Clip, vocabulary: Path | None) -> str:
    """JSON, which is YAML too."""
    def variants(kind: str) -> list[dict]:
        exact = {"precision": "fp32", "file": f"clip_{kind}_fp32.onnx"}
        return [exact, {"precision": "int8", "file": f"clip_{kind}_int8.onnx", "gate": {"cosine": INT8_COSINE}}] if given.int8 else [exact]

    edge, tensors = clip.vision.edge, Tensors(find(given.folder))
    mean, deviation = normalisation(given.folder)
    scale = float(np.exp(tensors["logit_scale"])) if "logit_scale" in tensors else 100.0
    entry = {"task": "embedding", "title": f"CLIP of your own, from {given.folder.resolve().name}", "variants": variants("vision"),
             "input": {"name": "pixel_values", "width": edge, "height": edge, "fit": "centre-crop", "resize_edge": edge, "filter": "bicubic",
                       "mean": [255 * x for x in mean], "deviation": [255 * x for x in deviation]},
             "outputs": [OUTPUT_NAMES["vision"]],
             "options": {"dimensions": clip.vision.projection.shape[1], "logit_scale": round(scale, 4)}}  # fmt: skip
    if vocabulary:
        entry["text"] = {"tokenizer": "clip-bpe", "vocabulary": vocabulary.name, "context": len(clip.text.positions), "variants": variants("text"),
                         "outputs": [OUTPUT_NAMES["text"]]}  # fmt: skip
    return json.dumps({"models": {model_name(given.folder): entry}}, indent=2, ensure_ascii=False) + "\n"


def export(given: argparse.Namespace) -> None:
    if given.opset not in OPSETS:
        raise ModelError(f"opset {given.opset} is not written; {OPSETS[0]} to {OPSETS[-1]} are")
    clip = clip_graph.read(given.folder)
    batches = probes(clip)
    references = {"numpy": by_numpy(given.folder, clip, batches), "transformers": by_transformers(given.folder, batches)}
    models, lines = {}, []
    for kind, model in (("vision", clip_graph.vision_graph(clip.vision, given.opset)), ("text", clip_graph.text_graph(clip.text, given.opset))):
        name, exact = f"clip_{kind}_fp32.onnx", run(model, batches[kind])
        told = compare(name, exact, {source: results[kind] for source, results in references.items() if results})
        models[name] = model
        lines.append(f"{name}\t{exact.shape[1]} numbers in {OUTPUT_NAMES[kind]}, opset {given.opset}, {told}")
        if given.int8:
            name = f"clip_{kind}_int8.onnx"
            models[name] = int8_variant(model)
            lines.append(f"{name}\tcosine {least_cosine(run(models[name], batches[kind]), exact):.4f} to fp32 at least, of random inputs")
    vocabulary = vocabulary_of(given.folder, len(clip.text.words))
    spec = spec_of(given, clip, vocabulary)
    lines.append("spec.yaml\tfor models add" if vocabulary else
                 f"spec.yaml\tfor models add; without texts, as {given.folder} has no {VOCABULARIES[0]} of this model")  # fmt: skip
    given.output.mkdir(parents=True, exist_ok=True)
    for name, model in models.items():
        onnx.save(model, given.output / f"{name}.new")
    (given.output / "spec.yaml.new").write_text(spec, encoding="utf-8")
    if vocabulary:
        shutil.copyfile(vocabulary, given.output / f"{vocabulary.name}.new")
        lines.append(f"{vocabulary.name}\tthe vocabulary, as it was")
    for name in (*models, "spec.yaml", *([vocabulary.name] if vocabulary else [])):
        os.replace(given.output / f"{name}.new", given.output / name)
    print("\n".join(lines))


def main() -> int:
    given = arguments()
    try:
        export(given)
    except (ModelError, OSError, ValueError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
