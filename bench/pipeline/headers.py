"""Pass 1, scan and metadata into the catalogue, beside one batch call of exiftool for the same fields."""

import common
import libraries

# What `show` knows of a photo's headers, by exiftool's names.
FIELDS = """FileType ImageWidth ImageHeight Orientation BitsPerSample ICC_Profile:ProfileDescription Make Model LensModel
LensID Software DateTimeOriginal SubSecTimeOriginal OffsetTimeOriginal CreateDate ExposureTime FNumber ISO FocalLength
FocalLengthIn35mmFormat ExposureCompensation Flash GPSLatitude GPSLongitude GPSAltitude GPSDateTime Rating Label Title
ObjectName XPTitle Headline Description Caption-Abstract ImageDescription XPComment UserComment Creator Artist By-line Rights
Copyright Subject Keywords XPKeywords""".split()


def measure(bench: common.Bench) -> dict:
    """Pass 1 on one core and on all, beside exiftool."""
    library = libraries.camera_headers(common.ROOT, bench.size(libraries.PHOTOS, 64))
    count = sum(1 for path in library.rglob("*.jpg"))

    def engine(one_core: bool):
        finished, document = bench.call(bench.fresh("catalogue"), "analyze", library, "--workers", 1 if one_core else 0, one_core=one_core)
        report = document["report"]
        assert report["added"] == report["phases"]["metadata"]["files"] == count and report["failed"] == 0, report
        # All of the run but pass 2: start, opening, scan, headers, end. Its CPU time is not known apart.
        return finished.seconds - report["phases"]["content"]["seconds"], None

    def exiftool(*fast: str):
        tags = [f"-{field}" for field in FIELDS]
        finished = common.run("exiftool", "-json", "-r", *fast, *tags, library, one_core=True)
        return finished.seconds, finished.cpu

    contenders = {
        "image-engine, one core": lambda: engine(True),
        "image-engine, all cores": lambda: engine(False),
        "exiftool -fast": lambda: exiftool("-fast"),
        # Without maker notes: it cannot name lenses by the makers' numbers any more.
        "exiftool -fast2": lambda: exiftool("-fast2"),
    }
    results = common.in_turns(bench.rounds, contenders, library)
    times = {name: common.median(seconds for seconds, _ in values) for name, values in results.items()}
    ours = times["image-engine, one core"]
    rows = [["pass 1", "seconds", "photos/s", "cpu seconds", "times ours on one core"]]
    for name, seconds in times.items():
        cpu = "" if results[name][0][1] is None else f"{common.median(cpu for _, cpu in results[name]):.2f}"
        rows.append([name, f"{seconds:.2f}", f"{count / seconds:.0f}", cpu, f"{seconds / ours:.2f}"])
    common.print_table(rows)
    exiftool_cpu = common.median(cpu for _, cpu in results["exiftool -fast"])
    # On a machine that others use, too, this is the least that the ratio can be: their CPU time, our wall time.
    print(f"exiftool -fast, CPU time alone, over image-engine's whole time on one core: {exiftool_cpu / ours:.2f}")
    return {
        "photos": count,
        "photos_per_second_a_core": count / ours,
        "exiftool_over_ours": times["exiftool -fast"] / ours,
        "exiftool_cpu_over_ours": exiftool_cpu / ours,
        "seconds": times,
    }


if __name__ == "__main__":
    common.main("headers", measure)
