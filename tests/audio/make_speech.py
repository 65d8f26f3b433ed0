"""The recordings that the tests of speech read: 16 kHz, mono, float32.

usage: make_speech.py FOLDER     writes FOLDER/NAME.f32 from build/share/speech, with ffmpeg
"""

import pathlib
import subprocess
import sys

import numpy as np

RATE = 16_000
VOICES = pathlib.Path(__file__).resolve().parents[2] / "build/share/speech"


def samples_of(path: pathlib.Path) -> np.ndarray:
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", path, "-vn", "-ar", str(RATE), "-ac", "1", "-f", "s16le", "-"]
    return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, "<i2")


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    two_cities = samples_of(VOICES / "two_cities.wav")
    recordings = {
        "two_cities": two_cities,
        "beckett": samples_of(VOICES / "beckett.wav"),
        "noise": np.random.default_rng(19).normal(0, 3000, 20 * RATE).clip(-32768, 32767).astype("<i2"),
        "silence_60_s_then_two_cities_20_s": np.concatenate([np.zeros(60 * RATE, "<i2"), two_cities[: 20 * RATE]]),
    }
    for name, samples in recordings.items():
        (folder / f"{name}.f32").write_bytes((samples.astype(np.float32) / 32768).astype("<f4").tobytes())


if __name__ == "__main__":
    main()
