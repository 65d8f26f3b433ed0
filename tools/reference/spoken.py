"""Cosines of queries and passages of speech by all-MiniLM-L6-v2: how related and unrelated pairs are spread, from which
kSpokenPrior (src/search/relevance.cpp) was chosen.

Wants onnxruntime and numpy, and the folder of the installed model (minilm.onnx, vocab.txt).

usage: python -P spoken.py MODEL_FOLDER [--pairs tools/reference/spoken.tsv]

-P: the scripts beside this one are not to be taken for packages of their names.
"""

import argparse
import re
import unicodedata
from pathlib import Path

import numpy as np
import onnxruntime

CONTEXT = 128


class Sentences:
    def __init__(self, folder: Path):
        words = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
        self.ids = {word: number for number, word in enumerate(words)}
        self.session = onnxruntime.InferenceSession(folder / "minilm.onnx")

    def tokens(self, text: str) -> list[int]:
        """BERT's lower-case WordPiece, for Latin text."""
        plain = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if not unicodedata.combining(c))
        ids = []
        for word in re.findall(r"\w+|[^\w\s]", plain):
            begin, pieces = 0, []
            while begin < len(word):
                ends = (end for end in range(len(word), begin, -1) if ("##" if begin else "") + word[begin:end] in self.ids)
                end = next(ends, None)
                if end is None:
                    pieces = [self.ids["[UNK]"]]
                    break
                pieces.append(self.ids[("##" if begin else "") + word[begin:end]])
                begin = end
            ids += pieces
        return [self.ids["[CLS]"], *ids[: CONTEXT - 2], self.ids["[SEP]"]]

    def vectors(self, texts: list[str]) -> np.ndarray:
        """The mean over a text's tokens, length 1."""
        rows = []
        for text in texts:
            ids = np.array([self.tokens(text)], np.int64)
            inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
            (states,) = self.session.run(["last_hidden_state"], inputs)
            mean = states[0].mean(0)
            rows.append(mean / np.linalg.norm(mean))
        return np.array(rows)


def read_pairs(path: Path) -> tuple[list[str], list[tuple[str, int]]]:
    """Passages, and queries with the number of the passage that each means. Lines: passage TAB query | query …"""
    passages, queries = [], []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") or not line:
            continue
        passage, asked = line.split("\t")
        queries += [(query.strip(), len(passages)) for query in asked.split("|")]
        passages.append(passage)
    return passages, queries


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--pairs", type=Path, default=Path(__file__).with_name("spoken.tsv"))
    flags = parser.parse_args()
    model = Sentences(flags.model)
    passages, queries = read_pairs(flags.pairs)
    cosines = model.vectors([query for query, _ in queries]) @ model.vectors(passages).T
    own = np.array([number for _, number in queries])
    is_own = np.arange(len(passages))[None] == own[:, None]
    print(f"{len(passages)} passages, {len(queries)} queries")
    for name, values in ("related", cosines[is_own]), ("unrelated", cosines[~is_own]):
        at = np.percentile(values, [1, 5, 25, 50, 75, 95, 99, 99.9])
        print(f"{name}: {values.size} pairs, mean {values.mean():.3f}, deviation {values.std():.3f}, "
              f"percentiles 1 5 25 50 75 95 99 99.9: {' '.join(f'{value:.2f}' for value in at)}")
    first = (cosines.argmax(1) == own).mean()
    print(f"the meant passage is the nearest of all for {first:.0%} of the queries")
    for threshold in np.arange(0.24, 0.50, 0.02):
        found = cosines >= threshold
        print(f"  cosine >= {threshold:.2f}: {found[is_own].mean():4.0%} of those meant, {found[~is_own].sum() / len(queries):.2f} others a query "
              f"({found[~is_own].mean():.2%} of the unrelated)")
    for index in np.argsort(cosines[is_own])[:15]:
        print(f"  lowest related {cosines[is_own][index]:.2f} {queries[index][0]} ~ {passages[own[index]]}")
    for index in np.argsort(-np.where(is_own, -1, cosines), axis=None)[:15]:
        query, passage = divmod(int(index), len(passages))
        print(f"  highest other {cosines[query, passage]:.2f} {queries[query][0]} ~ {passages[passage]}")


if __name__ == "__main__":
    main()
