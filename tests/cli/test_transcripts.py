"""What is said in videos, printed as text, as subtitles and as JSON; the segments of speech are put into the catalogue here."""

import json
import sqlite3
import subprocess

import pytest

from engine import DONE, DONE_WITH_FAILURES, FAILED, USAGE, Engine, fresh_folder

FIRST_SPEECH_MOMENT = 1 << 24
SAID = [(1.0, 3.0, "It was the best of times."), (3.2, 5.0, "it was the <worst> & best"), (9.5, 11.0, "Über 42 – naïve.")]


def make_video(path, seconds=12):
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"testsrc=size=64x48:rate=5:duration={seconds}", "-c:v", "mpeg4", path],
                   check=True)  # fmt: skip
    return path


def words_of(begin, end, text):
    """As speech_record() has them: times in hundredths of a second from the segment's start."""
    words, step = text.split(), (end - begin) * 100 / len(text.split())
    return [[(" " if i else "") + word, round(i * step), round((i + 1) * step), 90] for i, word in enumerate(words)]


def put_speech(engine, path, said):
    """What a pass over the sound writes: moments of speech and the record of the stage."""
    with sqlite3.connect(engine.catalogue) as catalogue:
        (asset,) = catalogue.execute("SELECT asset_id FROM files WHERE path = ?", [str(path).encode()]).fetchone()
        source = json.dumps({"source": "subtitles: given.en.srt", "language": "en"})
        catalogue.execute("UPDATE records SET data = ? WHERE asset_id = ? AND stage = 'speech'", [source, asset])
        for number, (begin, end, text) in enumerate(said):
            data = json.dumps({"language": "en", "confidence": 0.9, "words": words_of(begin, end, text)})
            catalogue.execute("INSERT INTO moments VALUES(?, ?, 'speech', ?, ?)", [asset, FIRST_SPEECH_MOMENT + number, begin, end])
            catalogue.execute("INSERT INTO moment_records VALUES(?, 'speech', ?, ?)", [asset, FIRST_SPEECH_MOMENT + number, data])


@pytest.fixture(scope="module")
def library():
    """Videos in which something is said, in which nothing is, and whose sound was not analyzed; and a photo."""
    with fresh_folder() as folder:
        videos = folder / "videos"
        videos.mkdir()
        for name in ("spoken", "silent", "new"):
            make_video(videos / f"{name}.mp4")
            with open(videos / f"{name}.mp4", "ab") as file:  # three assets
                file.write(b"\0\0\0\x0cfree" + name[:4].ljust(4).encode())
        make_video(videos / "other.mkv", 3)
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", videos / "spoken.mp4", "-frames:v", "1", videos / "photo.jpg"], check=True)
        engine = Engine(folder)
        assert engine.run("analyze-video", *sorted(videos.glob("*.m*"))).code == DONE
        assert engine.run("analyze", videos).code == DONE
        put_speech(engine, videos / "spoken.mp4", SAID)
        put_speech(engine, videos / "other.mkv", [(0.5, 2.0, "Another video.")])
        put_speech(engine, videos / "silent.mp4", [])
        yield engine, videos


def read_cues(text, suffix, folder):
    """(from, to, text) of each cue by ffmpeg, which writes SubRip."""
    (folder / f"x.{suffix}").write_bytes(text)
    out = subprocess.run(["ffmpeg", "-v", "error", "-i", folder / f"x.{suffix}", "-f", "srt", "-"], check=True, capture_output=True).stdout.decode()
    blocks = [block.split("\n", 2) for block in out.replace("\r", "").strip().split("\n\n")]
    seconds = lambda clock: sum(float(part.replace(",", ".")) * 60**i for i, part in enumerate(reversed(clock.split(":"))))  # noqa: E731
    return [(*map(seconds, times.split(" --> ")), text) for _, times, text in blocks]


def test_a_transcript_is_text_with_the_times_of_paragraphs(library):
    engine, videos = library
    shown = engine.run("show", videos / "spoken.mp4", "--transcript")
    assert shown.code == DONE, shown.message
    assert shown.out.decode() == "[0:01] It was the best of times. it was the <worst> & best\n\n[0:09] Über 42 – naïve.\n"


@pytest.mark.parametrize("suffix", ["vtt", "srt"])
def test_subtitles_are_read_by_ffmpeg(library, suffix, tmp_path):
    engine, videos = library
    shown = engine.run("show", videos / "spoken.mp4", "--transcript", "--format", suffix)
    assert shown.code == DONE, shown.message
    assert shown.out.startswith(b"WEBVTT\n" if suffix == "vtt" else b"1\n00:00:01,000 --> ")
    cues = read_cues(shown.out, suffix, tmp_path)
    said = SAID if suffix == "vtt" else [(a, b, text.replace("<", "‹").replace(">", "›")) for a, b, text in SAID]
    assert [text for *_, text in cues] == [text for *_, text in said]
    for (begin, end, _), (said_from, said_to, _) in zip(cues, SAID):
        assert begin == pytest.approx(said_from, abs=0.01) and end == pytest.approx(said_to, abs=0.01)


def test_json_has_the_words(library):
    engine, videos = library
    document = engine.json("show", videos / "spoken.mp4", "--transcript")
    assert [segment["text"] for segment in document["segments"]] == [text for *_, text in SAID]
    assert (document["source"], document["model"], document["language"]) == ("subtitles: given.en.srt", None, "en")
    first = document["segments"][0]
    assert (first["from"], first["to"], first["language"], first["confidence"]) == (1, 3, "en", 0.9)
    assert "".join(word["text"] for word in first["words"]) == first["text"]
    assert first["words"][0]["from"] == 1 and first["words"][-1]["to"] == 3
    same = engine.run("show", videos / "spoken.mp4", "--transcript", "--format", "json")
    assert same.document() == document


def test_nothing_to_print_is_explained(library):
    engine, videos = library
    for name, words in {"silent.mp4": "nothing is said", "new.mp4": "models pull", "photo.jpg": "is a photo"}.items():
        shown = engine.run("show", videos / name, "--transcript")
        assert shown.code in (FAILED, USAGE) and words in shown.message and shown.out == b"", (name, shown.code, shown.message)
    assert f"analyze-video '{videos / 'new.mp4'}'" in engine.run("show", videos / "new.mp4", "--transcript").message
    assert engine.run("show", videos / "spoken.mp4", "--format", "vtt").code == USAGE
    assert engine.run("show", videos / "spoken.mp4", "--transcript", "--format", "doc").code == USAGE


def test_analyze_video_writes_subtitles(library, tmp_path):
    engine, videos = library
    printed = engine.run("analyze-video", videos / "spoken.mp4", "--subtitles", "vtt")
    assert printed.code == DONE and printed.out.startswith(b"WEBVTT\n"), printed.message
    assert engine.run("analyze-video", videos / "spoken.mp4", "--subtitles", "vtt", "-o", "-").out == printed.out
    target = tmp_path / "x.vtt"
    assert engine.run("analyze-video", videos / "spoken.mp4", "--subtitles", "vtt", "-o", target).code == DONE
    assert target.read_bytes() == printed.out
    assert [file.name for file in tmp_path.iterdir()] == ["x.vtt"]
    assert engine.run("analyze-video", videos / "spoken.mp4", "--subtitles", "srt", "--json").code == USAGE


def test_no_file_is_replaced(library, tmp_path):
    engine, videos = library
    foreign = tmp_path / "diary.txt"
    foreign.write_text("Dear diary")
    (tmp_path / "link.srt").symlink_to(foreign)
    for target in (foreign, tmp_path / "link.srt", videos / "other.mkv"):
        before = target.read_bytes()
        written = engine.run("analyze-video", videos / "spoken.mp4", "--subtitles", "srt", "-o", target)
        assert written.code == USAGE and "exists" in written.message, written.message
        assert target.read_bytes() == before


def test_subtitles_of_several_go_to_a_folder(library, tmp_path):
    engine, videos = library
    both = [videos / "spoken.mp4", videos / "other.mkv"]
    assert engine.run("analyze-video", *both, "--subtitles", "srt").code == USAGE
    assert engine.run("analyze-video", *both, "--subtitles", "srt", "-o", f"{tmp_path}/made/").code == DONE
    assert sorted(file.name for file in (tmp_path / "made").iterdir()) == ["other.srt", "spoken.srt"]
    partly = engine.run("analyze-video", *both, videos / "silent.mp4", "--subtitles", "text", "-o", f"{tmp_path}/made/")
    assert partly.code == DONE_WITH_FAILURES and "nothing is said" in partly.message
    assert (tmp_path / "made/other.txt").read_text() == "[0:00] Another video.\n"


def test_each_segment_of_a_recording_has_what_is_heard_during_it():
    """Sounds before, over, within, between and behind segments; and two at once."""
    said = [(1.0, 3.0, "One."), (3.0, 5.0, "Two."), (8.0, 9.0, "Three.")]
    sounds = [(0.0, 1.0, "engine"), (0.5, 8.5, "music"), (2.0, 2.5, "bell"), (3.0, 4.0, "singing"), (5.0, 8.0, "rain"), (9.0, 12.0, "wind")]
    with fresh_folder() as folder:
        recording = folder / "media/tone.wav"
        recording.parent.mkdir()
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=d=12", recording], check=True)
        engine = Engine(folder)
        assert engine.run("analyze", recording.parent).code == DONE
        put_speech(engine, recording, said)
        with sqlite3.connect(engine.catalogue) as catalogue:
            (asset,) = catalogue.execute("SELECT asset_id FROM files").fetchone()
            for number, (_, _, text) in enumerate(said):
                catalogue.execute("INSERT INTO moment_things VALUES(?, 'said', ?, ?, 1, 1)", [asset, FIRST_SPEECH_MOMENT + number, text])
            for number, (begin, end, name) in enumerate(sounds, 2 * FIRST_SPEECH_MOMENT):
                catalogue.execute("INSERT INTO moments VALUES(?, ?, 'sound', ?, ?)", [asset, number, begin, end])
                catalogue.execute("INSERT INTO moment_things VALUES(?, 'sound', ?, ?, 1, 0.9)", [asset, number, name])
        moments = engine.show(recording)["moments"]
    assert [[one["text"] for one in moment["said"]] for moment in moments] == [["One."], ["Two."], ["Three."]]
    assert [[one["label"] for one in moment["sounds"]] for moment in moments] == [["bell", "music"], ["music", "singing"], ["music"]]
