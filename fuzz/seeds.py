"""Writes small valid files for each fuzz target to start from: FOLDER/fuzz_NAME/….

usage: seeds.py FOLDER
"""

import io
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile

from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from sample_sets import bmp_runs, dng, heic_grid  # noqa: E402

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
    yield "jpeg", encoded(picture, "JPEG", subsampling=0, restart_marker_blocks=2, optimize=True)
    yield "jpeg", encoded(picture, "JPEG", progressive=True)
    yield "jpeg", encoded(picture.convert("CMYK"), "JPEG")
    yield "jpeg", encoded(picture.convert("L"), "JPEG", restart_marker_rows=1)
    yield "bmp", encoded(picture, "BMP")
    yield "bmp", encoded(picture.convert("P"), "BMP")
    yield "bmp", bmp_runs.encode(picture)
    yield "bmp", bmp_runs.encode(picture, four_bits=True, skip_rows=3)
    for kind, modes in {"PNG": ("RGBA", "P", "L"), "WEBP": ("RGBA",), "GIF": ("P",), "TIFF": ("RGB", "CMYK", "F")}.items():
        for mode in modes:
            yield "vips", encoded(picture.convert(mode), kind)
    yield "heif", encoded(picture, "AVIF")
    yield "vips", encoded(picture, "PNG", exif=exif)
    yield from modern_files(picture)
    yield from (("raw", content) for content in raw_files(picture))


def raw_files(picture):
    """DNG with a preview and without, and its directories under the signatures and makers of other cameras."""
    picture = picture.resize((32, 32))
    yield dng.encode(picture, "Leica", "Leica M10", "2024:06:01 10:22:03")
    plain = dng.encode(picture, "Canon", "Canon EOS 5D", "2024:06:01 10:22:03", orientation=6, preview=False)
    yield plain
    for signature in (b"IIRO", b"IIRS", b"IIU\0"):
        yield signature + plain[4:]
    # CR2 has its mark where the directory usually begins: that moves behind the end.
    canon = struct.pack("<2sHI4sI", b"II", 42, len(plain), b"CR\2\0", 0) + plain[16:] + plain[8:]
    yield canon
    for maker in ("NIKON CORPORATION", "SONY"):
        other = dng.encode(picture, maker, "Camera", "2024:06:01 10:22:03")
        yield other.replace(struct.pack("<HH", 50706, dng.BYTE), struct.pack("<HH", 50740, dng.BYTE), 1)


def made_by(command, suffix):
    """What the tool writes; nothing where it is absent or cannot."""
    if not shutil.which(command[0]):
        return
    with tempfile.TemporaryDirectory() as folder:
        target = pathlib.Path(folder) / f"made.{suffix}"
        done = subprocess.run([part.format(target) for part in command], capture_output=True, check=False)
        if done.returncode == 0 and target.exists():
            yield target.read_bytes()


def modern_files(picture):
    """HEIC alone and as a grid, JPEG XL of both kinds (VarDCT, lossless, animated container)."""
    with tempfile.TemporaryDirectory() as folder:
        png, gif = f"{folder}/source.png", f"{folder}/source.gif"
        picture.save(png)
        picture.convert("P").save(gif, save_all=True, append_images=[picture.rotate(180).convert("P")], duration=50)
        for content in made_by(["vips", "copy", png, "{}[Q=60]"], "heic"):
            yield "heif", content
        for options in (["-d", "3"], ["-d", "0"], ["-d", "1", "--container=1"]):
            for content in made_by(["cjxl", png, "{}", *options], "jxl"):
                yield "jxl", content
        for content in made_by(["cjxl", gif, "{}", "-d", "0"], "jxl"):
            yield "jxl", content
    if shutil.which("vips"):
        yield "heif", heic_grid.Grid(heic_grid.tiles()).file()


VIDEOS = {
    "mp4": ("mpeg4", "aac"), "mov": ("mjpeg", "pcm_s16le"), "mkv": ("mpeg4", "flac"), "webm": ("libvpx", "libvorbis"),
    "avi": ("mpeg4", "mp2"), "ts": ("mpeg2video", "mp2"), "m2ts": ("mpeg2video", "ac3"), "mpg": ("mpeg1video", "mp2"),
    "flv": ("flv", "adpcm_swf"), "wmv": ("wmv2", "wmav2"), "ogv": ("libtheora", "libvorbis"),
}  # fmt: skip


def videos():
    tags = {"creation_time": "2024-06-01T08:22:03Z", "location": "+48.1372+011.5755/", "title": "A clip"}
    for suffix, (picture, sound) in VIDEOS.items():
        yield from made_by(
            ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=32x32:rate=25:duration=0.12", "-f", "lavfi", "-i",
             "sine=duration=0.12:sample_rate=44100", "-c:v", picture, "-c:a", sound, "-q:v", "31", "-fflags", "+bitexact",
             *[part for key, value in tags.items() for part in ("-metadata", f"{key}={value}")], "{}"], suffix)


SOUNDS = {
    "mp3": ("-c:a", "libmp3lame"), "mp2": ("-c:a", "mp2"), "m4a": ("-c:a", "aac"), "wav": ("-c:a", "pcm_s16le"), "flac": ("-c:a", "flac"),
    "ogg": ("-c:a", "libvorbis"), "opus": ("-c:a", "libopus"), "spx": ("-c:a", "libspeex", "-ar", "16000"), "aiff": ("-c:a", "pcm_s16be", "-write_id3v2", "1"),
    "wma": ("-c:a", "wmav2"), "aac": ("-c:a", "aac"), "mka": ("-c:a", "flac"),
    "caf": ("-c:a", "alac"), "au": ("-c:a", "pcm_mulaw"), "w64": ("-c:a", "pcm_f32le"), "wv": ("-c:a", "wavpack"), "ac3": ("-c:a", "ac3"),
}  # fmt: skip


def sounds():
    """With tags, and with a cover where the format has one."""
    tags = {"title": "Näher", "artist": "A", "album": "B", "genre": "C", "track": "3/12", "date": "2019", "comment": "D"}
    metadata = [part for key, value in tags.items() for part in ("-metadata", f"{key}={value}")]
    sine = ["-f", "lavfi", "-i", "sine=duration=0.2:sample_rate=44100"]
    cover = ["-f", "lavfi", "-i", "color=red:size=16x16:duration=0.04", "-map", "0:a", "-map", "1:v", "-frames:v", "1", "-c:v", "mjpeg",
             "-disposition:v", "attached_pic"]  # fmt: skip
    for suffix, codec in SOUNDS.items():
        with_cover = cover if suffix in ("mp3", "m4a", "flac") else []
        yield from made_by(["ffmpeg", "-v", "error", *sine, *with_cover, *codec, *metadata, "-fflags", "+bitexact", "{}"], suffix)
    yield b"#!AMR\n" + (b"\x3c" + bytes(31)) * 10


def subtitles():
    """Files of their own in each character set, and streams of each codec."""
    srt = "1\n00:00:00,010 --> 00:00:00,090\n<i>Größe</i> {\\an8}a\n\n2\n00:00:00,095 --> 00:00:00,110\nb\n\n"
    vtt = "WEBVTT\n\nNOTE x\n\nid\n00:00.010 --> 00:00.090 align:start\n<v Ann>a &amp; b</v>\n"
    yield from (srt.encode(), vtt.encode(), b"\xff\xfe" + srt.encode("utf-16-le"), srt.encode("utf-16-be"), srt.encode("cp1252"))
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "source.srt"
        source.write_text(srt)
        for codec, suffix in (("subrip", "mkv"), ("ass", "mkv"), ("webvtt", "mkv"), ("mov_text", "mp4")):
            yield from made_by(["ffmpeg", "-v", "error", "-i", str(source), "-c:s", codec, "-metadata:s:s:0", "language=eng", "-fflags", "+bitexact",
                                "{}"], suffix)  # fmt: skip


ANSWERS = [
    '{"predictions": [{"class": "bottle", "confidence": 0.9, "bbox": [1, 2.5, 30, NaN]}, {"class": "é", "confidence": 1, "bbox": [0, 0, 1, 1]}]}',
    '{"text": "<think>a</think> A dog\\u0007.\\n"}',
    '{"choices": [{"message": {"content": [{"type": "text", "text": "A dog."}]}}]}',
    '{"choices": [{"message": {"content": {"boundingBoxes": [{"phrase": "can", "bboxes": [[1, 2, 3, 4]], "confidence": [0.7]}]}}}]}',
    '{"data": [{"index": 1, "embedding": [3, -Infinity, 4e2]}], "embeddings": [[3, 4]], "image_embedding": [1, 2]}',
    '{"title": "Payment Required", "status": 402, "detail": [{"msg": "no credits"}], "error": {"message": "x"}}',
    "<html><title>502</title></html>",
]  # fmt: skip


def plugin_description():
    """As src/plugins/protocol.h archives it: a plugin with one input, one output and one choice."""

    def text(value):
        return struct.pack("<I", len(value)) + value

    def port(name):
        return b"\1" + text(name) + text(b"help") + bytes(2)

    parameter = b"\5" + text(b"style") + text(b"") + struct.pack("<3d", 0, 0, 0) + text(b"one") + struct.pack("<I", 2) + text(b"one") + text(b"two")
    head = struct.pack("<I", 0) + b"".join(map(text, (b"blur", b"1.0", b"MIT", b"Blurs")))
    return head + struct.pack("<I", 1) + port(b"photo") + struct.pack("<I", 1) + port(b"out") + struct.pack("<I", 1) + parameter + struct.pack("<I", 0)


def texts():
    """For the targets that read no pictures."""
    for path in sorted((ROOT / "config").glob("*_config.yaml")):
        yield "config", path.read_bytes()
    yield "globs", b"# names\n*.[jt]p?g\n!keep[!a-z]*/\n/raw/**/old\\ \n**/cache/**\n"
    yield "masks", bytes([15, 4]) + bytes([0, 24, 60, 126, 255, 126, 60, 24] * 4)
    yield "plugin_answers", bytes([0, 1]) + plugin_description()
    yield "protocol", bytes(97)  # nine operations that were not asked for
    for answer in ANSWERS:
        yield "nvidia_answers", answer.encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/frame.mp4", bytes(100))
        archive.writestr("1.response", ANSWERS[1])
    yield "nvidia_answers", packed.getvalue()


def write_seed(root, target, number, content):
    folder = root / f"fuzz_{target}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"seed{number}").write_bytes(content)


def main():
    root = pathlib.Path(sys.argv[1])
    root.mkdir(parents=True, exist_ok=True)
    seeds = [(f"decode_{decoder}", content) for decoder, content in pictures()] + [(target, content) for content in videos() for target in ("video", "frames", "sound")]
    seeds += [(target, content) for content in sounds() for target in ("video", "sound")]
    for number, (own, content) in enumerate(seeds):
        for target in (own, "metadata", "sniff"):
            prefix = b"\0" if target == "metadata" else b""
            write_seed(root, target, number, prefix + content)
    for number, content in enumerate(subtitles()):
        write_seed(root, "subtitles", number, content)
    for number, (target, content) in enumerate(texts()):
        write_seed(root, target, number, content)


if __name__ == "__main__":
    main()
