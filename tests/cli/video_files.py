"""Videos that tests compose, and what ffmpeg and ffprobe say of them."""

import json
import subprocess

import numpy as np
from engine import SAMPLES
from PIL import Image

# Faces in samples, from brow to chin and ear to ear; by hand.
FACES = {"astronaut.png": (180, 62, 90, 115), "camera.png": (200, 125, 58, 70), "left06.jpg": (245, 130, 78, 105), "messi5.jpg": (226, 94, 30, 38)}
BESIDE = 0.6  # of a face's size, that is shown around it


def ffmpeg(*arguments, stdin=None):
    done = subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def probe(path, *what):
    shown = subprocess.run(["ffprobe", "-v", "error", "-of", "json", *what, path], capture_output=True, check=True)
    return json.loads(shown.stdout)


def streams(path):
    return probe(path, "-show_streams")["streams"]


def frame_times(path):
    return [float(frame["pts_time"]) for frame in probe(path, "-select_streams", "v:0", "-show_entries", "frame=pts_time")["frames"]]


def packets(path, kind):
    """(time, digest of the bytes) of each packet of the streams of a kind."""
    found = probe(path, "-select_streams", kind, "-show_packets", "-show_data_hash", "md5", "-show_entries", "packet=pts_time,data_hash")["packets"]
    return [(round(float(packet["pts_time"]), 3), packet["data_hash"]) for packet in found]


def frames(path, format="gray", decoder=(), turned=True):
    """The frames as arrays, upright unless `turned` is false."""
    (video,) = [stream for stream in streams(path) if stream["codec_type"] == "video"]
    width, height = video["width"], video["height"]
    if turned and any(abs(data.get("rotation", 0)) % 180 == 90 for data in video.get("side_data_list", [])):
        width, height = height, width
    flags = () if turned else ("-noautorotate",)
    raw = ffmpeg(*flags, *decoder, "-i", path, "-map", "0:v:0", "-vsync", "passthrough", "-f", "rawvideo", "-pix_fmt", format, "-")
    shape = {"gray": (height, width), "rgb24": (height, width, 3), "rgba": (height, width, 4)}[format]
    return np.frombuffer(raw, np.uint8).reshape(-1, *shape)


class Track:
    """A sample's face that moves in a straight line while it is there; `hidden`: times when something is before it."""

    def __init__(self, sample, tall, begin, end, there=(0, 1e9), hidden=()):
        left, top, width, height = FACES[sample]
        around = (left - BESIDE * width, top - BESIDE * height, left + width * (1 + BESIDE), top + height * (1 + BESIDE))
        with Image.open(SAMPLES / "photos" / sample) as picture:
            cut = picture.convert("RGB").crop([round(edge) for edge in around])
        scale = tall / height
        self.picture = cut.resize([max(1, round(edge * scale)) for edge in cut.size], Image.Resampling.LANCZOS)
        self.size = (round(width * scale), tall)
        self.begin, self.end, self.there, self.hidden = np.array(begin), np.array(end), there, hidden

    def box(self, at, seconds):
        x, y = self.begin + (self.end - self.begin) * at / seconds
        return round(x), round(y), *self.size

    def is_there(self, at):
        return self.there[0] <= at < self.there[1]

    def is_seen(self, at):
        return self.is_there(at) and not any(begin <= at < end for begin, end in self.hidden)


def drawn(ground, tracks, at, seconds):
    """A frame: the faces on their tracks before a ground; and the boxes of those that are seen."""
    picture, boxes = ground.copy(), []
    for track in tracks:
        x, y, width, height = track.box(at, seconds)
        if track.is_there(at):
            picture.paste(track.picture, (round(x - BESIDE * width), round(y - BESIDE * height)))
        if track.is_seen(at):
            boxes.append((x, y, width, height))
        elif track.is_there(at):  # behind a board
            picture.paste((120, 90, 60), (round(x - width), round(y - height), round(x + 2 * width), round(y + 2 * height)))
    return picture, boxes


def composed(path, tracks, size=(960, 540), rate=15, seconds=5, encoder=("-c:v", "libx264", "-crf", "12", "-pix_fmt", "yuv420p"), more=(), sound=True, turn=None):
    """Faces on their tracks before a ground that stays. Gives, for each frame, the boxes of those that are seen."""
    random = np.random.default_rng(5)
    ground = Image.fromarray(random.integers(60, 200, (size[1] // 40 + 1, size[0] // 40 + 1, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    known, shown = [], bytearray()
    for index in range(rate * seconds):
        picture, boxes = drawn(ground, tracks, index / rate, seconds)
        known.append(boxes)
        shown += (picture if turn is None else picture.transpose(turn)).tobytes()
    stored = size if turn not in (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270) else size[::-1]
    tone = ("-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={seconds}") if sound else ()
    coded = ("-map", "1:a", "-c:a", "aac") if sound else ()
    ffmpeg("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{stored[0]}x{stored[1]}", "-r", rate, "-i", "-", *tone, "-map", "0:v", *coded, *encoder, *more, path, stdin=bytes(shown))
    return known


def likeness(before, after, box):
    """How much of the detail of a part, without its coarse shades, is the same: 1 is all, about 0 nothing."""
    x, y, width, height = box
    x, y, right, bottom = max(x, 0), max(y, 0), x + width, y + height
    parts = []
    for frame in (before, after):
        part = frame[y:bottom, x:right].astype(np.float32)
        small = Image.fromarray(part).resize((5, 6), Image.Resampling.BOX).resize(part.shape[::-1], Image.Resampling.BICUBIC)
        parts.append(part - np.asarray(small))
    one, other = parts
    return float((one * other).sum() / max(1e-6, np.sqrt((one**2).sum() * (other**2).sum())))
