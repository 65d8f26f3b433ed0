"""Interrupted, or two at once: what is done is kept, and nothing is done twice."""

import json
import os
import signal

import pytest

from engine import DONE, DONE_WITH_FAILURES, FAILED, INTERRUPTED, is_stopping, log_entries, path_of, started_waiting, wait_until
from slow_library import contents_read, hashed_files, held_engine, let_go, make_library, slow_engine


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_what_is_done(folder, photos, number):
    make_library(photos)
    engine, log = held_engine(folder, 14)
    process = engine.start("analyze", photos, "--workers", "2", "--json", start_new_session=True)
    wait_until(lambda: len(contents_read(log)) >= 14, "some work")
    os.killpg(process.pid, number)  # as a terminal does: to the whole group
    wait_until(lambda: is_stopping(process), "the signal to be delivered")
    let_go(log)
    out, error = process.communicate(timeout=30)
    assert process.returncode == INTERRUPTED, error
    document = json.loads(out)
    assert document["report"]["interrupted"] and document["report"]["waiting"] > 0
    assert document["report"]["worker_deaths"] == 0
    done = hashed_files(engine)
    assert len(done) >= 10
    assert done == {os.path.basename(path_of(file)).decode() for asset in document["assets"] for file in asset["files"] if asset["asset"]} & done
    before = len(contents_read(log))
    assert engine.json("status")["last_run"]["exit_code"] == INTERRUPTED
    engine.run("analyze", photos)
    assert not set(contents_read(log)[before:]) & done
    # The four broken files failed in the first run's headers.
    assert {path for path in engine.failures()} == {os.fsencode(photos / f"broken{i}.jpg") for i in range(4)}
    assert len(hashed_files(engine)) == 64


def test_second_ctrl_c_ends_at_once(folder, photos):
    make_library(photos)
    engine, log = slow_engine(folder, delay=20)
    process = engine.start("analyze", photos, "--workers", "1", "--quiet")
    wait_until(lambda: len(log_entries(log)) >= 2, "a request")
    process.send_signal(signal.SIGINT)
    wait_until(lambda: is_stopping(process), "the first to be delivered")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=5)
    assert process.returncode in (-signal.SIGINT, INTERRUPTED)
    assert engine.json("catalog", "check")["problems"] == []


def test_unchanged_library_costs_nothing(folder, photos):
    make_library(photos)
    engine, log = slow_engine(folder, delay=0)
    engine.analyze(photos, expect=DONE_WITH_FAILURES)
    before = log_entries(log)
    document = engine.analyze(photos)
    assert document["assets"] == []
    report = document["report"]
    assert report["unchanged"] == 68 and report["analysed"] == report["added"] == report["changed"] == 0
    assert {phase: report["phases"][phase]["files"] for phase in ("metadata", "content", "ml")} == {"metadata": 0, "content": 0, "ml": 0}
    assert log_entries(log) == before, "a worker was started"


def test_two_at_once(folder, photos):
    make_library(photos)
    engine, log = held_engine(folder)
    first = engine.start("analyze", photos, "--workers", "1", "--quiet")
    wait_until(lambda: contents_read(log), "the first to be in the middle")
    second = engine.run("analyze", photos)
    assert second.code == FAILED
    assert f"process {first.pid} (analyze" in second.message and "--wait" in second.message
    for command in (["catalog", "prune"], ["catalog", "relocate", "/a", "/b"]):
        assert engine.run(*command).code == FAILED
    # Readers never wait, and a copy can be made meanwhile.
    assert engine.run("status").code == DONE
    assert engine.run("search", "type:photo").code == DONE
    assert engine.run("catalog", "backup", folder / "copy.db").code == DONE
    assert first.poll() is None
    waiting = started_waiting(engine, "analyze", photos, "--wait", "--json")
    let_go(log)
    assert first.wait(60) == DONE_WITH_FAILURES
    out, error = waiting.communicate(timeout=60)
    assert waiting.returncode == DONE, error
    assert json.loads(out)["report"]["unchanged"] == 68


def test_waiting_can_be_interrupted(folder, photos):
    make_library(photos)
    engine, log = held_engine(folder)
    first = engine.start("analyze", photos, "--workers", "1", "--quiet")
    wait_until(lambda: contents_read(log), "the first to be in the middle")
    waiting = started_waiting(engine, "analyze", photos, "--wait")
    waiting.send_signal(signal.SIGINT)
    waiting.communicate(timeout=10)
    assert waiting.returncode == INTERRUPTED
    first.kill()
    first.communicate()
    let_go(log)
    # The lock of the killed one holds nobody up.
    assert engine.run("analyze", photos, "--quiet").code in (DONE, DONE_WITH_FAILURES)  # as far as the first had come
    assert len(hashed_files(engine)) == 64


def test_lines_come_while_the_run_goes_on(folder, photos):
    make_library(photos)
    engine, log = slow_engine(folder, delay=0.02, hold_at=58)  # a second's work at least: results are committed each second
    process = engine.start("analyze", photos, "--workers", "1", "--ndjson", "--quiet")
    first = json.loads(process.stdout.readline())
    assert process.poll() is None and first["asset"]
    let_go(log)
    rest = process.stdout.read()  # communicate() would pass over what readline() has read ahead
    process.wait(timeout=60)
    hashes = [first["asset"]] + [json.loads(line)["asset"] for line in rest.splitlines()]
    assert process.returncode == DONE_WITH_FAILURES
    assert len(set(hashes)) == 60 == len(set(hashes) - {None})


def test_a_reader_that_goes_away(folder, photos):
    """`image-engine … | head -1`: no crash, no traceback."""
    make_library(photos)
    engine, _ = slow_engine(folder, delay=0)
    process = engine.start("analyze", photos, "--ndjson", "--quiet")
    process.stdout.close()
    assert process.wait(60) >= 0
    assert engine.json("catalog", "check")["problems"] == []
    outcome = engine.run("search", "type:photo", stdout=open("/dev/full", "wb"))
    assert outcome.code == FAILED and "stdout" in outcome.message
