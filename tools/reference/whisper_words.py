"""The words of a recording and their times by faster-whisper: golden words for tests, and the peer of bench/sound.

    python3.11 -m venv V && V/bin/pip install faster-whisper==1.2.1 ctranslate2==4.8.5
    V/bin/python tools/reference/whisper_words.py --model FOLDER --file two_cities.wav --output tests/golden/whisper_words.json

FOLDER is a model of CTranslate2: model.bin, tokenizer.json, vocabulary.*, config.json. The words are Whisper's by greedy search at temperature
0 in int8 with two threads, after its own voice activity detection, without words
carried over from one window to the next.
"""

import argparse
import importlib.metadata
import json
from pathlib import Path

from faster_whisper import WhisperModel


def words_of(model: WhisperModel, path: Path) -> list[list]:
    segments, _ = model.transcribe(str(path), beam_size=1, temperature=0.0, word_timestamps=True, vad_filter=True,
                                   condition_on_previous_text=False)  # fmt: skip
    return [[word.word, round(word.start, 2), round(word.end, 2)] for segment in segments for word in segment.words]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    model = WhisperModel(str(given.model), device="cpu", compute_type="int8", cpu_threads=2)
    versions = {name: importlib.metadata.version(name) for name in ("faster-whisper", "ctranslate2")}
    document = {"made_by": "tools/reference/whisper_words.py", "versions": versions, "file": given.file.name, "compute_type": "int8",
                "words": words_of(model, given.file)}  # fmt: skip
    given.output.write_text(json.dumps(document) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
