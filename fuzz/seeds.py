"""Writes small valid files for each fuzz target to start from: FOLDER/fuzz_NAME/….

usage: seeds.py FOLDER
"""

import importlib.util
import io
import pathlib
import sys

from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parent.parent
WIDTH, HEIGHT = 24, 17


def encoded(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def pictures():
    picture = Image.radial_gradient("L").resize((WIDTH, HEIGHT)).convert("RGB")
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x0132] = "Maker", 6, "2024:06:01 10:22:03"
    exif[0x8825] = {1: "N", 2: (48.0, 8.0, 0.0), 3: "E", 4: (11.0, 34.0, 0.0)}
    yield "jpeg", encoded(picture, "JPEG", exif=exif)
    yield "jpeg", encoded(picture, "JPEG", progressive=True)
    yield "jpeg", encoded(picture.convert("CMYK"), "JPEG")
    yield "jpeg", encoded(picture.convert("L"), "JPEG", restart_marker_rows=1)
    yield "bmp", encoded(picture, "BMP")
    yield "bmp", encoded(picture.convert("P"), "BMP")
    for kind, modes in {"PNG": ("RGBA", "P", "L"), "WEBP": ("RGBA",), "GIF": ("P",), "TIFF": ("RGB", "CMYK", "F"),
                        "AVIF": ("RGB",)}.items():
        for mode in modes:
            yield "vips", encoded(picture.convert(mode), kind)
    yield "vips", encoded(picture, "PNG", exif=exif)


def raw_file(folder):
    """The DNG that the media tests make."""
    path = ROOT / "tests" / "media" / "make_inputs.py"
    spec = importlib.util.spec_from_file_location("make_inputs", path)
    make_inputs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_inputs)

    class Folder:
        def __init__(self):
            self.folder = folder

        def expect(self, *_):
            pass

    make_inputs.make_dng(Folder(), Image.radial_gradient("L").resize((32, 32)).convert("RGB"))
    path = folder / "raw.dng"
    content = path.read_bytes()
    path.unlink()
    return content


def texts():
    """For the targets that read no pictures."""
    for path in sorted((ROOT / "config").glob("*_config.yaml")):
        yield "config", path.read_bytes()
    yield "globs", b"# names\n*.[jt]p?g\n!keep[!a-z]*/\n/raw/**/old\\ \n**/cache/**\n"
    yield "protocol", bytes(52)  # four operations that were not asked for


def write_seed(root, target, number, content):
    folder = root / f"fuzz_{target}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"seed{number}").write_bytes(content)


def main():
    root = pathlib.Path(sys.argv[1])
    root.mkdir(parents=True, exist_ok=True)
    seeds = [*pictures(), ("raw", raw_file(root))]
    for number, (decoder, content) in enumerate(seeds):
        for target in (f"decode_{decoder}", "metadata", "sniff"):
            prefix = b"\0" if target == "metadata" else b""
            write_seed(root, target, number, prefix + content)
    for number, (target, content) in enumerate(texts()):
        write_seed(root, target, number, content)


if __name__ == "__main__":
    main()
