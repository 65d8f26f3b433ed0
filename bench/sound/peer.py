"""Speech as one would recognise it in Python: faster-whisper in int8, with its own voice activity detection. One process.

usage: peer.py FILE --model FOLDER [--language en] [--threads 2] [--beam 5]
needs: python3 -m venv V && V/bin/pip install faster-whisper==1.2.1 ctranslate2==4.8.5

FOLDER is a model of CTranslate2. Prints a line of JSON: words [[word, from, to]], language, its probability, and seconds of loading the model and
of transcribing.
"""

import argparse
import json
import time

from faster_whisper import WhisperModel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--model", required=True)
    parser.add_argument("--language")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--beam", type=int, default=5, help="5 is faster-whisper's default; 1: greedy")
    given = parser.parse_args()
    begin = time.perf_counter()
    model = WhisperModel(given.model, device="cpu", compute_type="int8", cpu_threads=given.threads)
    loaded = time.perf_counter()
    segments, info = model.transcribe(given.file, language=given.language, beam_size=given.beam, word_timestamps=True, vad_filter=True,
                                      condition_on_previous_text=False)  # fmt: skip
    words = [[word.word.strip(), float(word.start), float(word.end)] for segment in segments for word in segment.words]
    print(json.dumps({"words": words, "language": info.language, "language_probability": float(info.language_probability),
                      "load": loaded - begin, "transcribe": time.perf_counter() - loaded}))  # fmt: skip


if __name__ == "__main__":
    main()
