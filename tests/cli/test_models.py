"""`models`: fetching from servers that behave and that do not, checksums, licences, usage."""

import json
import re
import signal
import stat

import pytest
from engine import DONE, FAILED, INTERRUPTED, ROOT, USAGE, Engine, fresh_folder, wait_until
from model_library import MEBIBYTE, Library, library, noise, other, server, sha256  # noqa: F401
from model_server import ModelServer


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
