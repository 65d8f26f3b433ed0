"""The program with a registry of models of the test's own, and servers to fetch them from."""

import hashlib
import json
import random

import pytest
from engine import DONE, FAILED
from model_server import ModelServer

MEBIBYTE = 1 << 20


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


@pytest.fixture
def server():
    made = ModelServer()
    yield made
    made.close()


@pytest.fixture
def other():
    made = ModelServer()
    yield made
    made.close()


class Library:
    """An engine with specs of the test's own."""

    def __init__(self, engine):
        self.engine = engine
        self.specs = engine.folder / "config/image-engine/models"
        self.specs.mkdir(parents=True)
        self.root = engine.folder / "data/image-engine/models"

    def write(self, name="net", data=b"", sources=(), **changes):
        """A spec of one file x.onnx; a change to None leaves the key out."""
        file = {"name": "x.onnx", "sha256": sha256(data), "sources": list(sources)}
        file = {key: value for key, value in {**file, **changes.pop("file", {})}.items() if value is not None}
        spec = {"task": "objects", "version": "7", "licence": {"name": "MIT", "permissive": True}, "files": [file],
                "file": file["name"], **changes}
        self.text(name, {"models": {name: {key: value for key, value in spec.items() if value is not None}}})

    def text(self, name, document):
        (self.specs / f"{name}.yaml").write_text(document if isinstance(document, str) else json.dumps(document, indent=1))

    def pull(self, *names, expect=DONE, **options):
        return self.engine.json("models", "pull", *(names or ["net"]), expect=expect, **options)["models"]

    def fails(self, *arguments):
        """The one error of a pull."""
        (entry,) = self.pull(*arguments, expect=FAILED)
        return entry["error"]

    def state(self, name="net"):
        return next(entry["state"] for entry in self.engine.json("models", "list")["models"] if entry["name"] == name)

    def installed(self, name="net"):
        return (self.root / name / "x.onnx").read_bytes()

    def nothing_left(self, *allowed):
        """Neither the model nor a trace of the attempt."""
        left = {str(path.relative_to(self.root)) for path in self.root.rglob("*")} if self.root.exists() else set()
        return left - {".downloads"} <= set(allowed) or left


@pytest.fixture
def library(engine):
    return Library(engine)


@pytest.fixture
def trap(folder):
    """A folder with modules by which an interpreter that looks there is found out, as a stranger's folder may have."""
    made = folder / "trap"
    made.mkdir()
    for name in ("pip", "venv", "json", "argparse", "pathlib", "runpy", "sitecustomize", "encodings"):
        (made / f"{name}.py").write_text(f"open({str(folder / 'caught')!r}, 'a').write({name!r})\nraise SystemExit(9)\n")
    (made / "python3").write_text(f"#!/bin/sh\necho python3 > {folder / 'caught'}\n")
    (made / "python3").chmod(0o755)
    yield made
    assert not (folder / "caught").exists()
