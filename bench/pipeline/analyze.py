"""`analyze` from nothing over 12-MP photos, beside a Python script of Pillow that does as much with a process a core."""

import os

import common
import libraries


def measure(bench: common.Bench) -> dict:
    """Whole analyze: hash, headers, thumbnails, catalogue."""
    photos = bench.size(304, 8)
    library = libraries.twelve_megapixel(common.ROOT, photos)
    cores = len(os.sched_getaffinity(0))

    def engine():
        finished, document = bench.call(bench.fresh("catalogue"), "analyze", library, "--workers", cores)
        assert document["report"]["analysed"] == photos and document["report"]["failed"] == 0, document["report"]
        return finished

    def pillow():
        script = common.ROOT / "tools/peers/analyze_pil.py"
        return common.run(common.ROOT / "build/venv/bin/python", script, library, bench.fresh("pillow"), "--processes", cores)

    results = common.in_turns(bench.rounds, {"image-engine": engine, "Pillow": pillow}, library)
    times = {name: common.median(run.seconds for run in runs) for name, runs in results.items()}
    cpu = {name: common.median(run.cpu for run in runs) for name, runs in results.items()}
    common.print_table([[f"{photos} photos of 12 MP, {cores} cores", "seconds", "photos/s", "cpu s", "photos a cpu s"]] + [
        [name, f"{times[name]:.2f}", f"{photos / times[name]:.1f}", f"{cpu[name]:.2f}", f"{photos / cpu[name]:.1f}"] for name in times
    ])  # fmt: skip
    ratio, cpu_ratio = times["Pillow"] / times["image-engine"], cpu["Pillow"] / cpu["image-engine"]
    print(f"Pillow over image-engine: {ratio:.2f} in time, {cpu_ratio:.2f} in CPU time")
    return {"photos": photos, "pillow_over_ours": ratio, "pillow_over_ours_cpu": cpu_ratio, "seconds": times, "cpu_seconds": cpu}


if __name__ == "__main__":
    common.main("analyze", measure)
