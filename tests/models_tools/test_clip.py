"""CLIP's graphs: against transformers' numbers (tests/golden/clip.json), against numpy, and what the exporter refuses."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
EXPORT = ROOT / "tools/export"
sys.path[:0] = [str(ROOT / "tools/models"), str(EXPORT)]
import safetensors_file  # noqa: E402
from clip_numpy import Clip  # noqa: E402
from quantise import exact_session  # noqa: E402

GOLDEN = json.loads((ROOT / "tests/golden/clip.json").read_text())
MEAN, DEVIATION = np.float32([0.48145466, 0.4578275, 0.40821073]), np.float32([0.26862954, 0.26130258, 0.27577711])


def run(script, *arguments):
    return subprocess.run([sys.executable, "-B", script, *arguments], capture_output=True, text=True, timeout=300, check=False)


def export(folder, output, *arguments):
    done = run(EXPORT / "clip.py", "--from", folder, "--output", output, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def refused(folder, output, *arguments):
    done = run(EXPORT / "clip.py", "--from", folder, "--output", output, *arguments)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr, done.stderr
    assert not list(Path(output).glob("*")), "nothing is left"
    return done.stderr


def embed(path, batch):
    session = exact_session(path)
    return session.run(None, {session.get_inputs()[0].name: batch})[0]


def cosines(a, b):
    return (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))


def golden_pictures():
    count = 3 * 224 * 224
    return np.stack([np.sin(0.37 + np.arange(count) * step) for step in GOLDEN["steps"]]).astype(np.float32).reshape(-1, 3, 224, 224)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    done = run(EXPORT / "random_clip.py", "--output", folder, "--weights", "--int8")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def copied(made, tmp_path):
    """A folder with weights and configuration that a test may change."""
    folder = tmp_path / "from"
    folder.mkdir()
    for name in ("model.safetensors", "config.json"):
        (folder / name).write_bytes((made / name).read_bytes())
    return folder


def change(folder, **changes):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    for section, values in changes.items():
        config[section].update(values)
    path.write_text(json.dumps(config))


@pytest.mark.parametrize("opset", [14, 17, 20])
def test_what_transformers_gives(made, tmp_path, opset):
    export(made, tmp_path, "--opset", str(opset))
    for name, key, batch in (("vision", "image_embeds", golden_pictures()), ("text", "text_embeds", np.array(GOLDEN["ids"]))):
        path = tmp_path / f"clip_{name}_fp32.onnx"
        assert {entry.domain: entry.version for entry in onnx.load(path).opset_import} == {"": opset}
        np.testing.assert_allclose(embed(path, batch), GOLDEN[key], atol=2e-5)


def test_an_end_that_the_configuration_gives(copied, tmp_path):
    change(copied, text_config={"eos_token_id": GOLDEN["given_end"]})
    export(copied, tmp_path / "out")
    got = embed(tmp_path / "out/clip_text_fp32.onnx", np.array(GOLDEN["ids"]))
    np.testing.assert_allclose(got, GOLDEN["text_embeds_given_end"], atol=2e-5)
    assert np.abs(got - GOLDEN["text_embeds"]).max() > 0.1


def test_batches_lengths_and_paddings(made):
    path = made / "clip_text_fp32.onnx"
    ids = np.array(GOLDEN["ids"])
    together = embed(path, ids)
    for i, row in enumerate(ids):
        length = int(row.argmax()) + 1
        np.testing.assert_allclose(embed(path, row[None, :length]), together[i : i + 1], atol=1e-5)
        np.testing.assert_allclose(embed(path, np.pad(row, (0, 69))[None]), together[i : i + 1], atol=1e-5)
    pictures = golden_pictures()
    alone = np.concatenate([embed(made / "clip_vision_fp32.onnx", picture[None]) for picture in pictures])
    np.testing.assert_allclose(alone, embed(made / "clip_vision_fp32.onnx", pictures), atol=1e-5)


def test_names_and_shapes(made):
    def shapes(values):
        return {v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}

    vision, text = (onnx.load(made / f"clip_{name}_fp32.onnx").graph for name in ("vision", "text"))
    assert shapes(vision.input) == {"pixel_values": ["batch", 3, 224, 224]} and shapes(vision.output) == {"image_embeds": ["batch", 512]}
    assert shapes(text.input) == {"input_ids": ["batch", "tokens"]} and shapes(text.output) == {"text_embeds": ["batch", 512]}


def as_open_clip(tensors):
    """The same weights by open_clip's names."""
    result = {"visual.class_embedding": tensors["vision_model.embeddings.class_embedding"],
              "visual.conv1.weight": tensors["vision_model.embeddings.patch_embedding.weight"],
              "visual.positional_embedding": tensors["vision_model.embeddings.position_embedding.weight"],
              "visual.proj": tensors["visual_projection.weight"].T, "text_projection": tensors["text_projection.weight"].T,
              "positional_embedding": tensors["text_model.embeddings.position_embedding.weight"],
              "token_embedding.weight": tensors["text_model.embeddings.token_embedding.weight"],
              "logit_scale": tensors["logit_scale"]}  # fmt: skip
    norms = {"vision_model.pre_layrnorm": "visual.ln_pre", "vision_model.post_layernorm": "visual.ln_post", "text_model.final_layer_norm": "ln_final"}
    pairs = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "self_attn.out_proj": "attn.out_proj", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}
    for kind in ("weight", "bias"):
        result |= {f"{theirs}.{kind}": tensors[f"{ours}.{kind}"] for ours, theirs in norms.items()}
        for ours, theirs in (("vision_model.encoder.layers", "visual.transformer.resblocks"), ("text_model.encoder.layers", "transformer.resblocks")):
            for i in range(2):
                result |= {f"{theirs}.{i}.{b}.{kind}": tensors[f"{ours}.{i}.{a}.{kind}"] for a, b in pairs.items()}
                joined = [tensors[f"{ours}.{i}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
                result[f"{theirs}.{i}.attn.in_proj_{kind}"] = np.concatenate(joined)
    return result


@pytest.mark.parametrize("quick", [True, False])
def test_open_clips_naming(made, tmp_path, quick):
    theirs = as_open_clip(safetensors_file.Tensors(made / "model.safetensors"))
    safetensors_file.write(tmp_path / "open_clip_model.safetensors", theirs)
    config = {"quick_gelu": quick, "vision_cfg": {"head_width": 16}, "text_cfg": {"heads": 2}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    report = export(tmp_path, tmp_path / "out")
    assert report.count("of numpy") == 2
    for name, key, batch in (("vision", "image_embeds", golden_pictures()), ("text", "text_embeds", np.array(GOLDEN["ids"]))):
        same = np.abs(embed(tmp_path / f"out/clip_{name}_fp32.onnx", batch) - GOLDEN[key]).max() < 2e-5
        assert same == quick, "gelu is another function"


def test_open_clip_without_its_configuration(made, tmp_path):
    """Heads of 64 and gelu: here one head in each tower."""
    tensors = as_open_clip(safetensors_file.Tensors(made / "model.safetensors"))
    safetensors_file.write(tmp_path / "open_clip_model.safetensors", tensors)
    export(tmp_path, tmp_path / "out")
    wanted = Clip(tensors, (1, 1), "gelu").pictures(golden_pictures())
    np.testing.assert_allclose(embed(tmp_path / "out/clip_vision_fp32.onnx", golden_pictures()), wanted, atol=2e-5)


def test_int8_is_as_onnx_runtimes_own(made, tmp_path):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    for name, batch in (("vision", golden_pictures()), ("text", np.array(GOLDEN["ids"]))):
        fp32, int8 = made / f"clip_{name}_fp32.onnx", made / f"clip_{name}_int8.onnx"
        quantize_dynamic(fp32, tmp_path / "theirs.onnx", per_channel=True, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul"])
        exact, ours, theirs = (embed(path, batch) for path in (fp32, int8, tmp_path / "theirs.onnx"))
        assert cosines(ours, exact).min() > 0.99 and cosines(ours, theirs).min() > 0.999
        kinds = [tensor.data_type for tensor in onnx.load(int8).graph.initializer if len(tensor.dims) == 2 and min(tensor.dims) > 8]
        assert kinds.count(onnx.TensorProto.INT8) >= 9


def photo(name, order=1, normalise=True):
    picture = Image.open(ROOT / "build/samples/photos" / name).convert("RGB").resize((224, 224), Image.Resampling.BICUBIC)
    pixels = np.asarray(picture, np.float32)[..., ::order] / 255
    return ((pixels - MEAN) / DEVIATION if normalise else pixels).transpose(2, 0, 1)


def test_photos_differ_and_mistakes_show(made):
    """What others' tests count on."""
    names = ["apple.jpg", "baboon.jpg", "chelsea.png", "coffee.png", "fruits.jpg", "messi5.jpg"]
    path = made / "clip_vision_fp32.onnx"
    exact = embed(path, np.stack([photo(name) for name in names]))
    unit = exact / np.linalg.norm(exact, axis=1, keepdims=True)
    assert (unit @ unit.T)[~np.eye(len(names), dtype=bool)].max() < 0.98
    assert cosines(exact, embed(path, np.stack([photo(name, order=-1) for name in names]))).max() < 0.999
    assert cosines(exact, embed(path, np.stack([photo(name, normalise=False) for name in names]))).max() < 0.999


def test_random_clip_is_the_same_each_time_and_small(made, tmp_path):
    assert run(EXPORT / "random_clip.py", "--output", tmp_path).returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "clip_text_fp32.onnx", "clip_vision_fp32.onnx", "pull.yaml", "spec.yaml", "vocabulary.txt"]  # fmt: skip
    for name in ("clip_text_fp32.onnx", "clip_vision_fp32.onnx", "vocabulary.txt"):
        assert (tmp_path / name).read_bytes() == (made / name).read_bytes()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 5_000_000


def test_the_converter_hands_the_vocabulary_on(copied, tmp_path):
    (copied / "words.txt.gz").write_bytes(b"words")
    assert run(ROOT / "tools/models/clip_to_onnx.py", "--input", copied, "--output", tmp_path / "out").returncode == 0
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert made == {f"clip_{kind}_{each}.onnx" for kind in ("vision", "text") for each in ("fp32", "int8")} | {"words.txt.gz"}


def test_a_pickle_is_refused(tmp_path):
    class Runs:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    (tmp_path / "from").mkdir()
    (tmp_path / "from/pytorch_model.bin").write_bytes(pickle.dumps(Runs()))
    assert "pytorch_model.bin is a pickle" in refused(tmp_path / "from", tmp_path / "out")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "changes, part",
    [
        ({"vision_config": {"num_attention_heads": 5}}, "5 heads"),
        ({"vision_config": {"num_attention_heads": 0}}, "num_attention_heads"),
        ({"text_config": {"num_attention_heads": "two"}}, "num_attention_heads"),
        ({"text_config": {"hidden_act": "relu"}}, "'relu'"),
        ({"text_config": {"layer_norm_eps": -1}}, "layer_norm_eps"),
    ],
)
def test_configurations_that_cannot_be(copied, tmp_path, changes, part):
    change(copied, **changes)
    assert part in refused(copied, tmp_path / "out")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"vision_config": 3}'])
def test_configurations_that_are_none(copied, tmp_path, text):
    (copied / "config.json").write_text(text)
    refused(copied, tmp_path / "out")


def test_weights_that_cannot_be(copied, tmp_path):
    path = copied / "model.safetensors"
    tensors = {name: safetensors_file.Tensors(path)[name] for name in safetensors_file.Tensors(path)}

    def refused_with(**changes):
        safetensors_file.write(path, {name: array for name, array in (tensors | changes).items() if array is not None})
        return refused(copied, tmp_path / "out")

    assert "visual_projection" in refused_with(**{"visual_projection.weight": None})
    assert "different lengths" in refused_with(**{"visual_projection.weight": np.zeros((100, 64), np.float32)})
    assert "no whole number of patches" in refused_with(**{"vision_model.embeddings.position_embedding.weight": np.zeros((48, 64), np.float32)})
    assert "no CLIP model" in refused_with(**{"vision_model.embeddings.class_embedding": None})
    refused_with(**{"text_model.encoder.layers.1.mlp.fc1.weight": np.zeros((64, 17), np.float32)})
    path.write_bytes(path.read_bytes()[:-1])
    refused(copied, tmp_path / "out")


def test_opsets_that_are_not_written(made, tmp_path):
    for opset in (13, 99):
        assert "14 to 22" in refused(made, tmp_path / "out", "--opset", str(opset))


def test_the_check_can_fail(made, tmp_path, monkeypatch):
    """A graph that gives other numbers is not written."""
    import clip

    monkeypatch.setattr(sys, "argv", ["clip.py", "--from", str(made), "--output", str(tmp_path / "out")])
    monkeypatch.setattr(clip, "by_numpy", lambda *_: {"vision": np.zeros((3, 512)), "text": np.zeros((3, 512))})
    assert clip.main() == 1 and not (tmp_path / "out").exists()
