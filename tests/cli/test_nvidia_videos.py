"""Frames of videos and cloud models, before a server of our own: which are sent, what is kept and found, what never is."""

import collections
import io
import json
import os
import shutil
import signal
import subprocess

import pytest
from cloud import DESCRIBE, DETECT, cloud, configure, control, image_of, of, server  # noqa: F401
from engine import DONE, DONE_WITH_FAILURES, INTERRUPTED, ROOT, USAGE, fresh_folder, validate, wait_until
from PIL import Image, ImageChops, ImageStat

STREET = "/usr/share/doc/opencv-doc/examples/data/vtest.avi"
COLOURS = ["red", "blue", "green"]
PROMPT = "Describe the activity in this video frame"
DESCRIBE_ONLY = "  retail_detection: {enabled: false}\n"


def ffmpeg(*arguments):
    return subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], capture_output=True, check=True).stdout


def compose(target, *inputs):
    """Inputs for FFmpeg, with the seconds and filters of each, cut together."""
    arguments, chains = [], []
    for i, (source, seconds, *filters) in enumerate(inputs):
        arguments += source
        steps = [f"trim=duration={seconds}", "setpts=PTS-STARTPTS", "scale=640:480,setsar=1,fps=25", *filters, "format=yuv420p"]
        chains.append(f"[{i}:v]{','.join(steps)}[v{i}]")
    joined = "".join(f"[v{i}]" for i in range(len(inputs)))
    ffmpeg(*arguments, "-filter_complex", ";".join(chains) + f";{joined}concat=n={len(inputs)}[v]", "-map", "[v]", "-c:v", "libx264", "-crf", "15", target)


def still(path):
    return ["-loop", "1", "-framerate", "25", "-i", str(path)]


def paper(colour):
    return ["-f", "lavfi", "-i", f"color=c={colour}:size=640x480:rate=25"]


def tinted(picture, colour):
    """3 s of a picture in shades of one colour."""
    rows = ["0.4:0.4:0.2:0" if name == colour else "0.1:0.1:0:0" for name in ("red", "green", "blue")]
    return still(f"/usr/share/doc/opencv-doc/examples/data/{picture}"), 3, f"format=rgb24,colorchannelmixer={':'.join(rows)}"


@pytest.fixture(scope="module")
def made():
    """colours.mp4: 3 s each of a picture in red, another in blue and a third in green. moving.mp4: 6 s in one scene, in which all frames differ."""
    with fresh_folder() as folder:
        compose(folder / "colours.mp4", *map(tinted, ["butterfly.jpg", "fruits.jpg", "home.jpg"], COLOURS))
        ffmpeg("-f", "lavfi", "-i", "testsrc2=size=640x480:rate=25:duration=6", "-c:v", "libx264", folder / "moving.mp4")
        yield folder


@pytest.fixture
def clips(made, photos):
    for clip in made.iterdir():
        shutil.copy(clip, photos)
    return photos


def documents(server):
    return [json.loads(request["body"]) for request in server.requests]


def difference(one, other):
    """Mean, of 255."""
    return sum(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean) / 3


def frame_of(clip, at):
    png = ffmpeg("-i", clip, "-vf", f"select=gte(t\\,{at - 1e-3})", "-frames:v", "1", "-f", "image2pipe", "-c:v", "png", "-")
    return Image.open(io.BytesIO(png))


def check_pictures(server, clip, times):
    """What was sent to be described are the frames at these times, each once."""
    left = [Image.open(io.BytesIO(image_of(request))) for request in of(server, DESCRIBE)]
    assert len(left) == len(times)
    for at in times:
        expected = frame_of(clip, at)
        nearest = min(left, key=lambda picture: difference(expected, picture))
        assert nearest.size == expected.size and difference(expected, nearest) < 5
        left.remove(nearest)


def descriptions(engine):
    return engine.rows("SELECT count(*) FROM moment_records WHERE stage = 'description'")[0][0]


def found_at(engine, query):
    """The time of the best moment of each video that is found."""
    found = engine.json("search", query)["results"]
    return {os.path.basename(result["path"]): result["moment"]["at"] for result in found if "moment" in result}


def test_the_best_frame_of_each_scene_is_sent_kept_and_found(cloud, server, clips):
    clip = clips / "colours.mp4"
    document = cloud.json("analyze-video", clip, "--nvidia")
    best = [scene["best"] for scene in document["scenes"]]
    assert len(best) == 3
    assert (len(of(server, DETECT)), len(of(server, DESCRIBE))) == (3, 3)
    assert {json.loads(request["body"])["prompt"] for request in of(server, DESCRIBE)} == {PROMPT}
    check_pictures(server, clip, best)

    sentences = [f"A bicycle beside a {colour} wall." for colour in COLOURS]
    described = {frame["at"]: frame["caption"] for frame in document["frames"] if "caption" in frame}
    assert [described[at]["text"] for at in best] == sentences
    assert {caption["prompt"] for caption in described.values()} == {PROMPT}
    assert [moment["captions"] for moment in document["moments"]] == [[sentence] for sentence in sentences]
    assert [(product["class"], product["count"]) for product in document["moments"][0]["products"]] == [("bottle", 2), ("package", 1)]
    assert document["caption"]["descriptions"] == [{"at": at, "text": text} for at, text in zip(best, sentences)]
    assert (document["caption"]["prompt"], document["caption"]["model"]) == (PROMPT, "vlm/nvidia/nemotron-nano-12b-v2-vl")
    products = document["retail_products"]
    assert [(product["class"], product["count"], product["confidence"]) for product in products["detections"]] == [("bottle", 2, 0.92), ("package", 1, 0.84)]
    assert (products["product_count"], products["dominant_products"]) == (3, ["bottle", "package"])
    assert all(product["at"] in best and max(product["bbox"]) > 60 for product in products["detections"])

    for colour, at in zip(COLOURS, best):
        assert found_at(cloud, f"caption:{colour}") == {"colours.mp4": at}
    assert list(found_at(cloud, "product:bottle>=2")) == list(found_at(cloud, "bicycle package")) == ["colours.mp4"]
    assert cloud.search("product:bottle>=3") == cloud.search("caption:yellow") == []
    shown = cloud.run("analyze-video", clip, "--nvidia").out.decode()
    assert all(sentence in shown for sentence in sentences)
    control(server, forget=True)
    assert cloud.analyze(clip, "--nvidia")["report"]["cloud"]["answers"] == 0
    assert server.requests == []


def test_settings_have_their_effect(cloud, server, clips):
    moving = clips / "moving.mp4"
    Image.new("RGB", (300, 200), "red").save(clips / "photo.png")
    configure(cloud, "  enabled: true\n" + DESCRIBE_ONLY)
    assert cloud.analyze(clips)["report"]["cloud"]["answers"] == 1, "use_nvidia_build is off: photos alone"
    on = "video: {use_nvidia_build: true}\n"
    configure(cloud, "  enabled: true\n" + DESCRIBE_ONLY, analysis=on)
    assert cloud.analyze(clips, "--no-videos")["report"]["cloud"]["answers"] == 0
    assert cloud.analyze(clips)["report"]["cloud"]["answers"] == 3 + 1
    frames = [frame["at"] for frame in cloud.show(moving)["frames"]]
    assert len(frames) == 6
    configure(cloud, "  enabled: true\n" + DESCRIBE_ONLY, analysis="video: {use_nvidia_build: true, nvidia_frames: all}\n")
    assert cloud.analyze(clips)["report"]["cloud"]["answers"] == 5, "what is known of the scenes is not asked again"
    assert [said["at"] for said in cloud.show(moving)["caption"]["descriptions"]] == frames
    configure(cloud, "  enabled: true\n" + DESCRIBE_ONLY, analysis=on)
    assert cloud.analyze(clips)["report"]["cloud"]["answers"] == 0
    control(server, forget=True)
    other = "  enabled: true\n  vision_language: {default_prompt: 'What moves?'}\n" + DESCRIBE_ONLY
    configure(cloud, other, analysis=on)
    assert cloud.analyze(clips)["report"]["cloud"]["requests"] == 3 + 1
    assert {document["prompt"] for document in documents(server)} == {"What moves?"}
    shown = cloud.show(moving)
    assert shown["caption"]["prompt"] == "What moves?" and len(shown["caption"]["descriptions"]) == 1
    assert len([frame for frame in shown["frames"] if "caption" in frame]) == 1, "answers to another prompt have gone"


def test_a_dry_run_lists_frames_and_sends_nothing(cloud, server, clips):
    Image.new("RGB", (300, 200), "red").save(clips / "photo.png")
    plan = cloud.run("analyze", clips, "--nvidia", "--dry-run", "--json")
    assert plan.code == DONE, plan.message
    plan = json.loads(plan.out)
    validate(plan, "cloud-plan")
    assert (plan["pictures"], plan["frames"], plan["requests"]) == (1, 4, 10)
    assert collections.Counter(os.path.basename(call["path"]) for call in plan["calls"]) == {"photo.png": 2, "colours.mp4": 6, "moving.mp4": 2}
    best = [scene["best"] for scene in cloud.show(clips / "colours.mp4")["scenes"]]
    assert {call["at"] for call in plan["calls"] if call["path"].endswith("colours.mp4")} == set(best)
    assert all(("at" in call) == call["path"].endswith(".mp4") for call in plan["calls"])
    text = cloud.run("analyze-video", clips / "colours.mp4", "--nvidia", "--dry-run").out.decode()
    assert "6 calls for 3 frames" in text and "Nothing was sent" in text
    assert cloud.run("analyze-video", clips / "colours.mp4", "--dry-run").code == USAGE
    assert server.requests == [] and descriptions(cloud) == 0
    cloud.analyze(clips, "--nvidia")
    assert sorted(len(image_of(request)) for request in server.requests) == sorted(call["bytes"] for call in plan["calls"])


def test_a_budget_is_kept_and_what_there_is_can_be_found(cloud, server, clips):
    clip = clips / "colours.mp4"
    configure(cloud, DESCRIBE_ONLY + "  caching: {enabled: false}\n")
    report = cloud.analyze(clip, "--nvidia", "--max-requests", "2")["report"]
    assert len(server.requests) == report["cloud"]["answers"] == 2 and report["cloud"]["left"] == 1
    assert sum(len(found_at(cloud, f"caption:{colour}")) for colour in COLOURS) == 2
    assert len(cloud.show(clip)["caption"]["descriptions"]) == 2
    report = cloud.analyze(clip, "--nvidia")["report"]
    assert report["cloud"]["requests"] == 1
    assert len({request["body"] for request in server.requests}) == len(server.requests) == 3
    assert all(found_at(cloud, f"caption:{colour}") for colour in COLOURS)
    assert cloud.analyze(clip, "--nvidia")["report"]["cloud"]["answers"] == 0


ONE_AT_A_TIME = "{max_requests_per_minute: 100000, max_concurrent: 1}"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_pays_nothing_twice(cloud, server, clips, number):
    clip = clips / "moving.mp4"
    configure(cloud, DESCRIBE_ONLY + "  caching: {enabled: false}\n", ONE_AT_A_TIME, "video: {nvidia_frames: all}\n")
    cloud.analyze(clip)
    control(server, latency=0.5)
    process = cloud.start("analyze", clip, "--nvidia", "--quiet")
    wait_until(lambda: len(server.requests) >= 4, "the fourth request")
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode in (-number, INTERRUPTED)
    before = len(server.requests)
    if number == signal.SIGINT:
        assert descriptions(cloud) == len(cloud.show(clip)["caption"]["descriptions"]) == before
        assert found_at(cloud, "caption:bicycle")
    control(server, latency=0)
    assert cloud.analyze(clip, "--nvidia")["report"]["cloud"]["left"] == 0
    in_flight = 1 if number == signal.SIGKILL else 0
    assert 6 <= len(server.requests) <= 6 + in_flight
    assert len({request["body"] for request in server.requests}) == 6
    if number == signal.SIGINT:
        check_pictures(server, clip, [frame["at"] for frame in cloud.show(clip)["frames"]])
    assert len(cloud.show(clip)["caption"]["descriptions"]) == 6


def test_a_frame_that_is_refused_is_told_with_its_time(cloud, server, clips):
    clip = clips / "colours.mp4"
    configure(cloud, DESCRIBE_ONLY, ONE_AT_A_TIME)
    control(server, faults=[{"path": DESCRIBE, "status": 422, "body": '{"detail": "not this one"}'}])
    report = cloud.analyze(clip, "--nvidia", expect=DONE_WITH_FAILURES)["report"]
    assert (report["cloud"]["answers"], report["cloud"]["failed"], report["cloud"]["left"]) == (2, 1, 0)
    (entry,) = cloud.failures().values()
    assert entry["stage"] == "description" and "frame at" in entry["message"] and "not this one" in entry["message"]
    assert len(cloud.show(clip)["caption"]["descriptions"]) == 2
    control(server, forget=True)
    assert cloud.analyze(clip, "--nvidia")["report"]["cloud"]["requests"] == 0
    assert cloud.analyze(clip, "--nvidia", "--retry")["report"]["cloud"]["requests"] == 1
    assert cloud.failures() == {} and len(cloud.show(clip)["caption"]["descriptions"]) == 3


def test_a_refused_frame_does_not_keep_the_others(cloud, server, clips):
    """The budget ends after the refused frame: the next run asks about the rest, with no --retry."""
    clip = clips / "colours.mp4"
    configure(cloud, DESCRIBE_ONLY, ONE_AT_A_TIME)
    control(server, faults=[{"path": DESCRIBE, "status": 422, "body": '{"detail": "not this one"}'}])
    cloud.analyze(clip, "--nvidia", "--max-requests", "2", expect=DONE_WITH_FAILURES)
    assert len(cloud.failures()) == 1 and descriptions(cloud) == 1
    cloud.analyze(clip, "--nvidia")
    assert cloud.failures() == {} and descriptions(cloud) == 3


def test_servers_errors_are_tried_by_the_next_run(cloud, server, clips):
    control(server, faults=[{"path": DETECT, "status": 403, "body": '{"detail": "no right"}', "times": -1}])
    outcome = cloud.run("analyze-video", clips / "colours.mp4", "--nvidia")
    assert outcome.code == DONE_WITH_FAILURES and "no right" in outcome.message
    assert descriptions(cloud) == 3
    control(server, clear=True, forget=True)
    assert cloud.run("analyze-video", clips / "colours.mp4", "--nvidia").code == DONE
    assert len(server.requests) == len(of(server, DETECT)) == 3 and cloud.failures() == {}


def test_redo_and_new_frames(cloud, server, clips):
    clip = clips / "moving.mp4"
    configure(cloud, "  caching: {enabled: false}\n")
    cloud.analyze(clip, "--nvidia")
    assert len(server.requests) == 2
    assert cloud.run("analyze-video", clip, "--nvidia", "--redo", "description").code == DONE
    assert (len(of(server, DETECT)), len(of(server, DESCRIBE))) == (1, 2)
    document = cloud.json("analyze-video", clip, "--fps", "2.5")
    assert "caption" not in document and "retail_products" not in document
    assert cloud.search("caption:bicycle") == cloud.search("product:bottle") == []
    cloud.json("analyze-video", clip, "--fps", "2.5", "--nvidia")
    assert len(server.requests) == 5 and cloud.search("caption:bicycle") == ["moving.mp4"]


def test_a_clip_of_one_frame_where_the_server_wants_one(cloud, server, clips):
    clip = clips / "colours.mp4"
    configure(cloud, f"  assets_url: {server.address}/v2/nvcf\n  retail_detection: {{dialect: nvcf}}\n  vision_language: {{enabled: false}}\n")
    assert cloud.json("analyze-video", clip, "--nvidia")["retail_products"]["product_count"] > 0
    uploads = [request["body"] for request in server.requests if request["method"] == "PUT"]
    assert len(uploads) == 3
    for number, (upload, scene) in enumerate(zip(uploads, cloud.show(clip)["scenes"])):
        (clips / f"upload{number}.bin").write_bytes(upload)
        sent = frame_of(clips / f"upload{number}.bin", 0)
        assert min(difference(sent, frame_of(clip, other["best"]).resize(sent.size)) for other in cloud.show(clip)["scenes"]) < 6


def test_excluded_videos_stay(cloud, server, clips):
    configure(cloud, DESCRIBE_ONLY + "  privacy: {exclude: ['moving*']}\n")
    report = cloud.analyze(clips, "--nvidia")["report"]
    assert len(server.requests) == 3 and report["cloud"]["held_back"] == 1
    assert "cloud: 1 frame held back: excluded by a pattern" in report["notes"]


@pytest.fixture
def detects(cloud):
    """The program with a NanoDet of its own, which sends no people."""
    cloud.environment["IMAGE_ENGINE_MODELS"] = str(cloud.folder / "models")
    shutil.copytree(ROOT / "build/models/nanodet", cloud.folder / "models/nanodet")
    configure(cloud, DESCRIBE_ONLY + "  privacy: {exclude_people: true}\n")
    return cloud


def test_frames_with_people_stay_and_the_others_are_sent(detects, server, photos):
    clip = photos / "street.mp4"
    compose(clip, (paper("navy"), 2), (["-ss", "5", "-i", STREET], 3), (paper("white"), 2))
    report = detects.analyze(clip, "--nvidia")["report"]
    assert "cloud: 1 frame held back: people" in report["notes"] and report["cloud"]["held_back"] == 1
    scenes = detects.show(clip)["scenes"]
    assert len(scenes) == 3 and len(server.requests) == 2
    assert [said["at"] for said in detects.show(clip)["caption"]["descriptions"]] == [scenes[0]["best"], scenes[2]["best"]]
    for request in server.requests:
        sent = Image.open(io.BytesIO(image_of(request)))
        assert difference(sent, frame_of(clip, scenes[1]["best"])) > 20
    report = detects.analyze(clip, "--nvidia")["report"]
    assert report["cloud"]["held_back"] == 1 and report["cloud"]["answers"] == 0
    configure(detects, DESCRIBE_ONLY)
    assert detects.analyze(clip, "--nvidia")["report"]["cloud"]["answers"] == 1, "what may be sent now is asked about"


def test_no_frame_of_people_in_the_street_is_sent(detects, server, photos):
    configure(detects, DESCRIBE_ONLY + "  privacy: {exclude_people: true}\n", analysis="video: {nvidia_frames: all, fps: 0.2, track_fps: 0}\n")
    clip = photos / "vtest.avi"
    shutil.copy(STREET, clip)
    report = detects.analyze(clip, "--nvidia")["report"]
    frames = len(detects.show(clip)["frames"])
    assert frames >= 10 and report["cloud"]["held_back"] == frames and server.requests == []


def test_frames_that_no_detector_has_seen_stay(cloud, server, clips):
    configure(cloud, DESCRIBE_ONLY + "  privacy: {exclude_people: true}\n")
    cloud.environment["IMAGE_ENGINE_MODELS"] = str(cloud.folder / "none")
    report = cloud.analyze(clips / "colours.mp4", "--nvidia")["report"]
    assert "cloud: 3 frames held back: not checked for people" in report["notes"] and server.requests == []
