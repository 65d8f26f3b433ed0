"""Every benchmark of bench/pipeline, one after the other: a table for people and a line of JSON each.

usage: bench/run.py [--quick] [--rounds N] [--bin DIR] [NAME…]
"""

import subprocess
import sys
from pathlib import Path

BENCHMARKS = ["headers", "writing", "unchanged", "search", "analyze", "objects", "text", "meaning", "speech", "memory"]


def main() -> int:
    folder = Path(__file__).parent / "pipeline"
    named = [argument for argument in sys.argv[1:] if argument in BENCHMARKS]
    options = [argument for argument in sys.argv[1:] if argument not in BENCHMARKS]
    failed = []
    for name in named or BENCHMARKS:
        print(f"\n-- {name}", flush=True)
        if subprocess.run([sys.executable, folder / f"{name}.py", *options], check=False).returncode != 0:
            failed.append(name)
    if failed:
        print(f"bench: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
