"""What `status` calls stale is what `analyze` renews, whatever has become of records; and notes that nothing was analyzed."""

import random
import sqlite3
import subprocess
from collections import Counter
from contextlib import closing

import pytest
from action_models import install_colours
from PIL import Image

# Made whenever the frames of a video are, and renewed with them alone.
WITH_FRAMES = {("fingerprint", "video"), ("thumbnail", "video")}
CHANGES = {
    "version": "UPDATE records SET version = version || '-' WHERE id = ?",
    "model": "UPDATE records SET model = 'another' WHERE id = ?",
    "params": "UPDATE records SET params = 'other' WHERE id = ?",
    "lost": "DELETE FROM records WHERE id = ?",
}


@pytest.fixture
def library(engine, folder):
    """Photos, a video and a recording, analyzed with a model of vectors."""
    install_colours(engine)
    path = folder / "library"
    path.mkdir()
    for i, colour in enumerate(((250, 10, 20), (20, 200, 40), (10, 40, 220), (120, 120, 10))):
        Image.new("RGB", (64, 48), colour).save(path / f"{i}.png")
    make = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=10:duration=2", "-f", "lavfi", "-i", "sine=duration=2"]
    subprocess.run([*make, "-shortest", path / "clip.mp4"], check=True)
    subprocess.run([*make[:3], "-f", "lavfi", "-i", "sine=duration=2", path / "tone.wav"], check=True)
    engine.analyze(path)
    return path


def records(engine):
    """(id, stage, key, owner, kind): the owner of metadata is a file, that of others an asset."""
    rows = engine.rows("SELECT r.id, r.stage, r.model, r.version, r.params, coalesce(r.asset_id, -r.file_id), coalesce(a.kind, '') "
                       "FROM records r LEFT JOIN assets a ON a.id = r.asset_id ORDER BY r.id")  # fmt: skip
    return [(row[0], row[1], tuple(row[2:5]), row[5], row[6]) for row in rows]


def change(engine, chosen):
    with closing(sqlite3.connect(engine.catalogue)) as catalogue, catalogue:
        for (number, stage, _, owner, _), how in chosen:
            catalogue.execute(CHANGES[how], (number,))
            if stage == "metadata" and how != "lost":  # which analyze compares is kept with the file
                catalogue.execute("UPDATE files SET metadata_version = (SELECT version FROM records WHERE id = ?) WHERE id = ?", (number, -owner))


def stale(engine):
    """By stage and key."""
    stages = engine.json("status")["stages"]
    assert all(stage["stale"] == ("stale_records" in stage) for stage in stages)
    return Counter({(stage["stage"], (stage.get("model", ""), stage["version"], stage.get("params", ""))): stage.get("stale_records", 0) for stage in stages})


@pytest.mark.parametrize("seed", range(4))
def test_status_and_analyze_agree(engine, library, seed):
    assert not +stale(engine), "just analyzed"
    generator = random.Random(seed)
    usable = [row for row in records(engine) if (row[1], row[4]) not in WITH_FRAMES and row[1] != "live_photo"]
    assert {"metadata", "quality", "hash", "thumbnail", "embedding", "scene", "video", "actions"} <= {row[1] for row in usable}
    chosen = generator.sample(usable, generator.randint(1, len(usable) // 2))
    ways = [how for how in CHANGES if how != "lost"]
    change(engine, [(row, "version" if row[1] == "metadata" else generator.choice(ways)) for row in chosen])
    said = stale(engine)
    assert said, "something is"
    before = records(engine)
    engine.analyze(library)
    now = {(stage, key, owner) for _, stage, key, owner, _ in records(engine)}
    had = {(stage, key, owner) for _, stage, key, owner, _ in before}
    gained = {(stage, owner) for stage, _, owner in now - had}
    renewed = Counter((stage, key) for _, stage, key, owner, _ in before if (stage, owner) in gained)
    assert +said == renewed
    assert not +stale(engine)


def test_what_is_lost_is_made_again_and_is_not_stale(engine, library):
    before = records(engine)
    change(engine, [(row, "lost") for row in before if row[1] == "quality"])
    assert not +stale(engine), "there is no record to be stale"
    engine.analyze(library)
    assert {row[1:] for row in records(engine)} == {row[1:] for row in before}


def test_a_setting_makes_stale_what_depends_on_it(engine, library, folder):
    config, other = folder / "own.yaml", folder / "other.yaml"
    other.write_text("video: {fps: 3}")
    for text, stages in [
        ("thumbnails: {quality: 30}", {"thumbnail"}), ("scan: {dates_from_names: false}", {"metadata"}),
        ("video: {fps: 2}", {"video"}), ("log: {level: error}", set()), ("video: {enabled: false, fps: 2}", set()),
    ]:  # fmt: skip
        config.write_text(text)
        said = engine.json("status", "--config", config)["stages"]
        assert {stage["stage"] for stage in said if stage["stale"]} == stages, text
    config.write_text("video: {fps: 2}")
    engine.analyze(library, "--config", config)
    again = engine.json("status", "--config", config)["stages"]
    assert not any(stage["stale"] for stage in again)
    assert "stale" not in engine.run("status", "--config", config).out.decode()
    assert "(all stale: analyze renews them)" in engine.run("status", "--config", other).out.decode()


def test_what_is_away_is_not_stale(engine, library):
    change(engine, [(row, "version") for row in records(engine) if row[1] == "quality"])
    assert sum(stale(engine).values()) == 5, "of four photos and a video"
    (library / "0.png").unlink()
    engine.analyze(library, "--only", "hash")
    assert sum(stale(engine).values()) == 4, "analyze cannot renew what it does not see"


def test_nothing_has_been_analysed_is_said_where_that_is_so(real, photos):
    Image.new("RGB", (320, 240), (90, 120, 200)).save(photos / "plain.png")
    real.analyze(photos, "--only", "quality")
    for query in ("object:dog", "people:yes", "text:exit", "scene:beach"):
        notes = real.json("search", query)["notes"]
        assert any("nothing has been analysed" in note for note in notes), (query, notes)
    real.analyze(photos)
    assert real.show(photos / "plain.png")["object_count"] == 0
    for query in ("object:dog", "people:yes", "text:exit", "scene:beach", "vehicle:bus"):
        notes = real.json("search", query)["notes"]
        assert not any("nothing has been analysed" in note for note in notes), (query, notes)
    for query in ("product:can", "caption:dog"):
        notes = real.json("search", query)["notes"]
        assert any("nothing has been analysed" in note for note in notes), (query, notes)
