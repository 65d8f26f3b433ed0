"""Makes random labels' vectors and logits, and what they say by numpy.

usage: make_scenes.py FOLDER     writes FOLDER/scenes.json:
zero_shot    {prompts, labels: [{name, phrases}], scale, texts: {text: vector}, cases: [{embedding, confidences}]}
classifiers  [{head, background, outputs, confidences}]     confidences are by label, in the labels' order
"""

import json
import pathlib
import sys

import numpy as np

DIMENSIONS, LABELS, SCALE = 32, 40, 100.0
PROMPTS = ["a photo of {}.", "{} by {}"]


def unit(values: np.ndarray) -> np.ndarray:
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


def softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max())
    return e / e.sum()


def zero_shot(random: np.random.Generator) -> dict:
    labels = [{"name": f"scene {i}", "phrases": [f"phrase {i}.{k}" for k in range(1 + i % 3)]} for i in range(LABELS)]
    texts, rows = {}, []
    for label in labels:
        mine = [prompt.replace("{}", phrase) for phrase in label["phrases"] for prompt in PROMPTS]
        vectors = unit(random.standard_normal((len(mine), DIMENSIONS))).astype(np.float32)
        texts |= dict(zip(mine, vectors.tolist()))
        rows.append(unit(vectors.astype(float).mean(0)))
    cases = []
    for _ in range(20):
        embedding = unit(random.standard_normal(DIMENSIONS)).astype(np.float32)
        cases.append({"embedding": embedding.tolist(), "confidences": softmax(SCALE * (np.array(rows) @ embedding)).tolist()})
    return {"prompts": PROMPTS, "labels": labels, "scale": SCALE, "texts": texts, "cases": cases}


def classifier(random: np.random.Generator, head: str, background: bool) -> dict:
    outputs = random.normal(0, 4, LABELS + background).astype(np.float32)
    if head == "probabilities":
        outputs = softmax(outputs.astype(float)).astype(np.float32)
    confidences = softmax(outputs.astype(float)) if head == "softmax" else outputs.astype(float)
    return {"head": head, "background": background, "outputs": outputs.tolist(), "confidences": confidences[background:].tolist()}


def main() -> None:
    folder, random = pathlib.Path(sys.argv[1]), np.random.default_rng(12)
    folder.mkdir(parents=True, exist_ok=True)
    kinds = [(head, background) for head in ("softmax", "probabilities") for background in (False, True)]
    document = {"zero_shot": zero_shot(random), "classifiers": [classifier(random, *kind) for kind in kinds]}
    (folder / "scenes.json").write_text(json.dumps(document))


if __name__ == "__main__":
    main()
