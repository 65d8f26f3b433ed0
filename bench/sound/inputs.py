"""Makes the inputs of bench/sound with numpy, ffmpeg and espeak-ng, all 16 kHz mono WAV."""

import subprocess
import wave
from pathlib import Path

import numpy as np
import texts

RATE = 16000


def read(path: Path) -> np.ndarray:
    """16-bit samples of any sound file."""
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-vn", "-ar", str(RATE), "-ac", "1", "-f", "s16le", "-"],
                         capture_output=True, check=True).stdout  # fmt: skip
    return np.frombuffer(raw, "<i2")


def write(path: Path, samples: np.ndarray) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def seconds_of(path: Path) -> float:
    shown = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", path],
                           capture_output=True, text=True, check=True)  # fmt: skip
    return float(shown.stdout)


def spoken(folder: Path, language: str) -> Path:
    """The text of `language` in texts.SPOKEN by espeak-ng, 150 words a minute."""
    voice, text = texts.SPOKEN[language]
    path, raw = folder / f"spoken_{language}.wav", folder / "raw.wav"
    subprocess.run(["espeak-ng", "-v", voice, "-s", "150", "-w", raw, text], check=True)
    return write(path, read(raw))


def after_silence(folder: Path, speech: Path, silence: float = 60, seconds: float = 20) -> Path:
    samples = read(speech)[: int(seconds * RATE)]
    return write(folder / f"silence_{silence:.0f}_s_then_{speech.stem}.wav", np.concatenate([np.zeros(int(silence * RATE)), samples]))


def seldom(folder: Path, speech: Path, hours: float = 10, minutes: float = 10) -> Path:
    """`hours` of silence that holds about `minutes` of the speech, in whole repetitions evenly apart; FLAC, written a repetition at a time."""
    samples = read(speech)
    times = max(1, round(minutes * 60 * RATE / len(samples)))
    rest = np.zeros(max(0, int(hours * 3600 * RATE / times) - len(samples)), "<i2").tobytes()
    path = folder / f"seldom_{hours:g}_h.flac"
    command = ["ffmpeg", "-v", "error", "-y", "-f", "s16le", "-ar", str(RATE), "-ac", "1", "-i", "-", "-c:a", "flac", path]
    with subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE) as writer:
        for _ in range(times):
            writer.stdin.write(rest)
            writer.stdin.write(samples.tobytes())
        writer.stdin.close()
        if writer.wait():
            raise RuntimeError(f"ffmpeg could not write {path}")
    return path


def noise(count: int, tilt: float, rng: np.random.Generator) -> np.ndarray:
    """Noise whose amplitude falls as 1 / frequency ** tilt: 0 white, 0.5 pink, 1 brown; peak 1."""
    frequencies = np.fft.rfftfreq(count, 1 / RATE)
    frequencies[0] = 1
    sound = np.fft.irfft(np.fft.rfft(rng.normal(0, 1, count)) / frequencies**tilt * (frequencies > 15), count)
    return sound / np.abs(sound).max()


def hum(count: int, rng: np.random.Generator) -> np.ndarray:
    """As of an engine: brown noise and harmonics of 50 Hz whose speed and loudness drift."""
    t = np.arange(count) / RATE
    phase = 2 * np.pi * np.cumsum(1 + 0.03 * np.sin(2 * np.pi * 0.07 * t)) / RATE
    loudness = 1 + 0.2 * np.sin(2 * np.pi * 0.1 * t) + 0.1 * np.sin(2 * np.pi * 0.37 * t)
    tones = sum(part * np.sin(hertz * phase) for hertz, part in ((50, 0.2), (100, 0.1), (150, 0.06), (300, 0.02)))
    sound = 0.5 * noise(count, 1, rng) + loudness * tones
    return sound / np.abs(sound).max()


def melody(count: int, rng: np.random.Generator) -> np.ndarray:
    """Plucked notes of one scale with four harmonics, and chords."""
    sound, at = np.zeros(count + 2 * RATE), 0
    while at < count:
        step = int(RATE * rng.choice([0.2, 0.3, 0.4, 0.6]))
        t = np.arange(int(step * 1.5)) / RATE
        pitches = [(rng.choice([0, 2, 4, 5, 7, 9, 11, 12]), 220, 0.12)]
        if rng.random() < 0.4:
            pitches += [(half_tones, 110, 0.08) for half_tones in ((0, 4, 7), (5, 9, 12), (7, 11, 14))[rng.integers(3)]]
        for half_tones, base, loudness in pitches:
            hertz = base * 2 ** (half_tones / 12)
            tones = sum(np.sin(2 * np.pi * hertz * one * t) / one for one in (1, 2, 3, 4))
            sound[at : at + len(t)] += loudness * tones * np.exp(-3 * t) * np.minimum(1, 100 * t)
        at += step
    return sound[:count] / np.abs(sound).max()


def wordless(folder: Path, seconds: float = 600) -> dict[str, Path]:
    """Sounds that hold no word."""
    rng, count = np.random.default_rng(19), int(seconds * RATE)
    sounds = {"silence": np.zeros(count), "white_noise": noise(count, 0, rng) * 0.5, "pink_noise": noise(count, 0.5, rng) * 0.7,
              "engine_hum": hum(count, rng) * 0.6, "melody": melody(count, rng) * 0.7}  # fmt: skip
    return {name: write(folder / f"{name}.wav", sound * 32767) for name, sound in sounds.items()}
