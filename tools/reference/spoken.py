"""Cosines of queries and passages of speech by all-MiniLM-L6-v2, from which kSpokenPrior (src/search/relevance.cpp) was
chosen, and the golden file of tests/search.

Wants onnxruntime and numpy, and the folder of the installed model (minilm.onnx, vocab.txt).

usage: python -P spoken.py MODEL_FOLDER [--pairs tools/reference/spoken.tsv] [--golden tests/search/spoken_vectors.tsv]

-P: the scripts beside this one are not to be taken for packages of their names.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import argparse
import base64
import re
import unicodedata
from pathlib import Path

import numpy as np
import onnxruntime

CONTEXT = 128
SHORT = "Cheers to the happy couple."  # one more passage of the golden file, which measurements leave out
ACTS = Path(__file__).resolve().parents[2] / "src/search/speech_acts.cpp"


def reported(passage: str) -> str:
    """As src/pipeline/speech_vectors.cpp embeds it."""
    return f'They say: "{passage}"'


def acts() -> list[tuple[set[str], list[str]]]:
    """The table of src/search/speech_acts.cpp: names of acts, and sentences that are said in them."""
    table = re.search(r"kActs\[\] = \{(.*?)\n\};", ACTS.read_text(encoding="utf-8"), re.DOTALL)[1]
    texts = re.findall(r'"([^"]*)"', table)
    return [(set(names.split()), sentences.split("|")) for names, sentences in zip(texts[::2], texts[1::2], strict=True)]


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


def print_spread(cosines: np.ndarray, own: np.ndarray, queries: list[tuple[str, int]], passages: list[str]) -> None:
    is_own = np.arange(len(passages))[None] == own[:, None]
    for name, values in ("related", cosines[is_own]), ("unrelated", cosines[~is_own]):
        at = np.percentile(values, [1, 5, 50, 95, 99, 99.9])
        print(f"{name}: {values.size} pairs, mean {values.mean():.3f}, deviation {values.std():.3f}, "
              f"percentiles 1 5 50 95 99 99.9: {' '.join(f'{value:.2f}' for value in at)}; "
              f"deviation by the 99th {(at[4] - values.mean()) / 2.326:.3f}")
    print(f"the meant passage is the nearest of all for {(cosines.argmax(1) == own).mean():.0%} of the queries")
    for index in np.argsort(cosines[is_own])[:8]:
        print(f"  related {cosines[is_own][index]:.2f} {queries[index][0]} ~ {passages[own[index]]}")
    for index in np.argsort(-np.where(is_own, -1, cosines), axis=None)[:8]:
        query, passage = divmod(int(index), len(passages))
        print(f"  unrelated {cosines[query, passage]:.2f} {queries[query][0]} ~ {passages[passage]}")


def write_golden(model: Sentences, passages: list[str], queries: list[tuple[str, int]], path: Path) -> None:
    """A line a text: its kind, itself, the number of the passage that a query means, its vector as base64 of little-endian f16."""
    lines = ["# all-MiniLM-L6-v2 as image-engine installs it, in onnxruntime; made by tools/reference/spoken.py"]
    sentences = [sentence for _, said in acts() for sentence in said]
    for kind, texts in ("passage", [*passages, SHORT]), ("query", [query for query, _ in queries]), ("act", sentences):
        vectors = model.vectors([reported(text) for text in texts] if kind == "passage" else texts)
        for index, (text, vector) in enumerate(zip(texts, vectors, strict=True)):
            meant = str(queries[index][1]) if kind == "query" else ""
            lines.append("\t".join((kind, text, meant, base64.b64encode(vector.astype("<f2").tobytes()).decode())))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--pairs", type=Path, default=Path(__file__).with_name("spoken.tsv"))
    parser.add_argument("--golden", type=Path)
    flags = parser.parse_args()
    model = Sentences(flags.model)
    passages, queries = read_pairs(flags.pairs)
    own = np.array([number for _, number in queries])
    asked = model.vectors([query for query, _ in queries])
    said = [(names, model.vectors(sentences).mean(0)) for names, sentences in acts()]
    with_acts = asked.copy()
    for index, (query, _) in enumerate(queries):
        named = [mean for names, mean in said if names & set(re.findall("[a-z]+", query.lower()))]
        if named:
            with_acts[index] += np.mean(named, axis=0)
    with_acts /= np.linalg.norm(with_acts, axis=1, keepdims=True)
    print(f"{len(passages)} passages, {len(queries)} queries")
    for title, vectors, texts in (
        ("bare passages", asked, passages),
        ("reported passages", asked, [reported(passage) for passage in passages]),
        ("reported passages, queries with the acts that they name", with_acts, [reported(passage) for passage in passages]),
    ):
        print(f"\n{title}")
        print_spread(vectors @ model.vectors(texts).T, own, queries, passages)
    if flags.golden:
        write_golden(model, passages, queries, flags.golden)


if __name__ == "__main__":
    main()
