"""privacy-blur on videos, with the real models: nobody flashes up, the sound stays as it was, and nothing else of the file gets out."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import shutil
import signal
import subprocess

import numpy as np
import pytest
from engine import DONE, FAILED, INTERRUPTED, USAGE, fresh_folder, wait_until, with_models
from PIL import Image
from video_files import Track, composed, ffmpeg, frame_times, frames, likeness, packets, probe, streams

EXPOSED = 0.5  # of likeness(); a frame that was only encoded anew has 0.95 and more


def hidden(engine, *videos, out, flags=(), expect=DONE):
    return engine.json("plugins", "run", "privacy-blur", *videos, "-o", out, *flags, expect=expect, timeout=600)


def tracks():
    """Behind a board for 0.6 s, there for two seconds only, moving fast, and small."""
    return [Track("astronaut.png", 100, (60, 200), (760, 180), hidden=[(2.2, 2.8)]), Track("left06.jpg", 70, (300, 380), (340, 360), there=(1.4, 3.4)),
            Track("astronaut.png", 56, (880, 40), (500, 440)), Track("camera.png", 40, (640, 60), (600, 80))]  # fmt: skip


SECRET = "secret-of-the-video"


def everything(path, picture):
    """Tags of maker, place and time, a time code's track, chapters and a cover; subtitles. All are in the file."""
    (path.parent / "words.srt").write_text("1\n00:00:00,500 --> 00:00:02,000\nHello there\n\n2\n00:00:02,500 --> 00:00:03,500\nGoodbye\n")
    (path.parent / "chapters.txt").write_text(f";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=2000\ntitle={SECRET}-chapter\n")
    Image.new("RGB", (64, 64), (1, 2, 3)).save(path.parent / "cover.jpg")
    tags = {"location": "+48.1173+011.5167/", "com.apple.quicktime.location.ISO6709": "+48.1173+011.5167/", "com.apple.quicktime.make": f"{SECRET}-make",
            "title": f"{SECRET}-title", "comment": f"{SECRET}-comment", "creation_time": "2024-06-01T10:22:03Z"}  # fmt: skip
    plain = path.parent / "plain.mov"
    known = composed(plain, picture, more=("-movflags", "use_metadata_tags"))
    ffmpeg("-i", plain, "-i", path.parent / "words.srt", "-i", path.parent / "chapters.txt", "-i", path.parent / "cover.jpg", "-map", "0", "-map", "1", "-map", "3",
           "-map_metadata", "-1", "-map_chapters", "2", "-c", "copy", "-c:s", "mov_text", "-disposition:v:1", "attached_pic", "-timecode", "01:00:00:00",
           *(part for name, value in tags.items() for part in ("-metadata", f"{name}={value}")), "-metadata:s:v:0", f"handler_name={SECRET}-handler",
           "-metadata:s:a:0", "language=fra", "-movflags", "use_metadata_tags", path)  # fmt: skip
    text = path.read_bytes()
    assert SECRET.encode() in text and b"+48.1173" in text and b"tmcd" in text
    return known


@pytest.fixture(scope="module")
def made():
    """A clip with everything, and what became of it."""
    from engine import Engine

    with fresh_folder() as folder:
        engine = with_models(Engine(folder))
        known = everything(folder / "clip.mov", tracks())
        document = hidden(engine, folder / "clip.mov", out=folder / "out")
        yield folder / "clip.mov", folder / "out/clip-private.mov", known, document


def test_no_face_is_exposed_in_any_frame(made):
    source, target, known, document = made
    (result,) = document["results"]
    assert [file["path"] for file in result["files"]] == [str(target)] and (result["files"][0]["width"], result["files"][0]["height"]) == (960, 540)
    before, after = frames(source), frames(target)
    assert len(before) == len(after) == len(known)
    exposed = [(index, box) for index, boxes in enumerate(known) for box in boxes if likeness(before[index], after[index], box) > EXPOSED]
    assert sum(map(len, known)) > 200 and exposed == []
    # What is far from all of them is as it was.
    assert np.mean([likeness(before[index], after[index], (0, 480, 200, 60)) for index in range(0, len(known), 10)]) > 0.95


def test_sound_subtitles_and_times_are_as_they_were(made):
    source, target, *_ = made
    for kind in "as":
        assert packets(target, kind) == packets(source, kind) != []
    assert frame_times(target) == pytest.approx(frame_times(source), abs=1e-4)
    kept = {stream["codec_type"]: stream for stream in streams(target)}
    assert kept["audio"]["tags"]["language"] == "fra" and kept["video"]["codec_name"] == "h264"


def test_nothing_of_maker_place_and_time_gets_out(made):
    _, target, *_ = made
    data = target.read_bytes()
    assert SECRET.encode() not in data and b"+48.1" not in data and b"tmcd" not in data and b"2024" not in data
    assert sorted(stream["codec_type"] for stream in streams(target)) == ["audio", "subtitle", "video"]
    assert probe(target, "-show_chapters")["chapters"] == []
    tags = probe(target, "-show_format")["format"].get("tags", {})
    assert set(tags) <= {"major_brand", "minor_version", "compatible_brands"}
    if shutil.which("exiftool"):
        shown = subprocess.run(["exiftool", "-a", "-G1", target], capture_output=True, check=True, text=True).stdout
        assert "GPS" not in shown and "secret" not in shown.lower()


@pytest.fixture
def still(folder):
    """A face that stays, for a second; gives the path of a clip made so."""

    def make(name, *more, **options):
        options = {"seconds": 1, "size": (640, 360), "rate": 10, **options}
        return folder / name, composed(folder / name, [Track("astronaut.png", 90, (240, 120), (250, 120))], more=more, **options)

    return make


def assert_nobody_seen(source, target, known, times=True):
    before, after = frames(source), frames(target)
    assert len(before) == len(after) == len(known)
    for index, boxes in enumerate(known):
        for box in boxes:
            assert likeness(before[index], after[index], box) < EXPOSED, (index, box)
    if times:
        assert frame_times(target) == pytest.approx(frame_times(source), abs=2e-3)


@pytest.mark.parametrize("name, encoder, out", [
    ("a.mkv", ("-c:v", "libvpx-vp9", "-b:v", "2M", "-deadline", "realtime", "-cpu-used", "8"), "a-private.mkv"),
    ("b.webm", ("-c:v", "libvpx", "-b:v", "2M", "-deadline", "realtime"), "b-private.webm"),
    ("c.avi", ("-c:v", "mpeg4", "-q:v", "2"), "c-private.mkv"),
    ("d.ts", ("-c:v", "libx264", "-crf", "12", "-pix_fmt", "yuv422p"), "d-private.mkv"),
    ("e.mp4", ("-c:v", "libx265", "-crf", "12", "-x265-params", "log-level=none", "-tag:v", "hvc1", "-pix_fmt", "yuv420p"), "e-private.mp4"),
    ("f.mp4", ("-c:v", "libsvtav1", "-preset", "10", "-crf", "15", "-pix_fmt", "yuv420p10le"), "f-private.mp4"),
])  # fmt: skip
def test_codecs_and_containers(real, still, folder, name, encoder, out):
    source, known = still(name, encoder=encoder, sound=name != "b.webm")
    (result,) = hidden(real, source, out=folder / "out")["results"]
    target = folder / "out" / out
    assert_nobody_seen(source, target, known, times=name != "d.ts")  # a broadcast's begin anywhere
    was, now = streams(source)[0], streams(target)[0]
    if name == "c.avi":
        assert now["codec_name"] == "h264" and any("H.264" in message for message in result["messages"])
    else:
        assert [now[key] for key in ("codec_name", "pix_fmt")] == [was[key] for key in ("codec_name", "pix_fmt")]
    if name == "e.mp4":
        assert now["codec_tag_string"] == "hvc1"


@pytest.mark.parametrize("name, encoder, is_cut", [
    ("a.webm", ("-c:v", "libvpx-vp9", "-b:v", "2M", "-deadline", "realtime", "-cpu-used", "8"), False),
    ("b.mp4", ("-c:v", "libaom-av1", "-crf", "15", "-usage", "realtime", "-cpu-used", "8"), True),
    ("c.avi", ("-c:v", "mpeg4", "-q:v", "2"), True),
])  # fmt: skip
def test_odd_edges(real, still, folder, name, encoder, is_cut):
    """Where the encoder takes even ones only, a row and a column are cut off, and that is said."""
    source, known = still(name, encoder=(*encoder, "-pix_fmt", "yuv420p"), size=(641, 361), sound=False)
    (result,) = hidden(real, source, out=folder / "out")["results"]
    (made,) = result["files"]
    assert_nobody_seen(source, made["path"], known)
    size = [streams(made["path"])[0][key] for key in ("width", "height")]
    assert size == ([640, 360] if is_cut else [641, 361])
    assert any("640 × 360, not 641 × 361" in message for message in result["messages"]) == is_cut


def test_a_turned_clip(real, still, folder):
    lying, known = still("lying.mp4", turn=Image.Transpose.ROTATE_270)
    ffmpeg("-i", lying, "-c", "copy", "-metadata:s:v", "rotate=90", folder / "turned.mp4")
    hidden(real, folder / "turned.mp4", out=folder / "out")
    target = folder / "out/turned-private.mp4"
    assert_nobody_seen(folder / "turned.mp4", target, known)
    rotations = [[data["rotation"] for data in streams(path)[0]["side_data_list"]] for path in (folder / "turned.mp4", target)]
    assert rotations[0] == rotations[1] != [0]


def test_a_variable_rate(real, still, folder):
    steady, _ = still("steady.mp4", rate=20, seconds=2, sound=False)
    ffmpeg("-i", steady, "-vf", "select=not(between(mod(n\\,10)\\,2\\,5))", "-vsync", "vfr", "-c:v", "libx264", "-crf", "12", folder / "varied.mp4")
    times = frame_times(folder / "varied.mp4")
    assert len(set(np.round(np.diff(times), 3))) > 1
    hidden(real, folder / "varied.mp4", out=folder / "out")
    assert frame_times(folder / "out/varied-private.mp4") == pytest.approx(times, abs=1e-4)


def test_hdr_stays_hdr(real, still, folder):
    hdr = "repeat-headers=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:log-level=none:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400"
    colours = ("-colorspace", "bt2020nc", "-color_primaries", "bt2020", "-color_trc", "smpte2084", "-color_range", "tv")
    source, _ = still("hdr.mp4", encoder=("-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-tag:v", "hvc1", *colours, "-x265-params", hdr))
    hidden(real, source, out=folder / "out")
    keys = ("codec_name", "pix_fmt", "color_space", "color_transfer", "color_primaries", "color_range")
    light = []
    for path in (source, folder / "out/hdr-private.mp4"):
        light.append([streams(path)[0].get(key) for key in keys])
        shown = probe(path, "-select_streams", "v:0", "-read_intervals", "%+#1", "-show_frames")["frames"][0]["side_data_list"]
        light[-1] += [data for data in shown if "Mastering" in data["side_data_type"] or "Content light" in data["side_data_type"]]
    assert light[0] == light[1] and len(light[0]) == len(keys) + 2


@pytest.mark.parametrize("style", ["solid", "blur"])
def test_other_styles(real, still, folder, style):
    source, known = still("a.mp4")
    hidden(real, source, out=folder / "out", flags=["--set", f"style={style}"])
    target = folder / "out/a-private.mp4"
    assert_nobody_seen(source, target, known)
    if style == "solid":
        x, y, width, height = known[0][0]
        assert frames(target)[0][y : y + height, x : x + width].max() < 8


def test_a_face_that_is_kept(real, still, folder):
    source, known = still("a.mp4")
    x, y, width, height = known[0][0]
    (result,) = hidden(real, source, out=folder / "out", flags=["--set", f"keep={x - 10},{y},{width + 40},{height}"])["results"]
    assert "faces: 0 hidden" in result["messages"][0]
    assert likeness(frames(source)[5], frames(folder / "out/a-private.mp4")[5], known[5][0]) > 0.9
    outcome = real.run("plugins", "run", "privacy-blur", source, "-o", folder / "out2", "--set", "keep=1,2,3")
    assert outcome.code == USAGE and "keep takes boxes" in outcome.message


def test_without_the_model_there_is_no_video(engine, still, folder):
    engine.environment["IMAGE_ENGINE_MODELS"] = str(folder / "models")
    source, _ = still("a.mp4")
    (result,) = hidden(engine, source, out=folder / "out", expect=FAILED)["results"]
    assert result["error"]["code"] == "not-found" and "image-engine models pull centerface" in result["error"]["message"]
    assert list((folder / "out").iterdir()) == []


def test_bad_videos_leave_no_file(real, still, folder):
    source, _ = still("a.mp4")
    (folder / "short.mp4").write_bytes(source.read_bytes()[:2000])
    ffmpeg("-f", "lavfi", "-i", "sine=duration=1", folder / "sound.mp4")
    document = hidden(real, folder / "short.mp4", out=folder / "out", expect=FAILED)
    assert document["results"][0]["error"]["code"] == "corrupt"
    assert list((folder / "out").iterdir()) == []
    hidden(real, source, out=folder / "out")
    again = hidden(real, source, out=folder / "out", expect=FAILED)["results"][0]
    assert "--force" in again["error"]["message"]


def test_one_that_is_interrupted_leaves_nothing(real, folder):
    """In the second pass, which writes."""
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=1280x720:r=25:d=4", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", folder / "long.mp4")
    process = real.start("plugins", "run", "privacy-blur", folder / "long.mp4", "-o", folder / "out", "--set", "target=people")
    wait_until(lambda: process.poll() is not None or any(path.stat().st_size > 0 for path in folder.glob("out/*")), "bytes to be written", seconds=300)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    if process.returncode == DONE:
        pytest.skip("it was done before the signal came")
    assert process.returncode == INTERRUPTED and list((folder / "out").iterdir()) == []


def test_a_full_disk_ends_the_run(real, mounts, still, folder):
    source, _ = still("a.mp4", seconds=2)
    (folder / "out").mkdir()
    mounts.run("mount", "-t", "tmpfs", "-o", "size=40k", "none", folder / "out")
    real.prefix = mounts.prefix
    outcome = real.run("plugins", "run", "privacy-blur", source, "-o", folder / "out", timeout=300)
    assert outcome.code == FAILED and "No space left" in outcome.message
    listed = subprocess.run([*mounts.prefix, "ls", folder / "out"], capture_output=True, check=True)
    assert listed.stdout == b""
