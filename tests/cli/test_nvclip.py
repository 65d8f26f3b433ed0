"""Vectors that a server makes: analyze and search with an embedding endpoint, before a server of our own."""

import pytest
from cloud import KEY, configure, server  # noqa: F401
from engine import DONE, DONE_WITH_FAILURES
from PIL import Image

COLOURS = {"red": (220, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 220)}
PATHS = {"openai": "/v1/embeddings", "nim": "/embed", "prompts": "/nim/nvclip/embed"}


@pytest.fixture
def clip(engine, server, photos):
    """The program with NV-CLIP at the server and three pictures of one colour each."""
    engine.environment |= {"NVIDIA_API_KEY": KEY}
    speak(engine, server, "openai")
    for name, colour in COLOURS.items():
        Image.new("RGB", (320, 200), colour).save(photos / f"{name}.jpg", quality=95)
    return engine


def speak(engine, server, dialect):
    configure(
        engine,
        f"  embedding: {{url: '{server.address}{PATHS[dialect]}', dialect: {dialect}, model: nvidia/nvclip-vit-h-14}}\n"
        "  retail_detection: {enabled: false}\n"
        "  vision_language: {enabled: false}\n",
        analysis="analysis: {ml_models: {embedding_model: nvclip, object_model: none, text_model: none, sentence_model: none}}\n")


@pytest.mark.parametrize("dialect", PATHS)
def test_pictures_are_found_by_what_the_server_says_of_texts(clip, server, photos, dialect):
    speak(clip, server, dialect)
    report = clip.analyze(photos, "--nvidia")["report"]
    assert report["cloud"]["answers"] == report["cloud"]["requests"] == 3
    assert {request["path"] for request in server.requests} == {PATHS[dialect]}
    (space,) = clip.json("status")["spaces"]
    assert (space["model"], space["dimensions"], space["vectors"]) == ("nvclip", 1024, 3)
    server.requests.clear()
    # The server's sentence of a picture is its vector, too.
    hits = clip.json("search", "A bicycle beside a green wall.")["results"]
    assert hits[0]["path"].endswith("green.jpg")
    assert len(server.requests) == 1 and b"data:image" not in server.requests[0]["body"]
    clip.json("search", "A bicycle beside a green wall.")
    assert len(server.requests) == 1, "a text's vector is kept"
    assert clip.analyze(photos, "--nvidia")["report"]["cloud"]["requests"] == 0
    similar = clip.json("similar", photos / "red.jpg")["results"]
    assert len(similar) == 2


def test_nothing_is_sent_without_being_asked(clip, server, photos):
    outcome = clip.run("analyze", photos)
    assert outcome.code == DONE
    assert "nvclip runs on a server" in (outcome.out + outcome.err).decode()
    assert server.requests == []


def test_a_server_far_away_hears_no_search_unless_it_is_on(clip, server, photos):
    clip.analyze(photos, "--nvidia")
    server.requests.clear()
    path = clip.folder / "config/image-engine/config.yaml"
    path.write_text(path.read_text().replace(server.address, "https://embeddings.example"))
    assert any("whose server is not asked" in note for note in clip.json("search", "a green wall")["notes"])
    assert server.requests == []


def test_vectors_of_another_size_are_refused(clip, server, photos):
    specs = clip.folder / "config/image-engine/models"
    specs.mkdir(parents=True)
    (specs / "own.yaml").write_text("models:\n  own: {like: nvclip, options: {dimensions: 512}}\n")
    outcome = clip.run("analyze", photos, "--nvidia", "--embedding-model", "own")
    assert outcome.code == DONE_WITH_FAILURES, outcome.message
    failures = clip.json("failures")["failures"]
    assert {failure["stage"] for failure in failures} == {"embedding"}
    assert all("1024" in failure["message"] and "512" in failure["message"] for failure in failures)


def test_another_model_at_the_server_is_another_space(clip, server, photos):
    clip.analyze(photos, "--nvidia")
    path = clip.folder / "config/image-engine/config.yaml"
    path.write_text(path.read_text().replace("nvclip-vit-h-14", "another"))
    report = clip.analyze(photos, "--nvidia", "--upgrade", "embedding")["report"]
    assert report["cloud"]["requests"] == 3
    spaces = clip.json("status")["spaces"]
    assert [space["vectors"] for space in spaces] == [3, 3]
    assert any("search now uses nvclip" in note for note in report["notes"])
