"""Sound files from outside: they are assets of type:audio, whose tags are searched; broken ones are failures. Facts against ffprobe's."""

import json
import os
import shutil

import pytest

from engine import DONE, DONE_WITH_FAILURES, ROOT, SAMPLES, Engine, fresh_folder

SOUNDS = ROOT / "build/test_inputs/sound_files"
MANIFEST = json.loads((SOUNDS / "manifest.json").read_text())
FILES = {entry["file"]: entry["ffprobe"] for entry in MANIFEST["files"] if entry["file"] != "cut.mp3"}
HOSTILE = {"empty.mp3": "corrupt", "noise.mp3": "unsupported", "endless_tag.mp3": "corrupt", "tag_only.mp3": "corrupt", "cut.m4a": "corrupt"}


@pytest.fixture(scope="module")
def library():
    with fresh_folder() as folder:
        media = folder / "media"
        media.mkdir()
        for name in FILES:
            shutil.copy(SOUNDS / name, media / name)
        shutil.copy(SAMPLES / "videos/phone.mp4", media / "phone.mp4")
        (media / "notes.txt").write_text("no media")
        engine = Engine(folder)
        engine.media = media
        engine.report = engine.analyze(media)["report"]
        yield engine


@pytest.fixture
def engine():
    with fresh_folder() as folder:
        engine = Engine(folder)
        engine.media = folder / "media"
        engine.media.mkdir()
        yield engine


def test_type_audio_finds_them_all(library):
    assert sorted(library.search("type:audio")) == sorted(FILES)
    assert library.search("type:video") == ["phone.mp4"]
    assert sorted(library.search("type:mp3")) == sorted(name for name in FILES if name.endswith((".mp3", ".mp2")))
    assert library.search("type:audio type:video") == []


@pytest.mark.parametrize("name", FILES)
def test_facts_are_ffprobes(library, name):
    shown, probe = library.show(library.media / name), FILES[name]
    sounds = [stream for stream in probe["streams"] if stream["codec_type"] == "audio"]
    played = next((stream for stream in sounds if stream["disposition"]["default"]), sounds[0])
    assert shown["media"] == "audio" and "video" not in shown and "width" not in shown
    assert shown["audio"]["codec"] == played["codec_name"]
    assert shown["audio"]["channels"] == played["channels"]
    assert shown["audio"]["sample_rate"] == int(played["sample_rate"])
    assert shown["audio"]["duration"] == pytest.approx(float(probe["format"]["duration"]), abs=0.05)
    assert len(shown["audio_tracks"]) == len(sounds)
    assert shown["asset"]
    assert {record["stage"] for record in shown["records"]} == {"metadata", "speech"}, "no pictures, so no stages of pictures"


def test_tags_are_searched_in_their_fields(library):
    tagged = {name for name in FILES if library.show(library.media / name).get("title") == MANIFEST["tags"]["title"]}
    assert len(tagged) >= 15
    for query in ("title:ufer", "creator:kvartett", "keyword:salzwasser", "keyword:chamber", "description:boathouse", "boathouse"):
        assert set(library.search(query)) == tagged, query
    for query in ("creator:herons", "creator:lindqvist"):
        assert "song.mp3" in library.search(query) and set(library.search(query)) <= tagged, query
    assert library.search("title:café") == ["latin1.mp3"]


def test_time_of_recording(library):
    assert library.show(library.media / "memo.m4a")["taken"] == "2021-03-04T05:06:07Z"
    assert library.search("after:2021-03 before:2021-04") == ["memo.m4a"]


def test_report_and_status_count_recordings(library):
    assert library.report["media"] == len(FILES) + 1
    assert library.report["failed"] == 0
    status = library.json("status")
    assert status["kinds"] == {"audio": len(FILES), "video": 1}
    text = library.run("analyze", library.media).out.decode()
    assert f"1 photo or video, {len(FILES)} recordings, 1 other file skipped" in text


def test_nothing_is_read_again(library):
    report = library.analyze(library.media)["report"]
    assert report["unchanged"] == len(FILES) + 1 and report["analysed"] == 0
    assert sorted(library.search("type:audio")) == sorted(FILES), "what only the streams told is still known"


def test_pictures_are_refused_in_words(library):
    for arguments in (("--thumbnail", "256"), ("--draw", library.folder / "out.png")):
        outcome = library.run("show", library.media / "song.mp3", *arguments)
        assert outcome.code not in (DONE, DONE_WITH_FAILURES) and b"sound file" in outcome.err, outcome.message


def test_broken_files_are_failures(engine):
    for name in HOSTILE:
        shutil.copy(SOUNDS / name, engine.media / name)
    shutil.copy(SOUNDS / "cut.mp3", engine.media / "cut.mp3")
    engine.analyze(engine.media, expect=DONE_WITH_FAILURES)
    failures = {os.path.basename(path).decode(): entry["code"] for path, entry in engine.failures().items()}
    assert failures == HOSTILE
    assert engine.show(engine.media / "cut.mp3")["media"] == "audio"


def test_content_says_what_it_is(engine):
    shutil.copy(SOUNDS / "song.mp3", engine.media / "song.jpg")
    shutil.copy(next((SAMPLES / "photos").glob("*.jpg")), engine.media / "photo.mp3")
    (engine.media / "link.mp3").symlink_to(SOUNDS / "song.mp3")
    engine.analyze(engine.media)
    assert engine.search("type:audio") == ["song.jpg"]
    assert engine.search("type:photo") == ["photo.mp3"]


def test_other_streams_say_what_it_is(engine):
    """The brand says sound, the streams say video; and the reverse."""
    for name in ("clip.m4a", "talk.mp4", "web.webm"):
        shutil.copy(SOUNDS / name, engine.media / name)
    engine.analyze(engine.media)
    assert engine.search("type:video") == ["clip.m4a"]
    assert sorted(engine.search("type:audio")) == ["talk.mp4", "web.webm"]
    assert engine.show(engine.media / "clip.m4a")["video"]["video_codec"] == "h264"
    assert engine.run("show", engine.media / "clip.m4a", "--thumbnail", "64").code == DONE


def test_tags_of_all_files_with_equal_sound_are_searched(engine):
    song, retagged = (engine.media / name for name in ("song.flac", "retagged.flac"))
    for file in (song, retagged):
        shutil.copy(SOUNDS / file.name, file)
    engine.analyze(engine.media)
    shown = {file: engine.show(file) for file in (song, retagged)}
    assert shown[song]["asset"] == shown[retagged]["asset"]
    titles = {file: document["title"] for file, document in shown.items()}
    assert titles == {song: MANIFEST["tags"]["title"], retagged: "Another title"}, "each file's own"
    for query in ("title:another", "title:ufer", "creator:kvartett", "another ufer"):
        assert len(engine.json("search", query)["results"]) == 1, query
    retagged.unlink()
    engine.analyze(engine.media)
    assert engine.search("title:ufer") == ["song.flac"]
    assert engine.search("title:another") == [], "a file that is gone does not count"


def test_copies_and_retagged_ones_are_duplicates(engine):
    for name, copy in {"bare.mp3": "a.mp3", "latin1.mp3": "b.mp3", "song.flac": "a.flac", "retagged.flac": "b.flac", "take.wav": "a.wav"}.items():
        shutil.copy(SOUNDS / name, engine.media / copy)
    shutil.copy(SOUNDS / "take.wav", engine.media / "b.wav")
    shutil.copy(SOUNDS / "field.wav", engine.media / "other.wav")
    engine.analyze(engine.media)
    groups = engine.json("duplicates", "--verify")["groups"]
    found = {tuple(sorted(os.path.basename(file["path"]) for file in group["files"])): group for group in groups}
    assert set(found) == {("a.mp3", "b.mp3"), ("a.flac", "b.flac"), ("a.wav", "b.wav")}
    for names, group in found.items():
        assert group["kind"] == "exact"
        assert any(file["removable"] for file in group["files"]) == (names == ("a.wav", "b.wav")), "only copies byte for byte"
    text = engine.run("duplicates").out.decode()
    assert "0 × 0" not in text


def test_a_file_that_becomes_sound(engine):
    """The same path with another content is another asset of another kind."""
    path = engine.media / "x.mp4"
    shutil.copy(SAMPLES / "videos/phone.mp4", path)
    engine.analyze(engine.media)
    assert engine.search("type:video") == ["x.mp4"]
    shutil.copy(SOUNDS / "talk.mp4", path)
    engine.analyze(engine.media)
    assert engine.search("type:video") == [] and engine.search("type:audio") == ["x.mp4"]
