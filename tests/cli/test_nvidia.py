"""The nvidia commands before a server of our own: what is told, what leaves, what is kept."""

import base64
import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys

import numpy as np
import pytest
from cloud import DESCRIBE, DETECT, EMBED, KEY, Server, cloud, configure, protocol, server  # noqa: F401
from engine import DONE, FAILED, INTERRUPTED, ROOT, SAMPLES, USAGE, children, path_of, validate, wait_until
from PIL import Image, ImageOps

OWNER, PLACE = b"Camera of a person", b"Marienplatz"


@pytest.fixture
def secure():
    made = Server(tls=True)
    yield made
    made.close()


def use(engine, address):
    engine.environment["NVIDIA_BASE_URL"] = f"{address}/v1"


def control(server, **settings):
    server.control("/control", json.dumps(settings).encode())


def of(server, path):
    return [request for request in server.requests if request["path"] == path]


def sent(request):
    body = json.loads(request["body"])
    return base64.b64decode(body["image"])


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


def check_secrecy(engine, *outcomes):
    """The key is in nothing that was printed or written."""
    for outcome in outcomes:
        assert KEY.encode() not in outcome.out + outcome.err
    for folder, _, names in os.walk(engine.folder):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                assert KEY.encode() not in file.read(), f"{folder}/{name}"


def findings(document):
    return {finding["what"]: finding for finding in document["findings"]}


# check


def test_check_tells_what_holds(cloud, server):
    document = cloud.json("nvidia", "check")
    found = findings(document)
    assert document["well"] and not document["enabled"]
    assert found["key"]["found"] == "in the environment variable NVIDIA_API_KEY"
    assert "HTTP 200" in found[server.address]["found"] and "requests are left" in found[server.address]["found"]
    assert [(row["task"], row["on"], row["dialect"]) for row in document["endpoints"]] == [
        ("products", True, "inline"), ("descriptions", True, "inline"), ("vectors", False, "openai")]  # fmt: skip
    (request,) = server.requests
    assert request["method"] == "GET" and request["bytes"] == 0 and "Authorization" not in request["headers"]
    outcome = cloud.run("nvidia", "check")
    assert outcome.code == DONE and b"--call" in outcome.out
    check_secrecy(cloud, outcome)


def test_check_without_a_key_says_how_to_get_one_and_sends_nothing(engine, secure):
    engine.environment |= {"http_proxy": secure.address, "https_proxy": secure.address}
    outcome = engine.run("nvidia", "check")
    assert outcome.code == FAILED
    assert "NVIDIA_API_KEY not found in environment" in outcome.message and "build.nvidia.com" in outcome.message
    document = engine.json("nvidia", "check", expect=FAILED)
    assert not document["well"] and "build.nvidia.com" in findings(document)["key"]["advice"]
    for command in (["describe", SAMPLES / "photos/home.jpg"], ["detect", SAMPLES / "photos/home.jpg"], ["benchmark"]):
        outcome = engine.run("nvidia", *command)
        assert outcome.code == FAILED and "NVIDIA_API_KEY not found in environment" in outcome.message
    assert secure.requests == []


def test_check_needs_no_key_on_this_machine(cloud, server):
    del cloud.environment["NVIDIA_API_KEY"]
    found = findings(cloud.json("nvidia", "check", "--call"))
    assert "none is needed" in found["key"]["found"]
    assert "answered" in found["call: products"]["found"]
    assert all("Authorization" not in request["headers"] for request in server.requests)


@pytest.mark.parametrize("place", ["default", "named"])
def test_check_names_the_file_with_the_key(cloud, server, place):
    del cloud.environment["NVIDIA_API_KEY"]
    file = cloud.folder / ("config/image-engine/.env" if place == "default" else "secrets.env")
    file.write_text(f"NVIDIA_BASE_URL=http://127.0.0.1:1\nexport NVIDIA_API_KEY='{KEY}'\n")
    flags = [] if place == "default" else ["--env-file", file]
    document = cloud.json("nvidia", "check", "--call", *flags)
    assert findings(document)["key"]["found"] == f"in {file}"
    assert of(server, DETECT)[0]["headers"]["Authorization"] == f"Bearer {KEY}"
    assert KEY not in json.dumps(document)
    outcome = cloud.run("nvidia", "check", "--env-file", cloud.folder / "absent.env")
    assert outcome.code == USAGE and "absent.env" in outcome.message


def test_a_key_with_a_line_break_is_refused_and_not_shown(cloud, server):
    cloud.environment["NVIDIA_API_KEY"] = KEY + "\nX-Other: 1"
    outcome = cloud.run("nvidia", "check", "--call")
    assert outcome.code != DONE and "NVIDIA_API_KEY" in outcome.message
    check_secrecy(cloud, outcome)
    assert server.requests == []


def test_check_calls_each_endpoint_that_is_on_once(cloud, server):
    configure(cloud, "  embedding: {model: nvidia/nvclip}\n")
    found = findings(cloud.json("nvidia", "check", "--call"))
    for name in ("products", "descriptions", "vectors"):
        assert "answered" in found[f"call: {name}"]["found"]
    assert [len(of(server, path)) for path in (DETECT, DESCRIBE, EMBED)] == [1, 1, 1]
    seen = Image.open(io.BytesIO(sent(of(server, DETECT)[0])))
    assert seen.format == "JPEG" and seen.size == (64, 64)
    configure(cloud, "  retail_detection: {enabled: false}\n")
    control(server, forget=True)
    found = findings(cloud.json("nvidia", "check", "--call"))
    assert found["products"]["found"] == "off" and "call: products" not in found
    assert [len(of(server, path)) for path in (DETECT, DESCRIBE, EMBED)] == [0, 1, 0]


def test_check_calls_cloud_functions_as_analyze_does(cloud, server):
    configure(cloud, f"  privacy: {{exclude: ['*'], exclude_people: true}}\n  assets_url: {server.address}/v2/nvcf\n"
                     "  retail_detection: {dialect: nvcf}\n")  # fmt: skip
    assert cloud.json("nvidia", "check", "--call")["well"]
    (upload,) = [request for request in server.requests if request["path"].startswith("/upload")]
    assert "video/mp4" in upload["headers"].values() and upload["bytes"] > 100
    assert {entry["about"] for entry in cloud.json("nvidia", "log")["sent"]} == {"nvidia check", ""}, "no path"


def test_vectors_are_on_where_their_model_is_wanted(cloud, server):
    configure(cloud, "analysis: {ml_models: {embedding_model: nvclip}}\n")
    assert "answered" in findings(cloud.json("nvidia", "check", "--call"))["call: vectors"]["found"]
    assert len(of(server, EMBED)) == 1


@pytest.mark.parametrize("status, title, helps", [
    (401, "Unauthorized", "key"), (403, "Forbidden", "key"), (402, "Payment Required", "credits"),
    (404, "Not Found", "model"), (410, "Gone", "model"), (422, "Unprocessable Entity", "dialect"),
    (429, "Too Many Requests", "max_requests_per_minute"), (500, "Internal Server Error", "")])  # fmt: skip
def test_check_explains_what_a_server_refuses(cloud, server, status, title, helps):
    body = json.dumps({"status": status, "title": title, "detail": "not you, $AUTHORIZATION"})
    control(server, faults=[{"path": DETECT, "status": status, "body": body, "times": -1}])
    outcome = cloud.run("nvidia", "check", "--call", "--json")
    assert outcome.code == FAILED
    document = outcome.document()
    failed = findings(document)["call: products"]
    assert not document["well"] and not failed["well"]
    assert "cv/nvidia/retail-object-detection" in failed["found"] and str(status) in failed["found"]
    assert helps in failed["advice"]
    assert findings(document)["call: descriptions"]["well"] == (status != 402), "credits are for all"
    assert len(of(server, DETECT)) == 1, "no other try"
    check_secrecy(cloud, outcome)


def test_check_tells_answers_that_are_none(cloud, server):
    control(server, faults=[{"path": DETECT, "body": "<html>Welcome to the hotel</html>", "times": -1,
                             "headers": {"Content-Type": "text/html"}}])  # fmt: skip
    failed = findings(cloud.json("nvidia", "check", "--call", expect=FAILED))["call: products"]
    assert not failed["well"] and "dialect" in failed["advice"]


def test_check_tells_servers_that_cannot_be_reached(cloud, server):
    use(cloud, "http://127.0.0.1:1")
    document = cloud.json("nvidia", "check", expect=FAILED)
    failed = findings(document)["http://127.0.0.1:1"]
    assert not failed["well"] and "NVIDIA_BASE_URL" in failed["advice"]
    use(cloud, "https://no-such-host.invalid")
    failed = findings(cloud.json("nvidia", "check", expect=FAILED))["https://no-such-host.invalid"]
    assert not failed["well"] and "network" in failed["advice"]
    use(cloud, "http://example.org")
    outcome = cloud.run("nvidia", "check")
    assert outcome.code in (FAILED, USAGE) and "http" in outcome.message
    use(cloud, server.address)
    control(server, faults=[{"path": "/v1/models", "status": 503}])
    assert not findings(cloud.json("nvidia", "check", expect=FAILED))[server.address]["well"]
    cloud.json("nvidia", "check")


def test_check_trusts_known_certificates_only(cloud, secure):
    use(cloud, secure.address)
    failed = findings(cloud.json("nvidia", "check", "--call", expect=FAILED))
    assert "certificate" in failed[secure.address]["found"].lower() and "SSL_CERT_FILE" in failed[secure.address]["advice"]
    assert not failed["call: products"]["well"] and secure.requests == []
    cloud.environment["SSL_CERT_FILE"] = secure.certificate
    assert cloud.json("nvidia", "check", "--call")["well"]
    assert of(secure, DETECT)[0]["headers"]["Authorization"] == f"Bearer {KEY}"
    assert "Authorization" not in of(secure, "/v1/models")[0]["headers"]


def test_check_counts_what_is_left_of_the_rate(cloud, server):
    configure(cloud, rate="{max_requests_per_minute: 60}")
    cloud.json("nvidia", "check", "--call")
    left = findings(cloud.json("nvidia", "check"))[server.address]["found"]
    assert 50 <= int(left.split("; ")[1].split()[0]) <= 59


# describe and detect


def test_describe_sends_pixels_and_no_more(cloud, server, photo):
    document = cloud.json("nvidia", "describe", photo)
    (request,) = server.requests
    assert request["path"] == DESCRIBE and request["headers"]["Authorization"] == f"Bearer {KEY}"
    data = sent(request)
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
    seen = Image.open(io.BytesIO(sent(server.requests[1]))).size
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


# benchmark


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


def test_each_has_help(engine):
    for command in ([], ["check"], ["describe"], ["detect"], ["cache"], ["cache", "clear"], ["log"], ["benchmark"]):
        outcome = engine.run("nvidia", *command, "--help")
        assert outcome.code == DONE and b"Examples:" in outcome.out, command
    assert engine.run("nvidia").code == USAGE


# Keys


def without_a_key(cloud):
    del cloud.environment["NVIDIA_API_KEY"]
    cloud.environment["NVIDIA_BASE_URL"] = "https://cloud.invalid/v1"  # a server elsewhere needs a key
    work = cloud.folder / "work"
    work.mkdir()
    (work / ".env").write_text(f"NVIDIA_API_KEY={KEY}\n")
    (work / ".env").chmod(0o600)
    return work


def test_a_key_in_the_current_folder_is_taken_and_named_before_it_goes_out(cloud, server):
    del cloud.environment["NVIDIA_API_KEY"]
    file = cloud.folder / ".env"
    file.write_text(f"NVIDIA_API_KEY={KEY}\n")
    outcome = cloud.run("nvidia", "detect", SAMPLES / "photos/home.jpg", cwd=cloud.folder)
    assert outcome.code == DONE, outcome.message
    assert of(server, DETECT)[0]["headers"]["Authorization"] == f"Bearer {KEY}"
    assert f"127.0.0.1:{server.address.rpartition(':')[2]} gets the key from {file}" in outcome.message
    assert f"{file}: others may read the key in it" in outcome.message and KEY not in outcome.message


@pytest.mark.parametrize("where", ["picked", "below", "analysed"])
def test_a_folder_of_pictures_brings_no_key(cloud, where):
    work = without_a_key(cloud)
    photo = work / "home.jpg"
    shutil.copy(SAMPLES / "photos/home.jpg", photo)
    picked = SAMPLES / "photos/home.jpg" if where == "analysed" else photo
    here = work
    if where == "below":
        here = work / "below"
        here.mkdir()
        shutil.move(work / ".env", here)
    if where == "analysed":
        cloud.analyze(work)
    outcome = cloud.run("nvidia", "detect", picked, cwd=here)
    assert outcome.code == FAILED and "NVIDIA_API_KEY not found" in outcome.message and f"--env-file {here / '.env'}" in outcome.message
    if where != "analysed":
        outcome = cloud.run("analyze", work, "--nvidia", "--yes", cwd=here)
        assert outcome.code == FAILED and "NVIDIA_API_KEY not found" in outcome.message


def test_a_key_that_others_could_have_put_there_is_refused(cloud):
    work = without_a_key(cloud)
    (work / ".env").chmod(0o620)
    outcome = cloud.run("nvidia", "detect", SAMPLES / "photos/home.jpg", cwd=work)
    assert outcome.code == FAILED and "others may write" in outcome.message and "chmod 600" in outcome.message
