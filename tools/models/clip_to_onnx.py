"""Writes both towers of a CLIP model as ONNX, in fp32 and int8: clip_{vision,text}_{fp32,int8}.onnx.

Reads safetensors (clip_graph.py says which); the vocabulary, *.txt.gz or *.txt, goes with them.

usage: clip_to_onnx.py --input FOLDER --output FOLDER
"""

import shutil
import sys
from pathlib import Path

import clip_graph
from converter import run, save
from onnx_graph import int8_variant

OPSET = 17


def convert(folder: Path, output: Path) -> None:
    clip = clip_graph.read(folder)
    for name, model in (("vision", clip_graph.vision_graph(clip.vision, OPSET)), ("text", clip_graph.text_graph(clip.text, OPSET))):
        save(model, output / f"clip_{name}_fp32.onnx")
        save(int8_variant(model), output / f"clip_{name}_int8.onnx")
    for vocabulary in [*folder.glob("*.txt.gz"), *folder.glob("*.txt")]:
        shutil.copyfile(vocabulary, output / vocabulary.name)


if __name__ == "__main__":
    sys.exit(run(__doc__, convert))
