"""Videos as people have them: parts cut out and previews, against ffmpeg's reading of them; Live Photos; times of recording."""

import datetime
import functools
import json
import os
import random
import signal
import struct
import subprocess

import pytest
from PIL import Image, ImageChops, ImageStat

from engine import DONE, FAILED, INTERRUPTED, USAGE, Engine, continue_from, fresh_folder, path_of, wait_until

STREET = "/usr/share/doc/opencv-doc/examples/data/vtest.avi"
NOISE = "sine=frequency=440:sample_rate=48000"


def ffmpeg(*arguments):
    done = subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def probe(path, *what):
    shown = subprocess.run(["ffprobe", "-v", "error", "-of", "json", *what, path], capture_output=True, check=True)
    return json.loads(shown.stdout)


def shown_frames(path):
    """(presentation time, digest of the pixels as stored) of each frame that a player shows."""
    return frames_of_version(path, os.stat(path).st_mtime_ns)


@functools.cache
def frames_of_version(path, _):
    lines = ffmpeg("-noautorotate", "-i", path, "-map", "0:v:0", "-vsync", "passthrough", "-f", "framemd5", "-").decode().splitlines()
    digests = [line.split(",")[5].strip() for line in lines if line and not line.startswith("#")]
    times = [float(frame["pts_time"]) for frame in probe(path, "-select_streams", "v:0", "-show_entries", "frame=pts_time")["frames"]]
    assert len(times) == len(digests)
    return list(zip(times, digests))


def source(folder, name, *encoder, seconds=12, sound="aac", size="320x180"):
    picture = ("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25:duration={seconds}")
    with_sound = ("-f", "lavfi", "-i", f"{NOISE}:duration={seconds}", "-c:a", sound) if sound else ()
    ffmpeg(*picture, *with_sound, *encoder, folder / name)
    return folder / name


B_FRAMES = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "50", "-keyint_min", "50", "-sc_threshold", "0", "-bf", "3")


@pytest.fixture(scope="module")
def clips():
    with fresh_folder() as folder:
        source(folder, "plain.mp4", *B_FRAMES, "-metadata", "title=A title", "-metadata", "creation_time=2024-06-01T10:22:03Z")
        source(folder, "open.mkv", *B_FRAMES, "-x264-params", "open-gop=1:b-pyramid=normal", sound="libopus")
        source(folder, "stream.ts", *B_FRAMES)
        source(folder, "packed.avi", "-c:v", "mpeg4", "-q:v", "3", "-g", "25", sound="libmp3lame")
        source(folder, "vp9.webm", "-c:v", "libvpx-vp9", "-g", "50", "-b:v", "500k", "-deadline", "realtime", "-cpu-used", "8", seconds=6, sound="libopus")
        ffmpeg("-i", folder / "plain.mp4", "-c", "copy", "-metadata:s:v", "rotate=90", folder / "turned.mp4")
        hdr = "repeat-headers=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:log-level=none:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400"
        colours = ("-colorspace", "bt2020nc", "-color_primaries", "bt2020", "-color_trc", "smpte2084")
        source(folder, "hdr.mov", "-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-tag:v", "hvc1", "-preset", "ultrafast", *colours, "-x265-params", hdr, seconds=6)
        ffmpeg("-ss", "3.3", "-i", folder / "plain.mp4", "-c", "copy", folder / "cut_before.mp4")
        yield folder


@pytest.fixture(scope="module")
def scanned(clips):
    with fresh_folder() as folder:
        engine = Engine(folder)
        engine.analyze(clips, "--no-videos")
        yield engine


@pytest.fixture
def library(engine, scanned):
    return continue_from(engine, scanned)


def cut(engine, clip, at, target):
    document = engine.json("show", clip, "--at", at, "--clip", target)
    assert document["path"] == str(target) and document["bytes"] == os.path.getsize(target)
    return document


def check_frames(original, document, target, start=0.0):
    """The clip shows exactly the frames of the original between `from` and `to`, each at its time."""
    expected = [(time - document["from"], digest) for time, digest in shown_frames(original) if document["from"] - 5e-4 <= time < document["to"] - 5e-4]
    found = shown_frames(target)
    assert [digest for _, digest in found] == [digest for _, digest in expected]
    assert [time - start for time, _ in found] == pytest.approx([time for time, _ in expected], abs=2e-3)
    return found


@pytest.mark.parametrize("name", ["plain.mp4", "open.mkv", "stream.ts", "packed.avi", "hdr.mov", "turned.mp4", "cut_before.mp4"])
@pytest.mark.parametrize("at", ["0:01.01-0:04.55", "0:02-0:03", "0-1.5"])
def test_a_part_shows_the_same_frames(library, clips, folder, name, at):
    target = folder / "part.mp4"
    first = shown_frames(clips / name)[0][0]
    if name == "stream.ts":  # its times do not begin at zero
        at = "-".join(str(first + float(part.replace("0:0", ""))) for part in at.split("-"))
    document = cut(library, clips / name, at, target)
    frames = check_frames(clips / name, document, target)
    wanted = [float(part.replace("0:0", "")) for part in at.split("-")]
    assert wanted[0] - 0.041 < document["from"] <= max(wanted[0], first) + 1e-3
    assert document["to"] == pytest.approx(wanted[1], abs=0.021 if name == "packed.avi" else 1e-3), "the file's times are that exact"
    assert document["key_frame"] <= document["from"]
    assert len(frames) == pytest.approx((document["to"] - document["from"]) * 25, abs=1)
    assert float(probe(target, "-show_format")["format"]["duration"]) == pytest.approx(document["to"] - document["from"], abs=0.05)
    streams = probe(clips / name, "-show_streams")["streams"]
    assert [(stream["kind"], stream["codec"]) for stream in document["streams"]] == [(stream["codec_type"], stream["codec_name"]) for stream in streams]
    kept = probe(target, "-show_streams")["streams"]
    for key in ("codec_name", "width", "height", "sample_rate", "channels", "color_space", "color_transfer", "color_primaries", "color_range"):
        assert [stream.get(key) for stream in kept] == [stream.get(key) for stream in streams], key


def sound(path, *options):
    return ffmpeg(*options, "-i", path, "-map", "0:a:0", "-ac", "1", "-ar", "48000", "-f", "s16le", "-")


def test_sound_is_kept_in_step(library, folder):
    """A click each second: the clip has them at the same times."""
    clicks = folder / "clicks.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:duration=10", "-f", "lavfi", "-i",
           "aevalsrc='if(lt(mod(t,1),0.02),sin(2*PI*1000*t),0)':s=48000:d=10", *B_FRAMES, "-c:a", "aac", clicks)
    library.analyze(clicks, "--no-videos")
    document = cut(library, clicks, "0:03.4-0:07.4", folder / "out.mp4")

    def loud(path):
        samples = memoryview(sound(path)).cast("h")
        windows = [max(abs(x) for x in samples[i:i + 480]) for i in range(0, len(samples) - 480, 480)]
        return [i / 100 for i, level in enumerate(windows) if level > 8000 and (i == 0 or windows[i - 1] <= 8000)]

    expected = [time - document["from"] for time in loud(clicks) if document["from"] < time < document["to"]]
    assert len(expected) == 4
    assert loud(folder / "out.mp4") == pytest.approx(expected, abs=0.015)


def test_turns_titles_times_and_colours_are_kept(library, clips, folder):
    cut(library, clips / "turned.mp4", "0:03-0:05", folder / "turned.mp4")
    matrices = [[data for data in probe(path, "-show_streams")["streams"][0]["side_data_list"] if data["side_data_type"] == "Display Matrix"]
                for path in (clips / "turned.mp4", folder / "turned.mp4")]
    assert matrices[0] == matrices[1] and matrices[0][0]["rotation"] != 0
    cut(library, clips / "plain.mp4", "0:03-0:05", folder / "plain.mp4")
    tags = probe(folder / "plain.mp4", "-show_format")["format"]["tags"]
    assert tags["title"] == "A title"
    assert tags["creation_time"].startswith("2024-06-01T10:22:06"), "recorded three seconds later"
    cut(library, clips / "hdr.mov", "0-0:02", folder / "hdr.mp4")
    frames = [probe(path, "-select_streams", "v:0", "-show_frames")["frames"][0] for path in (clips / "hdr.mov", folder / "hdr.mp4")]
    assert frames[0]["color_transfer"] == frames[1]["color_transfer"] == "smpte2084"
    kinds = [sorted(data["side_data_type"] for data in frame["side_data_list"]) for frame in frames]
    assert kinds[0] == kinds[1] and any("Mastering" in kind for kind in kinds[0])
    assert probe(folder / "hdr.mp4", "-show_streams")["streams"][0]["codec_tag_string"] == "hvc1"


def test_the_tags_of_phones_are_kept(library, folder):
    clip = folder / "phone.mov"
    tags = {"com.apple.quicktime.creationdate": "2024-06-01T12:22:03+0200", "com.apple.quicktime.location.ISO6709": "+48.1372+011.5755+520.000/",
            "com.apple.quicktime.make": "Apple"}
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:duration=6", *B_FRAMES, "-movflags", "use_metadata_tags",
           *[part for key, value in tags.items() for part in ("-metadata", f"{key}={value}")], clip)
    library.analyze(clip, "--no-videos")
    cut(library, clip, "0:02.5-0:04", folder / "part.mp4")
    found = probe(folder / "part.mp4", "-show_format")["format"]["tags"]
    assert found["com.apple.quicktime.creationdate"] == "2024-06-01T12:22:05.480+02:00"
    assert found["com.apple.quicktime.location.ISO6709"] == tags["com.apple.quicktime.location.ISO6709"]
    assert found["com.apple.quicktime.make"] == "Apple"


@pytest.mark.parametrize(("name", "target"), [("open.mkv", "out.mkv"), ("vp9.webm", "out.webm"), ("plain.mp4", "out.mkv"), ("plain.mp4", "out.mov")])
def test_other_containers(library, clips, folder, name, target):
    document = cut(library, clips / name, "0:03-0:04.5", folder / target)
    starts = [stream.get("start_time", "0") for stream in probe(folder / target, "-select_streams", "v:0", "-show_streams")["streams"]]
    check_frames(clips / name, document, folder / target, start=float(starts[0]))
    if target != "out.mov":
        assert document["from"] == document["key_frame"] == pytest.approx(2, abs=0.01), "players begin at the key frame"
        assert 4.5 <= document["to"] + 1e-3 < 4.8
    assert len(document["streams"]) == 2


def test_the_same_part_is_the_same_file(library, clips, folder):
    for name in ("a.mp4", "b.mp4", "a.mkv", "b.mkv"):
        cut(library, clips / "plain.mp4", "0:01-0:02", folder / name)
    for extension in ("mp4", "mkv"):
        assert (folder / f"a.{extension}").read_bytes() == (folder / f"b.{extension}").read_bytes()


def test_past_the_end_it_ends_there(library, clips, folder):
    document = cut(library, clips / "plain.mp4", "0:10-1:00", folder / "end.mp4")
    assert document["to"] == pytest.approx(12, abs=0.05)
    assert len(check_frames(clips / "plain.mp4", document, folder / "end.mp4")) == 50


def test_what_cannot_be_cut_is_said(library, clips, folder):
    target = folder / "out.mp4"

    def refused(code, clip, *arguments):
        outcome = library.run("show", clip, *arguments)
        assert outcome.code == code, outcome.message
        assert [name for name in os.listdir(folder) if name.startswith("out.")] == []
        return outcome.message

    clip = clips / "plain.mp4"
    assert "ends at" in refused(FAILED, clip, "--at", "0:12.5-0:20", "--clip", target)
    for at in ("0:05", "5-5", "7-3", "a-b", "-3", "1-2-3"):
        assert "--at 0:12-0:20" in refused(USAGE, clip, "--at", at, "--clip", target)
    assert "--at 0:12-0:20" in refused(USAGE, clip, "--clip", target)
    assert ".mp4, .mov, .mkv, .webm" in refused(USAGE, clip, "--at", "1-2", "--clip", folder / "out.gif")
    assert ".mp4 or .mov or .mkv" in refused(FAILED, clip, "--at", "1-2", "--clip", folder / "out.webm")
    assert "turned" in refused(FAILED, clips / "turned.mp4", "--at", "1-2", "--clip", folder / "out.mkv")
    assert "never written to" in refused(USAGE, clip, "--at", "1-2", "--clip", clip)
    link = folder / "link.mp4"
    link.symlink_to(clip)
    assert "never written to" in refused(USAGE, clip, "--at", "1-2", "--clip", link)
    before = clip.read_bytes()
    missing = library.run("show", clip, "--at", "1-2", "--clip", folder / "no_such_folder/out.mp4")
    assert missing.code == FAILED and "no_such_folder" in missing.message
    assert clip.read_bytes() == before
    assert "--at 0:12-0:20" in refused(USAGE, clip, "--at", "0:01-999999999999999", "--clip", target)
    # A file that is there may be a video of one's own that was never analyzed.
    for name, flags in (("own.mp4", ("--at", "1-2", "--clip")), ("own.webp", ("--preview",))):
        own = folder / name
        own.write_bytes(b"mine")
        assert "exists" in refused(USAGE, clip, *flags, own)
        assert own.read_bytes() == b"mine"


def test_a_clip_that_is_interrupted_leaves_nothing(library, folder):
    """Of a file that is large enough to be caught in the middle."""
    (folder / "raw").mkdir()
    raw = folder / "raw/raw.mkv"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=1280x720:r=25:d=10", "-c:v", "rawvideo", "-pix_fmt", "yuv420p", raw)
    library.analyze(raw.parent, "--no-videos")
    process = library.start("show", raw, "--at", "0-10", "--clip", folder / "part.mkv")
    wait_until(lambda: process.poll() is not None or any(path.stat().st_size > 0 for path in folder.glob("part.mkv*")), "bytes to be written")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    if process.returncode == DONE:
        pytest.skip("it was done before the signal came")
    assert process.returncode == INTERRUPTED and list(folder.glob("part.mkv*")) == []


def test_of_a_damaged_file_what_is_there_is_cut(library, clips, folder):
    whole = (clips / "open.mkv").read_bytes()
    damaged = folder / "library/damaged.mkv"
    damaged.parent.mkdir()
    damaged.write_bytes(whole[: len(whole) * 2 // 3])
    library.analyze(damaged.parent, "--no-videos")
    document = cut(library, damaged, "0:03-0:12", folder / "part.mp4")
    assert document["to"] < 9
    check_frames(damaged, document, folder / "part.mp4")


def frames_of_animation(path):
    with Image.open(path) as picture:
        shown = []
        for index in range(picture.n_frames):
            picture.seek(index)
            picture.load()
            shown.append((picture.info["duration"], picture.size, picture.convert("RGB").tobytes()))
        return shown, picture.info["loop"]


def test_a_preview_is_an_animation(library, clips, folder):
    for name, size, frames in (("plain.mp4", (320, 180), 24), ("turned.mp4", (180, 320), 24)):
        (folder / "preview.webp").unlink(missing_ok=True)
        document = library.json("show", clips / name, "--preview", folder / "preview.webp")
        assert document["frames"] == frames and document["bytes"] == os.path.getsize(folder / "preview.webp")
        shown, loop = frames_of_animation(folder / "preview.webp")
        assert len(shown) == frames and loop == 0
        assert {(duration, dimensions) for duration, dimensions, _ in shown} == {(document["frame_milliseconds"], size)} == {(250, size)}
        assert len({pixels for _, _, pixels in shown}) == frames, "evenly spaced frames of a moving picture differ"
    library.json("show", clips / "turned.mp4", "--preview", folder / "again.webp")
    assert (folder / "again.webp").read_bytes() == (folder / "preview.webp").read_bytes()
    # What it shows is what ffmpeg sees at these times.
    library.json("show", clips / "plain.mp4", "--preview", folder / "plain.webp")
    shown, _ = frames_of_animation(folder / "plain.webp")
    for index in (0, 12, 23):
        at = (index + 0.5) * 12 / 24
        raw = ffmpeg("-i", clips / "plain.mp4", "-vf", f"select=lte(t\\,{at}),reverse,select=eq(n\\,0)", "-frames:v", "1", "-pix_fmt", "rgb24", "-f", "rawvideo", "-")
        expected = Image.frombytes("RGB", (320, 180), raw)
        differences = [sum(ImageStat.Stat(ImageChops.difference(expected, Image.frombytes("RGB", size, pixels))).mean) / 3 for _, size, pixels in shown]
        assert min(differences) == differences[index] < 10, (index, differences)


def test_a_preview_of_many_scenes_has_the_best_frame_of_each(engine, folder):
    clip = folder / "scenes.mp4"
    chance = random.Random(3)
    pictures = [Image.frombytes("RGB", (8, 4), chance.randbytes(96)).resize((320, 160), Image.Resampling.NEAREST) for _ in range(9)]
    inputs = []
    for number, picture in enumerate(pictures):
        picture.save(folder / f"{number}.png")
        inputs += ["-loop", "1", "-framerate", "25", "-t", "2", "-i", folder / f"{number}.png"]
    ffmpeg(*inputs, "-filter_complex", f"concat=n={len(pictures)}", "-c:v", "libx264", "-pix_fmt", "yuv420p", clip)
    assert engine.run("analyze-video", clip).code == DONE
    scenes = engine.json("show", clip)["scenes"]
    assert len(scenes) == len(pictures)
    assert engine.json("show", clip, "--preview", folder / "out.webp")["frames"] == len(pictures)
    for (_, size, pixels), picture in zip(frames_of_animation(folder / "out.webp")[0], pictures):
        found = Image.frombytes("RGB", size, pixels)
        differences = [sum(ImageStat.Stat(ImageChops.difference(found, other)).mean) / 3 for other in pictures]
        assert min(differences) == differences[pictures.index(picture)] < 15


def test_previews_that_cannot_be_are_said(library, clips, folder):
    for arguments in (["--preview", folder / "x.gif"], ["--preview", clips / "plain.mp4"], ["--preview", folder / "x.webp", "--clip", folder / "x.mp4", "--at", "1-2"]):
        refused = library.run("show", clips / "plain.mp4", *arguments)
        assert refused.code == USAGE, refused.message
    assert not (folder / "x.webp").exists()


# Live Photos

IDENTIFIER = "0F1E2D3C-1234-4ABC-9DEF-0123456789AB"


def apple_note(identifier):
    """Apple's maker note: its name, a version, the byte order and a directory with tag 17; offsets from its beginning."""
    text = identifier.encode() + b"\0"
    directory = struct.pack(">HHHII", 1, 17, 2, len(text), 14 + 2 + 12 + 4) + struct.pack(">I", 0)
    return b"Apple iOS\0" + struct.pack(">H", 1) + b"MM" + directory + text


def still(path, taken, identifier=None, zone=None, colour="red"):
    exif = Image.Exif()
    inner = {0x9003: taken}
    if zone:
        inner[0x9011] = zone
    if identifier:
        inner[0x927C] = apple_note(identifier)
    exif[0x8769] = inner
    Image.new("RGB", (64, 48), colour).save(path, exif=exif)


def live_clip(path, seconds=2.5, shade="testsrc2", **tags):
    named = [part for key, value in tags.items() for part in ("-metadata", f"{key.replace('__', '.')}={value}")]
    ffmpeg("-f", "lavfi", "-i", f"{shade}=size=64x48:rate=10:duration={seconds}", "-c:v", "libx264", "-pix_fmt", "yuv420p",
           "-movflags", "use_metadata_tags", *named, path)


APPLE_ID = "com__apple__quicktime__content__identifier"
APPLE_DATE = "com__apple__quicktime__creationdate"


def names(engine, query):
    return sorted(os.path.basename(os.fsdecode(path_of(result))) for result in engine.json("search", query, "--limit", "100")["results"])


def test_the_clip_of_a_live_photo_is_no_result_of_its_own(engine, folder):
    album = folder / "album"
    album.mkdir()
    still(album / "IMG_1.JPG", "2024:06:01 12:22:03", IDENTIFIER)
    live_clip(album / "IMG_1.MOV", **{APPLE_ID: IDENTIFIER})
    engine.analyze(album, "--no-videos")
    assert names(engine, "type:video") == [] and names(engine, "type:photo") == ["IMG_1.JPG"]
    assert engine.json("show", album / "IMG_1.JPG")["live_photo"] == {"clip": {"path": str(album / "IMG_1.MOV")}}
    assert engine.json("show", album / "IMG_1.MOV")["live_photo"] == {"still": {"path": str(album / "IMG_1.JPG")}}
    assert engine.json("catalog", "check")["problems"] == []
    assert engine.rows("SELECT count(*) FROM assets WHERE shown = 1") == [(1,)]
    # The second run finds the same and changes nothing.
    before = engine.rows("SELECT id, data FROM records WHERE stage = 'live_photo' ORDER BY id")
    engine.analyze(album, "--no-videos")
    assert engine.rows("SELECT id, data FROM records WHERE stage = 'live_photo' ORDER BY id") == before
    # The still goes, and comes back.
    os.rename(album / "IMG_1.JPG", folder / "kept.jpg")
    engine.analyze(album, "--no-videos")
    assert names(engine, "type:video") == ["IMG_1.MOV"]
    assert "live_photo" not in engine.json("show", album / "IMG_1.MOV")
    assert engine.json("catalog", "check")["problems"] == []
    os.rename(folder / "kept.jpg", album / "IMG_1.JPG")
    engine.analyze(album, "--no-videos")
    assert names(engine, "type:video") == []
    # Its identifier makes a copy of the clip one of the pair, too.
    (folder / "copy").mkdir()
    (folder / "copy/holiday.mov").write_bytes((album / "IMG_1.MOV").read_bytes())
    engine.analyze(folder / "copy", "--no-videos")
    assert names(engine, "type:video") == []


def test_a_copy_that_stands_alone_is_a_video(engine, folder):
    for name in ("album", "copy"):
        (folder / name).mkdir()
    still(folder / "album/one.jpg", "2024:06:01 12:00:00")
    live_clip(folder / "album/one.mov", **{APPLE_DATE: "2024-06-01T12:00:01+0200"})
    engine.analyze(folder / "album")
    assert names(engine, "type:video") == []
    (folder / "copy/holiday.mov").write_bytes((folder / "album/one.mov").read_bytes())
    engine.analyze(folder / "copy")
    assert len(names(engine, "type:video")) == 1
    assert engine.rows("SELECT count(*) FROM assets") == [(2,)], "both files are one asset"
    assert engine.json("catalog", "check")["problems"] == []


@pytest.mark.parametrize(("photo", "clip", "paired"), [
    # Identifiers decide, whatever the names and times.
    (("a/one.jpg", "2024:06:01 12:00:00", IDENTIFIER, None), ("b/two.mov", 2.5, {APPLE_ID: IDENTIFIER}), True),
    (("a/one.jpg", "2024:06:01 12:00:00", IDENTIFIER, None), ("a/one.mov", 2.5, {APPLE_ID: IDENTIFIER.replace("0F", "1F"), APPLE_DATE: "2024-06-01T12:00:00+0200"}), False),
    # Without them name, length and time.
    (("a/one.jpg", "2024:06:01 12:00:00", None, "+02:00"), ("a/one.mov", 2.5, {APPLE_DATE: "2024-06-01T12:00:01+0200"}), True),
    (("a/one.jpg", "2024:06:01 12:00:00", None, "+02:00"), ("a/one.mov", 2.5, {"creation_time": "2024-06-01T10:00:01Z"}), True),
    (("a/one.jpg", "2024:06:01 12:00:00", None, None), ("a/one.mov", 2.5, {"creation_time": "2024-06-01T10:00:01Z"}), True),
    (("a/one.jpg", "2024:06:01 12:00:00", None, "+02:00"), ("a/one.mov", 2.5, {APPLE_DATE: "2024-06-01T12:00:01+0100"}), False),
    (("a/one.jpg", "2024:06:01 12:00:00", None, None), ("a/one.mov", 2.5, {"creation_time": "2024-06-01T10:00:05Z"}), False),
    (("a/one.jpg", "2024:06:01 12:00:00", None, None), ("a/one.mov", 6, {APPLE_DATE: "2024-06-01T12:00:01+0200"}), False),
    (("a/one.jpg", "2024:06:01 12:00:00", None, None), ("a/two.mov", 2.5, {APPLE_DATE: "2024-06-01T12:00:01+0200"}), False),
    (("a/one.jpg", "2024:06:01 12:00:00", None, None), ("a/one.mov", 2.5, {}), False),
])
def test_what_makes_a_pair(engine, folder, photo, clip, paired):
    for name in ("a", "b"):
        (folder / name).mkdir()
    name, taken, identifier, zone = photo
    still(folder / name, taken, identifier, zone)
    live_clip(folder / clip[0], clip[1], **clip[2])
    engine.analyze(folder / "a", folder / "b", "--no-videos")
    assert names(engine, "type:video") == ([] if paired else [os.path.basename(clip[0])])


# Times


def test_moments_have_the_time_of_the_clock(engine, folder):
    source(folder, "film.mp4", *B_FRAMES, "-metadata", "creation_time=2024-06-01T23:59:58Z", "-metadata", "location=+48.1372+011.5755/", "-movflags", "use_metadata_tags", seconds=4)
    clip = folder / "film.mp4"
    assert engine.run("analyze-video", clip).code == DONE
    document = engine.json("show", clip)
    stated = probe(clip, "-show_format")["format"]["tags"]["creation_time"]
    zero = datetime.datetime.fromisoformat(stated.replace("Z", "+00:00"))
    assert document["taken"] == "2024-06-01T23:59:58Z"
    assert len(document["frames"]) == 4
    for frame in document["frames"]:
        time = datetime.datetime.fromisoformat(frame["taken"].replace("Z", "+00:00"))
        assert abs((time - zero).total_seconds() - frame["at"]) < 2e-3
    assert document["frames"][3]["taken"].startswith("2024-06-02T00:00:01"), "past midnight"
    assert document["moments"][0]["taken"] == "2024-06-01T23:59:58Z"
    assert document["moments"][0]["gps"] == document["gps"] and document["moments"][0].get("place") == document.get("place")


def test_moments_that_are_found_have_it_too(real, folder):
    clip = folder / "street.mp4"
    ffmpeg("-ss", "5", "-t", "3", "-i", STREET, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-metadata", "creation_time=2024-06-01T10:22:03Z", clip)
    assert real.run("analyze-video", clip).code == DONE
    (found,) = real.json("search", "object:person type:video")["results"]
    for moment in [found["moment"], *found["moments"]]:
        time = datetime.datetime.fromisoformat(moment["taken"].replace("Z", "+00:00"))
        assert (time - datetime.datetime(2024, 6, 1, 10, 22, 3, tzinfo=datetime.timezone.utc)).total_seconds() == pytest.approx(moment["at"], abs=2e-3)


@pytest.mark.parametrize(("tags", "brand", "taken"), [
    ({APPLE_DATE: "2024-06-01T12:22:03+0200", "creation_time": "2024-06-01T10:22:03Z"}, b"isom", "2024-06-01T12:22:03+02:00"),
    ({"creation_time": "2024-06-01T10:22:03Z"}, b"isom", "2024-06-01T10:22:03Z"),
    ({"creation_time": "2024-06-01T10:22:03Z"}, b"CAEP", "2024-06-01T10:22:03"),
    ({"creation_time": "1970-01-01T00:00:00Z"}, b"isom", None),
])
def test_the_zone_is_that_of_the_file(engine, folder, tags, brand, taken):
    live_clip(folder / "film.mp4", **tags)
    whole = (folder / "film.mp4").read_bytes()
    assert whole[4:8] == b"ftyp"
    (folder / "film.mp4").write_bytes(whole[:8] + brand + whole[12:])
    engine.analyze(folder / "film.mp4", "--no-videos")
    assert engine.json("show", folder / "film.mp4").get("taken") == taken


def test_gopros_have_the_time_of_their_clock(engine, folder):
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=1", "-c:v", "libx264", "-metadata", "creation_time=2024-06-01T10:22:03Z",
           "-metadata:s:v", "handler_name=GoPro AVC  ", folder / "film.mp4")
    engine.analyze(folder / "film.mp4", "--no-videos")
    assert engine.json("show", folder / "film.mp4")["taken"] == "2024-06-01T10:22:03"
