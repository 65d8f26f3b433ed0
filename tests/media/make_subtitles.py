"""Makes videos with subtitles of every kind that is read, and manifest.json with what is in them.

usage: make_subtitles.py FOLDER
"""

import json
import pathlib
import shutil
import struct
import subprocess
import sys

ENGLISH = [[0.5, 1.5, "Good morning."], [2.0, 3.25, "How are you,\nmy friend?"], [4.0, 4.8, "1 < 2 & 3"]]
GERMAN = [[0.5, 1.5, "Guten Morgen."], [2.0, 3.25, "Wie geht es dir,\nmein Freund?"]]
SOUNDS = [[0.2, 0.4, "[music]"], [0.5, 1.5, "JOHN: Good morning."]]
FOREIGN = [[2.0, 3.0, "(in Elvish) Farewell."]]


def clock(seconds, point=","):
    ms = round(seconds * 1000)
    return f"{ms // 3600000:02}:{ms // 60000 % 60:02}:{ms // 1000 % 60:02}{point}{ms % 1000:03}"


def srt(cues):
    return "".join(f"{n}\n{clock(a)} --> {clock(b)}\n{text}\n\n" for n, (a, b, text) in enumerate(cues, 1))


def vtt(cues, head="STYLE\n::cue { color: red }\n\n"):
    escaped = [(a, b, text.replace("&", "&amp;").replace("<", "&lt;")) for a, b, text in cues]
    return f"WEBVTT\n\n{head}NOTE not shown\n\n" + "".join(
        f"id {n}\n{clock(a, '.')} --> {clock(b, '.')} align:start\n<v Ann>{text}</v>\n\n" for n, (a, b, text) in enumerate(escaped))


ASS = r"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,20,&H00FFFFFF,&H000000FF,&H00000000,&H00000000,0,0,0,0,100,100,0,0,1,1,1,2,10,10,10,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:00.50,0:00:01.50,Default,Ann,0,0,0,,{\i1}Good{\i0} morning, {\b1\c&H0000FF&}all.
Dialogue: 1,0:00:00.50,0:00:01.50,Default,Ann,0,0,0,,{\blur3}Good morning, all.
Dialogue: 0,0:00:02.00,0:00:03.00,Default,,0,0,0,,{\p1}m 0 0 l 100 0 100 100{\p0}
Dialogue: 0,0:00:02.00,0:00:03.00,Default,,0,0,0,,One\Ntwo\hthree\nfour
Comment: 0,0:00:03.00,0:00:04.00,Default,,0,0,0,,not shown
"""
ASS_CUES = [[0.5, 1.5, "Good morning, all."], [2.0, 3.0, "One\ntwo three\nfour"]]


def pictures():
    """A stream of PGS: sets of one empty picture, as Blu-rays have them."""

    def segment(kind, time, body):
        return b"PG" + struct.pack(">IIBH", round(time * 90000), 0, kind, len(body)) + body

    sets = b""
    for number, time in enumerate((0.5, 1.5, 2.5)):
        sets += segment(0x16, time, struct.pack(">HHBHBBBB", 320, 180, 0x10, number, 0x80, 0, 0, 0)) + segment(0x80, time, b"")
    return sets


def main():
    folder = pathlib.Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    entries = []

    def expect(file, wanted, stream, codec, language, cues, text=0, other=0):
        entries.append({"file": file, "wanted": wanted, "stream": stream, "codec": codec, "language": language, "cues": cues, "text": text,
                        "other": other})  # fmt: skip

    def write(name, content):
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return folder / name

    def video(name, streams, *options, sound="eng", codec="copy"):
        """`streams`: (file, language, title, disposition)"""
        command = ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=5", "-f", "lavfi", "-i",
                   "sine=duration=5:sample_rate=44100"]  # fmt: skip
        for file, *_ in streams:
            command += ["-i", folder / file]
        command += ["-map", "0:v", "-map", "1:a", *[part for i in range(len(streams)) for part in ("-map", f"{i + 2}:s")]]
        command += ["-c:s", codec, "-metadata:s:a:0", f"language={sound}", *options]
        for i, (_, language, title, disposition) in enumerate(streams):
            command += [f"-metadata:s:s:{i}", f"language={language}", f"-metadata:s:s:{i}", f"title={title}", f"-disposition:s:{i}", disposition]
        subprocess.run([*map(str, command), folder / name], check=True)

    for name, cues in {"en.srt": ENGLISH, "de.srt": GERMAN, "sounds.srt": SOUNDS, "foreign.srt": FOREIGN}.items():
        write(name, srt(cues))
    expect("en.srt", "", -1, "subrip", "", ENGLISH)
    write("en.vtt", vtt(ENGLISH))
    expect("en.vtt", "", -1, "webvtt", "", ENGLISH)
    write("a.ass", ASS)
    write("p.sup", pictures())
    umlauts = [[1.0, 2.0, "Größe – “naïve” €5"]]
    text = srt(umlauts)
    for name, content in {"bom8": b"\xef\xbb\xbf" + text.encode(), "bom16le": b"\xff\xfe" + text.encode("utf-16-le"),
                          "bom16be": b"\xfe\xff" + text.encode("utf-16-be"), "plain16le": text.encode("utf-16-le"),
                          "plain16be": text.encode("utf-16-be"), "windows": text.encode("cp1252"), "lines": text.replace("\n", "\r\n").encode(),
                          "zeros": text.replace(" ", "\0 ").encode()}.items():  # fmt: skip
        write(f"{name}.srt", content)
        expect(f"{name}.srt", "", -1, "subrip", "", umlauts)

    several = [("foreign.srt", "eng", "Forced", "default+forced"), ("sounds.srt", "eng", "English SDH", "hearing_impaired"), ("de.srt", "ger", "Deutsch", "0"),
               ("en.srt", "eng", "English", "0"), ("p.sup", "fre", "", "0")]  # fmt: skip
    video("several.mkv", several)
    expect("several.mkv", "", 5, "subrip", "en", ENGLISH, 4, 1)
    expect("several.mkv", "de", 4, "subrip", "de", GERMAN, 4, 1)
    expect("several.mkv", "ja", 5, "subrip", "en", ENGLISH, 4, 1)
    video("spoken.mkv", several[1:], sound="deu")
    expect("spoken.mkv", "", 3, "subrip", "de", GERMAN, 3, 1)
    video("movie.mp4", [("de.srt", "deu", "", "default"), ("en.srt", "eng", "", "0")], codec="mov_text", sound="und")
    expect("movie.mp4", "", 2, "mov_text", "de", GERMAN, 2, 0)
    expect("movie.mp4", "en", 3, "mov_text", "en", ENGLISH, 2, 0)
    write("plain.vtt", vtt(ENGLISH, head=""))  # FFmpeg 5.1 reads nothing after a style
    video("web.webm", [("plain.vtt", "eng", "", "default")], "-c:v", "libvpx", "-c:a", "libopus")
    expect("web.webm", "", 2, "webvtt", "en", ENGLISH, 1, 0)
    video("styled.mkv", [("a.ass", "jpn", "", "default")])
    expect("styled.mkv", "", 2, "ass", "ja", ASS_CUES, 1, 0)
    video("foreign.mkv", [("foreign.srt", "eng", "", "forced"), ("p.sup", "eng", "", "0")])
    expect("foreign.mkv", "en", -1, "", "", [], 1, 1)
    video("pictures.mkv", [("p.sup", "eng", "", "default")])
    expect("pictures.mkv", "en", -1, "", "", [], 0, 1)
    video("none.mkv", [])
    expect("none.mkv", "", -1, "", "", [])
    (folder / "manifest.json").write_text(json.dumps(entries))
    print(len(entries), "cases")


if __name__ == "__main__":
    main()
