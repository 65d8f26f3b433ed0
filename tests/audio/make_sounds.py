"""Makes the sounds that the audio tests read: 16 kHz, mono, float32.

usage: make_sounds.py FOLDER     writes FOLDER/NAME.f32; tools/reference/sound_events.py imports sounds()
"""

import pathlib
import sys

import numpy as np

RATE = 16_000
CHORDS = [(261.6, 329.6, 392.0), (220.0, 261.6, 329.6), (174.6, 220.0, 261.6), (196.0, 246.9, 293.7)]  # Hz
VOWELS = [(730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410), (440, 1020, 2240)]  # formants


def note(frequency: float, seconds: float) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * frequency * k * time) / k for k in range(1, 8) if frequency * k < RATE / 2)
    return tone * np.minimum(1, time / 0.01) * np.exp(-3 * time)


def music(seconds: float, beat: float = 0.5) -> np.ndarray:
    sound = np.zeros(int((seconds + 4) * RATE))
    for i in range(int(seconds / beat)):
        chord, at = CHORDS[i // 4 % len(CHORDS)], int(i * beat * RATE)
        for frequency, loud in [*((f, 0.2) for f in chord), (chord[0] / 2, 0.4), (chord[i % 3] * 2, 0.25)]:
            tone = loud * note(frequency, 1.5)
            sound[at : at + len(tone)] += tone
    return 0.3 * sound[: int(seconds * RATE)] / np.abs(sound).max()


def resonance(signal: np.ndarray, frequency: float, width: float) -> np.ndarray:
    n, angle = np.arange(RATE // 20), 2 * np.pi * frequency / RATE
    return np.convolve(signal, np.exp(-np.pi * width * n / RATE) * np.sin((n + 1) * angle) / np.sin(angle))[: len(signal)]


def speech(seconds: float, seed: int) -> np.ndarray:
    """Vowels by formants, in syllables with noise between them, and pauses between the words."""
    random, parts, length = np.random.default_rng(seed), [], 0.0
    while length < seconds:
        for _ in range(random.integers(1, 4)):
            duration, pitch = random.uniform(0.1, 0.22), random.uniform(95, 150)
            count = int(duration * RATE)
            phase = np.cumsum(np.linspace(pitch, pitch * random.uniform(0.8, 1.1), count) / RATE)
            source = np.diff(np.floor(phase), prepend=0) + 0.01 * random.standard_normal(count)
            vowel = VOWELS[random.integers(len(VOWELS))]
            voiced = sum(resonance(source, f, w) / (k + 1) for k, (f, w) in enumerate(zip(vowel, (60, 90, 150))))
            parts.append(voiced * np.sin(np.pi * np.arange(count) / count) ** 0.5 / np.abs(voiced).max())
            hiss = random.standard_normal(int(random.uniform(0.03, 0.08) * RATE))
            parts.append(0.08 * np.diff(hiss, prepend=0))
            length += (len(parts[-1]) + len(parts[-2])) / RATE
        pause = np.zeros(int(random.uniform(0.05, 0.4) * RATE))
        parts.append(pause)
        length += len(pause) / RATE
    return 0.4 * np.concatenate(parts)[: int(seconds * RATE)]


def sounds() -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    silence, noise = np.zeros(3 * RATE), 0.02 * random.standard_normal(5 * RATE)
    voice, tune = speech(12, 7), music(14)
    long = [silence, speech(9, 3), silence, music(31), noise, speech(6, 4), silence, noise, music(8), silence, speech(14, 5)]
    made = {
        "music": music(20),
        "speech": voice,
        "both": np.concatenate([silence, voice[: 10 * RATE] + tune[: 10 * RATE], tune[10 * RATE :]]),
        "noise": noise,
        "silence": silence,
        "long": np.concatenate(long),
        "short": music(0.5),
    }
    return {name: sound.astype(np.float32) for name, sound in made.items()}


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True)
    for name, sound in sounds().items():
        sound.astype("<f4").tofile(folder / f"{name}.f32")
