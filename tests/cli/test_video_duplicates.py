"""`duplicates` of videos: copies made by FFmpeg are found, and what only looks alike is not."""

import os
import shutil
import subprocess

import pytest

from engine import DONE, Engine, fresh_folder, path_of

STREET = "/usr/share/doc/opencv-doc/examples/data/vtest.avi"
FILM = "/usr/share/doc/opencv-doc/examples/data/Megamind.avi"
CODED = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")


def ffmpeg(target, *arguments, sound=False):
    command = ["ffmpeg", "-v", "error", "-y", *map(str, arguments), *(() if sound else ("-an",)), str(target)]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def copies(folder):
    """street.mp4: 25 s of a fixed camera, in good quality; what people make of it; the same of a film with sound."""
    street = folder / "street.mp4"
    ffmpeg(street, "-i", STREET, "-t", "25", *CODED, "-crf", "12")
    ffmpeg(folder / "street_small.mp4", "-i", street, "-vf", "scale=320:-2", *CODED, "-crf", "30")
    ffmpeg(folder / "street_mpeg4.avi", "-i", street, "-vf", "scale=480:-2,eq=brightness=0.05", "-c:v", "mpeg4", "-q:v", "12")
    ffmpeg(folder / "street_vp9.webm", "-i", street, "-vf", "scale=320:-2", "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "150k")
    ffmpeg(folder / "street_rate.mp4", "-i", street, "-r", "7", *CODED, "-crf", "30")
    ffmpeg(folder / "street_whole.mp4", "-ss", "5", "-i", street, "-t", "12", *CODED, "-crf", "28")
    ffmpeg(folder / "street_broken.mp4", "-ss", "7.37", "-i", street, "-t", "11.3", "-vf", "scale=320:-2", *CODED, "-crf", "28")
    film = folder / "film.mp4"
    ffmpeg(film, "-i", FILM, "-vf", "scale=360:-2", *CODED, "-crf", "28", "-c:a", "aac", sound=True)
    ffmpeg(folder / "film_mute.mp4", "-i", FILM, *CODED, "-crf", "18")
    shutil.copyfile(film, folder / "film_copy.mp4")
    # As a phone stores it, to be turned by the player; and turned once and for all.
    ffmpeg(folder / "phone.mp4", "-i", film, "-c", "copy", "-metadata:s:v", "rotate=90")
    ffmpeg(folder / "phone_upright.mp4", "-i", folder / "phone.mp4", *CODED, "-crf", "32")


def traps(folder):
    """No two of these are of one recording, and none is of those above."""
    for number, start in enumerate((26, 40, 54, 66)):  # the same camera later
        ffmpeg(folder / f"trap_later{number}.mp4", "-ss", start, "-i", STREET, "-t", "12", *CODED)
    ffmpeg(folder / "trap_mirrored.mp4", "-i", folder / "street.mp4", "-vf", "hflip", *CODED)
    ffmpeg(folder / "trap_back.mp4", "-i", folder / "street.mp4", "-vf", "reverse", *CODED)
    ffmpeg(folder / "trap_fast.mp4", "-i", folder / "street.mp4", "-vf", "setpts=PTS/1.25", *CODED)
    for number, letters in enumerate((100, 300)):  # two title cards that fade in
        card = f"drawbox=x={letters}:y=150:w=200:h=40:color=white:t=fill,fade=in:0:25"
        ffmpeg(folder / f"trap_card{number}.mp4", "-f", "lavfi", "-i", f"color=navy:s=640x360:r=25:d=1{number}", "-vf", card, *CODED)
        ffmpeg(folder / f"trap_black{number}.mp4", "-f", "lavfi", "-i", f"color=black:s=640x360:r=25:d=1{number}", *CODED)
        caption = f"drawbox=x={letters}:y=400:w=200:h=50:color=white:t=fill"  # two captions on one film
        ffmpeg(folder / f"trap_caption{number}.mp4", "-i", FILM, "-vf", caption, *CODED)


@pytest.fixture(scope="module")
def library():
    with fresh_folder() as folder:
        videos = folder / "videos"
        videos.mkdir()
        copies(videos)
        traps(videos)
        engine = Engine(folder)
        engine.videos = videos
        engine.analyze(videos, "--only", "video")
        yield engine


def base(item):
    return os.path.basename(path_of(item)).decode()


def groups(engine, *arguments):
    """By the best one's name: the files of its group by name."""
    found = engine.json("duplicates", "--kind", "video", *arguments)["groups"]
    return {base(group["files"][0]): {base(file): file for file in group["files"]} for group in found}


def test_copies_are_found_and_nothing_else(library):
    found = groups(library)
    (one_of_film,) = {"film.mp4", "film_copy.mp4"} & set(found)
    assert {best: sorted(files) for best, files in found.items()} == {
        "street.mp4": ["street.mp4", "street_broken.mp4", "street_mpeg4.avi", "street_rate.mp4", "street_small.mp4", "street_vp9.webm", "street_whole.mp4"],
        one_of_film: [one_of_film, "film_mute.mp4"],
        "phone.mp4": ["phone.mp4", "phone_upright.mp4"],
    }


def test_a_part_says_where_it_is(library):
    files = groups(library)["street.mp4"]
    whole, broken = files["street_whole.mp4"], files["street_broken.mp4"]
    assert whole["part"]["from"] == pytest.approx(5, abs=0.15) and whole["part"]["to"] == pytest.approx(17, abs=0.15)
    assert broken["part"]["from"] == pytest.approx(7.37, abs=0.15) and broken["part"]["to"] == pytest.approx(18.67, abs=0.15)
    assert all("part" not in files[name] for name in ("street.mp4", "street_small.mp4", "street_rate.mp4"))
    text = library.run("duplicates", "--kind", "video").out.decode()
    assert "0:05–0:17 of the best" in text, text


def test_only_what_is_worse_in_everything_may_go(library):
    files = groups(library, "--verify")["street.mp4"]
    assert {name for name, file in files.items() if file["removable"]} == set(files) - {"street.mp4"}
    (film,) = [files for files in groups(library, "--verify").values() if "film_mute.mp4" in files]
    assert next(iter(film)) in ("film.mp4", "film_copy.mp4"), "the one with sound is the best"
    mute = film["film_mute.mp4"]
    assert mute["silent"] and "larger picture" in mute["has"] and not mute["removable"]
    text = library.run("duplicates", "--kind", "video").out.decode()
    assert "without sound; to be kept: larger picture" in text and "has sound" in text, text
    listed = library.run("duplicates", "--kind", "video", "--print0")
    assert listed.code == DONE
    assert {os.path.basename(path).decode() for path in listed.out.split(b"\0")[:-1]} == set(files) - {"street.mp4"} | {"phone_upright.mp4"}
    # As before, --print0 alone lists copies with the same bytes.
    exact = library.run("duplicates", "--print0").out.split(b"\0")[:-1]
    assert [os.path.basename(path) for path in exact] in ([b"film.mp4"], [b"film_copy.mp4"])


def test_key_frames_alone_are_not_compared(library, folder):
    engine = Engine(folder)
    assert engine.run("analyze-video", library.videos / "street.mp4", library.videos / "street_small.mp4", "--fast", "-o", folder / "all.ndjson").code == DONE
    assert groups(engine) == {}
