"""`benchmark photos` on made photos and on a folder, and `plan`, which predicts with its rates."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from hashlib import sha256

import pytest
from engine import DONE, DONE_WITH_FAILURES, FAILED, ROOT, SAMPLES, USAGE, with_models
from PIL import Image

NAMES = ["fruits.jpg", "messi5.jpg", "building.jpg", "baboon.jpg"]
NO_MODELS = ["--object-model", "none", "--scene-model", "none", "--embedding-model", "none"]


@pytest.fixture
def library(photos):
    for name in NAMES:
        shutil.copy(SAMPLES / "photos" / name, photos)
    return photos


@pytest.fixture
def many(photos):
    """As few as an estimate comes from."""
    for i in range(20):
        Image.effect_noise((320, 240), 40).convert("RGB").save(photos / f"{i}.jpg")
    return photos


def contents(folder):
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}


def benchmark(engine, *arguments, **options):
    return engine.json("benchmark", "photos", *arguments, *NO_MODELS, **options)


def check_relations(document):
    assert document["photos_per_second"] == pytest.approx(document["input"]["photos"] / document["seconds"], rel=1e-2)
    assert document["cpu"]["cores_busy"] == pytest.approx(document["cpu"]["seconds"] / document["seconds"], rel=1e-2)
    assert document["cpu"]["share"] == pytest.approx(document["cpu"]["cores_busy"] / document["machine"]["cores"], rel=1e-2, abs=1e-4)
    assert document["memory"]["peak_mb"] > 10
    for phase in ("scan", "metadata", "content"):
        assert document["phases"][phase]["files"] == document["input"]["photos"]
    steps = {step["step"] for step in document["steps"]}
    assert steps >= {"headers", "hash", "decode", "thumbnail", "write"}
    assert document["bottleneck"]["name"] in steps | {"disk"}


# benchmark photos


def test_made_photos_are_like_those_of_a_camera(engine, folder):
    kept = folder / "made"
    document = benchmark(engine, "--synthetic", "3", "--keep", kept)
    assert document["input"]["synthetic"] and document["input"]["folder"] is None and document["failed"] == 0
    check_relations(document)
    files = sorted(kept.iterdir())
    assert len(files) == 3 and document["input"]["bytes"] == sum(path.stat().st_size for path in files)
    assert document["steps"] and next(step["count"] for step in document["steps"] if step["step"] == "decode") == 3
    coded, times, means = set(), set(), []
    for path in files:
        assert 2_500_000 <= path.stat().st_size <= 3_300_000
        coded.add(sha256(path.read_bytes()[1000:]).digest())
        with Image.open(path) as picture:
            assert picture.size == (4000, 3000) and picture.mode == "RGB" and "progression" not in picture.info
            assert [layer[1:3] for layer in picture.layer] == [(2, 2), (1, 1), (1, 1)], "4:2:0"
            times.add(picture.getexif().get_ifd(0x8769)[0x9003])
            small = picture.convert("L").resize((40, 30), Image.Resampling.BOX)
        means.append(list(small.tobytes()))
        assert max(means[-1]) - min(means[-1]) > 50, "it has lights and shadows"
    assert len(coded) == 3 and len(times) == 3
    assert means[0] != means[1] != means[2]


def test_kept_photos_are_made_once(engine, folder):
    kept = folder / "made"
    benchmark(engine, "--synthetic", "2", "--keep", kept)
    before = contents(kept)
    damaged = sorted(kept.iterdir())[0]
    damaged.write_bytes(damaged.read_bytes()[:-1000])
    benchmark(engine, "--synthetic", "3", "--keep", kept)
    after = contents(kept)
    assert len(after) == 3
    second = sorted(before)[1]
    assert after[second] == before[second], "not written again"
    assert after[damaged.name][1] == before[damaged.name][1], "made anew"
    outcome = engine.run("benchmark", "photos", "--synthetic", "2", "--keep", kept)
    assert outcome.code == USAGE and "more synthetic photos than 2" in outcome.message
    assert contents(kept) == after


def test_a_folder_of_a_persons_own_is_not_written_to(engine, library):
    before = contents(library)
    outcome = engine.run("benchmark", "photos", "--synthetic", "2", "--keep", library)
    assert outcome.code == USAGE and "new or an empty folder" in outcome.message
    assert contents(library) == before


def test_photos_that_do_not_fit_are_refused(engine, folder):
    outcome = engine.run("benchmark", "photos", "--synthetic", "1000000", "--keep", folder / "made")
    assert outcome.code == FAILED and "are free" in outcome.message and "--keep" in outcome.message
    assert list((folder / "made").iterdir()) == []


def test_the_space_is_told_before(engine, folder):
    outcome = engine.run("benchmark", "photos", "--synthetic", "1", "--keep", folder / "made", *NO_MODELS)
    assert outcome.code == DONE
    assert "1 synthetic photo takes up to 3.3 MB more" in outcome.message and "are free" in outcome.message
    assert "photos/s" in outcome.out.decode() and "Bottleneck: " in outcome.out.decode()


def test_a_folder_of_photos(engine, library, folder):
    (library / "note.txt").write_text("not a photo")
    before = contents(library)
    written = folder / "results.json"
    document = benchmark(engine, library, "-o", written, "--trace", folder / "trace.json")
    assert json.loads(written.read_text()) == document
    assert document["input"] == {"folder": str(library), "synthetic": False, "photos": len(NAMES),
                                 "bytes": sum((library / name).stat().st_size for name in NAMES)}  # fmt: skip
    check_relations(document)
    assert contents(library) == before and not engine.catalogue.exists()
    assert {event["name"] for event in json.loads((folder / "trace.json").read_text())["traceEvents"]} >= {"decode", "write"}


def test_failures_do_not_end_it(engine, library):
    (library / "broken.jpg").write_bytes((library / NAMES[0]).read_bytes()[:300])
    document = benchmark(engine, library, expect=DONE_WITH_FAILURES)
    assert document["failed"] >= 1 and document["input"]["photos"] >= len(NAMES)


@pytest.mark.parametrize("arguments, part", [
    ([], "one of the two"), (["PHOTOS", "--synthetic", "3"], "one of the two"), (["PHOTOS", "--keep", "x"], "--keep"),
    (["--synthetic", "0"], "--synthetic"), (["PHOTOS", "-o", "PHOTO"], "no output of image-engine")])
def test_wrong_use(engine, library, arguments, part):
    before = contents(library)
    replaced = {"PHOTOS": library, "PHOTO": library / NAMES[0]}
    outcome = engine.run("benchmark", "photos", *[replaced.get(argument, argument) for argument in arguments])
    assert outcome.code == USAGE and part in outcome.message, outcome.message
    assert contents(library) == before


@pytest.mark.parametrize("files", [[], ["note.txt"]])
def test_no_photo(engine, photos, files):
    for name in files:
        (photos / name).write_text("x")
    outcome = engine.run("benchmark", "photos", photos)
    assert outcome.code == FAILED and "no photo" in outcome.message and "--synthetic" in outcome.message


# plan


def kinds_of(document):
    return {row["kind"]: row for row in document["kinds"]}


def test_a_plan_counts_and_writes_nothing(engine, library):
    (library / "note.txt").write_text("not media")
    before = contents(library)
    document = engine.json("plan", library)
    photos = kinds_of(document)["photo"]
    size = sum((library / name).stat().st_size for name in NAMES)
    assert photos == {"kind": "photo", "files": 4, "bytes": size, "analyzed": 0, "failed": 0, "due": 4, "due_bytes": size}
    assert document["skipped"] == 1 and document["cloud"] is None and document["rates"] is None
    assert [(stage["stage"], stage["files"], stage["basis"]) for stage in document["stages"]] == [("metadata", 4, "guess"), ("content", 4, "guess")]
    assert document["seconds"] == pytest.approx(sum(stage["seconds"] for stage in document["stages"]), abs=0.01) and document["seconds"] > 0
    assert contents(library) == before and not engine.catalogue.exists()
    text = engine.run("plan", library).out.decode()
    assert "guess" in text and "benchmark photos" in text


def test_a_plan_leaves_out_what_is_done(engine, library):
    (library / "broken.jpg").write_bytes((library / NAMES[0]).read_bytes()[:300])
    engine.analyze(library, *NO_MODELS, expect=DONE_WITH_FAILURES)
    state = sha256(engine.catalogue.read_bytes()).digest()
    row = kinds_of(engine.json("plan", library))["photo"]
    assert (row["files"], row["analyzed"], row["failed"], row["due"]) == (5, 4, 1, 0)
    document = engine.json("plan", library)
    assert document["stages"] == [] and document["seconds"] == 0 and "nothing" in document["limit"]
    os.utime(library / NAMES[0], (1, 1))
    shutil.copy(SAMPLES / "photos/left01.jpg", library / "new.jpg")
    row = kinds_of(engine.json("plan", library))["photo"]
    assert (row["files"], row["analyzed"], row["due"]) == (6, 3, 2)
    assert row["due_bytes"] == (library / NAMES[0]).stat().st_size + (library / "new.jpg").stat().st_size
    assert sha256(engine.catalogue.read_bytes()).digest() == state
    with closing(sqlite3.connect(engine.catalogue)) as catalogue, catalogue:
        catalogue.execute("UPDATE files SET metadata_version = 'older'")
    document = engine.json("plan", library)
    row = kinds_of(document)["photo"]
    assert (row["analyzed"], row["due"]) == (3, 2), "only their headers are read again"
    assert [(stage["stage"], stage["files"]) for stage in document["stages"]] == [("metadata", 5), ("content", 2)]


def test_few_photos_are_no_measure(engine, library):
    benchmark(engine, library)
    assert engine.json("plan", library, *NO_MODELS)["rates"] is None
    text = engine.run("benchmark", "photos", library, *NO_MODELS).out.decode()
    (row,) = [line for line in text.splitlines() if line.startswith("metadata ")]
    assert row.split()[-3:] == ["–", "30", "s"], "no estimate for a library by four photos"


def test_a_plan_uses_the_rates_of_this_machine(engine, many):
    measured = benchmark(engine, many)
    document = engine.json("plan", many, *NO_MODELS)
    rates = document["rates"]
    assert rates["photos"] == 20 and rates["photo_bytes"] == pytest.approx(measured["input"]["bytes"] / 20, abs=1)
    phases = measured["phases"]
    assert rates["headers_per_second"] == pytest.approx(phases["metadata"]["files_per_second"], rel=1e-2)
    assert rates["content_per_second"] == pytest.approx(20 / (phases["content"]["seconds"] + phases["ml"]["seconds"]), rel=1e-2)
    stages = {stage["stage"]: stage for stage in document["stages"]}
    assert {stage["basis"] for stage in stages.values()} == {"measured"}
    assert stages["content"]["seconds"] == pytest.approx(20 / rates["content_per_second"], rel=0.02, abs=0.002)
    assert document["limit"] == measured["bottleneck"]["text"] or stages["metadata"]["seconds"] > stages["content"]["seconds"]
    # With other settings nothing was measured.
    assert engine.json("plan", many, *NO_MODELS, "--workers", "1")["rates"] is None or os.cpu_count() == 1
    kept = next((engine.folder / "cache").rglob("measured_rates.json"))
    for damaged in ("", "[1]", "{", json.dumps({next(iter(json.loads(kept.read_text()))): {"content_per_second": "fast"}})):
        kept.write_text(damaged)
        assert engine.json("plan", many, *NO_MODELS)["rates"] is None


def test_rates_hold_for_the_models_that_are_installed(engine, many, folder):
    engine.environment["IMAGE_ENGINE_MODELS"] = str(folder / "none")
    engine.json("benchmark", "photos", many)
    assert engine.json("plan", many)["rates"] is not None
    for setting in ("gpu_decode: off", "gpu_decoders: 2"):
        other = folder / "other.yaml"
        other.write_text(f"inference:\n  {setting}\n")
        assert engine.json("plan", many, "--config", other)["rates"] is None
    assert with_models(engine).json("plan", many)["rates"] is None


def test_a_plan_knows_the_limit_of_requests(engine, library, folder):
    config = folder / "cloud.yaml"
    config.write_text("nvidia_build:\n  enabled: true\n  max_requests: 5\n  rate_limiting:\n    max_requests_per_minute: 30\n")
    cloud = engine.json("plan", library, "--config", config)["cloud"]
    assert cloud == {"stages": ["retail_products", "description"], "requests": 8, "limit": 5, "requests_per_minute": 30, "frames": False}
    text = engine.run("plan", library, "--config", config).out.decode()
    assert "at most 8 requests" in text and "stops at 5" in text
    document = engine.json("plan", library, "--config", config)
    stage = document["stages"][-1]
    assert (stage["stage"], stage["files"], stage["seconds"]) == ("cloud", 5, 10) and document["limit"].startswith("cloud:")


def test_a_plan_of_nothing(engine, folder):
    outcome = engine.run("plan", folder / "missing")
    assert outcome.code == FAILED and "missing" in outcome.message
    assert engine.run("plan").code == USAGE


# The script that compares with others


def test_peers_that_are_not_installed_are_named(library, folder):
    results = folder / "rows.json"
    done = subprocess.run([sys.executable, "-S", "-E", ROOT / "bench/photos/peers.py", library, "--device", "cpu", "--rounds", "1", "-o", results],
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    document = json.loads(results.read_text())
    assert [row["name"] for row in document["rows"]] == ["one-process", "dataloader", "nvjpeg", "nvimagecodec", "dali-0", "dali-0.65", "dali-1"]
    for row in document["rows"]:
        assert row["rates"] == [] and row["note"] and row["note"] in done.stdout
