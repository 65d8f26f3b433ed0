"""Searches over a synthetic catalogue, each in a process of its own, beside plain FTS5 through the sqlite3 program.

usage: bench/store/search.py --bin DIR [--assets N] [--rounds N]

DIR holds make_catalogue and search_once. The two take turns; the last column is the ratio of the medians, sqlite3's
over ours. sqlite3 answers only the text part (bm25 order, 50 rows); it is left out where a query has none.
"""

import argparse
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

# Our query, and the FTS5 expression that comes nearest.
QUERIES = [
    ("common", "common"),
    ("photo", "photo"),
    ("word", "word*"),
    ("word1 word2 common", "word1* OR word2* OR common*"),
    ("word1234 common", "word1234* OR common*"),
    ('"photo 95589"', '"photo 95589"'),
    ("camera:canon", "camera : canon"),
    ("camera:canon after:2008 before:2010-06", None),
    ("near:40,10,500", None),
    ("rating:3", None),
    ("path:album", None),
    ("object:person>=2", None),
    ("people:yes", None),
    ("東京", None),
    ("東京タワー", None),
    ("-common", None),
    ("NOT word1234", None),
    ("word1234 OR word999", "word1234* OR word999*"),
    ("camera:canon OR camera:nikon", "camera : canon OR camera : nikon"),
    ("(word1234 OR camera:nikon) NOT rating:<3", None),
    ("common OR photo", None),
    ("people", None),
    ("photos with people", None),
    ("word1 people", None),
    ("people OR dog", None),
    ("NOT people", None),
    ("dog", "dog"),
    ("dog NOT common", None),
    ("2016", None),
    ("2016 common", None),
    ("year:2016", None),
    ("month:july", None),
    ("word1 month:july", None),
    ("wrod1234", None),
    ("wrod1234 camera:canon", None),
    ("name:wrod", None),
    # Inside words: of every fifth photo's text.
    ("text:ergen", None),
    ("text:ket", None),
    ('text:"cy pla"', None),
    ("tag:wrod1234", None),
    ("", None),
    # Those of docs/search.md that need neither rules of tags nor names of places.
    ("sunset beach", None),
    ("sunset beach -people camera:canon after:2008", None),
    ("beac*", None),
    ('"new york"', None),
    ('-winter -tag:snow -"ski lift" NOT winter', None),
    ("dog | cat", None),
    ("(dog OR cat) rating:4", None),
    ("-(camera:canon rating:1)", None),
    ("red dog OR cat NOT collar", None),
    ("NOT (red dog)", None),
    ("ete", None),
    ("2019", None),
    ("1273", None),
    ("holiday", None),
    ("object:person=1", None),
    ("object:dining-table>=2", None),
    ("product:bottle>=2", None),
    ("people:no", None),
    ("people:>=3", None),
    ("vehicle:yes", None),
    ("vehicle:bus>=2", None),
    ("action:swimming", None),
    ('said:"best of times"', None),
    ("sound:music", None),
    ("type:photo", None),
    ("rating:<=3", None),
    ("before:2008", None),
    ("date:2023..2024-06", None),
    ("year:2016-2018", None),
    ("month:2016-07", None),
    ("state:present", None),
    ("opa & oma", None),
]


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def peer_command(catalogue: Path, expression: str) -> list[str]:
    quoted = expression.replace("'", "''")
    sql = f"SELECT rowid FROM asset_text WHERE asset_text MATCH '{quoted}' ORDER BY rank LIMIT 50"
    return ["sqlite3", "-readonly", str(catalogue), sql]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--bin", type=Path, required=True)
    arguments.add_argument("--assets", type=int, default=100_000)
    arguments.add_argument("--rounds", type=int, default=11)
    options = arguments.parse_args()
    has_peer = shutil.which("sqlite3") is not None
    with tempfile.TemporaryDirectory() as folder:
        catalogue = Path(folder) / "catalog.db"
        made = seconds([str(options.bin / "make_catalogue"), str(catalogue), str(options.assets)])
        size = catalogue.stat().st_size / 1e6
        print(f"{options.assets} assets written in {made:.1f} s ({made / options.assets * 1e6:.0f} us each), {size:.0f} MB")
        print(f"{'query':42} {'ours':>9} {'sqlite3':>9} {'ratio':>6}")
        for query, expression in QUERIES:
            ours, theirs = [], []
            for _ in range(options.rounds):
                ours.append(seconds([str(options.bin / "search_once"), str(catalogue), query]))
                if expression and has_peer:
                    theirs.append(seconds(peer_command(catalogue, expression)))
            mine = statistics.median(ours)
            row = f"{query:42} {mine * 1e3:6.1f} ms"
            if theirs:
                other = statistics.median(theirs)
                row += f" {other * 1e3:6.1f} ms {other / mine:5.1f}x"
            elif expression:
                row += "   sqlite3 is not installed"
            print(row, flush=True)


if __name__ == "__main__":
    main()
