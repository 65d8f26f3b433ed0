"""Runs a script that makes the inputs of tests, unless its output is there and nothing that it is made of has changed.

usage: once.py OUTPUT SCRIPT ARGUMENT…     the script writes OUTPUT, a folder, which is emptied before
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def fingerprint(script: Path, arguments: list[str]) -> str:
    """Of the scripts of that folder and of tools/, the versions of what they import, the samples, the models and the arguments."""
    files = [*script.parent.glob("*.py"), *ROOT.glob("tools/*/*.py"), *ROOT.glob("tools/requirements*.txt"), *ROOT.glob("tests/golden/*"),
             *ROOT.glob("build/samples/.*.stamp"), *ROOT.glob("build/models/*/provenance.json"), script]  # fmt: skip
    text = hashlib.sha256("\n".join(arguments).encode())
    for file in sorted(set(files)):
        text.update(f"\n{file.name}\n".encode() + file.read_bytes())
    return text.hexdigest()


def main() -> int:
    output, script, arguments = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    output.parent.mkdir(parents=True, exist_ok=True)
    stamp, wanted = output.with_name(f".{output.name}.made"), fingerprint(script, arguments)
    with open(output.with_name(f".{output.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another build tree's tests may want the same
        if output.is_dir() and stamp.exists() and stamp.read_text() == wanted:
            return 0
        stamp.unlink(missing_ok=True)
        shutil.rmtree(output, ignore_errors=True)
        code = subprocess.run([sys.executable, "-B", script, *arguments]).returncode
        if code == 0:
            stamp.write_text(wanted)
        return code


if __name__ == "__main__":
    sys.exit(main())
