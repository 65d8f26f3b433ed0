"""Makes a CLIP of the true architecture with random weights, for tests and measurements: nothing in it means anything.

The same seed gives the same weights. Different pictures get clearly different vectors, so that a wrong order of channels or
a missing normalisation shows. In the folder: clip_vision_fp32.onnx, clip_text_fp32.onnx (with --int8 also *_int8.onnx), the
vocabulary, spec.yaml for `image-engine models add FOLDER/clip_vision_fp32.onnx --spec FOLDER/spec.yaml`, and pull.yaml, the
same with `file:` sources, for the folder of one's own specs and `models pull`.

usage: random_clip.py --output FOLDER [--vocabulary FILE] [--full | --layers N --width N --text-width N] [--int8] [--weights]
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "models"))
import clip_graph  # noqa: E402
import safetensors_file  # noqa: E402
from clip_numpy import Clip  # noqa: E402
from onnx_graph import int8_variant  # noqa: E402

CONTEXT = 77
EDGE = 224
MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
TRUE_MERGES = 48894  # of CLIP's published vocabulary, whose file goes on behind them
WORDS = "a the of in on at and photo picture with dog cat person people beach sunset car red blue green mountain city night food"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--vocabulary", type=Path, metavar="FILE", help="CLIP's merges; without it a few words' are made")
    parser.add_argument("--full", action="store_true", help="ViT-B/32's size")
    parser.add_argument("--layers", type=int, default=2, help="of each tower")
    parser.add_argument("--width", type=int, default=64, help="of the vision tower, a multiple of 16")
    parser.add_argument("--text-width", type=int, default=16, help="of the text tower, a multiple of 8")
    parser.add_argument("--patch", type=int, default=32)
    parser.add_argument("--dimensions", type=int, default=512)
    parser.add_argument("--name", default="random-clip", help="of the model in the specs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--opset", type=int, default=17)
    parser.add_argument("--int8", action="store_true", help="int8 variants too")
    parser.add_argument("--weights", action="store_true", help="leave model.safetensors and config.json too")
    given = parser.parse_args()
    if given.full:
        given.layers, given.width, given.text_width = 12, 768, 512
    return given


def own_merges() -> list[str]:
    """Merges that make each of WORDS one token."""
    merges = []
    for word in WORDS.split():
        parts = [*word[:-1], word[-1] + "</w>"]
        while len(parts) > 1:
            merge = f"{parts[0]} {parts[1]}"
            parts[:2] = [parts[0] + parts[1]]
            if merge not in merges:
                merges.append(merge)
    return merges


def take_vocabulary(given: argparse.Namespace) -> tuple[str, int]:
    """Puts it into the folder; its name there, and how many ids it has: bytes, bytes that end a word, merges, two marks."""
    if given.vocabulary is not None:
        shutil.copyfile(given.vocabulary, given.output / given.vocabulary.name)
        return given.vocabulary.name, 512 + TRUE_MERGES + 2
    merges = own_merges()
    (given.output / "vocabulary.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")
    return "vocabulary.txt", 512 + len(merges) + 2


class Weights:
    """By the names of transformers."""

    def __init__(self, seed: int):
        self.random = np.random.default_rng(seed)
        self.tensors = {}

    def normal(self, name: str, *shape: int, scale: float) -> None:
        self.tensors[name] = self.random.standard_normal(shape, np.float32) * np.float32(scale)

    def linear(self, name: str, outputs: int, inputs: int, gain: float = 1.0) -> None:
        self.normal(f"{name}.weight", outputs, inputs, scale=gain * inputs**-0.5)
        self.normal(f"{name}.bias", outputs, scale=0.02)

    def norm(self, name: str, width: int) -> None:
        self.tensors[f"{name}.weight"] = 1 + self.random.standard_normal(width, np.float32) * np.float32(0.1)
        self.normal(f"{name}.bias", width, scale=0.05)

    def layers(self, prefix: str, width: int, count: int) -> None:
        for i in range(count):
            at = f"{prefix}.encoder.layers.{i}"
            for part, gain in (("q_proj", 1.0), ("k_proj", 1.0), ("v_proj", 1.0), ("out_proj", 1.0)):
                self.linear(f"{at}.self_attn.{part}", width, width, gain)
            self.norm(f"{at}.layer_norm1", width)
            self.norm(f"{at}.layer_norm2", width)
            self.linear(f"{at}.mlp.fc1", 4 * width, width)
            self.linear(f"{at}.mlp.fc2", width, 4 * width, 0.5)

    def vision(self, given: argparse.Namespace) -> None:
        at, width = "vision_model", given.width
        self.normal(f"{at}.embeddings.class_embedding", width, scale=0.3)
        self.normal(f"{at}.embeddings.patch_embedding.weight", width, 3, given.patch, given.patch, scale=1.5 / given.patch)
        self.normal(f"{at}.embeddings.position_embedding.weight", (EDGE // given.patch) ** 2 + 1, width, scale=0.2)
        self.norm(f"{at}.pre_layrnorm", width)
        self.layers(at, width, given.layers)
        self.norm(f"{at}.post_layernorm", width)
        self.normal("visual_projection.weight", given.dimensions, width, scale=width**-0.5)

    def text(self, given: argparse.Namespace, vocabulary: int) -> None:
        at, width = "text_model", given.text_width
        self.normal(f"{at}.embeddings.token_embedding.weight", vocabulary, width, scale=1)
        self.normal(f"{at}.embeddings.position_embedding.weight", CONTEXT, width, scale=0.3)
        self.layers(at, width, given.layers)
        self.norm(f"{at}.final_layer_norm", width)
        self.normal("text_projection.weight", given.dimensions, width, scale=width**-0.5)

    def centre(self, name: str, pooled: np.ndarray) -> None:
        """What all inputs have in common is taken out, so that it does not drown what they differ in."""
        unit = (pooled - pooled.mean(1, keepdims=True)) / pooled.std(1, keepdims=True)
        self.tensors[f"{name}.bias"] = -(unit.mean(0) * self.tensors[f"{name}.weight"]).astype(np.float32)


def synthetic_pictures(random: np.random.Generator, count: int) -> np.ndarray:
    """Smooth colours with some grain, about as photos are distributed after normalisation."""
    coarse = random.standard_normal((count, 3, 7, 7)) * 0.7 + random.standard_normal((count, 3, 1, 1)) * 0.7
    smooth = np.kron(coarse, np.ones((1, 1, EDGE // 7, EDGE // 7)))
    return np.clip(smooth + random.standard_normal(smooth.shape) * 0.3, -1.9, 2.2)


def heads(given: argparse.Namespace) -> tuple[int, int]:
    return (12, 8) if given.full else (max(1, given.width // 16), max(1, given.text_width // 8))


def config(given: argparse.Namespace, vocabulary: int) -> dict:
    shared = {"num_hidden_layers": given.layers, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5, "projection_dim": given.dimensions}
    vision = shared | {"hidden_size": given.width, "intermediate_size": 4 * given.width, "num_attention_heads": heads(given)[0],
                       "image_size": EDGE, "patch_size": given.patch, "model_type": "clip_vision_model"}  # fmt: skip
    text = shared | {"hidden_size": given.text_width, "intermediate_size": 4 * given.text_width, "num_attention_heads": heads(given)[1],
                     "vocab_size": vocabulary, "max_position_embeddings": CONTEXT, "bos_token_id": vocabulary - 2,
                     "eos_token_id": clip_graph.LEGACY_END, "model_type": "clip_text_model"}  # fmt: skip
    return {"architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": given.dimensions, "vision_config": vision, "text_config": text}


def make_weights(given: argparse.Namespace, vocabulary: int) -> dict[str, np.ndarray]:
    weights = Weights(given.seed)
    weights.vision(given)
    weights.text(given, vocabulary)
    clip = Clip(weights.tensors, heads(given), "quick_gelu")
    pictures = synthetic_pictures(weights.random, 24)
    weights.centre("vision_model.post_layernorm", clip.before_last_norm_of_pictures(pictures))
    texts = weights.random.integers(0, vocabulary - 2, (24, 8))
    texts[:, 0], texts[:, -1] = vocabulary - 2, vocabulary - 1
    weights.centre("text_model.final_layer_norm", clip.before_last_norm_of_texts(texts))
    weights.tensors["logit_scale"] = np.array(np.log(100), np.float32)
    return weights.tensors


def spec(given: argparse.Namespace, vocabulary: str, folder: Path | None) -> str:
    """YAML; with a folder, that of its files as sources. JSON is YAML too."""
    precisions = ["fp32", "int8"] if given.int8 else ["fp32"]

    def variants(kind: str) -> list[dict]:
        gates = {"fp32": {}, "int8": {"gate": {"cosine": 0.99}}}
        return [{"precision": each, "file": f"clip_{kind}_{each}.onnx"} | gates[each] for each in precisions]

    names = [variant["file"] for kind in ("vision", "text") for variant in variants(kind)] + [vocabulary]
    files = [{"name": name} | ({"sources": [f"file:{folder / name}"]} if folder else {}) for name in names]
    picture = {"name": "pixel_values", "width": EDGE, "height": EDGE, "fit": "centre-crop", "resize_edge": EDGE, "filter": "bicubic",
               "order": "rgb", "mean": [255 * x for x in MEAN], "deviation": [255 * x for x in DEVIATION]}  # fmt: skip
    text = {"tokenizer": "clip-bpe", "vocabulary": vocabulary, "context": CONTEXT, "variants": variants("text"), "outputs": ["text_embeds"]}
    entry = {"task": "embedding", "title": "CLIP with random weights, which knows nothing", "version": f"seed {given.seed}",
             "licence": {"name": "Apache-2.0", "permissive": True}, "files": files, "variants": variants("vision"),
             "input": picture, "outputs": ["image_embeds"],
             "options": {"dimensions": given.dimensions, "logit_scale": 100}, "text": text}  # fmt: skip
    return json.dumps({"models": {given.name: entry}}, indent=2) + "\n"


def main() -> None:
    given = arguments()
    given.output.mkdir(parents=True, exist_ok=True)
    vocabulary, ids = take_vocabulary(given)
    safetensors_file.write(given.output / "model.safetensors", make_weights(given, ids))
    (given.output / "config.json").write_text(json.dumps(config(given, ids), indent=2) + "\n", encoding="utf-8")
    clip = clip_graph.read(given.output)
    for name, model in (("vision", clip_graph.vision_graph(clip.vision, given.opset)), ("text", clip_graph.text_graph(clip.text, given.opset))):
        onnx.save(model, given.output / f"clip_{name}_fp32.onnx")
        if given.int8:
            onnx.save(int8_variant(model), given.output / f"clip_{name}_int8.onnx")
    if not given.weights:
        (given.output / "model.safetensors").unlink()
        (given.output / "config.json").unlink()
    (given.output / "spec.yaml").write_text(spec(given, vocabulary, None), encoding="utf-8")
    (given.output / "pull.yaml").write_text(spec(given, vocabulary, given.output.resolve()), encoding="utf-8")


if __name__ == "__main__":
    main()
