"""The stage segmentation: masks in the catalogue against numpy, how they are searched for, drawn and compared."""

import json
import os
import re
import sqlite3
import sys

import numpy as np
import pytest
from engine import DONE, DONE_WITH_FAILURES, FAILED, ROOT, SAMPLES, USAGE
from PIL import Image, ImageDraw
from segment_models import from_counts, install_colours, install_known, install_red, iou
from test_draw import objects, plant
from test_segment import answer, enlarged, opened, red_disc

sys.path.insert(0, str(ROOT / "tools/peers"))
from subject_looks import look_of  # noqa: E402

PHOTOS = SAMPLES / "photos"


def assets_of(document):
    return {os.path.basename(asset["path"]): asset for asset in document["assets"]}


def segmented(engine, photos, *flags, **options):
    return assets_of(engine.analyze(photos, "--only", "segmentation", *flags, **options))


def names_of(engine, *query):
    return sorted(engine.search(*query))


# What is kept


def test_masks_have_class_share_box_and_run_lengths(engine, photos):
    install_red(engine, 512)
    large = red_disc(photos / "a.png", (640, 480), (180, 200), 120, also=[((500, 320), 60)])
    asset = segmented(engine, photos)["a.png"]
    first, second = asset["masks"]
    mask = from_counts(first["segmentation"])
    assert mask.shape == (512, 512), "the model's size"
    truth = np.asarray(Image.fromarray(large).resize((512, 512), Image.BOX))
    assert iou(mask, truth) >= 0.95
    rows, columns = np.nonzero(mask)
    box = [columns.min() * 1.25, rows.min() * 480 / 512, (columns.max() + 1 - columns.min()) * 1.25, (rows.max() + 1 - rows.min()) * 480 / 512]
    assert first["bbox"] == pytest.approx(box, abs=0.06)
    assert first["share"] == pytest.approx(mask.mean(), abs=1e-4) and second["share"] < first["share"]
    assert (first["class"], first["model"]) == ("subject", "red") and 0.5 < first["confidence"] <= 1
    (record,) = [one for one in asset["records"] if one["stage"] == "segmentation"]
    assert (record["model"], record["device"]) == ("red", "cpu")
    assert engine.show(photos / "a.png")["masks"] == asset["masks"]
    rows = engine.rows("SELECT name, share FROM asset_subjects")
    assert rows == [("subject", pytest.approx(first["share"] + second["share"], abs=2e-4))]


@pytest.mark.parametrize("last", [False, True])
def test_classes_are_where_their_logits_are_the_greatest(engine, photos, last):
    graph = install_colours(engine, last=last)
    opened(PHOTOS / "fruits.jpg").save(photos / "a.png")
    masks = {one["class"]: one for one in segmented(engine, photos)["a.png"]["masks"]}
    logits = answer(graph, opened(PHOTOS / "fruits.jpg"), 256, 0, 32)[0]
    logits = logits.transpose(2, 0, 1) if last else logits
    large = np.stack([enlarged(plane, (256, 256)) for plane in logits]).argmax(0)
    assert len(masks) == 3
    for index, name in enumerate(["red thing", "green thing", "person"]):
        mask = from_counts(masks[name]["segmentation"])
        assert iou(mask, large == index) >= 0.97, name
        assert masks[name]["share"] == pytest.approx((large == index).mean(), abs=0.01)


def test_a_mask_takes_at_most_4_kib(engine, photos):
    noise = np.random.default_rng(1).random((512, 512)).astype(np.float32) > 0.55
    noise[:, 250:260] = True  # one part
    noise[::2, :] = True
    install_known(engine, noise.astype(np.float32))
    Image.new("RGB", (300, 200), (90, 120, 30)).save(photos / "a.png")
    (mask,) = segmented(engine, photos)["a.png"]["masks"]
    assert len(mask["segmentation"]["counts"]) <= 4096 and mask["segmentation"]["size"][0] in (256, 128, 64)
    assert mask["share"] == pytest.approx(noise.mean(), abs=1e-3), "that of the whole mask"


def test_people_are_asked_for_only_where_a_detector_sees_them(real, photos):
    for name in ("astronaut.png", "apple.jpg"):
        opened(PHOTOS / name).save(photos / name)
    assets = segmented(real, photos)
    (person,) = [one for one in assets["astronaut.png"]["masks"] if one["share"] > 0.1]
    mask = from_counts(person["segmentation"])
    height, width = mask.shape
    assert person["class"] == "person" and mask[int(height * 0.3) : int(height * 0.5), int(width * 0.4) : int(width * 0.5)].mean() > 0.9
    assert assets["apple.jpg"]["masks"] == []
    assert names_of(real, "subject:person>20%") == ["astronaut.png"] and names_of(real, "subject:no") == ["apple.jpg"]


# Which photos are analyzed


def test_it_is_off_until_asked_for_and_then_goes_on_where_it_was(engine, photos):
    install_red(engine, 256)
    red_disc(photos / "a.png")
    assert "masks" not in assets_of(engine.analyze(photos))["a.png"]
    outcome = engine.run("search", "subject:yes")
    assert outcome.code == FAILED and "image-engine analyze PATH --segment" in outcome.message
    document = engine.analyze(photos, "--segment")
    assert len(assets_of(document)["a.png"]["masks"]) == 1
    red_disc(photos / "b.png", at=(200, 150))
    assert list(assets_of(engine.analyze(photos, "--segment"))) == ["b.png"]
    assert engine.analyze(photos, "--segment")["assets"] == []
    assert len(segmented(engine, photos, "--redo", "segmentation")) == 2
    (stage,) = [one for one in engine.json("status")["stages"] if one["stage"] == "segmentation"]
    assert stage["records"] == 2 and not stage["stale"]


def test_another_model_renews_the_masks(engine, photos):
    install_red(engine, 256)
    red_disc(photos / "a.png")
    segmented(engine, photos)
    install_colours(engine, labels=("red thing", "green thing", "blue thing"))
    asset = segmented(engine, photos)["a.png"]
    assert {one["model"] for one in asset["masks"]} == {"red", "colours"}
    assert names_of(engine, "subject:red-thing>10%") == ["a.png"]
    stages = [one for one in engine.json("status")["stages"] if one["stage"] == "segmentation"]
    assert [one["stale"] for one in stages] == [False, False]  # nothing would be made again


def test_without_a_model_the_rest_goes_on_and_says_so(engine, photos):
    red_disc(photos / "a.png")
    document = engine.analyze(photos, "--segment")
    assert "quality" in assets_of(document)["a.png"]
    assert any(note.startswith("segmentation: left out") and "models pull isnet" in note for note in document["report"]["notes"])


def test_a_model_that_answers_nonsense_is_a_failure_of_the_stage(engine, photos):
    install_known(engine, np.full((64, 64), np.nan, np.float32))
    red_disc(photos / "a.png")
    assert engine.run("analyze", photos, "--segment", "--json").code in (DONE, DONE_WITH_FAILURES)
    assert not engine.rows("SELECT 1 FROM records WHERE stage = 'segmentation'")


# Searching


def test_shares_are_searched_for(engine, photos):
    install_colours(engine, labels=("sky", "meadow", "sea"))
    for name, red in (("a.png", 60), ("b.png", 20)):
        picture = Image.new("RGB", (200, 100), (10, 200, 10))
        ImageDraw.Draw(picture).rectangle((0, 0, red * 2 - 1, 99), fill=(200, 10, 10))
        picture.save(photos / name)
    segmented(engine, photos)
    assert names_of(engine, "subject:sky>50%") == ["a.png"] and names_of(engine, "subject:sky<30%") == ["b.png"]
    assert names_of(engine, "subject:SKY") == ["a.png", "b.png"] and names_of(engine, "subject:sky=60%") == ["a.png"]
    assert names_of(engine, "subject:sky -subject:sky>50%") == ["b.png"]
    (result,) = engine.json("search", "subject:sky>50%")["results"]
    (why,) = result["why"]
    assert why["field"] == "subject" and re.fullmatch(r"sky (59|60)\.\d %", why["text"])
    notes = engine.json("search", "subject:skyy")["notes"]
    assert "nothing has subject:skyy: did you mean subject:sky?" in notes
    outcome = engine.run("search", "subject:sky>50")
    assert outcome.code == USAGE and "subject:dog>30%" in outcome.message


# Drawing


def counts_of(mask):
    """COCO's compressed run lengths, by the format's definition."""
    flat = mask.T.reshape(-1)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [2]]).astype(int)))
    lengths = np.diff(np.concatenate([[0], edges])) if flat.any() else [len(flat)]
    text = ""
    for i, length in enumerate(lengths):
        rest = int(length) - (int(lengths[i - 2]) if i > 2 else 0)
        while True:
            group, rest = rest & 0x1F, rest >> 5
            more = rest != (-1 if group & 0x10 else 0)
            text += chr(48 + (group | (0x20 if more else 0)))
            if not more:
                break
    return text


def test_masks_are_drawn_tinted_and_outlined(engine, photos, folder):
    Image.new("RGB", (600, 400), (128, 128, 128)).save(photos / "grey.png")
    engine.analyze(photos, "--only", "hash")
    outcome = engine.run("show", photos / "grey.png", "--draw", folder / "none.png", "--masks")
    assert outcome.code == FAILED and "--segment" in outcome.message and not (folder / "none.png").exists()
    mask = np.zeros((40, 60), bool)
    mask[10:30, 20:40] = True
    assert (from_counts({"size": [40, 60], "counts": counts_of(mask)}) == mask).all()
    entry = {"class": "dog", "confidence": 0.9, "share": 0.17, "bbox": [200, 100, 200, 200], "model": "m",
             "segmentation": {"size": [40, 60], "counts": counts_of(mask)}}  # fmt: skip
    plant(engine, photos / "grey.png", "objects", objects())
    plant(engine, photos / "grey.png", "segmentation", {"masks": [entry]})
    document = engine.json("show", photos / "grey.png", "--draw", folder / "out.png", "--masks")
    assert document["masks"] == 1
    pixels = np.asarray(Image.open(folder / "out.png").convert("RGB")).astype(int)
    inside, outside = pixels[120:280, 220:380], pixels[320:, :]
    assert (outside == 128).all() and (inside == inside[0, 0]).all() and (inside[0, 0] != 128).any()
    assert len({tuple(pixel) for pixel in pixels[200, 195:206]}) >= 4, "a line with a dark edge where the mask begins"
    plain = engine.json("show", photos / "grey.png", "--draw", folder / "plain.png")
    assert "masks" not in plain and (np.asarray(Image.open(folder / "plain.png").convert("RGB")) == 128).all()
    shown = engine.run("show", photos / "grey.png").out.decode()
    assert "dog" in shown and "counts" not in shown


@pytest.mark.parametrize("segmentation", [None, 3, {}, {"size": [1, 2]}, {"size": [40, 60], "counts": "\x7f"}, {"size": [40, 60], "counts": "0"},
                                          {"size": [-1, 60], "counts": "0"}, {"size": [1 << 40, 1 << 40], "counts": "0"}, {"size": [40, 60], "counts": 7}])  # fmt: skip
def test_a_damaged_mask_is_not_drawn(engine, photos, folder, segmentation):
    Image.new("RGB", (60, 40), (128, 128, 128)).save(photos / "grey.png")
    engine.analyze(photos, "--only", "hash")
    plant(engine, photos / "grey.png", "segmentation", {"masks": [{"class": "dog", "segmentation": segmentation}]})
    outcome = engine.run("show", photos / "grey.png", "--draw", folder / "out.png", "--masks", "--json")
    assert outcome.code == DONE and json.loads(outcome.out)["masks"] == 0


def test_masks_are_of_photos(engine, photos, folder):
    outcome = engine.run("show", "x.mp4", "--masks")
    assert outcome.code == USAGE and "--draw" in outcome.message


# Duplicates


def scene(path, background, subject, at=(300, 200), radius=100):
    """A red disc with a pattern of its own before a background of a pattern of its own; none of the latter is red."""
    rng = np.random.default_rng(background)
    small = Image.fromarray(rng.integers(0, 255, (6, 9), np.uint8)).resize((600, 400), Image.BICUBIC)
    back = np.asarray(small, int)
    pixels = np.stack([back // 4, 60 + back // 2, 80 + back // 2], -1).astype(np.uint8)
    pattern = np.asarray(Image.fromarray(np.random.default_rng(100 + subject).integers(0, 255, (5, 5), np.uint8)).resize((2 * radius, 2 * radius), Image.BICUBIC))
    y, x = np.mgrid[0 : 2 * radius, 0 : 2 * radius] - radius + 0.5
    disc = np.stack([200 + pattern // 5, pattern // 3, pattern // 3], -1).astype(np.uint8)
    window = pixels[at[1] - radius : at[1] + radius, at[0] - radius : at[0] + radius]
    window[np.hypot(x, y) <= radius] = disc[np.hypot(x, y) <= radius]
    Image.fromarray(pixels).save(path, quality=90)


def test_one_subject_before_two_backgrounds_is_a_group_of_which_nothing_may_go(engine, photos):
    install_red(engine, 512)
    scene(photos / "a.jpg", 1, 1)
    scene(photos / "b.jpg", 2, 1, at=(240, 180), radius=120)
    scene(photos / "c.jpg", 1, 2)
    scene(photos / "d.jpg", 2, 3)
    engine.analyze(photos, "--segment")
    groups = engine.json("duplicates", "--kind", "subject", "--verify")["groups"]
    (group,) = groups
    assert group["kind"] == "subject" and sorted(os.path.basename(file["path"]) for file in group["files"]) == ["a.jpg", "b.jpg"]
    assert not any(file["removable"] for file in group["files"]) and group["files"][1]["has"] == ["another picture"]
    assert engine.run("duplicates", "--kind", "subject", "--print0").out == b""
    assert b"0 files" in engine.run("duplicates", "--kind", "subject").out
    for near in engine.json("duplicates", "--kind", "near")["groups"]:
        assert not {"a.jpg", "b.jpg"} <= {os.path.basename(file["path"]) for file in near["files"]}


def test_a_look_is_that_of_its_definition_in_numpy(engine, photos):
    install_red(engine, 512)
    scene(photos / "a.png", 3, 4, at=(350, 180), radius=130)
    asset = segmented(engine, photos)["a.png"]
    ((data,),) = engine.rows("SELECT look FROM asset_subject_looks")
    assert len(data) == 73
    wanted = look_of(opened(photos / "a.png"), from_counts(asset["masks"][0]["segmentation"]))
    bits = lambda part: np.unpackbits(np.frombuffer(part, np.uint8)).astype(bool)  # noqa: E731
    assert (bits(data[:8]) != wanted["hash"]).sum() <= 2, "rounded levels"
    assert np.abs(np.frombuffer(data[8:40], np.int8).reshape(16, 2) - wanted["chroma"]).max() <= 1
    assert (bits(data[40:72]) != wanted["shape"]).sum() <= 2 and abs(data[72] - wanted["aspect"]) <= 1


def test_an_older_catalogue_is_brought_up_to_date(engine, photos):
    install_red(engine, 256)
    red_disc(photos / "a.png")
    engine.analyze(photos)
    with sqlite3.connect(engine.catalogue) as catalogue:
        catalogue.executescript("DROP TABLE asset_subjects; DROP TABLE asset_subject_looks; PRAGMA user_version = 8")
    catalogue.close()
    assert len(segmented(engine, photos)["a.png"]["masks"]) == 1
    assert os.path.exists(f"{engine.catalogue}.backup-v8")
