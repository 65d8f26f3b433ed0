"""Runs image-engine as a person would, each test with folders of its own, and checks every JSON document that it prints."""

import base64
import contextlib
import ctypes
import functools
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jsonschema
import referencing

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "build/samples"
PROGRAM = Path(os.environ.get("IMAGE_ENGINE_BIN", ROOT / "build/release/bin/image-engine"))

DONE, FAILED, USAGE, DONE_WITH_FAILURES, INTERRUPTED = 0, 1, 2, 3, 130


@functools.cache
def schemas():
    """The JSON Schemas of docs/schema by file name, with a registry in which they find each other."""
    loaded = {path.name: json.loads(path.read_text()) for path in (ROOT / "docs/schema").glob("*.json")}
    resources = [(name, referencing.Resource.from_contents(text)) for name, text in loaded.items()]
    return loaded, referencing.Registry().with_resources(resources)


def validate(document, name):
    loaded, registry = schemas()
    validator = jsonschema.Draft202012Validator(loaded[name + ".json"], registry=registry)
    errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]
    assert not errors, f"{name}.json: " + "; ".join(errors[:5])


def path_of(item):
    """The exact bytes of the path in a JSON item."""
    return base64.b64decode(item["path_base64"]) if "path_base64" in item else os.fsencode(item["path"])


class Outcome:
    """What a finished run printed, and its exit code (negative: the signal that ended it)."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err
        self.message = err.decode("utf-8", "replace")

    def document(self):
        text = self.out.decode("utf-8")
        document = json.loads(text)
        command, version = document["schema"].removeprefix("image-engine/").split("/")
        assert version == "1"
        validate(document, command)
        return document


class Engine:
    """image-engine with its own catalogue, cache, data, config and home below `folder`."""

    def __init__(self, folder, program=PROGRAM):
        self.folder = Path(folder)
        self.program = Path(program)
        self.prefix = []
        self.catalogue = self.folder / "data/image-engine/catalog.db"
        self.environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "LANG": "C.UTF-8",
            "HOME": str(self.folder / "home"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "XDG_DATA_HOME": str(self.folder / "data"),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
        }
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LD_LIBRARY_PATH"):
            if name in os.environ:
                self.environment[name] = os.environ[name]
        for name in ("home", "cache", "data", "config"):
            (self.folder / name).mkdir(exist_ok=True)

    def command(self, *arguments):
        return [*self.prefix, str(self.program), *(os.fspath(a) if isinstance(a, os.PathLike) else a for a in arguments)]

    def start(self, *arguments, **options):
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen(self.command(*arguments), env=self.environment, stdin=subprocess.DEVNULL, **options)

    def run(self, *arguments, timeout=120, **options):
        process = self.start(*arguments, **options)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"{arguments} did not end in {timeout} s: {err.decode(errors='replace')[-2000:]}") from None
        return Outcome(process.returncode, out or b"", err or b"")

    def json(self, *arguments, expect=DONE, **options):
        """The document that the command prints; its schema is checked, and the exit code."""
        outcome = self.run(*arguments, "--json", **options)
        assert outcome.code == expect, f"exit code {outcome.code}, not {expect}: {outcome.message[-2000:]}"
        return outcome.document()

    def analyze(self, *arguments, expect=DONE, **options):
        return self.json("analyze", *arguments, expect=expect, **options)

    def show(self, file):
        return self.json("show", "--", file) if os.fsencode(file).startswith(b"-") else self.json("show", file)

    def failures(self):
        """Ledger entries by the bytes of their path."""
        return {path_of(entry): entry for entry in self.json("failures")["failures"]}

    def search(self, *query):
        """The names of the files that are found, best first."""
        found = self.json("search", *query, "--limit", "1000")
        return [os.path.basename(result["path"]) for result in found["results"]]

    @contextlib.contextmanager
    def database(self):
        """The catalogue, read by SQLite's own library."""
        connection = sqlite3.connect(f"file:{self.catalogue}?mode=ro", uri=True)
        try:
            yield connection
        finally:
            connection.close()

    def rows(self, sql, *values):
        with self.database() as connection:
            return connection.execute(sql, values).fetchall()


def with_models(engine, *names):
    """The program with the models that ctest's models_pull installs: all, or those that are named."""
    installed = ROOT / "build/models"
    if names:
        chosen = engine.folder / "models"
        for name in names:
            shutil.copytree(installed / name, chosen / name)
        installed = chosen
    engine.environment["IMAGE_ENGINE_MODELS"] = str(installed)
    return engine


def continue_from(engine, other):
    """Gives a new engine a copy of what another one keeps, and the rest of its environment, as its models."""
    for name in ("cache", "data", "config"):
        shutil.copytree(other.folder / name, engine.folder / name, dirs_exist_ok=True)
    engine.environment = other.environment | engine.environment
    return engine


def children(process_id):
    """Process ids of the direct children, whichever thread started them."""
    found = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{process_id}/task").iterdir():
            with contextlib.suppress(OSError):
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def wait_until(condition, what, seconds=30):
    """What `condition` gives once that is true; fails when it stays false."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.005)
    raise AssertionError(f"waited {seconds} s for {what}")


def ended_or(process, condition):
    """A condition for wait_until() that is also true once the process has ended."""
    return lambda: process.poll() is not None or condition()


class Openings:
    """Counts how often a file is opened from now on."""

    IN_NONBLOCK, IN_OPEN, EVENT_BYTES = 0o4000, 0x20, 16

    def __init__(self, path):
        self.count = 0
        libc = ctypes.CDLL(None, use_errno=True)
        self.events = libc.inotify_init1(self.IN_NONBLOCK)
        assert self.events >= 0 and libc.inotify_add_watch(self.events, os.fsencode(path), self.IN_OPEN) >= 0, os.strerror(ctypes.get_errno())

    def reach(self, number):
        """A condition for wait_until(). Openings between two looks count as one."""
        with contextlib.suppress(BlockingIOError):
            self.count += len(os.read(self.events, 4096)) // self.EVENT_BYTES
        return self.count >= number

    def close(self):
        os.close(self.events)


def started_waiting(engine, *arguments):
    """A command that waits for the catalogue's lock, which another process holds; it has tried to take it at least once."""
    openings = Openings(f"{engine.catalogue}.lock")
    process = engine.start(*arguments)
    wait_until(ended_or(process, lambda: openings.reach(2)), "the lock to be tried twice")
    openings.close()
    assert process.poll() is None, process.communicate()
    return process


def has_taken(process, number):
    """Whether no signal of that number waits to be delivered to the process."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    waiting = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigPnd", "ShdPnd"))]
    return not any(mask >> (number - 1) & 1 for mask in waiting)


def is_stopping(process):
    """Whether the first signal has stopped the work: the thread that does it has ended."""
    for name in Path(f"/proc/{process.pid}/task").glob("*/comm"):
        with contextlib.suppress(OSError):  # a thread that ends meanwhile
            if name.read_text() == "interrupt\n":
                return False
    return True


def with_proxy_worker(folder, faults=None, name="program"):
    """A copy of image-engine whose worker is proxy_worker.py: it misbehaves on the files named in `faults` and passes
    everything else on to the real one. Gives the program and the file with its log."""
    bin_folder = Path(folder) / name / "bin"
    bin_folder.mkdir(parents=True)
    program = bin_folder / "image-engine"
    shutil.copy2(PROGRAM, program)
    log = bin_folder / "requests.log"
    log.touch()
    settings = {"real": str(real_worker()), "faults": faults or {}, "log": str(log)}
    (bin_folder / "image-engine-worker.json").write_text(json.dumps(settings))
    worker = bin_folder / "image-engine-worker"
    worker.write_text(f"#!{sys.executable} -IS\n" + (Path(__file__).parent / "proxy_worker.py").read_text())
    worker.chmod(0o755)
    return program, log


def real_worker():
    beside = PROGRAM.parent / "image-engine-worker"
    return beside if beside.exists() else PROGRAM.parent.parent / "libexec/image-engine/image-engine-worker"


def log_entries(log):
    return [json.loads(line) for line in Path(log).read_text().splitlines()]


class MountSpace:
    """A mount namespace of its own, in which programs run with what is mounted there and nobody else sees it."""

    def __init__(self):
        self.flags = [] if os.geteuid() == 0 else ["-r"]
        self.holder = subprocess.Popen(
            ["unshare", *self.flags, "-m", "--propagation", "private", "sh", "-c", "echo ready; exec cat"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.ready = self.holder.stdout.readline() == b"ready\n"

    @property
    def prefix(self):
        user = ["-U", "--preserve-credentials"] if self.flags else []
        return ["nsenter", "-t", str(self.holder.pid), "-m", *user, "--"]

    def run(self, *command):
        subprocess.run([*self.prefix, *map(str, command)], check=True)

    def close(self):
        self.holder.kill()
        self.holder.wait()


def kill(process, number=signal.SIGKILL):
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)


@contextlib.contextmanager
def fresh_folder():
    """A new folder, away from the sources; gone at the end, whatever modes its folders have by then."""
    made = Path(tempfile.mkdtemp(prefix="image-engine-test-")).resolve()
    try:
        yield made
    finally:
        for path, folders, _ in os.walk(made):
            for name in folders:
                if not os.path.islink(os.path.join(path, name)):
                    os.chmod(os.path.join(path, name), 0o700)
        shutil.rmtree(made)
