"""`models`: fetching from servers that behave and that do not, checksums, licences, conversion, one's own models."""

import contextlib
import hashlib
import io
import json
import os
import random
import re
import shutil
import signal
import stat
import tarfile
import zipfile
from pathlib import Path

import onnx
import pytest

from engine import DONE, FAILED, INTERRUPTED, PROGRAM, ROOT, USAGE, Engine, children, ended_or, fresh_folder, wait_until
from model_server import ModelServer
from onnx import TensorProto, helper

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


@pytest.fixture(scope="session", autouse=True)
def pull_from_nobody():
    """A pull that tries again for many seconds, started before all else."""
    with fresh_folder() as folder:
        server, library = ModelServer(), Library(Engine(folder))
        server.close()
        library.write(data=b"x", sources=[server.address + "/m"])
        yield server.address, library.engine.start("models", "pull", "net")


@pytest.fixture(scope="session", autouse=True)
def pull_with_pauses():
    """A pull whose server fails now and then, started before all else."""
    with fresh_folder() as folder:
        server, library = ModelServer(), Library(Engine(folder))
        data = server.files["/m"] = noise(4 * MEBIBYTE)
        server.faults["/m"] = [503, ("cut", 3 * MEBIBYTE), 429]
        library.write(data=data, sources=[server.address + "/m"])
        yield server, library, library.engine.start("models", "pull", "net")
        server.close()


# What comes with the program


def test_the_shipped_specs_are_read(engine):
    models = {entry["name"]: entry for entry in engine.json("models", "list")["models"]}
    assert {"nanodet", "centernet"} <= models.keys()
    assert models["nanodet"]["default"] and models["nanodet"]["licence"]["permissive"]
    assert {entry["name"]: entry["state"] for entry in models.values() if entry["state"] != "absent"} == {"nvclip": "served"}
    table = engine.run("models", "list").out.decode()
    assert "nanodet" in table and "absent" in table and "MIT" in table


def test_the_default_set_comes_from_package_registries_alone(engine):
    entries = re.split(r"^  (?=[a-z])", (ROOT / "config/models.yaml").read_text(), flags=re.M)[1:]
    specs = {entry.partition(":")[0]: entry for entry in entries}
    defaults = [entry["name"] for entry in engine.json("models", "list")["models"] if entry["default"]]
    assert defaults
    for name in defaults:
        sources = re.findall(r'"((?:hf|https?|npm|pypi|ngc|file):[^"]*)"', specs[name])
        assert sources and all(source.startswith(("npm:", "pypi:")) for source in sources)


def test_help_has_examples(engine):
    outcome = engine.run("models", "--help")
    assert outcome.code == DONE and b"image-engine models pull" in outcome.out


# Fetching


def test_pull_verify_remove(library, server):
    data = server.files["/m"] = noise(MEBIBYTE)
    library.write(data=data, sources=[server.address + "/m"], title="A net")
    (entry,) = library.pull()
    assert (entry["state"], entry["bytes"], entry["precisions"]) == ("installed", MEBIBYTE, ["fp32"])
    assert library.installed() == data
    told = json.loads((library.root / "net/provenance.json").read_text())
    assert (told["name"], told["version"], told["licence"]) == ("net", "7", "MIT")
    assert told["files"] == [{"name": "x.onnx", "bytes": MEBIBYTE, "sha256": sha256(data), "source": server.address + "/m"}]
    assert library.engine.json("models", "verify")["models"][0]["name"] == "net"
    assert len(server.requests) == 1
    library.pull()
    assert len(server.requests) == 1, "what is installed is not fetched again"
    library.pull("net", "--force")
    assert len(server.requests) == 2
    library.engine.json("models", "remove", "net")
    assert library.state() == "absent" and library.nothing_left() is True


def test_what_verify_finds(library, server):
    data = server.files["/m"] = noise(1000)
    library.write(data=data, sources=[server.address + "/m"])
    (entry,) = library.engine.json("models", "verify", "net", expect=FAILED)["models"]
    assert entry["error"]["code"] == "not-found" and "models pull net" in entry["error"]["message"]
    library.pull()
    path = library.root / "net/x.onnx"
    path.write_bytes(b"y" + data[1:])
    (entry,) = library.engine.json("models", "verify", expect=FAILED)["models"]
    assert entry["error"]["code"] == "corrupt" and sha256(data) in entry["error"]["message"]
    assert "models pull net" in entry["error"]["message"]
    path.write_bytes(data[:-1])
    assert library.state() == "damaged"
    path.unlink()
    assert library.state() == "damaged"
    library.engine.json("models", "verify", expect=FAILED)
    library.pull()
    assert library.installed() == data
    (library.root / "net/provenance.json").write_text("{]")
    assert library.state() == "damaged"
    library.pull()
    library.engine.json("models", "verify")


def test_another_spec_makes_it_outdated(library, server):
    for path, seed in (("/a", 1), ("/b", 2)):
        server.files[path] = noise(1000, seed)
    library.write(data=server.files["/a"], sources=[server.address + "/a"])
    library.pull()
    library.write(data=server.files["/b"], sources=[server.address + "/b"])
    assert library.state() == "outdated"
    library.engine.json("models", "verify", expect=FAILED)
    server.faults["/b"] = [404]
    library.fails()
    assert library.installed() == server.files["/a"], "a pull that fails leaves what was there"
    library.pull()
    assert library.installed() == server.files["/b"] and library.state() == "installed"


def test_sources_are_tried_in_order(library, server):
    data = server.files["/m"] = noise(1000)
    library.write(data=data, sources=[server.address + "/gone", "file:/no such file", server.address + "/m"])
    library.pull()
    assert [path for path, _ in server.requests] == ["/gone", "/m"]
    server.files.clear()
    error = library.fails("net", "--force")
    assert error["code"] == "not-found"
    assert "/gone" in error["message"] and "no such file" in error["message"] and "404" in error["message"]


def test_a_wrong_checksum(library, server):
    server.files["/m"] = noise(1000)
    library.write(data=b"other", sources=[server.address + "/m"])
    error = library.fails()
    assert error["code"] == "corrupt" and sha256(server.files["/m"]) in error["message"]
    assert library.nothing_left() is True


def test_more_than_was_declared(library, server):
    server.files["/m"] = noise(MEBIBYTE)
    library.write(data=server.files["/m"], sources=[server.address + "/m"], file={"bytes": 1000})
    assert library.fails()["code"] == "corrupt"
    assert library.nothing_left() is True


@pytest.mark.parametrize("status, code", [(404, "not-found"), (401, "permission"), (403, "permission"), (400, "io")])
def test_refusals_are_told_at_once(library, server, status, code):
    data = server.files["/m"] = b"x"
    server.faults["/m"] = [status] * 9
    library.write(data=data, sources=[server.address + "/m"])
    error = library.fails()
    assert error["code"] == code and str(status) in error["message"] and len(server.requests) == 1


def interrupted_pull(library, server, number=signal.SIGINT):
    """Ends a pull in the middle; gives the bytes that were kept."""
    server.faults["/m"] = [("slow", 0.02)]
    process = library.engine.start("models", "pull", "net")
    downloads = library.root / ".downloads"
    part = wait_until(lambda: [p for p in downloads.glob("*.part") if p.stat().st_size > MEBIBYTE], "a part")[0]
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == (INTERRUPTED if number == signal.SIGINT else -number)
    return part.stat().st_size


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_and_resumed(library, server, number):
    data = server.files["/m"] = noise(8 * MEBIBYTE)
    library.write(data=data, sources=[server.address + "/m"])
    kept = interrupted_pull(library, server, number)
    assert library.state() == "absent"
    before = len(server.sent)
    library.pull()
    assert library.installed() == data and sum(server.sent[before:]) == len(data) - kept
    assert library.nothing_left("net", "net/x.onnx", "net/provenance.json") is True


@pytest.mark.parametrize("change", ["other file", "no ranges", "no tag"])
def test_resumed_from_a_server_that_changed(library, server, change):
    data = server.files["/m"] = noise(8 * MEBIBYTE)
    library.write(data=data, sources=[server.address + "/m"])
    if change == "no tag":
        server.tags["/m"] = 'W/"weak"'
    kept = interrupted_pull(library, server)
    if change == "other file":
        data = server.files["/m"] = noise(6 * MEBIBYTE, 2)
        library.write(data=data, sources=[server.address + "/m"])
        old = next((library.root / ".downloads").glob("*.part"))  # as if the file had kept its name
        for path in (library.root / ".downloads").glob(old.name + "*"):
            path.rename(path.parent / path.name.replace(old.name.removesuffix(".part"), sha256(data)))
    server.ranges = change != "no ranges"
    before = len(server.sent)
    library.pull()
    assert library.installed() == data and sum(server.sent[before:]) == len(data) and kept > 0
    assert ("Range" in server.requests[-1][1]) == (change != "no tag")


def test_two_pulls_at_once(library, server):
    data = server.files["/m"] = noise(4 * MEBIBYTE)
    server.faults["/m"] = [("slow", 0.01)]
    library.write(data=data, sources=[server.address + "/m"])
    pulls = [library.engine.start("models", "pull", "net", "--json") for _ in range(3)]
    for process in pulls:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == DONE and json.loads(out)["models"][0]["state"] == "installed"
    assert library.installed() == data and len(server.requests) == 1


def test_a_full_disk(engine, server, mounts):
    library = Library(engine)
    data = server.files["/m"] = noise(4 * MEBIBYTE)
    library.write(data=data, sources=[server.address + "/m"])
    library.root.mkdir(parents=True)
    mounts.run("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", library.root)
    engine.prefix = mounts.prefix
    error = library.fails()
    assert error["code"] == "no-space"
    mounts.run("sh", "-c", f"test -z \"$(find '{library.root}' -type f)\"")
    assert library.state() == "absent"


def test_only_https_but_for_this_machine(library, server):
    library.write(data=b"x", sources=["http://example.invalid/m"])
    error = library.fails()
    assert error["code"] == "permission" and "https" in error["message"]
    server.faults["/m"] = [("to", "http://example.invalid/m")]
    server.files["/m"] = b"x"
    library.write(data=b"x", sources=[server.address + "/m"])
    assert library.fails()["code"] == "permission", "nor by a redirect"


def test_redirects_have_an_end(library, server):
    server.faults["/m"] = [("to", "/m")] * 100
    library.write(data=b"x", sources=[server.address + "/m"])
    assert "redirect" in library.fails()["message"] and len(server.requests) < 20


# Hugging Face, NGC


def test_hugging_face(library, server, other):
    data = noise(MEBIBYTE)
    path = "/some/net/resolve/v1/onnx/model.onnx"
    other.files["/blob"] = data
    server.files[path] = b""
    server.faults[path] = [("to", other.address + "/blob", sha256(data))]
    server.keys[path] = "Bearer hf_secret"
    library.engine.environment.update(HF_ENDPOINT=server.address, HF_TOKEN="hf_secret")
    library.write(sources=["hf:some/net@v1/onnx/model.onnx"], file={"sha256": None})
    library.pull()
    assert library.installed() == data
    assert server.asked(path)[0]["Authorization"] == "Bearer hf_secret"
    assert "Authorization" not in other.asked("/blob")[0], "a key never follows a redirect to another server"
    library.engine.json("models", "verify")


def test_hugging_face_says_the_checksum_or_nothing_is_kept(library, server, other):
    path = "/some/net/resolve/v1/m"
    library.engine.environment["HF_ENDPOINT"] = server.address
    library.write(sources=["hf:some/net@v1/m"], file={"sha256": None})
    other.files["/blob"] = server.files[path] = noise(1000)
    assert library.fails()["code"] == "corrupt"
    server.faults[path] = [("to", other.address + "/blob", sha256(b"something else"))]
    error = library.fails()
    assert error["code"] == "corrupt" and sha256(b"something else") in error["message"]
    assert library.nothing_left() is True


@pytest.mark.parametrize("name, path", [
    ("nvidia/net", "/v2/org/nvidia/models/net/versions/1.0/files/x.onnx"),
    ("nvidia/tao/net", "/v2/org/nvidia/team/tao/models/net/versions/1.0/files/x.onnx")])
def test_ngc(library, server, name, path):
    data = server.files[path] = noise(1000)
    server.keys[path] = "Bearer nvapi-secret"
    library.engine.environment["NGC_ENDPOINT"] = server.address
    library.write(data=data, sources=[f"ngc:{name}:1.0/x.onnx"])
    error = library.fails()
    assert error["code"] == "permission" and "NGC_API_KEY" in error["message"]
    library.engine.environment["NGC_API_KEY"] = "nvapi-secret"
    library.pull()
    assert library.installed() == data


def test_encrypted_models_are_refused(library, engine, server):
    library.write(data=b"x", sources=["ngc:nvidia/tao/peoplenet:1/resnet34.etlt"])
    error = library.fails()
    assert error["code"] == "unsupported" and "export" in error["message"]
    model = engine.folder / "net.ETLT"
    model.write_bytes(b"x")
    outcome = engine.run("models", "add", model, "--spec", library.specs / "net.yaml")
    assert outcome.code == FAILED and "export" in outcome.message


# Licences


def test_a_licence_that_needs_consent(library, server):
    data = server.files["/m"] = b"x"
    library.write(data=data, sources=[server.address + "/m"],
                  licence={"name": "Non-Commercial", "permissive": False, "notice": "for research"})
    error = library.fails()
    assert error["code"] == "permission" and "--accept-license" in error["message"] and "for research" in error["message"]
    assert not server.requests and library.nothing_left() is True
    assert library.fails("net", "--accept-license", "Other")["code"] == "permission"
    library.pull("net", "--accept-license", "Non-Commercial")
    outcome = library.engine.run("models", "pull", "net", "--accept-license", "net")
    assert outcome.code == DONE and b"Non-Commercial" in outcome.out


# Packages


def wheel(members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def tgz(members):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, data in members:
            entry = tarfile.TarInfo(name)
            if isinstance(data, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, data
                archive.addfile(entry)
            else:
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


@pytest.fixture
def index(library, server):
    """Makes pip's index the server; gives a function that puts a package there."""
    library.engine.environment.update(PIP_INDEX_URL=server.address + "/simple", PIP_CONFIG_FILE=os.devnull)

    def put(file, data, name="m", digest=None):
        server.files[f"/files/{file}"] = data
        page = f'<a href="/files/{file}#sha256={digest or sha256(data)}">{file}</a>'
        server.files[f"/simple/{name}/"] = page.encode()
    return put


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


def test_no_code_of_the_current_folder_is_run(library, index, trap):
    index("m-1.0-py3-none-any.whl", wheel({"m/a.onnx": b"graph"}))
    library.write("net", b"graph", ["pypi:m==1.0/m/a.onnx"])
    environment = library.engine.environment
    environment["PATH"] = ":.:" + environment["PATH"]
    environment["PYTHONPATH"] = str(trap)
    library.pull(cwd=trap)
    assert library.installed() == b"graph"


def test_packages_are_fetched_once(library, server, index):
    first, second = noise(1000, 1), noise(1000, 2)
    index("m-1.0-py3-none-any.whl", wheel({"m/a.onnx": first, "m/b.onnx": second, "../../evil": b"!"}))
    for name, data in (("one", first), ("two", second)):
        library.write(name, data, [f"pypi:m==1.0/m/{'a' if name == 'one' else 'b'}.onnx"])
    library.pull("one", "two")
    assert library.installed("one") == first and library.installed("two") == second
    assert len(server.asked("/files/m-1.0-py3-none-any.whl")) == 1
    assert not list(library.engine.folder.rglob("evil"))
    assert not list((library.root / ".downloads").iterdir()), "packages do not stay"


@pytest.mark.parametrize("make, code", [
    (lambda data: tgz([("m-1.0/x.onnx", data)]), None),
    (lambda data: tgz([("m-1.0/x.onnx", "/etc/passwd")]), "not-found"),
    (lambda data: tgz([("m-1.0/other", data)]), "not-found"),
    (lambda data: tgz([("m-1.0/x.onnx", data + b"!")]), "corrupt"),
    (lambda data: tgz([("m-1.0/x.onnx", data)])[:-200], "corrupt"),
    (lambda data: noise(3000), "corrupt")])
def test_what_a_package_may_hold(library, index, make, code):
    data = noise(20000)
    index("m-1.0.tar.gz", make(data))
    library.write(data=data, sources=["pypi:m==1.0/x.onnx"])
    if code is None:
        library.pull()
        assert library.installed() == data
    else:
        assert library.fails()["code"] == code
        assert library.state() == "absent"


def test_a_package_that_unpacks_to_more_than_it_should(library, index):
    index("m-1.0.tar.gz", tgz([("m-1.0/x.onnx", bytes(50 * MEBIBYTE))]))
    library.write(data=b"x", sources=["pypi:m==1.0/x.onnx"], file={"bytes": 1000})
    assert library.fails()["code"] == "corrupt"
    assert max((p.stat().st_size for p in library.root.rglob("*") if p.is_file()), default=0) < MEBIBYTE


def test_a_package_with_another_checksum(library, index):
    data = noise(1000)
    index("m-1.0-py3-none-any.whl", wheel({"x.onnx": data}), digest="0" * 64)
    library.write(data=data, sources=["pypi:m==1.0/x.onnx"])
    assert library.fails()["code"] == "corrupt"
    assert library.nothing_left() is True


def test_a_package_that_is_not_there(library, server, index):
    library.write(data=b"x", sources=["pypi:nothing==1.0/x.onnx"])
    error = library.fails()
    assert "nothing" in error["message"] and len(error["message"]) < 500


# Conversion


CONVERTER = """
import argparse, os, pathlib, sys, time
parser = argparse.ArgumentParser()
parser.add_argument("--input", type=pathlib.Path); parser.add_argument("--output", type=pathlib.Path)
arguments = parser.parse_args()
assert "HF_TOKEN" not in os.environ
data = (arguments.input / "x.raw").read_bytes()
if data == b"fail": sys.exit("it cannot be read")
if data == b"link": (arguments.output / "x.onnx").symlink_to("/etc/passwd"); sys.exit()
if data == b"sleep": (arguments.input / "started").touch(); time.sleep(100)
if data != b"nothing": (arguments.output / "x.onnx").write_bytes(data[::-1])
(arguments.output / "surplus").write_bytes(b"not asked for")
"""


@pytest.fixture
def converting(folder):
    """A library whose program lies in a tree like an installation's, with a converter of the test's own."""
    tree = folder / "tree"
    shutil.copytree(ROOT / "config", tree / "share/image-engine/config")
    tools = tree / "share/image-engine/tools/models"
    tools.mkdir(parents=True)
    (tools / "reverse.py").write_text(CONVERTER)
    (tools / "requirements.txt").write_text("")
    (tree / "bin").mkdir()
    shutil.copy2(PROGRAM, tree / "bin/image-engine")
    return Library(Engine(folder, tree / "bin/image-engine"))


@pytest.fixture
def converting_at_once(converting):
    """With the environment of the build tree, so that none has to be made."""
    converting.engine.program.parents[2].joinpath("venv").symlink_to(ROOT / "build/venv")
    return converting


def write_converted(library, server, raw, made=None):
    server.files["/raw"] = raw
    output = {"name": "x.onnx", **({"sha256": sha256(made)} if made else {})}
    library.write(data=raw, sources=[server.address + "/raw"], file={"name": "x.raw"},
                  convert={"tool": "reverse", "outputs": [output]})
    path = library.specs / "net.yaml"
    path.write_text(path.read_text().replace('"file": "x.raw"', '"file": "x.onnx"'))


def test_conversion_runs_no_code_of_the_current_folder(converting, server, trap):
    environment = converting.engine.environment
    environment["PATH"] = ":.:" + environment["PATH"]
    environment["HF_TOKEN"] = "secret"
    write_converted(converting, server, b"abc", b"cba")
    converting.pull(cwd=trap)
    assert converting.installed() == b"cba"
    assert sorted(os.listdir(converting.root / "net")) == ["provenance.json", "x.onnx"]
    told = json.loads((converting.root / "net/provenance.json").read_text())
    assert told["made_from"][0]["sha256"] == sha256(b"abc") and told["files"][0]["sha256"] == sha256(b"cba")
    environments = list((converting.engine.folder / "cache/image-engine").glob("converters-*/bin/python"))
    assert len(environments) == 1, "the converters have an environment of their own"
    assert not list(converting.engine.program.parents[1].rglob("__pycache__")), "nothing is written beside the program"


@pytest.mark.parametrize("raw, made, part", [(b"fail", None, "it cannot be read"), (b"nothing", None, "did not make"),
                                             (b"link", None, "did not make"), (b"abc", b"other", sha256(b"cba"))])
def test_conversions_that_fail(converting_at_once, server, raw, made, part):
    converting = converting_at_once
    write_converted(converting, server, raw, made)
    assert part in converting.fails()["message"]
    assert converting.state() == "absent"
    assert all(path.is_relative_to(converting.root / ".downloads") for path in converting.root.rglob("*"))


def test_an_interrupted_conversion(converting_at_once, server):
    converting = converting_at_once
    write_converted(converting, server, b"sleep")
    process = converting.engine.start("models", "pull", "net")
    wait_until(lambda: list(converting.root.rglob("started")), "the converter")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == INTERRUPTED and converting.state() == "absent"


def test_without_python(converting, server):
    write_converted(converting, server, b"abc")
    converting.engine.environment["PATH"] = str(converting.engine.folder)
    error = converting.fails()
    assert error["code"] == "unsupported" and "python3" in error["message"]


# One's own


def own_model(folder, data=b"weights", **files):
    place = folder / "own"
    place.mkdir()
    (place / "my.onnx").write_bytes(data)
    for name, content in files.items():
        (place / name).write_bytes(content)
    return place / "my.onnx"


def test_add_and_remove(library, folder):
    model = own_model(folder, **{"my.onnx.data": b"more", "unrelated.bin": b"no"})
    (folder / "labels.txt").write_text("cat\ndog\n")
    (folder / "my.yaml").write_text("models: {mine: {head: yolo, labels: labels.txt, input: {width: 64, height: 64}}}")
    (entry,) = library.engine.json("models", "add", model, "--task", "objects", "--spec", folder / "my.yaml")["models"]
    assert (entry["name"], entry["task"], entry["state"]) == ("mine", "objects", "installed")
    assert sorted(os.listdir(library.root / "mine")) == ["my.onnx", "my.onnx.data", "provenance.json"]
    (folder / "labels.txt").unlink()
    shutil.rmtree(model.parent)
    library.engine.json("models", "verify", "mine")
    assert library.state("mine") == "installed"
    outcome = library.engine.run("models", "add", "/etc/hostname", "--task", "objects", "--spec", folder / "my.yaml")
    assert outcome.code != DONE
    library.engine.json("models", "remove", "mine")
    assert "mine" not in {entry["name"] for entry in library.engine.json("models", "list")["models"]}
    assert not (library.root / "mine").exists() and not list(library.specs.iterdir())


def test_add_like_a_shipped_one(library, folder):
    model = own_model(folder)
    (folder / "my.yaml").write_text("models: {finer: {like: nanodet, input: {width: 320, height: 320}, version: '2'}}")
    library.engine.json("models", "add", model, "--spec", folder / "my.yaml", "--name", "finer-2")
    written = json.loads((library.specs / "finer-2.added.yaml").read_text())["models"]["finer-2"]
    assert written["input"]["width"] == 320 and written["input"]["order"] == "bgr" and len(written["labels"]) == 80
    assert written["files"][0]["name"] == "my.onnx" and "convert" not in written
    outcome = library.engine.run("models", "add", model, "--spec", folder / "my.yaml", "--name", "finer-2")
    assert outcome.code == USAGE and "--name" in outcome.message


def test_companions_stay_in_their_folder(library, folder):
    model = own_model(folder)
    (folder / "secret").write_bytes(b"secret")
    (model.parent / "my.onnx.data").symlink_to(folder / "secret")
    (folder / "my.yaml").write_text("models: {mine: {task: objects}}")
    outcome = library.engine.run("models", "add", model, "--spec", folder / "my.yaml")
    assert outcome.code == USAGE and "my.onnx.data" in outcome.message
    assert not list(library.specs.iterdir()) and not (library.root / "mine").exists()


@pytest.mark.parametrize("spec", ["models: {a: {}, b: {}}", "models: {}", "models: {a: {like: a}}", "[", "models: {A/B: {}}"])
def test_specs_that_cannot_be_added(library, folder, spec):
    model = own_model(folder)
    (folder / "my.yaml").write_text(spec)
    outcome = library.engine.run("models", "add", model, "--task", "objects", "--spec", folder / "my.yaml")
    assert outcome.code == USAGE and "my.yaml" in outcome.message, outcome.message
    assert not list(library.specs.iterdir())


# Usage


@pytest.mark.parametrize("arguments, part", [
    (["pull", "nanodte"], "nanodet"), (["verify", "nothing-like-it"], "models list"), (["remove"], "NAME"), ([], "subcommand"),
    (["add", "x.onnx"], "--spec"), (["remove", "centernte"], "centernet")])
def test_wrong_usage(engine, arguments, part):
    outcome = engine.run("models", *arguments)
    assert outcome.code == USAGE and part in outcome.message


def test_a_broken_spec_is_named(library):
    library.text("bad", "models:\n  net:\n    taks: objects\n")
    outcome = library.engine.run("models", "list")
    assert outcome.code == USAGE and "bad.yaml:3" in outcome.message and '"task"' in outcome.message


def test_progress_goes_to_stderr(library, server):
    data = server.files["/m"] = noise(1000)
    library.write(data=data, sources=[server.address + "/m"])
    outcome = library.engine.run("models", "pull", "net", "--quiet")
    assert outcome.code == DONE and outcome.out == b"" and outcome.err == b""


def test_modes(library, server):
    data = server.files["/m"] = b"x"
    library.write(data=data, sources=[server.address + "/m"])
    library.pull()
    assert not stat.S_IMODE((library.root / "net/x.onnx").stat().st_mode) & 0o022


# Models of the user's own


def endless(library, folder):
    """A detector whose graph loops for ever, added."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("x", [1, 3, 416, 416]), ("y", [1])))
    step = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["again"]), helper.make_node("Add", ["v", "v"], ["w"])], "step",
        [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in (
            ("i", TensorProto.INT64, []), ("go", TensorProto.BOOL, []), ("v", TensorProto.FLOAT, [1]))],
        [helper.make_tensor_value_info("again", TensorProto.BOOL, []), helper.make_tensor_value_info("w", TensorProto.FLOAT, [1])])  # fmt: skip
    nodes = [helper.make_node("Flatten", ["x"], ["f"], axis=0), helper.make_node("ReduceMax", ["f"], ["m"], axes=[0, 1], keepdims=0),
             helper.make_node("Reshape", ["m", "one"], ["v0"]), helper.make_node("Loop", ["", "yes", "v0"], ["y"], body=step)]  # fmt: skip
    constants = [helper.make_tensor("one", TensorProto.INT64, [1], [1]), helper.make_tensor("yes", TensorProto.BOOL, [], [True])]
    graph = helper.make_graph(nodes, "endless", [x], [y], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), folder / "endless.onnx")
    (folder / "my.yaml").write_text("models: {endless: {like: nanodet, outputs: [y, y, y, y, y, y]}}")
    library.engine.json("models", "add", folder / "endless.onnx", "--spec", folder / "my.yaml")


def test_a_model_that_does_not_end_is_left_out(library, folder, photos):
    endless(library, folder)
    (folder / "config/image-engine/config.yaml").write_text("inference: {run_timeout_seconds: 1}\n")
    shutil.copy(ROOT / "build/samples/photos/left01.jpg", photos)
    report = library.engine.analyze(photos, "--object-model", "endless")["report"]
    (note,) = [note for note in report["notes"] if "endless" in note]
    assert "tried in a separate process" in note and "inference.run_timeout_seconds" in note
    assert report["failed"] == 0 and library.engine.failures() == {}


def test_an_interruption_ends_the_trial_of_a_model(library, folder, photos):
    endless(library, folder)
    shutil.copy(ROOT / "build/samples/photos/left01.jpg", photos)
    process = library.engine.start("analyze", photos, "--object-model", "endless")

    def trial():
        with contextlib.suppress(OSError):
            return [child for child in children(process.pid) if b"--try" in Path(f"/proc/{child}/cmdline").read_bytes()]

    try:
        (tried,) = wait_until(ended_or(process, trial), "the process that tries the model")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == INTERRUPTED and not Path(f"/proc/{tried}").exists()


# Begun first, ended last


def test_a_registry_that_cannot_be_reached(pull_from_nobody):
    address, process = pull_from_nobody
    _, message = process.communicate(timeout=60)
    assert process.returncode == FAILED and address in message.decode()


def test_what_passes_is_tried_again_from_where_it_was(pull_with_pauses):
    server, library, process = pull_with_pauses
    _, message = process.communicate(timeout=60)
    assert process.returncode == DONE, message
    assert library.installed() == server.files["/m"]
    assert sum(server.sent) == len(server.files["/m"]), "no byte is sent twice"
    assert server.asked("/m")[-1]["Range"] == f"bytes={3 * MEBIBYTE}-"
