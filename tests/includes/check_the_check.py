"""Plants violations in a small tree and expects check_includes to find each of them, and nothing in a clean one."""

import sys
import tempfile
from pathlib import Path

from check_includes import check

CLEAN = {
    "core/result.h": "#include <string>\n",
    "types/image.h": '#include "core/result.h"\n',
    "media/media.h": '#include "types/image.h"\n',
    "media/heif.cpp": '#include "media/media.h"\n#include <vips/vips.h>\n',
    "worker/process/main.cpp": '#include "media/media.h"\n',
    "core/log.cpp": "#include <spdlog/spdlog.h>\n",
    "cli/main.cpp": '#include "types/image.h"\n',
    "pipeline/analyze.h": "",
    "benchmark/models.h": '#include "pipeline/analyze.h"\n',
    "cli/benchmark_models.cpp": '#include "benchmark/models.h"\n',
    "cli/nvidia_benchmark.cpp": '#include "benchmark/models.h"\n',
}
# what is added to the clean tree → a part of the complaint expected
VIOLATIONS = [
    ({"core/bad.h": '#include "types/image.h"\n'}, "core must not include types"),
    ({"worker/pool.cpp": '#include "media/media.h"\n'}, "worker must not include media"),
    ({"cli/bad.cpp": '#include "media/media.h"\n'}, "cli must not include media"),
    ({"pipeline/bad.cpp": '#include "benchmark/models.h"\n'}, "pipeline must not include benchmark"),
    ({"cli/bad.cpp": '#include "benchmark/models.h"\n'}, "cli must not include benchmark"),
    ({"cli/bad.cpp": "  #  include <exiv2/exiv2.hpp>\n"}, "belongs in media only"),
    ({"scan/bad.cpp": "#include <libavformat/avformat.h>\n"}, "belongs in media only"),
    ({"core/bad.cpp": "#include <spdlog/spdlog.h>\n"}, "belongs in core/log.cpp only"),
    ({"cli/bad.cpp": "#include <CLI/CLI.hpp>\n"}, "belongs in cli/arguments.cpp only"),
    ({"scan/bad.cpp": '#include "no_such.h"\n'}, "is no file under src"),
    ({"utils/bad.h": ""}, "has no rule"),
    ({"core/a.h": '#include "core/b.h"\n', "core/b.h": '#include "core/a.h"\n'}, "cycle: core/a.h → core/b.h → core/a.h"),
]


def problems_of(tree: dict) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in tree.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return check(Path(folder))


def main() -> int:
    failed = [f"clean tree: {p}" for p in problems_of(CLEAN)]
    for added, expected in VIOLATIONS:
        found = problems_of(CLEAN | added)
        if len(found) != 1 or expected not in found[0]:
            failed.append(f"{added}: expected '{expected}', found {found}")
    if not problems_of({}):
        failed.append("an empty tree passes")
    print("\n".join(failed) or f"{len(VIOLATIONS)} planted violations found")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
