"""The speech that Silero's own Python code finds: golden segments for tests, and a reading of any WAV file for bench/sound.

    python3.11 -m venv V && V/bin/pip install torch==2.13.0 silero-vad==6.2.3 onnxruntime==1.32.0 soundfile==0.14.0 numpy==2.4.6
    V/bin/python tools/reference/voice_activity.py --voices FOLDER --output tests/golden/silero_vad.json
    V/bin/python tools/reference/voice_activity.py --files A.wav B.wav    (a line of JSON each: segments, seconds)

FOLDER is moonshine_voice/assets of the wheel moonshine-voice 0.1.5. The inputs: two_cities.wav and beckett.wav, espeak-ng's voice of one
sentence, white noise, and 60 s of silence before 20 s of two_cities.wav. The audio is mono; where its rate is not 16 kHz it is
made so by ffmpeg (`-ar 16000 -ac 1`), as whoever repeats the test has to do; `sha256` is of these samples as little-endian 16-bit.
The segments are those of get_speech_timestamps with its defaults: threshold 0.5, speech of at least 250 ms, silence of at least 100 ms,
30 ms added at each end. Times are in samples of 16 kHz. `probabilities` are those of the first windows of 512 samples.
"""

import argparse
import hashlib
import importlib.metadata
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch
from silero_vad import get_speech_timestamps, load_silero_vad

RATE = 16000
SENTENCE = "The quick brown fox jumps over the lazy dog. Then it sleeps until noon, and nobody minds."


def samples_of(path: Path) -> np.ndarray:
    """16-bit samples at 16 kHz, mono."""
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-vn", "-ar", str(RATE), "-ac", "1", "-f", "s16le", "-"],
                         capture_output=True, check=True).stdout  # fmt: skip
    return np.frombuffer(raw, "<i2")


def segments_of(model, samples: np.ndarray) -> list[list[int]]:
    found = get_speech_timestamps(torch.from_numpy(samples.astype(np.float32) / 32768), model)
    return [[one["start"], one["end"]] for one in found]


def first_probabilities(model, samples: np.ndarray, count: int) -> list[float]:
    model.reset_states()
    sound = torch.from_numpy(samples[: 512 * count].astype(np.float32) / 32768)
    return [round(model(sound[at : at + 512], RATE).item(), 6) for at in range(0, len(sound) - 511, 512)]


def inputs(voices: Path, folder: Path) -> dict[str, np.ndarray]:
    spoken = folder / "espeak.wav"
    subprocess.run(["espeak-ng", "-v", "en-us", "-s", "150", "-w", spoken, SENTENCE], check=True)
    noise = np.random.default_rng(19).normal(0, 3000, 20 * RATE).clip(-32768, 32767).astype("<i2")
    two_cities = samples_of(voices / "two_cities.wav")
    silence = np.zeros(60 * RATE, "<i2")
    return {
        "two_cities": two_cities,
        "beckett": samples_of(voices / "beckett.wav"),
        "espeak": samples_of(spoken),
        "noise": noise,
        "silence_60_s_then_two_cities_20_s": np.concatenate([silence, two_cities[: 20 * RATE]]),
    }


def golden(model, voices: Path) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        sounds = inputs(voices, Path(folder))
    packages = ("torch", "silero-vad", "onnxruntime", "numpy")
    rows = {}
    for name, samples in sounds.items():
        rows[name] = {
            "samples": len(samples),
            "sha256": hashlib.sha256(samples.tobytes()).hexdigest(),
            "segments": segments_of(model, samples),
            "probabilities": first_probabilities(model, samples, 64),
        }
    return {"made_by": "tools/reference/voice_activity.py", "versions": {name: importlib.metadata.version(name) for name in packages},
            "espeak_sentence": SENTENCE, "inputs": rows}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voices", type=Path)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--files", type=Path, nargs="*", default=[])
    given = parser.parse_args()
    torch.set_num_threads(1)
    model = load_silero_vad(onnx=True)
    for path in given.files:
        samples = samples_of(path)
        begin = time.perf_counter()
        found = [[start / RATE, end / RATE] for start, end in segments_of(model, samples)]
        print(json.dumps({"file": str(path), "segments": found, "seconds": time.perf_counter() - begin}))
    if given.voices and given.output:
        given.output.write_text(json.dumps(golden(model, given.voices)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
