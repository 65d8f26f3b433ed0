"""`nvidia benchmark` before a server of our own."""

import base64
import io
import json
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from cloud import EMBED, check_secrecy, cloud, configure, control, of, protocol, server  # noqa: F401
from engine import DONE, FAILED, INTERRUPTED, ROOT, SAMPLES, USAGE, validate, wait_until
from PIL import Image


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    """The folder of a CLIP of the true architecture with random weights."""
    folder = tmp_path_factory.mktemp("clip")
    vocabulary = ROOT / "build/share/clip/bpe_simple_vocab_16e6.txt.gz"
    subprocess.run([sys.executable, ROOT / "tools/export/random_clip.py", "--output", folder, "--vocabulary", vocabulary],
                   check=True)  # fmt: skip
    return folder


@pytest.fixture
def with_clip(cloud, clip):
    specs = cloud.folder / "config/image-engine/models"
    specs.mkdir(parents=True, exist_ok=True)
    shutil.copy(clip / "pull.yaml", specs / "random-clip.yaml")
    assert cloud.run("models", "pull", "random-clip").code == DONE
    return cloud


@pytest.fixture
def five(photos):
    for number, name in enumerate(("baboon.jpg", "building.jpg", "fruits.jpg", "home.jpg", "orange.jpg")):
        shutil.copy(SAMPLES / "photos" / name, photos / f"{number}.jpg")
    return photos


def overlap_and_correlation(theirs, ours):
    """By numpy: of 4 nearest of 5 pictures all are the same; Spearman's correlation by Pearson's of mean ranks."""
    pairs = np.triu_indices(len(theirs), 1)

    def ranked(vectors):
        values = (vectors @ vectors.T)[pairs]
        return np.array([(np.sum(values < value) + np.sum(values <= value) - 1) / 2 for value in values])

    return 1.0, np.corrcoef(ranked(theirs), ranked(ours))[0, 1]


def test_benchmark_compares_with_the_model_here(with_clip, server, five):
    control(server, latency=0.02)
    out = with_clip.folder / "results.json"
    document = with_clip.json("nvidia", "benchmark", "--calls", "20", "--images", five, "--price-per-1000", "0.5", "-o", out)
    validate(json.loads(out.read_text()), "nvidia-benchmark")
    requests = of(server, EMBED)
    assert len(requests) == len(server.requests) == 21, "one that is not timed"
    assert len({request["body"] for request in requests}) == document["pictures"] == 5
    theirs, ours = document["cloud"], document["local"]
    assert (theirs["calls"], ours["calls"]) == (20, 20)
    assert (theirs["dimensions"], ours["dimensions"]) == (len(protocol.vector("")), 512)
    assert 20 <= theirs["median_ms"] <= theirs["p95_ms"] and theirs["pictures_per_second"] <= 50
    assert document["requests"] == 21 and document["sent_bytes"] == sum(request["bytes"] for request in requests)
    assert document["cost_per_1000_pictures"] == 0.5

    seen = [json.loads(request["body"])["input"][0].partition(",")[2] for request in requests[1:6]]
    pictures = [base64.b64decode(picture) for picture in seen]
    assert not any(Image.open(io.BytesIO(picture)).getexif() for picture in pictures)
    unit = np.array([protocol.vector_of(json.loads(request["body"])["input"][0]) for request in requests[1:6]])
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    with_clip.analyze(five)
    rows = with_clip.rows("SELECT e.vector FROM embeddings e JOIN files f ON f.asset_id = e.asset_id ORDER BY f.path")
    here = np.array([np.frombuffer(row[0], "<f2").astype(float) for row in rows])
    overlap, correlation = overlap_and_correlation(unit, here)
    assert document["agreement"]["neighbours"] == 4 and document["agreement"]["neighbour_overlap"] == overlap
    assert document["agreement"]["rank_correlation"] == pytest.approx(correlation, abs=0.05)
    check_secrecy(with_clip)


def test_benchmark_tells_people(with_clip, server, five):
    outcome = with_clip.run("nvidia", "benchmark", "--calls", "3", "--images", five)
    text = outcome.out.decode()
    assert outcome.code == DONE, outcome.message
    assert "random-clip" in text and "nvidia/nvclip" in text and "the price is not published" in text
    assert with_clip.json("nvidia", "benchmark", "--calls", "2", "--images", five)["agreement"] is None
    control(server, forget=True)
    assert with_clip.json("nvidia", "benchmark", "--calls", "2", "--images", five)["requests"] == 3, "nothing is kept"
    assert with_clip.json("nvidia", "cache")["answers"] == with_clip.json("nvidia", "cache")["waiting"] == 0


def test_waiting_for_slots_is_not_timed(with_clip, server, five):
    configure(with_clip, rate="{max_requests_per_minute: 120}")
    cloud = with_clip.json("nvidia", "benchmark", "--calls", "4", "--images", five)["cloud"]
    begun = [request["time"] for request in of(server, EMBED)]
    assert min(later - before for before, later in zip(begun, begun[1:], strict=False)) > 0.4
    assert cloud["mean_ms"] < 250


def test_benchmark_asks_before_much_is_sent(with_clip, server, five):
    outcome = with_clip.run("nvidia", "benchmark", "--calls", "200", "--images", five)
    assert outcome.code == USAGE and "--yes" in outcome.message and "201 calls" in outcome.message
    assert server.requests == []
    assert with_clip.json("nvidia", "benchmark", "--calls", "200", "--images", five, "--yes")["requests"] == 201
    configure(with_clip, "  max_requests: 5\n")
    outcome = with_clip.run("nvidia", "benchmark", "--calls", "200", "--images", five)
    assert outcome.code == FAILED and "used up" in outcome.message


def test_benchmark_keeps_private_pictures_here(with_clip, server, five):
    configure(with_clip, "  privacy: {exclude: ['3.jpg', '4.jpg']}\n")
    document = with_clip.json("nvidia", "benchmark", "--calls", "6", "--images", five)
    assert (document["pictures"], document["passed_over"]) == (3, 2)
    assert len({request["body"] for request in of(server, EMBED)}) == 3
    configure(with_clip, "  privacy: {exclude: ['*.jpg']}\n")
    control(server, forget=True)
    outcome = with_clip.run("nvidia", "benchmark", "--images", five)
    assert outcome.code == FAILED and "privacy.exclude" in outcome.message and server.requests == []


def test_benchmark_needs_both_sides(with_clip, server, five):
    control(server, faults=[{"path": EMBED, "status": 404, "times": -1}])
    outcome = with_clip.run("nvidia", "benchmark", "--images", five)
    assert outcome.code == FAILED and "embeddings" in outcome.message and "404" in outcome.message
    assert with_clip.run("models", "remove", "random-clip").code == DONE
    control(server, forget=True)
    outcome = with_clip.run("nvidia", "benchmark", "--images", five)
    assert outcome.code == FAILED and "models pull" in outcome.message and server.requests == []


def test_benchmark_is_interrupted(with_clip, server, five):
    control(server, latency=0.2)
    process = with_clip.start("nvidia", "benchmark", "--images", five)
    wait_until(lambda: len(server.requests) > 2, "some requests", 60)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == INTERRUPTED
