"""Searches in synthetic transcripts, each in a process of its own, with the file in the page cache.

usage: bench/store/speech.py --bin DIR [--hours N] [--rounds N] [--catalogue FILE]

DIR holds make_transcripts and search_once. FILE is used if it exists, and made otherwise; without it a temporary
catalogue is made. 10,000 hours take about 5.2 GB. On a busy machine `chrt -f 1` keeps other work out of the wall time.
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

# Words by make_transcripts.cpp, of which the k-th is said in proportion to 1/k: English function words, then "bane" (the 21st),
# "line" (34th), "byby" (400th), "bagarro" (1,501st), "babatorti" (20,001st). Each phrase is said somewhere in 10,000 hours.
PHRASES = [
    "bane nene", "the batormo", "line derne of", "torti", "bagar the", "byby", "of babane", "in bader", "wenro and", "bagarro",
    "tormo is", "bator nene", "it was bane", "derne line", "a bybyby", "bababane", "and the torti", "bane to the line", "bagarne",
    "for babatorti",
]  # fmt: skip
STOP_WORDS = ["of the", "in the", "it is", "to be", "and the of", "the", "a", "for that"]
OTHERS = ["said:bagar", "said:bane", "bator line", "the of", "bane -said:the"]


def read_by(process: subprocess.Popen) -> int:
    """Bytes that it has read by system calls, once it has ended; it is not waited for."""
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    counts = dict(line.split(": ") for line in Path(f"/proc/{process.pid}/io").read_text().splitlines())
    return int(counts["rchar"])


def measure(program: Path, catalogue: Path, query: str, rounds: int) -> tuple[float, float, int, str]:
    """Median seconds of wall time and of CPU time, bytes read, and the number of results."""
    wall, cpu, read = [], [], 0
    for _ in range(rounds):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        with subprocess.Popen([str(program), str(catalogue), query], stdout=subprocess.PIPE, text=True) as process:
            out = process.stdout.read()
            read = read_by(process)
            wall.append(time.perf_counter() - start)
        if process.returncode != 0:
            raise SystemExit(f"{query}: the search ended with {process.returncode}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(wall), statistics.median(cpu), read, out.split("\n", 1)[0]


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
        print(f"{'query':28} {'wall':>9} {'CPU':>9} {'read':>9}")
        queries = [f'said:"{phrase}"' for phrase in PHRASES + STOP_WORDS] + OTHERS
        for query in queries:
            wall, cpu, read, results = measure(options.bin / "search_once", catalogue, query, options.rounds)
            print(f"{query:28} {wall * 1e3:6.1f} ms {cpu * 1e3:6.1f} ms {read / 1e6:6.1f} MB  {results}", flush=True)


if __name__ == "__main__":
    main()
