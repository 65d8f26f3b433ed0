"""Writes the ONNX file that Ultralytics' own exporter makes of a .pt file, for a file whose makers are trusted: it is a pickle, which
can run any code when it is read. Runs in a Python of the user's that has ultralytics.

Before anything of the file is read, the process leaves the network for good; where the system does not let it, nothing is read. The
file is copied first, and the exporter works beside the copy: its folder stays as it is.

usage: ultralytics_pt.py --from FILE.pt --output FILE.onnx
"""

import argparse
import ctypes
import os
import shutil
import sys
import tempfile
from pathlib import Path

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
OPSET = 17


class Refused(Exception):
    pass


def leave_network() -> None:
    """This process and its children get a network of their own, with nothing in it; a user namespace where that needs one."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) == 0:
        return
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        raise Refused(f"the network cannot be taken away here ({os.strerror(ctypes.get_errno())}), so the file is not read; "
                      f"export it elsewhere: yolo export model=FILE.pt format=onnx")  # fmt: skip


def be_quiet(folder: Path) -> None:
    """No settings of the user's, no installing; whatever is printed goes to stderr."""
    for name in ("HOME", "YOLO_CONFIG_DIR", "MPLCONFIGDIR", "TORCH_HOME", "XDG_CACHE_HOME"):
        os.environ[name] = str(folder)
    os.environ |= {"YOLO_AUTOINSTALL": "false", "YOLO_OFFLINE": "true", "YOLO_VERBOSE": "false", "ORT_DISABLE_TELEMETRY": "1"}
    os.chdir(folder)
    os.dup2(2, 1)


def export(source: Path, output: Path) -> None:
    leave_network()
    with tempfile.TemporaryDirectory(prefix="image-engine-") as place:
        folder = Path(place)
        be_quiet(folder)
        copy = folder / source.name
        shutil.copyfile(source, copy)
        try:
            import onnx  # noqa: F401  ultralytics would try to install it
            from ultralytics import YOLO
        except ImportError as error:
            raise Refused(f"this Python lacks {error.name}: pip install ultralytics onnx") from error
        made = YOLO(copy, task="detect").export(format="onnx", dynamic=True, simplify=False, opset=OPSET, device="cpu")
        shutil.move(made, output)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--from", dest="source", type=Path, required=True, metavar="FILE.pt")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.onnx")
    given = parser.parse_args()
    try:
        export(given.source.resolve(), given.output.resolve())
    except Exception as error:  # the library's kinds are many, and the file's are any
        print(" ".join(f"{given.source.name} cannot be converted: {error}".split())[:400], file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
