"""Vectors end to end, with a CLIP of the true architecture whose weights are random, or whose text tower is planted."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import hashlib
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from engine import DONE, FAILED, ROOT, SAMPLES, USAGE, Engine, continue_from, ended_or, fresh_folder, wait_until
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageOps
from slow_library import slow_engine

PHOTOS = SAMPLES / "photos"
VOCABULARY = ROOT / "build/share/clip/bpe_simple_vocab_16e6.txt.gz"
NAMES = ["baboon.jpg", "building.jpg", "chelsea.png", "fruits.jpg", "home.jpg", "messi5.jpg", "orange.jpg", "starry_night.jpg"]
MEAN, DEVIATION = np.array([0.48145466, 0.4578275, 0.40821073]), np.array([0.26862954, 0.26130258, 0.27577711])


def export(folder, *flags):
    subprocess.run([sys.executable, ROOT / "tools/export/random_clip.py", "--output", folder, *flags], check=True)
    return folder


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    """The folder of a random CLIP."""
    return export(tmp_path_factory.mktemp("clip"), "--vocabulary", VOCABULARY)


@pytest.fixture(scope="session")
def second_clip(tmp_path_factory):
    """The folder of another one."""
    return export(tmp_path_factory.mktemp("second"), "--vocabulary", VOCABULARY, "--seed", "2", "--name", "second-clip")


def install(engine, folder, name="random-clip"):
    """As a person would who has the files: a spec in the folder of one's own, then `models pull`. Once: then what that installed is linked."""
    specs = Path(engine.environment["XDG_CONFIG_HOME"]) / "image-engine/models"
    specs.mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / "pull.yaml", specs / f"{name}.yaml")
    kept, place = folder.with_name(folder.name + "-installed"), Path(engine.environment["XDG_DATA_HOME"]) / "image-engine/models" / name
    if not kept.exists():
        assert engine.run("models", "pull", name).code == DONE
        shutil.copytree(place, kept, copy_function=os.link)
    elif not place.exists():
        shutil.copytree(kept, place, copy_function=os.link)


def fill(photos):
    for name in NAMES:
        shutil.copy(PHOTOS / name, photos)
    assert len(list(photos.iterdir())) >= 6
    return photos


@pytest.fixture
def library(photos):
    return fill(photos)


def pixels(path):
    """What CLIP's processor makes of a picture: Pillow's bicubic to a short edge of 224, the middle, normalised."""
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    scale = 224 / min(image.size)
    image = image.resize([224 if side == min(image.size) else int(side * scale) for side in image.size], Image.BICUBIC)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    array = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float64) / 255
    return ((array - MEAN) / DEVIATION).transpose(2, 0, 1)[None].astype(np.float32)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def reference(folder, paths):
    session = onnxruntime.InferenceSession(folder / "clip_vision_fp32.onnx")
    return unit(np.concatenate([session.run(None, {"pixel_values": pixels(path)})[0] for path in paths]))


def vectors(engine):
    """The catalogue's vectors by file name, of the active space."""
    rows = engine.rows("SELECT f.path, e.vector FROM embeddings e JOIN files f ON f.asset_id = e.asset_id "
                       "JOIN spaces s ON s.id = e.space_id WHERE s.active = 1 AND s.stage = 'embedding'")  # fmt: skip
    return {Path(path.decode()).name: np.frombuffer(vector, "<f2").astype(np.float32) for path, vector in rows}


def test_vectors_are_the_references(engine, library, clip):
    install(engine, clip)
    assets = engine.analyze(library)["assets"]
    for asset in assets:
        (record,) = [record for record in asset["records"] if record["stage"] == "embedding"]
        assert (record["model"], record["device"], record["precision"]) == ("random-clip", "cpu", "fp32")
    ours, paths = vectors(engine), sorted(library.iterdir())
    expected = reference(clip, paths)
    cosines = [float(ours[path.name] @ row) for path, row in zip(paths, expected, strict=True)]
    assert min(cosines) >= 0.995, dict(zip([path.name for path in paths], cosines, strict=True))
    others = expected @ expected.T - np.eye(len(paths))
    assert others.max() < 0.99, "the reference must tell these pictures apart"
    assert engine.analyze(library)["assets"] == [], "nothing is embedded twice"


def test_similar_ranks_by_cosine(engine, library, clip):
    install(engine, clip)
    engine.analyze(library)
    paths = sorted(library.iterdir())
    expected = reference(clip, paths)
    for query in (0, len(paths) - 1):
        found = engine.json("similar", paths[query], "--distance", "0", "--limit", "100")["results"]
        cosine = {path.name: float(expected[query] @ row) for path, row in zip(paths, expected, strict=True)}
        assert paths[query].name not in [Path(one["path"]).name for one in found]
        for one in found:
            assert one["score"] == pytest.approx(cosine[Path(one["path"]).name], abs=0.02)
        scores = [one["score"] for one in found]
        assert scores == sorted(scores, reverse=True) and scores
    outside = engine.folder / "outside.jpg"
    shutil.copy(paths[0], outside)
    first = engine.json("similar", outside)["results"][0]
    assert Path(first["path"]).name == paths[0].name and first["score"] > 0.99


def planted(folder, clip, words):
    """A copy of that CLIP whose text tower gives, for these words, the vectors that they are planted with; all others share a few that mean nothing."""
    shutil.copytree(clip, folder)
    nothing = np.random.default_rng(5).standard_normal((64, 512)).astype(np.float32) * 0.01
    table = np.concatenate([nothing, *(10 * vector[None] for vector in words.values())])
    row_of = np.arange(49408) % len(nothing)
    row_of[list(words)] = np.arange(len(nothing), len(table))
    nodes = [
        helper.make_node("Gather", ["row_of", "input_ids"], ["numbers"]),
        helper.make_node("Gather", ["table", "numbers"], ["rows"]),
        helper.make_node("ReduceMean", ["rows"], ["text_embeds"], axes=[1], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes, "planted", [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"])],
        [helper.make_tensor_value_info("text_embeds", TensorProto.FLOAT, ["batch", 512])], [numpy_helper.from_array(table, "table"), numpy_helper.from_array(row_of, "row_of")])  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "clip_text_fp32.onnx")
    spec = (folder / "pull.yaml").read_text().replace(str(clip), str(folder))
    (folder / "pull.yaml").write_text(spec)
    return folder


def text_for(rows, cosines):
    """A vector of length 1 with these cosines to the rows."""
    inverse = np.linalg.pinv(rows)
    vector = inverse @ cosines
    aside = np.random.default_rng(3).standard_normal(rows.shape[1])
    aside -= inverse @ (rows @ aside)
    assert vector @ vector < 1
    return (vector + aside / np.linalg.norm(aside) * np.sqrt(1 - vector @ vector)).astype(np.float32)


def token(word):
    """The id of a word that CLIP's vocabulary has whole: bytes, bytes that end a word, then the merges in their order."""
    import gzip

    merges = gzip.open(VOCABULARY, "rt", encoding="utf-8").read().split("\n")[1 : 48894 + 1]
    return 512 + [merge.replace(" ", "") for merge in merges].index(word + "</w>")


def mean_what_is_listed(engine):
    """Scenes of the words below; no other models."""
    scenes, config = engine.folder / "scenes.yaml", engine.folder / "config.yaml"
    scenes.write_text("prompts: ['{}']\nlabels: [elephant, violin, something]\n")
    config.write_text(f"analysis:\n  ml_models:\n    scene_labels: {scenes}\n    object_model: none\n    action_model: none\n")
    engine.environment["IMAGE_ENGINE_CONFIG"] = str(config)


@pytest.fixture(scope="module")
def known(clip):
    """A library in which the words elephant and violin mean what two of its pictures show, analyzed; and the program that knows it."""
    with fresh_folder() as folder:
        (folder / "photos").mkdir()
        engine, library = Engine(folder), fill(folder / "photos")
        teach_words(engine, library, clip, folder / "planted")
        mean_what_is_listed(engine)
        engine.analyze(library)
        yield engine, library


@pytest.fixture
def meaningful(engine, known):
    """That library, with a copy of what is known of it."""
    other, library = known
    continue_from(engine, other)
    mean_what_is_listed(engine)
    return library


def teach_words(engine, library, clip, folder):
    paths = sorted(library.iterdir())
    rows, names = reference(clip, paths), [path.name for path in paths]
    words = {"elephant": "messi5.jpg", "violin": "fruits.jpg"}
    # As CLIP's are: 0.30 with what a text is about, 0.17 with anything else.
    rows_of_words = {token(word): text_for(rows, np.where(np.array(names) == name, 0.30, 0.17)) for word, name in words.items()}
    rows_of_words[token("something")] = text_for(rows, np.full(len(rows), 0.22))
    install(engine, planted(folder, clip, rows_of_words))


def names(document):
    return [Path(one["path"]).name for one in document["results"]]


def test_search_by_what_pictures_show(engine, meaningful):
    found = engine.json("search", "elephant")
    assert names(found) == ["messi5.jpg"], "the file's name does not say it, its vector does"
    assert [why["field"] for why in found["results"][0]["why"]][0] in ("looks like", "scene")
    assert names(engine.json("search", "violin"))[0] == "fruits.jpg"
    assert names(engine.json("search", "zebra")) == [], "what is not about the query is not shown"
    assert names(engine.json("search", "elephant type:png")) == []
    text = engine.json("similar", "--text", "elephant")
    assert names(text)[0] == "messi5.jpg" and text["results"][0]["score"] > 0.5


def test_scenes_are_scored_again_without_embedding(engine, meaningful, folder):
    scene = engine.show(meaningful / "messi5.jpg")["scene"]
    assert scene["label"] == "elephant" and scene["confidence"] > 0.9
    assert "messi5.jpg" in engine.search("scene:elephant")
    created = engine.rows("SELECT id, created FROM records WHERE stage = 'embedding'")
    (folder / "scenes.yaml").write_text("prompts: ['{}']\nlabels: [{match: elephant}, violin, something]\n")
    again = engine.analyze(meaningful)
    assert len(again["assets"]) == len(list(meaningful.iterdir()))
    assert engine.show(meaningful / "messi5.jpg")["scene"]["label"] == "match"
    assert engine.search("scene:elephant") == [] and "messi5.jpg" in engine.search("scene:match")
    assert engine.rows("SELECT id, created FROM records WHERE stage = 'embedding'") == created
    (folder / "scenes.yaml").write_text("prompts: ['{}']\nlabels: [violin, Violin]\n")
    broken = engine.run("analyze", meaningful)
    assert broken.code == USAGE and "analysis.ml_models.scene_labels" in broken.message and "scenes.yaml" in broken.message


CLIP_FPS = 10


@pytest.fixture(scope="module")
def encoded(tmp_path_factory):
    path = tmp_path_factory.mktemp("encoded") / "two.mp4"
    chain = "scale=640:480:force_original_aspect_ratio=increase,crop=640:480,setsar=1,format=yuv444p"
    inputs = [part for name in ("messi5.jpg", "fruits.jpg") for part in ("-loop", "1", "-framerate", str(CLIP_FPS), "-t", "3", "-i", PHOTOS / name)]
    subprocess.run(["ffmpeg", "-v", "error", "-y", *inputs, "-filter_complex", f"[0:v]{chain}[a];[1:v]{chain}[b];[a][b]concat=n=2[v]",
                    "-map", "[v]", "-c:v", "libx264", "-crf", "5", path], check=True)  # fmt: skip
    return path


@pytest.fixture
def video(encoded, folder):
    """Two of the library's pictures, 3 s each: messi5.jpg, then fruits.jpg."""
    (folder / "videos").mkdir()
    return shutil.copy(encoded, folder / "videos/two.mp4")


def frame(video, at, target):
    """FFmpeg's picture of that time."""
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-ss", str(at), "-i", video, "-frames:v", "1", target], check=True)
    return target


def test_frames_of_videos_are_searched_by_what_they_show(engine, meaningful, video, clip, folder):
    engine.analyze(video)
    rows = engine.rows("SELECT m.from_seconds, e.vector FROM moment_embeddings e JOIN moments m ON m.asset_id = e.asset_id AND m.moment = e.moment")
    assert len(rows) >= 2
    for at, vector in rows:
        (expected,) = reference(clip, [frame(video, at, folder / "frame.png")])
        assert float(np.frombuffer(vector, "<f2").astype(np.float32) @ expected) >= 0.99
    found = engine.json("search", "elephant")
    assert sorted(names(found)) == ["messi5.jpg", "two.mp4"], "photos and videos are one list"
    (moment,) = [one["moment"] for one in found["results"] if "moment" in one]
    assert 0 <= moment["from"] <= moment["at"] < moment["to"] <= 3.01
    (violin,) = engine.json("search", "violin type:video")["results"]
    assert violin["moment"]["from"] == pytest.approx(3, abs=0.11) and violin["moment"]["to"] > 5.5
    assert names(engine.json("search", "zebra type:video")) == []
    # What the scenes are called follows from the frames' vectors, too.
    assert names(engine.json("search", "scene:violin type:video")) == ["two.mp4"]
    document = engine.json("analyze-video", video)
    assert [moment["scenes"][0]["label"] for moment in document["moments"]] == ["elephant", "violin"]


def test_similar_goes_both_ways_between_photos_and_frames(engine, meaningful, video):
    engine.analyze(video)
    from_photo = engine.json("similar", meaningful / "fruits.jpg")["results"][0]
    assert Path(from_photo["path"]).name == "two.mp4" and 3 <= from_photo["moment"]["at"] < 6
    shown = engine.run("similar", meaningful / "fruits.jpg")
    assert "two.mp4 at 0:0" in shown.out.decode()
    from_frame = engine.json("similar", video, "--at", "0:04.5")
    assert names(from_frame)[0] == "fruits.jpg" and "two.mp4" not in names(from_frame)
    assert names(engine.json("similar", video, "--at", "1"))[0] == "messi5.jpg"
    refused = engine.run("similar", video)
    assert refused.code == USAGE and "--at" in refused.err.decode()
    assert engine.run("similar", video, "--at", "1:99").code == USAGE
    # One that is not in the catalogue is decoded.
    outside = engine.folder / "outside.mp4"
    shutil.copy(video, outside)
    assert names(engine.json("similar", outside, "--at", "4"))[:2] in (["fruits.jpg", "two.mp4"], ["two.mp4", "fruits.jpg"])


def test_scenes_of_videos_are_scored_again_without_decoding(engine, meaningful, video, folder):
    engine.analyze(video)
    created = engine.rows("SELECT id, created FROM records WHERE stage = 'video'")
    (folder / "scenes.yaml").write_text("prompts: ['{}']\nlabels: [{fiddle: violin}, elephant, something]\n")
    engine.analyze(video)
    assert names(engine.json("search", "scene:fiddle type:video")) == ["two.mp4"]
    assert names(engine.json("search", "scene:violin type:video")) == []
    assert engine.rows("SELECT id, created FROM records WHERE stage = 'video'") == created


def test_a_change_of_model_waits_for_videos(engine, library, clip, second_clip, video):
    install(engine, clip)
    engine.analyze(library, video)
    install(engine, second_clip, "second-clip")
    flags = ("--upgrade", "embedding", "--embedding-model", "second-clip")
    partly = engine.analyze(library, *flags)
    assert any("1 file is elsewhere not yet embedded with second-clip" in note for note in partly["report"]["notes"])
    whole = engine.analyze(video, *flags)
    assert any("search now uses second-clip" in note for note in whole["report"]["notes"])
    found = engine.json("similar", library / "fruits.jpg", "--distance", "0")["results"][0]
    assert Path(found["path"]).name == "two.mp4"


# What is said, as the catalogue has it once speech has been analyzed: from and to in seconds, text.
SPEECH = [(1, 2, "Has everybody got a glass?"), (3, 4, "Cheers to the happy couple,"), (4, 5.5, "may you have many wonderful years together."),
          (60, 62, "Press the red button for three seconds until the light blinks."), (120, 122, "The water is so cold, here comes a big wave.")]  # fmt: skip
FIRST_SPEECH = 1 << 24


def say(engine, path, speech):
    """Writes a transcript into the catalogue, as the analysis of speech does."""
    with sqlite3.connect(engine.catalogue) as catalogue:
        ((asset,),) = catalogue.execute("SELECT asset_id FROM files WHERE path = ?", (os.fsencode(path),))
        for table in ("moment_embeddings", "moment_records", "moments"):
            catalogue.execute(f"DELETE FROM {table} WHERE asset_id = ? AND moment >= ?", (asset, FIRST_SPEECH))
        for moment, (begin, end, text) in enumerate(speech, FIRST_SPEECH):
            words = [[" " + word, 0, round(100 * (end - begin)), 90] for word in text.split()]
            record = json.dumps({"language": "en", "confidence": 0.9, "words": words})
            catalogue.execute("INSERT INTO moments VALUES(?, ?, 'speech', ?, ?)", (asset, moment, begin, end))
            catalogue.execute("INSERT INTO moment_records(asset_id, stage, moment, data) VALUES(?, 'speech', ?, ?)", (asset, moment, record))
        catalogue.execute("INSERT INTO records(asset_id, stage, model, version, params, device, precision, data, created) "
                          "VALUES(?, 'speech', 'whisper', '1', '', 'cpu', 'int8', '{}', '2026-01-01T00:00:00Z') ON CONFLICT DO NOTHING", (asset,))  # fmt: skip
    catalogue.close()


def speech_vectors(engine):
    """The model, whether search uses it, and the moments that have vectors of it."""
    rows = engine.rows("SELECT s.model, s.active, e.moment FROM moment_embeddings e JOIN spaces s ON s.id = e.space_id "
                       "WHERE s.stage = 'speech_meaning' ORDER BY 1, 2, 3")  # fmt: skip
    found = {}
    for model, active, moment in rows:
        found.setdefault((model, active), []).append(moment - FIRST_SPEECH)
    return found


def install_sentences(engine, name="minilm"):
    """MiniLM, as it is shipped or, by another name, as a model of one's own."""
    folder = ROOT / "build/models/minilm"
    if name == "minilm":
        shutil.copytree(folder, Path(engine.environment["XDG_DATA_HOME"]) / "image-engine/models/minilm")
        return
    specs = Path(engine.environment["XDG_CONFIG_HOME"]) / "image-engine/models"
    specs.mkdir(parents=True, exist_ok=True)
    files = "".join(f"      - {{name: {file}, sha256: {hashlib.sha256((folder / file).read_bytes()).hexdigest()}, "
                    f"bytes: {(folder / file).stat().st_size}, sources: ['file:{folder / file}']}}\n" for file in ("minilm.onnx", "vocab.txt"))  # fmt: skip
    (specs / f"{name}.yaml").write_text(
        f"models:\n  {name}:\n    task: sentences\n    title: other sentences\n    version: '1'\n"
        f"    licence: {{name: Apache-2.0, permissive: true}}\n    files:\n{files}    file: minilm.onnx\n    options: {{dimensions: 384}}\n"
        "    text: {tokenizer: wordpiece, vocabulary: vocab.txt, context: 128, outputs: [last_hidden_state]}\n"
    )
    assert engine.run("models", "pull", name).code == DONE


def test_speech_is_found_by_its_meaning(engine, video):
    install_sentences(engine)
    engine.analyze(video)
    say(engine, video, SPEECH)
    assert engine.search("they toast") == [] and speech_vectors(engine) == {}
    engine.analyze(video)
    assert speech_vectors(engine) == {("minilm", 1): [0, 3, 4]}, "one of each passage, without reading the video again"
    (found,) = engine.json("search", "they toast")["results"]
    assert found["path"].endswith("two.mp4") and 0.5 <= found["score"] < 1
    quote = {"field": "said something like it", "text": "at 0:01: Has everybody got a glass? Cheers to the happy couple, may you have many wonderful years together."}
    assert found["why"] == [quote]
    assert found["moment"]["from"] == 1 and found["moment"]["why"] == [quote] and found["moment"]["score"] == found["score"]
    toast = found["score"]
    (found,) = engine.json("search", "ocean waves")["results"]
    assert found["moment"]["at"] == 120 and "cold" in found["why"][0]["text"]
    assert engine.search("quarterly revenue of the company") == []
    assert engine.search("they toast -name:two") == []
    out = engine.run("search", "they toast").out
    assert b"at 0:01: Has everybody" in out and f"({toast:.2f})\n".encode() in out
    (before,) = engine.rows("SELECT generation FROM spaces WHERE stage = 'speech_meaning'")
    engine.analyze(video)
    assert engine.rows("SELECT generation FROM spaces WHERE stage = 'speech_meaning'") == [before], "nothing is embedded twice"


def test_speech_that_is_analyzed_again_is_embedded_again(engine, video):
    install_sentences(engine)
    engine.analyze(video)
    say(engine, video, SPEECH)
    engine.analyze(video)
    say(engine, video, [(7, 9, "Turn right after the bakery, it is ten minutes on foot to the station.")])
    assert engine.search("they toast") == []
    engine.analyze(video, "--only", "hash")
    assert speech_vectors(engine) == {}, "it was not asked for"
    engine.analyze(video)
    assert engine.search("they toast") == []
    assert engine.json("search", "walking to the railway station")["results"][0]["moment"]["from"] == 7
    say(engine, video, [])
    engine.analyze(video)
    assert engine.search("walking to the railway station") == []


def test_another_model_of_speech(engine, video):
    install_sentences(engine)
    engine.analyze(video)
    say(engine, video, SPEECH)
    engine.analyze(video)
    install_sentences(engine, "other-sentences")
    config = engine.folder / "config.yaml"
    config.write_text("analysis:\n  ml_models:\n    sentence_model: other-sentences\n")
    engine.environment["IMAGE_ENGINE_CONFIG"] = str(config)
    assert engine.search("they toast") == ["two.mp4"], "by the model that made the vectors"
    engine.analyze(video)
    assert speech_vectors(engine) == {("minilm", 0): [0, 3, 4], ("other-sentences", 1): [0, 3, 4]}
    assert engine.search("they toast") == ["two.mp4"]
    shutil.rmtree(Path(engine.environment["XDG_DATA_HOME"]) / "image-engine/models/other-sentences")
    found = engine.json("search", "they toast")
    assert found["results"] == [] and any("models pull other-sentences" in note for note in found["notes"])
    config.write_text("analysis:\n  ml_models:\n    sentence_model: none\n")
    found = engine.json("search", "they toast")
    assert found["results"] == [] and not any("other-sentences" in note for note in found["notes"])


def test_change_of_model(engine, library, clip, second_clip):
    install(engine, clip)
    engine.analyze(library)
    before = vectors(engine)
    install(engine, second_clip, "second-clip")
    assert engine.analyze(library)["assets"] == [], "without --upgrade the library keeps its model"
    half = sorted(library.iterdir())[:3]
    partly = engine.analyze(*half, "--upgrade", "embedding", "--embedding-model", "second-clip")
    assert any("not yet embedded with second-clip" in note for note in partly["report"]["notes"])
    assert vectors(engine).keys() == before.keys() and all(np.array_equal(before[name], vectors(engine)[name]) for name in before)
    whole = engine.analyze(library, "--upgrade", "embedding", "--embedding-model", "second-clip")
    assert any("search now uses second-clip" in note for note in whole["report"]["notes"])
    assert len(whole["assets"]) == len(list(library.iterdir())), "each once"
    done_twice = engine.rows("SELECT vector_id FROM embedding_changes GROUP BY space_id HAVING max(generation) > count(*)")
    assert done_twice == [], "those that were done are not done again"
    after, paths = vectors(engine), sorted(library.iterdir())
    assert min(float(after[path.name] @ row) for path, row in zip(paths, reference(second_clip, paths), strict=True)) >= 0.995
    shutil.copy(PHOTOS / "butterfly.jpg", library)
    engine.analyze(library)
    assert "butterfly.jpg" in vectors(engine), "what is new is embedded with the new model"


def test_labels_are_learned(engine, library, clip):
    install(engine, clip)
    # Twelve views of one picture are one class; the others are the rest of the library.
    motif = Image.open(PHOTOS / "fruits.jpg").convert("RGB")
    for i in range(12):
        motif.crop((i % 3, i % 4, motif.width - i % 2, motif.height)).save(library / f"motif{i}.jpg", quality=70 + 2 * i)
    engine.analyze(library)
    few = [library / f"motif{i}.jpg" for i in (0, 6, 11)]
    taught = engine.json("label", "our bowl", "--add", *few, "--not", library / "baboon.jpg")
    assert (taught["positive"], taught["negative"], taught["object"]) == (3, 1, None)
    found = set(engine.search('tag:"our bowl"'))
    assert {f"motif{i}.jpg" for i in range(12)} <= found <= {f"motif{i}.jpg" for i in range(12)} | {"fruits.jpg"}
    Image.open(library / "motif4.jpg").save(library / "later.jpg", quality=60)
    engine.analyze(library)
    assert "later.jpg" in engine.search('tag:"our bowl"'), "pictures analysed later get it, too"
    assert [label["label"] for label in engine.json("label", "list")["labels"]] == ["our bowl"]
    corrected = engine.json("label", "our bowl", "--not", library / "motif5.jpg")
    assert corrected["negative"] == 2 and "motif5.jpg" not in engine.search('tag:"our bowl"')
    engine.json("label", "remove", "our bowl")
    assert engine.search('tag:"our bowl"') == []


def test_labels_are_found_in_videos(engine, library, clip, video):
    install(engine, clip)
    motif = Image.open(PHOTOS / "fruits.jpg").convert("RGB")
    for i in range(6):
        motif.crop((i % 3, i % 4, motif.width - i % 2, motif.height)).save(library / f"motif{i}.jpg", quality=70 + 2 * i)
    engine.analyze(library, video)
    taught = engine.json("label", "our bowl", "--add", *(library / f"motif{i}.jpg" for i in range(3)), "--not", library / "baboon.jpg")
    assert taught["found"] and "two.mp4" in engine.search('tag:"our bowl"')
    refused = engine.run("label", "our bowl", "--add", video)
    assert refused.code == FAILED and "is a video" in refused.message
    # One that is analyzed later has the time as well.
    later = video.with_name("later.mp4")
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", video, "-c", "copy", "-t", "5", later], check=True)
    engine.analyze(later)
    (found,) = [one for one in engine.json("search", 'tag:"our bowl"')["results"] if one["path"].endswith("later.mp4")]
    assert found["moment"]["from"] == pytest.approx(3, abs=0.11)


def test_labels_of_objects(engine, library, clip):
    """Real people, found by the real detector; a random CLIP tells the two photos' people apart."""
    install(engine, clip)
    shutil.copytree(ROOT / "build/models/nanodet", Path(engine.environment["XDG_DATA_HOME"]) / "image-engine/models/nanodet")
    for name in ("basketball1.png", "basketball2.png"):
        shutil.copy(PHOTOS / name, library)
    messi = Image.open(PHOTOS / "messi5.jpg").convert("RGB")
    for i in range(3):
        messi.crop((2 * i, i, messi.width, messi.height)).save(library / f"again{i}.png")
    engine.analyze(library)
    taught = engine.json("label", "our striker", "--object", "--add", library / "messi5.jpg", library / "again0.png",
                         "--not", library / "basketball1.png", library / "basketball2.png")  # fmt: skip
    assert taught["object"] == "person" and taught["positive"] == 2
    found = set(engine.search('tag:"our striker"'))
    assert {"messi5.jpg", "again0.png", "again1.png", "again2.png"} <= found and not {"basketball1.png", "basketball2.png"} & found
    (learned,) = engine.show(library / "again1.png")["learned"]
    people = [thing["bbox"] for thing in engine.show(library / "again1.png")["objects"] if thing["object"] == "person"]
    assert learned["label"] == "our striker" and learned["bbox"] in people, "it says which person"
    messi.crop((1, 1, messi.width, messi.height)).save(library / "later.png")
    engine.analyze(library)
    assert "later.png" in engine.search('tag:"our striker"')


def test_an_interrupted_upgrade_goes_on(engine, library, clip, second_clip, folder):
    install(engine, clip)
    fruits = Image.open(PHOTOS / "fruits.jpg").convert("RGB")
    for i in range(40):
        fruits.crop((i % 20, i // 20, 500, 400)).save(library / f"more{i}.jpg")
    engine.analyze(library)
    before = vectors(engine)
    install(engine, second_clip, "second-clip")
    upgrade = ["analyze", library, "--upgrade", "embedding", "--embedding-model", "second-clip", "--quiet"]

    def count():
        return engine.rows("SELECT count(*) FROM embeddings e JOIN spaces s ON s.id = e.space_id WHERE s.active = 0")[0][0]

    # Four seconds' work, of which each second's is committed; then it stands still with a few pictures left.
    slow, _ = slow_engine(folder, delay=0.05, hold_at=42)
    slow.environment["IMAGE_ENGINE_ONNXRUNTIME"] = str(ROOT / "build/onnxruntime/lib/libonnxruntime.so.1")
    running = slow.start(*upgrade, "--workers", "1")
    wait_until(ended_or(running, count), "a commit")
    running.kill()
    running.communicate()
    assert running.returncode == -signal.SIGKILL, "it was killed in the middle"
    assert vectors(engine).keys() == before.keys()
    assert all(np.array_equal(before[name], vector) for name, vector in vectors(engine).items()), "search keeps the old ones"
    assert engine.run(*upgrade).code == DONE
    assert vectors(engine).keys() == before.keys()
    assert not any(np.array_equal(before[name], vector) for name, vector in vectors(engine).items())


def test_bad_labels(engine, library, clip):
    install(engine, clip)
    engine.analyze(library)
    baboon, home = library / "baboon.jpg", library / "home.jpg"
    for arguments, code, what in [
        (["x", "--add", baboon, "--not", baboon], USAGE, b"different meanings"),
        (["x", "--not", baboon], USAGE, b"at least one picture"),
        (["x", "--add", library / "none.jpg"], FAILED, b"analyze its folder first"),
        (["", "--add", baboon], USAGE, b"NAME"),
        (["a\nb", "--add", baboon], USAGE, b"control characters"),
        (["x", "--object", "unicorn", "--add", baboon], FAILED, b"unicorn"),
        (["remove", "x"], FAILED, b"x"),
    ]:
        outcome = engine.run("label", *arguments)
        assert outcome.code == code and what in outcome.err, (arguments, outcome.message)
    assert engine.json("label", "list")["labels"] == []
    one = engine.json("label", "one example", "--add", home)
    assert one["found"] >= 1 and "home.jpg" in engine.search('tag:"one example"')


def test_without_a_model(engine, library, folder):
    engine.environment["IMAGE_ENGINE_MODELS"] = str(folder / "no models")
    document = engine.analyze(library)
    assert any(note.startswith("embedding: left out") and "models pull" in note for note in document["report"]["notes"])
    found = engine.json("search", "messi5 playing")
    assert names(found) == ["messi5.jpg"]
    assert any("image-engine models pull clip-vit-b-32" in note for note in found["notes"])
    refused = engine.run("label", "x", "--add", library / "baboon.jpg")
    assert refused.code == FAILED and b"models pull" in refused.err
    assert engine.run("similar", "--text", "elephant").code == FAILED
    assert engine.json("similar", library / "baboon.jpg", "--distance", "64")["results"], "hashes are compared all the same"


def damage(path, how):
    data = bytearray(path.read_bytes())
    if how == "cut":
        data = data[: len(data) // 2]
    elif how == "flipped":
        data[len(data) * 3 // 4] ^= 0x40
    elif how == "other":
        data = bytearray(b"something else entirely " * 1000)
    else:
        data = bytearray()
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["cut", "flipped", "other", "empty"])
def test_a_damaged_side_file_is_made_anew(engine, meaningful, how):
    assert names(engine.json("search", "elephant")) == ["messi5.jpg"]
    (side,) = engine.catalogue.parent.glob("catalog.db.vectors-*")
    damage(side, how)
    assert names(engine.json("search", "elephant")) == ["messi5.jpg"]
    assert engine.json("search", "elephant")["notes"] == []


def test_broken_models_are_left_out(engine, library, clip, folder):
    broken = shutil.copytree(clip, folder / "broken")
    graph = onnx.load(broken / "clip_vision_fp32.onnx")
    for tensor in graph.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            values = numpy_helper.to_array(tensor) * np.float32(np.nan)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    onnx.save(graph, broken / "clip_vision_fp32.onnx")
    (broken / "pull.yaml").write_text((clip / "pull.yaml").read_text().replace(str(clip), str(broken)))
    install(engine, broken)
    document = engine.analyze(library)
    assert any(note.startswith("embedding: left out") and "NaN or infinite" in note for note in document["report"]["notes"])
    assert all("quality" in asset for asset in document["assets"])
    assert vectors(engine) == {}


def test_benchmark_search(engine, folder):
    results = folder / "benchmark_results.json"
    document = engine.json("benchmark", "search", "--assets", "300", "--rounds", "3", "-o", results)
    assert json.loads(results.read_text()) == document
    rows = {(row["name"], row["threads"]): row for row in document["rows"]}
    assert ("scan of all vectors", 1) in rows and all("median_ms" in row or "note" in row for row in rows.values())
    assert engine.run("benchmark").code == USAGE
    unwritable = engine.run("benchmark", "search", "--assets", "10", "--rounds", "1", "-o", folder / "none/results.json")
    assert unwritable.code == FAILED and not (folder / "none").exists()
