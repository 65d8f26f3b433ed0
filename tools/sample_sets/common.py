"""What the sample sets share: where pictures come from, and running the tools that write metadata."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sources:
    opencv: Path
    skimage: Path
    wallpapers: Path

    def wallpaper(self, name: str, size: str) -> Path:
        return next((self.wallpapers / name / "contents" / "images").glob(f"{size}.*"))


def run(*command) -> None:
    """Runs a tool; its output is shown only when it fails."""
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise RuntimeError(f"{command} exited {done.returncode}: {done.stdout.decode(errors='replace')}")


def set_tags(path: Path, tags: dict) -> None:
    """Writes tags by their exiv2 names; a list writes the value once per element (keywords).

    exiv2 repeats an IPTC tag by "add"; an XMP bag grows by "set".
    """
    commands = []
    for key, value in tags.items():
        verb = "add" if isinstance(value, list) and key.startswith("Iptc.") else "set"
        values = value if isinstance(value, list) else [value]
        commands += [argument for v in values for argument in ("-M", f"{verb} {key} {v}")]
    run("exiv2", *commands, "modify", path)


def gps_tags(lat: float, lon: float, altitude: float) -> dict:
    """EXIF position to 1/10000 of a second; altitude in metres, below sea level when negative."""

    def sexagesimal(value: float) -> str:
        ten_thousandths = round(abs(value) * 3600 * 10000)
        degrees, rest = divmod(ten_thousandths, 3600 * 10000)
        minutes, seconds = divmod(rest, 60 * 10000)
        return f"{degrees}/1 {minutes}/1 {seconds}/10000"

    return {
        "Exif.GPSInfo.GPSVersionID": "2 3 0 0",
        "Exif.GPSInfo.GPSLatitudeRef": "N" if lat >= 0 else "S",
        "Exif.GPSInfo.GPSLatitude": sexagesimal(lat),
        "Exif.GPSInfo.GPSLongitudeRef": "E" if lon >= 0 else "W",
        "Exif.GPSInfo.GPSLongitude": sexagesimal(lon),
        "Exif.GPSInfo.GPSAltitudeRef": "0" if altitude >= 0 else "1",
        "Exif.GPSInfo.GPSAltitude": f"{round(abs(altitude) * 10)}/10",
    }
