"""Runs clang-tidy on the source files named on standard input, one a line. What passed is remembered by its preprocessed text, so
that only what changed, itself or by a header, is checked again.

usage: tidy.py [--jobs N] [--seconds S] < FILES     from the root of the tree; configures build/lint

Exits 1 when a file has a finding. After S seconds no further file is begun; those that were left out are named, and are no failure.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

TREE = Path("build/lint")
TIDY, COMPILER = "clang-tidy-16", "clang++-16"


def memory() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "image-engine-tidy"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def commands() -> dict[str, list[str]]:
    """How each source is compiled, by its path from the root."""
    done = subprocess.run(["cmake", "--preset", "lint"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    entries = json.loads((TREE / "compile_commands.json").read_text())
    root = Path.cwd()
    return {os.path.relpath(entry["file"], root): shlex.split(entry["command"]) for entry in entries if Path(entry["file"]).is_relative_to(root)}


def fingerprint(command: list[str], always: bytes) -> str:
    """Of all that decides what clang-tidy says: comments count, as NOLINT is one; paths of the tree do not."""
    arguments = [word for word in command if word != "ccache"]
    arguments[0] = COMPILER
    output = arguments.index("-o")
    del arguments[output : output + 2]
    text = subprocess.run([*arguments, "-E", "-C", "-P"], capture_output=True, check=True).stdout
    flags = " ".join(arguments[1:-1]).replace(str(Path.cwd()), "")
    return hashlib.sha256(always + flags.encode() + text).hexdigest()


def check(file: str, command: list[str], always: bytes, deadline: float) -> str | None:
    """What there is to say about the file; None: it was left out."""
    try:
        passed = memory() / fingerprint(command, always)
    except subprocess.CalledProcessError as error:
        return error.stderr.decode(errors="replace")
    if passed.exists():
        passed.touch()
        return ""
    if time.monotonic() > deadline:
        return None
    done = subprocess.run([TIDY, "--quiet", "-p", str(TREE), file], capture_output=True, text=True)
    if done.returncode != 0:
        return done.stdout or done.stderr
    passed.touch()
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--seconds", type=float, default=float("inf"))
    given = parser.parse_args()
    known = commands()
    files = [line for line in sys.stdin.read().split("\n") if line in known]
    always = Path(".clang-tidy").read_bytes() + subprocess.run([TIDY, "--version"], capture_output=True, check=True).stdout
    deadline = time.monotonic() + given.seconds
    with concurrent.futures.ThreadPoolExecutor(given.jobs) as pool:
        results = list(pool.map(lambda file: check(file, known[file], always, deadline), files))
    findings = [text for text in results if text]
    left = [file for file, text in zip(files, results) if text is None]
    print("\n".join(findings), end="")
    print(f"clang-tidy: {len(files) - len(left)} files, {len(findings)} with findings")
    if left:
        print(f"clang-tidy: {len(left)} files were left out after {given.seconds:.0f} s: {' '.join(left)}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
