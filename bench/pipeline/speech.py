"""`search` by the meaning of speech, process start included: recordings with synthetic passages, and photos without any."""

import os
from pathlib import Path

import common

PASSAGES = [0, 10_000, 1_000_000]
QUERIES = ["they toast", "swimming in the sea", "passage 17"]


def measure(bench: common.Bench) -> dict:
    """Searches, each in a process of its own. Needs the model minilm, in IMAGE_ENGINE_MODELS or where the tests install it."""
    os.environ.setdefault("IMAGE_ENGINE_MODELS", str(Path(__file__).resolve().parents[2] / "build/models"))
    folders = {}
    for passages in [bench.size(count, count // 1000) for count in PASSAGES]:
        folders[f"{passages:,} passages"] = folder = bench.fresh(f"speech-{passages}")
        common.run(bench.bin / "make_speech", folder / "catalog.db", passages)
    folders["photos only"] = bench.fresh("photos")
    common.run(bench.bin / "make_catalogue", folders["photos only"] / "catalog.db", bench.size(100_000, 100))
    contenders = {(name, query): lambda folder=folder, query=query: bench.call(folder, "search", query)
                  for name, folder in folders.items() for query in QUERIES}  # fmt: skip
    common.in_turns(1, contenders)  # makes the files of vectors
    answers = common.in_turns(bench.rounds, contenders)
    times = {name: common.median(finished.seconds for finished, _ in runs) for name, runs in answers.items()}
    common.print_table([["search", "ms", "cpu ms", "found"]] + [
        [f"{name}: {query}", f"{times[name, query] * 1000:.0f}", f"{common.median(f.cpu for f, _ in runs) * 1000:.0f}", str(runs[0][1]["total"])]
        for (name, query), runs in answers.items()
    ])  # fmt: skip
    return {"seconds": {f"{name}: {query}": taken for (name, query), taken in times.items()}}


if __name__ == "__main__":
    common.main("speech", measure)
