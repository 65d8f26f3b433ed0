"""whisper_to_onnx.py: a small Whisper of seeded weights beside a forward pass in numpy, and files that are none."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import base64
import hashlib
import json
import math
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

ROOT = Path(__file__).resolve().parents[2]
MELS, WIDTH, HEADS, LAYERS, FRAMES, CONTEXT = 80, 64, 4, 3, 40, 24
LANGUAGES = ["en", "zh", "de"]
ALIGNMENT = [[1, 3], [2, 0]]


def specials(many):
    tasks = ["translate", "transcribe", "startoflm", "startofprev", "nospeech" if many else "nocaptions", "notimestamps"]
    return [f"<|{name}|>" for name in ("endoftext", "startoftranscript", *LANGUAGES, *tasks, "0.00", "0.02")]


def words_of(many):
    """More than 51864 of a model for many languages; its weights have as many rows."""
    words = ["!", "Ġ", "Ġthe", "Ã©"]
    fill = (51865 if many else 100) - len(words) - len(specials(many))
    return [*words, *(f"w{number}" for number in range(fill)), *specials(many)]


def weights_of(words):
    random = np.random.default_rng(1)
    found = {"decoder/embeddings/weight": random.normal(0, 0.3, (len(words), WIDTH)),
             "decoder/position_encodings/encodings": random.normal(0, 0.3, (CONTEXT, WIDTH)),
             "encoder/position_encodings/encodings": random.normal(0, 0.3, (FRAMES, WIDTH))}  # fmt: skip

    def linear(at, rows, columns):
        found[f"{at}/weight"], found[f"{at}/bias"] = random.normal(0, columns**-0.5, (rows, columns)), random.normal(0, 0.1, rows)

    def norm(at):
        found[f"{at}/gamma"], found[f"{at}/beta"] = random.normal(1, 0.1, WIDTH), random.normal(0, 0.1, WIDTH)

    for name, channels in (("conv1", MELS), ("conv2", WIDTH)):
        found[f"encoder/{name}/weight"] = random.normal(0, (3 * channels) ** -0.5, (WIDTH, channels, 3))
        found[f"encoder/{name}/bias"] = random.normal(0, 0.1, WIDTH)
    for side in ("encoder", "decoder"):
        norm(f"{side}/layer_norm")
        for layer in range(LAYERS):
            at = f"{side}/layer_{layer}"
            for part in ("self_attention", "ffn", *(["attention"] if side == "decoder" else [])):
                norm(f"{at}/{part}/layer_norm")
            linear(f"{at}/self_attention/linear_0", 3 * WIDTH, WIDTH)
            linear(f"{at}/self_attention/linear_1", WIDTH, WIDTH)
            linear(f"{at}/ffn/linear_0", 4 * WIDTH, WIDTH)
            linear(f"{at}/ffn/linear_1", WIDTH, 4 * WIDTH)
            if side == "decoder":
                for index, rows in enumerate((WIDTH, 2 * WIDTH, WIDTH)):
                    linear(f"{at}/attention/linear_{index}", rows, WIDTH)
    return {name: array.astype(np.float16) for name, array in found.items()}


def text(name):
    return struct.pack("<H", len(name) + 1) + name.encode() + b"\0"


def model_bin(weights):
    entries = {**weights, "encoder/num_heads": np.array(HEADS, "<i2"), "decoder/num_heads": np.array(HEADS, "<i2")}
    out = struct.pack("<I", 6) + text("WhisperSpec") + struct.pack("<II", 3, len(entries))
    for name, array in sorted(entries.items()):
        out += text(name) + bytes([array.ndim]) + struct.pack(f"<{array.ndim}I", *array.shape)
        out += bytes([{"f": 4, "i": 2}[array.dtype.kind]]) + struct.pack("<I", array.nbytes) + array.tobytes()
    return out + struct.pack("<I", 1) + text("decoder/projection/weight") + text("decoder/embeddings/weight")


def write_model(folder, many=False):
    folder.mkdir()
    words = words_of(many)
    weights = weights_of(words)
    (folder / "model.bin").write_bytes(model_bin(weights))
    (folder / "config.json").write_text(json.dumps({"alignment_heads": ALIGNMENT}))
    if many:
        (folder / "vocabulary.json").write_text(json.dumps(words))
    else:
        (folder / "vocabulary.txt").write_text("\n".join(words) + "\n")
    return {name: array.astype(np.float32) for name, array in weights.items()}


def convert(folder, output):
    command = [sys.executable, "-B", ROOT / "tools/models/whisper_to_onnx.py", "--input", folder, "--output", output]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def english(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whisper")
    weights = write_model(folder / "in")
    done = convert(folder / "in", folder / "out")
    assert done.returncode == 0, done.stderr
    return weights, folder / "out"


# The forward pass


class Reference:
    def __init__(self, weights):
        self.weights = weights

    def norm(self, x, at):
        centred = x - x.mean(-1, keepdims=True)
        unit = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
        return unit * self.weights[f"{at}/gamma"] + self.weights[f"{at}/beta"]

    def linear(self, x, at):
        return x @ self.weights[f"{at}/weight"].T + self.weights[f"{at}/bias"]

    @staticmethod
    def gelu(x):
        return x * 0.5 * (1 + np.vectorize(math.erf)(x / np.sqrt(2)))

    def ffn(self, x, at):
        return x + self.linear(self.gelu(self.linear(self.norm(x, f"{at}/layer_norm"), f"{at}/linear_0")), f"{at}/linear_1")

    @staticmethod
    def attention(q, k, v, causal=False):
        """The mixed values, and the weights of each head."""
        mixed, weights = [], []
        for part in (slice(i, i + WIDTH // HEADS) for i in range(0, WIDTH, WIDTH // HEADS)):
            scores = q[:, part] @ k[:, part].T / np.sqrt(WIDTH // HEADS)
            if causal:
                scores = np.where(np.tri(*scores.shape, dtype=bool), scores, -np.inf)
            weights.append(np.exp(scores - scores.max(-1, keepdims=True)))
            weights[-1] /= weights[-1].sum(-1, keepdims=True)
            mixed.append(weights[-1] @ v[:, part])
        return np.concatenate(mixed, 1), np.stack(weights)

    def conv(self, x, name, stride):
        padded = np.pad(x, ((0, 0), (1, 1)))
        kernel = self.weights[f"encoder/{name}/weight"]
        columns = [np.tensordot(kernel, padded[:, t : t + 3], 2) for t in range(0, x.shape[1], stride)]
        return self.gelu(np.stack(columns, 1) + self.weights[f"encoder/{name}/bias"][:, None])

    def encode(self, mel):
        x = self.conv(self.conv(mel, "conv1", 1), "conv2", 2).T
        x = x + self.weights["encoder/position_encodings/encodings"][: len(x)]
        for layer in range(LAYERS):
            at = f"encoder/layer_{layer}"
            q, k, v = np.split(self.linear(self.norm(x, f"{at}/self_attention/layer_norm"), f"{at}/self_attention/linear_0"), 3, 1)
            x = x + self.linear(self.attention(q, k, v)[0], f"{at}/self_attention/linear_1")
            x = self.ffn(x, f"{at}/ffn")
        return self.norm(x, "encoder/layer_norm")

    def decode(self, tokens, sound):
        table, attentions = self.weights["decoder/embeddings/weight"], []
        x = table[tokens] + self.weights["decoder/position_encodings/encodings"][: len(tokens)]
        for layer in range(LAYERS):
            at = f"decoder/layer_{layer}"
            q, k, v = np.split(self.linear(self.norm(x, f"{at}/self_attention/layer_norm"), f"{at}/self_attention/linear_0"), 3, 1)
            x = x + self.linear(self.attention(q, k, v, causal=True)[0], f"{at}/self_attention/linear_1")
            k, v = np.split(self.linear(sound, f"{at}/attention/linear_1"), 2, 1)
            mixed, weights = self.attention(self.linear(self.norm(x, f"{at}/attention/layer_norm"), f"{at}/attention/linear_0"), k, v)
            attentions.append(weights)
            x = self.ffn(x + self.linear(mixed, f"{at}/attention/linear_2"), f"{at}/ffn")
        return self.norm(x, "decoder/layer_norm") @ table.T, np.stack([attentions[layer][head] for layer, head in ALIGNMENT])


def session(path):
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run_pair(folder, precision, mel, steps):
    """Logits and attentions of tokens that are given in steps, as sherpa-onnx does: by the order of inputs and outputs."""
    encoder, decoder = (session(folder / f"{side}_{precision}.onnx") for side in ("encoder", "decoder"))
    names = [given.name for given in decoder.get_inputs()]
    sound = encoder.run(None, {"mel": mel[None]})
    keys = values = np.zeros((LAYERS, 1, CONTEXT, WIDTH), np.float32)
    offset, logits, attentions = 0, [], []
    for tokens in steps:
        given = [np.array([tokens], np.int64), keys, values, *sound, np.array([offset], np.int64)]
        scores, keys, values, weights = decoder.run(None, dict(zip(names, given)))
        logits.append(scores[0])
        attentions.append(weights[0])
        offset += len(tokens)
    return np.concatenate(logits), np.concatenate(attentions, 1)


STEPS = [[81, 85, 90], [2], [17], [40, 3], [5]]


@pytest.mark.parametrize("frames", [80, 46])
def test_the_graphs_give_what_the_forward_pass_gives(english, frames):
    weights, folder = english
    mel = np.random.default_rng(2).normal(0, 1, (MELS, frames)).astype(np.float32)
    reference = Reference(weights)
    wanted, aligned = reference.decode(sum(STEPS, []), reference.encode(mel))
    logits, attentions = run_pair(folder, "fp32", mel, STEPS)
    np.testing.assert_allclose(logits, wanted, atol=2e-4)
    np.testing.assert_allclose(attentions, aligned, atol=2e-5)
    assert attentions.shape == (len(ALIGNMENT), 8, frames // 2)
    rough, _ = run_pair(folder, "int8", mel, STEPS)
    cosines = (rough * wanted).sum(1) / np.linalg.norm(rough, axis=1) / np.linalg.norm(wanted, axis=1)
    assert cosines.min() > 0.99, cosines


def test_int8_is_small(english):
    _, folder = english
    for side in ("encoder", "decoder"):
        assert (folder / f"{side}_int8.onnx").stat().st_size < (folder / f"{side}_fp32.onnx").stat().st_size


def metadata(path):
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


def test_what_sherpa_onnx_reads(english):
    _, folder = english
    words = words_of(False)
    found = metadata(folder / "encoder_int8.onnx")
    assert found == metadata(folder / "encoder_fp32.onnx")
    numbers = {"n_mels": MELS, "n_text_layer": LAYERS, "n_text_ctx": CONTEXT, "n_text_state": WIDTH, "n_vocab": 100,
               "is_multilingual": 0, "blank_id": 1, "sot": words.index("<|startoftranscript|>"),
               "eot": words.index("<|endoftext|>"), "translate": words.index("<|translate|>"),
               "transcribe": words.index("<|transcribe|>"), "no_speech": words.index("<|nocaptions|>"),
               "no_timestamps": words.index("<|notimestamps|>"), "n_alignment_heads": 2,
               "sot_sequence": words.index("<|startoftranscript|>")}  # fmt: skip
    assert {key: found[key] for key in numbers} == {key: str(number) for key, number in numbers.items()}
    assert "all_language_codes" not in found
    lines = [line.split(" ") for line in (folder / "tokens.txt").read_text().splitlines()]
    assert [int(number) for _, number in lines] == list(range(words.index("<|endoftext|>")))
    assert [base64.b64decode(word) for word, _ in lines[:4]] == [b"!", b" ", b" the", "é".encode()]


def test_many_languages(tmp_path):
    write_model(tmp_path / "in", many=True)
    assert convert(tmp_path / "in", tmp_path / "out").returncode == 0
    found, words = metadata(tmp_path / "out/encoder_int8.onnx"), words_of(True)
    start = words.index("<|startoftranscript|>")
    assert found["is_multilingual"] == "1" and found["all_language_codes"] == "en,zh,de"
    assert found["all_language_tokens"] == f"{start + 1},{start + 2},{start + 3}"
    assert found["sot_sequence"] == f"{start},{start + 1},{words.index('<|transcribe|>')}"
    assert found["no_speech"] == str(words.index("<|nospeech|>"))


def test_the_same_bytes_each_time(english, tmp_path):
    _, folder = english
    write_model(tmp_path / "in")
    assert convert(tmp_path / "in", tmp_path / "out").returncode == 0
    for path in folder.iterdir():
        assert hashlib.sha256((tmp_path / "out" / path.name).read_bytes()).digest() == hashlib.sha256(path.read_bytes()).digest()


# What cannot be converted


def spoil(folder, change):
    path = folder / "model.bin"
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize("change, part", [
    (lambda data: data[:-300], "cut short"),
    (lambda data: data[:100], "cut short"),
    (lambda data: b"", "cut short"),
    (lambda data: data + b"!", "1 bytes too many"),
    (lambda data: b"\5" + data[1:], "version 6"),
    (lambda data: data.replace(b"WhisperSpec", b"TransformerS"[:11]), "not a WhisperSpec"),
    (lambda data: data.replace(b"encoder/layer_1/ffn/linear_0/bias", b"encoder/layer_1/ffn/linear_0/bios"), "has no 'encoder/layer_1"),
    (lambda data: data.replace(text("encoder/conv1/bias") + b"\1", text("encoder/conv1/bias") + b"\xff"), "cannot have 255 dimensions")])  # fmt: skip
def test_files_that_are_none(tmp_path, change, part):
    write_model(tmp_path / "in")
    spoil(tmp_path / "in", change)
    done = convert(tmp_path / "in", tmp_path / "out")
    assert done.returncode == 1 and part in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_a_vocabulary_of_another_model(tmp_path):
    write_model(tmp_path / "in")
    (tmp_path / "in/vocabulary.txt").write_text("a\nb\n")
    assert "the vocabulary has 2 words" in convert(tmp_path / "in", tmp_path / "out").stderr
    (tmp_path / "in/vocabulary.txt").unlink()
    assert "vocabulary.json" in convert(tmp_path / "in", tmp_path / "out").stderr


@pytest.mark.parametrize("heads", [[[9, 0]], [[0, 9]], [[1]], {}, []])
def test_alignment_heads_that_are_not_there(tmp_path, heads):
    write_model(tmp_path / "in")
    (tmp_path / "in/config.json").write_text(json.dumps({"alignment_heads": heads}))
    done = convert(tmp_path / "in", tmp_path / "out")
    assert done.returncode == 1 and "alignment_heads" in done.stderr
