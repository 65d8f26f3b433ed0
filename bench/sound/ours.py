"""A file's sound through image-engine: the only place that knows the command and the document's keys."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def measured(command: list) -> dict:
    """Runs it; wall and processor seconds, of it and all its children, and what it printed. Ends this program if it fails."""

    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    begin, before = time.perf_counter(), used()
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
    return {"wall": time.perf_counter() - begin, "cpu": used() - before, "stdout": done.stdout}


def analyze(binaries: Path, file: Path, model: str, language: str = "") -> dict:
    """The document of analyze-video by the sound stages alone, and the seconds that it took (program start and loading the model included)."""
    os.environ.setdefault("IMAGE_ENGINE_MODELS", str(ROOT / "build/models"))
    with tempfile.TemporaryDirectory() as folder:
        config, output = Path(folder) / "sound.yaml", Path(folder) / "out.json"
        lines = ["audio:", f"  speech_model: {json.dumps(model)}"] + ([f"  language: {json.dumps(language)}"] if language else [])
        config.write_text("\n".join(lines) + "\n")
        command = [binaries / "image-engine", "--config", config, "--catalog", Path(folder) / "catalog.db", "analyze-video", file, "-o", output]
        took = measured([*command, "--only", "speech", "--quiet"])
        return {"document": json.loads(output.read_text()), "wall": took["wall"], "cpu": took["cpu"]}


def words_of(document: dict) -> list[tuple[str, float]]:
    """Each word and when it begins, in seconds."""
    return [(word["word"], word["from"]) for segment in document["speech"] for word in segment["words"]]


def language_of(document: dict) -> str | None:
    """That of most of the speech."""
    seconds: dict[str, float] = {}
    for segment in document["speech"]:
        if segment["language"]:
            seconds[segment["language"]] = seconds.get(segment["language"], 0) + segment["to"] - segment["from"]
    return max(seconds, key=seconds.get) if seconds else None


def voice_of(document: dict) -> list[list[float]]:
    """Spans of voice activity, seconds."""
    return [list(span[:2]) for span in document["transcript"]["voice_activity"]]
