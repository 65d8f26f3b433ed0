"""The 50 nearest of many vectors of 512 numbers, exact: ours, a kernel that only reads them, faiss and sqlite-vec, in turns.

usage: bench/vectors.py [--quick] [--rounds N] [--bin DIR] [--scratch DIR]

The peers are those of the Python that runs this: faiss-cpu (IndexScalarQuantizer, QT_fp16), sqlite-vec with apsw; a row
says so where one is absent. All use one thread but where the row says two. Wall time, medians.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
DIMENSIONS = 512
NEAREST = 50


def directions(rows: int, seed: int) -> np.ndarray:
    """Around 64 centres, as pictures are."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((64, DIMENSIONS), np.float32)
    vectors = random.standard_normal((rows, DIMENSIONS), np.float32)
    vectors += centres[random.integers(0, 64, rows)]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


class Ours:
    def __init__(self, binary: Path, folder: Path, rows: int):
        self.folder = folder
        halves = folder / "halves"
        with halves.open("wb") as file:
            for seed, begin in enumerate(range(0, rows, 100_000)):
                file.write(directions(min(100_000, rows - begin), seed).astype(np.float16).tobytes())
        self.process = subprocess.Popen([binary, halves, str(DIMENSIONS), folder / "file"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.kernel = self.process.stdout.readline().split()[-1]
        self.halves = np.memmap(halves, np.float16, "r").reshape(rows, DIMENSIONS)

    def ask(self, *words) -> tuple[float, list[int]]:
        print(*words, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline().split()
        return float(answer[0]), [int(word) for word in answer[1:]]

    def scan(self, query: np.ndarray, threads: int, percent: int) -> tuple[float, list[int]]:
        path = self.folder / "query"
        path.write_bytes(query.tobytes())
        return self.ask("scan", threads, percent, path)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def faiss_peer(halves: np.ndarray):
    try:
        import faiss
    except ImportError:
        return None
    faiss.omp_set_num_threads(1)
    index = faiss.IndexScalarQuantizer(DIMENSIONS, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    for begin in range(0, len(halves), 100_000):
        index.add(halves[begin : begin + 100_000].astype(np.float32))

    def ask(query: np.ndarray) -> tuple[float, list[int]]:
        begin = time.perf_counter()
        _, found = index.search(query[None], NEAREST)
        return time.perf_counter() - begin, [int(i) + 1 for i in found[0]]

    return ask


def sqlite_vec_peer(halves: np.ndarray):
    try:
        import apsw
        import sqlite_vec
    except ImportError:
        return None
    connection = apsw.Connection(":memory:")
    connection.enable_load_extension(True)
    connection.load_extension(sqlite_vec.loadable_path())
    connection.execute(f"CREATE VIRTUAL TABLE v USING vec0(embedding float[{DIMENSIONS}] distance_metric=cosine)")
    with connection:
        connection.executemany("INSERT INTO v(rowid, embedding) VALUES(?, ?)",
                               ((i + 1, row.astype(np.float32).tobytes()) for i, row in enumerate(halves)))

    def ask(query: np.ndarray) -> tuple[float, list[int]]:
        begin = time.perf_counter()
        rows = list(connection.execute("SELECT rowid FROM v WHERE embedding MATCH ? AND k = ?", (query.tobytes(), NEAREST)))
        return time.perf_counter() - begin, [row[0] for row in rows]

    return ask


def in_turns(rounds: int, contenders: dict, queries: np.ndarray) -> dict[str, list]:
    answers = {name: [] for name in contenders}
    for turn in range(rounds):
        for name, ask in contenders.items():
            answers[name].append(ask(queries[turn]))
    return answers


def check_same(answers: dict[str, list], allowed_misses: int) -> None:
    """Every peer's neighbours are ours; sums in another order may swap the last ones."""
    for name, given in answers.items():
        for (_, ours), (_, theirs) in zip(answers["scan, 1 thread"], given):
            if theirs and len(set(ours) - set(theirs)) > allowed_misses:
                sys.exit(f"bench/vectors.py: {name} found other neighbours")


def report(title: str, answers: dict[str, list], absent: list[str]) -> dict[str, float]:
    medians = {name: statistics.median(taken for taken, _ in given) for name, given in answers.items()}
    ours = medians["scan, 1 thread"]
    print(f"\n{title}")
    for name, taken in medians.items():
        print(f"  {name:34} {taken * 1e3:8.2f} ms {taken / ours:7.2f}x ours")
    for name in absent:
        print(f"  {name:34} is not installed")
    return medians


def measure(options, rows: int, with_peers: bool) -> dict:
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        ours = Ours(options.bin / "scan_vectors", Path(folder), rows)
        queries = directions(options.rounds, 999)
        contenders = {
            "floor: reading the halves": lambda query: ours.ask("floor")[:1] + ([],),
            "scan, 1 thread": lambda query: ours.scan(query, 1, 100),
            "scan, 2 threads": lambda query: ours.scan(query, 2, 100),
            "scan of 50 %, 2 threads": lambda query: (ours.scan(query, 2, 50)[0], []),
            "scan of 10 %, 2 threads": lambda query: (ours.scan(query, 2, 10)[0], []),
        }
        absent = []
        if with_peers:
            for name, peer in {"faiss-cpu, flat f16": faiss_peer, "sqlite-vec, f32": sqlite_vec_peer}.items():
                ask = peer(ours.halves)
                if ask:
                    contenders[name] = ask
                else:
                    absent.append(name)
        in_turns(1, contenders, queries)  # warms up
        answers = in_turns(options.rounds, contenders, queries)
        check_same(answers, allowed_misses=2)
        ours.close()
        return report(f"{rows:,} vectors of {DIMENSIONS}, kernel {ours.kernel}", answers, absent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one small round, to see that it works")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--bin", type=Path, default=ROOT / "build/release/bin")
    parser.add_argument("--scratch", type=Path, help="where the vectors lie meanwhile: 2.6 GB")
    options = parser.parse_args()
    if options.quick:
        options.rounds = 1
    results = {}
    for rows, with_peers in ((5_000, True),) if options.quick else ((100_000, True), (1_000_000, False)):
        results[str(rows)] = measure(options, rows, with_peers)
    print(json.dumps({"bench": "vectors", "quick": options.quick, "rounds": options.rounds, "seconds": results}))


if __name__ == "__main__":
    main()
