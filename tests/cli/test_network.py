"""Nothing leaves the machine unless it was asked for: each command in a network namespace in which every packet is seen."""

import ast
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from engine import DONE, FAILED, ROOT, SAMPLES, USAGE, Engine, fresh_folder, with_models

WATCH = Path(__file__).parent / "network_watch.py"
PHOTOS = ["left01.jpg", "left02.jpg", "messi5.jpg"]
UNSHARE = ["unshare", *([] if os.geteuid() == 0 else ["-r"]), "-n", "-m", "--propagation", "private"]

# Leaf commands with arguments that make them do their work where that takes no network and no GPU. PHOTO, OUT, PLUGIN and FOLDER stand for paths.
COMMANDS = {
    "analyze": ["FOLDER"],
    "analyze-video": ["VIDEO", "-o", "OUT.json"],
    "plan": ["FOLDER"],
    "search": ["people:yes"],
    "similar": ["PHOTO"],
    "duplicates": [],
    "show": ["PHOTO", "--draw", "OUT.png"],
    "status": [],
    "failures": ["--retry"],
    "catalog check": [],
    "catalog backup": ["OUT.db"],
    "catalog relocate": ["FOLDER", "/nowhere", "--dry-run"],
    "catalog prune": ["--dry-run"],
    "rate": ["PHOTO", "4"],
    "tag": ["PHOTO", "--add", "left"],
    "title": ["PHOTO", "left"],
    "label": ["left", "--add", "PHOTO"],
    "label list": [],
    "label remove": ["left"],
    "models list": [],
    "models verify": [],
    "models prepare": [],
    "models add": ["OUT.onnx", "--task", "objects", "--spec", "OUT.yaml"],
    "models remove": ["none-of-this-name"],
    "models export": ["clip", "--from", "FOLDER", "-o", "OUT"],
    "models calibrate": ["nanodet", "--calibration", "FOLDER"],
    "segment": ["PHOTO", "--target", "person", "-o", "OUT"],
    "plugins list": [],
    "plugins validate": ["PLUGIN"],
    "plugins install": ["PLUGIN"],
    "plugins info": ["sepia"],
    "plugins search": [],
    "plugins run": ["sepia", "PHOTO", "-o", "OUT"],
    "plugins remove": ["sepia"],
    "convert-to-tensorrt": ["--onnx", "MODEL"],
    "nvidia cache": [],
    "nvidia cache clear": [],
    "nvidia log": [],
    "benchmark search": ["--assets", "1000"],
    "benchmark models": ["--images", "FOLDER", "--models", "nanodet", "--limit", "1", "-o", "OUT.json"],
    "benchmark batch-size": ["--model", "none-of-this-name"],
    "benchmark photos": ["FOLDER"],
    "benchmark video": ["VIDEO"],
    "doctor": [],
}
# A model whose file lies elsewhere.
FAR = {"task": "objects", "version": "1", "licence": {"name": "MIT", "permissive": True}, "file": "x.onnx",
       "files": [{"name": "x.onnx", "sha256": "0" * 64, "sources": ["https://models.test/x.onnx"]}]}  # fmt: skip
# And those that ask somebody: whom, and nobody else.
ASKING = {
    "models pull": (["far"], {"models.test"}),
    "nvidia check": ([], {"cloud.test"}),
    "nvidia describe": (["PHOTO"], {"cloud.test"}),
    "nvidia detect": (["PHOTO"], {"cloud.test"}),
    "nvidia benchmark": (["--images", "FOLDER"], set()),  # what it compares with is not installed
}


class Watched:
    """The program, with what it sent."""

    def __init__(self, engine):
        self.engine = engine
        self.names, self.packets = set(), []
        self.work = engine.folder / "watch"
        self.here = engine.folder / "here"
        self.work.mkdir()
        self.here.mkdir()
        self.log = self.work / "log.json"
        engine.prefix = self.wrapped()
        engine.environment["ORT_DISABLE_TELEMETRY"] = "0"

    def wrapped(self, *command):
        return [*UNSHARE, sys.executable, "-B", str(WATCH), str(self.work), str(self.log), *map(str, command)]

    def run(self, *arguments):
        self.log.unlink(missing_ok=True)
        outcome = self.engine.run(*arguments, cwd=self.here)
        self.take(outcome.message)
        return outcome

    def start(self, *arguments):
        self.process = self.engine.start(*arguments, cwd=self.here)

    def finish(self):
        _, message = self.process.communicate(timeout=120)
        self.take(message.decode())
        return message.decode()

    def take(self, message):
        assert self.log.exists(), message
        sent = json.loads(self.log.read_text())
        self.names, self.packets = set(sent["names"]), sent["packets"]

    def assert_no_strangers(self):
        """That nobody but this program has made files of its own."""
        for name in ("cache", "data", "config", "home/.cache"):
            folder = self.engine.folder / name
            assert not folder.exists() or set(os.listdir(folder)) <= {"image-engine", "nvidia_build"}, name
        assert set(os.listdir(self.engine.folder / "home")) <= {".cache"}  # the pace of this user's questions, over all XDG folders
        assert os.listdir(self.here) == []


@pytest.fixture(scope="session")
def namespaces():
    able = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True)
    if able.returncode != 0:
        pytest.skip(f"this machine lets nobody make a network namespace: {able.stderr.strip()}")


@pytest.fixture
def watched(namespaces, real):
    return Watched(real)


@pytest.fixture(scope="session")
def asking(namespaces):
    """ASKING's commands, all started: they try again and again, which takes time and little else."""
    with contextlib.ExitStack() as folders:
        yield {command: start_asking(folders.enter_context(fresh_folder()), command) for command in ASKING}


def start_asking(folder, command):
    engine = with_models(Engine(folder))
    watched, photos, specs = Watched(engine), folder / "photos", folder / "config/image-engine/models"
    photos.mkdir()
    fill(photos)
    specs.mkdir(parents=True)
    (specs / "far.yaml").write_text(json.dumps({"models": {"far": FAR}}))
    engine.environment |= {"NVIDIA_API_KEY": "nvapi-test-0123456789", "NVIDIA_BASE_URL": "https://cloud.test/v1"}
    watched.start(*arguments_of(command, ASKING[command][0], folder, photos))
    return watched


def leaves(engine, *path):
    """All commands that --help tells of, to the last word."""
    text = engine.run(*path, "--help").out.decode()
    below = re.findall(r"^  ([a-z][a-z-]*)  ", text.partition("Subcommands:\n")[2].partition("\nExamples")[0], re.M)
    found = [leaf for name in dict.fromkeys(below) for leaf in leaves(engine, *path, name)]
    return found if path[-1:] != ("label",) and found and path[-2:] != ("nvidia", "cache") else [" ".join(path), *found]


def arguments_of(command, words, folder, photos):
    places = {"FOLDER": photos, "PHOTO": photos / PHOTOS[0], "VIDEO": SAMPLES / "videos/web.webm",
              "PLUGIN": folder / "sepia.so", "MODEL": ROOT / "build/models/nanodet/nanodet.onnx"}  # fmt: skip
    given = [str(places.get(word, word)).replace("OUT", str(folder / "out")) for word in words]
    return [*command.split(), *given]


def fill(photos):
    for name in PHOTOS:
        shutil.copy2(SAMPLES / "photos" / name, photos)


def test_the_tables_name_every_command(engine):
    assert set(leaves(engine)) == COMMANDS.keys() | ASKING.keys()


def test_no_command_sends_a_packet(asking, watched, photos):
    fill(photos)
    subprocess.run(["cc", "-shared", "-fPIC", f"-I{ROOT}/include", ROOT / "examples/plugin-sepia/sepia.c", "-o", watched.engine.folder / "sepia.so"], check=True)
    for command, words in COMMANDS.items():
        outcome = watched.run(*arguments_of(command, words, watched.engine.folder, photos))
        assert (watched.names, watched.packets) == (set(), []), f"{command}: {outcome.message}"
        assert outcome.code in (DONE, FAILED, USAGE), f"{command}: {outcome.message}"
        watched.assert_no_strangers()


@pytest.mark.parametrize("command", ASKING)
def test_who_is_asked_is_whom_the_command_names(asking, command):
    watched = asking[command]
    message = watched.finish()
    assert (watched.names, watched.packets) == (ASKING[command][1], []), message
    watched.assert_no_strangers()


def test_the_watch_sees_what_is_sent(watched):
    attempt = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b'x', ('192.0.2.1', 99)); socket.gethostbyname('a.test')"
    subprocess.run(watched.wrapped(sys.executable, "-c", attempt), capture_output=True)
    watched.take("")
    assert (watched.names, watched.packets) == ({"a.test"}, ["udp 192.0.2.1 99"])


def importers():
    """Python files that import ONNX Runtime, as text."""
    for folder in ("tools", "tests", "bench"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if re.search(r"^\s*(import|from)\s.*\bonnxruntime", text := path.read_text(), re.M):
                yield path.relative_to(ROOT), text


@pytest.mark.parametrize(("path", "text"), [pytest.param(path, text, id=str(path)) for path, text in importers()])
def test_scripts_switch_telemetry_off_before_the_import(path, text):
    switch = 'os.environ["ORT_DISABLE_TELEMETRY"] = "1"'
    lines = [node.lineno for node in ast.parse(text).body if ast.unparse(node).replace("'", '"') == switch]
    others = [node.lineno for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)
              and [name.name for name in node.names] != ["os"]]  # fmt: skip
    assert lines and lines[0] < min(others), path


@pytest.mark.parametrize("tool", ["optimise.py", "quantise.py"])
def test_tools_send_nothing(watched, tool):
    environment = watched.engine.environment
    finished = subprocess.run(watched.wrapped(sys.executable, "-B", ROOT / "tools/models" / tool, "--help"), env=environment, cwd=watched.here,
                              capture_output=True, text=True)  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    watched.take(finished.stderr)
    assert (watched.names, watched.packets) == (set(), [])
    watched.assert_no_strangers()
