"""Background removal beside rembg: the same photos, the same graph, as many threads, in turns; whole processes, from JPEG files to PNG files.

rembg runs --graph by its session of IS-Net, without alpha matting, and writes what its remove() returns. --rough leaves out the refinement of edges: the
difference is what it costs. Peaks are the PSS of all processes, sampled every 100 ms (root only). This interpreter has rembg: pip install --target
FOLDER rembg onnxruntime, PYTHONPATH=FOLDER.

usage: background.py FOLDER --engine PROGRAM --graph isnet.onnx [--threads N] [--rounds N]
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "pipeline"))
import common
import memory


def remove_here(graph: str, folder: Path, out: Path, threads: int) -> None:
    """The peer, in a process of its own."""
    import onnxruntime
    from rembg import remove
    from rembg.sessions.dis_general_use import DisSession

    class Given(DisSession):
        @classmethod
        def download_models(cls, *_arguments, **_named):
            return graph

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = Given("isnet-general-use", options, providers=["CPUExecutionProvider"])
    for path in sorted(folder.glob("*.jpg")):
        (out / f"{path.stem}.png").write_bytes(remove(path.read_bytes(), session=session))


def measured(command: list, environment: dict) -> dict:
    before, begin, peak = os.times(), time.perf_counter(), 0
    process = subprocess.Popen([str(part) for part in command], env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while process.poll() is None:
        peak = max(peak, sum(map(memory.pss, memory.family(process.pid))))
        time.sleep(0.1)
    seconds, after = time.perf_counter() - begin, os.times()
    if process.returncode not in (0, 3):  # 3: there is a photo without a subject
        raise RuntimeError(process.stderr.read().decode(errors="replace")[-400:])
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {"seconds": seconds, "cpu": cpu, "peak_pss": peak}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="JPEG files")
    parser.add_argument("--engine", type=Path, required=True)
    parser.add_argument("--graph", required=True, help="the graph that rembg runs: that of the engine's isnet")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.peer:
        remove_here(given.graph, given.folder, given.peer, given.threads)
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        made, state = Path(scratch) / "out", {"XDG_DATA_HOME": f"{scratch}/data"}
        made.mkdir()
        (Path(scratch) / "config.yaml").write_text(f"processing: {{workers: {given.threads}}}\n")
        engine = [given.engine, "segment", given.folder, "--target", "subject", "-o", made, "--force", "--config", f"{scratch}/config.yaml", "--quiet"]
        peer = [sys.executable, __file__, given.folder, "--engine", given.engine, "--graph", given.graph, "--threads", given.threads, "--peer", made]
        ways = {"image-engine": (engine, state), "image-engine --rough": ([*engine, "--rough"], state), "rembg": (peer, {"OMP_NUM_THREADS": str(given.threads)})}
        runs = {name: [] for name in ways}
        for _ in range(given.rounds):
            for name, way in ways.items():
                runs[name].append(measured(*way))
                print(name, runs[name][-1], file=sys.stderr)
    photos = len(list(given.folder.glob("*.jpg")))
    middle = {name: {key: statistics.median(run[key] for run in all_runs) for key in all_runs[0]} for name, all_runs in runs.items()}
    rows = [[f"{photos} photos, {given.threads} threads", "seconds", "CPU s", "peak PSS"]]
    rows += [[name, f"{each['seconds']:.1f}", f"{each['cpu']:.1f}", f"{each['peak_pss'] / 1e6:.0f} MB"] for name, each in middle.items()]
    common.print_table(rows)
    ours, peers = middle["image-engine"], middle["rembg"]
    print(f"beside rembg: {ours['seconds'] / peers['seconds']:.2f} of its time, {ours['cpu'] / peers['cpu']:.2f} of its CPU time")
    print(json.dumps({"bench": "background", "photos": photos, "rounds": given.rounds, "runs": runs}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
