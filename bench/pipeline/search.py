"""`search` over synthetic assets, process start included."""

import common

QUERIES = [
    "common",  # in every asset
    "photo_4711",
    "kyoto canon",
    '"album 12"',
    "東京",
    "camera:nikon after:2008 before:2010",
    "near:45,10,20",
    "rating:4 -word1",
    "common after:2015 camera:apple",
]


def measure(bench: common.Bench) -> dict:
    """Searches, each in a process of its own."""
    assets = bench.size(100_000, 2_000)
    folder = bench.fresh("catalogue")
    common.run(bench.bin / "make_catalogue", folder / "catalog.db", assets)

    def ask(query: str):
        finished, document = bench.call(folder, "search", query)
        return finished, len(document["results"])

    answers = common.in_turns(bench.rounds * 2, {query: lambda query=query: ask(query) for query in QUERIES})
    times = {query: common.median(finished.seconds for finished, _ in runs) for query, runs in answers.items()}
    common.print_table([[f"search, {assets} assets", "ms", "slowest ms", "cpu ms", "results shown"]] + [
        [query, f"{times[query] * 1000:.0f}", f"{max(f.seconds for f, _ in runs) * 1000:.0f}",
         f"{common.median(f.cpu for f, _ in runs) * 1000:.0f}", str(runs[0][1])] for query, runs in answers.items()
    ])  # fmt: skip
    return {"assets": assets, "worst_seconds": max(times.values()), "seconds": times}


if __name__ == "__main__":
    common.main("search", measure)
