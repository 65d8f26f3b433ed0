"""The rules of `tag:` from the command line: the shipped ones, a person's own, and faulty ones."""

import sqlite3
from pathlib import Path

import pytest
from engine import USAGE
from PIL import Image


@pytest.fixture
def library(engine, photos):
    for shade, name in enumerate(("plane.png", "dog.png", "plain.png")):
        Image.new("RGB", (64, 64), (shade * 60, 90, 120)).save(photos / name)
    engine.analyze(photos, "--only", "hash")
    with sqlite3.connect(engine.catalogue) as catalogue:
        for name, thing in (("plane.png", "airplane"), ("dog.png", "dog")):
            catalogue.execute(
                "INSERT INTO asset_objects(asset_id, name, count, confidence) "
                "SELECT asset_id, ?, 1, 0.75 FROM files WHERE CAST(path AS TEXT) LIKE ?",
                (thing, "%/" + name),
            )
    catalogue.close()
    return photos


def found(engine, query):
    return {Path(hit["path"]).name: hit["why"] for hit in engine.json("search", query)["results"]}


def test_shipped_rules(engine, library):
    why = [{"field": "tag", "text": "travel (object: airplane 0.75)"}]
    assert found(engine, "tag:travel") == {"plane.png": why}
    assert set(found(engine, "tag:pet")) == {"dog.png"}
    assert set(found(engine, "-tag:pet")) == {"plane.png", "plain.png"}
    assert found(engine, "keyword:travel") == {}


def test_own_rules_replace_them_without_a_new_analysis(engine, library, folder):
    own = folder / "config/image-engine/tags.yaml"
    own.parent.mkdir(exist_ok=True)
    own.write_text("tags:\n  friend: {objects: [dog: 0.7]}\n  sure: {objects: [dog: 0.8]}\n")
    assert set(found(engine, "tag:friend")) == {"dog.png"}
    assert found(engine, "tag:sure") == {} and found(engine, "tag:travel") == {}
    own.write_text("tags:\n  friend: {objects: [airplane]}\n")
    assert set(found(engine, "tag:friend")) == {"plane.png"}
    own.write_text("tags:\n  friend:\n    objets: [dog]\n")
    faulty = engine.run("search", "tag:friend")
    assert faulty.code == USAGE and f"{own}:3: unknown key".encode() in faulty.err and b"objects" in faulty.err
    assert found(engine, "plain.png"), "a search without tag: does not read them"
