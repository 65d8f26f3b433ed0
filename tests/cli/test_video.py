"""Videos: what is found at which time, against ffprobe and against clips of known content."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess

import pytest
from PIL import Image

from engine import DONE, DONE_WITH_FAILURES, FAILED, INTERRUPTED, ROOT, SAMPLES, USAGE, Engine, continue_from, fresh_folder, validate, wait_until, with_models

STREET = "/usr/share/doc/opencv-doc/examples/data/vtest.avi"
BUTTERFLY = "/usr/share/doc/opencv-doc/examples/data/butterfly.jpg"
FRUITS = "/usr/share/doc/opencv-doc/examples/data/fruits.jpg"
SAME_SIZE = "scale=640:480:force_original_aspect_ratio=decrease,pad=640:480:(ow-iw)/2:(oh-ih)/2,setsar=1,fps=25,format=yuv420p"


def ffmpeg(*arguments):
    done = subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def probe(path, *what):
    shown = subprocess.run(["ffprobe", "-v", "error", "-of", "json", *what, path], capture_output=True, check=True)
    return json.loads(shown.stdout)


def frame_times(path):
    frames = probe(path, "-select_streams", "v:0", "-show_entries", "frame=pts_time")["frames"]
    return [float(frame["pts_time"]) for frame in frames]


def compose(target, *parts, preset="medium"):
    """Parts are (input arguments, seconds), cut together."""
    inputs, chains = [], []
    for i, (source, seconds) in enumerate(parts):
        inputs += [*source]
        chains.append(f"[{i}:v]trim=duration={seconds},setpts=PTS-STARTPTS,{SAME_SIZE}[v{i}]")
    joined = "".join(f"[v{i}]" for i in range(len(parts)))
    ffmpeg(*inputs, "-filter_complex", ";".join(chains) + f";{joined}concat=n={len(parts)}[v]", "-map", "[v]", "-c:v", "libx264", "-preset", preset, "-crf", "20", target)


def still(path):
    return ("-loop", "1", "-framerate", "25", "-i", path)


@pytest.fixture(scope="module")
def clips():
    """three.mp4: 3 s of a butterfly, 4 s of a street with people, 3 s of fruits. long.mp4: moving shapes, 60 s."""
    with fresh_folder() as folder:
        compose(folder / "three.mp4", (still(BUTTERFLY), 3), (("-ss", "5", "-i", STREET), 4), (still(FRUITS), 3))
        ffmpeg("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=60", "-c:v", "libx264", "-preset", "ultrafast", folder / "long.mp4")
        yield folder


def analyze_video(engine, *arguments, expect=DONE):
    return engine.json("analyze-video", *arguments, expect=expect)


@pytest.fixture(scope="module")
def analyzed(clips):
    """The program once three.mp4 has been analyzed with the models, and the document."""
    with fresh_folder() as folder:
        engine = with_models(Engine(folder))
        yield engine, analyze_video(engine, clips / "three.mp4")


@pytest.fixture
def known(engine, analyzed):
    """A copy of that for one test, and the document."""
    other, document = analyzed
    return continue_from(engine, other), document


def test_the_document_says_what_is_where(known, clips, folder):
    clip = clips / "three.mp4"
    real, document = known
    times = frame_times(clip)
    chosen = [frame["at"] for frame in document["frames"]]
    assert all(any(abs(at - time) < 1e-3 for time in times) for at in chosen), "frames are the video's own"
    assert chosen == sorted(chosen)
    # Stills are analyzed once, the street each second.
    assert len([at for at in chosen if at < 2.9]) == 1
    assert len([at for at in chosen if 3 <= at < 6.9]) == 4
    assert [round(scene["from"], 1) for scene in document["scenes"]] == [0.0, 3.0, 7.0]
    assert [scene["begins"] for scene in document["scenes"]] == ["start", "cut", "cut"]
    assert all(scene["from"] <= scene["best"] < scene["to"] for scene in document["scenes"])
    assert document["scenes"][-1]["to"] == pytest.approx(10, abs=0.05)
    people = [any(thing["object"] == "person" and thing["confidence"] > 0.7 for thing in moment["objects"]) for moment in document["moments"]]
    assert people == [False, True, False]
    tracked = [thing for thing in document["objects"] if thing["object"] == "person" and thing["confidence"] > 0.7]
    assert tracked and all(3 <= thing["from"] <= thing["at"] <= thing["to"] < 7 for thing in tracked)
    assert document["failures"] == []
    assert document["video"]["duration"] == pytest.approx(float(probe(clip, "-show_format")["format"]["duration"]), abs=0.05)
    # The same into a file, and nothing is done twice.
    assert real.run("analyze-video", clip, "-o", folder / "out.json").code == DONE
    written = json.loads((folder / "out.json").read_text())
    validate(written, "video")
    assert written["timings"]["video_seconds"] == 0
    assert written["frames"] == document["frames"]


def test_search_gives_the_moment(known, clips, photos):
    real, _ = known
    for name in ("basketball1.png", "fruits.jpg", "messi5.jpg"):
        shutil.copy(SAMPLES / "photos" / name, photos)
    real.analyze(clips / "three.mp4", photos)
    found = real.json("search", "object:person>=3 type:video")["results"]
    assert [os.path.basename(result["path"]) for result in found] == ["three.mp4"]
    moment = found[0]["moment"]
    assert 3 <= moment["from"] <= moment["at"] < moment["to"] <= 7.01
    assert moment["why"][0]["field"] == "object" and moment["why"][0]["text"].startswith("person")
    assert found[0]["moments"][0] == moment
    # As a word, beside photos.
    mixed = real.json("search", "person", "--limit", "1000")["results"]
    with_moment = [result for result in mixed if "moment" in result]
    assert len(mixed) > len(with_moment) == 1
    assert real.json("search", "object:zebra type:video")["total"] == 0
    shown = real.run("search", "object:person>=3 type:video")
    assert re.search(r"0:03\S*–0:0[67]\S*  person", shown.out.decode()), shown.out.decode()


def test_pictures_of_it(known, clips, folder):
    clip = clips / "three.mp4"
    real, _ = known
    sheet = real.json("show", clip, "--contact-sheet", folder / "sheet.png")
    assert sheet["scenes"] == 3
    with Image.open(folder / "sheet.png") as picture:
        assert picture.size == (sheet["width"], sheet["height"])
        assert len(set(picture.convert("RGB").resize((64, 64)).tobytes()[::3])) > 50
    drawn = real.json("show", clip, "--at", "0:05", "--draw", folder / "frame.png")
    assert (drawn["width"], drawn["height"]) == (640, 480) and drawn["objects"] > 0
    with Image.open(real.json("show", clip, "--thumbnail", "128")["path"]) as picture:
        assert max(picture.size) == 128
    for arguments in (["--draw", folder / "x.png"], ["--at", "1:99", "--draw", folder / "x.png"], ["--contact-sheet", folder / "x.gif"]):
        refused = real.run("show", clip, *arguments)
        assert refused.code == USAGE, refused.message
    assert real.run("show", clip, "--contact-sheet", clip).code == USAGE, "the library is never written to"


def test_several_go_to_a_folder_or_to_lines(engine, clips, folder):
    files = [clips / "three.mp4", clips / "long.mp4"]
    assert engine.run("analyze-video", *files, "-o", f"{folder}/all/", "--fast").code == DONE
    assert sorted(os.listdir(folder / "all")) == ["long.json", "three.json"]
    assert engine.run("analyze-video", *files, "-o", folder / "all.ndjson", "--fast").code == DONE
    assert [os.path.basename(json.loads(line)["path"]) for line in (folder / "all.ndjson").read_text().splitlines()] == ["three.mp4", "long.mp4"]
    assert engine.run("analyze-video", *files, "-o", folder / "one.json").code == USAGE
    assert engine.run("analyze-video", folder / "missing.mp4").code == FAILED
    assert engine.run("analyze-video", BUTTERFLY).code == FAILED


def frames_of(engine, clip):
    document = engine.json("show", clip)
    return [(frame["at"], frame["quality"]) for frame in document["frames"]], [(scene["from"], scene["begins"]) for scene in document["scenes"]]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_one_that_is_interrupted_goes_on_from_there(engine, clips, number):
    clip = clips / "long.mp4"
    flags = ["--fps", "25", "--quiet"]
    process = engine.start("analyze-video", clip, *flags)
    def kept():
        return engine.catalogue.exists() and engine.rows("SELECT count(*) FROM moments")[0][0] >= 400
    wait_until(lambda: _quietly(kept), "frames to be kept")
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode in (-number, INTERRUPTED)
    (before,) = engine.rows("SELECT count(*) FROM moments")[0]
    assert engine.rows("SELECT count(*) FROM analysis_progress") == [(1,)]
    assert engine.json("catalog", "check")["problems"] == []
    assert before < 1500
    until = json.loads(engine.rows("SELECT data FROM analysis_progress")[0][0])["until"]
    resumed = analyze_video(engine, clip, *flags)
    assert resumed["timings"]["video_seconds"] <= 61 - until, "what was kept is not analyzed again"
    assert engine.rows("SELECT count(*) FROM analysis_progress") == [(0,)]
    with fresh_folder() as other:
        whole = Engine(other)
        assert whole.run("analyze-video", clip, *flags).code == DONE
        assert frames_of(engine, clip) == frames_of(whole, clip)


def _quietly(check):
    try:
        return check()
    except Exception:  # the catalogue is being made
        return False


def test_settings_have_their_effect(engine, clips):
    clip = clips / "three.mp4"
    engine.analyze(clips, "--no-videos")
    assert engine.rows("SELECT count(*) FROM moments") == [(0,)]
    assert len(analyze_video(engine, clip)["frames"]) == 6
    assert len(analyze_video(engine, clip, "--fps", "2")["frames"]) == 10
    keys = [float(frame["pts_time"]) for frame in probe(clip, "-select_streams", "v:0", "-skip_frame", "nokey", "-show_entries", "frame=pts_time")["frames"]]
    fast = analyze_video(engine, clip, "--fast")
    assert [frame["at"] for frame in fast["frames"]] == [pytest.approx(time, abs=1e-3) for time in keys]
    assert fast["scenes"][-1]["to"] == pytest.approx(10, abs=0.05)
    assert len(analyze_video(engine, clip)["scenes"]) == 3, "what another setting found has been replaced"
    config = engine.folder / "own.yaml"
    config.write_text("video:\n  scene_detection: false\n")
    assert len(analyze_video(engine, clip, "--config", config)["scenes"]) == 1


MODEL_OF_SCENES = "video:\n  scene_model: transnetv2\n"


def test_scenes_by_a_model(engine, clips):
    """Of known cuts, and in the same places as the built-in detector's; both are kept apart."""
    clip, real = clips / "three.mp4", with_models(engine, "transnetv2")
    config = real.folder / "own.yaml"
    config.write_text(MODEL_OF_SCENES)
    scenes = [("start", 0.0), ("cut", 3.0), ("cut", 7.0)]

    def found(*arguments):
        document = analyze_video(real, clip, *arguments)
        return [(scene["begins"], round(scene["from"], 3)) for scene in document["scenes"]], document["timings"]["video_seconds"] > 0

    assert found("--config", config) == (scenes, True)
    assert found("--config", config) == (scenes, False)
    assert found() == (scenes, True), "the detector is part of what the result depends on"
    # Key frames do not follow one another: they are left to the built-in detector.
    fast, _ = found("--fast")
    assert found("--fast", "--config", config) == (fast, False)


def test_a_model_of_scenes_that_is_missing_or_none_is_an_error(engine, clips):
    config = engine.folder / "own.yaml"
    config.write_text(MODEL_OF_SCENES)
    for command in ("analyze", "analyze-video"):
        refused = engine.run(command, clips / "three.mp4", "--config", config)
        assert refused.code == USAGE and "image-engine models pull transnetv2" in refused.message, refused.message
    config.write_text("video:\n  scene_model: nanodet\n")
    refused = engine.run("analyze-video", clips / "three.mp4", "--config", config)
    assert refused.code == USAGE and "builtin" in refused.message and "transnetv2" in refused.message


def test_scenes_by_a_model_go_on_where_they_were_interrupted(real, folder):
    clip = folder / "shapes.mp4"
    parts = [(still(picture), 4) for picture in (BUTTERFLY, FRUITS) * 3]
    compose(clip, *parts, preset="ultrafast")
    config = real.folder / "own.yaml"
    config.write_text(MODEL_OF_SCENES)
    flags = ["--only", "video", "--config", config]
    process = real.start("analyze", clip, "--quiet", *flags)

    def until():
        return json.loads(real.rows("SELECT data FROM analysis_progress")[0][0])["until"]

    wait_until(lambda: process.poll() is not None or _quietly(lambda: until() > 5), "progress", 250)
    process.kill()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    left = 24 - until()
    assert real.analyze(clip, *flags)["report"]["video_seconds"] <= left + 2, "what was kept is not analyzed again"
    assert [round(scene["from"], 3) for scene in real.json("show", clip)["scenes"]] == [4.0 * i for i in range(6)]


def test_tracks_of_one_that_was_interrupted_are_those_of_a_whole_run(real, folder):
    clip = folder / "street.avi"
    ffmpeg("-i", STREET, "-t", "14", "-c", "copy", clip)
    flags = ["analyze", clip, "--only", "video", "--only", "objects", "--quiet"]
    process = real.start(*flags)
    wait_until(lambda: _quietly(lambda: real.rows("SELECT count(*) FROM analysis_progress") == [(1,)]), "progress", seconds=100)
    process.kill()
    process.communicate(timeout=60)
    assert real.rows("SELECT count(*) FROM analysis_progress") == [(1,)], "it was interrupted"
    assert real.run(*flags, timeout=250).code == DONE
    with fresh_folder() as other:
        whole = with_models(Engine(other))
        assert whole.run(*flags, timeout=250).code == DONE
        one, all_at_once = real.show(clip), whole.show(clip)
        assert len(one["objects"]) > 5 and one["objects"] == all_at_once["objects"]
        assert (one["frames"], one["moments"]) == (all_at_once["frames"], all_at_once["moments"])
        counts = "SELECT moment, name, count FROM moment_things WHERE field = 'object' ORDER BY 1, 2"
        assert real.rows(counts) == whole.rows(counts) != []


# Of each key of `video` a value that changes what a run gives.
OTHER_VALUES = {"enabled": False, "fps": 2, "key_frames_only": True, "order": "found", "scene_detection": False, "track_fps": 0}
TESTED_ELSEWHERE = {"use_nvidia_build", "scene_model", "action_labels", "nvidia_frames"}


def given_by_a_run(videos, settings):
    """The order in which videos were finished; of each its frames, scenes and objects."""
    with fresh_folder() as folder:
        engine = with_models(Engine(folder))
        (folder / "own.yaml").write_text(json.dumps({"processing": {"workers": 1}, "video": settings}))
        ran = engine.run("analyze", videos, "--config", folder / "own.yaml", "--only", "video", "--only", "objects", "--ndjson")
        assert ran.code == DONE, ran.message
        order = [os.path.basename(json.loads(line)["path"]) for line in ran.out.decode().splitlines()]
        shown = [engine.show(video) for video in sorted(videos.iterdir())]
        return order, [[document.get(part) for part in ("frames", "scenes", "objects")] for document in shown]


@pytest.fixture(scope="module")
def two_lengths():
    with fresh_folder() as folder:
        compose(folder / "a.mp4", (still(BUTTERFLY), 1), (("-ss", "5", "-i", STREET), 2))
        ffmpeg("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=1", "-c:v", "libx264", folder / "b.mp4")
        yield folder, given_by_a_run(folder, {})


@pytest.mark.parametrize("key", OTHER_VALUES)
def test_each_setting_changes_what_a_run_gives(two_lengths, key):
    videos, by_default = two_lengths
    assert given_by_a_run(videos, {key: OTHER_VALUES[key]}) != by_default


@pytest.mark.parametrize("file", ["default_config.yaml", "video_config.yaml"])
def test_no_setting_is_left_out(file):
    section = re.search(r"^video:\n((?:  .*\n)+)", (ROOT / "config" / file).read_text(), re.MULTILINE)[1]
    assert set(re.findall(r"^  (\w+):", section, re.MULTILINE)) == set(OTHER_VALUES) | TESTED_ELSEWHERE


def test_what_moves_is_followed_between_frames(known, clips):
    clip = clips / "three.mp4"
    real, document = known
    frames = {frame["at"] for frame in document["frames"]}
    times = frame_times(clip)
    between = {time for thing in document["objects"] for time in (thing["from"], thing["at"], thing["to"])} - frames
    assert between and all(any(abs(at - time) < 1e-3 for time in times) for at in between)
    assert all(abs(at * 5 - round(at * 5)) < 0.25 for at in between), "five a second"
    # A thing is fewer tracks than where only one frame a second is looked at.
    config = real.folder / "own.yaml"
    config.write_text("video:\n  track_fps: 0\n")
    rarely = analyze_video(real, clip, "--config", config)
    assert {frame["at"] for frame in rarely["frames"]} == frames
    assert all(time in frames for thing in rarely["objects"] for time in (thing["from"], thing["at"], thing["to"]))


def test_counts_are_those_of_tracks(known, clips):
    real, _ = known
    document = real.show(clips / "three.mp4")
    people = [thing for thing in document["objects"] if thing["object"] == "person"]
    most = max(sum(one["from"] <= at <= one["to"] for one in people) for at in (thing["from"] for thing in people))
    assert max(thing["count"] for moment in document["moments"] for thing in moment["objects"] if thing["object"] == "person") == most
    assert real.json("search", f"object:person>={most} type:video")["total"] == 1
    assert real.json("search", f"object:person>={most + 1} type:video")["total"] == 0
    found = real.json("search", f"object:person>={most} type:video")["results"][0]
    assert found["moments"], "the moment is named, too"


def test_one_stage_alone_leaves_the_others_to_the_next_run(engine, clips):
    clip = clips / "three.mp4"
    before = analyze_video(engine, clip)
    engine.analyze(clip, "--only", "video", "--redo", "video")
    assert analyze_video(engine, clip)["frames"] == before["frames"]
    engine.analyze(clip, "--redo", "quality")
    assert frames_of(engine, clip)[0] == [(frame["at"], frame["quality"]) for frame in before["frames"]]
    assert len(engine.rows("SELECT 1 FROM records WHERE stage = 'video'")) == 1


def moments_of(engine, stage):
    return engine.rows("SELECT moment, data FROM moment_records WHERE stage = ? ORDER BY moment", stage)


def test_a_stage_that_is_added_or_redone_leaves_the_others_alone(real, clips):
    """What one run finds of a video is not lost when another asks for one stage only."""
    clip = clips / "three.mp4"
    real.analyze(clip, "--only", "objects")
    objects, moments = moments_of(real, "objects"), real.rows("SELECT * FROM moments ORDER BY moment")
    assert objects and not moments_of(real, "quality") and not moments_of(real, "text")
    report = real.analyze(clip)["report"]
    assert report["phases"]["videos"]["files"] == 1
    assert moments_of(real, "objects") == objects and real.rows("SELECT * FROM moments ORDER BY moment") == moments
    document = analyze_video(real, clip)
    assert all({"objects", "quality", "text"} <= frame.keys() for frame in document["frames"])
    assert all(scene["best"] >= scene["from"] for scene in document["scenes"]), "quality was added, and with it the best frame"
    made = real.rows("SELECT id, stage FROM records WHERE stage IN ('objects', 'video', 'quality')")
    real.analyze(clip, "--redo", "text")
    assert real.rows("SELECT id, stage FROM records WHERE stage IN ('objects', 'video', 'quality')") == made
    again = analyze_video(real, clip)
    assert again["frames"] == document["frames"] and again["scenes"] == document["scenes"] and again["objects"] == document["objects"]


def test_an_added_stage_that_is_interrupted_is_resumed(engine, clips):
    clip = clips / "long.mp4"
    (engine.folder / "often.yaml").write_text("video:\n  fps: 25\n")
    often = ("--config", engine.folder / "often.yaml")
    engine.analyze(clip, "--only", "video", *often)
    process = engine.start("analyze", clip, "--only", "quality", *often, "--quiet")
    wait_until(lambda: _quietly(lambda: json.loads(engine.rows("SELECT data FROM analysis_progress")[0][0])["until"] > 15), "progress")
    process.kill()
    process.communicate(timeout=60)
    kept = len(moments_of(engine, "quality"))
    assert 15 * 25 < kept < 60 * 25
    engine.analyze(clip, "--only", "quality", *often)
    with fresh_folder() as other:
        whole = Engine(other)
        whole.analyze(clip, "--only", "video", "--only", "quality", *often)
        assert moments_of(engine, "quality") == moments_of(whole, "quality")
        assert engine.rows("SELECT * FROM moments") == whole.rows("SELECT * FROM moments")


def test_an_added_stage_that_fails_is_tried_again(engine, folder):
    """What a video has stays; the stage is not called done; --retry heals it."""
    clip = folder / "large.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=7680x4320:rate=2:duration=2", "-c:v", "libx264", "-preset", "ultrafast", clip)
    engine.analyze(clip, "--only", "video")
    moments = engine.rows("SELECT * FROM moments ORDER BY moment")
    (engine.folder / "little.yaml").write_text("worker:\n  memory_limit_mb: 128\n")
    engine.analyze(clip, "--only", "quality", "--config", engine.folder / "little.yaml", expect=DONE_WITH_FAILURES)
    assert engine.rows("SELECT 1 FROM records WHERE stage = 'quality'") == []
    assert engine.rows("SELECT * FROM moments ORDER BY moment") == moments
    engine.analyze(clip, "--only", "quality", "--retry")
    assert len(moments_of(engine, "quality")) == 2 and engine.failures() == {}


def test_frames_that_are_not_the_known_ones_are_chosen_anew(engine, clips):
    """As another version of the decoder may give."""
    clip = clips / "three.mp4"
    before = analyze_video(engine, clip)
    with sqlite3.connect(engine.catalogue) as connection:
        connection.execute("UPDATE moments SET from_seconds = from_seconds - 0.01 WHERE from_seconds > 4")
    connection.close()
    engine.analyze(clip, "--redo", "quality")
    assert analyze_video(engine, clip)["frames"] == before["frames"]


def test_a_change_of_settings_that_is_interrupted_is_no_whole(engine, clips):
    clip = clips / "long.mp4"
    assert engine.run("analyze-video", clip, "--quiet").code == DONE
    process = engine.start("analyze-video", clip, "--fps", "25", "--quiet")
    wait_until(lambda: _quietly(lambda: engine.rows("SELECT count(*) FROM moments")[0][0] >= 400), "frames to be kept")
    process.kill()
    process.communicate(timeout=60)
    with fresh_folder() as other:
        whole = Engine(other)
        assert whole.run("analyze-video", clip, "--quiet").code == DONE
        assert engine.run("analyze-video", clip, "--quiet").code == DONE
        assert frames_of(engine, clip) == frames_of(whole, clip)


def test_a_still_that_is_interrupted_stays_one(engine, folder):
    clip = folder / "still.mp4"
    ffmpeg(*still(BUTTERFLY), "-t", "60", "-vf", "scale=640:480", "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", clip)
    process = engine.start("analyze-video", clip, "--fps", "25", "--quiet")
    wait_until(lambda: _quietly(lambda: json.loads(engine.rows("SELECT data FROM analysis_progress")[0][0])["until"] > 15), "progress")
    process.kill()
    process.communicate(timeout=60)
    document = engine.json("analyze-video", clip, "--fps", "25")
    assert [(frame["at"], round(frame["to"])) for frame in document["frames"]] == [(0, 60)]


def test_short_ones_come_first_and_photos_before(engine, clips, folder):
    lines = engine.run("analyze", clips, BUTTERFLY, "--workers", "1", "--ndjson").out.decode().splitlines()
    names = [os.path.basename(json.loads(line)["path"]) for line in lines]
    assert names.index("butterfly.jpg") < names.index("three.mp4")
    assert names[-2:] == ["three.mp4", "long.mp4"] and len(names) == 3, "each once"


def test_a_second_run_does_nothing(engine, clips):
    engine.analyze(clips)
    report = engine.analyze(clips)["report"]
    assert report["phases"]["videos"]["files"] == 0 and report["video_seconds"] == 0


def broken_files(folder, clips):
    """name: (content, whether some frames can be had)"""
    whole = (clips / "three.mp4").read_bytes()
    ffmpeg("-i", clips / "three.mp4", "-c", "copy", folder / "whole.mkv")
    matroska = (folder / "whole.mkv").read_bytes()
    os.remove(folder / "whole.mkv")
    return {
        "text.mp4": (b"this is a text\n" * 100, False),
        "no_index.mp4": (whole[: len(whole) * 2 // 3], False),
        "cut.mkv": (matroska[: len(matroska) // 2], True),
        "hls.mp4": (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n", False),
        "concat.avi": (b"ffconcat version 1.0\nfile /etc/passwd\n", False),
        "noise.avi": (b"RIFF\xff\xff\xff\x7fAVI " + os.urandom(20000), False),
        "empty.mp4": (b"", False),
    }


def test_broken_ones_end_in_the_ledger(engine, clips, photos):
    files = broken_files(photos, clips)
    for name, (content, _) in files.items():
        (photos / name).write_bytes(content)
    report = engine.analyze(photos, expect=DONE_WITH_FAILURES)["report"]
    assert report["worker_deaths"] == 0
    ledger = {os.path.basename(path).decode(): entry for path, entry in engine.failures().items()}
    for name in files:
        assert name in ledger, name
    assert len(engine.show(photos / "cut.mkv")["frames"]) >= 1
    (entry,) = engine.json("failures", photos / "cut.mkv")["failures"]
    assert re.match(r"from \d\.\d+ s on: .*ends early", entry["message"])
    assert engine.json("catalog", "check")["problems"] == []
    # They are not tried again before they change.
    assert engine.run("analyze", photos).code == DONE


def test_frames_that_cannot_be_decoded_are_left_out(engine, clips, photos):
    damaged = bytearray((clips / "long.mp4").read_bytes())
    for at in range(len(damaged) // 3, len(damaged) // 2, 50):
        damaged[at] ^= 0xFF
    (photos / "damaged.mp4").write_bytes(damaged)
    outcome = engine.run("analyze", photos)
    assert outcome.code in (DONE, DONE_WITH_FAILURES)
    frames = engine.show(photos / "damaged.mp4")["frames"]
    assert 30 <= len(frames) <= 61


@pytest.mark.parametrize("command", [["analyze-video"], ["benchmark", "video"]])
def test_results_do_not_replace_what_is_ones_own(engine, clips, folder, command):
    """As `analyze-video -o *.mp4` would: the shell names two files."""
    for name, content in (("own.mp4", (clips / "three.mp4").read_bytes()), ("own.json", b'{"camera": "mine"}')):
        own = folder / name
        own.write_bytes(content)
        refused = engine.run(*command, clips / "three.mp4", "-o", own)
        assert refused.code == USAGE and "no output of image-engine" in refused.message
        assert own.read_bytes() == content
    results = folder / "results.json"
    for _ in range(2):  # its own results are replaced
        assert engine.run(*command, clips / "three.mp4", "-o", results).code == DONE
        assert json.loads(results.read_text())["schema"].startswith("image-engine/")


def test_the_video_is_not_written_to(engine, clips):
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in clips.iterdir()}
    engine.analyze(clips)
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in clips.iterdir()} == before


# benchmark video


def stages_of(document):
    return {stage["stage"]: stage for stage in document["stages"]}


def test_the_benchmark_gives_the_time_of_each_stage(real, clips, folder):
    clip = clips / "three.mp4"
    real.environment["TMPDIR"] = str(folder)
    before = sorted(os.listdir(folder))
    document = real.json("benchmark", "video", clip, "-o", folder / "results.json")
    written = json.loads((folder / "results.json").read_text())
    validate(written, "benchmark-video")
    assert written == document
    os.remove(folder / "results.json")
    assert sorted(os.listdir(folder)) == before and not real.catalogue.exists(), "the catalogue was a temporary one"
    assert document["video"]["duration"] == pytest.approx(10, abs=0.05) and (document["video"]["width"], document["video"]["height"]) == (640, 480)
    assert (document["frames"], document["scenes"]) == (6, 3)
    assert document["settings"]["fps"] == 1 and document["settings"]["decode_threads"] >= 1
    assert document["times_real_time"] == pytest.approx(document["video"]["duration"] / document["seconds"], rel=1e-2)
    assert document["seconds_per_video_minute"] * document["times_real_time"] == pytest.approx(60, rel=1e-2)
    assert 0 < document["seconds"] <= document["total_seconds"]
    stages = stages_of(document)
    decoded = len(frame_times(clip))
    assert {stages[name]["frames"] for name in ("decode", "reduce", "scene_changes")} == {decoded}
    assert stages["thumbnail"]["frames"] == 10
    assert stages["convert"]["frames"] == 10 + 16, "four a second between those of the street"
    assert {stages[name]["frames"] for name in ("quality", "text")} == {6}, "those that are no repetition"
    assert stages["objects"]["frames"] in (6 + 4, 6 + 8, 6 + 12, 6 + 16), "and frames between where boxes part"
    assert [stages[name]["process"] for name in ("decode", "objects")] == ["worker", "engine"]
    assert stages["objects"]["device"] == "cpu" and stages["objects"]["precision"] == "fp32"
    for stage in stages.values():
        assert stage["frames_per_second"] == pytest.approx(stage["frames"] / stage["busy"], rel=0.01)
        idle = max(0, document["seconds"] - stage["busy"])  # a stage that works on several frames at once may be busier
        assert stage["wait"] == pytest.approx(idle, abs=0.01 * document["seconds"])
    assert all(document[process]["cpu_seconds"] > 0 and document[process]["peak_memory_mb"] > 1 for process in ("engine", "worker"))


def test_the_benchmark_takes_the_flags_of_analysis(real, clips, folder):
    clip = clips / "three.mp4"
    other = real.json("benchmark", "video", clip, "--fast", "--fps", "25", "--object-model", "none", "--workers", "1")
    assert other["settings"] == {"fps": 25, "track_fps": 5, "key_frames_only": True, "scene_detection": True, "workers": 1, "decode_threads": 1}
    stages = stages_of(other)
    assert "objects" not in stages and stages["decode"]["frames"] < 25
    shown = real.run("benchmark", "video", clip, "--fast").out.decode()
    assert re.search(r"three\.mp4: 10\.0 s of video in", shown) and re.search(r"^objects +engine +cpu fp32 +\d", shown, re.MULTILINE), shown
    for wrong, code in ((BUTTERFLY, FAILED), (folder / "missing.mp4", FAILED)):
        assert real.run("benchmark", "video", wrong).code == code
