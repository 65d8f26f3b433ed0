"""Runs of models that are interrupted. ONNX Runtime is not built for ThreadSanitizer, so these are not in test_interruptions.py."""

import json
import signal
import time

import pytest
from PIL import Image

from engine import DONE, INTERRUPTED, Engine, wait_until
from slow_model import install_slow_clip
from video_files import ffmpeg


def embedded(engine):
    status = engine.run("status", "--json")
    stages = json.loads(status.out)["stages"] if status.code == DONE else []  # there is no catalogue yet
    return sum(stage["records"] for stage in stages if stage["stage"] == "embedding")


@pytest.mark.parametrize("kind", ["photos", "video"])
def test_a_models_run_that_is_ended_marks_no_file(folder, photos, kind):
    engine = Engine(folder)
    install_slow_clip(engine, at_run=20, side=1200)
    (folder / "one.yaml").write_text("analysis: {ml_models: {batch_size: 1}}")
    if kind == "video":
        ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=20", "-c:v", "libx264", "-preset", "ultrafast", photos / "a.mp4")
    else:
        for i in range(12):
            Image.effect_noise((64, 48), 40).convert("RGB").save(photos / f"{i:02}.jpg")
    flags = [photos, "--object-model", "none", "--workers", "1", "--config", folder / "one.yaml"]
    process = engine.start("analyze", *flags)
    if kind == "video":
        time.sleep(3)  # frames are written every few seconds only: nothing tells that a model runs
    else:
        wait_until(lambda: embedded(engine) >= 1, "a photo's vector")
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED, error
    assert engine.failures() == {}
    everything = 1 if kind == "video" else 12
    assert embedded(engine) < everything, "the run ended in the middle"
    engine.analyze(*flags)
    assert engine.failures() == {}
    assert embedded(engine) == everything
