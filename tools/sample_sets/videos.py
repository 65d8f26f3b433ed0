"""Two clips as they come, and clips with what phones write: creation time, place, rotation, sound."""

import shutil
from pathlib import Path

from . import common


def make(sources: common.Sources, folder: Path) -> dict:
    for name in ("vtest.avi", "Megamind.avi"):
        shutil.copyfile(sources.opencv / name, folder / name)

    upright = folder / "phone.mp4"
    common.run(
        "ffmpeg", "-v", "error", "-i", sources.opencv / "vtest.avi", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100",
        "-t", "4", "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-c:a", "aac", "-movflags", "+faststart",
        "-map_metadata", "-1", "-metadata", "creation_time=2019-07-14T18:30:05.000000Z", "-metadata", "title=Pedestrians",
        "-metadata", "location=+48.1372+011.5755/", "-fflags", "+bitexact", upright,
    )  # fmt: skip
    rotated = folder / "phone_rotated.mp4"
    common.run(
        "ffmpeg", "-v", "error", "-i", upright, "-c", "copy", "-metadata:s:v", "rotate=90",
        "-metadata", "creation_time=2021-01-02T03:04:05.000000Z", rotated,
    )  # fmt: skip
    common.run("ffmpeg", "-v", "error", "-i", upright, "-t", "2", "-c:v", "libvpx-vp9", "-b:v", "300k", "-deadline", "realtime",
               "-cpu-used", "8", "-an", folder / "web.webm")  # fmt: skip
    common.run("ffmpeg", "-v", "error", "-i", upright, "-c", "copy", folder / "camera.mov")
    common.run("ffmpeg", "-v", "error", "-i", upright, "-c", "copy", folder / "disc.mkv")
    return {
        "vtest.avi": {"width": 768, "height": 576},
        "Megamind.avi": {"width": 720, "height": 528},
        "phone.mp4": {"created": "2019-07-14T18:30:05Z", "gps": [48.1372, 11.5755], "title": "Pedestrians", "width": 768, "height": 576},
        "phone_rotated.mp4": {"created": "2021-01-02T03:04:05Z", "upright_width": 576, "upright_height": 768},
    }
