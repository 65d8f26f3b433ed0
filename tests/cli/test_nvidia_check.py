"""`nvidia check`, and which keys are taken."""

import io
import json
import shutil

import pytest
from cloud import DESCRIBE, DETECT, EMBED, KEY, Server, check_secrecy, cloud, configure, control, image_of, of, server  # noqa: F401
from engine import DONE, FAILED, SAMPLES, USAGE
from PIL import Image


@pytest.fixture
def secure():
    made = Server(tls=True)
    yield made
    made.close()


def use(engine, address):
    engine.environment["NVIDIA_BASE_URL"] = f"{address}/v1"


def findings(document):
    return {finding["what"]: finding for finding in document["findings"]}


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
    seen = Image.open(io.BytesIO(image_of(of(server, DETECT)[0])))
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
