"""The one thread that writes the catalogue: its processor time a photo in each pass, which bounds `analyze` on many cores."""

import re

import common

LINE = re.compile(r"(\w+) +([\d.]+) us a photo")


def measure(bench: common.Bench) -> dict:
    """Scan, headers and contents of synthetic photos: bin/writing, built with the target of that name."""
    count = bench.size(50_000, 500)

    def once() -> dict:
        finished = common.run(bench.bin / "writing", bench.fresh("catalogue") / "catalog.db", count)
        return {name: float(time) for name, time in LINE.findall(finished.output)}

    results = [once() for _ in range(bench.rounds)]
    times = {name: common.median(result[name] for result in results) for name in results[0]}
    first = times["scan"] + times["headers"]
    rows = [["written", "us a photo", "photos/s at most"]]
    rows += [[name, f"{time:.1f}", f"{1e6 / time:.0f}"] for name, time in [*times.items(), ("pass 1 (scan, headers)", first)]]
    common.print_table(rows)
    return {"photos": count, "microseconds": times, "pass_1_photos_per_second": 1e6 / first}


if __name__ == "__main__":
    common.main("writing", measure)
