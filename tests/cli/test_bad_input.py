"""Every kind of bad input of a library: a ledger entry or a clear message, the documented exit code, the rest analysed."""

import base64
import functools
import hashlib
import json
import os
import shutil

import pytest
from PIL import Image

from engine import DONE, DONE_WITH_FAILURES, FAILED, SAMPLES, log_entries, path_of, wait_until
from slow_library import slow_engine

HOSTILE = os.fsencode(SAMPLES / "hostile")
GOOD = SAMPLES / "photos/building.jpg"


# What a decoder makes of these is its own affair, as long as it does no harm: libvips takes the size of the GIF's frames.
EITHER = {b"huge_canvas.gif"}


@functools.cache
def expectations():
    listed = json.loads((SAMPLES / "hostile.json").read_text())["files"]
    return {base64.b64decode(entry["path_base64"]): entry["expect"] for entry in listed}


def copies(photos, count):
    """Different pictures, made here."""
    for i in range(count):
        Image.new("RGB", (40, 30), (i, 2 * i % 256, 90)).save(photos / f"p{i:03}.png")


def test_hostile_files(engine):
    before = fingerprints(HOSTILE)
    document = engine.analyze(HOSTILE, expect=DONE_WITH_FAILURES)
    failed = {os.path.relpath(path, HOSTILE) for path in engine.failures()}
    analysed = {os.path.relpath(path_of(file), HOSTILE) for asset in document["assets"] for file in asset["files"]}
    wanted = {name for name, expect in expectations().items() if expect == "failure"}
    skipped = {name for name, expect in expectations().items() if expect == "skipped"}
    assert failed - EITHER == wanted - EITHER
    wanted = failed
    assert analysed - wanted == set(expectations()) - wanted - skipped - {b"sidecar_broken.jpg.xmp"}
    assert not analysed & skipped
    assert document["report"]["failed"] == len(wanted)
    assert document["report"]["worker_deaths"] == 0
    assert fingerprints(HOSTILE) == before
    assert engine.json("status")["waiting"] == 0, "what failed does not wait"
    # What failed is not tried again until it changes.
    again = engine.analyze(HOSTILE, expect=DONE)["report"]
    assert again["failed"] == 0 and again["phases"]["metadata"]["files"] == 0 and again["phases"]["content"]["files"] == 0
    retried = engine.json("failures", "--retry", expect=DONE_WITH_FAILURES)["report"]
    assert retried["failed"] == len(wanted)
    assert {entry["tries"] for entry in engine.failures().values()} == {2}


@pytest.mark.parametrize("name", sorted(name for name, expect in expectations().items() if expect == "warning"))
def test_a_broken_part_is_a_warning_of_its_file(engine, name):
    file = os.path.join(HOSTILE, name)
    engine.analyze(file)
    assert engine.show(file)["warnings"]


def test_ledger_messages_say_what_is_wrong(engine):
    engine.analyze(HOSTILE, expect=DONE_WITH_FAILURES)
    codes = {os.path.basename(path): entry["code"] for path, entry in engine.failures().items()}
    for name, code in {b"grid_of_itself.heic": "corrupt", b"grid_no_primary.heic": "corrupt", b"half.dng": "corrupt", b"empty.jpg": "corrupt", b"text.jpg": "unsupported", b"header_bomb.png": "too-large",
                       b"true_bomb.png": "too-large", b"zeros.jpg": "unsupported"}.items():
        assert codes[name] == code
    known = {"corrupt", "unsupported", "too-large"}
    assert set(codes.values()) <= known, "no worker was lost, ran out of memory or of time"


def test_a_second_run_finds_nothing_to_do(engine):
    first = engine.analyze(HOSTILE, expect=DONE_WITH_FAILURES)["report"]
    ledger = engine.failures()
    again = engine.analyze(HOSTILE)["report"]
    assert again["unchanged"] == first["media"] == again["media"]
    assert not again["added"] and not again["changed"] and not again["analysed"]
    assert engine.failures() == ledger


def test_ledger_messages_end_with_a_reason(engine):
    engine.analyze(HOSTILE, expect=DONE_WITH_FAILURES)
    assert [entry for entry in engine.failures().values() if entry["message"].rstrip().endswith(":")] == []


def test_odd_formats(engine):
    """CMYK, 16 bits, animated and every container: all analysed, with the size that samples.py gave them."""
    document = engine.analyze(SAMPLES / "formats")
    assert not engine.failures() and document["report"]["worker_deaths"] == 0
    for name, facts in json.loads((SAMPLES / "formats.json").read_text()).items():
        shown = engine.show(SAMPLES / "formats" / name)
        assert (shown["width"], shown["height"]) == (facts["width"], facts["height"]), name
    assert engine.show(SAMPLES / "formats/grey_16bit.png")["bit_depth"] == 16
    assert engine.show(SAMPLES / "formats/animated.gif")["animated"]
    thumbnail = engine.json("show", SAMPLES / "formats/cmyk.jpg", "--thumbnail", "100")["path"]
    with Image.open(thumbnail) as picture:
        assert picture.mode == "RGB" and picture.size == (100, 67)


def test_content_decides_not_the_name(engine, photos):
    with Image.open(GOOD) as picture:
        picture.save(photos / "jpeg.png", "JPEG")
        picture.save(photos / "png.jpg", "PNG")
        picture.convert("L").save(photos / "no_name", "JPEG")
    Image.new("RGB", (1, 1)).save(photos / "one.png")
    engine.analyze(photos)
    formats = {name: engine.show(photos / name)["format"] for name in ("jpeg.png", "png.jpg", "no_name", "one.png")}
    assert formats == {"jpeg.png": "jpeg", "png.jpg": "png", "no_name": "jpeg", "one.png": "png"}


ODD_NAMES = [b"new\nline.jpg", b"latin1_\xe4.jpg", b"\xff\xfe.jpg", b"tab\t quote'\".jpg", b"-rf.jpg", b"%s%n.jpg", "日本.jpg".encode()]


def test_odd_names_come_back_whole(engine, photos):
    for i, name in enumerate(ODD_NAMES):
        Image.new("RGB", (20 + i, 20), (i, 0, 0)).save(os.fsencode(photos) + b"/x.jpg", "JPEG")
        os.rename(os.fsencode(photos) + b"/x.jpg", os.path.join(os.fsencode(photos), name))
    (photos / os.fsdecode(b"broken_\xe9.jpg")).write_bytes(b"not a picture")
    document = engine.analyze(photos, expect=DONE_WITH_FAILURES)
    wanted = {os.path.join(os.fsencode(photos), name) for name in ODD_NAMES}
    assert {path_of(asset) for asset in document["assets"] if asset["asset"]} == wanted
    for i, name in enumerate(ODD_NAMES):
        path = os.path.join(os.fsencode(photos), name)
        assert engine.show(path)["width"] == 20 + i
        encoded = base64.b64encode(path).decode()
        assert path_of(engine.json("show", "--path-base64", encoded)) == path
    found = engine.run("search", "type:photo", "--limit", "99", "--print0")
    assert wanted <= set(found.out.split(b"\0"))
    failed = engine.run("failures", "--print0")
    assert failed.out == os.fsencode(photos) + b"/broken_\xe9.jpg\0"


def without_privileges(*dropped):
    if os.geteuid() != 0:
        return []
    capabilities = ",".join(f"-{name}" for name in dropped)
    return ["setpriv", f"--bounding-set={capabilities}", f"--inh-caps={capabilities}", "--"]


def test_no_permission(engine, photos):
    shutil.copy(GOOD, photos / "readable.jpg")
    shutil.copy(SAMPLES / "photos/fruits.jpg", photos / "secret.jpg")
    (photos / "closed").mkdir()
    shutil.copy(SAMPLES / "photos/home.jpg", photos / "closed/home.jpg")
    (photos / "secret.jpg").chmod(0)
    (photos / "closed").chmod(0)
    engine.prefix = without_privileges("dac_override", "dac_read_search")
    engine.analyze(photos, expect=DONE_WITH_FAILURES)
    codes = {os.path.basename(path): entry["code"] for path, entry in engine.failures().items()}
    assert codes == {b"secret.jpg": "permission", b"closed": "permission"}
    assert engine.show(photos / "readable.jpg")["asset"]
    # Once they can be read, the next run takes them, and the ledger forgets them.
    (photos / "secret.jpg").chmod(0o600)
    (photos / "closed").chmod(0o700)
    engine.analyze(photos, "--retry")
    assert not engine.failures()
    assert engine.show(photos / "closed/home.jpg")["asset"] and engine.show(photos / "secret.jpg")["asset"]


def test_read_only_folder(engine, photos, mounts):
    shutil.copy(GOOD, photos)
    mounts.run("mount", "--bind", photos, photos)
    mounts.run("mount", "-o", "remount,bind,ro", photos)
    engine.prefix = mounts.prefix
    assert engine.analyze(photos)["report"]["analysed"] == 1
    # The catalogue itself on it: a clear message.
    outcome = engine.run("analyze", photos, "--catalog", photos / "c.db")
    assert outcome.code == FAILED and "Read-only file system" in outcome.message


def test_full_disk(engine, photos, mounts):
    copies(photos, 250)
    disk = engine.folder / "disk"
    disk.mkdir()
    mounts.run("mount", "-t", "tmpfs", "-o", "size=640k", "none", disk)
    engine.prefix = mounts.prefix
    catalogue = disk / "c.db"
    mounts.run("sh", "-c", 'head -c 200k /dev/zero > "$0"', disk / "ballast")
    outcome = engine.run("analyze", photos, "--catalog", catalogue, "--json")
    assert outcome.code == FAILED
    if outcome.out:
        assert outcome.document()["error"]["code"] == "no-space"
    assert "space" in outcome.message or "full" in outcome.message, outcome.message
    # With room again, the same command ends well and nothing is lost.
    mounts.run("rm", disk / "ballast")
    mounts.run("mount", "-o", "remount,size=64m", disk)
    assert not engine.json("catalog", "check", "--catalog", catalogue)["problems"]
    engine.analyze(photos, "--catalog", catalogue)
    assert engine.json("status", "--catalog", catalogue)["assets"] == 250


def test_full_disk_under_the_thumbnails(engine, photos, mounts):
    shutil.copy(GOOD, photos)
    mounts.run("mount", "-t", "tmpfs", "-o", "size=4k", "none", engine.folder / "cache")
    engine.prefix = mounts.prefix
    engine.analyze(photos, expect=DONE_WITH_FAILURES)
    [entry] = engine.failures().values()
    assert entry["stage"] == "thumbnail" and entry["code"] == "no-space"


def test_folder_vanishes_under_the_run(folder, photos):
    engine, log = slow_engine(folder, delay=0.01)
    kept, doomed = photos / "kept", photos / "doomed"
    kept.mkdir(), doomed.mkdir()
    copies(doomed, 200)
    shutil.copy(GOOD, kept)
    process = engine.start("analyze", photos, "--json", "--workers", "1")
    wait_until(lambda: len(log_entries(log)) >= 3, "the first headers")
    shutil.rmtree(doomed)
    out, error = process.communicate(timeout=60)
    assert process.returncode in (DONE, DONE_WITH_FAILURES), error
    json.loads(out)
    engine.analyze(photos)
    assert engine.show(kept / "building.jpg")["asset"]
    assert set(engine.json("status")["files"]) <= {"present", "missing"}
    assert engine.json("status")["files"]["present"] == 1


def test_root_vanishes_before_the_scan(engine, photos):
    shutil.copy(GOOD, photos)
    engine.analyze(photos)
    shutil.rmtree(photos)
    report = engine.analyze(photos)["report"]
    assert report["missing"] == 1
    outcome = engine.run("analyze", engine.folder / "never")
    assert outcome.code == FAILED and "no such file or folder" in outcome.message


def test_same_folder_given_twice(engine, photos):
    shutil.copy(GOOD, photos)
    (photos / "sub").mkdir()
    shutil.copy(SAMPLES / "photos/fruits.jpg", photos / "sub")
    report = engine.analyze(photos, photos, photos / "sub", photos / "building.jpg", f"{photos}/sub/../")["report"]
    assert report["media"] == 2 and report["analysed"] == 2 and report["added"] == 2
    assert engine.json("status")["files"] == {"present": 2}


def fingerprints(folder):
    """Bytes, mode and times of every file below."""
    found = {}
    for path, _, names in os.walk(folder):
        for name in names:
            file = os.path.join(path, name)
            info = os.lstat(file)
            content = b""
            if os.path.isfile(file) and not os.path.islink(file):
                with open(file, "rb") as opened:
                    content = hashlib.sha256(opened.read()).digest()
            found[file] = (info.st_mode, info.st_mtime_ns, info.st_ctime_ns, info.st_size, content)
    return found


def test_photos_are_never_written_to(engine):
    folders = [SAMPLES / name for name in ("photos", "videos", "formats")]
    before = [fingerprints(folder) for folder in folders]
    engine.analyze(*folders)
    engine.analyze(*folders, "--retry")
    engine.json("show", SAMPLES / "photos/home.jpg", "--thumbnail", "512")
    engine.run("failures", "--retry")
    assert [fingerprints(folder) for folder in folders] == before
