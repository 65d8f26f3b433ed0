"""Speech by image-engine and by faster-whisper (peer.py) with the same weights, int8, two threads, in one run: errors in words, language, times of
words, wall and processor seconds.

usage: python3 bench/sound/compare.py --voices FOLDER --peer PYTHON --weights FOLDER [--model whisper-tiny.en] [--beam 5] [--rounds 1]
       [--hours 10] [--bin FOLDER]
needs numpy, ffmpeg, espeak-ng; PYTHON has what peer.py needs.

--voices: moonshine_voice/assets of the wheel moonshine-voice 0.1.5; --weights: the model of CTranslate2 that --model was made of. Inputs:
two_cities.wav (the text is Dickens'), 60 s of silence before 20 s of it, beckett.wav and endgame_nagg_nell.wav (the peer's words are the
reference), espeak-ng's voices of texts.py (a model whose name ends in .en: English alone), and with --hours a file that long with ten minutes of
speech. The two take turns; of each the round of least processor time counts. Both include program start and loading the model. RTF is wall
time by the sound's; while other programs work, processor time can be compared all the same. Time differences are of the beginnings of words
that both have: median, and the 95th percentile. "silent" are words of each that begin in silence, 0.05 s and more from
where Silero hears a voice. Prints a table, then a line of JSON.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

import inputs
import ours
import scores
import texts


def inputs_of(given: argparse.Namespace, folder: Path) -> list[dict]:
    """file, text (None: the peer's is the reference), language."""
    two_cities = given.voices / "two_cities.wav"
    rows = [{"file": two_cities, "text": texts.TWO_CITIES, "language": "en"},
            {"file": inputs.after_silence(folder, two_cities), "text": None, "language": "en"},
            {"file": given.voices / "beckett.wav", "text": None, "language": "en"},
            {"file": given.voices / "endgame_nagg_nell.wav", "text": None, "language": "en"}]  # fmt: skip
    for language, (_, text) in texts.SPOKEN.items():
        if language == "en" or not given.model.endswith(".en"):
            rows.append({"file": inputs.spoken(folder, language), "text": text, "language": language})
    if given.hours:
        rows.append({"file": inputs.seldom(folder, two_cities, given.hours), "text": None, "language": "en"})
    return rows


def least(runs: list[dict]) -> dict:
    return min(runs, key=lambda run: run["cpu"])


def by_peer(given: argparse.Namespace, file: Path) -> dict:
    run = ours.measured([given.peer, Path(__file__).parent / "peer.py", file, "--model", given.weights, "--beam", given.beam])
    told = json.loads(run["stdout"])
    return {"wall": run["wall"], "cpu": run["cpu"], "words": [(word, begin) for word, begin, _ in told["words"]], "language": told["language"]}


def by_us(given: argparse.Namespace, file: Path) -> dict:
    run = ours.analyze(given.bin, file, given.model)
    return {"wall": run["wall"], "cpu": run["cpu"], "words": ours.words_of(run["document"]), "language": ours.language_of(run["document"]),
            "voice": ours.voice_of(run["document"])}  # fmt: skip


def normalised(words: list, language: str) -> list[tuple[str, float]]:
    return [(part, begin) for word, begin in words for part in scores.words_of(word, language)]


def compared(row: dict, us: dict, peer: dict) -> dict:
    language = row["language"]
    mine, other = normalised(us["words"], language), normalised(peer["words"], language)
    expected = scores.words_of(row["text"], language) if row["text"] else [word for word, _ in other]
    differences = scores.time_differences(other, mine)
    result = {"file": row["file"].name, "seconds": inputs.seconds_of(row["file"]), "expected": len(expected), "is_peer_reference": not row["text"]}
    for name, run, words in (("ours", us, mine), ("peer", peer, other)):
        result[name] = {"errors": scores.word_errors(expected, [word for word, _ in words]), "language": run["language"], "wall": run["wall"],
                        "cpu": run["cpu"], "first_word": words[0][1] if words else None,
                        "silent": scores.in_silence([begin for _, begin in words], us["voice"])}  # fmt: skip
    if differences:
        result["time_median"] = differences[len(differences) // 2]
        result["time_95"] = differences[min(len(differences) - 1, len(differences) * 95 // 100)]
    return result


def line(row: dict) -> str:
    mine, peer, seconds = row["ours"], row["peer"], row["seconds"]
    times = f"{row['time_median']:7.2f}{row['time_95']:7.2f}" if "time_median" in row else f"{'-':>7}{'-':>7}"
    first = "/".join("-" if one["first_word"] is None else f"{one['first_word']:.2f}" for one in (mine, peer))
    languages = f"{mine['language'] or '-'}/{peer['language'] or '-'}"
    silent = f"{mine['silent']:5}{peer['silent']:5}"
    return (f"{row['file'][:34]:35}{row['expected']:6}{mine['errors']:6}{peer['errors']:6}{silent}  {languages:7}{times}  {first:13}"
            f"{mine['wall'] / seconds:8.3f}{peer['wall'] / seconds:8.3f}{peer['cpu'] / mine['cpu']:8.2f}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voices", type=Path, required=True)
    parser.add_argument("--peer", required=True, help="Python with what peer.py needs")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--model", default="whisper-tiny.en")
    parser.add_argument("--beam", type=int, default=5, help="of the peer")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--hours", type=float, default=0, help="10: the long file too, which takes some GB of memory in the peer")
    parser.add_argument("--bin", type=Path, default=ours.ROOT / "build/release/bin")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        all_inputs = inputs_of(given, Path(folder))
        print(f"{given.model}, int8, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; ours/peer")
        print(f"{'':35}{'words':>6}{'errors':>12}{'silent':>10}  {'language':7}{'Δt s':>6}{'95 %':>7}  {'first word s':13}{'RTF':>8}{'RTF':>8}"
              f"{'cpu ×':>8}")  # fmt: skip
        for one in all_inputs:
            runs = [(by_us(given, one["file"]), by_peer(given, one["file"])) for _ in range(given.rounds)]
            rows.append(compared(one, least([us for us, _ in runs]), least([peer for _, peer in runs])))
            print(line(rows[-1]), flush=True)
    for what in ("wall", "cpu"):
        print(f"peer / ours, {what}, all files: {sum(row['peer'][what] for row in rows) / sum(row['ours'][what] for row in rows):.2f}")
    print(json.dumps({"model": given.model, "cores": os.cpu_count(), "rows": rows}))


if __name__ == "__main__":
    main()
