"""Selecting by points, boxes and words: models in the published shapes whose answers are known, the masks by the makers' arithmetic in numpy."""

import json
from functools import partial

import numpy as np
import onnx
import pytest
from action_models import tensor
from engine import DONE, FAILED, SAMPLES, USAGE, Engine, continue_from, fresh_folder, validate
from PIL import Image
from prompt_models import INPUT, SAM2_RADII, SAM_RADII, clipseg, decoder, encoder, sam, sam2
from segment_models import from_counts, install_red, iou

LANDSCAPE, PORTRAIT = (800, 600), (600, 800)
MODELS = {"mobile-sam": sam, "sam-vit-b": partial(sam, name="sam_vit_b_01ec64"), "sam2-hiera-tiny": sam2, "clipseg": clipseg}


def red_photo(path, size, black=0, orientation=1):
    """Red, and `black` columns at the right that are not; stored so that it is upright once turned."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[:, : size[0] - black, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = {1: 0, 3: 2, 6: 1, 8: 3}[orientation]  # quarters against the clock that undo what a reader does
    Image.fromarray(np.ascontiguousarray(np.rot90(pixels, turned))).save(path, exif=exif)
    return path


class Input:
    """Pixels of a photo in the encoder's input: the longer edge 1024, or stretched."""

    def __init__(self, size, stretched=False):
        longest = max(size)
        edges = [INPUT if stretched else int(edge * INPUT / longest + 0.5) for edge in size]
        self.scale = [edge / whole for edge, whole in zip(edges, size)]
        self.x, self.y = np.meshgrid((np.arange(size[0]) + 0.5) * self.scale[0], (np.arange(size[1]) + 0.5) * self.scale[1])

    def disc(self, point, radius):
        return np.hypot(self.x - point[0] * self.scale[0], self.y - point[1] * self.scale[1]) <= radius

    def box(self, x, y, width, height):
        left, right, top, bottom = x * self.scale[0], (x + width) * self.scale[0], y * self.scale[1], (y + height) * self.scale[1]
        return (self.x >= left) & (self.x <= right) & (self.y >= top) & (self.y <= bottom)


@pytest.fixture(scope="module")
def added():
    """Gives, by a model's name and options, a program to which it was added; once for each."""
    engines = {}
    with fresh_folder() as folder:

        def made(name, **options):
            key = f"{name} {options}"
            if key not in engines:
                (folder / key / "brought").mkdir(parents=True)
                engine = Engine(folder / key)
                engine.json("models", "add", MODELS[name](folder / key / "brought", **options), "--as", name)
                engines[key] = engine
            return engines[key]

        yield made


@pytest.fixture
def add(engine, added):
    return lambda name, **options: continue_from(engine, added(name, **options))


def selected(engine, photo, *flags, refine=False):
    out = engine.folder / "m.png"
    document = engine.json("segment", photo, *flags, "-o", out, "--as", "mask", "--force", *([] if refine else ["--rough"]))
    return np.asarray(Image.open(out)) >= 128, document


# Points and boxes


@pytest.mark.parametrize("size, orientation", [(LANDSCAPE, 1), (PORTRAIT, 1), (PORTRAIT, 6), (LANDSCAPE, 3), (PORTRAIT, 8)])
@pytest.mark.parametrize("name", ["mobile-sam", "sam2-hiera-tiny"])
def test_a_point_means_the_mask_with_the_best_estimate(engine, add, folder, name, size, orientation):
    """Of SAM's four the first, which is for several prompts, has the greatest estimate of all."""
    add(name)
    black = size[0] // 4
    photo = red_photo(folder / "a.png", size, black, orientation)
    point, seen = (size[0] - black - 20, 210), Input(size, stretched=name.startswith("sam2"))
    mask, document = selected(engine, photo, "--point", f"{point[0]},{point[1]}")
    wanted = seen.disc(point, SAM_RADII[2] if name == "mobile-sam" else SAM2_RADII[2])
    wanted[:, size[0] - black :] = False  # what the encoder sees as not red
    assert mask.shape == wanted.shape and iou(mask, wanted) >= 0.98
    (result,) = document["results"]
    assert result["model"]["name"] == name and result["estimated_iou"] == (0.9 if name == "mobile-sam" else 0.95)
    assert (document["target"], document["prompts"]) == ("selection", {"points": [list(point)]})


@pytest.mark.parametrize("size", [LANDSCAPE, PORTRAIT])
@pytest.mark.parametrize("name", ["mobile-sam", "sam2-hiera-tiny"])
def test_points_and_a_box_are_of_one_thing(engine, add, folder, name, size):
    add(name)
    photo, seen = red_photo(folder / "a.png", size), Input(size, stretched=name.startswith("sam2"))
    radius = SAM_RADII[0] if name == "mobile-sam" else SAM2_RADII[2]
    one, two, no = (150, 160), (330.5, 200), (165, 165)
    points = seen.disc(one, radius) | seen.disc(two, radius)
    flags = ["--point", "150,160", "--point", "330.5,200"]
    assert iou(selected(engine, photo, *flags)[0], points) >= 0.98
    mask, document = selected(engine, photo, *flags, "--not", "165,165")
    assert iou(mask, points & ~seen.disc(no, 20)) >= 0.98 and not mask[165, 165]
    assert document["prompts"] == {"points": [[150, 160], [330.5, 200]], "not": [[165, 165]]}
    box = (200, 320, 240, 130)
    mask, document = selected(engine, photo, "--box", "200,320,240,130")
    assert iou(mask, seen.box(*box)) >= 0.98 and document["prompts"] == {"box": list(box)}
    mask, _ = selected(engine, photo, "--box", "200,320,240,130", "--point", "150,160", "--not", "300,400")
    assert iou(mask, (seen.box(*box) | seen.disc(one, radius)) & ~seen.disc((300, 400), 20)) >= 0.98
    assert selected(engine, photo, "--box", f"0,0,{size[0]},{size[1]}")[0].mean() >= 0.99


@pytest.mark.parametrize("name, options", [("mobile-sam", {"bare": True}), ("mobile-sam", {"embeddings": "1856"}), ("sam-vit-b", {})])
def test_encoders_that_normalise_by_themselves_or_have_names_of_their_own(engine, add, folder, name, options):
    add(name, **options)
    photo = red_photo(folder / "a.png", PORTRAIT, 100)
    mask, _ = selected(engine, photo, "--point", "490,300")
    wanted = Input(PORTRAIT).disc((490, 300), SAM_RADII[2])
    wanted[:, 500:] = False
    assert iou(mask, wanted) >= 0.98


@pytest.mark.parametrize("size", [(4000, 60), (60, 4000), (2500, 1500)])
def test_photos_of_any_shape(engine, add, folder, size):
    add("mobile-sam", bare=True)
    photo = red_photo(folder / "a.png", size)
    point = (size[0] // 2, size[1] // 2)
    mask, _ = selected(engine, photo, "--point", f"{point[0]},{point[1]}")
    assert iou(mask, Input(size).disc(point, SAM_RADII[2])) >= 0.97
    assert selected(engine, red_photo(folder / "a.png", (1, 1)), "--box", "0,0,1,1")[0].all()


def test_a_selection_is_cut_out_and_described_as_other_targets_are(engine, add, folder):
    add("mobile-sam")
    photo = red_photo(folder / "a.png", LANDSCAPE)
    disc = Input(LANDSCAPE).disc((300, 300), SAM_RADII[2])
    engine.json("segment", photo, "--point", "300,300", "-o", folder / "cut.png")
    cut = np.asarray(Image.open(folder / "cut.png"))
    assert cut.shape == (600, 800, 4) and iou(cut[..., 3] >= 128, disc) >= 0.98 and not cut[cut[..., 3] == 0].any()
    engine.json("segment", photo, "--point", "300,300", "-o", folder / "m.json")
    masks = json.loads((folder / "m.json").read_text())
    validate(masks, "masks")
    assert masks["target"] == "selection" and iou(from_counts(masks["masks"][0]["segmentation"]), disc) >= 0.98
    document = engine.json("segment", photo, "--point", "150,150", "--point", "650,450", "-o", folder / "out", "--each", "--as", "mask")
    (result,) = document["results"]
    assert len(result["subjects"]) == 2 and all("class" not in one for one in result["subjects"])
    assert [one["path"].rsplit("/")[-1] for one in result["files"]] == ["a-selection-1.png", "a-selection-2.png"]


# Words


@pytest.mark.parametrize("rank", [2, 3, 4])
@pytest.mark.parametrize("orientation", [1, 6])
def test_words_are_found(engine, add, folder, rank, orientation):
    add("clipseg", rank=rank)
    photo = red_photo(folder / "a.png", (700, 400), 300, orientation)
    mask, document = selected(engine, photo, "--text", "The RED car")
    wanted = np.zeros((400, 700), bool)
    wanted[:, :400] = True
    assert iou(mask, wanted) >= 0.98
    (result,) = document["results"]
    assert document["target"] == "The RED car" and document["prompts"] == {"text": "The RED car"} and "estimated_iou" not in result
    assert [one["class"] for one in result["subjects"]] == ["The RED car"]
    outcome = engine.run("segment", photo, "--text", "a green car", "-o", folder / "none.png")
    assert outcome.code == FAILED and "there is no 'a green car' in this picture" in outcome.message and not (folder / "none.png").exists()


# Refusals


def test_a_model_that_is_missing_is_named_with_the_command_that_adds_it(engine, add, folder):
    photo = red_photo(folder / "a.png", LANDSCAPE)
    install_red(engine, 256)  # a model of subjects takes no prompts
    for flags in (["--point", "1,1"], ["--box", "1,1,5,5"]):
        outcome = engine.run("segment", photo, *flags, "-o", folder / "m.png")
        assert outcome.code == USAGE and "clipseg" not in outcome.message
        for line in ("mobile_sam.encoder.onnx --as mobile-sam", "sam_vit_b_01ec64.encoder.onnx --as sam-vit-b", "sam2_hiera_tiny.encoder.onnx --as sam2-hiera-tiny"):
            assert f"image-engine models add {line}" in outcome.message
    outcome = engine.run("segment", photo, "--text", "a car", "-o", folder / "m.png")
    assert outcome.code == USAGE and "image-engine models add model.onnx --as clipseg" in outcome.message and "mobile" not in outcome.message
    assert "is for segmentation" in engine.run("segment", photo, "--point", "1,1", "--model", "red", "-o", folder / "m.png").message
    assert "models add" in engine.run("segment", photo, "--point", "1,1", "--model", "mobile-sam", "-o", folder / "m.png").message
    add("clipseg")
    outcome = engine.run("segment", photo, "--point", "1,1", "--model", "clipseg", "-o", folder / "m.png")
    assert outcome.code == USAGE and "does not take points" in outcome.message
    assert not (folder / "m.png").exists()


@pytest.mark.parametrize("flags, says", [
    (["--point", "800,10"], "800,10"), (["--point", "10,600"], "600"), (["--point=-1,10"], "-1,10"), (["--box", "700,500,101,20"], "700,500,101,20"),
    (["--point", "5,5", "--not", "5,600"], "5,600"), (["--box", "10,10,0,5"], "10,10,0,5")])  # fmt: skip
def test_prompts_that_are_not_in_the_photo(engine, add, folder, flags, says):
    add("mobile-sam")
    photo = red_photo(folder / "a.png", LANDSCAPE, orientation=6)
    assert engine.run("segment", photo, "--point", "799,5", "-o", folder / "ok.png").code == DONE
    outcome = engine.run("segment", photo, *flags, "-o", folder / "m.png")
    assert outcome.code == USAGE and says in outcome.message and "800 × 600" in outcome.message and not (folder / "m.png").exists()


@pytest.mark.parametrize("flags, says", [
    (["--point", "5"], "X,Y"), (["--point", "5,5,5"], "X,Y"), (["--point", "a,b"], "X,Y"), (["--point", "nan,1"], "X,Y"), (["--point", "1,2x"], "X,Y"),
    (["--box", "1,2,3"], "X,Y,WIDTH,HEIGHT"), (["--not", "1,1"], "--not"), (["--point", "1,1", "--target", "subject"], "--target"),
    (["--text", "car", "--target", "subject"], "--target"), (["--text", "car", "--point", "1,1"], "--text"), (["--text", "car", "--box", "1,1,5,5"], "--text"),
    (["--text", ""], "--text")])  # fmt: skip
def test_prompts_that_make_no_sense(engine, folder, flags, says):
    outcome = engine.run("segment", red_photo(folder / "a.png", LANDSCAPE), *flags, "-o", folder / "m.png")
    assert outcome.code == USAGE and says in outcome.message and not (folder / "m.png").exists()


def test_prompts_are_of_one_photo(engine, add, folder, photos):
    add("mobile-sam")
    photo = red_photo(photos / "a.png", LANDSCAPE)
    other, video = red_photo(folder / "b.png", LANDSCAPE), SAMPLES / "videos/Megamind.avi"
    for given in ([photos], [photo, other], [video]):
        outcome = engine.run("segment", *given, "--point", "5,5", "-o", folder / "out")
        assert outcome.code == USAGE and "one photo" in outcome.message


def test_nothing_there_is_said(engine, add, folder):
    add("mobile-sam")
    photo = red_photo(folder / "a.png", LANDSCAPE, 800)  # black
    outcome = engine.run("segment", photo, "--point", "5,5", "-o", folder / "m.png")
    assert outcome.code == FAILED and "mobile-sam finds nothing there" in outcome.message and not (folder / "m.png").exists()


# Adding them


def test_a_pair_may_have_other_names(engine, folder):
    file = sam(folder, "my-decoded.v2")
    engine.json("models", "add", folder / "my-decoded.v2.decoder.onnx", "--as", "mobile-sam", "--name", "mine")
    assert selected(engine, red_photo(folder / "a.png", LANDSCAPE), "--point", "200,200", "--model", "mine")[1]["results"][0]["model"]["name"] == "mine"
    (folder / "my-decoded.v2.decoder.onnx").unlink()
    outcome = engine.run("models", "add", file, "--as", "mobile-sam")
    assert outcome.code == USAGE and "my-decoded.v2.decoder.onnx should be beside" in outcome.message
    file.rename(folder / "weights.onnx")
    outcome = engine.run("models", "add", folder / "weights.onnx", "--as", "mobile-sam")
    assert outcome.code == USAGE and "decoder or encoder" in outcome.message


def broken(folder, kind):
    """A pair that does not fit together, and the words that say so."""
    sam(folder)
    embeddings = [("image_embeddings", [1, 256, 64, 64])]
    if kind == "input":
        encoder(folder / "mobile_sam.encoder.onnx", [("one", [1, 256, 64, 64]), ("two", [1, 1, 1, 1])])
        return "'image_embeddings' that its encoder does not give"
    if kind == "estimates":
        decoder(folder / "mobile_sam.decoder.onnx", embeddings, (60, 90, 120, 150), (0.5, 0.5), "low_res_masks", True, True)
        return "estimates"
    if kind == "nan":
        decoder(folder / "mobile_sam.decoder.onnx", embeddings, (60, 90, np.nan), (0.5, 0.6, 0.7), "low_res_masks", True, True)
        return "NaN"
    graph = onnx.load(folder / "mobile_sam.decoder.onnx")
    if kind == "prompts":
        for node in graph.graph.node:
            node.input[:] = ["points" if name == "point_coords" else name for name in node.input]
        (points,) = [one for one in graph.graph.input if one.name == "point_coords"]
        points.CopyFrom(tensor("points", [1, "points", 2]))
        onnx.save(graph, folder / "mobile_sam.decoder.onnx")
        return "no input 'point_coords'"
    graph.graph.output.remove(next(one for one in graph.graph.output if one.name == "iou_predictions"))
    onnx.save(graph, folder / "mobile_sam.decoder.onnx")
    return "no output 'iou_predictions'"


@pytest.mark.parametrize("kind", ["input", "estimates", "nan", "prompts", "outputs"])
def test_a_pair_that_does_not_fit_is_not_added(engine, folder, kind):
    says = broken(folder, kind)
    outcome = engine.run("models", "add", folder / "mobile_sam.encoder.onnx", "--as", "mobile-sam")
    assert outcome.code == USAGE and says in outcome.message and "mobile-sam" in outcome.message
    assert "models add" in engine.run("segment", red_photo(folder / "a.png", LANDSCAPE), "--point", "1,1", "-o", folder / "m.png").message


def test_clipseg_needs_its_vocabulary_and_its_inputs(engine, folder):
    file = clipseg(folder)
    (folder / "merges.txt").rename(folder / "words.txt")
    outcome = engine.run("models", "add", file, "--as", "clipseg")
    assert outcome.code == USAGE and "merges.txt should be beside" in outcome.message
    (folder / "words.txt").rename(folder / "merges.txt")
    encoder(file, [("logits", [1, 256, 64, 64])])
    outcome = engine.run("models", "add", file, "--as", "clipseg")
    assert outcome.code == USAGE and "no input 'pixel_values'" in outcome.message
