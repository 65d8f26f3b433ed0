"""The words that image-engine hears where there are none: ten minutes each of silence, white noise, pink noise, engine hum, a synthesised melody,
and music files without voices. Every word is an error.

usage: python3 bench/sound/no_words.py [--model whisper-base] [--seconds 600] [--music FILE…] [--bin FOLDER]
needs numpy, ffmpeg. Music: whatever instrumental tracks there are, as those of Debian's planetblupi-music-ogg and singularity-music.

Prints a table, then a line of JSON; ends with 1 where there were words.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import inputs
import ours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="whisper-base")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--music", type=Path, nargs="*", default=[])
    parser.add_argument("--bin", type=Path, default=ours.ROOT / "build/release/bin")
    given = parser.parse_args()
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        files = inputs.wordless(Path(folder), given.seconds) | {path.stem: path for path in given.music}
        print(f"{'':28}{'seconds':>9}{'words':>7}{'cpu s':>8}   heard")
        for name, path in files.items():
            run = ours.analyze(given.bin, path, given.model)
            words = [word for word, _ in ours.words_of(run["document"])]
            rows[name] = {"seconds": inputs.seconds_of(path), "words": words, "cpu": run["cpu"]}
            print(f"{name[:27]:28}{rows[name]['seconds']:9.0f}{len(words):7}{run['cpu']:8.1f}   {' '.join(words[:12])}")
    print(json.dumps(rows))
    if any(row["words"] for row in rows.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
