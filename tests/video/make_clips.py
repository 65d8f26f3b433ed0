"""Makes the small frames of composed clips that the video tests read, with what is true of them.

usage: make_clips.py SAMPLES FOLDER     SAMPLES is build/samples; writes FOLDER/N.json (compose_clips.py) and N.rgb, frames of 64 × 36
"""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/video"))
import compose_clips  # noqa: E402

FOOTAGE = [{"file": "Megamind.avi", "shots": [[3, 97], [101, 153], [157, 199], [203, 268]]}, {"file": "vtest.avi", "shots": [[0, 200]]}]
SEEDS = (1, 2)
SCENES = 14


def main() -> None:
    samples, folder = map(pathlib.Path, sys.argv[1:])
    folder.mkdir(parents=True)
    shots = compose_clips.load_shots(FOOTAGE, [samples / "videos"])
    for seed in SEEDS:
        clip = folder / f"{seed}.mp4"
        composer = compose_clips.Composer(shots, seed, list(compose_clips.SHARES))
        composer.compose(SCENES)
        composer.write(clip)
        subprocess.run(["ffmpeg", "-v", "error", "-i", clip, "-vsync", "passthrough", "-vf", "scale=64:36:flags=area", "-f", "rawvideo",
                        "-pix_fmt", "rgb24", clip.with_suffix(".rgb")], check=True)  # fmt: skip
        clip.unlink()


if __name__ == "__main__":
    main()
