"""What MediaPipe's own SelfieSegmentation says of a few photos.

usage: selfie.py PHOTOS > tests/golden/selfie.json      with mediapipe==0.10.9 and Pillow installed
"""

import json
import sys
from pathlib import Path

import mediapipe
import numpy as np
from PIL import Image

PHOTOS = ("astronaut.png", "messi5.jpg", "camera.png", "apple.jpg")
SIDE, FIRST, STEP = 256, 8, 16

model, entries = mediapipe.solutions.selfie_segmentation.SelfieSegmentation(model_selection=0), []
for name in PHOTOS:
    picture = Image.open(Path(sys.argv[1]) / name).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    mask = model.process(np.ascontiguousarray(np.asarray(picture))).segmentation_mask
    entries.append({"photo": name, "mask": [[round(float(value), 4) for value in row] for row in mask[FIRST::STEP, FIRST::STEP]]})
source = "mediapipe 0.10.9, SelfieSegmentation(model_selection=0), photos reduced to 256 x 256 by Pillow; every 16th pixel of the mask from 8 on"
print(json.dumps({"source": source, "photos": entries}))
