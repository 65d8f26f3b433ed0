"""Workers that die, hang, grow or lie: only the file at hand suffers. And what a worker can reach."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from engine import (DONE, DONE_WITH_FAILURES, FAILED, SAMPLES, Engine, children, kill, log_entries, real_worker, wait_until,
                    with_proxy_worker)

METADATA, HASH, DECODE, THUMBNAIL = "1", "2", "4", "8"  # worker/protocol.h: Operation


@pytest.fixture
def library(photos):
    for i in range(12):
        Image.new("RGB", (60 + i, 40), (i * 20, 100, 50)).save(photos / f"p{i:02}.jpg", exif=taken(i) if i % 2 else b"")
    return photos


def taken(second):
    exif = Image.Exif()
    exif[0x0132] = f"2026:01:02 03:04:{second:02}"  # DateTime
    return exif


def faulty(folder, faults):
    program, log = with_proxy_worker(folder, faults)
    return Engine(folder, program), log


def check_only_one_failed(engine, library, name, codes):
    failures = engine.failures()
    assert list(failures) == [os.fsencode(library / name)]
    [entry] = failures.values()
    assert entry["code"] in codes and entry["message"]
    check_hashed(engine, library, but=name)
    assert not engine.json("catalog", "check")["problems"]
    return entry


def check_hashed(engine, library, but):
    """All of the library but that file have a content that is known."""
    rows = engine.rows("SELECT f.path FROM files f JOIN assets a ON a.id = f.asset_id WHERE a.hash IS NOT NULL")
    assert {path for (path,) in rows} - {os.fsencode(library / but)} == {os.fsencode(other) for other in library.iterdir() if other.name != but}


def test_a_new_photo_is_hashed_and_decoded_in_one_request(folder, library):
    """One that another file may be a copy of is hashed first, so that no picture is decoded twice."""
    Image.open(library / "p05.jpg").save(library / "copy.jpg", exif=taken(5), quality="keep", comment="other bytes")
    engine, log = faulty(folder, {})

    def asked_of(name):
        return [entry["operations"] for entry in log_entries(log) if entry.get("file") == name and entry["operations"] > 1]

    assert engine.analyze(library, "--workers", "2")["report"]["duplicates"] == 1
    both = int(HASH) | int(DECODE) | int(THUMBNAIL)
    for i in range(12):
        operations = asked_of(f"p{i:02}.jpg")
        if i % 2 == 0:  # without a capture time
            assert operations[0] == int(HASH) and len(operations) == 2, (i, operations)
        elif i != 5:
            assert len(operations) == 1 and operations[0] & both == both, (i, operations)
    assert sorted(len(asked_of(name)) for name in ("p05.jpg", "copy.jpg")) == [1, 2]
    assert asked_of("p05.jpg")[0] == asked_of("copy.jpg")[0] == int(HASH)


@pytest.mark.parametrize("name", ["p04.jpg", "p05.jpg"], ids=["in two requests", "in one request"])
@pytest.mark.parametrize("operation", [METADATA, HASH, THUMBNAIL])
@pytest.mark.parametrize("fault, codes", [
    ("crash", {"crashed"}), ("exit", {"crashed"}), ("garbage", {"crashed", "internal"}),
    ("too_long", {"crashed", "internal"}), ("short", {"crashed", "internal"})])
def test_a_worker_that_dies_or_lies(folder, library, fault, codes, operation, name):
    engine, _ = faulty(folder, {name: {operation: fault}})
    report = engine.analyze(library, "--workers", "2", expect=DONE_WITH_FAILURES)["report"]
    assert report["failed"] == 1 and report["worker_deaths"] >= 1
    entry = check_only_one_failed(engine, library, name, codes)
    assert entry["stage"] == {METADATA: "metadata", HASH: "content", THUMBNAIL: "decode"}[operation]
    # With a sound worker, a retry clears the ledger.
    sound = Engine(folder)
    assert sound.json("failures", "--retry")["report"]["failed"] == 0
    assert not sound.failures() and sound.show(library / name)["asset"]


@pytest.mark.parametrize("name", ["p04.jpg", "p05.jpg"], ids=["in two requests", "in one request"])
@pytest.mark.parametrize("operation", [METADATA, HASH, THUMBNAIL])
def test_a_worker_that_the_system_kills(folder, library, operation, name):
    """Its file is tried again at the end of the pass, and left for the next run; the ledger knows nothing of it."""
    engine, log = faulty(folder, {name: {operation: "kill"}})
    report = engine.analyze(library, "--workers", "2", expect=DONE_WITH_FAILURES)["report"]
    assert report["failed"] == 0 and report["killed"] >= 1
    assert any("left for the next run" in note and "memory" in note for note in report["notes"])
    assert not engine.failures()
    asked = [entry["file"] for entry in log_entries(log) if entry.get("operations", 0) & int(operation)]
    assert asked.count(name) >= 2 and asked[-1] == name
    check_hashed(engine, library, but=name)
    # With a sound worker, the next run reads it, without a retry being asked for.
    sound = Engine(folder)
    assert sound.analyze(library)["report"]["killed"] == 0
    assert sound.show(library / name)["asset"]


def test_a_worker_that_the_system_kills_once(folder, library):
    engine, _ = faulty(folder, {"p05.jpg": {THUMBNAIL: "kill_once"}})
    report = engine.analyze(library, "--workers", "2")["report"]
    assert report["failed"] == 0 and report["killed"] == 0 and report["worker_deaths"] >= 1
    assert engine.show(library / "p05.jpg")["asset"]


def test_a_worker_that_hangs(folder, library):
    engine, log = faulty(folder, {"p03.jpg": "hang"})
    config = folder / "quick.yaml"
    config.write_text("worker: {timeout_seconds: 0.7}\n")
    engine.analyze(library, "--config", config, expect=DONE_WITH_FAILURES)
    entry = check_only_one_failed(engine, library, "p03.jpg", {"timeout"})
    assert "worker.timeout_seconds" in entry["message"]
    workers = {item["worker"] for item in log_entries(log)}
    assert not [worker for worker in workers if Path(f"/proc/{worker}").exists()]


def test_a_decoder_that_hangs_fails_the_decode_only(folder, library):
    engine, _ = faulty(folder, {"p03.jpg": {THUMBNAIL: "hang"}})
    config = folder / "quick.yaml"
    config.write_text("worker: {timeout_seconds: 0.7}\n")
    engine.analyze(library, "--config", config, expect=DONE_WITH_FAILURES)
    assert check_only_one_failed(engine, library, "p03.jpg", {"timeout"})["stage"] == "decode"
    assert engine.show(library / "p03.jpg")["asset"]


def test_a_worker_that_eats_memory(folder, library):
    engine, _ = faulty(folder, {"p07.jpg": "eat"})
    config = folder / "small.yaml"
    config.write_text("worker: {memory_limit_mb: 100}\n")
    engine.analyze(library, "--config", config, expect=DONE_WITH_FAILURES)
    entry = check_only_one_failed(engine, library, "p07.jpg", {"out-of-memory"})
    assert "worker.memory_limit_mb" in entry["message"]


def test_several_bad_files_at_once(folder, library):
    faults = {"p00.jpg": "crash", "p01.jpg": "garbage", "p02.jpg": "short", "p11.jpg": "exit"}
    engine, _ = faulty(folder, faults)
    engine.analyze(library, "--workers", "3", expect=DONE_WITH_FAILURES)
    assert {os.path.basename(path).decode() for path in engine.failures()} == set(faults)
    assert engine.analyze(library)["report"]["failed"] == 0


def test_a_real_worker_killed_at_work(engine, photos):
    large = SAMPLES / "12mp"
    process = engine.start("analyze", large, SAMPLES / "photos/home.jpg", "--json", "--workers", "1")
    worker = wait_until(lambda: next(iter(children(process.pid)), None), "a worker")
    wait_until(lambda: engine.catalogue.exists() and content_has_begun(worker), "the first 12-megapixel file")
    kill(worker)
    out, error = process.communicate(timeout=100)
    assert process.returncode in (DONE, DONE_WITH_FAILURES), error
    assert len(engine.failures()) <= 1
    if engine.failures():
        assert engine.json("failures", "--retry")["report"]["failed"] == 0
    for picture in large.glob("*.jpg"):
        assert engine.show(picture)["asset"]


def content_has_begun(worker):
    """Whether the worker has used the CPU for longer than its start takes."""
    try:
        fields = Path(f"/proc/{worker}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return True
    return int(fields[11]) + int(fields[12]) > 10


def test_no_worker_at_all(engine, library):
    lonely = engine.folder / "lonely/bin"
    lonely.mkdir(parents=True)
    shutil.copy2(engine.program, lonely)
    engine.program = lonely / "image-engine"
    outcome = engine.run("analyze", library)
    assert outcome.code == 1 and "image-engine-worker is missing" in outcome.message


def test_a_worker_that_cannot_start(engine, library):
    broken = engine.folder / "broken/bin"
    broken.mkdir(parents=True)
    shutil.copy2(engine.program, broken)
    (broken / "image-engine-worker").write_text("#!/bin/false\n")
    (broken / "image-engine-worker").chmod(0o755)
    engine.program = broken / "image-engine"
    outcome = engine.run("analyze", library)
    assert outcome.code == FAILED and "image-engine-worker" in outcome.message and "install" in outcome.message
    assert not engine.failures()
    assert engine.run("doctor").code == 0


@pytest.mark.parametrize("limit, remedy", [(("-v", 1_500_000), "ulimit -v"), (("-n", 14), "ulimit -n"), (("-n", 64), "")])
def test_a_machine_short_of_something(engine, library, limit, remedy):
    """It is the run's error, with the remedy, and no mark on a file; a limit that leaves enough is none."""
    engine.prefix = ["bash", "-c", f'ulimit {limit[0]} {limit[1]} && exec "$@"', "bash"]
    outcome = engine.run("analyze", library, "--workers", "2")
    engine.prefix = []
    if remedy or outcome.code != DONE:
        assert outcome.code == FAILED and (remedy or "ulimit -n") in outcome.message, outcome.message
    assert not engine.catalogue.exists() or not engine.failures()
    assert engine.analyze(library)["report"]["failed"] == 0


def test_secrets_stay_out_of_a_worker(folder, library):
    program, log = with_proxy_worker(folder)
    engine = Engine(folder, program)
    secrets = {"NVIDIA_API_KEY": "nvapi-secret", "AWS_SECRET_ACCESS_KEY": "secret", "SSH_AUTH_SOCK": "/tmp/secret"}
    engine.environment |= secrets
    engine.analyze(library)
    starts = [entry for entry in log_entries(log) if "start" in entry]
    assert starts
    for start in starts:
        assert not set(start["environment"]) & set(secrets)
        assert not [value for value in start["environment"].values() if "secret" in value]
        assert str(folder) not in str(start["environment"])


def test_a_worker_keeps_to_our_cpu_level(folder, library):
    program, log = with_proxy_worker(folder)
    engine = Engine(folder, program)
    engine.environment["IMAGE_ENGINE_CPU"] = "baseline"
    engine.analyze(library)
    levels = {entry["environment"].get("IMAGE_ENGINE_CPU") for entry in log_entries(log) if "start" in entry}
    assert levels == {"baseline"}


def held_worker(engine, photos):
    """A real worker, stopped while it reads a file."""
    process = engine.start("analyze", SAMPLES / "12mp", "--workers", "1", "--quiet")
    worker = wait_until(lambda: next(iter(children(process.pid)), None), "a worker")
    wait_until(lambda: content_has_begun(worker), "work")
    os.kill(worker, signal.SIGSTOP)
    return process, worker


def test_the_walls_of_a_real_worker(engine, photos):
    """Seen from outside, in /proc: seccomp's filter, no new privileges, another network, no descriptor but its own."""
    sandbox = engine.json("doctor")["sandbox"]
    process, worker = held_worker(engine, photos)
    try:
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{worker}/status").read_text().splitlines())
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == ("2" if sandbox["seccomp"] else "0")
        if os.geteuid() == 0:
            descriptors = {int(name): os.readlink(f"/proc/{worker}/fd/{name}") for name in os.listdir(f"/proc/{worker}/fd")}
            outside = [path for fd, path in descriptors.items() if path.startswith("/") and path != "/dev/null"]
            allowed = (str(SAMPLES.resolve()), "/memfd:", "/usr/", "/lib")
            assert all(path.startswith(allowed) for path in outside), descriptors
            ours, theirs = os.readlink("/proc/self/ns/net"), os.readlink(f"/proc/{worker}/ns/net")
            assert (ours != theirs) == sandbox["namespaces"]
            environment = Path(f"/proc/{worker}/environ").read_bytes()
            assert os.fsencode(engine.folder) not in environment
    finally:
        os.kill(worker, signal.SIGCONT)
        process.communicate(timeout=100)
    assert process.returncode == DONE


def test_a_worker_ends_with_its_engine(engine, photos):
    process, worker = held_worker(engine, photos)
    process.kill()
    process.wait()
    os.kill(worker, signal.SIGCONT)
    wait_until(lambda: not Path(f"/proc/{worker}").exists() or zombie(worker), "the worker's end")


def zombie(process_id):
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def test_probe_names_the_layers():
    probe = subprocess.run([real_worker(), "--probe"], stdout=subprocess.PIPE, check=True).stdout
    assert b'"seccomp"' in probe and b'"libraries"' in probe
    by_hand = subprocess.run([real_worker()], stderr=subprocess.PIPE)
    assert by_hand.returncode == 2 and b"started by image-engine" in by_hand.stderr


def test_strict_runs_only_behind_a_wall(engine, library):
    sandbox = engine.json("doctor")["sandbox"]
    config = engine.folder / "strict.yaml"
    config.write_text("worker: {sandbox: strict}\n")
    missing = [layer for layer, holds in sandbox.items() if not holds]
    outcome = engine.run("analyze", library, "--config", config)
    if missing:
        assert outcome.code == FAILED and all(layer in outcome.message for layer in missing)
        assert not engine.failures()
    else:
        assert outcome.code == DONE, outcome.message


def test_a_wall_with_a_gap_is_told_once(folder, library):
    """The stand-in says hello for a worker that has no layer at all."""
    program, _ = with_proxy_worker(folder, name="walled")
    settings = Path(program).parent / "image-engine-worker.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"without_layers": True}))
    engine = Engine(folder, program)
    notes = engine.analyze(library)["report"]["notes"]
    assert len([note for note in notes if "seccomp" in note and "empty_root" in note]) == 1
    assert "seccomp" not in engine.run("analyze", library).message
    config = folder / "strict.yaml"
    config.write_text("worker: {sandbox: strict}\n")
    (library / "new.jpg").write_bytes((library / "p01.jpg").read_bytes())
    outcome = engine.run("analyze", library)
    assert outcome.code == DONE and b"seccomp" in outcome.out
    outcome = engine.run("analyze", library, "--config", config)
    assert outcome.code == FAILED and "seccomp" in outcome.message and not engine.failures()
