"""Where a setting comes from: flag before environment before file before default. And files that are wrong."""

import pytest

from engine import DONE, ROOT, USAGE

KEY = "analysis.ml_models.use_tensorrt"


def settings(engine, *arguments):
    document = engine.json("doctor", *arguments)
    return document, {key: (entry["value"], entry["origin"]) for key, entry in document["config"].items()}


def test_defaults(engine):
    document, found = settings(engine)
    assert document["config_file"] is None
    assert {origin for _, origin in found.values()} == {"default"}
    assert found["analysis.ml_models.batch_size"] == ("8", "default")
    assert found["processing.clear_cache_frequency"] == ("10", "default")


def test_precedence(engine, folder):
    default_file = folder / "config/image-engine/config.yaml"
    default_file.parent.mkdir(parents=True)
    default_file.write_text("analysis: {ml_models: {batch_size: 3}}\nlog: {level: error}\n")
    document, found = settings(engine)
    assert document["config_file"] == str(default_file)
    assert found["analysis.ml_models.batch_size"] == ("3", "file") and found["log.level"] == ("error", "file")

    named = folder / "named.yaml"
    named.write_text("analysis:\n  ml_models:\n    use_tensorrt: true\n")
    engine.environment["IMAGE_ENGINE_CONFIG"] = str(named)
    document, found = settings(engine)
    assert document["config_file"] == str(named) and found[KEY] == ("true", "file")
    assert found["log.level"] == ("info", "default"), "one file, not two"
    engine.environment["IMAGE_ENGINE_USE_TENSORRT"] = "false"
    engine.environment["IMAGE_ENGINE_LOG_LEVEL"] = "warn"
    engine.environment["IMAGE_ENGINE_MODELS"] = "/m"
    _, found = settings(engine)
    assert found[KEY] == ("false", "environment") and found["models.folder"] == ("/m", "environment")
    _, found = settings(engine, "--log-level", "debug")
    assert found["log.level"] == ("debug", "flag")
    document, found = settings(engine, "--config", "optimized")
    assert document["config_file"].endswith("optimized_config.yaml")
    assert found["analysis.ml_models.batch_size"] == ("16", "file") and found[KEY] == ("false", "environment")


def test_doctor_shows_no_password(engine, folder):
    file = folder / "c.yaml"
    file.write_text("nvidia_build:\n  base_url: https://me:secret@proxy.test/v1\n  embedding: {url: 'https://token@nim.test/v1/embeddings'}\n")
    _, found = settings(engine, "--config", file)
    assert found["nvidia_build.base_url"] == ("https://***@proxy.test/v1", "file")
    assert found["nvidia_build.embedding.url"] == ("https://***@nim.test/v1/embeddings", "file")
    text = engine.run("doctor", "--config", file).out.decode()
    assert "proxy.test" in text and "secret" not in text and "token" not in text


@pytest.mark.parametrize("name", ["default", "optimized", "video", "development", "nvidia"])
def test_shipped_files_load(engine, name):
    document, _ = settings(engine, "--config", name)
    assert document["config_file"].endswith(f"{name}_config.yaml")
    by_path, _ = settings(engine, "--config", ROOT / f"config/{name}_config.yaml")
    assert by_path["config"] == document["config"]


@pytest.mark.parametrize("text, parts", [
    ("analysis:\n  ml_models:\n    batch_sise: 4\n", ["wrong.yaml:3", "batch_sise", "analysis.ml_models.batch_size"]),
    ("procesing: {workers: 2}\n", ["procesing.workers", "processing.workers"]),
    ("processing: {workers: many}\n", ["processing.workers", "many", "integer"]),
    ("processing: {workers: -1}\n", ["processing.workers", "-1"]),
    ("analysis: {ml_models: {tensorrt_precision: fp8}}\n", ["fp8", "fp32, fp16, int8"]),
    ("log: {level: [a, b]}\n", ["log.level"]),
    ("processing: 3\n", ["processing", "section"]),
    ("a: [1, 2\nb", ["wrong.yaml"]),
    ("\x00\x01\x02", ["wrong.yaml"]),
    ("&a [*a, *a]", ["wrong.yaml"]),
])
def test_wrong_files(engine, folder, text, parts):
    file = folder / "wrong.yaml"
    file.write_text(text)
    for command in (["doctor"], ["analyze", folder], ["status"]):
        outcome = engine.run(*command, "--config", file)
        assert outcome.code == USAGE and outcome.out == b""
        assert all(part in outcome.message for part in parts), outcome.message


def test_no_such_file(engine, folder):
    outcome = engine.run("doctor", "--config", folder / "none.yaml")
    assert outcome.code == USAGE and "none.yaml" in outcome.message
    outcome = engine.run("doctor", "--config", "optimised")
    assert outcome.code == USAGE and "optimized" in outcome.message
    engine.environment["IMAGE_ENGINE_USE_TENSORRT"] = "perhaps"
    outcome = engine.run("doctor")
    assert outcome.code == USAGE and "IMAGE_ENGINE_USE_TENSORRT" in outcome.message


def test_cpu_level(engine, photos):
    for wrong in ("sse4", "AVX2"):
        engine.environment["IMAGE_ENGINE_CPU"] = wrong
        for command in (["doctor"], ["analyze", photos], ["status"]):
            outcome = engine.run(*command)
            assert outcome.code == USAGE and outcome.out == b""
            assert all(part in outcome.message for part in ("IMAGE_ENGINE_CPU", wrong, "baseline, avx2, avx512")), outcome.message
    engine.environment["IMAGE_ENGINE_CPU"] = "baseline"
    assert engine.analyze(photos)["report"]["failed"] == 0
    engine.environment["IMAGE_ENGINE_CPU"] = ""
    assert engine.run("status").code == DONE


@pytest.mark.parametrize("flags", [["--workers", "x"], ["--workers", "-3"], ["--batch-size", "0"], ["--precision", "fp8"], ["--use-tensorrt", "maybe"]])
def test_flags_are_checked_as_settings_are(engine, photos, flags):
    outcome = engine.run("analyze", photos, *flags)
    assert outcome.code == USAGE and flags[1] in outcome.message


def test_flags_reach_the_run(engine, photos):
    assert engine.run("analyze", photos, "--workers", "2", "--batch-size", "4", "--use-tensorrt", "false", "--precision", "fp32").code == DONE


def test_device(engine, photos):
    assert engine.run("analyze", photos, "--device", "cpu").code == DONE
    outcome = engine.run("analyze", photos, "--device", "cuda:first")
    assert outcome.code == USAGE and "cuda:first" in outcome.message and "cuda:N" in outcome.message


@pytest.mark.parametrize("flags", [["--use-tensorrt", "true"], ["--config", "optimized"]])
def test_tensorrt_that_is_not_there_is_said_once(engine, photos, flags):
    (tensorrt,) = [finding for finding in engine.json("doctor")["findings"] if finding["what"] == "models on TensorRT"]
    if tensorrt["found"] != "not used":
        pytest.skip("this machine has TensorRT")
    outcome = engine.run("analyze", photos, *flags, "--json")
    said = [note for note in outcome.document()["report"]["notes"] if "TensorRT" in note]
    assert len(said) == 1 and said[0].startswith("TensorRT is not used (") and "instead" in said[0]
    assert outcome.message.count("TensorRT is not used") == 1 and " info " in outcome.message, outcome.message
    assert engine.run("analyze", photos, *flags).out.count(b"TensorRT is not used") == 1, "people read it in the report"
    assert b"TensorRT" not in engine.run("analyze", photos, *flags, "--device", "cpu").out


def test_tensorrt_that_is_not_wanted_is_not_missed(engine, photos):
    outcome = engine.run("analyze", photos, "--config", "optimized", "--use-tensorrt", "false")
    assert outcome.code == DONE and b"TensorRT" not in outcome.out + outcome.err
