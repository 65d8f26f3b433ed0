"""Killed at random moments: the catalogue opens, nothing committed is done again, the end is as if nothing had been."""

import json
import random
import time

import pytest

from engine import DONE, DONE_WITH_FAILURES, Engine
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


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_ten_times(folder, photos, seed):
    make_library(photos)
    engine, log = slow_engine(folder, delay=0.03)
    generator = random.Random(seed)
    for _ in range(10):
        done = hashed_files(engine)
        seen = len(contents_read(log))
        process = engine.start("analyze", photos, "--workers", "2", "--quiet")
        time.sleep(generator.uniform(0.05, 2.2))
        process.kill()
        process.communicate()
        assert not set(contents_read(log)[seen:]) & done, "committed work was done again"
        if engine.catalogue.exists() and engine.rows("SELECT count(*) FROM sqlite_schema")[0][0]:
            assert engine.json("catalog", "check")["problems"] == []
    assert hashed_files(engine), "no run came as far as a commit: the times are of no use"
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
