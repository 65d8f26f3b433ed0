"""Cutting out of videos: `segment`, and the plugins that cut out, against masks that are known."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import json
import signal
import subprocess

import numpy as np
import pytest
from engine import DONE, FAILED, INTERRUPTED, USAGE, wait_until
from PIL import Image, ImageDraw
from segment_models import install_red, iou
from video_files import ffmpeg, frame_times, frames, packets, streams

SIZE, RATE, SECONDS, RADIUS = (320, 240), 10, 2, 50
VP9 = ("-c:v", "libvpx-vp9")  # FFmpeg's own decoder leaves the transparency out


def at(index):
    """The middle of the disc in a frame."""
    return 80 + 8 * index, 120


@pytest.fixture
def disc(folder):
    """A red disc that moves over grey; there is a sound. Its masks are known."""
    shown = bytearray()
    for index in range(RATE * SECONDS):
        picture = Image.new("RGB", SIZE, (90, 100, 110))
        x, y = at(index)
        ImageDraw.Draw(picture).ellipse((x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS), fill=(230, 20, 20))
        shown += picture.tobytes()
    ffmpeg("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "320x240", "-r", RATE, "-i", "-", "-f", "lavfi", "-i", f"sine=duration={SECONDS}", "-c:a", "libopus",
           "-c:v", "libx264", "-crf", "8", "-pix_fmt", "yuv444p", folder / "disc.mp4", stdin=bytes(shown))  # fmt: skip
    return folder / "disc.mp4"


@pytest.fixture
def long(disc, folder):
    """Too large for a small disk, and long enough to be interrupted."""
    (folder / "out").mkdir()
    ffmpeg("-stream_loop", 9, "-i", disc, "-c", "copy", folder / "long.mp4")
    return folder / "long.mp4"


def wanted(index, radius=RADIUS):
    columns, rows = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    x, y = at(index)
    return np.hypot(columns - x, rows - y) <= radius


def assert_cut_out(made):
    for number, frame in enumerate(made):
        mask = wanted(number)
        assert iou(frame[..., 3] >= 128, mask) >= 0.95, number
        assert np.abs(np.median(frame[mask], axis=0)[:3] - [230, 20, 20]).max() < 16, number
        assert frame[..., 3][~wanted(number, RADIUS + 4)].max() < 128, number


@pytest.mark.parametrize("ending, codec, decoder", [("webm", "vp9", VP9), ("mov", "prores", ())])
def test_a_cut_out_has_transparency(engine, disc, folder, ending, codec, decoder):
    install_red(engine, 256, reduced=1)
    (result,) = engine.json("segment", disc, "--target", "subject", "-o", folder / f"cut.{ending}", timeout=600)["results"]
    target = folder / f"cut.{ending}"
    assert result["frames"] == result["frames_found"] == RATE * SECONDS and (result["width"], result["height"]) == SIZE
    assert streams(target)[0]["codec_name"] == codec
    if ending == "webm":
        assert streams(target)[0]["tags"]["ALPHA_MODE"] == "1"
    made = frames(target, "rgba", decoder)
    assert len(made) == RATE * SECONDS
    assert_cut_out(made)
    assert frame_times(target) == pytest.approx(frame_times(disc), abs=2e-3)
    if ending == "webm":
        assert [data for _, data in packets(target, "a")] == [data for _, data in packets(disc, "a")] != []
    else:
        assert any("opus" in note for note in result["notes"])  # FFmpeg puts it into MP4 only


def test_a_mask(engine, disc, folder):
    install_red(engine, 256, reduced=1)
    engine.json("segment", disc, "--target", "subject", "-o", folder / "mask.mp4", "--as", "mask", timeout=600)
    for index, frame in enumerate(frames(folder / "mask.mp4")):
        assert iou(frame >= 128, wanted(index)) >= 0.95
    assert [stream["codec_type"] for stream in streams(folder / "mask.mp4")] == ["video"]


def test_outputs_that_do_not_fit(engine, disc, folder):
    install_red(engine, 256, reduced=1)
    Image.new("RGB", (64, 64)).save(folder / "photo.png")
    for source, target, flags in [(disc, "a.png", ()), (disc, "a.json", ()), (disc, "a.mp4", ()), (disc, "a.webm", ("--as", "mask")), (folder / "photo.png", "a.webm", ())]:
        outcome = engine.run("segment", source, "-o", folder / target, *flags)
        assert outcome.code == USAGE and "cannot hold" in outcome.message, (target, outcome.message)
    outcome = engine.run("segment", disc, "-o", folder / "out", "--each")
    assert outcome.code == FAILED and "no JSON, not each subject" in outcome.message


def plugin(engine, name, video, out, *flags, expect=DONE):
    (result,) = engine.json("plugins", "run", name, video, "-o", out, *flags, expect=expect, timeout=600)["results"]
    return result


def test_background_removal(engine, disc, folder):
    install_red(engine, 256, reduced=1)
    plugin(engine, "background-removal", disc, folder / "out")
    assert_cut_out(frames(folder / "out/disc-cutout.webm", "rgba", VP9))
    plugin(engine, "background-removal", disc, folder / "out", "--video-format", "mov")
    assert_cut_out(frames(folder / "out/disc-cutout.mov", "rgba"))
    plugin(engine, "background-removal", disc, folder / "out", "--set", "background=colour", "--set", "colour=#00ff00")
    made = frames(folder / "out/disc-cutout.mp4", "rgb24")
    for index, frame in enumerate(made):
        red = frame[..., 0] > frame[..., 1]
        assert iou(red, wanted(index)) >= 0.93, index
        assert np.median(frame[~wanted(index, RADIUS + 4)], axis=0)[1] > 200, index
    assert packets(folder / "out/disc-cutout.mp4", "a") == packets(disc, "a")


def test_subject_isolation_crops_to_where_it_goes(engine, disc, folder):
    install_red(engine, 256, reduced=1)
    result = plugin(engine, "subject-isolation", disc, folder / "out", "--set", "margin=0.05")
    where = json.loads((folder / "out/disc-where.json").read_text())
    (first, y), (last, _) = at(0), at(15)  # it is looked for each half second
    assert where["box"] == pytest.approx([first - RADIUS, y - RADIUS, last - first + 2 * RADIUS, 2 * RADIUS], abs=4)
    made = frames(folder / "out/disc-subject.webm", "rgba", VP9)
    x, y, width, height = where["cut"]
    assert made.shape[1:3] == (height, width) and result["files"][0]["width"] == width
    for index in range(0, 16, 5):
        assert iou(made[index][..., 3] >= 128, wanted(index)[y : y + height, x : x + width]) >= 0.95


def test_a_video_without_the_subject(engine, folder):
    install_red(engine, 256, reduced=1)
    ffmpeg("-f", "lavfi", "-i", "color=gray:size=128x128:rate=10:duration=1", "-pix_fmt", "yuv420p", folder / "grey.mp4")
    result = plugin(engine, "subject-isolation", folder / "grey.mp4", folder / "out", expect=FAILED)
    assert result["error"]["code"] == "not-found" and list((folder / "out").iterdir()) == []
    (result,) = engine.json("segment", folder / "grey.mp4", "-o", folder / "cut.webm", timeout=300)["results"]
    assert result["frames_found"] == 0 and any("none of the frames" in note for note in result["notes"])


def test_one_that_is_interrupted_leaves_nothing(engine, long, folder):
    install_red(engine, 256, reduced=1)
    process = engine.start("segment", long, "--target", "subject", "-o", folder / "out/cut.webm")
    wait_until(lambda: process.poll() is not None or any(path.stat().st_size > 0 for path in folder.glob("out/*")), "bytes to be written", seconds=300)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED and list((folder / "out").iterdir()) == []


@pytest.mark.parametrize("command", [("segment", "--target", "subject"), ("plugins", "run", "background-removal")])
def test_a_full_disk_ends_the_run(engine, mounts, long, folder, command):
    install_red(engine, 256, reduced=1)
    mounts.run("mount", "-t", "tmpfs", "-o", "size=8k", "none", folder / "out")
    engine.prefix = mounts.prefix
    outcome = engine.run(*command, long, "-o", folder / ("out/cut.webm" if command[0] == "segment" else "out"), timeout=300)
    assert outcome.code == FAILED and "No space left" in outcome.message
    assert subprocess.run([*mounts.prefix, "ls", folder / "out"], capture_output=True, check=True).stdout == b""
