"""`analyze` again over a library in which nothing has changed; beside `find`, which only asks for sizes and times."""

import common
import libraries


def measure(bench: common.Bench) -> dict:
    """A second analyze over unchanged files."""
    library = libraries.camera_headers(common.ROOT, bench.size(libraries.PHOTOS, 64))
    folder = bench.fresh("catalogue")
    bench.call(folder, "analyze", library)

    def again():
        finished, document = bench.call(folder, "analyze", library)
        report = document["report"]
        assert report["unchanged"] == report["files"] and report["analysed"] == report["phases"]["metadata"]["files"] == 0, report
        return finished

    def find():
        return common.run("find", library, "-type", "f", "-printf", "%p %s %T@\n")

    results = common.in_turns(bench.rounds, {"image-engine analyze": again, "find": find})
    times = {name: common.median(run.seconds for run in runs) for name, runs in results.items()}
    cpu = {name: common.median(run.cpu for run in runs) for name, runs in results.items()}
    common.print_table([["unchanged library", "seconds", "cpu seconds"]] + [
        [name, f"{times[name]:.3f}", f"{cpu[name]:.3f}"] for name in times
    ])  # fmt: skip
    return {"photos": sum(1 for path in library.rglob("*.jpg")), "seconds": times, "cpu_seconds": cpu}


if __name__ == "__main__":
    common.main("unchanged", measure)
