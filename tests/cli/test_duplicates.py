"""`duplicates`, `similar` and `analyze --trace` on real photos, changed by Pillow and exiv2."""

import json
import os
import shutil
import subprocess

import pytest
from PIL import Image, ImageOps

from engine import DONE, FAILED, SAMPLES, USAGE, Engine, fresh_folder, path_of

PHOTOS = SAMPLES / "photos"
STEPS = {"scan", "headers", "hash", "decode", "thumbnail", "transfer", "gpu decode", "look", "models", "write"}


def variants(folder):
    """One photo and what people make of it, among others that look like nothing of the kind."""
    photo = PHOTOS / "fruits.jpg"
    shutil.copy2(photo, folder / "original.jpg")
    shutil.copyfile(photo, folder / "copy.jpg")
    shutil.copyfile(photo, folder / "titled.jpg")
    subprocess.run(["exiv2", "-M", "set Exif.Image.ImageDescription Ascii Still life", folder / "titled.jpg"], check=True)
    os.utime(folder / "original.jpg", (1, 1))  # the oldest
    picture = Image.open(photo).convert("RGB")
    picture.save(folder / "q40.jpg", quality=40)
    picture.resize((picture.width // 4, picture.height // 4), Image.Resampling.LANCZOS).save(folder / "reduced.jpg")
    picture.rotate(90, expand=True).save(folder / "rotated.jpg", quality=90)
    ImageOps.mirror(picture).save(folder / "mirrored.png")
    for name in ("baboon.jpg", "building.jpg", "messi5.jpg"):
        shutil.copyfile(PHOTOS / name, folder / name)


def burst(folder):
    """Three frames of one scene, a second apart by one camera, and the same a day later by themselves."""
    times = {"left01.jpg": "2020:05:01 10:00:00", "left04.jpg": "2020:05:01 10:00:01", "left05.jpg": "2020:05:01 10:00:02",
             "left03.jpg": "2020:05:02 10:00:00"}
    for name, time in times.items():
        shutil.copyfile(PHOTOS / name, folder / name)
        subprocess.run(["exiv2", "-M", f"set Exif.Photo.DateTimeOriginal Ascii {time}", "-M", "set Exif.Image.Make Ascii Nikon",
                        "-M", "set Exif.Image.Model Ascii D90", folder / name], check=True)


@pytest.fixture(scope="module")
def library():
    with fresh_folder() as folder:
        photos = folder / "photos"
        for name in ("variants", "burst"):
            (photos / name).mkdir(parents=True)
        variants(photos / "variants")
        burst(photos / "burst")
        engine = Engine(folder)
        engine.photos = photos
        engine.analyze(photos)
        yield engine


def base(item):
    return os.path.basename(path_of(item)).decode()


def groups(engine, kind, *arguments):
    """Names in each group of the kind, best first."""
    document = engine.json("duplicates", "--kind", kind, *arguments)
    assert all(group["kind"] == kind for group in document["groups"])
    return [[base(file) for file in group["files"]] for group in document["groups"]]


def zeroed(outcome):
    assert outcome.code == DONE, outcome.message
    assert outcome.out == b"" or outcome.out.endswith(b"\0")
    return sorted(os.path.basename(path).decode() for path in outcome.out.split(b"\0")[:-1])


def test_exact_is_the_same_picture_whatever_its_metadata(library):
    found = library.json("duplicates", "--kind", "exact")["groups"]
    assert [list(map(base, group["files"])) for group in found] == [["original.jpg", "copy.jpg", "titled.jpg"]]
    assert found[0]["best"].endswith("/original.jpg") and found[0]["why"] == ["older"]
    for file in found[0]["files"]:
        facts = Image.open(path_of(file))
        assert (file["width"], file["height"], file["bytes"]) == (*facts.size, os.path.getsize(path_of(file)))
        assert "same_bytes" not in file


def test_verify_compares_bytes(library):
    (group,) = library.json("duplicates", "--kind", "exact", "--verify")["groups"]
    assert {base(file): file["same_bytes"] for file in group["files"]} == \
        {"original.jpg": True, "copy.jpg": True, "titled.jpg": False}
    text = library.run("duplicates", "--kind", "exact", "--verify").out.decode()
    assert text.count("same bytes") == 2 and text.count("other bytes") == 1


def test_near_is_what_looks_the_same(library):
    (names,) = groups(library, "near")
    pictures = {"original.jpg", "copy.jpg", "titled.jpg"}
    assert {"q40.jpg", "reduced.jpg"} < set(names)
    assert len(pictures & set(names)) == 1, "one file speaks for its picture"
    assert set(names) <= pictures | {"q40.jpg", "reduced.jpg"}, "turned pictures are for `similar`"
    assert names[0] != "reduced.jpg"


def test_a_smaller_distance_finds_less(library):
    narrow, wide = (sum(map(len, groups(library, "near", "--distance", d))) for d in ("0", "16"))
    assert narrow <= sum(map(len, groups(library, "near"))) <= wide


def test_a_burst_is_one_camera_in_quick_succession(library):
    (names,) = groups(library, "burst")
    assert sorted(names) == ["left01.jpg", "left04.jpg", "left05.jpg"]


def test_kinds_come_in_order_and_add_up(library):
    kinds = [group["kind"] for group in library.json("duplicates")["groups"]]
    assert kinds == ["exact", "near", "burst"]
    assert len(library.json("duplicates", "--kind", "exact", "--kind", "burst")["groups"]) == 2


def test_counts_agree_with_their_nouns(library):
    last = {kind: library.run("duplicates", "--kind", kind).out.decode().splitlines()[-1] for kind in ("exact", "burst")}
    assert last["exact"].startswith("1 group; 2 files (") and last["burst"].startswith("1 group; 2 files (")


def test_print0_gives_what_has_a_copy(library):
    assert zeroed(library.run("duplicates", "--kind", "exact", "--print0")) == ["copy.jpg"]  # titled.jpg has other bytes
    assert zeroed(library.run("duplicates", "--kind", "burst", "--print0")) == [], "its shots are different pictures"
    assert zeroed(library.run("duplicates", "--kind", "near", "--print0")) == ["q40.jpg", "reduced.jpg"], \
        "they lack GPS, time and camera"


def shot(picture, path, time=None, gps=False, **save):
    exif = Image.Exif()
    if time:
        exif[0x10F], exif[0x110] = "Nikon", "D90"
        exif.get_ifd(0x8769)[0x9003] = time
    if gps:
        exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 0.0), 3: "E", 4: (11.0, 30.0, 0.0)})
    picture.save(path, exif=exif, **{"quality": 90, **save})


def near(engine, photos):
    """The one near group: the best, what each other one has, and what may go."""
    engine.analyze(photos)
    (group,) = engine.json("duplicates", "--kind", "near", "--verify")["groups"]
    gone = zeroed(engine.run("duplicates", "--kind", "near", "--print0"))
    assert sorted(base(file) for file in group["files"] if file["removable"]) == gone
    return base(group["files"][0]), {base(file): file["has"] for file in group["files"][1:]}, gone


def test_an_enlarged_copy_replaces_nothing(engine, photos):
    picture = Image.open(SAMPLES / "12mp/DSC00001.jpg").convert("RGB").resize((1000, 750), Image.Resampling.LANCZOS)
    picture.save(photos / "original.jpg", quality=92)
    picture.resize((4000, 3000), Image.Resampling.BICUBIC).save(photos / "enlarged.jpg", quality=92)
    assert near(engine, photos) == ("original.jpg", {"enlarged.jpg": ["more bytes"]}, [])


def test_what_only_a_worse_copy_knows_keeps_it(engine, photos):
    picture = Image.open(SAMPLES / "12mp/DSC00001.jpg").convert("RGB").resize((2000, 1500), Image.Resampling.LANCZOS)
    small = picture.resize((500, 375), Image.Resampling.LANCZOS)
    shot(picture, photos / "large.jpg", "2020:05:01 10:00:00")
    shot(small, photos / "small.jpg")
    shot(small, photos / "small with gps.jpg", gps=True, quality=88)
    shot(small, photos / "small at another time.jpg", "2021:05:01 10:00:00", quality=86)
    best, has, gone = near(engine, photos)
    assert best == "large.jpg" and gone == ["small.jpg"]
    assert has == {"small.jpg": [], "small with gps.jpg": ["has GPS"], "small at another time.jpg": ["another time"]}


def test_an_exact_group_loses_neither_gps_nor_time(engine, photos):
    shot(Image.open(PHOTOS / "fruits.jpg").convert("RGB"), photos / "whole.jpg", "2019:04:22 13:15:41", gps=True)
    for name in ("stripped.jpg", "stripped too.jpg"):
        shutil.copyfile(photos / "whole.jpg", photos / name)
        subprocess.run(["exiv2", "rm", photos / name], check=True)
        os.utime(photos / name, (1, 1))
    engine.analyze(photos)
    (group,) = engine.json("duplicates", "--kind", "exact")["groups"]
    assert base(group["files"][0]) == "whole.jpg" and {"has its time", "has GPS"} <= set(group["why"])
    assert zeroed(engine.run("duplicates", "--kind", "exact", "--print0")) == ["stripped.jpg"]


def test_a_png_of_a_jpeg_is_no_better(engine, photos):
    picture = Image.open(PHOTOS / "fruits.jpg").convert("RGB")
    shot(picture, photos / "a photo.jpg", "2020:05:01 10:00:00")
    Image.open(photos / "a photo.jpg").save(photos / "a.png", exif=b"")
    best, has, gone = near(engine, photos)
    assert (best, gone) == ("a photo.jpg", []) and "lossless" in has["a.png"]


def test_print0_of_verified_groups_gives_only_equal_bytes(library):
    assert zeroed(library.run("duplicates", "--kind", "exact", "--verify", "--print0")) == ["copy.jpg"]


def test_nothing_is_changed(library):
    def state():
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in library.photos.rglob("*")}
    before = state()
    library.run("duplicates", "--verify")
    assert state() == before


def test_names_that_are_not_text(engine, photos):
    name = os.fsencode(photos) + b"/\xff\n.jpg"
    shutil.copyfile(PHOTOS / "fruits.jpg", name)
    shutil.copyfile(PHOTOS / "fruits.jpg", photos / "plain.jpg")
    engine.analyze(photos)
    (group,) = engine.json("duplicates")["groups"]
    assert sorted(map(path_of, group["files"])) == sorted([name, os.fsencode(photos / "plain.jpg")])
    (other,) = engine.run("duplicates", "--print0").out.split(b"\0")[:-1]
    assert other in map(path_of, group["files"])
    assert b"\xff" not in engine.run("duplicates").out


def test_what_is_cut_off_replaces_nothing(engine, photos):
    whole = (PHOTOS / "fruits.jpg").read_bytes()
    (photos / "whole.jpg").write_bytes(whole)
    (photos / "cut.jpg").write_bytes(whole[:len(whole) * 97 // 100])
    engine.analyze(photos)
    assert zeroed(engine.run("duplicates", "--kind", "near", "--kind", "burst", "--print0")) in ([], ["cut.jpg"])
    for group in engine.json("duplicates", "--verify")["groups"]:
        assert group["best"].endswith("/whole.jpg")


def test_an_animation_is_no_copy_of_its_first_frame(engine, photos):
    frames = [Image.open(PHOTOS / "fruits.jpg").convert("P"), Image.open(PHOTOS / "baboon.jpg").convert("P")]
    frames[0].save(photos / "moving.gif", save_all=True, append_images=frames[1:])
    frames[0].save(photos / "moving.png", save_all=True, append_images=[ImageOps.flip(frames[1])])
    frames[0].save(photos / "still.png")
    engine.analyze(photos)
    frames[0].save(photos / "moving otherwise.gif", save_all=True, append_images=[ImageOps.mirror(frames[1])])
    engine.analyze(photos)
    assert engine.json("duplicates")["groups"] == []


def test_a_motion_photo_is_no_copy_of_a_better_still(engine, photos):
    photo = Image.open(PHOTOS / "fruits.jpg").convert("RGB")
    photo.save(photos / "still.jpg", quality=98)
    packet = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        b'xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" GCamera:MotionPhoto="1" GCamera:MotionPhotoVersion="1"/></rdf:RDF></x:xmpmeta>'
    )
    photo.resize((256, 240)).save(photos / "motion.jpg", quality=60, xmp=packet)
    engine.analyze(photos)
    assert engine.json("show", photos / "motion.jpg")["motion_photo"] is True and "motion_photo" not in engine.json("show", photos / "still.jpg")
    (group,) = engine.json("duplicates", "--verify")["groups"]
    (motion,) = (file for file in group["files"] if base(file) == "motion.jpg")
    assert "removable" not in motion or not motion["removable"]
    assert engine.run("duplicates", "--print0").out == b""


def test_other_colours_are_another_picture(engine, photos):
    photo = Image.open(PHOTOS / "fruits.jpg").convert("RGB")
    hue, saturation, value = photo.convert("HSV").split()
    photo.save(photos / "photo.jpg", quality=92)
    photo.save(photos / "q40.jpg", quality=40)
    photo.convert("L").save(photos / "grey.jpg")
    Image.merge("HSV", (hue.point(lambda h: (h + 40) % 256), saturation, value)).convert("RGB").save(photos / "hue.jpg")
    ImageOps.colorize(photo.convert("L"), "#1a0d00", "#fff0c8").save(photos / "sepia.jpg")
    for name, black, white in (("blue", "navy", "white"), ("red", "maroon", "yellow"), ("green", "darkgreen", "white")):
        ImageOps.colorize(Image.linear_gradient("L").resize((640, 480)), black, white).save(photos / f"sky {name}.png")
    engine.analyze(photos)
    (names,) = groups(engine, "near")
    assert set(names) == {"photo.jpg", "q40.jpg"}


def test_what_was_only_touched_has_no_other_file(engine, photos):
    shutil.copyfile(PHOTOS / "fruits.jpg", photos / "a.jpg")
    assert engine.analyze(photos)["report"]["duplicates"] == 0
    os.utime(photos / "a.jpg", (1, 1))
    assert engine.analyze(photos)["report"]["duplicates"] == 0
    shutil.copyfile(photos / "a.jpg", photos / "b.jpg")
    assert engine.analyze(photos)["report"]["duplicates"] == 1


def test_one_folder_by_two_names(engine, photos):
    shutil.copyfile(PHOTOS / "fruits.jpg", photos / "a.jpg")
    again = photos.parent / "again"
    again.symlink_to(photos)
    for name in (photos, again):
        engine.analyze(name)
    assert len(engine.rows("SELECT path FROM files")) == 2
    assert engine.json("duplicates")["groups"] == []
    for kind in ("exact", "near", "burst"):
        assert zeroed(engine.run("duplicates", "--kind", kind, "--print0")) == []


def test_a_file_that_goes_away(engine, photos):
    for name in ("a.jpg", "b.jpg"):
        shutil.copyfile(PHOTOS / "fruits.jpg", photos / name)
    engine.analyze(photos)
    os.utime(photos / "a.jpg", (1, 1))
    (photos / "b.jpg").unlink()
    (group,) = engine.json("duplicates", "--verify")["groups"]
    assert "same_bytes" not in next(file for file in group["files"] if base(file) == "b.jpg")
    assert zeroed(engine.run("duplicates", "--verify", "--print0")) == []
    engine.analyze(photos)
    assert engine.json("duplicates")["groups"] == []


def similar(engine, file, *arguments):
    return [base(item) for item in engine.json("similar", file, *arguments)["results"]]


ALIKE = {"original.jpg", "copy.jpg", "titled.jpg", "q40.jpg", "reduced.jpg", "rotated.jpg", "mirrored.png"}


@pytest.mark.parametrize("name", sorted(ALIKE))
def test_similar_finds_every_variant(library, name):
    found = set(similar(library, library.photos / "variants" / name))
    same_picture = {"original.jpg", "copy.jpg", "titled.jpg"}
    assert name not in found, "a file is no answer to itself"
    assert ALIKE - same_picture - {name} <= found
    assert len(found & same_picture) == 1, "another file with the same picture, once"
    assert not found & {"baboon.jpg", "building.jpg", "messi5.jpg"}


def test_similar_of_a_picture_that_is_not_catalogued(library, folder):
    Image.open(PHOTOS / "fruits.jpg").convert("RGB").rotate(180).save(folder / "upside down.webp", quality=60)
    results = library.json("similar", folder / "upside down.webp", "--limit", "3")["results"]
    assert len(results) == 3
    scores = [item["score"] for item in results]
    assert scores == sorted(scores, reverse=True) and scores[0] > 0.9
    assert base(results[0]) in ALIKE
    listed = library.run("similar", folder / "upside down.webp", "--limit", "3", "--print0").out.split(b"\0")
    assert listed == [*map(path_of, results), b""]


def test_similar_says_when_there_is_nothing(library):
    outcome = library.run("similar", PHOTOS / "sudoku.png", "--distance", "0")
    assert outcome.code == DONE and b"nothing" in outcome.out


def test_similar_refuses_what_is_no_picture(library, folder):
    (folder / "note.jpg").write_text("no picture")
    for file, code in ((folder / "note.jpg", FAILED), (folder / "absent.jpg", FAILED), (folder, FAILED)):
        outcome = library.run("similar", file)
        assert outcome.code == code and os.path.basename(file) in outcome.message


@pytest.mark.parametrize("arguments", [["duplicates", "--kind", "far"], ["duplicates", "--distance", "17"], ["similar"],
                                       ["similar", "x.jpg", "--distance", "65"], ["similar", "x.jpg", "--limit", "0"],
                                       ["similar", "x.jpg", "--limit", "18446744073709551615"]])
def test_wrong_usage(library, arguments):
    assert library.run(*arguments).code == USAGE


def test_without_a_catalogue(engine):
    for arguments in (["duplicates"], ["similar", PHOTOS / "fruits.jpg"]):
        outcome = engine.run(*arguments)
        assert outcome.code == FAILED and "catalog" in outcome.message


def test_the_trace_tells_when_each_step_ran(engine, photos, folder):
    variants(photos)
    report = engine.analyze(photos, "--trace", folder / "trace.json")["report"]
    events = json.loads((folder / "trace.json").read_text())["traceEvents"]
    assert {"scan", "headers", "hash", "decode", "thumbnail", "look", "write"} <= {event["name"] for event in events} <= STEPS
    length = report["seconds"] * 1e6
    for event in events:
        assert event["ph"] == "X" and event["pid"] > 0 and event["tid"] > 0
        assert event["dur"] > 0, event
        assert 0 <= event["ts"] and event["ts"] + event["dur"] <= length * 1.05 + 50_000, event
    # On one thread one thing happens after the other.
    by_thread = {}
    for event in sorted(events, key=lambda event: event["ts"]):
        assert event["ts"] >= by_thread.get(event["tid"], 0) - 0.2, event  # rounded to 0.1
        by_thread[event["tid"]] = event["ts"] + event["dur"]
    counted = {step["step"]: (step["count"], step["busy_seconds"]) for step in report["steps"]}
    assert counted.keys() == {event["name"] for event in events}
    for name, (count, busy) in counted.items():
        own = [event for event in events if event["name"] == name]
        assert len(own) == count
        assert sum(event["dur"] for event in own) / 1e6 == pytest.approx(busy, rel=0.01, abs=0.002)


def test_the_reports_steps_add_up(engine, photos):
    variants(photos)
    report = engine.analyze(photos)["report"]
    steps = {step["step"]: step for step in report["steps"]}
    assert steps.keys() <= STEPS
    assert steps["decode"]["count"] == 8, "files with the same picture are decoded once"
    assert steps["look"]["count"] == 8
    for step in steps.values():
        assert step["busy_seconds"] + step["waiting_seconds"] == \
            pytest.approx(report["seconds"] * step["threads"], rel=0.02, abs=0.01) or step["waiting_seconds"] == 0
        assert 0 <= step["share"] <= 1
    found = report["bottleneck"]
    busiest = max(report["steps"], key=lambda step: step["share"])
    if found["name"] != "disk":  # of this machine, which other programs may use
        assert (found["name"], found["share"]) == (busiest["step"], busiest["share"])
    assert found["text"].startswith(found["name"] if found["name"] != "disk" else "the disk") and "help" in found["text"]
    assert report["gpu_lanes"] == [] or report["gpus"]
    again = {step["step"] for step in engine.analyze(photos)["report"]["steps"]}
    assert not again & {"headers", "hash", "decode", "thumbnail", "look"}, "nothing is done twice"


def test_a_trace_that_cannot_be_written(engine, photos, folder):
    shutil.copyfile(PHOTOS / "fruits.jpg", photos / "a.jpg")
    outcome = engine.run("analyze", photos, "--trace", folder / "no such folder" / "trace.json")
    assert outcome.code == FAILED and "trace.json" in outcome.message
    assert engine.search("type:photo") == ["a.jpg"], "the analysis is kept"
