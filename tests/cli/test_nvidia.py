"""The nvidia commands before a server of our own: what is told, what leaves, what is kept."""

import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess

import numpy as np
import pytest
from cloud import DESCRIBE, DETECT, KEY, check_secrecy, cloud, configure, control, image_of, server  # noqa: F401
from engine import DONE, FAILED, INTERRUPTED, ROOT, SAMPLES, USAGE, children, path_of, wait_until
from PIL import Image, ImageOps

OWNER, PLACE = b"Camera of a person", b"Marienplatz"


@pytest.fixture
def photo(photos):
    """A sample photo that says who took it and where, turned by its EXIF."""
    path = photos / "trip.jpg"
    image = Image.open(SAMPLES / "photos/messi5.jpg").convert("RGB")
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = OWNER.decode(), 6
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 14.0), 3: "E", 4: (11.0, 34.0, 31.0)})
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><city>' + PLACE + b"</city></x:xmpmeta>"
    image.save(path, "JPEG", exif=exif, xmp=xmp, comment=b"of " + OWNER, quality=90)
    data = path.read_bytes()
    assert OWNER in data and PLACE in data and b"Exif" in data
    return path


def upright(path):
    return ImageOps.exif_transpose(Image.open(path)).size


# describe and detect


def test_describe_sends_pixels_and_no_more(cloud, server, photo):
    document = cloud.json("nvidia", "describe", photo)
    (request,) = server.requests
    assert request["path"] == DESCRIBE and request["headers"]["Authorization"] == f"Bearer {KEY}"
    data = image_of(request)
    seen = Image.open(io.BytesIO(data))
    assert seen.format == "JPEG" and not set(seen.info) - {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert not seen.getexif() and not any(word in data for word in (OWNER, PLACE, b"Exif", b"adobe", b"xmpmeta"))
    assert OWNER not in request["body"] and photo.name.encode() not in request["body"]
    assert seen.width < seen.height, "upright"
    small = ImageOps.exif_transpose(Image.open(photo)).resize(seen.size)
    assert np.abs(np.asarray(small, float) - np.asarray(seen, float)).mean() < 8
    assert "bicycle" in document["text"] and path_of(document) == os.fsencode(photo)
    assert (document["from_cache"], document["requests"]) == (False, 1)
    assert document["prompt"] == json.loads(request["body"])["prompt"]


def test_a_prompt_of_ones_own_is_asked_and_kept_apart(cloud, server, photo):
    cloud.json("nvidia", "describe", photo)
    assert cloud.json("nvidia", "describe", photo, "--prompt", "What is it?")["prompt"] == "What is it?"
    assert [json.loads(request["body"])["prompt"] for request in server.requests][1:] == ["What is it?"]
    assert cloud.json("nvidia", "describe", photo, "--prompt", "What is it?")["from_cache"]
    assert len(server.requests) == 2
    assert "bicycle" in cloud.json("nvidia", "describe", photo, "--prompt", b"caf\xe9 \x1b[2J")["text"]


def test_detect_gives_boxes_of_the_original(cloud, server, photo):
    document = cloud.json("nvidia", "detect", photo)
    width, height = upright(photo)
    assert (document["width"], document["height"]) == (width, height)
    products = document["retail_products"]
    assert [found["class"] for found in products["detections"]] == ["bottle", "package", "bottle"]
    assert products["detections"][0]["bbox"] == pytest.approx(
        [0.125 * width, 0.25 * height, 0.25 * width, 0.5 * height], abs=1)  # fmt: skip
    assert products["dominant_products"] == ["bottle", "package"]
    assert json.loads(server.requests[0]["body"])["confidence_threshold"] == 0.7

    known = {"predictions": [{"class": "can", "confidence": 0.4, "bbox": [10, 20, 30, 40]}]}
    control(server, faults=[{"path": DETECT, "body": json.dumps(known)}])
    document = cloud.json("nvidia", "detect", photo, "--confidence-threshold", "0.3")
    seen = Image.open(io.BytesIO(image_of(server.requests[1]))).size
    across, down = width / seen[0], height / seen[1]
    assert document["retail_products"]["detections"][0]["bbox"] == pytest.approx(
        [10 * across, 20 * down, 30 * across, 40 * down], abs=0.2)  # fmt: skip
    assert json.loads(server.requests[1]["body"])["confidence_threshold"] == 0.3


def test_a_large_photo_is_shrunk_and_its_boxes_are_not(cloud, server, photos):
    path = photos / "large.png"
    noise = np.random.default_rng(1).integers(0, 256, (2400, 3600, 3), np.uint8)
    Image.fromarray(noise).save(path)
    document = cloud.json("nvidia", "detect", path)
    assert len(json.loads(server.requests[0]["body"])["image"]) < 180_000
    assert document["retail_products"]["detections"][0]["bbox"] == pytest.approx([450, 600, 900, 1200], abs=8)


def test_people_get_a_table_and_a_sentence(cloud, server, photo):
    outcome = cloud.run("nvidia", "detect", photo)
    lines = outcome.out.decode().splitlines()
    assert outcome.code == DONE and lines[0].split() == ["class", "confidence", "x", "y", "width", "height"]
    assert lines[1].split()[:2] == ["bottle", "0.92"] and len(lines) == 4
    outcome = cloud.run("nvidia", "describe", photo)
    assert outcome.out.decode().startswith("A bicycle beside a ")
    assert outcome.message.count("\n") == 1 and "gets the key from the environment variable NVIDIA_API_KEY" in outcome.message
    control(server, faults=[{"path": DETECT, "body": '{"predictions": []}'}])
    outcome = cloud.run("nvidia", "detect", photo, "--confidence-threshold", "0.9")
    assert outcome.code == DONE and outcome.out == b"no products\n"
    outcome = cloud.run("nvidia", "detect", photo, "--confidence-threshold", "1.5")
    assert outcome.code == USAGE and "confidence_threshold" in outcome.message


def test_hostile_words_do_not_reach_the_terminal(cloud, server, photo):
    control(server, faults=[{"path": DESCRIBE, "body": json.dumps({"text": "a \x1b[2Jcat\x07"})}])
    outcome = cloud.run("nvidia", "describe", photo)
    assert outcome.code == DONE and b"\x1b" not in outcome.out and b"\x07" not in outcome.out


def test_the_second_time_nothing_is_sent(cloud, server, photo):
    first = cloud.json("nvidia", "describe", photo)
    again = cloud.run("nvidia", "describe", photo, "--json")
    document = again.document()
    assert document["from_cache"] and document["requests"] == 0 and "from the cache" in again.message
    assert document["text"] == first["text"] and len(server.requests) == 1
    copy = photo.with_name("copy.jpg")
    shutil.copy(photo, copy)
    assert cloud.json("nvidia", "describe", copy)["from_cache"], "the same picture elsewhere"
    assert cloud.json("nvidia", "cache")["waiting"] == 0, "what was shown waits for no catalogue"

    kept = cloud.json("nvidia", "cache")
    assert kept["answers"] == 1 and kept["bytes"] > 0
    assert cloud.json("nvidia", "cache", "clear", "--older-than", "1")["answers"] == 0
    assert cloud.json("nvidia", "cache", "clear") == {"schema": "image-engine/nvidia-cache-clear/1"} | {
        name: kept[name] for name in ("answers", "bytes")}  # fmt: skip
    assert cloud.json("nvidia", "cache")["answers"] == 0
    assert not cloud.json("nvidia", "describe", photo)["from_cache"]
    assert len(server.requests) == 2


def test_old_answers_alone_are_cleared(cloud, photo):
    cloud.json("nvidia", "describe", photo)
    cloud.json("nvidia", "detect", photo)
    kept = cloud.json("nvidia", "cache")
    answers = sorted(os.scandir(kept["folder"]), key=lambda entry: entry.name)
    assert len(answers) == kept["answers"] == 2
    hours_ago = os.stat(answers[0]).st_mtime - 3 * 3600
    os.utime(answers[0], (hours_ago, hours_ago))
    assert cloud.json("nvidia", "cache", "clear", "--older-than", "2")["answers"] == 1
    assert [entry.name for entry in os.scandir(kept["folder"])] == [answers[1].name]
    assert cloud.run("nvidia", "cache", "clear", "--older-than", "-1").code == USAGE


def test_analyze_takes_what_describe_has_paid_for(cloud, server, photo):
    cloud.json("nvidia", "describe", photo)
    cloud.json("nvidia", "detect", photo)
    control(server, forget=True)
    report = cloud.analyze(photo.parent, "--nvidia")["report"]["cloud"]
    assert server.requests == [] and report["at_hand"] == report["answers"] == 2


def test_an_address_is_sent_where_the_endpoint_takes_one(cloud, server, photo):
    address = "https://user:password@example.org/photo.jpg?signature=secret"
    outcome = cloud.run("nvidia", "describe", address)
    assert outcome.code == FAILED and "give a file" in outcome.message
    assert cloud.run("nvidia", "detect", address).code == FAILED
    configure(cloud, "  vision_language: {dialect: openai, model: some/model}\n")
    for wrong in ("http://example.org/photo.jpg", "ftp://example.org/photo.jpg", "file:///etc/passwd"):
        outcome = cloud.run("nvidia", "describe", wrong)
        assert outcome.code == USAGE and "https://" in outcome.message
    assert server.requests == []
    outcome = cloud.run("nvidia", "describe", address, "--json")
    document = outcome.document()
    (request,) = server.requests
    parts = json.loads(request["body"])["messages"][0]["content"]
    assert address in [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    assert document["url"] == "https://example.org/photo.jpg" and not document["from_cache"]
    assert b"secret" not in outcome.out + outcome.err
    assert b"secret" not in (cloud.folder / "data/image-engine/nvidia/sent.jsonl").read_bytes()


def test_what_is_excluded_is_refused(cloud, server, photos, photo):
    private = photos / "private/trip.jpg"
    private.parent.mkdir()
    shutil.copy(photo, private)
    link = photos / "link.jpg"
    link.symlink_to(private)
    configure(cloud, "  privacy: {exclude: ['private/']}\n")
    for path in (private, link):
        for command in ("describe", "detect"):
            outcome = cloud.run("nvidia", command, path)
            assert outcome.code == FAILED and "privacy.exclude" in outcome.message and str(path) in outcome.message
    assert server.requests == []
    cloud.json("nvidia", "describe", photo)
    cloud.analyze(photos)
    outcome = cloud.run("nvidia", "detect", photo)  # the same picture as the private one, as the catalogue knows by now
    assert outcome.code == FAILED and "privacy.exclude" in outcome.message
    assert len(server.requests) == 1


def test_people_are_not_sent_where_they_are_held_back(cloud, server, photo):
    configure(cloud, "  privacy: {exclude_people: true}\n")
    outcome = cloud.run("nvidia", "describe", photo)
    assert outcome.code == FAILED and "exclude_people" in outcome.message and server.requests == []


def test_people_who_were_found_are_named_as_the_reason(cloud, server, photo):
    cloud.environment["IMAGE_ENGINE_MODELS"] = str(ROOT / "build/models")
    empty = photo.with_name("empty.jpg")
    shutil.copy(SAMPLES / "photos/bythewater.jpg", empty)
    cloud.analyze(photo.parent, "--only", "objects")
    with sqlite3.connect(cloud.catalogue) as catalogue:  # photo lies on its side
        catalogue.execute("UPDATE records SET data = ? WHERE stage = 'objects' AND asset_id IN (SELECT asset_id FROM files WHERE path = ?)",
                          (json.dumps({"objects": [{"object": "person", "confidence": 0.9}]}), bytes(photo)))  # fmt: skip
    catalogue.close()
    configure(cloud, "  privacy: {exclude_people: true}\n")
    outcome = cloud.run("nvidia", "describe", photo)
    assert outcome.code == FAILED and "people are in it" in outcome.message and server.requests == []
    cloud.json("nvidia", "describe", empty)


def test_detect_by_cloud_functions_cleans_up(cloud, server, photo):
    configure(cloud, f"  assets_url: {server.address}/v2/nvcf\n  retail_detection: {{dialect: nvcf}}\n")
    document = cloud.json("nvidia", "detect", photo)
    width, height = upright(photo)
    assert document["retail_products"]["detections"][0]["bbox"] == pytest.approx(
        [0.125 * width, 0.25 * height, 0.25 * width, 0.5 * height], abs=1)  # fmt: skip
    assert not any(OWNER in request["body"] or PLACE in request["body"] for request in server.requests)
    assert [request["method"] for request in server.requests if "/assets" in request["path"]] == ["POST", "DELETE"]
    assert all(KEY not in str(request["headers"]) for request in server.requests if request["path"].startswith("/upload"))


def test_what_is_no_photo_is_told(cloud, server, photos):
    video = photos / "film.mp4"
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=duration=1:size=64x48", "-y", video], check=True)
    outcome = cloud.run("nvidia", "describe", video)
    assert outcome.code == FAILED and "video" in outcome.message and "frame" in outcome.message
    (photos / "broken.jpg").write_bytes((SAMPLES / "photos/home.jpg").read_bytes()[:200])
    (photos / "empty.jpg").touch()
    os.mkfifo(photos / "pipe.jpg")
    for name in ("broken.jpg", "empty.jpg", "absent.jpg", "pipe.jpg", "."):
        outcome = cloud.run("nvidia", "detect", photos / name, timeout=30)
        assert outcome.code == FAILED and outcome.message.startswith("image-engine: "), name
    assert server.requests == []


def test_names_of_any_bytes(cloud, photo):
    path = os.fsencode(photo.parent) + b"/caf\xe9.jpg"
    shutil.copy(photo, path)
    assert path_of(cloud.json("nvidia", "detect", path)) == path


@pytest.mark.parametrize("status", [401, 403, 404, 422])
def test_what_a_server_refuses_is_told_once(cloud, server, photo, status):
    control(server, faults=[{"path": "/v1", "status": status, "body": "no, $AUTHORIZATION", "times": -1}])
    outcome = cloud.run("nvidia", "describe", photo)
    assert outcome.code == FAILED and str(status) in outcome.message and outcome.out == b""
    assert len(server.requests) == 1
    check_secrecy(cloud, outcome)


def test_trouble_that_passes_is_tried_again(cloud, server, photo):
    control(server, faults=[{"path": DESCRIBE, "status": 503}])
    assert cloud.json("nvidia", "describe", photo)["requests"] == 2


def test_the_key_is_seen_by_nobody(cloud, server, photo):
    control(server, latency=1.5)
    process = cloud.start("nvidia", "describe", photo)
    wait_until(lambda: server.requests, "the request")
    ours = ",".join(map(str, [process.pid, *children(process.pid)]))  # with arguments and environments
    listed = subprocess.run(["ps", "-ww", "-o", "args", "-p", ours, "e"], capture_output=True, check=True).stdout
    mine = subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(process.pid)], capture_output=True, check=True).stdout
    assert b"describe" in mine and KEY.encode() not in listed
    out, err = process.communicate(timeout=30)
    assert process.returncode == DONE and KEY.encode() not in out + err
    check_secrecy(cloud)


def test_interrupted_while_it_waits(cloud, server, photo):
    control(server, faults=[{"path": DESCRIBE, "status": 503, "headers": {"Retry-After": "60"}, "times": -1}])
    process = cloud.start("nvidia", "describe", photo)
    wait_until(lambda: server.requests, "the request")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == INTERRUPTED


# log


def test_the_log_tells_what_left(cloud, server, photo):
    assert cloud.json("nvidia", "log")["sent"] == []
    assert cloud.run("nvidia", "log").out == b"nothing was sent\n"
    cloud.json("nvidia", "describe", photo)
    control(server, faults=[{"path": DETECT, "status": 422}])
    cloud.run("nvidia", "detect", photo)
    first, second = cloud.json("nvidia", "log")["sent"]
    assert (first["endpoint"], first["status"], first["about"]) == (DESCRIBE[4:], 200, str(photo))
    assert first["bytes"] == server.requests[0]["bytes"] and first["host"] == f"127.0.0.1:{server.port}"
    assert second["status"] == 422
    assert cloud.json("nvidia", "log", "--limit", "1")["sent"] == [second]
    assert len(cloud.run("nvidia", "log").out.splitlines()) == 3
    log = cloud.folder / "data/image-engine/nvidia/sent.jsonl"
    log.write_bytes(b'\xff\xfe{"time"\n[1]\nnull\n{"time": "now", "bytes": -1}\n' + log.read_bytes() + b'{"time": "cut')
    assert cloud.json("nvidia", "log")["sent"] == [first, second]


def test_each_has_help(engine):
    for command in ([], ["check"], ["describe"], ["detect"], ["cache"], ["cache", "clear"], ["log"], ["benchmark"]):
        outcome = engine.run("nvidia", *command, "--help")
        assert outcome.code == DONE and b"Examples:" in outcome.out, command
    assert engine.run("nvidia").code == USAGE
