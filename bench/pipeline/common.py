"""What the benchmarks share: running in turns, wall and CPU time, a table for people and a line of JSON."""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Finished:
    seconds: float  # wall
    cpu: float  # seconds of CPU time, user and system, of the program and all it waited for
    output: str
    exit_code: int


def run(*command, one_core: bool = False, environment: dict | None = None) -> Finished:
    """Runs a program to its end. What it prints on stderr is dropped; a crash raises."""
    command = [str(part) for part in command]
    if one_core:
        command = ["taskset", "-c", str(min(os.sched_getaffinity(0))), *command]
    begin = time.perf_counter()
    with tempfile.TemporaryFile() as stdout:
        process = subprocess.Popen(command, stdout=stdout, stderr=subprocess.DEVNULL, env=os.environ | (environment or {}))
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        stdout.seek(0)
        output = stdout.read().decode(errors="replace")
    if process.returncode < 0 or process.returncode > 3:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return Finished(seconds, usage.ru_utime + usage.ru_stime, output, process.returncode)


@dataclass(frozen=True)
class Bench:
    quick: bool
    rounds: int
    bin: Path
    scratch: Path  # empty at the start, removed at the end

    def size(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    @property
    def engine(self) -> Path:
        return self.bin / "image-engine"

    def fresh(self, name: str) -> Path:
        """An empty folder of that name."""
        folder = self.scratch / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def command(self, folder: Path, *arguments) -> tuple[list, dict]:
        """An engine's command with its catalogue and cache in `folder`."""
        environment = {"XDG_CACHE_HOME": str(folder / "cache"), "XDG_CONFIG_HOME": str(folder / "config")}
        return [self.engine, *arguments, "--catalog", folder / "catalog.db", "--json"], environment

    def call(self, folder: Path, *arguments, one_core: bool = False) -> tuple[Finished, dict]:
        command, environment = self.command(folder, *arguments)
        finished = run(*command, one_core=one_core, environment=environment)
        return finished, json.loads(finished.output)


def warm(folder: Path) -> None:
    """Reads every file, so that whoever is measured next finds it in memory: a virtual machine may take that back."""
    for path in folder.rglob("*"):
        if path.is_file():
            path.read_bytes()


def in_turns(rounds: int, contenders: dict, library: Path | None = None) -> dict[str, list]:
    """Each contender once a round, with the library in memory; what it returns, by name."""
    results = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            if library:
                warm(library)
            results[name].append(contender())
    return results


def median(values) -> float:
    return statistics.median(list(values))


def print_table(rows: list[list[str]]) -> None:
    """The first row is the heading; all columns but the first are numbers."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(text.ljust(width) if i == 0 else text.rjust(width) for i, (text, width) in enumerate(zip(row, widths))))


def main(name: str, measure) -> None:
    """`measure(bench)` prints its table and returns what goes into the line of JSON."""
    parser = argparse.ArgumentParser(description=measure.__doc__)
    parser.add_argument("--quick", action="store_true", help="one small round, to see that it works")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bin", type=Path, default=ROOT / "build/release/bin", help="the folder of the programs")
    arguments = parser.parse_args()
    (ROOT / "build/bench").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build/bench") as scratch:
        rounds = 1 if arguments.quick else arguments.rounds
        bench = Bench(arguments.quick, rounds, arguments.bin.resolve(), Path(scratch))
        result = measure(bench)
    print(json.dumps({"bench": name, "quick": arguments.quick, "rounds": rounds, **result}), flush=True)
