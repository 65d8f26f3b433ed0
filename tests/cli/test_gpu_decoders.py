"""Photos decoded on two GPUs: a driver stands in for NVIDIA's (tests/gpu/fake_cuda), and for each GPU's decoder a program
that decodes on the CPU (tests/gpu_worker/on_cpu), of which some crash, hang or lie at pictures of 13 pixels' width."""

import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from engine import PROGRAM, Engine, real_worker

GPU_WORKERS = Path(os.environ.get("IMAGE_ENGINE_GPU_WORKERS", PROGRAM.parent / "gpu_workers"))
FAKE_CUDA = os.environ.get("IMAGE_ENGINE_FAKE_CUDA", str(PROGRAM.parent.parent / "tests/fake_cuda"))
PHOTOS = 60


@pytest.fixture
def library(folder):
    """Photos of which each is another; the 13 columns wide ones, of which each batch has one, are those that decoders misbehave at."""
    photos = folder / "photos"
    photos.mkdir()
    for i in range(PHOTOS):
        size = (13, 40) if i % 4 == 2 else (320, 240)
        Image.linear_gradient("L").resize(size).convert("RGB").point(lambda value, i=i: value * (40 + i) // 100).save(photos / f"{i:03}.jpg", quality=90)
    return photos


@pytest.fixture
def with_gpus(folder):
    """A copy of the program beside which decoders of these manners stand, one for each GPU."""

    def make(*manners):
        programs = folder / "program/bin"
        programs.mkdir(parents=True)
        shutil.copy2(PROGRAM, programs / "image-engine")
        (programs / "image-engine-worker").symlink_to(real_worker())
        decoder = programs / "image-engine-gpu-worker"
        cases = "".join(f'{device}) exec "{GPU_WORKERS}/{manner}" "$@" ;;\n' for device, manner in enumerate(manners))
        decoder.write_text(f'#!/bin/sh\n[ "$1" = --device ] || exit 1\ncase "$2" in\n{cases}esac\n')
        decoder.chmod(0o755)
        share = folder / "program/share/image-engine"
        share.mkdir(parents=True)
        (share / "config").symlink_to(Path(__file__).resolve().parents[2] / "config")
        engine = Engine(folder, programs / "image-engine")
        engine.environment["IMAGE_ENGINE_CUDA"] = FAKE_CUDA
        return engine

    return make


def settings(folder, **more):
    """All photos go to GPUs, as these are ready before the first is read."""
    path = folder / "gpus.yaml"
    path.write_text(json.dumps({"inference": {"gpu_decode": "on", **more}, "processing": {"workers": 2}, "worker": {"timeout_seconds": 3}}))
    return "--config", path


def assert_whole(engine, report):
    assert (report["analysed"], report["failed"], report["failed_files"]) == (PHOTOS, 0, 0)
    assert engine.failures() == {}
    assert engine.rows("SELECT count(DISTINCT asset_id) FROM records WHERE stage = 'quality'") == [(PHOTOS,)]


def test_all_gpus_decode(with_gpus, folder, library):
    engine = with_gpus("good", "good")
    trace = folder / "trace.json"
    report = engine.analyze(library, *settings(folder), "--trace", trace)["report"]
    assert_whole(engine, report)
    done = report["decoded_on_gpu"]
    assert [one["device"] for one in done["decoders"]] == ["cuda:0", "cuda:1"]
    assert all(one["hardware"] > 0 and one["deaths"] == 0 for one in done["decoders"])
    assert sum(one["hardware"] for one in done["decoders"]) == done["hardware"] == PHOTOS
    lanes = {lane["lane"]: lane for lane in report["gpu_lanes"]}
    assert [lanes[f"cuda:{i} decoder #1"]["runs"] for i in (0, 1)] == [one["hardware"] for one in done["decoders"]]
    engines = [lanes[f"cuda:{i} JPEG engine #1"] for i in (0, 1)]  # of the stand-ins' pictures, those that follow each other
    assert all(0 < lane["runs"] <= one["hardware"] for lane, one in zip(engines, done["decoders"], strict=True))
    assert all(0 < lane["busy_seconds"] + lane["idle_seconds"] <= report["seconds"] for lane in engines)
    assert "cuda:1 decoder #1" in trace.read_text() and "cuda:0 JPEG engine #1" in trace.read_text()


def test_two_decoders_on_one_gpu(with_gpus, folder, library):
    engine = with_gpus("good")
    report = engine.analyze(library, *settings(folder, device="cuda:0", gpu_decoders=2))["report"]
    assert_whole(engine, report)
    done = report["decoded_on_gpu"]
    assert [one["device"] for one in done["decoders"]] == ["cuda:0", "cuda:0"]
    assert all(one["hardware"] > 0 for one in done["decoders"]) and done["hardware"] == PHOTOS
    text = engine.run("analyze", library, *settings(folder, device="cuda:0", gpu_decoders=2), "--redo", "quality").out.decode()
    assert f"Decoded on the GPU: {PHOTOS} photos" in text and "by cuda:0" not in text  # there is no other


def test_which_of_two_decoders_on_one_gpu_died(with_gpus, folder, library):
    engine = with_gpus("crash")
    report = engine.analyze(library, *settings(folder, device="cuda:0", gpu_decoders=2))["report"]
    assert_whole(engine, report)
    assert report["decoded_on_gpu"]["decoders"][0]["deaths"] > 0
    assert any(note.startswith("decoder #1 of cuda:0 ") for note in report["notes"]), report["notes"]


@pytest.mark.parametrize("manner", ["crash", "hang", "liar"])
def test_a_gpu_that_fails_in_the_middle_loses_no_photo(with_gpus, folder, library, manner):
    engine = with_gpus(manner, "good")
    report = engine.analyze(library, *settings(folder))["report"]
    assert_whole(engine, report)
    first, second = report["decoded_on_gpu"]["decoders"]
    assert first["deaths"] > 0 and second["deaths"] == 0 and second["hardware"] > 0
    assert any("cuda:0" in note and ("others decode" in note or "others do" in note) for note in report["notes"]), report["notes"]


def test_a_gpu_that_does_not_start_leaves_all_to_the_other(with_gpus, folder, library):
    engine = with_gpus("stillborn", "good")
    report = engine.analyze(library, *settings(folder))["report"]
    assert_whole(engine, report)
    first, second = report["decoded_on_gpu"]["decoders"]
    assert (first["hardware"], second["hardware"]) == (0, PHOTOS)
    assert any(note.startswith("cuda:0 decodes no more photos") and "make setup GPU=1" in note for note in report["notes"])


def test_the_cpu_decodes_what_all_gpus_lose(with_gpus, folder, library):
    engine = with_gpus("crash", "crash")
    report = engine.analyze(library, *settings(folder))["report"]
    assert_whole(engine, report)
    assert report["decoded_on_gpu"]["deaths"] >= 2 and report["decoded_on_gpu"]["hardware"] < PHOTOS


def test_no_gpu_starts(with_gpus, folder, library):
    engine = with_gpus("stillborn", "stillborn")
    refused = engine.run("analyze", library, *settings(folder))
    assert refused.code == 1 and "inference.gpu_decode is on: nothing here" in refused.message
    report = engine.analyze(library, *settings(folder, gpu_decode="auto"))["report"]
    assert_whole(engine, report)
    assert any(note.startswith("photos are decoded on the CPU: nothing here") for note in report["notes"])


def test_doctor_starts_each_decoder(with_gpus):
    engine = with_gpus("good", "stillborn")
    findings = [finding for finding in engine.json("doctor")["findings"] if finding["what"].startswith("JPEGs on the GPU")]
    assert [(finding["what"], finding["found"], finding["well"]) for finding in findings] == [
        ("JPEGs on the GPU (cuda:0)", "by its JPEG engine and by CUDA", True),
        ("JPEGs on the GPU (cuda:1)", "not decoded", False),
    ]
    assert "make setup GPU=1" in findings[1]["advice"]
