"""What `show` says about the samples is what exiftool reads in them; what `search` finds follows from it."""

import functools
import json
import re
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from engine import DONE, SAMPLES, USAGE, Engine, fresh_folder

PHOTOS = SAMPLES / "photos"


@pytest.fixture(scope="module")
def library():
    with fresh_folder() as folder:
        engine = Engine(folder)
        engine.analyze(PHOTOS, SAMPLES / "videos", timeout=120)
        yield engine


def exiftool(folder):
    out = subprocess.run(["exiftool", "-json", "-n", "-r", folder], stdout=subprocess.PIPE, check=False).stdout
    return {Path(facts["SourceFile"]).name: facts for facts in json.loads(out)}


FACTS = exiftool(PHOTOS)
# A sidecar next to a photo speaks for it; a.jpg.xmp before a.xmp.
SIDECARS = {"aloeL.jpg": "aloeL.jpg.xmp", "baboon.jpg": "baboon.jpg.xmp", "rocket.jpg": "rocket.xmp"}
PICTURES = sorted(name for name in FACTS if not name.endswith(".xmp"))


XMP_LENSES = {"kite.jpg"}  # ExifTool's `Lens` of others is a range of focal lengths from maker notes
# What these cameras write by themselves, and the mark of an empty XMP alternative.
SAY_NOTHING = {"", "x-default", "OLYMPUS DIGITAL CAMERA"}


def text(value):
    """Cameras pad with blanks; nothing but blanks says nothing."""
    said = "" if value is None else str(value).strip()
    return said if said not in SAY_NOTHING else None


ORIGINAL = ("SubSecDateTimeOriginal", "DateTimeOriginal")
FALLBACKS = ("DateCreated", "CreateDate", "ModifyDate")


def iso(time):
    """exiftool's "2012:06:29 09:29-04:00" as ISO 8601 with seconds."""
    date, clock = time.split(" ", 1)
    if re.match(r"\d\d:\d\d(?!:)", clock):
        clock = clock[:5] + ":00" + clock[5:]
    return date.replace(":", "-") + "T" + clock.replace("+00:00", "Z")


def times(facts):
    """What may be given as the time of taking: the original one, or else any that may stand in for it."""
    for name in ORIGINAL:
        if name in facts:
            return [iso(facts[name])]
    return [iso(facts[name]) for name in FALLBACKS if " " in str(facts.get(name))] + [None]


def words(value):
    return sorted([str(value)] if not isinstance(value, list) else map(str, value)) if value is not None else []


def expected(name):
    """exiftool's facts in the shape of `show --json`."""
    facts = FACTS[name]
    side = FACTS.get(SIDECARS.get(name), {})
    upright = facts.get("Orientation", 1) < 5
    width, height = facts["ImageWidth"], facts["ImageHeight"]
    return {
        "width": width if upright else height,
        "height": height if upright else width,
        "make": text(facts.get("Make")), "model": text(facts.get("Model")), "lens": text(facts.get("LensModel", facts.get("Lens") if name in XMP_LENSES else None)),
        "exposure": [facts.get(key) for key in ("ExposureTime", "FNumber", "ISO", "FocalLength")],
        "gps": [facts.get(key) for key in ("GPSLatitude", "GPSLongitude", "GPSAltitude")],
        "rating": side.get("Rating", facts.get("Rating")),
        "keywords": words(side.get("Subject", facts.get("Subject", facts.get("Keywords")))),
        "title": text(side.get("Title", facts.get("Title"))),
        "description": text(side.get("Description", facts.get("Description"))) or text(facts.get("ImageDescription")),
    }


@functools.cache  # nobody changes the library
def shown(engine, name):
    item = engine.show(PHOTOS / name)
    camera, exposure, gps = item.get("camera", {}), item.get("exposure", {}), item.get("gps", {})
    return {
        "width": item["width"], "height": item["height"], "taken": item.get("taken"),
        "make": camera.get("make"), "model": camera.get("model"), "lens": camera.get("lens"),
        "exposure": [exposure.get(key) for key in ("time", "f_number", "iso", "focal_length")],
        "gps": [gps.get(key) for key in ("lat", "lon", "altitude")],
        "rating": item.get("rating"), "keywords": sorted(item.get("keywords", [])),
        "title": item.get("title"), "description": item.get("description"),
    }


def same(left, right):
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return abs(left - right) <= 1e-6 * max(1, abs(right))
    return left == right


@pytest.mark.parametrize("name", PICTURES)
def test_metadata_is_what_exiftool_reads(library, name):
    found, wanted = shown(library, name), expected(name)
    assert found["taken"] in times(FACTS[name])
    assert {key: value for key, value in found.items() if key != "taken" and not same(value, wanted[key])} == {}, wanted


def test_a_place_is_named(library):
    place = library.show(PHOTOS / "HappyFish.jpg").get("place")
    if place is None:
        pytest.skip("no place names: build/share/places.csv is missing")
    assert place["country_code"] == "JP" and place["city"] == "Tokyo"
    assert library.show(PHOTOS / "board.jpg")["place"]["country_code"] == "IS"
    assert "place" not in library.show(PHOTOS / "fruits.jpg")


def probe(file):
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", file]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


@pytest.mark.parametrize("name", sorted(file.name for file in (SAMPLES / "videos").iterdir() if file.is_file()))
def test_videos_are_what_ffprobe_reads(library, name):
    facts = probe(SAMPLES / "videos" / name)
    stream = next(stream for stream in facts["streams"] if stream["codec_type"] == "video")
    item = library.show(SAMPLES / "videos" / name)
    assert item["media"] == "video"
    turned = any(abs(data.get("rotation", 0)) % 180 == 90 for data in stream.get("side_data_list", []))
    size = (stream["width"], stream["height"])
    assert (item["width"], item["height"]) == (size[::-1] if turned else size)
    assert item["video"]["video_codec"] == stream["codec_name"]
    assert abs(item["video"]["duration"] - float(facts["format"]["duration"])) < 0.05
    over, under = map(int, stream["avg_frame_rate"].split("/"))
    assert abs(item["video"]["frame_rate"] - over / under) < 0.01
    if created := facts["format"].get("tags", {}).get("creation_time"):
        wanted = datetime.fromisoformat(created.replace("Z", "+00:00"))
        assert datetime.fromisoformat(item["taken"].replace("Z", "+00:00")) == wanted


def photos_with(engine, condition):
    """Names of the photos of which `condition` holds, by what is shown of each: that is compared with exiftool above."""
    return {name for name in PICTURES if condition(shown(engine, name))}


def photos_found(engine, *query):
    return {name for name in engine.search(*query) if name in FACTS}


@pytest.mark.parametrize("query, condition", [
    ("camera:canon", lambda f: "Canon" in (f["make"] or "")),
    ("camera:nikon", lambda f: "NIKON" in (f["make"] or "")),
    ("camera:iphone", lambda f: "iPhone" in (f["model"] or "")),
    ("lens:FE", lambda f: "FE 50mm" in (f["lens"] or "")),
    ("after:2018", lambda f: (f["taken"] or "") >= "2018"),
    ("before:2010", lambda f: f["taken"] and f["taken"] < "2011"),
    ("after:2012-02-29 before:2012-02-29", lambda f: (f["taken"] or "").startswith("2012-02-29")),
    ("camera:canon after:2008", lambda f: "Canon" in (f["make"] or "") and (f["taken"] or "") >= "2008"),
    ("rating:4", lambda f: (f["rating"] or 0) >= 4),
    ("rating:5 -camera:apple", lambda f: f["rating"] == 5 and f["make"] != "Apple"),
    ("tag:fruit", lambda f: "fruit" in f["keywords"]),
    ("tag:城市", lambda f: "城市" in f["keywords"]),
    ("tag:水族館", lambda f: "水族館" in f["keywords"]),
    ("水族館", lambda f: "水族館" in f["keywords"]),
    ("水族", lambda f: "水族館" in f["keywords"]),
    ('"still life"', lambda f: "still life" in f["keywords"]),
    ('"life still"', lambda f: False),
    ("near:48.1372,11.5755,2", lambda f: f["gps"][0] and abs(f["gps"][0] - 48.1372) < .02 and abs(f["gps"][1] - 11.5755) < .02),
    ("near:-22.9,-43.2", lambda f: f["gps"][0] and abs(f["gps"][0] + 22.9) < .03 and abs(f["gps"][1] + 43.2) < .03),
    ("description:christmas", lambda f: "Christmas" in (f["description"] or "")),
    ("title:schon", lambda f: "schön" in (f["title"] or "")),
])
def test_fields_find_what_they_say(library, query, condition):
    assert photos_found(library, query) == photos_with(library, condition)


def test_minus_leaves_out(library):
    everything = photos_found(library, "type:photo")
    assert everything == set(PICTURES)
    assert photos_found(library, "type:photo -camera:canon") == everything - photos_found(library, "camera:canon")
    city = photos_found(library, "tag:city")
    assert photos_found(library, "tag:city -street") == city - {"leuvenA.jpg"} != city


def test_types(library):
    videos = {file.name for file in (SAMPLES / "videos").iterdir()}
    assert set(library.search("type:video")) == videos
    assert photos_found(library, "type:png") == {name for name in PICTURES if FACTS[name]["FileType"] == "PNG"}
    assert photos_found(library, "type:jpeg") == {name for name in PICTURES if FACTS[name]["FileType"] == "JPEG"}


def test_places(library):
    if "place" not in library.show(PHOTOS / "HappyFish.jpg"):
        pytest.skip("no place names: build/share/places.csv is missing")
    assert photos_found(library, "place:tokyo") == {"HappyFish.jpg"}
    assert photos_found(library, "place:japan") == {"HappyFish.jpg"}
    assert "building.jpg" in photos_found(library, "place:germany")


def test_words_rank_and_say_why(library):
    document = library.json("search", "butterfly")
    assert Path(document["results"][0]["path"]).name == "butterfly.jpg"
    assert {why["field"] for why in document["results"][0]["why"]} & {"title", "keyword", "description", "name"}
    assert "utterfly" in document["results"][0]["why"][0]["text"]
    both = library.json("search", "fruit bowl")
    assert Path(both["results"][0]["path"]).name == "fruits.jpg", "what matches all words comes first"
    scores = [result["score"] for result in both["results"]]
    assert scores == sorted(scores, reverse=True) and len(scores) >= 2
    for result in library.json("search", "camera:canon rating:4")["results"]:
        assert {"camera", "rating"} <= {why["field"] for why in result["why"]}


def test_why_gives_the_time_with_its_zone(library):
    [result] = library.json("search", "on:2021-12-24 camera:canon")["results"]
    assert {"field": "taken", "text": "2021-12-24T18:30:00.250+01:00"} in result["why"]


def test_pages_of_results(library):
    everything = library.json("search", "type:photo", "--limit", "1000")
    paths = [result["path"] for result in everything["results"]]
    assert everything["total"] == len(paths)
    paged = []
    for offset in range(0, len(paths), 20):
        page = library.json("search", "type:photo", "--limit", "20", "--offset", str(offset))
        assert page["total"] == len(paths)
        paged += [result["path"] for result in page["results"]]
    assert paged == paths


@pytest.mark.parametrize("query", ["rating:9", "after:yesterday", "near:99", "near:1,2,3,4,5", "colour:red", "camra:canon", "type:poem", "tag:"])
def test_a_query_that_makes_no_sense(library, query):
    outcome = library.run("search", query)
    assert outcome.code == USAGE and outcome.out == b"" and any(part in outcome.message for part in query.split(":") if part)
    if query.startswith("camra"):
        assert "camera" in outcome.message


@pytest.mark.parametrize("query", ['"', '"" -', "'; DROP TABLE files; --", "a AND OR NOT (", "*", "-", "NEAR(a b)", "%_\\", "\x01\x7f", "\ufffd" * 3, "x" * 5000, "{}[]^~:", "col:\"", "tag:*"])
def test_odd_queries_do_no_harm(library, query):
    outcome = library.run("search", "--json", "--", query)
    assert outcome.code in (DONE, USAGE), outcome.message
    assert not library.json("catalog", "check")["problems"]


def test_bytes_that_are_no_text_in_a_query(library):
    assert library.run("search", b"\xff\xfe caf\xe9").code == DONE
