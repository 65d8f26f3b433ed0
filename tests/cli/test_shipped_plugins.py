"""The plugins that come with the program, with the real models: faces in photos are hidden, and nothing of the photo's file gets into the output."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import io
import shutil
import struct
import subprocess
import zlib

import numpy
import onnxruntime
import picture_files as files
import pytest
from action_models import save, tensor
from engine import DONE, FAILED, ROOT, SAMPLES, USAGE
from onnx import helper
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from segment_models import install
from test_colour import P3, in_srgb, profile

SHIPPED = ["background-removal", "privacy-blur", "subject-isolation"]
# Faces in samples, from brow to chin and ear to ear; by hand.
FACES = {"astronaut.png": (180, 62, 90, 115), "camera.png": (200, 125, 58, 70), "left06.jpg": (245, 130, 78, 105), "messi5.jpg": (226, 94, 30, 38)}
BESIDE = 0.6  # of a face's size, that is shown around it in a composed picture


def hidden(engine, *photos, out, flags=(), expect=DONE):
    return engine.json("plugins", "run", "privacy-blur", *photos, "-o", out, *flags, expect=expect)


def pixels(path):
    with Image.open(path) as picture:
        return numpy.asarray(picture.convert("RGB")).astype(int)


def part(array, box):
    x, y, width, height = box
    return array[max(y, 0) : max(y + height, 0), max(x, 0) : max(x + width, 0)]


class CenterFace:
    """Its authors' decoding, in numpy."""

    def __init__(self):
        self.session = onnxruntime.InferenceSession(ROOT / "build/models/centerface/centerface.onnx", providers=["CPUExecutionProvider"])

    def boxes(self, picture, edge, threshold):
        scale = edge / max(picture.size)
        size = [max(1, round(length * scale)) for length in picture.size]
        data = numpy.zeros((*(-(-length // 32) * 32 for length in reversed(size)), 3), numpy.float32)
        data[: size[1], : size[0]] = numpy.asarray(picture.resize(size, Image.Resampling.BILINEAR))
        heat, sizes, offsets = self.session.run(["heat", "sizes", "offsets"], {"image": data.transpose(2, 0, 1)[None]})
        found = []
        for row, column in numpy.argwhere(heat[0, 0] >= threshold):
            height, width = numpy.exp(sizes[0, :, row, column]) * 4
            y, x = (numpy.array([row, column]) + offsets[0, :, row, column] + 0.5) * 4
            found.append(numpy.array([x - width / 2, y - height / 2, width, height]) / scale)
        return found

    def sees(self, path, box, threshold=0.3):
        """Whether it finds a face that overlaps the box, at either of two scales around it, as `edge` pixels of the longer edge."""
        x, y, width, height = box
        side = 3 * max(width, height)
        with Image.open(path) as picture:
            cut = picture.convert("RGB").crop((x + width // 2 - side // 2, y + height // 2 - side // 2, x + width // 2 + side // 2, y + height // 2 + side // 2))
        middle = numpy.array([side / 2, side / 2])
        return any((abs(face[:2] + face[2:] / 2 - middle) < [width / 2, height / 2]).all() for edge in (192, 448) for face in self.boxes(cut, edge, threshold))


@pytest.fixture(scope="module")
def centerface():
    return CenterFace()


def composed(path, size, places):
    """Faces of the samples on a noisy ground: (sample, x, y, height of the face). Gives their boxes."""
    random = numpy.random.default_rng(5)
    ground = Image.fromarray(random.integers(60, 200, (size[1] // 40 + 1, size[0] // 40 + 1, 3), dtype=numpy.uint8)).resize(size, Image.Resampling.BICUBIC)
    boxes = []
    for sample, x, y, tall in places:
        left, top, width, height = FACES[sample]
        around = (left - BESIDE * width, top - BESIDE * height, left + width * (1 + BESIDE), top + height * (1 + BESIDE))
        with Image.open(SAMPLES / "photos" / sample) as picture:
            cut = picture.convert("RGB").crop([round(edge) for edge in around])
        scale = tall / height
        cut = cut.resize([max(1, round(edge * scale)) for edge in cut.size], Image.Resampling.LANCZOS)
        ground.paste(cut, (round(x - BESIDE * width * scale), round(y - BESIDE * height * scale)))
        boxes.append((x, y, round(width * scale), tall))
    ground.save(path, quality=95)
    return boxes


def test_they_are_found_without_installing(engine, folder):
    listed = engine.json("plugins", "list")["plugins"]
    assert [(entry["name"], entry["shipped"], entry["state"]) for entry in listed] == [(name, True, "ready") for name in SHIPPED]
    assert engine.json("plugins", "info", "privacy-blur")["plugins"][0]["shipped"]
    for entry in listed:
        assert engine.json("plugins", "validate", entry["path"])["valid"]
        symbols = subprocess.run(["nm", "-D", "--defined-only", entry["path"]], check=True, capture_output=True, text=True).stdout.split()
        assert "image_engine_plugin" in symbols
    outcome = engine.run("plugins", "remove", "privacy-blur")
    assert outcome.code == USAGE and "comes with the program" in outcome.message
    # One that is installed under its name is used instead.
    shutil.copy(listed[1]["path"], folder / "mine.so")
    engine.json("plugins", "install", folder / "mine.so")
    assert [(entry["name"], entry["shipped"]) for entry in engine.json("plugins", "list")["plugins"]] == [
        ("privacy-blur", False), ("background-removal", True), ("subject-isolation", True)]  # fmt: skip
    engine.json("plugins", "remove", "privacy-blur")
    assert len(engine.json("plugins", "list")["plugins"]) == 3


def assert_hidden(photo, out, boxes, centerface, most_colours):
    before, after = pixels(photo), pixels(out)
    for box in boxes:
        was, now = part(before, box), part(after, box)
        assert (was != now).any(axis=-1).mean() > 0.95, box
        assert len(numpy.unique(now.reshape(-1, 3), axis=0)) <= most_colours, box
        assert not centerface.sees(out, box), box
    return before, after


def test_no_face_in_12_megapixels_stays(real, photos, folder, centerface):
    """From 30 pixels to nearly half of the picture, and cut by its edges."""
    places = [("astronaut.png", 300, 400, 1300), ("astronaut.png", -60, 2200, 300), ("camera.png", 2200, 300, 60), ("left06.jpg", 2600, 700, 105),
              ("messi5.jpg", 3300, 1800, 40), ("astronaut.png", 3870, 2400, 260), ("camera.png", 2900, 2890, 130), ("astronaut.png", 2300, 2200, 30)]  # fmt: skip
    boxes = composed(photos / "group.jpg", (4000, 3000), places)
    assert sum(centerface.sees(photos / "group.jpg", box) for box in boxes) >= 6, "they are not seen in the photo: the test proves nothing"
    hidden(real, photos / "group.jpg", out=folder / "out")
    before, after = assert_hidden(photos / "group.jpg", folder / "out/group-private.png", boxes, centerface, 32)  # four squares along the longer edge
    assert (part(before, (1900, 1200, 500, 500)) == part(after, (1900, 1200, 500, 500))).all()  # far from all faces
    assert (before != after).any(axis=-1).mean() < 0.5


@pytest.mark.parametrize("style,most_colours", [("blur", 1 << 24), ("solid", 1)])
def test_other_styles(real, photos, folder, centerface, style, most_colours):
    boxes = composed(photos / "two.png", (1000, 600), [("astronaut.png", 150, 200, 160), ("left06.jpg", 650, 220, 150)])
    assert all(centerface.sees(photos / "two.png", box) for box in boxes)
    hidden(real, photos / "two.png", out=folder / "out", flags=["--set", f"style={style}"])
    assert_hidden(photos / "two.png", folder / "out/two-private.png", boxes, centerface, most_colours)


def test_a_face_that_is_kept(real, photos, folder):
    boxes = composed(photos / "two.png", (1000, 600), [("astronaut.png", 150, 200, 160), ("left06.jpg", 650, 220, 150)])
    x, y, width, height = boxes[1]
    flags = ["--set", f"keep={x},{y},{width},{height}"]
    (message,) = hidden(real, photos / "two.png", out=folder / "out", flags=flags)["results"][0]["messages"]
    assert message == "faces: 1 hidden, 1 kept"
    before, after = pixels(photos / "two.png"), pixels(folder / "out/two-private.png")
    assert (part(before, boxes[1]) == part(after, boxes[1])).all()
    assert (part(before, boxes[0]) != part(after, boxes[0])).any(axis=-1).mean() > 0.95


def test_people_and_text(real, photos, folder):
    shutil.copy(SAMPLES / "photos/messi5.jpg", photos)
    hidden(real, photos / "messi5.jpg", out=folder / "out", flags=["--set", "target=people"])
    before, after = pixels(photos / "messi5.jpg"), pixels(folder / "out/messi5-private.png")
    assert (part(before, (200, 80, 80, 150)) != part(after, (200, 80, 80, 150))).any(axis=-1).mean() > 0.95
    page = Image.new("RGB", (3000, 2200), (235, 230, 220))
    draw, boxes = ImageDraw.Draw(page), []
    for x, y, size, words in [(200, 200, 120, "Jane Example"), (300, 900, 60, "12 Example Street"), (1700, 1500, 36, "+44 20 7946 0000"), (900, 1900, 24, "IBAN GB33 BUKB 2020 1555")]:
        font = ImageFont.load_default(size)
        draw.text((x, y), words, fill=(20, 20, 40), font=font)
        left, top, right, bottom = draw.textbbox((x, y), words, font=font)
        boxes.append((int(left), int(top), int(right - left), int(bottom - top)))
    page.filter(ImageFilter.GaussianBlur(0.6)).save(photos / "page.png")
    hidden(real, photos / "page.png", out=folder / "out", flags=["--set", "target=text"])
    after = pixels(folder / "out/page-private.png")
    for box in boxes:  # a few flat areas, and no letter
        assert len(numpy.unique(part(after, box).reshape(-1, 3), axis=0)) <= 12, box


def test_without_the_model_there_is_no_picture(engine, photos, folder):
    engine.environment["IMAGE_ENGINE_MODELS"] = str(folder / "models")
    shutil.copy(SAMPLES / "photos/astronaut.png", photos)
    result = hidden(engine, photos, out=folder / "out", expect=FAILED)["results"][0]
    assert result["error"]["code"] == "not-found" and "image-engine models pull centerface" in result["error"]["message"]
    assert list((folder / "out").iterdir()) == []
    outcome = engine.run("plugins", "run", "privacy-blur", photos, "-o", folder / "out", "--set", "target=dogs")
    assert outcome.code == USAGE and "faces, people, text, plates, screens, background" in outcome.message


def install_detector(engine, labels, boxes):
    """A detector of the head yolo that finds a box [x, y, width, height] of each label in any picture of 64 × 64."""
    path = engine.folder / "detector.onnx"
    rows = numpy.zeros((1, 4 + len(labels), len(boxes)), numpy.float32)
    for i, (x, y, width, height) in enumerate(boxes):
        rows[0, :4, i] = x + width / 2, y + height / 2, width, height
        rows[0, 4 + i, i] = 0.9
    save(path, [helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1, 2], keepdims=0), helper.make_node("Mul", ["mean", "nothing"], ["none"]),
                helper.make_node("ReduceMax", ["none"], ["zero"], keepdims=0), helper.make_node("Add", ["zero", "rows"], ["predictions"])],
         [tensor("image", [1, 3, 64, 64])], [tensor("predictions", list(rows.shape))], [("nothing", numpy.zeros(1, numpy.float32)), ("rows", rows)])  # fmt: skip
    install(engine, "mine", path, task="objects", head="yolo", labels=labels, input={"width": 64, "height": 64})


@pytest.mark.parametrize("target,hidden_box", [("plates", (10, 20, 20, 8)), ("screens", (40, 4, 12, 12))])
def test_plates_and_screens_by_a_detector_of_ones_own(engine, photos, folder, target, hidden_box):
    """By whatever names its authors have for them; without one that has such a name there is no picture."""
    engine.environment["IMAGE_ENGINE_MODELS"] = str(folder / "models")
    random = numpy.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=numpy.uint8)
    Image.fromarray(random).save(photos / "street.png")
    flags = ["--set", f"target={target}", "--set", "margin=0"]
    (result,) = hidden(engine, photos / "street.png", out=folder / "out", flags=flags, expect=FAILED)["results"]
    assert result["error"]["code"] == "not-found" and "image-engine models add" in result["error"]["message"]
    install_detector(engine, ["License_Plate", "car", "tv"], [(10, 20, 20, 8), (5, 10, 50, 40), (40, 4, 12, 12)])
    (result,) = hidden(engine, photos / "street.png", out=folder / "out", flags=flags)["results"]
    assert result["messages"] == [f"{target}: 1 hidden, 0 kept"]
    changed = (pixels(photos / "street.png") != pixels(folder / "out/street-private.png")).any(axis=-1)
    x, y, width, height = hidden_box
    assert part(changed, hidden_box).mean() > 0.95
    changed[y - 2 : y + height + 2, x - 2 : x + width + 2] = False  # its margin is at least 2 pixels
    assert not changed.any()


SECRET = b"secret-of-the-photo"


def photo_with_everything(path):
    """A JPEG that is turned, in Display P3, with GPS, maker note, thumbnail, XMP, IPTC, comment, preview, gain map and a trailer."""
    face = Image.open(SAMPLES / "photos/astronaut.png").convert("RGB").crop((60, 0, 400, 300))
    face.paste((200, 40, 40), (0, 0, 30, 30))  # a patch of known colour
    sideways = face.transpose(Image.Transpose.ROTATE_90)  # orientation 6 turns it back
    thumbnail, inner = io.BytesIO(), io.BytesIO()
    sideways.resize((96, 128)).save(thumbnail, "JPEG", comment=SECRET + b"-thumbnail")
    sideways.save(inner, "JPEG", comment=SECRET + b"-gain-map")
    entries = [files.short(0x0112, 6), files.ascii_tag(0x010F, SECRET.decode() + "-make")]
    maker = (0x927C, 7, len(SECRET) + 6, SECRET + b"-maker")
    places = 8 + len(files.directory([*entries, files.long(0x8769, 0), files.long(0x8825, 0)]))
    exif = files.directory([maker], base=places)
    gps = files.directory([files.ascii_tag(1, "N"), (2, 5, 3, struct.pack("<6I", 47, 1, 30, 1, 0, 1)), files.ascii_tag(0x1D, SECRET.decode()[:10])], base=places + len(exif))
    first_end = places + len(exif) + len(gps)
    second = files.directory([files.short(0x0103, 6), files.long(0x0201, 0), files.long(0x0202, len(thumbnail.getvalue()))], base=first_end)
    second = files.directory([files.short(0x0103, 6), files.long(0x0201, first_end + len(second)), files.long(0x0202, len(thumbnail.getvalue()))], base=first_end)
    first = files.directory([*entries, files.long(0x8769, places), files.long(0x8825, places + len(exif))], following=first_end)
    tiff = b"II*\0\x08\0\0\0" + first + exif + gps + second + thumbnail.getvalue()
    xmp = b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x="adobe:ns:meta/">' + SECRET + b"-xmp</x:xmpmeta>"
    coded = io.BytesIO()
    sideways.save(coded, "JPEG", quality=97, subsampling=0)
    segments = [files.segment(0xE1, b"Exif\0\0" + tiff), files.segment(0xE1, xmp), files.segment(0xE2, b"ICC_PROFILE\0\x01\x01" + profile("P3", P3, 2.2)),
                files.segment(0xE2, b"MPF\0" + SECRET + b"-mpf"), files.segment(0xED, b"Photoshop 3.0\0" + SECRET + b"-iptc"), files.segment(0xFE, SECRET + b"-comment")]  # fmt: skip
    path.write_bytes(coded.getvalue()[:2] + b"".join(segments) + coded.getvalue()[2:] + inner.getvalue() + SECRET + b"-trailer")
    with Image.open(path) as picture:  # it is what it claims to be
        known = picture.getexif()
        assert known[0x0112] == 6 and known.get_ifd(0x8825)[1] == "N" and known.get_ifd(0x8769)[0x927C].startswith(SECRET) and picture.info["icc_profile"]
    return face


def png_chunks(data):
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    names, at = [], 8
    while at < len(data):
        length, name = struct.unpack(">I4s", data[at : at + 8])
        assert zlib.crc32(data[at + 4 : at + 8 + length]) == struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0]
        names.append(name.decode())
        at += 12 + length
    assert names[-1] == "IEND"
    return set(names)


def jpeg_segments(data):
    """The markers before the picture; the picture's data is the rest, to the only end of image."""
    names, at = [], 2
    while data[at + 1] != 0xDA:
        assert data[at] == 0xFF
        names.append(data[at + 1])
        at += 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    assert data.find(b"\xff\xd9", at) == len(data) - 2 and data.count(b"\xff\xd8\xff") == 1
    return set(names)


def webp_chunks(data):
    assert data[:4] == b"RIFF" and struct.unpack("<I", data[4:8])[0] == len(data) - 8
    names, at = [], 12
    while at < len(data):
        name, length = struct.unpack("<4sI", data[at : at + 8])
        names.append(name.decode())
        at += 8 + length + length % 2
    return set(names)


@pytest.mark.parametrize("format,ending,parts,allowed", [
    ("png", "png", png_chunks, {"IHDR", "IDAT", "IEND", "pHYs"}),
    ("jpeg", "jpg", jpeg_segments, {0xE0, 0xDB, 0xC0, 0xC4}),
    ("webp", "webp", webp_chunks, {"VP8X", "VP8 ", "VP8L"}),
])  # fmt: skip
def test_nothing_of_the_file_but_its_picture_gets_out(real, photos, folder, format, ending, parts, allowed):
    upright = photo_with_everything(photos / "all.jpg")
    hidden(real, photos / "all.jpg", out=folder / "out", flags=["--format", format, "--quality", "95"])
    data = (folder / f"out/all-private.{ending}").read_bytes()
    assert SECRET not in data and b"Exif" not in data and b"GPS" not in data and b"MPF" not in data and b"xmp" not in data.lower()
    assert parts(data) <= allowed
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.size == upright.size and not picture.getexif() and "icc_profile" not in picture.info
        found = numpy.asarray(picture.convert("RGB"))[10:20, 10:20].mean(axis=(0, 1))
    wanted = in_srgb(numpy.array([200, 40, 40]) / 255, P3, lambda signal: signal**2.2)
    assert numpy.abs(found - wanted).max() < 6 and wanted[0] > 210  # turned upright, and P3's red as sRGB has it
