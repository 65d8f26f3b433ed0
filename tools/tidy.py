"""Runs clang-tidy over src/. Sources of a folder are checked together, as they are built together: most of the time goes into what they
include. The sources named on standard input are also compiled alone, so that each includes what it uses, and their folders come first.

What passed is remembered by its preprocessed text: only what changed, itself or by a header, is checked again.

usage: tidy.py [--jobs N] [--seconds S] < FILES     from the root of the tree; configures build/lint

Exits 1 where there is a finding. After S seconds nothing further is begun; what was left out is named, and is no failure.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

TREE = Path("build/lint")
TIDY, COMPILER = "clang-tidy-16", "clang++-16"
OURS = r"/src/[a-z]+/.*\.(h|cpp)$"


@dataclass
class Check:
    name: str
    sources: list[str]  # from the root
    arguments: list[str]  # of the compiler, the file last
    command: list[str]  # fails where there is a finding


def run(command: list[str]) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, errors="replace")


def units() -> list[Check]:
    """The groups that the build compiles together."""
    done = run(["cmake", "--preset", "lint"])
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    found = []
    for entry in json.loads((TREE / "compile_commands.json").read_text()):
        text = Path(entry["file"]).read_text()
        sources = [os.path.relpath(name) for name in re.findall(r'^#include "(.+/src/.+\.cpp)"$', text, re.MULTILINE)]
        arguments = [word for word in shlex.split(entry["command"]) if word != "ccache"]
        output = arguments.index("-o")
        del arguments[output : output + 2]
        arguments[0] = COMPILER
        if sources:
            command = [TIDY, "--quiet", f"--header-filter={OURS}", "-p", str(TREE), entry["file"]]
            found.append(Check(f"{Path(sources[0]).parent} ({len(sources)} files)", sources, arguments, command))
    return found


def alone(source: str, unit: Check) -> Check:
    arguments = [*unit.arguments[:-1], source]
    return Check(source, [source], arguments, [*(word for word in arguments if word != "-c"), "-fsyntax-only"])


def memory() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "image-engine-tidy"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def fingerprint(check: Check, always: bytes) -> str:
    """Of all that decides what is found: comments count, as NOLINT is one; paths of the tree do not."""
    text = subprocess.run([*check.arguments, "-E", "-C", "-P"], capture_output=True, check=True).stdout
    kind = " ".join([check.command[0], *check.arguments[1:-1]]).replace(str(Path.cwd()), "")
    return hashlib.sha256(always + kind.encode() + text).hexdigest()


def findings(check: Check, always: bytes, deadline: float) -> str | None:
    """What there is to say; None: it was left out."""
    try:
        passed = memory() / fingerprint(check, always)
    except subprocess.CalledProcessError as error:
        return error.stderr.decode(errors="replace")
    if passed.exists():
        passed.touch()
        return ""
    if time.monotonic() > deadline:
        return None
    done = run(check.command)
    if done.returncode != 0:
        return done.stdout + (done.stderr if check.command[0] == COMPILER else "") or done.stderr
    passed.touch()
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--seconds", type=float, default=float("inf"))
    given = parser.parse_args()
    named = set(sys.stdin.read().split("\n"))
    together = sorted(units(), key=lambda unit: named.isdisjoint(unit.sources))
    checks = together + [alone(source, unit) for unit in together for source in unit.sources if source in named]
    always = Path(".clang-tidy").read_bytes() + subprocess.run([TIDY, "--version"], capture_output=True, check=True).stdout
    deadline = time.monotonic() + given.seconds
    with concurrent.futures.ThreadPoolExecutor(given.jobs) as pool:
        results = list(pool.map(lambda check: findings(check, always, deadline), checks))
    found = [text for text in results if text]
    left = [check.name for check, text in zip(checks, results) if text is None]
    print("\n".join(found), end="")
    print(f"clang-tidy: {sum(len(unit.sources) for unit in together)} files in {len(together)} groups, {len(checks) - len(together)} compiled alone")
    if left:
        print(f"clang-tidy: left out after {given.seconds:.0f} s: {', '.join(left)}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
