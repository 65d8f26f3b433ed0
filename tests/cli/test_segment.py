"""Cutting out: masks against the same graphs in Python, edges against composites whose alpha is known, and bad input."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import json
import signal
import subprocess

import numpy as np
import onnxruntime
import pytest
from engine import DONE, DONE_WITH_FAILURES, FAILED, INTERRUPTED, ROOT, SAMPLES, USAGE, validate, wait_until
from PIL import Image, ImageDraw, ImageOps
from scipy.ndimage import gaussian_filter
from segment_models import from_counts, install_colours, install_known, install_red, iou

PHOTOS = SAMPLES / "photos"


def opened(path):
    return ImageOps.exif_transpose(Image.open(path)).convert("RGB")


def answer(graph, picture, size, mean=0.0, deviation=1.0, output=None):
    """What the graph says of the picture, in Python."""
    pixels = np.asarray(picture.resize((size, size), Image.BILINEAR), np.float32)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    tensor = ((pixels - mean) / deviation).transpose(2, 0, 1)[None].astype(np.float32)
    return session.run([output] if output else None, {session.get_inputs()[0].name: tensor})[0]


def enlarged(alpha, size):
    return np.asarray(Image.fromarray(np.float32(alpha)).resize(size, Image.BILINEAR))


def red_disc(path, size=(600, 400), at=(300, 200), radius=110, also=()):
    """A red disc on grey, and others."""
    picture = Image.new("RGB", size, (90, 100, 110))
    for (x, y), r in [(at, radius), *also]:
        ImageDraw.Draw(picture).ellipse((x - r, y - r, x + r, y + r), fill=(230, 20, 20))
    picture.save(path)
    x, y = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    return np.hypot(x - at[0] - 0.5, y - at[1] - 0.5) <= radius


def mask_of(path):
    image = Image.open(path)
    assert image.mode == "L"
    return np.asarray(image)


# Masks


@pytest.mark.parametrize("name, orientation", [("apple.jpg", 1), ("fruits.jpg", 6), ("baboon.jpg", 1)])
def test_a_mask_is_that_of_the_same_graph_in_python(engine, folder, name, orientation):
    graph, photo, exif = install_red(engine), folder / "photo.png", Image.Exif()
    exif[0x0112] = orientation
    opened(PHOTOS / name).save(photo, exif=exif)
    engine.json("segment", photo, "--target", "subject", "-o", folder / "m.png", "--as", "mask", "--rough")
    picture = opened(photo)
    wanted = enlarged(answer(graph, picture, 1024, 128, 256, "output")[0, 0], picture.size) >= 0.5
    assert 0.01 < wanted.mean() < 0.99
    assert iou(mask_of(folder / "m.png") >= 128, wanted) >= 0.98


@pytest.mark.parametrize("last", [False, True])
def test_a_class_is_where_its_logit_is_the_greatest(engine, folder, last):
    graph = install_colours(engine, last=last)
    picture = opened(PHOTOS / "fruits.jpg")
    logits = answer(graph, picture, 256, 0, 32)[0]
    logits = logits.transpose(2, 0, 1) if last else logits
    for index, target in enumerate(["Red Thing", "green thing", "person"]):
        engine.json("segment", PHOTOS / "fruits.jpg", "--target", target, "-o", folder / f"{index}.png", "--as", "mask", "--rough")
        large = np.stack([enlarged(plane, picture.size) for plane in logits])
        assert iou(mask_of(folder / f"{index}.png") >= 128, large.argmax(0) == index) >= 0.98


def test_a_letterboxed_input_covers_the_picture_alone(engine, folder):
    install_red(engine, 256, reduced=1, input={"width": 256, "height": 256, "fit": "letterbox", "mean": [128] * 3, "deviation": [256] * 3})
    wanted = red_disc(folder / "a.png", (900, 300), (450, 150), 100)
    engine.json("segment", folder / "a.png", "-o", folder / "m.png", "--as", "mask")
    assert iou(mask_of(folder / "m.png") >= 128, wanted) >= 0.98


# Edges


def noise(rng, size, sigma, amount):
    small = gaussian_filter(rng.standard_normal((size[1] // 4, size[0] // 4, 3)), (sigma / 4, sigma / 4, 0))
    small *= amount / small.std()
    return np.stack([enlarged(small[..., c], size) for c in range(3)], -1)


def hair(rng, size):
    """A disc with hairs, 1 to 3.5 pixels wide."""
    width, height = size
    large = Image.new("L", (2 * width, 2 * height))
    draw, radius = ImageDraw.Draw(large), height / 2
    draw.ellipse((width - radius, height - radius, width + radius, height + radius), fill=255)
    for _ in range(400):
        angle, length, bend = rng.uniform(0, 2 * np.pi), rng.uniform(1.05, 1.5), rng.uniform(-0.3, 0.3)
        steps = [(angle + bend * t * t, radius * (0.9 + (length - 0.9) * t)) for t in np.linspace(0, 1, 12)]
        draw.line([(width + np.cos(a) * r, height + np.sin(a) * r) for a, r in steps], fill=255, width=int(rng.integers(2, 8)))
    return gaussian_filter(np.asarray(large.resize(size, Image.BOX), np.float32) / 255, 0.6)


def soft(_, size):
    """A wavy disc whose edge is 2 to 18 pixels wide."""
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    angle = np.arctan2(y - size[1] / 2, x - size[0] / 2)
    distance = np.hypot(x - size[0] / 2, y - size[1] / 2) / (size[1] * 0.3) + 0.08 * np.sin(5 * angle)
    return np.clip(0.5 - (distance - 1) / (0.004 + 0.02 * (1 + np.sin(3 * angle))), 0, 1).astype(np.float32)


def composite(make, size, seed=3):
    """A picture, its alpha, and its foreground without the background."""
    rng = np.random.default_rng(seed)
    alpha = make(rng, size)
    foreground = np.clip([0.35, 0.22, 0.12] + noise(rng, size, 30, 0.05) + noise(rng, size, 4, 0.02), 0, 1)
    background = np.clip([0.55, 0.65, 0.8] + noise(rng, size, 120, 0.1) + noise(rng, size, 20, 0.04), 0, 1)
    mixed = alpha[..., None] * foreground + (1 - alpha[..., None]) * background + rng.normal(0, 0.006, foreground.shape)
    return Image.fromarray(np.uint8(np.clip(mixed * 255 + 0.5, 0, 255))), alpha, foreground


@pytest.mark.parametrize("make", [hair, soft])
def test_edges_follow_the_photo_and_colours_have_no_halo(engine, folder, make):
    size = (3000, 2000)
    picture, alpha, foreground = composite(make, size)
    picture.save(folder / "a.png")
    install_known(engine, np.asarray(Image.fromarray(alpha).resize((1024, 1024), Image.BILINEAR)))
    engine.json("segment", folder / "a.png", "-o", folder / "cut.png")
    cut = np.asarray(Image.open(folder / "cut.png"), np.float32) / 255
    assert cut.shape == (2000, 3000, 4)

    plain = enlarged(Image.fromarray(alpha).resize((1024, 1024), Image.BILINEAR), size)
    error, plain_error = np.abs(cut[..., 3] - alpha).mean(), np.abs(plain - alpha).mean()
    print(f"{make.__name__}: alpha {error:.5f}, bilinear {plain_error:.5f}, ratio {error / plain_error:.3f}")
    assert error <= 0.6 * plain_error

    band, new = (alpha > 0.02) & (alpha < 0.98), np.array([0.1, 0.8, 0.2])
    over = lambda a, colour: a[..., None] * colour + (1 - a[..., None]) * new  # noqa: E731
    pixels = np.asarray(picture, np.float32) / 255
    colour_error = lambda colour: np.abs(over(cut[..., 3], colour) - over(alpha, foreground))[band].mean()  # noqa: E731
    print(f"colours {colour_error(cut[..., :3]):.5f}, naive {colour_error(pixels):.5f}, ratio {colour_error(cut[..., :3]) / colour_error(pixels):.3f}")
    assert colour_error(cut[..., :3]) <= 0.5 * colour_error(pixels)
    assert not cut[cut[..., 3] == 0].any()  # nothing of the background is left
    inside = alpha == 1
    assert np.abs(cut[..., :3][inside & (cut[..., 3] == 1)] - pixels[inside & (cut[..., 3] == 1)]).max() == 0


# What is written


def test_json_has_run_lengths_and_polygons_of_each_subject(engine, folder):
    install_red(engine, 512)
    large = red_disc(folder / "a.png", (640, 480), (180, 200), 120, also=[((500, 320), 60)])
    document = engine.json("segment", folder / "a.png", "-o", folder / "masks.json", "--each")
    masks = json.loads((folder / "masks.json").read_text())
    validate(masks, "masks")
    assert (masks["width"], masks["height"], masks["target"], masks["model"]) == (640, 480, "subject", "red") and len(masks["masks"]) == 2
    first = masks["masks"][0]
    mask = from_counts(first["segmentation"])
    assert iou(mask, large) >= 0.95
    drawn = Image.new("L", (640, 480))
    for polygon in first["polygons"]:
        ImageDraw.Draw(drawn).polygon([c - 0.5 for c in polygon], fill=255)
    assert iou(np.asarray(drawn) > 0, mask) >= 0.97
    rows, columns = np.nonzero(mask)
    assert first["box"] == [columns.min(), rows.min(), columns.max() + 1 - columns.min(), rows.max() + 1 - rows.min()]
    assert first["share"] == pytest.approx(mask.mean(), abs=1e-3)
    assert [one["share"] for one in document["results"][0]["subjects"]] == [one["share"] for one in masks["masks"]]


def test_each_subject_is_a_picture_of_its_own(engine, folder):
    install_red(engine, 512)
    large = red_disc(folder / "a.png", (640, 480), (180, 200), 120, also=[((500, 320), 60)])
    document = engine.json("segment", folder / "a.png", "-o", folder / "out", "--each", "--as", "mask")
    files = document["results"][0]["files"]
    assert [os.path.basename(one["path"]) for one in files] == ["a-subject-1.png", "a-subject-2.png"] and [one["subject"] for one in files] == [0, 1]
    masks = [mask_of(one["path"]) >= 128 for one in files]
    assert iou(masks[0], large) >= 0.95 and not (masks[0] & masks[1]).any() and masks[1][320, 500]


def test_a_webp_has_alpha_too_and_the_background_is_the_rest(engine, folder):
    install_red(engine, 512)
    red_disc(folder / "a.png")
    engine.json("segment", folder / "a.png", "-o", folder / "cut.webp", "--quality", "100")
    engine.json("segment", folder / "a.png", "--target", "background", "-o", folder / "back.png", "--as", "mask")
    cut = Image.open(folder / "cut.webp")
    assert cut.format == "WEBP" and cut.mode == "RGBA"
    assert np.abs(np.asarray(cut)[..., 3].astype(int) + mask_of(folder / "back.png") - 255).max() <= 1


def test_a_folder_keeps_names_apart_and_goes_on_after_failures(engine, folder, photos):
    install_red(engine, 256)
    (photos / "b").mkdir()
    for name in ("a.png", "a.webp", "b/a.png"):
        red_disc(photos / name)
    Image.new("RGB", (200, 100), (90, 90, 90)).save(photos / "grey.png")
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    outcome = engine.run("segment", photos, "-o", folder / "out", "--json")
    document = outcome.document()
    assert outcome.code == DONE_WITH_FAILURES and document["failed"] == 2
    assert sorted(os.listdir(folder / "out")) == ["a.png-2-subject.png", "a.png-subject.png", "a.webp-subject.png"]
    errors = {os.path.basename(one["path"]): one["error"] for one in document["results"] if "error" in one}
    assert "there is no subject" in errors["grey.png"]["message"]
    assert "broken.jpg" in errors


# Never over anything


def test_nothing_is_replaced_without_force_and_a_photo_never(engine, folder, photos):
    install_red(engine, 256)
    red_disc(photos / "a.png")
    before = (photos / "a.png").read_bytes()
    (folder / "there.png").write_bytes(b"mine")
    assert "--force" in engine.run("segment", photos / "a.png", "-o", folder / "there.png").message
    assert (folder / "there.png").read_bytes() == b"mine"
    assert engine.run("segment", photos / "a.png", "-o", folder / "there.png", "--force").code == DONE
    os.link(photos / "a.png", folder / "hard.png")
    os.symlink(photos / "a.png", folder / "soft.png")
    for out in (photos / "a.png", folder / "hard.png", folder / "soft.png"):
        outcome = engine.run("segment", photos / "a.png", "-o", out, "--force")
        assert outcome.code == FAILED and "never written to" in outcome.message
    assert (photos / "a.png").read_bytes() == before == (folder / "hard.png").read_bytes()
    assert engine.run("segment", photos / "a.png", photos / "a.png", "-o", folder / "x.png").code == USAGE
    assert engine.run("segment", photos / "a.png", "-o", folder / "x.json", "--as", "mask").code == USAGE


@pytest.mark.parametrize("size", [(20_000, 100), (100, 20_000), (1, 1), (3, 700)])
def test_pictures_of_any_shape(engine, folder, size):
    install_red(engine, 256)
    Image.new("RGB", size, (230, 20, 20)).save(folder / "a.png")
    engine.json("segment", folder / "a.png", "-o", folder / "m.png", "--as", "mask")
    assert Image.open(folder / "m.png").size == size and mask_of(folder / "m.png").min() >= 250
    engine.json("segment", folder / "a.png", "-o", folder / "c.png")
    assert Image.open(folder / "c.png").size == size


def test_a_target_that_no_model_finds_names_the_remedy(engine, folder):
    red_disc(folder / "a.png")
    for target, remedy in (("subject", "models pull isnet --accept-licence"), ("person", "models pull selfie"), ("sofa", "segformer-b0-ade"),
                           ("zebra crossing", "models list")):  # fmt: skip
        outcome = engine.run("segment", folder / "a.png", "--target", target, "-o", folder / "m.png")
        assert outcome.code == FAILED and remedy in outcome.message
    install_red(engine, 256)
    outcome = engine.run("segment", folder / "a.png", "--target", "sofa", "--model", "red", "-o", folder / "m.png")
    assert outcome.code == USAGE and "subject" in outcome.message


@pytest.mark.parametrize("changes", [{"head": "queries"}, {"labels": ["a", "b"]}, {"outputs": ["d1x"]}, {"options": {"stretch": "perhaps"}},
                                     {"input": {"width": 128, "height": 128}}, {"input": {"width": 256, "height": 256, "fit": "centre-crop"}}])  # fmt: skip
def test_a_spec_that_does_not_fit_its_graph_is_named(engine, folder, changes):
    install_red(engine, 256, **changes)
    red_disc(folder / "a.png")
    outcome = engine.run("segment", folder / "a.png", "--target", changes.get("labels", ["subject"])[0], "-o", folder / "m.png")
    assert outcome.code in (FAILED, USAGE) and "red" in outcome.message and not (folder / "m.png").exists()


def test_ctrl_c_keeps_what_is_done(engine, folder, photos):
    install_red(engine)
    for i in range(60):
        red_disc(photos / f"{i:02}.png")
    process = engine.start("segment", photos, "-o", folder / "out", "--json")
    wait_until(lambda: process.poll() is not None or (folder / "out").is_dir() and len(os.listdir(folder / "out")) >= 2, "two cut-outs")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED, err
    results = json.loads(out)["results"]
    made = [name for name in os.listdir(folder / "out") if not name.startswith(".")]
    assert 2 <= len(results) < 60 and len(made) == len(results)
    for name in made:
        Image.open(folder / "out" / name).load()


# Plugins


ASKING = """
#include <image_engine/plugin.h>
#include <string.h>
static const ie_port kInputs[] = {{sizeof(ie_port), IE_PICTURE, "photo", "", 0}};
static const ie_port kOutputs[] = {{sizeof(ie_port), IE_MASK, "mask", "", IE_SAME_SIZE}};
static ie_status run(void* state, const ie_call* call) {
  const ie_picture* photo = call->picture(call, 0);
  const ie_ext_segment* segment = call->extension(call, IE_EXT_SEGMENT);
  const ie_picture* mask = NULL;
  (void)state;
  if (segment == NULL) return IE_FAILED;
  const ie_status status = segment->segment(call, photo, "subject", &mask);
  if (status != IE_OK) return status;
  ie_picture* out = call->new_picture(call, IE_GREY8, photo->width, photo->height);
  if (out == NULL) return IE_OUT_OF_MEMORY;
  for (uint32_t y = 0; y < photo->height; ++y) memcpy(out->pixels + y * out->row_bytes, mask->pixels + y * mask->row_bytes, photo->width);
  return call->give_picture(call, 0, out);
}
IE_EXPORT const ie_plugin image_engine_plugin = {
    .abi_version = IE_ABI_VERSION, .size = sizeof(ie_plugin), .name = "masker", .version = "1", .licence = "MIT", .summary = "a test",
    .inputs = kInputs, .input_count = 1, .outputs = kOutputs, .output_count = 1, .run = run};
"""


def test_a_plugin_gets_the_same_mask(engine, folder, photos):
    (folder / "masker.c").write_text(ASKING)
    subprocess.run(["cc", "-shared", "-fPIC", f"-I{ROOT}/include", folder / "masker.c", "-o", folder / "masker.so"], check=True)
    assert engine.run("plugins", "install", folder / "masker.so").code == DONE
    red_disc(photos / "a.png")
    outcome = engine.run("plugins", "run", "masker", photos / "a.png", "-o", folder / "none")
    assert outcome.code == FAILED and "models pull isnet" in outcome.message
    install_red(engine, 512)
    Image.new("RGB", (100, 80), (90, 90, 90)).save(photos / "grey.png")
    document = engine.json("plugins", "run", "masker", photos / "a.png", photos / "grey.png", "-o", folder / "out", expect=DONE_WITH_FAILURES)
    engine.json("segment", photos / "a.png", "-o", folder / "m.png", "--as", "mask")
    assert (mask_of(folder / "out/a-mask.png") == mask_of(folder / "m.png")).all()
    assert document["results"][1]["error"]["code"] == "not-found" and "there is no subject" in document["results"][1]["error"]["message"]


# The models themselves


def test_people_are_cut_out_with_the_default_models(real, folder):
    document = real.json("segment", PHOTOS / "astronaut.png", "--target", "person", "-o", folder / "m.png", "--as", "mask", "--rough")
    assert document["results"][0]["model"]["name"] == "selfie"
    graph = f"{real.environment['IMAGE_ENGINE_MODELS']}/selfie/selfie.onnx"
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    picture = opened(PHOTOS / "astronaut.png")
    pixels = np.asarray(picture.resize((256, 256), Image.BILINEAR), np.float32)[None] / 255
    wanted = enlarged(session.run(None, {"image": pixels})[0][0, ..., 0], picture.size) >= 0.5
    assert wanted[100:300, 180:260].mean() > 0.9 and not wanted[:100, 400:].any()  # her, and not the rocket beside her
    assert iou(mask_of(folder / "m.png") >= 128, wanted) >= 0.98
    outcome = real.run("segment", PHOTOS / "apple.jpg", "--target", "person", "-o", folder / "n.png")
    assert outcome.code == FAILED and "there is no person" in outcome.message
