"""What people write into a search, and what it finds, from the command line."""

import pytest
from engine import FAILED, ROOT, USAGE
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


def notes(engine, query):
    found = engine.json("search", query)
    assert found["total"] == 0
    return " ".join(found["notes"])


def test_dates(engine, library):
    assert set(engine.search("year:2017")) == {"cat.jpg", "dog and cat.jpg"}
    assert engine.search("month:july year:2016..2016") == ["dog.jpg"]
    assert engine.search("date:2017-12-24") == ["dog and cat.jpg"]
    assert engine.search("2016") == ["dog.jpg"]
    found = engine.json("search", "on:2017-07-14")
    assert found["total"] == 1 and found["without_date"] == 1  # bird.jpg
    assert any(note.startswith("1 more has no date") for note in found["notes"])


def test_what_may_have_been_meant_is_said(engine, library):
    assert "did you mean dog?" in notes(engine, "dgo")
    assert "did you mean name:bird?" in notes(engine, "name:brid")
    assert "did you mean tag:travel?" in notes(engine, "tag:travl")
    assert "path:ir finds it in the paths of 1 file" in notes(engine, "ir type:jpeg")
    assert notes(engine, "qqqqqqqq").find("did you mean") < 0
    assert not [note for note in engine.json("search", "dog")["notes"] if "mean" in note]
    few = engine.json("search", "bird dgo")
    assert few["total"] == 1 and any("did you mean dog?" in note for note in few["notes"])
    assert "did you mean" not in notes(engine, "987654")  # a number has no near ones


@pytest.mark.parametrize("query, meant", [
    ("type:jpge", "type:jpeg"), ("state:misssing", "state:missing"), ("month:jully", "month:july"), ("vehicle:buss", "vehicle:bus"),
])  # fmt: skip
def test_unknown_values_name_the_nearest(engine, library, query, meant):
    outcome = engine.run("search", query)
    assert outcome.code == USAGE and f"did you mean {meant}?" in outcome.message


def test_words_and_what_they_lack_are_on_one_scale(engine, library):
    scores = {query: [result["score"] for result in engine.json("search", query)["results"]] for query in ("bird", "bir*", "dog bird")}
    assert scores["bird"] == [1] and scores["bir*"] == [0.5]
    assert scores["dog bird"] == pytest.approx([0.5] * 3, abs=0.0051)


def test_what_a_person_says(engine, library, photos):
    dog, cat = photos / "dog.jpg", photos / "cat.jpg"
    before = [path.read_bytes() for path in (dog, cat)]
    rated = engine.json("rate", dog, cat, "4")
    assert rated["rating"] == 4 and [file["path"] for file in rated["files"]] == [str(dog), str(cat)]
    assert set(engine.search("rating:4")) == {"dog.jpg", "cat.jpg"}
    assert engine.json("search", "rating:4 dog NOT cat")["results"][0]["why"][-1] == {"field": "rating", "text": "4 (yours)"}
    engine.json("tag", dog, "--add", "Oma", "--add", "our garden")
    engine.json("title", dog, "Rex im Grünen")
    why = engine.json("search", "tag:oma grunen")["results"][0]["why"]
    assert {"field": "keyword", "text": "Oma (yours)"} in why and {"field": "title", "text": "Rex im Grünen (yours)"} in why
    shown = engine.show(dog)
    assert (shown["user_rating"], shown["user_title"], shown["labels"]) == (4, "Rex im Grünen", ["Oma", "our garden"])
    # A renamed copy is the same picture, and another analysis changes nothing.
    (photos / "copy.jpg").write_bytes(dog.read_bytes())
    dog.unlink()
    engine.analyze(photos, "--only", "hash", "--redo", "hash")
    assert engine.search('tag:"our garden" rating:4') == ["copy.jpg"]
    engine.json("tag", photos / "copy.jpg", "--remove", "Oma")
    engine.json("title", photos / "copy.jpg", "")
    engine.json("rate", photos / "copy.jpg", "none")
    assert engine.search("tag:oma OR title:rex OR rating:4") == ["cat.jpg"]
    assert [(photos / "copy.jpg").read_bytes(), cat.read_bytes()] == before


@pytest.mark.parametrize("arguments, code, message", [
    (["rate", "PHOTO"], USAGE, "no rating"), (["rate", "PHOTO", "6"], USAGE, "no rating"), (["rate", "4"], USAGE, "FILE"),
    (["tag", "PHOTO"], USAGE, "--add NAME"), (["tag", "PHOTO", "--add", " "], USAGE, "needs a name"),
    (["tag", "PHOTO", "--add", "a\nb"], USAGE, "one line"), (["tag", "PHOTO", "--remove", "Oma"], FAILED, "no label that you gave"),
    (["title", "PHOTO", "x" * 1001], USAGE, "1000 bytes"), (["rate", "/none.jpg", "4"], FAILED, "not in the catalogue"),
])  # fmt: skip
def test_what_cannot_be_said(engine, library, photos, arguments, code, message):
    outcome = engine.run(*[str(photos / "dog.jpg") if argument == "PHOTO" else argument for argument in arguments])
    assert outcome.code == code and message in outcome.message
    assert engine.rows("SELECT count(*) FROM user_ratings")[0] == engine.rows("SELECT count(*) FROM labels")[0] == (0,)


def test_all_files_or_none(engine, library, photos):
    engine.run("rate", photos / "dog.jpg", "/none.jpg", "4")
    assert engine.search("rating:0") == []


def test_places_by_name(engine, photos):
    if not (ROOT / "build/share/places.csv").exists():
        pytest.skip("names of places are not installed")
    # Notre-Dame, and the courthouse of Paris, Texas.
    for number, (name, latitude, longitude) in enumerate((("city.jpg", 48.853, 2.3499), ("prairie.jpg", 33.6609, 95.5555))):
        exif = Image.Exif()
        gps = exif.get_ifd(0x8825)
        gps[1], gps[2], gps[3], gps[4] = "N", (latitude, 0, 0), "W" if number else "E", (longitude, 0, 0)
        Image.new("RGB", (64, 48), (10 + number, 20, 30)).save(photos / name, exif=exif)
    engine.analyze(photos, "--only", "hash")
    assert set(engine.search("near:paris")) == {"city.jpg", "prairie.jpg"}
    assert engine.search("near:Paris,FR,10") == engine.search('near:"pâris, France"') == ["city.jpg"]
    assert engine.search("near:Paris,Texas") == ["prairie.jpg"]
    assert "no place is called" in engine.run("search", "near:Atlantis-on-Sea").message
