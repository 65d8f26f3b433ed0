"""Objects over time: IDF1 of image-engine's tracks and of a reference ByteTrack on the same finds in composed clips.

usage: build/venv/bin/python bench/video/track_quality.py --peer PYTHON [--bin FOLDER] [--tuning] [--clips N]

PYTHON is of an environment that has the reference: python3 -m venv V && V/bin/pip install trackers==2.6.1
It runs by its defaults and by those of its options that are best on the clips for tuning; image-engine's constants were chosen
on the same. Scored are other clips: other seeds, other cut-outs (tools/video/track_clips.py). The reference gets frames' times, a tracker
for each class and a new one after each cut; it uses no vectors.

IDF1 (Ristani et al. 2016): of all clips, 2 IDTP / (true + told), a told box is a true one's at an overlap of 0.5; "best" is what
the finds allow. Prints a table, then a line of JSON.
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

ROOT = Path(__file__).resolve().parents[2]
SCORING, TUNING = (1001, 1), (1, 0)  # seed, half of the cut-outs
TUNING_CLIPS = 24
RATES = (5, 1)
LEAST_OVERLAP = 0.5


def clips_of(folder: Path, seed: int, half: int, clips: int) -> dict:
    output = folder / f"{seed}.json"
    script = [sys.executable, "-B", ROOT / "tools/video/track_clips.py", output, "--seed", seed, "--half", half, "--clips", clips]
    subprocess.run([str(part) for part in script], check=True, stdout=subprocess.DEVNULL)
    return json.loads(output.read_text())


def at_rate(clips: dict, fps: int) -> list[dict]:
    """Every so many-th frame; a cut that is left out is told by the next one."""
    thinned = []
    for clip in clips["clips"]:
        step, frames, cut = round(5 / fps), [], False
        for number, frame in enumerate(clip["frames"]):
            cut |= frame["cut"]
            if number % step == 0:
                frames.append(frame | {"cut": cut})
                cut = False
        thinned.append(clip | {"frames": frames})
    return thinned


def lose_overlap(before: list[dict], now: list[dict]) -> bool:
    """As video::lose_overlap()."""
    def alone(item: dict, others: list[dict]) -> bool:
        same = [other["box"] for other in others if other["name"] == item["name"]]
        return item["confidence"] >= 0.5 and not (same and overlaps(np.array([item["box"]]), np.array(same)).max() > 0.2)

    names = [{item["name"] for item in one if alone(item, other)} for one, other in ((before, now), (now, before))]
    return bool(names[0] & names[1])


def where_needed(clips: dict) -> tuple[list[dict], float]:
    """One frame a second, and those between where overlap is lost; how many frames a second those are."""
    thinned, frames, seconds = [], 0, 0
    for clip in clips["clips"]:
        kept, cut, between, last = [], False, [], None
        for number, frame in enumerate(clip["frames"]):
            if number % 5:
                between.append(frame)
                continue
            if last and lose_overlap(last["found"], frame["found"]):
                kept += between
            else:
                frame = frame | {"cut": frame["cut"] or any(one["cut"] for one in between)}
            kept.append(frame)
            between, last = [], frame
        thinned.append(clip | {"frames": kept})
        frames, seconds = frames + len(kept), seconds + len(clip["frames"]) / 5
    return thinned, frames / seconds


def ours(program: Path, clips: list[dict], vectors: list | None, options: list[str]) -> list[list[list[int]]]:
    """Of each clip, frame and find: its track's id."""
    lines = []
    for clip in clips:
        for frame in clip["frames"]:
            found = [{key: item[key] for key in ("name", "confidence", "box")} for item in frame["found"]]
            if vectors:
                for sent, item in zip(found, frame["found"]):
                    sent["vector"] = vectors[item["vector"]]
            lines.append(json.dumps({"clip": clip["name"], "at": frame["at"], "cut": frame["cut"], "found": found}))
    finished = subprocess.run([program, *options], input="\n".join(lines), capture_output=True, text=True, check=True)
    ids = iter([json.loads(line)["ids"] for line in finished.stdout.splitlines()])
    return [[next(ids) for _ in clip["frames"]] for clip in clips]


PEER = """
import json, sys
import numpy as np, supervision as sv
from trackers import ByteTrackTracker
given = json.load(sys.stdin)
told = []
for options in given["options"]:
    of_options = []
    for clip in given["clips"]:
        trackers, of_clip, number = {}, [], 0
        for frame in clip:
            if frame["cut"]:
                trackers, number = {}, number + 1
            ids = [0] * len(frame["found"])
            for name in given["names"]:
                tracker = trackers.setdefault(name, ByteTrackTracker(frame_rate=given["fps"], **options))
                where = [i for i, item in enumerate(frame["found"]) if item["name"] == name]
                boxes = np.array([frame["found"][i]["box"] for i in where], float).reshape(-1, 4)
                boxes[:, 2:] += boxes[:, :2]
                sent = sv.Detections(boxes, confidence=np.array([frame["found"][i]["confidence"] for i in where], float),
                                     class_id=np.zeros(len(where), int), data={"where": np.array(where, int)})
                result = tracker.update(sent, timestamp=frame["at"])
                if len(result):
                    for i, id in zip(result.data["where"], result.tracker_id):
                        if id >= 0:
                            ids[i] = f"{number} {name} {id}"
            of_clip.append(ids)
        of_options.append(of_clip)
    told.append(of_options)
print(json.dumps(told))
"""


def reference(python: str, clips: list[dict], fps: int, options: list[dict]) -> list:
    frames = [[{key: frame[key] for key in ("at", "cut", "found")} for frame in clip["frames"]] for clip in clips]
    given = {"fps": fps, "options": options, "clips": frames, "names": ["person", "dog"]}
    finished = subprocess.run([python, "-W", "ignore", "-c", PEER], input=json.dumps(given), capture_output=True, text=True, check=False)
    if finished.returncode:
        sys.exit(f"the reference ended with {finished.returncode}: {finished.stderr[-2000:]}")
    return json.loads(finished.stdout)


GRID = [dict(lost_track_buffer=keep, track_activation_threshold=begin, minimum_iou_threshold=overlap, high_conf_det_threshold=high,
             minimum_consecutive_frames=frames)
        for keep, begin, overlap, high, frames in itertools.product((30, 60), (0.4, 0.6), (0.02, 0.05, 0.1), (0.4, 0.5), (1, 2))]  # fmt: skip


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, :2] + boxes[:, None, 2:], others[None, :, :2] + others[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(2)
    return common / (boxes[:, None, 2:].prod(2) + others[None, :, 2:].prod(2) - common)


def counts(clip: dict, ids: list[list]) -> np.ndarray:
    """IDTP, true boxes, told boxes."""
    together, true, told = {}, 0, 0
    for frame, of_frame in zip(clip["frames"], ids):
        boxes = [(item["box"], id) for item, id in zip(frame["found"], of_frame) if id]
        true, told = true + len(frame["true"]), told + len(boxes)
        if not boxes or not frame["true"]:
            continue
        near = overlaps(np.array([item["box"] for item in frame["true"]]), np.array([box for box, _ in boxes])) >= LEAST_OVERLAP
        for row, column in zip(*np.nonzero(near)):
            pair = frame["true"][row]["id"], boxes[column][1]
            together[pair] = together.get(pair, 0) + 1
    rows = {id: number for number, id in enumerate({a for a, _ in together})}
    columns = {id: number for number, id in enumerate({b for _, b in together})}
    matrix = np.zeros((len(rows), len(columns)))
    for (a, b), count in together.items():
        matrix[rows[a], columns[b]] = count
    return np.array([matrix[linear_sum_assignment(matrix, maximize=True)].sum(), true, told])


def idf1(clips: list[dict], ids: list, kinds=("shot", "cut", "return")) -> float:
    total = sum((counts(clip, of_clip) for clip, of_clip in zip(clips, ids) if clip["kind"] in kinds), np.zeros(3))
    return float(2 * total[0] / (total[1] + total[2]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, default=ROOT / "build/release/bin")
    parser.add_argument("--peer", help="Python with the reference; without: ours only")
    parser.add_argument("--tuning", action="store_true", help="score the clips for tuning")
    parser.add_argument("--option", action="append", default=[], help="NAME=NUMBER of image-engine's tracker")
    parser.add_argument("--clips", type=int, default=48, help="how many are scored")
    given = parser.parse_args()
    program = given.bin / "track_scores"
    results = []
    with tempfile.TemporaryDirectory() as folder:
        tuning = clips_of(Path(folder), *TUNING, TUNING_CLIPS)
        scored = tuning if given.tuning else clips_of(Path(folder), *SCORING, given.clips)
    for fps in RATES:
        clips = at_rate(scored, fps)
        if fps == 1:
            needed, rate = where_needed(scored)
            print(f"where overlap is lost: {rate:.2f} frames a second", file=sys.stderr)
            ids = ours(program, needed, None, given.option)
            # Scored on the frames that one frame a second has, as the others are.
            of_seconds = [[of_frame for frame, of_frame in zip(clip["frames"], of_clip) if round(frame["at"] * 5) % 5 == round(clip["frames"][0]["at"] * 5) % 5]
                          for clip, of_clip in zip(needed, ids)]
            results.append({"fps": fps, "tracker": "image-engine, 5 where needed", "idf1": idf1(clips, of_seconds, ("shot", "cut")),
                            **{kind: idf1(clips, of_seconds, (kind,)) for kind in ("shot", "cut", "return")}})
        options = [f"track_fps={fps}", *given.option]
        told = {"best": [[[item["id"] for item in frame["found"]] for frame in clip["frames"]] for clip in clips]}
        told["image-engine"] = ours(program, clips, None, options)
        told["image-engine, vectors"] = ours(program, clips, scored["vectors"], options)
        if given.peer:
            thinned = [clip for clip in at_rate(tuning, fps) if clip["kind"] != "return"]
            tried = [idf1(thinned, ids, ("shot", "cut")) for ids in reference(given.peer, thinned, fps, GRID)]
            best = GRID[int(np.argmax(tried))]
            told["ByteTrack"], told["ByteTrack, tuned"] = reference(given.peer, clips, fps, [{}, best])
            print(f"{fps} fps: best of {len(GRID)} sets of the reference's options on the clips for tuning: {best}", file=sys.stderr)
        for name, ids in told.items():
            results.append({"fps": fps, "tracker": name, "idf1": idf1(clips, ids, ("shot", "cut")), **{kind: idf1(clips, ids, (kind,)) for kind in
                            ("shot", "cut", "return")}})  # fmt: skip
    print(f"{'fps':>3}  {'tracker':30}{'shot + cut':>12}{'shot':>8}{'cut':>8}{'return':>8}")
    for row in results:
        print(f"{row['fps']:3}  {row['tracker']:30}{row['idf1']:12.3f}{row['shot']:8.3f}{row['cut']:8.3f}{row['return']:8.3f}")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
