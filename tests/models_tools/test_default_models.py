"""EfficientNet-Lite0, MiniLM, selfie and TransNetV2 as they are installed, against their reference implementations' numbers (tests/golden)."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import json
import struct
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

import scene_frames
from test_torch_pickle import FLOATS, Stored, Tensor, write_archive

ROOT = Path(__file__).resolve().parents[2]
MODELS, PHOTOS = ROOT / "build/models", ROOT / "build/samples/photos"
LABELS = (ROOT / "config/labels/imagenet1k.txt").read_text().splitlines()


def installed(name):
    path = MODELS / name
    if not path.exists():
        pytest.skip(f"{path} is not there: IMAGE_ENGINE_MODELS=build/models image-engine models pull")
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def golden(name):
    return json.loads((ROOT / "tests/golden" / name).read_text())


def pixels(path):
    picture = Image.open(path).convert("RGB")
    scale = 256 / min(picture.size)
    picture = picture.resize(tuple(int(side * scale) for side in picture.size), Image.Resampling.BICUBIC)
    left, top = (picture.width - 224) // 2, (picture.height - 224) // 2
    return ((np.asarray(picture.crop((left, top, left + 224, top + 224)), np.float32) - 127) / 128).transpose(2, 0, 1)


def test_efficientnet_gives_what_timm_gives():
    session, entries = installed("efficientnet-lite0/efficientnet-lite0.onnx"), golden("efficientnet_lite0.json")["photos"]
    assert len(entries) >= 9
    (together,) = session.run(["logits"], {"image": np.stack([pixels(PHOTOS / entry["photo"]) for entry in entries])})
    for entry, logits in zip(entries, together):
        assert logits.shape == (1000,)
        np.testing.assert_allclose(logits[entry["classes"]], entry["logits"], atol=2e-4)
        assert np.argsort(-logits)[0] == entry["classes"][0]


def test_selfie_gives_what_mediapipe_gives():
    session, entries = installed("selfie/selfie.onnx"), golden("selfie.json")["photos"]
    assert len(entries) >= 4
    for entry in entries:
        picture = Image.open(PHOTOS / entry["photo"]).convert("RGB").resize((256, 256), Image.Resampling.BILINEAR)
        (mask,) = session.run(["mask"], {"image": np.asarray(picture, np.float32)[None] / 255})
        assert mask.shape == (1, 256, 256, 1)
        np.testing.assert_allclose(mask[0, 8::16, 8::16, 0], entry["mask"], atol=2e-3)


@pytest.mark.parametrize("data", [b"", b"no model", b"\x1c\0\0\0TFL3" + bytes(40), b"\x08\0\0\0TFL3" + b"\xff" * 64])
def test_a_damaged_tflite_is_one_line(tmp_path, data):
    (tmp_path / "selfie.tflite").write_bytes(data)
    command = [sys.executable, "-B", ROOT / "tools/models/tflite_to_onnx.py", "--input", tmp_path, "--output", tmp_path / "out"]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    assert outcome.returncode == 1 and outcome.stderr.count("\n") == 1 and "selfie.tflite" in outcome.stderr
    assert not list((tmp_path / "out").glob("*.onnx"))


def test_efficientnet_names_what_is_there():
    session = installed("efficientnet-lite0/efficientnet-lite0.onnx")
    for name, wanted in {"baboon.jpg": "baboon", "coffee.png": "espresso", "orange.jpg": "orange", "messi5.jpg": "soccer ball",
                         "squirrel_cls.jpg": "fox squirrel", "apple.jpg": "Granny Smith"}.items():  # fmt: skip
        (logits,) = session.run(None, {"image": pixels(PHOTOS / name)[None]})
        assert LABELS[int(logits[0].argmax())] == wanted


def sentence_vectors(session, rows):
    """Padded to one length, then the mean over each text's own tokens."""
    longest = max(map(len, rows))
    ids, mask = (np.array([[*map(f, row), *[0] * (longest - len(row))] for row in rows]) for f in (int, lambda _: 1))
    (hidden,) = session.run(["last_hidden_state"], {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)})
    means = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def test_minilm_gives_what_sentence_transformers_gives():
    session, sentences = installed("minilm/minilm.onnx"), golden("minilm.json")["sentences"]
    wanted = np.array([entry["vector"] for entry in sentences])
    alone = np.concatenate([sentence_vectors(session, [entry["ids"]]) for entry in sentences])
    np.testing.assert_allclose(alone, wanted, atol=2e-5)
    np.testing.assert_allclose(sentence_vectors(session, [entry["ids"] for entry in sentences]), wanted, atol=2e-5)
    by_text = {entry["text"]: vector for entry, vector in zip(sentences, alone)}
    beach = by_text["kids on a beach at sunset"]
    assert beach @ by_text["Children playing by the sea in the evening"] > 0.5 > 0.2 > beach @ by_text["red sports car"]


def test_transnetv2_gives_what_its_package_gives():
    session, wanted = installed("transnetv2/transnetv2.onnx"), golden("transnetv2.json")
    video = scene_frames.frames(PHOTOS)
    scored = [session.run(["middle", "within"], {"frames": window[None]}) for window in scene_frames.windows(video)]
    own = slice(scene_frames.EDGE, scene_frames.WINDOW - scene_frames.EDGE)
    for index, name in enumerate(("middle", "within")):
        found = np.concatenate([scores[index][0, own] for scores in scored])[: len(video)]
        np.testing.assert_allclose(found, wanted[name], atol=1e-4)
    middle = np.array(wanted["middle"])
    assert {scene_frames.CUT - 1, scene_frames.SECOND_CUT - 1} <= set(np.flatnonzero(middle > 0.9)), "the numbers are of frames with cuts"


# What cannot be converted


def convert(tool, folder, output):
    command = [sys.executable, "-B", ROOT / f"tools/models/{tool}.py", "--input", folder, "--output", output]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and not list(output.glob("*")), done.stderr
    return done.stderr


def test_no_efficientnet(tmp_path):
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    assert "holds 0" in convert("efficientnet_lite_to_onnx", folder, output)
    (folder / "a.pth").write_bytes(b"PK\3\4 a newer file")
    assert "no file of torch's" in convert("efficientnet_lite_to_onnx", folder, output)
    (folder / "b.pth").touch()
    assert "holds 2" in convert("efficientnet_lite_to_onnx", folder, output)


def test_no_transnet(tmp_path):
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    assert "holds 0" in convert("transnet_to_onnx", folder, output)
    write_archive(folder / "a.pth", OrderedDict(fc=Tensor(Stored("1", FLOATS, 2), 0, (2,), (1,))), [("1", np.ones(2, np.float32))])
    assert "only TransNetV2 is known" in convert("transnet_to_onnx", folder, output)


@pytest.mark.parametrize(
    "config, part",
    [
        (None, "config.json"),
        ({"model_type": "t5"}, "'t5'"),
        ({"model_type": "bert", "hidden_act": "relu"}, "'relu'"),
        ({"model_type": "bert", "position_embedding_type": "relative_key"}, "plain BERT"),
        ({"model_type": "bert"}, "embeddings"),
    ],
)
def test_no_minilm(tmp_path, config, part):
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")
    (folder / "vocab.txt").touch()
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    assert part in convert("minilm_to_onnx", folder, output)
