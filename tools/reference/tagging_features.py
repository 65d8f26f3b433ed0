"""Features for models of audio tagging, and sound at twice its rate, for tests/golden/tagging_features.json.

The features are computed by the formulas that the models' own code states: TensorFlow's (YAMNet's features.py), librosa's
(PANNs, by torchlibrosa) and torchaudio's (CED). The doubled rate is by scipy.signal.resample_poly.

    python3.11 -m venv V && V/bin/pip install numpy==2.4.6 scipy==1.17.1
    V/bin/python tools/reference/tagging_features.py tests/golden/tagging_features.json

`--check` compares the formulas with librosa itself (V/bin/pip install librosa==0.11.0).
"""

import json
import sys

import numpy as np
import scipy.signal

RATE, SAMPLES = 16_000, 4_900


def signal() -> np.ndarray:
    """That of sound_features.py."""
    state, values = 1, []
    for i in range(SAMPLES):
        state = (state * 1_664_525 + 1_013_904_223) % 2**32
        time, loud = i / RATE, (0.5, 0.02, 0.2)[i // 1600 % 3]
        tone = np.sin(2 * np.pi * (300 + 9000 * time) * time)
        values.append(loud * (0.8 * tone + 0.2 * (state / 2**31 - 1)))
    return np.array(values, np.float32)


def hann(samples: int) -> np.ndarray:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(samples) / samples)


def spectra(samples: np.ndarray, frame: int, step: int, transform: int, centred: bool) -> np.ndarray:
    """Magnitudes, [frames, bins]."""
    if centred:
        samples = np.pad(samples, transform // 2, mode="reflect")
    count = (len(samples) - frame) // step + 1
    frames = np.stack([samples[i * step : i * step + frame] for i in range(count)])
    return np.abs(np.fft.rfft(frames * hann(frame), transform))


def htk(hertz):
    return 2595 * np.log10(1 + np.asarray(hertz) / 700)


def htk_hertz(mel):
    return 700 * (10 ** (np.asarray(mel) / 2595) - 1)


def slaney(hertz):
    hertz = np.asarray(hertz, float)
    return np.where(hertz < 1000, hertz * 3 / 200, 15 + 27 * np.log(np.maximum(hertz, 1) / 1000) / np.log(6.4))


def slaney_hertz(mel):
    mel = np.asarray(mel, float)
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))


def triangles(places: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """[bins, bands]"""
    left, centre, right = corners[:-2], corners[1:-1], corners[2:]
    places = places[:, None]
    return np.maximum(0, np.minimum((places - left) / (centre - left), (right - places) / (right - centre)))


def yamnet(samples: np.ndarray) -> np.ndarray:
    bins = np.linspace(0, RATE / 2, 257)
    weights = triangles(htk(bins), np.linspace(htk(125), htk(7500), 66))
    weights[0] = 0
    return np.log(spectra(samples, 400, 160, 512, False) @ weights + 0.001)


def panns(samples: np.ndarray) -> np.ndarray:
    """At 32 kHz."""
    corners = slaney_hertz(np.linspace(slaney(50), slaney(14_000), 66))
    weights = triangles(np.linspace(0, 16_000, 513), corners) * (2 / (corners[2:] - corners[:-2]))
    return 10 * np.log10(np.maximum(1e-10, spectra(samples, 1024, 320, 1024, True) ** 2 @ weights))


def ced(samples: np.ndarray) -> np.ndarray:
    weights = triangles(np.linspace(0, RATE / 2, 257), htk_hertz(np.linspace(htk(0), htk(8000), 66)))
    decibels = 10 * np.log10(np.maximum(1e-10, spectra(samples, 512, 160, 512, True) ** 2 @ weights))
    return np.maximum(decibels, decibels.max() - 120)


def doubled(samples: np.ndarray) -> np.ndarray:
    taps = scipy.signal.firwin(2 * 64 + 1, 0.5, window=("kaiser", 9.0))
    return scipy.signal.resample_poly(samples.astype(np.float64), 2, 1, window=taps)


def check() -> None:
    import librosa

    ours = triangles(np.linspace(0, 16_000, 513), corners := slaney_hertz(np.linspace(slaney(50), slaney(14_000), 66)))
    ours = ours * (2 / (corners[2:] - corners[:-2]))
    theirs = librosa.filters.mel(sr=32_000, n_fft=1024, n_mels=64, fmin=50, fmax=14_000).T
    print("librosa", np.abs(ours - theirs).max() / theirs.max())
    theirs = librosa.filters.mel(sr=RATE, n_fft=512, n_mels=64, fmin=0, fmax=8000, htk=True, norm=None).T  # torchaudio's, by its documentation
    print("htk", np.abs(triangles(np.linspace(0, 8000, 257), htk_hertz(np.linspace(0, htk(8000), 66))) - theirs).max())
    twice = doubled(signal())
    power = librosa.feature.melspectrogram(y=twice, sr=32_000, n_fft=1024, hop_length=320, n_mels=64, fmin=50, fmax=14_000, pad_mode="reflect")
    print("features", np.abs(librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=None).T - panns(twice)).max())


def kept(rows: np.ndarray, digits: int) -> dict[str, list[float]]:
    return {str(i): [round(float(value), digits) for value in rows[i]] for i in range(0, len(rows), 5)}


def main() -> None:
    if sys.argv[1] == "--check":
        return check()
    samples = signal()
    twice = doubled(samples)
    found = {"yamnet": kept(yamnet(samples), 4), "panns": kept(panns(twice), 4), "ced": kept(ced(samples), 4),
             "doubled": [round(float(value), 6) for value in twice[:1200]]}  # fmt: skip
    lines = [f'"{name}": {json.dumps(values)}' for name, values in found.items()]
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.write("{" + ",\n".join(lines) + "}\n")


if __name__ == "__main__":
    main()
