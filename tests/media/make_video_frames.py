"""Makes the clips of video_reader_test.cpp with what ffprobe and ffmpeg say of their frames.

usage: make_video_frames.py FOLDER
Writes FOLDER/hdr_photos.json: [{file, picture}], HDR photos and what ffmpeg's tone mapping makes of the same coded frame.
Writes FOLDER/manifest.json: [{file, times, duration, frames: [{index, file}], tolerance}]. `times` are ffprobe's pts_time of every frame (null: it
knows none); the frames are PPM files that ffmpeg converted (upright, square pixels; HDR by zscale and tonemap). A clip that this machine's ffmpeg cannot make is
left out and named.
"""

import json
import pathlib
import shutil
import subprocess
import sys

# Moving shapes and colours, 2 s of 25 frames a second.
SOURCE = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=2")
X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "20", "-crf", "15")
SRGB = "scale=round(iw*sar):ih:flags=bicubic+accurate_rnd+full_chroma_int,setsar=1"
TALL = "scale=iw:round(ih/sar):flags=bicubic+accurate_rnd+full_chroma_int,setsar=1"
HDR = "zscale=t=linear:npl=100,tonemap=hable:desat=0,zscale=t=iec61966-2-1:p=bt709"
BT709 = ("-vf", "scale=out_color_matrix=bt709", "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709")


def hdr(transfer):
    tagged = "scale=out_color_matrix=bt709:out_range=limited,setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=limited"
    convert = f"{tagged},format=yuv444p,zscale=t={transfer}:p=bt2020:m=bt2020nc:r=limited:npl=300,format=yuv420p10le"
    params = f"repeat-headers=1:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc:range=limited:log-level=none"
    return ("-vf", convert, "-c:v", "libx265", "-crf", "10", "-x265-params", params)


# name: (encoder arguments, filter of the reference, tolerance in levels)
CLIPS = {
    "plain.mp4": (X264, SRGB, 1.0),
    "still.mp4": ((*X264, "-vf", "trim=end_frame=1,loop=loop=49:size=1"), SRGB, 1.0),
    "b_frames.mkv": ((*X264, "-bf", "3", "-x264-params", "open-gop=1:b-pyramid=normal"), SRGB, 1.0),
    "stream.ts": ((*X264, "-bf", "2"), SRGB, 1.0),
    "mpeg4.avi": (("-c:v", "mpeg4", "-q:v", "3", "-bf", "2"), SRGB, 1.0),
    "vp9.webm": (("-c:v", "libvpx-vp9", "-crf", "20", "-b:v", "0", "-deadline", "realtime", "-cpu-used", "8"), SRGB, 1.0),
    "mpeg2.mpg": (("-c:v", "mpeg2video", "-q:v", "3", "-bf", "2"), SRGB, 1.0),
    "prores_10bit.mov": (("-c:v", "prores_ks", "-pix_fmt", "yuv422p10le"), SRGB, 1.0),
    "full_range.mp4": ((*X264, "-pix_fmt", "yuvj420p", "-vf", "scale=out_range=full", "-color_range", "pc"), SRGB, 1.0),
    "bt709.mp4": ((*X264, *BT709), SRGB, 1.0),
    "lossless_rgb.mkv": (("-c:v", "ffv1", "-pix_fmt", "bgr0"), SRGB, 1.0),
    "wide_pixels.mp4": ((*X264, "-vf", "setsar=4/3"), SRGB, 1.0),
    "tall_pixels.mp4": ((*X264, "-vf", "setsar=8/9"), TALL, 1.5),
    "changing_rate.mp4": ((*X264, "-vf", "select='not(mod(n,3))+lt(n,20)'", "-vsync", "vfr"), SRGB, 1.0),
    "interlaced.mp4": (("-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "15", "-vf", "tinterlace=interleave_top,fieldorder=tff", "-flags",
                        "+ilme+ildct", "-x264-params", "tff=1"), f"bwdif=mode=send_frame,{SRGB}", 6.0),
    "pq.mp4": (hdr("smpte2084"), HDR, 2.0),
    "hlg.mp4": (hdr("arib-std-b67"), HDR, 2.0),
}
# Of the display matrix, as signs: a b c d.
MATRICES = {"mirrored.mp4": (-1, 0, 0, 1), "turned_90.mp4": (0, 1, -1, 0), "turned_180.mp4": (-1, 0, 0, -1), "turned_270.mp4": (0, -1, 1, 0),
            "transposed.mp4": (0, 1, 1, 0)}


def run(*command):
    return subprocess.run(command, capture_output=True, check=False, timeout=120)


def with_matrix(movie, signs):
    """The movie with another matrix in its track header (ISO/IEC 14496-12, 8.3.2; 40 bytes into a version 0 box's content)."""
    at = movie.index(b"tkhd") + 4 + 40
    a, b, c, d = (sign * 0x10000 for sign in signs)
    cells = (a, b, 0, c, d, 0, 0, 0, 0x40000000)
    return movie[:at] + b"".join(cell.to_bytes(4, "big", signed=True) for cell in cells) + movie[at + 36:]


def upright(signs):
    """ffmpeg's filters for that matrix, which our ffmpeg is not asked to find: its player's own way to turn ignores mirrors."""
    return {(-1, 0, 0, 1): "hflip", (0, 1, -1, 0): "transpose=clock", (-1, 0, 0, -1): "hflip,vflip", (0, -1, 1, 0): "transpose=cclock",
            (0, 1, 1, 0): "transpose=cclock_flip"}[signs]


def times_of(path):
    shown = run("ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "frame=pts_time,best_effort_timestamp_time", "-of", "json", path)
    stated = [f.get("pts_time", f.get("best_effort_timestamp_time")) for f in json.loads(shown.stdout)["frames"]]
    return [None if time is None else float(time) for time in stated]


def entry_of(folder, name, convert, tolerance, turn=()):
    times = times_of(folder / name)
    frames = []
    for index in (0, len(times) // 2, len(times) - 1):
        picture = f"{name}.{index}.ppm"
        made = run("ffmpeg", "-v", "error", "-y", *turn, "-i", folder / name, "-vf", f"select=eq(n\\,{index}),{convert}", "-frames:v", "1",
                   "-vsync", "passthrough", "-pix_fmt", "rgb24", folder / picture)
        if made.returncode != 0 or not (folder / picture).exists():
            sys.exit(f"{picture}: {made.stderr.decode()}")
        frames.append({"index": index, "file": picture})
    return {"file": name, "times": times, "frames": frames, "tolerance": tolerance}


def hdr_photo(folder, name, transfer):
    """An AVIF of a frame that ffmpeg converts from an MP4: of 5.1, it writes AVIF but does not read it."""
    coded, picture = folder / f"{name}_still.mp4", f"{name}.ppm"
    filters = hdr(transfer)[1].replace("yuv420p10le", "yuv444p10le")  # libheif does not interpolate chroma
    colours = ("-color_primaries", "bt2020", "-color_trc", transfer, "-colorspace", "bt2020nc", "-color_range", "tv")
    steps = [(*SOURCE, "-frames:v", "1", "-vf", filters, "-c:v", "libaom-av1", "-still-picture", "1", "-cpu-used", "8", "-crf", "5", *colours, coded),
             ("-i", coded, "-vf", HDR, "-frames:v", "1", "-pix_fmt", "rgb24", folder / picture), ("-i", coded, "-c", "copy", folder / f"{name}.avif")]
    for step in steps:
        made = run("ffmpeg", "-v", "error", "-y", *step)
        if made.returncode != 0:
            sys.exit(f"{name}: {made.stderr.decode()}")
    coded.unlink()
    return {"file": f"{name}.avif", "picture": picture}


def main():
    folder = pathlib.Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    entries = []
    for name, (arguments, convert, tolerance) in CLIPS.items():
        made = run("ffmpeg", "-v", "error", "-y", *SOURCE, *arguments, folder / name)
        if made.returncode != 0:
            print("left out, as this ffmpeg cannot make it:", name, made.stderr.decode().strip().splitlines()[-1:])
            continue
        entries.append(entry_of(folder, name, convert, tolerance))
    run("ffmpeg", "-v", "error", "-y", "-ss", "0.5", "-i", folder / "plain.mp4", "-c", "copy", folder / "edit_list.mp4")
    entries.append(entry_of(folder, "edit_list.mp4", SRGB, 1.0))
    plain = (folder / "plain.mp4").read_bytes()
    for name, signs in MATRICES.items():
        (folder / name).write_bytes(with_matrix(plain, signs))
        entries.append(entry_of(folder, name, f"{SRGB},{upright(signs)}", 1.0, turn=("-noautorotate",)))
    photos = [hdr_photo(folder, "pq", "smpte2084"), hdr_photo(folder, "hlg", "arib-std-b67")]
    (folder / "hdr_photos.json").write_text(json.dumps(photos))
    (folder / "manifest.json").write_text(json.dumps(entries))
    print(len(entries), "clips")


if __name__ == "__main__":
    main()
