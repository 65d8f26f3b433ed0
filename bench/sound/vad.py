"""Voice activity by image-engine against Silero's own Python code: how far the beginnings and ends of the segments are apart.

usage: python3 bench/sound/vad.py FILE… --peer PYTHON [--model whisper-tiny.en] [--bin FOLDER]
PYTHON has what tools/reference/voice_activity.py needs.

Of each file: the number of segments of both, the largest distance of a boundary of one from the nearest of the other, and seconds that only
one calls speech. Prints a table, then a line of JSON; ends with 1 where a boundary is more than 32 ms off.
"""

import argparse
import json
import sys
from pathlib import Path

import ours

MOST = 0.032


def farthest(one: list[float], other: list[float]) -> float:
    if not one or not other:
        return 0.0 if not one and not other else float("inf")
    return max(max(min(abs(x - y) for y in b) for x in a) for a, b in ((one, other), (other, one)))


def differing(one: list[list[float]], other: list[list[float]]) -> float:
    both = sum(max(0.0, min(a[1], b[1]) - max(a[0], b[0])) for a in one for b in other)
    return sum(end - begin for begin, end in one) + sum(end - begin for begin, end in other) - 2 * both


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--peer", required=True)
    parser.add_argument("--model", default="whisper-tiny.en")
    parser.add_argument("--bin", type=Path, default=ours.ROOT / "build/release/bin")
    given = parser.parse_args()
    rows = {}
    told = ours.measured([given.peer, ours.ROOT / "tools/reference/voice_activity.py", "--files", *given.files])["stdout"]
    print(f"{'':28}{'ours':>6}{'Silero':>8}{'farthest s':>12}{'differing s':>13}")
    for line in map(json.loads, told.splitlines()):
        mine = ours.voice_of(ours.analyze(given.bin, Path(line["file"]), given.model)["document"])
        far = max(farthest([span[side] for span in mine], [span[side] for span in line["segments"]]) for side in (0, 1))
        name = Path(line["file"]).name
        rows[name] = {"ours": mine, "silero": line["segments"], "farthest": far if far < float("inf") else None,
                      "differing": differing(mine, line["segments"])}  # fmt: skip
        print(f"{name[:27]:28}{len(mine):6}{len(line['segments']):8}{far:12.3f}{rows[name]['differing']:13.3f}")
    print(json.dumps(rows))
    if any(row["farthest"] is None or row["farthest"] > MOST for row in rows.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
