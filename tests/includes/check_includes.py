"""Checks who includes whom under src/: only the allowed folders, no cycles, vendor headers in their adapters' folder only.

usage: check_includes.py SRC     exits 1 and prints each violation as file:line: what
"""

import re
import sys
from pathlib import Path

BASE = {"core", "types"}
# folder → folders it may include, besides itself
ALLOWED = {
    "core": set(),
    "types": {"core"},
    "gpu": BASE,
    "places": BASE,
    "media": BASE | {"preprocess"},
    "worker": BASE | {"preprocess"},
    "worker/process": BASE | {"media", "worker"},
    "worker/gpu_process": BASE | {"gpu", "media", "preprocess", "worker", "worker/process"},
    "scan": BASE,
    "preprocess": BASE | {"gpu"},
    "models": BASE,
    "graph": BASE,
    "infer": BASE | {"gpu", "models", "graph"},
    "infer/ops": BASE | {"graph"},
    "vision": BASE | {"preprocess", "infer", "models"},
    "audio": BASE | {"infer", "models"},
    "video": BASE | {"gpu", "vision", "audio"},
    "nvidia": BASE | {"models"},
    "store": BASE,
    "search": BASE | {"places", "store", "video", "vision"},
    "plugins": BASE | {"models", "worker"},
    "plugins/process": BASE | {"plugins", "worker", "worker/process"},
}
STAGES = set(ALLOWED) - {"infer/ops", "media", "worker/process", "worker/gpu_process", "plugins/process"}
ALLOWED["pipeline"] = STAGES
ALLOWED["benchmark"] = ALLOWED["server"] = ALLOWED["cli"] = STAGES | {"pipeline"}
# Files that may include more than their folder may: only the commands that measure know of benchmarks.
ALLOWED_BY_FILE = [(re.compile(r"cli/(nvidia_)?benchmark(_\w+)?\.(h|cpp)"), {"benchmark"})]

# Headers of libraries, and the only folder or file that may include them: those that parse outside bytes, and those that are
# slow to compile (docs/adr/0010-build.md).
VENDORS = [
    (re.compile(r"(vips/|exiv2/|brotli/|libraw/|libav\w+/|libsw\w+/|turbojpeg\.h|jpeglib\.h|lcms2)"), "media"),
    (re.compile(r"spdlog/"), "core/log.cpp"),
    (re.compile(r"(onnx/|google/protobuf/)"), "graph"),
    (re.compile(r"CLI/"), "cli/arguments.cpp"),
]

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def folder_of(path: Path, src: Path) -> str:
    parts = path.relative_to(src).parts
    nested = "/".join(parts[:2])
    return nested if nested in ALLOWED else parts[0]


def allowed_in(path: Path, src: Path) -> set[str]:
    folder, name = folder_of(path, src), str(path.relative_to(src))
    more = (targets for files, targets in ALLOWED_BY_FILE if files.fullmatch(name))
    return ALLOWED[folder].union({folder}, *more)


def includes(path: Path):
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        if match := INCLUDE.match(line):
            yield number, match.group(1) == '"', match.group(2)


def check_file(path: Path, src: Path) -> list[str]:
    folder, problems = folder_of(path, src), []
    if folder not in ALLOWED:
        return [f"{path}:1: folder '{folder}' has no rule in {Path(__file__).name}"]
    for number, quoted, name in includes(path):
        where = f"{path}:{number}:"
        for vendor, owner in VENDORS:
            if vendor.match(name) and owner not in (folder, str(path.relative_to(src))):
                problems.append(f"{where} {name} belongs in {owner} only")
        if not quoted:
            continue
        if not (src / name).is_file():
            problems.append(f"{where} \"{name}\" is no file under src (write the path from src; <> for other libraries)")
            continue
        target = folder_of(src / name, src)
        if target not in allowed_in(path, src):
            problems.append(f"{where} {folder} must not include {target} ({name})")
    return problems


def find_cycle(graph: dict[str, set[str]]) -> list[str]:
    """One cycle among files as a list that starts and ends with the same file; empty without any."""
    done: set[str] = set()
    for start in sorted(graph):
        trail, pending = [], [(start, False)]
        while pending:
            node, leaving = pending.pop()
            if leaving:
                done.add(trail.pop())
            elif node in trail:
                return trail[trail.index(node) :] + [node]
            elif node not in done:
                trail.append(node)
                pending.append((node, True))
                pending.extend((n, False) for n in sorted(graph.get(node, ())))
    return []


def check(src: Path) -> list[str]:
    files = sorted(p for pattern in ("*.h", "*.cpp", "*.cu", "*.cuh") for p in src.rglob(pattern))
    if not files:
        return [f"{src}: no source files"]
    problems = [problem for path in files for problem in check_file(path, src)]
    graph = {str(p.relative_to(src)): {n for _, quoted, n in includes(p) if quoted} for p in files}
    if cycle := find_cycle(graph):
        problems.append("cycle: " + " → ".join(cycle))
    return problems


def main() -> int:
    problems = check(Path(sys.argv[1]))
    print("\n".join(problems) or "includes: ok")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
