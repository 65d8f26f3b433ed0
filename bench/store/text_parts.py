"""`search text:PART` in a library of photos with text, each search in a process of its own, with the file in the page cache.

usage: bench/store/text_parts.py --bin DIR [--photos N] [--rounds N]

DIR holds image-engine. Each photo has 3 to 40 words of 20,000 made up of syllables, the k-th in proportion to 1/k, as a tenth of a
library may have; what `text:` finds inside words is compared with a scan of all texts.
"""

import argparse
import json
import os
import random
import resource
import sqlite3
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

PARTS = ["merge", "rato", "banerator", "nenetor", "mergenc", "tora"]


def words() -> list[str]:
    syllables = ["ba", "ne", "ra", "tor", "lin", "mer", "gen", "cy", "wen", "ro", "of", "ki", "dal", "us", "to", "es", "phi", "qua"]
    choose = random.Random(1)
    return ["".join(choose.choice(syllables) for _ in range(choose.randint(1, 5))) for _ in range(20_000)]


def fill(catalogue: Path, photos: int) -> list[str]:
    choose, vocabulary = random.Random(2), words()
    weights = [1 / (k + 1) for k in range(len(vocabulary))]
    texts = [" ".join(choose.choices(vocabulary, weights, k=choose.randint(3, 40))) for _ in range(photos)]
    numbered = list(enumerate(texts, 1))
    with sqlite3.connect(catalogue) as base:
        base.execute("INSERT INTO roots VALUES(CAST('/p' AS BLOB), 1, '', '')")
        base.executemany("INSERT INTO assets(id, hash, kind, format) VALUES(?, randomblob(16), 'photo', 'jpeg')", ((n,) for n, _ in numbered))
        base.executemany("INSERT INTO files(path, device, inode, size, mtime_ns, format, kind, state, asset_id, first_run, last_run) "
                         "VALUES(CAST('/p/' || ?1 || '.jpg' AS BLOB), 1, ?1, 1, 1, 'jpeg', 'photo', 'present', ?1, 1, 1)", ((n,) for n, _ in numbered))
        for index in ("asset_text", "asset_trigram"):
            before = base.execute("SELECT sum(pgsize) FROM dbstat").fetchone()[0] if index == "asset_trigram" else 0
            base.executemany(f"INSERT INTO {index}(rowid, text) VALUES(?, ?)", numbered)
        base.commit()
        added = base.execute("SELECT sum(pgsize) FROM dbstat").fetchone()[0] - before
    print(f"{photos} photos: the index of parts has {added / 1e6:.1f} MB")
    return texts


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--bin", type=Path, required=True)
    arguments.add_argument("--photos", type=int, default=100_000)
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = os.environ | {f"XDG_{kind}_HOME": name for kind in ("DATA", "CONFIG", "CACHE")}
        program = [str(options.bin / "image-engine"), "--catalog", str(folder / "catalog.db")]
        (folder / "none").mkdir()
        subprocess.run([*program, "analyze", folder / "none", "--quiet"], env=environment, check=True)
        texts = fill(folder / "catalog.db", options.photos)
        for part in PARTS:
            wall, cpu = [], []
            for _ in range(options.rounds):
                before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
                out = subprocess.run([*program, "search", f"text:{part}", "--json", "--limit", "1"], env=environment, check=True, capture_output=True, text=True)
                wall.append(time.perf_counter() - start)
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
            wanted = sum(part in text for text in texts)
            print(f"text:{part}: {json.loads(out.stdout)["total"]} found, {wanted} by a scan; {1e3 * statistics.median(wall):.0f} ms, "
                  f"CPU {1e3 * statistics.median(cpu):.0f} ms")


if __name__ == "__main__":
    main()
