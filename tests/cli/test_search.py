"""What people write into a search, and what it finds, from the command line."""

import pytest
from engine import USAGE
from PIL import Image


def picture(path, number, make=None, taken=None):
    """A small photo unlike all others; `make` is (make, model), `taken` as EXIF has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if make:
        exif[0x10F], exif[0x110] = make
    if taken:
        exif.get_ifd(0x8769)[0x9003] = taken
    image = Image.new("RGB", (64, 48), (number * 37 % 256, number * 91 % 256, number * 53 % 256))
    image.putpixel((number % 64, number // 64), (255, 255, 255))
    image.save(path, exif=exif)


@pytest.fixture
def library(engine, photos):
    picture(photos / "dog.jpg", 1, ("Canon", "EOS 40D"), "2016:07:14 12:00:00")
    picture(photos / "cat.jpg", 2, ("NIKON CORPORATION", "NIKON D90"), "2017:07:14 12:00:00")
    picture(photos / "dog and cat.jpg", 3, ("Apple", "iPhone 12"), "2017:12:24 20:00:00")
    picture(photos / "bird.jpg", 4)
    engine.analyze(photos, "--only", "hash")
    return photos


def test_operators(engine, library):
    def found(query):
        return set(engine.search(query))

    assert found("camera:canon OR camera:nikon") == {"dog.jpg", "cat.jpg"}
    assert found("camera:canon|camera:apple") == {"dog.jpg", "dog and cat.jpg"}
    assert found("dog NOT cat") == {"dog.jpg"}
    assert found("dog OR bird") == {"dog.jpg", "dog and cat.jpg", "bird.jpg"}
    assert found("(dog OR cat) NOT (camera:canon OR camera:nikon)") == {"dog and cat.jpg"}
    assert found("NOT dog") == {"cat.jpg", "bird.jpg"}


@pytest.mark.parametrize("query, message", [
    ("dog OR", "OR needs"), ("NOT", "NOT needs"), ("(dog", "not closed"), ("dog AND cat", "no such operator"),
    ("d*g", "end of a word"), ("(" * 33 + "dog" + ")" * 33, "32"),
])  # fmt: skip
def test_what_is_no_grammar_is_said(engine, library, query, message):
    outcome = engine.run("search", query)
    assert outcome.code == USAGE and message in outcome.message and not outcome.out
