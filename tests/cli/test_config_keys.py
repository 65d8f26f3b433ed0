"""Every key of the configuration has an effect: one table of how each is seen. A new key without a row fails."""

import functools
import json
import os
import re
import shutil

import pytest
from action_models import install_colours
from cloud import KEY
from engine import DONE, FAILED, ROOT, SAMPLES, Engine, fresh_folder
from PIL import Image


class Renews:
    """With the value, `status` finds that analyze would make records of these stages anew."""

    def __init__(self, value, *stages):
        self.value, self.stages = value, set(stages)

    def check(self, key, place):
        said = place.engine.json("status", "--config", place.config(key, self.value))["stages"]
        assert {stage["stage"] for stage in said if stage["stale"]} == self.stages


class Analyzes:
    """With the value, a run over the photos differs in its records, notes, counts of files, threads or messages."""

    def __init__(self, value):
        self.value = value

    def check(self, key, place):
        assert place.analysis("--config", place.config(key, self.value)) != place.usual()


class Asks:
    """With the value, the request to the cloud model, or what is printed of its answer, differs."""

    def __init__(self, value, command="describe"):
        self.value, self.command = value, command

    def check(self, key, place):
        usual = place.asked(self.command)
        assert usual == place.asked(self.command), "the same twice"
        assert place.asked(self.command, key, self.value) != usual


class Refuses:
    """The value ends the command with this message."""

    def __init__(self, value, *words):
        self.value, self.words = value, words

    def check(self, key, place):
        outcome = place.engine.run("analyze", place.photos, "--config", place.config(key, self.value))
        assert outcome.code != DONE and all(word in outcome.message for word in self.words), outcome.message


class Prints:
    """With the value, the command's exit code or output differs; `beside`: what else is configured."""

    def __init__(self, value, *command, beside="log: {level: info}"):
        self.value, self.command, self.beside = value, command, beside

    def check(self, key, place):
        assert place.printed(self.command, self.beside) == place.printed(self.command, self.beside), "the same twice"
        assert place.printed(self.command, self.beside, key, self.value) != place.printed(self.command, self.beside)


class TimesOut:
    """With the value, in seconds, an answer that takes longer is an error."""

    def __init__(self, value):
        self.value = value

    def check(self, key, place):
        place.server.latency = self.value + 0.5
        usual, shorter = place.asked("describe"), place.asked("describe", key, self.value)
        place.server.latency = 0
        assert usual[0] == DONE and shorter[0] == FAILED


class Seen:
    """A test elsewhere sets the key and sees what it does: its file, and what is written there of it."""

    def __init__(self, file, text):
        self.file, self.text = file, text

    def check(self, key, place):
        assert self.text in (ROOT / "tests" / self.file).read_text(), f"{self.file} no longer tests {key}"


ML = "analysis.ml_models."
CLOUD = "nvidia_build: {enabled: true}"
RETAIL, VISION, EMBEDDING = (f"nvidia_build.{name}." for name in ("retail_detection", "vision_language", "embedding"))
RATE, CACHING = "nvidia_build.rate_limiting.", "nvidia_build.caching."
EFFECTS = {
    ML + "batch_size": Seen("cli/test_config_keys.py", "def test_batches_on_the_cpu"),
    ML + "use_tensorrt": Seen("infer/device_test.cpp", ".use_tensorrt = true"),
    ML + "tensorrt_precision": Seen("infer/device_test.cpp", "OfTensorRtBeginWithTheOneOfItsKey"),
    ML + "object_model": Analyzes("none"),
    ML + "scene_model": Analyzes("none"),
    ML + "embedding_model": Analyzes("none"),
    ML + "feature_model": Refuses("nobody", ML + "feature_model", "nobody"),
    ML + "sentence_model": Refuses("nobody", ML + "sentence_model", "nobody"),
    ML + "text_model": Analyzes("none"),
    ML + "scene_labels": Refuses("none.yaml", ML + "scene_labels", "none.yaml"),
    ML + "action_model": Refuses("nobody", ML + "action_model", "nobody"),
    "analysis.segmentation": Analyzes("true"),
    "inference.device": Refuses("moon", "moon", "cuda:N"),
    "inference.precision": Seen("cli/test_calibrate.py", "precision"),
    "inference.require_gpu": Seen("infer/device_test.cpp", "require_gpu"),
    "inference.run_timeout_seconds": Seen("cli/test_models_own.py", "run_timeout_seconds"),
    "inference.gpu_decode": Seen("cli/test_benchmark_photos.py", "gpu_decode"),
    "inference.gpu_decoders": Seen("cli/test_gpu_decoders.py", "gpu_decoders"),
    "inference.gpu_memory_mb": Seen("gpu_worker/support.h", "device_bytes"),
    "processing.workers": Analyzes("7"),
    "processing.clear_cache_frequency": Seen("infer/session_test.cpp", "rows_between_clearings"),
    "processing.memory_mb": Seen("cli/test_video.py", "memory_mb"),
    "thumbnails.size": Renews("128", "thumbnail"),
    "thumbnails.quality": Renews("30", "thumbnail"),
    "worker.memory_limit_mb": Seen("cli/test_workers.py", "memory_limit_mb"),
    "worker.timeout_seconds": Seen("cli/test_workers.py", "timeout_seconds"),
    "worker.sandbox": Seen("cli/test_workers.py", "sandbox"),
    "plugins.memory_limit_mb": Seen("cli/test_plugins.py", "memory_limit_mb"),
    "plugins.timeout_seconds": Seen("cli/test_plugins.py", "timeout_seconds"),
    "plugins.stages": Analyzes("[absent]"),
    "plugins.index": Prints("/none/index.json", "plugins", "install", "sepia"),
    "plugins.index_key": Prints("RWQ", "plugins", "install", "sepia", beside="plugins: {index: INDEX}"),
    "scan.include": Analyzes("['*.png']"),
    "scan.exclude": Analyzes("['*.jpg']"),
    "scan.hidden": Analyzes("true"),
    "scan.follow_symlinks": Analyzes("true"),
    "scan.dates_from_names": Renews("false", "metadata"),
    "models.folder": Analyzes("/nowhere"),
    "video.enabled": Analyzes("false"),
    "video.fps": Renews("2", "video"),
    "video.key_frames_only": Renews("true", "video"),
    "video.order": Seen("cli/test_video.py", '"order": "found"'),
    "video.scene_detection": Renews("false", "video"),
    "video.scene_model": Refuses("transnetv2", "video.scene_model", "transnetv2"),
    "video.track_fps": Renews("0", "video"),
    "video.action_labels": Refuses("none.yaml", "video.action_labels", "none.yaml"),
    "video.use_nvidia_build": Seen("cli/test_nvidia_videos.py", "use_nvidia_build"),
    "video.nvidia_frames": Seen("cli/test_nvidia_videos.py", "nvidia_frames"),
    "audio.enabled": Analyzes("false"),
    "audio.speech_model": Refuses("nobody", "audio.speech_model", "nobody"),
    "audio.voice_model": Refuses("nobody", "audio.voice_model", "nobody"),
    "audio.music": Refuses("nobody", "audio.music", "nobody"),
    "audio.tagging": Refuses("nobody", "audio.tagging", "nobody"),
    "audio.language": Renews("de", "speech"),
    "audio.translate": Renews("true", "speech"),
    "audio.track": Renews("'2'", "speech"),
    "audio.subtitles": Analyzes("ignore"),
    "nvidia_build.enabled": Prints("true", "plan", "PHOTOS"),
    "nvidia_build.api_key_env": Asks("NO_SUCH_VARIABLE"),
    "nvidia_build.base_url": Seen("nvidia/endpoint_test.cpp", "base_url"),
    "nvidia_build.assets_url": Seen("cli/test_nvidia.py", "assets_url"),
    "nvidia_build.max_requests": Prints("1", "plan", "PHOTOS", beside=CLOUD),
    RETAIL + "enabled": Prints("false", "plan", "PHOTOS", beside=CLOUD),
    RETAIL + "confidence_threshold": Seen("cli/test_nvidia.py", "confidence_threshold"),
    RETAIL + "max_detections": Seen("nvidia/cloud_models_test.cpp", "max_detections"),
    RETAIL + "url": Asks("cv/other/detector", "detect"),
    RETAIL + "dialect": Asks("nvcf", "detect"),
    VISION + "enabled": Prints("false", "plan", "PHOTOS", beside=CLOUD),
    VISION + "default_prompt": Seen("cli/test_nvidia_videos.py", "default_prompt"),
    VISION + "photo_prompt": Asks("Why?"),
    VISION + "max_tokens": Asks("7"),
    VISION + "temperature": Asks("0.9"),
    VISION + "url": Asks("vlm/other/model"),
    VISION + "dialect": Asks("openai"),
    VISION + "model": Asks("other/model"),
    EMBEDDING + "url": Seen("cli/test_nvclip.py", "url"),
    EMBEDDING + "dialect": Seen("nvidia/dialects_test.cpp", "prompts"),
    EMBEDDING + "model": Seen("nvidia/endpoint_test.cpp", "nvidia_build.embedding.model"),
    RATE + "max_requests_per_minute": Prints("30", "plan", "PHOTOS", beside=CLOUD),
    RATE + "retry_attempts": Seen("nvidia/client_test.cpp", "retry_attempts"),
    RATE + "retry_delay": Seen("nvidia/client_test.cpp", "retry_delay"),
    RATE + "max_concurrent": Seen("cli/test_nvidia_analyze.py", "max_concurrent"),
    RATE + "timeout_seconds": TimesOut(1),
    CACHING + "enabled": Seen("cli/test_nvidia_analyze.py", "caching"),
    CACHING + "cache_dir": Seen("nvidia/cloud_models_test.cpp", "cache_dir"),
    CACHING + "ttl_hours": Seen("nvidia/answer_store_test.cpp", "ttl_hours"),
    CACHING + "max_mb": Seen("nvidia/answer_store_test.cpp", "max_mb"),
    "nvidia_build.privacy.exclude": Seen("cli/test_nvidia_analyze.py", "exclude"),
    "nvidia_build.privacy.exclude_people": Seen("cli/test_nvidia_analyze.py", "exclude_people"),
    "log.level": Analyzes("debug"),
}


def keys():
    source = (ROOT / "src/core/config.cpp").read_text()
    return re.findall(r'^    \{"([a-z_.]+)", IE_MEMBER', source, re.M)


class Place:
    """A small library, analyzed with the usual settings, and a server that answers as cloud models do."""

    def __init__(self, folder, server):
        self.folder, self.server = folder, server
        self.engine = Engine(folder)
        self.engine.environment |= {"NVIDIA_API_KEY": KEY, "NVIDIA_BASE_URL": f"{server.address}/v1"}
        self.uncached = folder / "uncached.yaml"
        self.uncached.write_text("nvidia_build: {caching: {enabled: false}, rate_limiting: {max_requests_per_minute: 100000, retry_attempts: 0}}\n")
        self.photos = folder / "photos"
        self.photos.mkdir()
        shutil.copy(SAMPLES / "photos/fruits.jpg", self.photos / "IMG-20190422-WA0004.jpg")
        Image.new("RGB", (64, 48), (250, 10, 20)).save(self.photos / "red.png")
        Image.new("RGB", (64, 48), (10, 250, 20)).save(self.photos / ".hidden.png")
        shutil.copy(SAMPLES / "videos/web.webm", self.photos)
        elsewhere = folder / "elsewhere"
        elsewhere.mkdir()
        Image.new("RGB", (64, 48), (10, 20, 250)).save(elsewhere / "linked.png")
        (self.photos / "link").symlink_to(elsewhere)
        self.new = folder / "new"
        self.new.mkdir()
        for i in range(40):
            Image.new("RGB", (64, 48), (5 * i, 10, 20)).save(self.new / f"{i}.png")
        install_colours(self.engine)
        for name in ("nanodet", "efficientnet-lite0", "pp-ocrv4"):
            (self.engine.folder / "data/image-engine/models" / name).symlink_to(ROOT / "build/models" / name)
        self.engine.analyze(self.photos)

    def config(self, key, value):
        section, _, name = key.rpartition(".")
        file = self.folder / "changed.yaml"
        text = f"{name}: {value}"
        for part in reversed(section.split(".")):
            text = f"{part}: {{{text}}}"
        file.write_text(text + "\n")
        return file

    def analysis(self, *flags):
        """What can be seen of a run in a catalogue of its own, but for times."""
        with fresh_folder() as made:
            outcome = self.engine.run("analyze", self.photos, "--catalog", made / "x.db", "--json", *flags)
        assert outcome.code == DONE, outcome.message
        document = outcome.document()
        report = document["report"]
        records = sorted((os.path.basename(asset["path"]), record["stage"], record.get("model", ""), record.get("params", ""))
                         for asset in document["assets"] for record in asset["records"])  # fmt: skip
        phases = {name: phase["files"] for name, phase in report["phases"].items()}
        threads = {step["step"]: step["threads"] for step in report["steps"]}
        return records, report["notes"], report["media"], phases, threads, "debug" in outcome.message

    @functools.cache
    def usual(self):
        """What analysis() sees with the usual settings, each time."""
        seen = self.analysis()
        assert seen == self.analysis()
        return seen

    def printed(self, command, beside, key="log.level", value="info"):
        index, first = self.folder / "index.json", self.folder / "beside.yaml"
        index.write_text("{}")
        first.write_text(beside.replace("INDEX", str(index)) + "\n")
        arguments = [self.new if word == "PHOTOS" else word for word in command]
        outcome = self.engine.run(*arguments, "--config", first, "--config", self.config(key, value))
        return outcome.code, outcome.out, outcome.message

    def asked(self, command, key="log.level", value="info"):
        file = self.config(key, value)
        self.server.requests.clear()
        outcome = self.engine.run("nvidia", command, self.photos / "red.png", "--config", self.uncached, "--config", file)
        return outcome.code, outcome.out, [(request["path"], request["headers"].get("Authorization"), request["body"]) for request in self.server.requests]


@pytest.fixture(scope="module")
def place():
    with fresh_folder() as folder:
        from server import Server

        made = Server()
        yield Place(folder, made)
        made.close()


def test_the_table_has_every_key():
    assert EFFECTS.keys() == set(keys()) and len(keys()) > 80


@pytest.mark.parametrize("key", EFFECTS)
def test_each_key_has_an_effect(place, key):
    EFFECTS[key].check(key, place)


def test_batches_on_the_cpu(place, folder):
    """A model that makes vectors runs once for a batch."""
    photos = folder / "many"
    photos.mkdir()
    for i in range(24):
        Image.new("RGB", (64, 48), (10 * i, 250 - 10 * i, 20)).save(photos / f"{i}.png")
    runs = {}
    for size in (1, 4):
        trace = folder / f"trace{size}.json"
        with fresh_folder() as made:
            flags = ["--only", "embedding", "--workers", "1", "--batch-size", str(size), "--trace", trace, "--catalog", made / "x.db"]
            assert place.engine.run("analyze", photos, *flags).code == DONE
        events = json.loads(trace.read_text())["traceEvents"]
        runs[size] = sum(event["name"] == "models" for event in events)
    assert runs == {1: 24, 4: 6}
