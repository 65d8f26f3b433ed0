"""What the programs here share: their arguments, how they end, how a file gets its name only when it is whole."""

import argparse
import json
import os
import sys
from pathlib import Path

import onnx
import torch_pickle
from safetensors_file import ModelError


def save(model: onnx.ModelProto, path: Path) -> None:
    beside = path.with_name(path.name + ".new")
    onnx.save(model, beside)
    os.replace(beside, path)


def run(description: str, convert) -> int:
    """Calls convert(input folder, output folder); 1 and one line on stderr when it cannot."""
    parser = argparse.ArgumentParser(description=description.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    try:
        given.output.mkdir(parents=True, exist_ok=True)
        convert(given.input, given.output)
    except (ModelError, OSError, ValueError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    return 0


def of_weights(build, name: str):
    """For run(): of a folder that holds one *.pth, writes build(weights) as `name`."""

    def convert(folder: Path, output: Path) -> None:
        files = sorted(folder.glob("*.pth"))
        if len(files) != 1:
            raise ModelError(f"{folder} should hold one .pth, and holds {len(files)}")
        weights = torch_pickle.load(files[0])
        try:
            model = build(weights)
        except (ModelError, IndexError, ValueError, KeyError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            raise ModelError(f"{files[0]}: {error}") from error
        save(model, output / name)

    return convert


def report(work) -> int:
    """Prints what work() gives as a line of JSON; 1 and one line on stderr when it cannot."""
    try:
        print(json.dumps(work()))
    except Exception as error:  # ONNX Runtime's and protobuf's errors share no base
        print(" ".join(f"{error}".split())[:400] or type(error).__name__, file=sys.stderr)
        return 1
    return 0
