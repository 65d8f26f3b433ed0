"""Sound files of every supported format with tags and cover art, what ffprobe says of them, and broken ones.

usage: make_sound_files.py FOLDER
"""

import json
import pathlib
import random
import shutil
import struct
import subprocess
import sys

TAGS = {
    "title": "Näher am Ufer", "artist": "Kvartett Ost", "album": "Salzwasser", "album_artist": "Various Herons", "composer": "Ida Lindqvist",
    "genre": "Chamber", "date": "2019", "track": "3/12", "comment": "recorded in the boathouse",
}  # fmt: skip
COVER = ("-f", "lavfi", "-i", "color=red:size=64x64:duration=0.04:rate=25")
# File: how it is encoded, and whether it has cover art.
FILES = {
    "song.mp3": (("-c:a", "libmp3lame", "-b:a", "96k", "-id3v2_version", "3"), True),
    "utf16.mp3": (("-c:a", "libmp3lame", "-id3v2_version", "3", "-write_xing", "0"), False),
    "old.mp2": (("-c:a", "mp2"), False),
    "song.m4a": (("-c:a", "aac"), True),
    "book.m4b": (("-c:a", "alac", "-f", "ipod"), False),
    "talk.mp4": (("-c:a", "aac"), False),
    "memo.mov": (("-c:a", "pcm_s16le", "-f", "mov"), False),
    "take.wav": (("-c:a", "pcm_s16le", "-ar", "8000", "-ac", "1"), False),
    "long.rf64": (("-c:a", "pcm_s16le", "-f", "wav", "-rf64", "always"), False),
    "song.flac": (("-c:a", "flac"), True),
    "song.ogg": (("-c:a", "libvorbis"), False),
    "voice.opus": (("-c:a", "libopus", "-b:a", "32k"), False),
    "speech.spx": (("-c:a", "libspeex", "-ar", "16000", "-ac", "1", "-f", "ogg"), False),
    "lossless.oga": (("-c:a", "flac", "-f", "ogg"), False),
    "take.aiff": (("-c:a", "pcm_s16be", "-write_id3v2", "1"), False),
    "song.wma": (("-c:a", "wmav2"), False),
    "stream.aac": (("-c:a", "aac", "-f", "adts"), False),
    "song.mka": (("-c:a", "flac"), False),
    "web.webm": (("-c:a", "libopus"), False),
}


def ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True)


def sine(seconds):
    return ("-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={seconds}")


def make(folder):
    tags = [part for key, value in TAGS.items() for part in ("-metadata", f"{key}={value}")]
    for name, (codec, has_cover) in FILES.items():
        cover = ("-map", "0:a", "-map", "1:v", "-frames:v", "1", "-c:v", "mjpeg", "-disposition:v", "attached_pic") if has_cover else ()
        ffmpeg(*sine(3), *(COVER if has_cover else ()), *cover, *codec, *tags, folder / name)
    # A narrow-band AMR frame of 20 ms: its mode, then 31 bytes.
    (folder / "call.amr").write_bytes(b"#!AMR\n" + (b"\x3c" + bytes(31)) * 100)
    ffmpeg(*sine(2), *sine(2), "-map", "0", "-map", "1", "-c:a", "aac", "-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=deu",
           "-disposition:a:0", "0", "-disposition:a:1", "default", folder / "languages.m4a")
    ffmpeg(*sine(2), "-c:a", "aac", "-metadata", "creation_time=2021-03-04T05:06:07Z", folder / "memo.m4a")
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=2", *sine(2), "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac",
           "-f", "ipod", folder / "clip.m4a")
    (folder / "clip.m4a").write_bytes((folder / "clip.m4a").read_bytes().replace(b"ftypM4V ", b"ftypM4A ", 1))
    ffmpeg("-i", folder / "song.flac", "-map", "0:a", "-c", "copy", "-metadata", "title=Another title", folder / "retagged.flac")
    # ID3v1 alone, in Latin-1.
    text = [field.ljust(length, b"\0") for field, length in ((b"Caf\xe9", 30), (b"Zo\xeb", 30), (b"Cr\xeape", 30), (b"1999", 4), (b"", 30))]
    ffmpeg(*sine(2), "-c:a", "libmp3lame", "-id3v2_version", "0", "-map_metadata", "-1", folder / "bare.mp3")
    bare = (folder / "bare.mp3").read_bytes()
    (folder / "latin1.mp3").write_bytes(bare + b"TAG" + b"".join(text) + b"\x08")
    # A recorder's broadcast wave.
    chunk = struct.pack("<256s32s32s10s8sQH", b"", b"Recorder", b"", b"2022-02-03", b"14:15:16", 0, 1) + bytes(254)
    ffmpeg(*sine(3), "-c:a", "pcm_s16le", "-map_metadata", "-1", "-bitexact", folder / "field.wav")
    wave = (folder / "field.wav").read_bytes()
    (folder / "field.wav").write_bytes(wave[:12] + b"bext" + struct.pack("<I", len(chunk)) + chunk + wave[12:])
    make_hostile(folder, bare)


def make_hostile(folder, mp3):
    """Files that are no sound although their name or begin says so."""
    noise = random.Random(1).randbytes(20000)
    (folder / "empty.mp3").write_bytes(b"")
    (folder / "noise.mp3").write_bytes(b"\xff\xfb" + noise)
    (folder / "endless_tag.mp3").write_bytes(b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + noise)
    (folder / "tag_only.mp3").write_bytes(b"ID3\x04\0\0\0\0\0\0" + bytes(20000))
    (folder / "cut.m4a").write_bytes((folder / "song.m4a").read_bytes()[:600])
    (folder / "cut.mp3").write_bytes(mp3[: len(mp3) // 2])
    (folder / "cut.flac").write_bytes((folder / "song.flac").read_bytes()[:-2000])


def probed(path):
    out = subprocess.run(["ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", path], capture_output=True, check=True)
    return json.loads(out.stdout)


def main():
    folder = pathlib.Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    make(folder)
    files = [{"file": name, "ffprobe": probed(folder / name)} for name in [*FILES, "call.amr", "languages.m4a", "memo.m4a", "latin1.mp3", "field.wav", "cut.mp3"]]
    (folder / "manifest.json").write_text(json.dumps({"tags": TAGS, "files": files}))


if __name__ == "__main__":
    main()
