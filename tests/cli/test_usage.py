"""What a person sees who types something wrong, and the exit codes that scripts rely on."""

import json
import os
import pty
import re
import shutil
import sqlite3

import pytest
from PIL import Image

from engine import DONE, DONE_WITH_FAILURES, FAILED, SAMPLES, USAGE

COMMANDS = ["analyze", "search", "show", "status", "failures", "catalog", "doctor"]
READERS = [["search", "x"], ["show", "/x.jpg"], ["status"], ["failures"], ["catalog", "check"], ["catalog", "prune"],
           ["catalog", "backup", "/nowhere/x"], ["catalog", "relocate", "/a", "/b"]]


@pytest.fixture
def library(engine, photos):
    shutil.copy(SAMPLES / "photos/building.jpg", photos)
    engine.analyze(photos)
    return photos


@pytest.mark.parametrize("command", [[], *[[name] for name in COMMANDS]])
def test_help_has_examples(engine, command):
    outcome = engine.run(*command, "--help")
    assert outcome.code == DONE and b"Examples:" in outcome.out and outcome.err == b""
    examples = outcome.out.decode().split("Examples:")[1]
    assert re.search(r"^  image-engine " + " ".join(command), examples, re.M)
    assert max(map(len, outcome.out.decode().splitlines())) <= 160


def test_version(engine):
    outcome = engine.run("--version")
    assert outcome.code == DONE and re.fullmatch(rb"\d+\.\d+\.\d+\n", outcome.out)


def test_nothing_asked(engine):
    outcome = engine.run()
    assert outcome.code == USAGE and b"analyze" in outcome.out + outcome.err


@pytest.mark.parametrize("arguments, part", [
    (["analyse"], "analyze"), (["serach", "x"], "search"), (["frobnicate"], "--help"), (["status", "--jsn"], "--jsn"),
    (["analyze"], "PATH"), (["analyze", "/tmp", "--workers"], "--workers"), (["show"], "FILE"), (["catalog"], "subcommand"),
    (["catalog", "backup"], "FILE"), (["search", "x", "--limit", "ten"], "--limit"), (["show", "x", "--thumbnail", "5"], "--thumbnail"),
    (["show", "--path-base64", "§§§"], "base64"), (["--catalog"], "--catalog"), (["status", "surplus"], "surplus"),
    (["show", "a", "--path-base64", "YQ=="], "FILE")])
def test_usage_errors(engine, library, arguments, part):
    outcome = engine.run(*arguments)
    assert outcome.code == USAGE and part in outcome.message, outcome.message
    assert outcome.out == b""


@pytest.mark.parametrize("command", READERS)
def test_no_catalogue_yet(engine, command):
    outcome = engine.run(*command)
    assert outcome.code == FAILED and "image-engine analyze FOLDER makes it" in outcome.message
    assert not engine.catalogue.exists()


@pytest.mark.parametrize("command", [*READERS, ["analyze", "/tmp"]])
def test_not_a_catalogue(engine, folder, command):
    file = folder / "other.db"
    file.write_bytes(b"no database at all " * 500)
    before = file.read_bytes()
    outcome = engine.run(*command, "--catalog", file)
    assert outcome.code == FAILED and str(file) in outcome.message, outcome.message
    assert file.read_bytes() == before


@pytest.mark.parametrize("command", [*READERS, ["analyze", "/tmp"]])
def test_another_programs_database(engine, folder, command):
    file = folder / "other.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE theirs(x)")
    connection.close()
    before = file.read_bytes()
    outcome = engine.run(*command, "--catalog", file)
    assert outcome.code == FAILED and "another program" in outcome.message, outcome.message
    assert file.read_bytes() == before


@pytest.mark.parametrize("command", [*READERS, ["analyze", "/tmp"]])
def test_a_newer_catalogue(engine, library, command):
    with sqlite3.connect(engine.catalogue) as connection:
        connection.execute("PRAGMA user_version = 9999")
    connection.close()
    outcome = engine.run(*command)
    assert outcome.code == FAILED and "newer" in outcome.message and "9999" in outcome.message, outcome.message


def test_a_damaged_catalogue(engine, library):
    with sqlite3.connect(engine.catalogue) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    data = bytearray(engine.catalogue.read_bytes())
    for page in range(1, len(data) // 4096):
        data[page * 4096 : page * 4096 + 16] = os.urandom(16)
    engine.catalogue.write_bytes(data)
    outcome = engine.run("catalog", "check")
    assert outcome.code == FAILED and (outcome.out or outcome.err)
    for command in (["search", "x"], ["status"], ["analyze", library]):
        assert engine.run(*command).code == FAILED


def test_a_catalogue_that_is_a_folder(engine, folder):
    for command in [*READERS, ["analyze", folder]]:
        outcome = engine.run(*command, "--catalog", folder)
        assert outcome.code == FAILED and str(folder) in outcome.message, command


def test_a_file_that_is_not_there(engine, library):
    outcome = engine.run("analyze", engine.folder / "none")
    assert outcome.code == FAILED and "none: no such file or folder" in outcome.message
    # Below a folder that is known and there, a name that is neither is a mistake.
    outcome = engine.run("analyze", library / "none")
    assert outcome.code == FAILED and "none: no such file or folder" in outcome.message
    assert not engine.failures()
    outcome = engine.run("show", library / "none.jpg")
    assert outcome.code == FAILED and "is not in the catalogue" in outcome.message
    # One of two is there: it is analysed, the other goes to the ledger.
    outcome = engine.run("analyze", library, engine.folder / "gone")
    assert outcome.code == DONE_WITH_FAILURES
    assert list(engine.failures()) == [os.fsencode(engine.folder / "gone")]


def test_thumbnails_of_any_size(engine, library):
    document = engine.json("show", library / "building.jpg", "--thumbnail", "128")
    with Image.open(document["path"]) as picture:
        assert max(picture.size) == 128 and picture.format == "JPEG"
    (library / "building.jpg").unlink()
    assert engine.run("show", library / "building.jpg", "--thumbnail", "99").code == FAILED
    assert engine.run("show", library / "building.jpg", "--thumbnail", "128").code == DONE, "it is in the cache"


def on_a_terminal(engine, *arguments):
    """What the command prints when stdout and stderr are a terminal."""
    engine.environment["TERM"] = "xterm"
    main, other = pty.openpty()
    process = engine.start(*arguments, stdout=other, stderr=other)
    os.close(other)
    text = b""
    while True:
        try:
            part = os.read(main, 65536)
        except OSError:
            break
        if not part:
            break
        text += part
    os.close(main)
    return process.wait(), text


CONTROLS = b"\x1b[31mred\x07\x9b2J\r.jpg"


def test_names_cannot_speak_to_the_terminal(engine, photos):
    path = os.path.join(os.fsencode(photos), CONTROLS)
    shutil.copy(SAMPLES / "photos/building.jpg", path)
    with open(os.path.join(os.fsencode(photos), b"\x1b]0;title\x07.jpg"), "wb") as file:
        file.write(b"broken")
    for command in (["analyze", photos], ["search", "type:photo"], ["show", path], ["failures"], ["status"], ["analyze", path + b"x"],
                    ["show", path + b"x"], ["status", "--catalog", path], ["search", b"camra:\x1b[31m"], [b"\x1b[31m"],
                    ["--config", b"\x1b[31m", "status"], ["status", b"--\x1b[31m"], ["status", b"\x1b[31m"],
                    ["doctor", "--catalog", path], ["catalog", "backup", path], ["search", "x", "--limit", b"\x1b[31m"]):
        _, text = on_a_terminal(engine, *command)
        # What is left once colours and the progress bar's own sequences are taken away came from a name.
        left = re.sub(rb"\x1b\[[0-9;]*[mK]", b"", text)
        assert b"\x1b" not in left and b"\x07" not in left and b"\x1b[31mred" not in text, (command, text)
        assert not re.search(r"[\x80-\x9f]", text.decode("utf-8")), (command, text)


def test_colours_only_on_a_terminal(engine, library):
    code, text = on_a_terminal(engine, "show", library / "building.jpg")
    assert code == DONE and b"\x1b[1m" in text
    engine.environment["NO_COLOR"] = "1"
    assert b"\x1b[" not in on_a_terminal(engine, "show", library / "building.jpg")[1]
    del engine.environment["NO_COLOR"]
    assert b"\x1b" not in engine.run("show", library / "building.jpg").out


def test_quiet_says_nothing(engine, photos):
    shutil.copy(SAMPLES / "photos/building.jpg", photos)
    outcome = engine.run("analyze", photos, "--quiet")
    assert (outcome.code, outcome.out, outcome.err) == (DONE, b"", b"")


def test_json_is_alone_on_stdout(engine, photos):
    shutil.copy(SAMPLES / "photos/building.jpg", photos)
    outcome = engine.run("analyze", photos, "--json", "--log-level", "trace")
    assert outcome.document()["report"]["analysed"] == 1


def test_a_trace_is_json(engine, photos, folder):
    shutil.copy(SAMPLES / "photos/building.jpg", photos)
    engine.analyze(photos, "--trace", folder / "trace.json")
    assert json.loads((folder / "trace.json").read_text())
