"""Searches in synthetic transcripts, each in a process of its own, with the file in the page cache.

usage: bench/store/speech.py --bin DIR [--hours N] [--rounds N] [--catalogue FILE]

DIR holds make_transcripts and search_once. FILE is used if it exists, and made otherwise; without it a temporary
catalogue is made. 10,000 hours take about 5.5 GB.
"""

import argparse
import contextlib
import os
import resource
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

# Words by make_transcripts.cpp: frequent ones are English function words, the others are syllables.
PHRASES = [
    "lamo ti", "sun ba", "the lamo", "ne ne der", "mo of the ke", "sunder mola", "vis and la", "torba", "garfo the",
    "ke mo la", "wenti of", "pane", "by the der", "lane ro", "shaba", "foti and the", "chune", "en li", "ti ro sun",
    "rosha",
]
STOP_WORDS = ["of the", "in the", "it is", "to be", "and the of", "the", "a", "for that"]
OTHERS = ["said:sunder", "said:bane", "sunder mola", "the of", "sun -said:the"]


def measure(program: Path, catalogue: Path, query: str, rounds: int) -> tuple[float, float, str]:
    """Median seconds of wall time and of CPU time, and the number of results."""
    wall, cpu = [], []
    for _ in range(rounds):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        out = subprocess.run([str(program), str(catalogue), query], check=True, capture_output=True, text=True).stdout
        wall.append(time.perf_counter() - start)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(wall), statistics.median(cpu), out.split("\n", 1)[0]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--bin", type=Path, required=True)
    arguments.add_argument("--hours", type=int, default=1_000)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--catalogue", type=Path)
    options = arguments.parse_args()
    with contextlib.ExitStack() as stack:
        catalogue = options.catalogue or Path(stack.enter_context(tempfile.TemporaryDirectory())) / "catalog.db"
        if not catalogue.exists():
            start = time.perf_counter()
            subprocess.run([str(options.bin / "make_transcripts"), str(catalogue), str(options.hours)], check=True)
            print(f"written in {time.perf_counter() - start:.0f} s")
        print(f"{catalogue.stat().st_size / 1e9:.2f} GB; load average {os.getloadavg()[0]:.1f}")
        print(f"{'query':28} {'wall':>9} {'CPU':>9}")
        queries = [f'said:"{phrase}"' for phrase in PHRASES + STOP_WORDS] + OTHERS
        for query in queries:
            wall, cpu, results = measure(options.bin / "search_once", catalogue, query, options.rounds)
            print(f"{query:28} {wall * 1e3:6.1f} ms {cpu * 1e3:6.1f} ms  {results}", flush=True)


if __name__ == "__main__":
    main()
