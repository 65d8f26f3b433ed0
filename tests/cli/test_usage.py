"""What a person sees who types something wrong, and the exit codes that scripts rely on."""

import fcntl
import json
import os
import pty
import re
import resource
import shutil
import signal
import sqlite3
from pathlib import Path

import pytest
from PIL import Image

from engine import DONE, DONE_WITH_FAILURES, FAILED, SAMPLES, USAGE, ended_or, has_taken, wait_until

COMMANDS = ["analyze", "plan", "search", "show", "status", "failures", "catalog", "doctor"]
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
    assert outcome.code == FAILED and "image-engine analyze FOLDER creates it" in outcome.message
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


OUTPUTS = [["--help"], ["status"], ["status", "--json"], ["search", "type:photo"], ["search", "type:photo", "--print0"],
           ["analyze", "PHOTOS", "--redo", "hash", "--json"], ["analyze", "PHOTOS", "--redo", "hash", "--ndjson"],
           ["analyze", "PHOTOS"], ["doctor"], ["failures", "--json"]]


@pytest.mark.parametrize("arguments", OUTPUTS, ids=" ".join)
def test_lost_output_is_an_error(engine, library, arguments):
    arguments = [library if argument == "PHOTOS" else argument for argument in arguments]
    with open("/dev/full", "wb") as full:
        outcome = engine.run(*arguments, stdout=full)
    assert outcome.code == FAILED and "cannot write to stdout" in outcome.message
    reader, writer = os.pipe()
    os.close(reader)
    outcome = engine.run(*arguments, stdout=writer)
    os.close(writer)
    assert outcome.code == FAILED and "cannot write to stdout" in outcome.message
    outcome = engine.run(*arguments, preexec_fn=lambda: os.close(1))
    assert outcome.code == FAILED and "cannot write to stdout" in outcome.message
    assert engine.json("catalog", "check")["problems"] == []


def test_the_limit_on_file_sizes_is_an_error(engine, folder):
    limits = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
    with open(folder / "out", "wb") as out:
        outcome = engine.run("--help", stdout=out, preexec_fn=limits)
    assert outcome.code == FAILED and "cannot write to stdout" in outcome.message


def catches(process, number):
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"^SigCgt:\t(\w+)", status, re.M)[1], 16) >> (number - 1) & 1


ENDING = [signal.SIGHUP, signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("number", ENDING)
def test_an_ignored_signal_stays_ignored(engine, library, number):
    with open(f"{engine.catalogue}.lock", "rb+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = engine.start("analyze", library, "--wait", "--quiet", preexec_fn=lambda: signal.signal(number, signal.SIG_IGN))
        others = [other for other in ENDING if other != number]
        wait_until(ended_or(process, lambda: all(catches(process, other) for other in others)), "its handlers")
        process.send_signal(number)
        wait_until(ended_or(process, lambda: has_taken(process, number)), "the signal")
    assert process.wait(60) == DONE, process.stderr.read()


def test_a_deleted_folder_is_not_the_root(engine, folder):
    gone = folder / "gone"
    for arguments in (["analyze", "."], ["analyze", "photos"], ["failures", "."], ["catalog", "prune", "--root", "."]):
        gone.mkdir()
        outcome = engine.run(*arguments, cwd=gone, preexec_fn=lambda: os.rmdir(gone))
        assert outcome.code == FAILED and "current folder was deleted" in outcome.message
    assert not engine.catalogue.exists()


def test_without_home(engine, folder, photos):
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        del engine.environment[name]
    before = sorted(folder.rglob("*"))
    outcome = engine.run("analyze", photos, cwd=folder)
    assert outcome.code == USAGE and "HOME is not set" in outcome.message
    assert sorted(folder.rglob("*")) == before
    assert engine.run("--help").code == DONE


@pytest.mark.parametrize("arguments", [
    ["analyze", "PHOTOS", ""], ["analyze", "", "PHOTOS"], ["analyze", "PHOTOS", "--exclude", ""], ["analyze", "PHOTOS", "--exclude="],
    ["status", "--catalog", ""], ["status", "--catalog="], ["catalog", "prune", "--root", ""], ["catalog", "relocate", "", "/x"],
    ["failures", ""], ["show", ""], ["label", ""]])
def test_empty_arguments_are_refused(engine, library, arguments):
    outcome = engine.run(*[library if argument == "PHOTOS" else argument for argument in arguments])
    assert outcome.code == USAGE and re.search("empty argument|needs a value", outcome.message), outcome.message
    assert engine.run("search", "").code == DONE, "all there is"


def test_patterns_are_taken_as_they_are(engine, photos):
    for name in ("Trip, 2019/a.jpg", "[2020]/b.jpg", "c.jpg", "d.jpg"):
        (photos / name).parent.mkdir(exist_ok=True)
        shutil.copy(SAMPLES / "photos/building.jpg", photos / name)
    (photos / "private").mkdir()
    shutil.copy(SAMPLES / "photos/building.jpg", photos / "private/e.jpg")
    (photos / ".image-engine-ignore").write_bytes("private/\r\nd.jpg\r\n".encode("utf-16"))
    flags = ["--exclude", "Trip, 2019/", "--include", "?.jpg"]
    report = engine.analyze(photos, *flags, "--explain-ignored")["report"]
    assert (report["media"], report["excluded"], report["excluded_folders"]) == (2, 1, 2)
    ignores = str(photos / ".image-engine-ignore")
    assert sorted((entry["source"], entry["pattern"], entry["files"], entry["folders"]) for entry in report["left_out_by"]) == [
        (ignores, "d.jpg", 1, 0), (ignores, "private/", 0, 1), ("exclude", "Trip, 2019/", 0, 1)]
    assert engine.analyze(photos, *flags)["report"]["left_out_by"] == []
    assert b"1 file and 2 folders excluded by patterns (--explain-ignored lists them)" in engine.run("analyze", photos, *flags).out
    assert b"    1 folder: Trip, 2019/ (exclude)\n" in engine.run("analyze", photos, *flags, "--explain-ignored").out
    assert engine.analyze("[2020]", cwd=photos)["report"]["media"] == 1


HOSTILE = "\x1b]0;x\x07\u202egpj\u2066\u200b\u2028\x9b2J\nDone"


@pytest.fixture
def hostile(engine, library):
    """A catalogue whose texts a stranger wrote, of our schema."""
    (library / "broken.jpg").write_bytes(b"broken")
    engine.analyze(library, expect=DONE_WITH_FAILURES)
    with sqlite3.connect(engine.catalogue) as database:
        for sql in ("UPDATE runs SET command = ?1", "UPDATE records SET version = ?1, model = ?1 WHERE stage = 'hash'",
                    "UPDATE failures SET message = ?1", "UPDATE failures SET stage = ?1, last_at = ?1, path = path || ?1",
                    "UPDATE assets SET format = ?1", "INSERT INTO label_heads(name, object) VALUES(?1, ?1)",
                    "UPDATE asset_text SET title = ?1, keyword = ?1", "INSERT INTO roots(path, device, added) VALUES(?1, 1, '')",
                    "INSERT INTO spaces(stage, model, version, params, dimensions, created) VALUES(?1, ?1, ?1, '', 4, '')",
                    "INSERT INTO asset_classes SELECT id, 'keyword', ?1, 1, NULL FROM assets"):
            database.execute(sql, (HOSTILE,))
        database.execute("UPDATE records SET data = ? WHERE stage = 'metadata'",
                         (json.dumps({"title": HOSTILE, "keywords": [HOSTILE], "make": HOSTILE}),))
        database.execute("UPDATE records SET data = ? WHERE stage = 'quality'",
                         (json.dumps({HOSTILE: HOSTILE, "warnings": [{HOSTILE: HOSTILE}], "path": 1}),))
    database.close()
    return library


def test_texts_of_a_strangers_catalogue_are_harmless(engine, hostile):
    shutil.copy(hostile / "building.jpg", hostile / "copy.jpg")
    for command in (["status"], ["failures"], ["show", hostile / "building.jpg"], ["show", hostile / "broken.jpg"], ["label", "list"],
                    ["search", "type:photo"], ["search", "gpj"], ["duplicates"], ["models", "list"], ["catalog", "check"],
                    ["analyze", hostile]):
        _, text = on_a_terminal(engine, *command)
        left = re.sub(r"\x1b\[[0-9;]*[mK]", "", text.decode("utf-8"))
        assert not re.search(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]", left), (command, left)
        assert not re.search(r"^Done\b(?! in)", left, re.M), (command, left)
        plain = engine.run(*command)
        assert plain.code in (DONE, FAILED, DONE_WITH_FAILURES) and b"\x1b" not in plain.out, (command, plain.out)


@pytest.mark.parametrize("data", ["[" * 300_000, '{"objects":' * 300_000, '{"a":' + "[" * 100_000 + "]" * 100_000 + "}",
                                  '{"path": [], "files": 1, "records": 2, "failures": 3, "warnings": 4}'])
def test_json_of_a_strangers_catalogue_is_bounded(engine, library, data):
    with sqlite3.connect(engine.catalogue) as database:
        database.execute("UPDATE records SET data = ? WHERE stage <> 'hash'", (data,))
        database.execute("UPDATE records SET stage = 'objects' WHERE stage = 'quality'")
        database.execute("UPDATE runs SET counts = ?", (data,))
    database.close()
    for command in (["show", library / "building.jpg"], ["show", library / "building.jpg", "--json"], ["status", "--json"], ["duplicates"],
                    ["search", "type:photo"], ["analyze", library, "--redo", "hash", "--json"], ["analyze", library, "--ndjson", "--redo", "hash"]):
        outcome = engine.run(*command)
        assert outcome.code == DONE, (command, outcome.code, outcome.message[-500:])
        if "--json" in command:
            shown = json.loads(outcome.out)
            assert shown.get("path", str(library / "building.jpg")) == str(library / "building.jpg")
