"""Killed at each kind of moment: the catalogue opens, nothing committed is done again, the end is as if nothing had been."""

import json
import random
import sqlite3

import pytest

from engine import DONE, DONE_WITH_FAILURES, Engine, ended_or, log_entries, wait_until
from slow_library import contents_read, hashed_files, make_library, slow_engine


def content(engine, photos):
    """All that is known about each file, without what differs from run to run."""
    def plain(value):
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items() if key not in ("created", "first", "last", "tries")}
        if isinstance(value, list):
            return sorted((plain(item) for item in value), key=json.dumps)
        return value

    found = {}
    for file in sorted(photos.iterdir()):
        outcome = engine.run("show", file, "--json")
        found[file.name] = plain(outcome.document()) if outcome.code == DONE else outcome.message
    return found


def has_tables(engine):
    try:
        return engine.catalogue.exists() and engine.rows("SELECT count(*) FROM sqlite_schema")[0][0] > 0
    except sqlite3.OperationalError as error:  # killed while they were made: they are rolled back by the next who may write
        assert "readonly database" in str(error), error
        return False


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_ten_times(folder, photos, seed):
    make_library(photos)
    engine, log = slow_engine(folder, delay=0.01)
    generator = random.Random(seed)
    # What the kill waits for; each kind comes twice.
    moments = ["start", "catalogue", "some requests", "some contents", "a commit"] * 2
    generator.shuffle(moments)
    for moment in moments:
        done = hashed_files(engine)
        asked, seen = len(log_entries(log)), len(contents_read(log))
        process = engine.start("analyze", photos, "--workers", "2", "--quiet")
        some = generator.randrange(1, 30)
        reached = {"start": lambda: True, "catalogue": engine.catalogue.exists,
                   "some requests": lambda: len(log_entries(log)) - asked >= some,
                   "some contents": lambda: len(contents_read(log)) - seen >= some,
                   "a commit": lambda: len(hashed_files(engine)) > len(done)}[moment]  # fmt: skip
        wait_until(ended_or(process, reached), moment)
        process.kill()
        process.communicate()
        assert not set(contents_read(log)[seen:]) & done, "committed work was done again"
        if has_tables(engine):
            assert engine.json("catalog", "check")["problems"] == []
    assert hashed_files(engine), "no run came as far as a commit"
    engine.run("analyze", photos, "--quiet")
    assert engine.json("catalog", "check")["problems"] == []
    calm = folder / "calm"
    calm.mkdir()
    undisturbed = Engine(calm)
    undisturbed.analyze(photos, expect=DONE_WITH_FAILURES)
    assert content(engine, photos) == content(undisturbed, photos)
    left, right = engine.json("status"), undisturbed.json("status")
    for varying in ("catalog", "size_bytes", "runs", "last_run"):
        left.pop(varying), right.pop(varying)
    assert left == right
