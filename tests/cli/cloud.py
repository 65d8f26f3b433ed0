"""The program before a server of our own that speaks as cloud models do."""

import base64
import json
import os
import sys

import pytest
from engine import ROOT

sys.path.insert(0, str(ROOT / "tests/nvidia"))
import protocol  # noqa: E402, F401
from server import Server  # noqa: E402

DETECT, DESCRIBE, EMBED = "/v1/cv/nvidia/retail-object-detection", "/v1/vlm/nvidia/nemotron-nano-12b-v2-vl", "/v1/embeddings"
KEY = "nvapi-test-0123456789"
QUICK = "{max_requests_per_minute: 100000, retry_delay: 0.05}"


@pytest.fixture
def server():
    made = Server()
    yield made
    made.close()


@pytest.fixture
def cloud(engine, server):
    """The program, with cloud models at the server, which are not on for analyze."""
    engine.environment |= {"NVIDIA_API_KEY": KEY, "NVIDIA_BASE_URL": f"{server.address}/v1"}
    configure(engine)
    return engine


def configure(engine, extra="", rate=QUICK, analysis=""):
    folder = engine.folder / "config/image-engine"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(f"{analysis}nvidia_build:\n  rate_limiting: {rate}\n{extra}")


def control(server, **settings):
    server.control("/control", json.dumps(settings).encode())


def of(server, path):
    return [request for request in server.requests if request["path"] == path]


def image_of(request):
    """The picture that was sent, as bytes."""
    return base64.b64decode(json.loads(request["body"])["image"])


def check_secrecy(engine, *outcomes):
    """The key is in nothing that was printed or written."""
    for outcome in outcomes:
        assert KEY.encode() not in outcome.out + outcome.err
    for folder, _, names in os.walk(engine.folder):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                assert KEY.encode() not in file.read(), f"{folder}/{name}"
