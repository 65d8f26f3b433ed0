"""Makes the sounds of sound_reader_test.cpp and of the worker's tests, with what ffmpeg and ffprobe say of them.

usage: make_sounds.py FOLDER
Writes FOLDER/manifest.json: [{file, samples, first, integrated, range, true_peak}]. `samples` is a file of 16-bit samples: the first audio stream at
16 kHz, one channel, by ffmpeg; `first` ffprobe's pts_time of the first frame; the rest by ffmpeg's filter ebur128. A sound that this machine's ffmpeg
cannot make is left out and named.
"""

import json
import pathlib
import re
import subprocess
import sys

LEFT = "0.4*sin(2*PI*(200*t+60*t*t))+0.05*random(0)"
RIGHT = "0.3*sin(2*PI*(300*t+80*t*t))"
STEREO = ("-f", "lavfi", "-i", f"aevalsrc='{LEFT}|{RIGHT}':s=48000:d=8:c=stereo")
VIDEO = ("-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25:duration=8")
SIX = "|".join(f"0.1*sin(2*PI*{200 + 170 * i}*t*(1+t/20))" for i in range(6))
MANY = "|".join(f"0.2*sin(2*PI*{200 + 13 * i}*t)" for i in range(48))

# What ffmpeg makes of it, compared with its own reading: name: arguments.
COMPARED = {
    "stereo.wav": (*STEREO, "-c:a", "pcm_s16le"),
    "float_44100.wav": (*STEREO, "-c:a", "pcm_f32le", "-ar", "44100"),
    "eight_bit.wav": (*STEREO, "-c:a", "pcm_u8", "-ar", "8000", "-ac", "1"),
    "deep.flac": (*STEREO, "-c:a", "flac", "-sample_fmt", "s32", "-ar", "96000"),
    "odd_rate.wav": (*STEREO, "-c:a", "pcm_s16le", "-ar", "11025"),
    "music.mp3": (*STEREO, "-c:a", "libmp3lame", "-ar", "44100"),
    "music.m4a": (*STEREO, "-c:a", "aac"),
    "music.aac": (*STEREO, "-c:a", "aac", "-f", "adts"),
    "music.ogg": (*STEREO, "-c:a", "libvorbis"),
    "music.opus": (*STEREO, "-c:a", "libopus"),
    "music.wma": (*STEREO, "-c:a", "wmav2"),
    "music.aiff": (*STEREO, "-c:a", "pcm_s16be"),
    "surround.flac": ("-f", "lavfi", "-i", f"aevalsrc='{SIX}':s=48000:d=8:c=5.1", "-c:a", "flac"),
    "film.mp4": (*VIDEO, *STEREO, "-c:v", "libx264", "-c:a", "aac"),
    "film.mkv": (*VIDEO, *STEREO, "-c:v", "libx264", "-c:a", "aac"),
    "film.webm": (*VIDEO, *STEREO, "-c:v", "libvpx", "-c:a", "libopus"),
    "film.ts": (*VIDEO, *STEREO, "-c:v", "libx264", "-c:a", "mp2"),
    "film.mpg": (*VIDEO, *STEREO, "-c:v", "mpeg2video", "-c:a", "mp2"),
    "film.avi": (*VIDEO, *STEREO, "-c:v", "mpeg4", "-c:a", "libmp3lame"),
    "late.mp4": (*VIDEO, "-itsoffset", "0.7", *STEREO, "-c:v", "libx264", "-c:a", "aac"),
    "late.mkv": (*VIDEO, "-itsoffset", "0.7", *STEREO, "-c:v", "libx264", "-c:a", "flac"),
}
# Others.
MORE = {
    "long.m4a": ("-f", "lavfi", "-i", f"aevalsrc='{LEFT.replace('60*t*t', '6*t*t')}|{RIGHT.replace('80*t*t', '5*t*t')}':s=48000:d=100:c=stereo", "-c:a", "aac"),
    "two_tracks.mkv": ("-f", "lavfi", "-i", "sine=300:d=2", "-f", "lavfi", "-i", "sine=600:d=2", "-map", "0", "-map", "1", "-c:a", "flac", "-metadata:s:a:0",
                       "language=eng", "-metadata:s:a:1", "language=ger", "-metadata:s:a:1", "title=Kommentar", "-disposition:a:0", "0",
                       "-disposition:a:1", "default"),
    "no_sound.mp4": (*VIDEO, "-c:v", "libx264"),
    "many_channels.wav": ("-f", "lavfi", "-i", f"aevalsrc='{MANY}':s=16000:d=2", "-c:a", "pcm_s16le"),
    "gap.mkv": (*STEREO, "-af", "aselect='lt(t,2)+gt(t,4.5)'", "-c:a", "pcm_s16le"),
    "before_gap.wav": (*STEREO, "-c:a", "pcm_s16le"),
    "slow.mp3": ("-f", "lavfi", "-i", "sine=300:d=2:sample_rate=22050", "-c:a", "libmp3lame", "-ar", "22050", "-ac", "1", "-write_xing", "0", "-id3v2_version", "0"),
    "fast.mp3": ("-f", "lavfi", "-i", "sine=600:d=2:sample_rate=48000", "-c:a", "libmp3lame", "-ar", "48000", "-ac", "2", "-write_xing", "0", "-id3v2_version", "0"),
    "empty.wav": ("-f", "lavfi", "-i", "sine=300:d=1", "-c:a", "pcm_s16le", "-t", "0"),
    "silent.wav": ("-f", "lavfi", "-i", "anullsrc=r=48000:cl=stereo", "-t", "3", "-c:a", "pcm_s16le"),
    "clipped.wav": ("-f", "lavfi", "-i", "aevalsrc='if(between(t,1,1.5),1,0.2*sin(2*PI*440*t))':s=48000:d=3", "-c:a", "pcm_s16le"),
    "clipped.flac": ("-f", "lavfi", "-i", "aevalsrc='if(between(t,1,1.5),-1,0.2*sin(2*PI*440*t))':s=48000:d=3", "-c:a", "flac", "-sample_fmt", "s32"),
    "loud.wav": ("-f", "lavfi", "-i", "aevalsrc='if(between(t,1,2),0/0,if(between(t,2,3),1e30,0.2*sin(2*PI*440*t)))':s=48000:d=4", "-c:a", "pcm_f64le"),
    "head.ts": (*STEREO, "-c:a", "mp2", "-t", "3", "-muxdelay", "0"),
    "tail.ts": (*STEREO, "-c:a", "mp2", "-muxdelay", "0", "-output_ts_offset", "2"),
}  # fmt: skip


def run(*command):
    return subprocess.run(command, capture_output=True, check=False, timeout=120)


def make(path, arguments):
    done = run("ffmpeg", "-v", "error", "-y", *arguments, "-fflags", "+bitexact", str(path))
    if done.returncode == 0 and path.exists():
        return True
    print(f"{path.name}: cannot be made here: {done.stderr.decode()[-300:]}")
    return False


def level(text, name):
    found = re.findall(rf"{name}:\s+(-?[0-9.]+|-inf|nan)", text)
    return float(found[-1]) if found and found[-1] not in ("-inf", "nan") else None


def described(path):
    samples = path.with_suffix(path.suffix + ".s16")
    run("ffmpeg", "-v", "error", "-y", "-i", path, "-map", "0:a:0", "-ac", "1", "-ar", "16000", "-f", "s16le", samples)
    probed = run("ffprobe", "-v", "error", "-select_streams", "a:0", "-show_entries", "frame=pts_time", "-read_intervals", "%+#9", "-of", "json", path)
    measured = run("ffmpeg", "-nostats", "-i", path, "-map", "0:a:0", "-af", "ebur128=peak=true", "-f", "null", "-").stderr.decode()
    summary = measured[measured.rindex("Summary:"):]
    return {"file": path.name, "samples": samples.name, "first": float(json.loads(probed.stdout)["frames"][0]["pts_time"]), "integrated": level(summary, "I"),
            "range": level(summary, "LRA"), "true_peak": level(summary, "Peak")}  # fmt: skip


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    manifest = [described(folder / name) for name, arguments in COMPARED.items() if make(folder / name, arguments)]
    for name, arguments in MORE.items():
        make(folder / name, arguments)
    joined = lambda *names: b"".join((folder / name).read_bytes() for name in names)  # noqa: E731
    (folder / "changing.mp3").write_bytes(joined("slow.mp3", "fast.mp3", "slow.mp3"))
    (folder / "overlap.ts").write_bytes(joined("head.ts", "tail.ts"))
    music = bytearray((folder / "music.mp3").read_bytes())
    middle = len(music) // 2
    music[middle : middle + 6000] = bytes(range(1, 251)) * 24
    (folder / "damaged.mp3").write_bytes(music)
    long = bytearray((folder / "music.m4a").read_bytes())
    data = long.index(b"mdat")
    long[data + 40_000 : data + 46_000] = b"\xff" * 6000
    (folder / "damaged.m4a").write_bytes(long)
    for name, whole in {"cut_off.mkv": "film.mkv", "cut_off.wav": "stereo.wav"}.items():
        content = (folder / whole).read_bytes()
        (folder / name).write_bytes(content[: len(content) * 2 // 3])
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1))


if __name__ == "__main__":
    main()
