"""What happens in videos, by models whose answers are known."""

import contextlib
import json
import re
import subprocess

import pytest
from action_models import install_colours, install_motion, write_motion
from engine import DONE, USAGE, Engine, fresh_folder, wait_until

TEMPORAL, ZERO_SHOT = "temporal model", "zero-shot by an image-text model, not a temporal model"


def ffmpeg(*arguments):
    done = subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


@pytest.fixture(scope="module")
def clips():
    """colours.mp4: 3 s of red, grey, blue and red each. light.mp4: 8 s become brighter, 8 s darker, 8 s stay."""
    with fresh_folder() as folder:
        sources = [part for colour in ("red", "gray", "blue", "red") for part in ("-f", "lavfi", "-i", f"color={colour}:size=320x180:rate=10:duration=3")]
        ffmpeg(*sources, "-filter_complex", "concat=n=4", "-pix_fmt", "yuv420p", "-c:v", "libx264", folder / "colours.mp4")
        light = "if(lt(T,8),16+27*T,if(lt(T,16),232-27*(T-8),120))"
        ffmpeg("-f", "lavfi", "-i", f"color=gray:size=160x90:rate=10:duration=24,geq=lum='{light}':cb=128:cr=128", "-pix_fmt", "yuv420p", "-c:v", "libx264", folder / "light.mp4")
        yield folder


@pytest.fixture
def colours(engine):
    """A model that knows colours, and what the tests call them."""
    install_colours(engine)
    labels = engine.folder / "actions.yaml"
    labels.write_text("prompts: ['{}']\nlabels: [{riding a bike: red}, {swimming: blue}, {cooking: green}]\nbackground: [grey]\n")
    config = engine.folder / "config/image-engine/config.yaml"
    config.write_text(f"video: {{action_labels: {labels}}}\n")
    return engine


def spans(document):
    return [(action["action"], round(action["from"], 1), round(action["to"], 1), action["source"]) for action in document["actions"]]


EXPECTED = [("riding a bike", 0.0, 3.0, ZERO_SHOT), ("swimming", 6.0, 9.0, ZERO_SHOT), ("riding a bike", 9.0, 12.0, ZERO_SHOT)]


def test_zero_shot_stands_in_and_is_called_so(colours, clips):
    clip = clips / "colours.mp4"
    document = colours.json("analyze-video", clip)
    assert spans(document) == EXPECTED
    assert all(action["confidence"] > 0.9 for action in document["actions"])
    assert [[action["action"] for action in frame["actions"]] for frame in document["frames"]] == [["riding a bike"], [], ["swimming"], ["riding a bike"]]
    assert {action["source"] for moment in document["moments"] for action in moment["actions"]} == {ZERO_SHOT}
    timeline = colours.run("analyze-video", clip).out.decode()
    assert re.search(r"0:00\S*–0:12\S* +riding a bike \(zero-shot\), swimming \(zero-shot\)", timeline), timeline
    assert re.search(r"actions\n.*\n +0:06\S*–0:09\S* +swimming \(zero-shot\)", timeline), timeline
    assert "swimming (zero-shot)" in colours.run("show", clip).out.decode()
    (record,) = [record for record in document["records"] if record["stage"] == "actions"]
    assert record["model"] == "colours" and "zero-shot" in record["version"]
    assert colours.json("catalog", "check")["problems"] == []
    assert colours.analyze(clip)["report"]["video_seconds"] == 0, "nothing is done twice"


def test_actions_are_found_with_their_time(colours, clips):
    colours.analyze(clips / "colours.mp4")
    for query in ("action:swimming", "swimming", "action:swim", 'action:"riding a bike"', "action:bike", "swimming type:video"):
        assert colours.search(query) == ["colours.mp4"], query
    for query in ("action:cooking", "action:colours", "object:swimming", "action:swimming -action:bike"):
        assert colours.search(query) == [], query
    found = colours.json("search", "action:swimming")["results"][0]
    assert (round(found["moment"]["from"], 1), round(found["moment"]["to"], 1)) == (6.0, 9.0)
    (why,) = found["moment"]["why"]
    assert why["field"] == "action (zero-shot)" and why["text"].startswith("swimming ")
    assert {why["field"] for why in found["why"]} == {"action (zero-shot)"}
    both = colours.json("search", "action:bike", "--moments")["results"][0]["moments"]
    assert sorted(round(moment["from"], 1) for moment in both) == [0.0, 9.0]


def test_settings_of_actions(colours, clips):
    clip = clips / "colours.mp4"
    assert "actions" not in colours.json("analyze-video", clip, "--action-model", "none")
    assert spans(colours.json("analyze-video", clip, "--action-model", "colours")) == EXPECTED
    other = colours.folder / "other.yaml"
    other.write_text("prompts: ['{}']\nlabels: [{sailing: blue}, {singing: grey}]\n")
    own = colours.folder / "own.yaml"
    own.write_text(f"video: {{action_labels: {other}}}\n")
    renamed = colours.json("analyze-video", clip, "--config", own)
    assert ("sailing", 6.0, 9.0, ZERO_SHOT) in spans(renamed)
    assert colours.search("action:swimming") == [], "what other labels found has been replaced"
    other.write_text("prompts: ['{}']\nlabels: [a, A]\n")
    report = colours.analyze(clip, "--config", own)["report"]
    assert any(note.startswith("actions: left out: ") and "other.yaml" in note for note in report["notes"])


def test_actions_alone_need_no_vectors_of_the_library(colours, clips):
    clip = clips / "colours.mp4"
    colours.analyze(clip, "--only", "actions")
    assert spans(colours.show(clip)) == EXPECTED
    assert colours.rows("SELECT DISTINCT stage FROM records WHERE asset_id IS NOT NULL AND stage IN ('embedding', 'actions')") == [("actions",)]


def test_without_a_model_there_are_none(engine, clips):
    outcome = engine.run("analyze-video", clips / "colours.mp4", "--json")
    assert outcome.code == DONE and "actions" not in json.loads(outcome.out)


LIGHT = [("brightening", 0.0, 8.0, TEMPORAL), ("darkening", 8.0, 16.0, TEMPORAL), ("still", 16.0, 24.0, TEMPORAL)]


@pytest.mark.parametrize("options", [{"layout": "ncthw"}, {"layout": "ntchw"}, {"layout": "nthwc"}, {"head": "sigmoid", "least": 0},
                                     {"stride_seconds": None, "stride_frames": 5}])  # fmt: skip
def test_a_temporal_model_names_what_changes(engine, clips, options):
    install_motion(engine, **options)
    document = engine.json("analyze-video", clips / "light.mp4")
    # By a sigmoid nothing need be named: here nothing is where the light stays.
    assert spans(document) == LIGHT[: 2 if "head" in options else 3]
    # The light of one frame does not tell; a frame has what its windows have.
    by_time = [{action["action"] for action in frame["actions"]} for frame in document["frames"] if frame["to"] <= 8 or frame["at"] >= 8 and frame["to"] <= 16]
    assert {"brightening"} in by_time and {"darkening"} in by_time and all(len(names) == 1 for names in by_time)
    timeline = engine.run("analyze-video", clips / "light.mp4").out.decode()
    assert "darkening" in timeline and "zero-shot" not in timeline
    found = engine.json("search", "action:darkening")["results"][0]
    assert found["moment"]["why"][0]["field"] == "action" and found["moment"]["from"] < 16 and found["moment"]["to"] > 8


def test_a_temporal_model_goes_before_the_stand_in(colours, clips):
    clip = clips / "light.mp4"
    first = colours.json("analyze-video", clip)
    assert {action["source"] for action in first["actions"]} <= {ZERO_SHOT}
    install_motion(colours)
    assert spans(colours.json("analyze-video", clip)) == LIGHT
    assert len(colours.rows("SELECT 1 FROM records WHERE stage = 'actions'")) == 1, "the stand-in's has been replaced"
    assert {field for (field,) in colours.rows("SELECT DISTINCT field FROM asset_classes")} == {"action"}
    assert {action["source"] for action in colours.json("analyze-video", clip, "--action-model", "colours")["actions"]} <= {ZERO_SHOT}
    assert {action["source"] for action in colours.json("analyze-video", clip, "--fast")["actions"]} <= {ZERO_SHOT}, "key frames show no motion"
    notes = colours.analyze(clip, "--fast", "--action-model", "motion")["report"]["notes"]
    assert any("motion needs the frames between key frames" in note for note in notes)


@pytest.mark.parametrize(("changes", "says"), [
    ({"frames": 1}, "1 `input.frames`"), ({"stride_seconds": None}, "stride_seconds"), ({"stride_frames": 3}, "either"),
    ({"stride_seconds": 1000}, "1000 s"), ({"layout": "nchw"}, "ncthw, ntchw or nthwc"), ({"head": "yolo"}, "softmax or sigmoid"),
])  # fmt: skip
def test_specs_that_no_temporal_model_has(engine, changes, says):
    model, flag, spec = write_motion(engine.folder / "motion")
    document = json.loads(spec.read_text())
    motion = document["models"]["motion"]
    (motion if "head" in changes else motion["input"]).update(changes)
    motion["input"] = {key: value for key, value in motion["input"].items() if value is not None}
    spec.write_text(json.dumps(document))
    outcome = engine.run("models", "add", model, flag, spec)
    assert outcome.code == USAGE and says in outcome.message, outcome.message


@pytest.mark.parametrize(("changes", "says"), [
    ({"frames": 16}, ("[1,3,8,16,16]", "[1,3,16,16,16]")), ({"layout": "ntchw"}, ("[1,3,8,16,16]", "[1,8,3,16,16]")),
    ({"width": 32, "height": 32}, ("[1,3,8,32,32]",)),
])  # fmt: skip
def test_a_graph_that_is_not_as_its_spec_says(engine, changes, says):
    model, flag, spec = write_motion(engine.folder / "motion")
    document = json.loads(spec.read_text())
    document["models"]["motion"]["input"].update(changes)
    spec.write_text(json.dumps(document))
    outcome = engine.run("models", "add", model, flag, spec)
    assert outcome.code == USAGE and "motion" in outcome.message and all(part in outcome.message for part in says), outcome.message


def test_windows_of_an_interrupted_video_are_those_of_a_whole_one(engine, folder):
    clip = folder / "long.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=160x90:rate=10:duration=80", "-vf", "geq=lum='128+110*sin(T/4)':cb=128:cr=128",
           "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", clip)  # fmt: skip
    install_motion(engine)
    flags = ["--fps", "10", "--quiet"]

    def kept():
        with contextlib.suppress(Exception):  # the catalogue is being made
            return engine.rows("SELECT count(*) FROM moments")[0][0] >= 150

    process = engine.start("analyze-video", clip, *flags)
    wait_until(kept, "frames to be kept")
    process.kill()
    process.communicate(timeout=60)
    resumed = engine.json("analyze-video", clip, *flags)
    with fresh_folder() as other:
        whole = Engine(other)
        install_motion(whole)
        assert whole.json("analyze-video", clip, *flags)["actions"] == resumed["actions"] != []
