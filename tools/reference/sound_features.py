"""Features of sound by others, for tests/golden/sound_features.json: Whisper's by transformers, Kaldi's by kaldi-native-fbank.

The signal is made by a rule that tests/audio repeats.

    python3.11 -m venv V && V/bin/pip install numpy==2.4.6 transformers==5.24.0 kaldi-native-fbank==1.23.0
    V/bin/python tools/reference/sound_features.py tests/golden/sound_features.json
"""

import json
import sys

import kaldi_native_fbank
import numpy as np
from transformers import WhisperFeatureExtractor

RATE, SHIFT = 16_000, 160
SAMPLES, FRAMES = 4_900, 40  # the rest of the frames is silence
KEPT = [0, 1, 2, 7, 8, 15, 27, 28, 29, 30, 31, 38, 39]  # of Whisper's frames; of Kaldi's those that there are


def signal() -> np.ndarray:
    """A rising tone with steps of amplitude, and noise."""
    state, values = 1, []
    for i in range(SAMPLES):
        state = (state * 1_664_525 + 1_013_904_223) % 2**32
        time, loud = i / RATE, (0.5, 0.02, 0.2)[i // 1600 % 3]
        tone = np.sin(2 * np.pi * (300 + 9000 * time) * time)
        values.append(loud * (0.8 * tone + 0.2 * (state / 2**31 - 1)))
    return np.array(values, np.float32)


def whisper(samples: np.ndarray, mels: int) -> np.ndarray:
    extractor = WhisperFeatureExtractor(feature_size=mels)
    padded = np.zeros(FRAMES * SHIFT, np.float32)
    padded[: len(samples)] = samples
    return extractor._np_extract_fbank_features(padded[None], "cpu")[0].T


def kaldi(samples: np.ndarray) -> np.ndarray:
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq, options.frame_opts.dither, options.frame_opts.snip_edges = RATE, 0, True
    options.mel_opts.num_bins = 80
    bank = kaldi_native_fbank.OnlineFbank(options)
    bank.accept_waveform(RATE, (samples * 32768).tolist())
    return np.array([bank.get_frame(i) for i in range(bank.num_frames_ready)])


def kept(rows: np.ndarray) -> dict[str, list[float]]:
    return {str(i): [round(float(value), 4) for value in rows[i]] for i in KEPT if i < len(rows)}


def main() -> None:
    samples = signal()
    found = {"whisper_80": whisper(samples, 80), "whisper_128": whisper(samples, 128), "kaldi": kaldi(samples)}
    lines = [f'"{name}": {json.dumps(kept(rows))}' for name, rows in found.items()]
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.write("{" + ",\n".join(lines) + "}\n")


if __name__ == "__main__":
    main()
