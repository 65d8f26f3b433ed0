"""Builds build/samples from pictures that come with packages; run by tools/setup.sh, does nothing when nothing changed.

Each set is a folder made from scratch beside the old one and then put in its place. It is made again when its own script
or the common part changes. What was written into the files stands in OUTPUT/<set>.json ("truth"), for tests to compare with.
"""

import argparse
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

from sample_sets import common, formats, hostile, photos, twelve_megapixel, videos

SETS = {"photos": photos, "videos": videos, "formats": formats, "hostile": hostile, "12mp": twelve_megapixel}


def fingerprint(module) -> str:
    here = Path(__file__)
    helpers = [here, Path(common.__file__), here.with_name("requirements.txt"), *getattr(module, "HELPERS", [])]
    return hashlib.sha256(b"".join(Path(f).read_bytes() for f in [*helpers, module.__file__])).hexdigest()


def build(name: str, module, sources: common.Sources, output: Path) -> None:
    target, stamp, wanted = output / name, output / f".{name}.stamp", fingerprint(module)
    if target.is_dir() and stamp.exists() and stamp.read_text() == wanted:
        return
    print(f"samples: making {target}", flush=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=output))
    fresh.chmod(0o755)
    try:
        truth = module.make(sources, fresh)
        stamp.unlink(missing_ok=True)
        if target.exists():
            shutil.rmtree(target)
        fresh.rename(target)
    except BaseException:
        shutil.rmtree(fresh)
        raise
    (output / f"{name}.json").write_text(json.dumps(truth, indent=1, sort_keys=True) + "\n")
    stamp.write_text(wanted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for option in ("--opencv", "--skimage", "--wallpapers", "--output"):
        parser.add_argument(option, type=Path, required=True)
    parser.add_argument("--only", choices=SETS, nargs="+", default=list(SETS), help="make just these sets")
    arguments = parser.parse_args()
    os.umask(0o022)
    arguments.output.mkdir(parents=True, exist_ok=True)
    sources = common.Sources(arguments.opencv, arguments.skimage, arguments.wallpapers)
    for name, module in SETS.items():
        if name in arguments.only:
            build(name, module, sources, arguments.output.resolve())


if __name__ == "__main__":
    main()
