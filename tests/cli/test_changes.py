"""What a second run makes of a library that changed meanwhile."""

import os
import shutil
import sqlite3
import subprocess

import pytest
from PIL import Image

from engine import DONE, DONE_WITH_FAILURES, FAILED, SAMPLES, kill, path_of, wait_until

XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="{}"/></rdf:RDF></x:xmpmeta>"""


def picture(path, colour):
    Image.new("RGB", (50, 40), colour).save(path)


@pytest.fixture
def library(photos):
    for name, colour in {"red": (200, 0, 0), "green": (0, 200, 0), "blue": (0, 0, 200)}.items():
        picture(photos / f"{name}.png", colour)
    return photos


def counts(report):
    names = ("added", "changed", "moved", "unchanged", "missing", "offline", "analysed", "duplicates", "failed")
    return {name: report[name] for name in names if report[name]}


def hashed(engine):
    """How many files were read whole; none before there is a catalogue."""
    try:
        return engine.rows("SELECT count(*) FROM files WHERE file_hash IS NOT NULL")[0][0]
    except sqlite3.OperationalError:
        return 0


def states(engine):
    return {os.path.basename(path).decode(): state for path, state in engine.rows("SELECT path, state FROM files")}


def test_moved(engine, library):
    engine.analyze(library)
    asset = engine.show(library / "red.png")["asset"]
    (library / "new").mkdir()
    (library / "red.png").rename(library / "new/crimson.png")
    report = engine.analyze(library)["report"]
    assert counts(report) == {"moved": 1, "unchanged": 2}
    assert report["phases"]["metadata"]["files"] == report["phases"]["content"]["files"] == 0
    shown = engine.show(library / "new/crimson.png")
    assert shown["asset"] == asset and len(shown["files"]) == 1
    assert engine.run("show", library / "red.png").code == FAILED
    assert engine.search("crimson") == ["crimson.png"] and engine.search("red") == []


def test_copied(engine, library):
    engine.analyze(library)
    shutil.copy(library / "red.png", library / "copy.png")
    assert counts(engine.analyze(library)["report"]) == {"added": 1, "unchanged": 3, "analysed": 1, "duplicates": 1}
    shown = engine.show(library / "copy.png")
    assert {os.path.basename(file["path"]) for file in shown["files"]} == {"red.png", "copy.png"}
    assert engine.json("status")["assets"] == 3 and engine.json("status")["files"] == {"present": 4}


def test_changed(engine, library):
    engine.analyze(library)
    before = engine.show(library / "red.png")["asset"]
    picture(library / "red.png", (1, 2, 3))
    assert counts(engine.analyze(library)["report"]) == {"changed": 1, "unchanged": 2, "analysed": 1}
    assert engine.show(library / "red.png")["asset"] != before


def test_replaced_by_another_of_same_size_and_time(engine, photos):
    """Bitmaps are as long as their pixels say, so that two differ in nothing but inode and content."""
    Image.new("RGB", (16, 16), (1, 1, 1)).save(photos / "a.bmp")
    Image.new("RGB", (16, 16), (2, 2, 2)).save(photos / "other.part", "BMP")
    info = os.stat(photos / "a.bmp")
    os.utime(photos / "other.part", ns=(info.st_atime_ns, info.st_mtime_ns))
    engine.analyze(photos / "a.bmp")
    before = engine.show(photos / "a.bmp")["asset"]
    (photos / "other.part").rename(photos / "a.bmp")
    after = os.stat(photos / "a.bmp")
    assert (after.st_size, after.st_mtime_ns) == (info.st_size, info.st_mtime_ns) and after.st_ino != info.st_ino
    assert counts(engine.analyze(photos)["report"]) == {"changed": 1, "analysed": 1}
    assert engine.show(photos / "a.bmp")["asset"] != before
    assert not engine.json("catalog", "check")["problems"]


def test_deleted_and_back(engine, library):
    engine.analyze(library)
    kept = (library / "green.png").read_bytes()
    (library / "green.png").unlink()
    assert counts(engine.analyze(library)["report"]) == {"missing": 1, "unchanged": 2}
    assert states(engine)["green.png"] == "missing"
    assert engine.search("green") == []
    found = engine.json("search", "green", "--missing")["results"]
    assert [result["state"] for result in found] == ["missing"]
    assert counts(engine.analyze(library)["report"]) == {"unchanged": 2}
    (library / "green.png").write_bytes(kept)
    engine.analyze(library)
    assert states(engine)["green.png"] == "present" and engine.search("green") == ["green.png"]


def test_prune_forgets_the_missing_only(engine, library):
    engine.analyze(library)
    (library / "green.png").unlink()
    engine.analyze(library)
    assert engine.json("catalog", "prune", "--dry-run")["files"] == 1
    assert set(states(engine)) == {"red.png", "green.png", "blue.png"}
    pruned = engine.json("catalog", "prune")
    assert (pruned["files"], pruned["assets"]) == (1, 1)
    assert set(states(engine)) == {"red.png", "blue.png"}
    assert not engine.json("catalog", "check")["problems"]


def test_relocate(engine, library):
    engine.analyze(library)
    library.rename(library.parent / "elsewhere")
    assert engine.json("catalog", "relocate", library, library.parent / "elsewhere")["files"] == 3
    report = engine.analyze(library.parent / "elsewhere")["report"]
    assert counts(report) == {"unchanged": 3}
    assert engine.show(library.parent / "elsewhere/red.png")["asset"]


def test_backup(engine, library, folder):
    engine.analyze(library)
    copy = folder / "copy.db"
    assert path_of(engine.json("catalog", "backup", copy)) == os.fsencode(copy)
    assert copy.stat().st_mode & 0o777 == 0o600
    assert engine.json("status", "--catalog", copy)["assets"] == 3
    outcome = engine.run("catalog", "backup", copy)
    assert outcome.code != DONE and "exists" in outcome.message
    assert engine.run("catalog", "backup", copy, "--overwrite").code == DONE


def test_the_catalogue_is_private(engine, library):
    engine.analyze(library)
    for file in engine.catalogue.parent.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file
    thumbnails = list((engine.folder / "cache").rglob("*.jpg"))
    assert len(thumbnails) == 3
    for file in thumbnails:
        assert file.stat().st_mode & 0o077 == 0, file


def test_sidecar_comes_changes_and_goes(engine, library):
    engine.analyze(library)
    assert "rating" not in engine.show(library / "red.png")
    (library / "red.xmp").write_text(XMP.format(3))
    report = engine.analyze(library)["report"]
    assert counts(report) == {"changed": 1, "unchanged": 2}
    assert engine.show(library / "red.png")["rating"] == 3
    (library / "red.png.xmp").write_text(XMP.format(5))  # wins over red.xmp
    engine.analyze(library)
    assert engine.show(library / "red.png")["rating"] == 5 and engine.search("rating:5") == ["red.png"]
    (library / "red.png.xmp").write_text(XMP.format(1) + "  ")
    engine.analyze(library)
    assert engine.show(library / "red.png")["rating"] == 1
    (library / "red.png.xmp").unlink()
    engine.analyze(library)
    assert engine.show(library / "red.png")["rating"] == 3
    (library / "red.xmp").unlink()
    engine.analyze(library)
    assert "rating" not in engine.show(library / "red.png")


def test_sidecar_touched(engine, library):
    (library / "red.xmp").write_text(XMP.format(3))
    engine.analyze(library)
    os.utime(library / "red.xmp", ns=(10**18, 10**18))
    assert engine.analyze(library)["report"]["changed"] == 1
    assert counts(engine.analyze(library)["report"]) == {"unchanged": 3}


def test_renamed_with_its_sidecar(engine, library):
    (library / "red.png.xmp").write_text(XMP.format(4))
    engine.analyze(library)
    (library / "red.png").rename(library / "rouge.png")
    (library / "red.png.xmp").rename(library / "rouge.png.xmp")
    report = engine.analyze(library)["report"]
    assert report["moved"] == 1 and report["analysed"] == 0
    shown = engine.show(library / "rouge.png")
    assert shown["rating"] == 4 and shown["files"][0]["sidecar"] == str(library / "rouge.png.xmp")
    # Renamed without it, the rating stays behind.
    (library / "rouge.png").rename(library / "vermilion.png")
    engine.analyze(library)
    assert "rating" not in engine.show(library / "vermilion.png")


def test_an_edit_of_the_metadata_keeps_the_asset(engine, photos):
    shutil.copy(SAMPLES / "photos/building.jpg", photos / "a.jpg")
    engine.analyze(photos)
    before = engine.show(photos / "a.jpg")
    assert before["rating"] == 4
    subprocess.run(["exiftool", "-q", "-overwrite_original", "-Rating=2", photos / "a.jpg"], check=True)
    engine.analyze(photos)
    after = engine.show(photos / "a.jpg")
    assert after["asset"] == before["asset"] and after["rating"] == 2


def test_each_copy_speaks_for_itself(engine, photos):
    """Two files, one picture, other keywords: `show` tells those of the file that was asked for."""
    for name, rating in {"a.jpg": "1", "b.jpg": "3", "c.jpg": "5"}.items():
        shutil.copy(SAMPLES / "photos/building.jpg", photos / name)
        subprocess.run(["exiftool", "-q", "-overwrite_original", f"-Rating={rating}", photos / name], check=True)
    engine.analyze(photos)
    shown = {name: engine.show(photos / name) for name in ("a.jpg", "b.jpg", "c.jpg")}
    assert len({item["asset"] for item in shown.values()}) == 1
    assert {name: item["rating"] for name, item in shown.items()} == {"a.jpg": 1, "b.jpg": 3, "c.jpg": 5}
    assert all(os.path.basename(item["files"][0]["path"]) == name for name, item in shown.items())


def test_offline_file_system(engine, mounts):
    disk = engine.folder / "disk"
    disk.mkdir()
    backing = engine.folder / "backing"
    backing.mkdir()
    mounts.run("mount", "-t", "tmpfs", "none", backing)
    (engine.folder / "stage").mkdir()
    picture(engine.folder / "stage/red.png", (200, 0, 0))
    picture(engine.folder / "stage/blue.png", (0, 0, 200))
    mounts.run("sh", "-c", 'mkdir "$1/album" && cp "$0"/* "$1/album"', engine.folder / "stage", backing)
    mounts.run("mount", "--bind", backing, disk)
    engine.prefix = mounts.prefix
    engine.analyze(disk / "album")
    mounts.run("umount", disk)
    # Away, with the folder itself: known, so not an error.
    report = engine.analyze(disk / "album")["report"]
    assert report["offline"] == 2 and report["missing"] == 0 and report["notes"]
    assert set(states(engine).values()) == {"offline"}
    # And with the empty mount point above it.
    assert engine.analyze(disk)["report"]["missing"] == 0
    assert set(states(engine).values()) == {"offline"}
    # What is offline can still be found, and says so.
    assert {result["state"] for result in engine.json("search", "red")["results"]} <= {"offline"}
    assert engine.json("catalog", "prune")["files"] == 0
    mounts.run("mount", "--bind", backing, disk)
    report = engine.analyze(disk / "album")["report"]
    assert counts(report) == {"unchanged": 2}
    assert set(states(engine).values()) == {"present"}
    # Deleted on a disk that is there: missing.
    mounts.run("rm", disk / "album/red.png")
    assert engine.analyze(disk / "album")["report"]["missing"] == 1


def test_left_out_by_patterns(engine, library):
    (library / "Cache").mkdir()
    picture(library / "Cache/x.png", (9, 9, 9))
    (library / ".hidden.png").write_bytes((library / "red.png").read_bytes())
    (library / "sub").mkdir()
    picture(library / "sub/y.png", (8, 8, 8))
    (library / "sub/.image-engine-ignore").write_text("y.*\n")
    report = engine.analyze(library, "--exclude", "Cache/", "--exclude", "blue*")["report"]
    assert report["media"] == 2 and set(states(engine)) == {"red.png", "green.png"}
    report = engine.analyze(library, "--include", "*.png", "--hidden")["report"]
    assert set(states(engine)) == {"red.png", "green.png", "blue.png", "x.png", ".hidden.png"}


def test_links(engine, library):
    (library / "loop").symlink_to(library)
    (library / "link.png").symlink_to(library / "red.png")
    assert engine.analyze(library)["report"]["media"] == 3
    assert engine.analyze(library, "--follow-symlinks")["report"]["media"] == 4


def test_excluded_later(engine, library):
    engine.analyze(library)
    report = engine.analyze(library, "--exclude", "blue*")["report"]
    assert (report["newly_excluded"], report["missing"], report["unchanged"]) == (1, 0, 2)
    assert states(engine) == {"red.png": "present", "green.png": "present", "blue.png": "excluded"}
    assert engine.search("blue") == [] and engine.search("blue state:excluded") == ["blue.png"]
    assert engine.analyze(library, "--exclude", "blue*")["report"]["newly_excluded"] == 0
    assert counts(engine.analyze(library)["report"]) == {"unchanged": 3}
    assert set(states(engine).values()) == {"present"}
    engine.analyze(library, "--exclude", "blue*")
    (library / "blue.png").unlink()
    engine.analyze(library, "--exclude", "blue*")
    assert states(engine)["blue.png"] == "missing"


def test_prune_forgets_what_is_excluded(engine, library):
    engine.analyze(library)
    thumbnails = set(engine.folder.rglob("thumbnails/**/*.jpg"))
    engine.analyze(library, "--exclude", "blue*")
    pruned = engine.json("catalog", "prune")
    assert (pruned["files"], pruned["assets"]) == (1, 1)
    assert set(states(engine)) == {"red.png", "green.png"}
    assert len(thumbnails) == 3 and len(set(engine.folder.rglob("thumbnails/**/*.jpg"))) == 2


def test_links_that_are_no_longer_followed(engine, library):
    elsewhere = library.parent / "elsewhere"
    elsewhere.mkdir()
    picture(elsewhere / "far.png", (1, 2, 3))
    (library / "link").symlink_to(elsewhere)
    engine.analyze(library, "--follow-symlinks")
    engine.analyze(library)
    assert states(engine)["far.png"] == "excluded"


def adds_up(report):
    parts = ("added", "changed", "moved", "unchanged", "failed_files", "not_media", "sidecars")
    assert report["files"] == sum(report[part] for part in parts), {part: report[part] for part in parts}
    return report


def test_each_file_counts_once(engine, library):
    (library / "note.txt").write_text("no picture")
    (library / "red.png.xmp").write_text(XMP.format(3))
    half = (SAMPLES / "photos/fruits.jpg").read_bytes()[:30_000]
    garbled = half[:600] + bytes(byte ^ 0x5A for byte in half[600:900]) + half[900:1500]
    for name in ("1.jpg", "2.jpg", "3.jpg"):  # copies of one broken picture: all of them fail, at once
        (library / name).write_bytes(garbled)
    (library / "gone.jpg").symlink_to(library / "nowhere")
    report = adds_up(engine.analyze(library, "--follow-symlinks", expect=DONE_WITH_FAILURES)["report"])
    assert (report["added"], report["failed_files"], report["not_media"], report["sidecars"]) == (3, 4, 1, 1)
    assert {os.path.basename(path).decode() for path in engine.failures()} == {"1.jpg", "2.jpg", "3.jpg", "gone.jpg"}
    report = adds_up(engine.analyze(library)["report"])
    assert (report["unchanged"], report["failed"]) == (6, 0)
    report = adds_up(engine.analyze(library, "--retry", expect=DONE_WITH_FAILURES)["report"])
    assert (report["unchanged"], report["failed_files"]) == (3, 3)
    for name in ("1.jpg", "2.jpg", "3.jpg", "gone.jpg"):
        (library / name).unlink()
    adds_up(engine.analyze(library)["report"])
    assert engine.failures() == {}


def test_a_reader_that_stalls_holds_nobody_up(engine, library):
    for number in range(150):
        picture(library / f"{number}.png", (number, 255 - number, 77))
    process = engine.start("analyze", library, "--ndjson", "--quiet")
    try:  # nothing is read of more than a pipe holds
        wait_until(lambda: hashed(engine) == 153, "everything to be analyzed", 60)
        out, err = process.communicate(timeout=60)
    finally:
        kill(process.pid)
    assert process.returncode == DONE, err
    assert len(out.splitlines()) == 153 and len(out) > 1 << 16
