"""What the processors of detectors and of segmentation make of sample photos: transformers' of DETR, D-FINE and SegFormer, and
Ultralytics' letterbox (OpenCV's INTER_LINEAR, 114 around).

Photos with another profile than sRGB are left out: the engine converts them, these do not. Orientations are applied by Pillow first.

Wants torch 2.13.0+cpu, transformers 5.23.0, pillow 13.0.0, opencv-python-headless 5.0.0 and numpy in an environment of its own.

usage: detector_pixels.py SAMPLES OUTPUT     SAMPLES is build/samples, OUTPUT tests/vision; writes
OUTPUT/detector_pixels.json   {versions, row_step, column_step, processors: [{name, sizes: [[width, height]]}], photos: [{file, sha256}]}
OUTPUT/detector_pixels.u8     of each processor, of each photo, every row_step'th row's every column_step'th pixel, 0…255
"""

import hashlib
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import PIL
import torch
import transformers
from clip_pixels import upright
from transformers.models.detr.image_processing_pil_detr import DetrImageProcessorPil
from transformers.models.rt_detr.image_processing_pil_rt_detr import RTDetrImageProcessorPil
from transformers.models.segformer.image_processing_pil_segformer import SegformerImageProcessorPil

ROW_STEP, COLUMN_STEP = 64, 4
PHOTOS = """orientation_1.jpg orientation_2.jpg orientation_3.jpg orientation_4.jpg orientation_5.jpg orientation_6.jpg orientation_7.jpg
orientation_8.jpg HappyFish.jpg aloeL.jpg astronaut.png autumn.jpg baboon.jpg building.jpg butterfly.jpg chelsea.png coffee.png
ela_original.jpg fruits.jpg graf1.png licenseplate_motion.jpg messi5.jpg motorcycle_left.png squirrel_cls.jpg starry_night.jpg
text.png""".split()


def by_transformers(processor):
    def pixels(picture):
        values = processor(picture, return_tensors="np", do_rescale=False, do_normalize=False)["pixel_values"][0]
        assert np.array_equal(values, np.rint(values)), "resized in whole levels, as Pillow does"
        return values.astype(np.uint8).transpose(1, 2, 0)
    return pixels


def letterboxed(picture, edge=640):
    """Ultralytics' LetterBox with auto off: both edges rounded, the odd pixel of the padding at the end."""
    values = np.asarray(picture)
    gain = min(edge / values.shape[0], edge / values.shape[1])
    size = round(values.shape[1] * gain), round(values.shape[0] * gain)
    left, top = (round((edge - length) / 2 - 0.1) for length in size)
    values = cv2.resize(values, size, interpolation=cv2.INTER_LINEAR)
    return cv2.copyMakeBorder(values, top, edge - size[1] - top, left, edge - size[0] - left, cv2.BORDER_CONSTANT, value=(114, 114, 114))


PROCESSORS = {"detr": by_transformers(DetrImageProcessorPil()), "dfine": by_transformers(RTDetrImageProcessorPil()),
              "segformer": by_transformers(SegformerImageProcessorPil()), "yolo": letterboxed}


def main() -> None:
    samples, output = (Path(argument) for argument in sys.argv[1:3])
    paths = [samples / "photos" / name for name in PHOTOS]
    pictures = [upright(path) for path in paths]
    listed, kept = [], []
    for name, process in PROCESSORS.items():
        made = [process(picture) for picture in pictures]
        listed.append({"name": name, "sizes": [[values.shape[1], values.shape[0]] for values in made]})
        kept += [values[::ROW_STEP, ::COLUMN_STEP].tobytes() for values in made]
    (output / "detector_pixels.u8").write_bytes(b"".join(kept))
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "pillow": PIL.__version__,
                "opencv": cv2.__version__, "numpy": np.__version__}
    photos = [{"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in paths]
    document = {"versions": versions, "row_step": ROW_STEP, "column_step": COLUMN_STEP, "processors": listed, "photos": photos}
    (output / "detector_pixels.json").write_text(json.dumps(document) + "\n")


if __name__ == "__main__":
    main()
