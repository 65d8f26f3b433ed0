"""Exporting a model of transformers: its folder read without running anything of it, torch beside ONNX Runtime."""

import importlib.util
import io
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

NEEDED = ("torch", "transformers", "onnx", "onnxruntime", "numpy", "PIL")
missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
if missing:
    here = Path(__file__).resolve().parent
    sys.exit(f"{sys.executable} lacks {', '.join(missing)}: {sys.executable} -m pip install -r {here / 'requirements.txt'}")
os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from export_files import (LARGEST_EDGE, difference, labels_of, model_name, parser, probes, run, within, write_all)  # noqa: E402
from safetensors_file import ModelError, Tensors, find  # noqa: E402

OPSETS = range(14, 21)  # what torch's own exporter of traces writes
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers
SEED = 3


@dataclass
class Folder:
    """A model's folder: config.json, model.safetensors and, where it is there, preprocessor_config.json."""

    path: Path
    kind: str  # config.json's model_type
    config: dict = field(init=False)
    pictures: dict = field(init=False)

    def __post_init__(self):
        self.weights = Tensors(find(self.path))
        self.config = self._json("config.json")
        if self.config.get("model_type") != self.kind:
            raise ModelError(f"{self.path / 'config.json'} is of a model of the type {str(self.config.get('model_type'))!r}, not {self.kind!r}")
        self.pictures = self._json("preprocessor_config.json") if (self.path / "preprocessor_config.json").is_file() else {}

    def _json(self, name: str) -> dict:
        try:
            read = json.loads((self.path / name).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ModelError(f"{self.path} holds no {name}") from error
        except (ValueError, RecursionError) as error:
            raise ModelError(f"{self.path / name} is no JSON: {error}") from error
        if not isinstance(read, dict):
            raise ModelError(f"{self.path / name} is no map")
        return read

    def state(self) -> dict[str, torch.Tensor]:
        return {name: torch.from_numpy(self.weights[name].copy()) for name in self.weights if not name.endswith("num_batches_tracked")}

    def normalisation(self, otherwise: tuple) -> tuple[list, list]:
        """Mean and deviation of 0…1."""
        if not self.pictures:
            return otherwise
        if not self.pictures.get("do_normalize", True):
            return [0.0] * 3, [1.0] * 3
        mean, deviation = (self.pictures.get(key, value) for key, value in zip(("image_mean", "image_std"), otherwise))
        if any(not isinstance(x, list) or len(x) != 3 or not all(isinstance(y, (int, float)) for y in x) for x in (mean, deviation)):
            raise ModelError(f"{self.path / 'preprocessor_config.json'}: image_mean and image_std are not three numbers each")
        return mean, deviation

    def edge(self, otherwise: int) -> int:
        size = self.pictures.get("size")
        height = size.get("height") if isinstance(size, dict) else None
        return height if isinstance(height, int) and height == size.get("width") else otherwise


def arguments(text: str, dynamic: bool = False):
    made = parser(text)
    made.add_argument("--size", type=int, metavar="N", help="width and height of the input")
    if dynamic:
        made.add_argument("--dynamic", action="store_true", help="pictures of any size, with a pixel mask")
    return made.parse_args()


def check_request(opset: int, edge: int, step: int, least_opset: int = OPSETS[0]) -> None:
    if not least_opset <= opset <= OPSETS[-1]:
        raise ModelError(f"opset {opset} is not written; {least_opset} to {OPSETS[-1]} are")
    if not step <= edge <= LARGEST_EDGE or edge % step != 0:
        raise ModelError(f"an input of {edge} × {edge} cannot be: it must be a multiple of {step}, {LARGEST_EDGE} at most")


def load(model_class, config, state: dict) -> torch.nn.Module:
    """With every weight from `state`; nothing is fetched, nothing left at random."""
    model, told = model_class.from_pretrained(None, config=config, state_dict=state, output_loading_info=True, attn_implementation="eager")
    absent = sorted(name for name in told["missing_keys"] if not name.endswith("num_batches_tracked"))
    unlike = sorted(str(name) for name in told["mismatched_keys"])
    if absent or unlike:
        what = f"lacks {absent[0]}" if absent else f"has another shape of {unlike[0]}"
        raise ModelError(f"the safetensors do not fit config.json: the file {what} ({len(absent) + len(unlike)} such)")
    return model.float().eval()


class Outputs(torch.nn.Module):
    """A model as a function of pictures (and their mask) that gives the named outputs."""

    def __init__(self, model: torch.nn.Module, names: list[str]):
        super().__init__()
        self.model, self.names = model, names
        self.eval()

    def forward(self, pixel_values, pixel_mask=None):
        more = {} if pixel_mask is None else {"pixel_mask": pixel_mask}
        given = self.model(pixel_values=pixel_values, **more)
        return tuple(given[name] for name in self.names)


def to_onnx(model: Outputs, inputs: dict[str, torch.Tensor], axes: dict, opset: int) -> onnx.ModelProto:
    """`axes`: name → {dimension: its name}. Traced at a batch of three, so that no dimension looks like another."""
    file = io.BytesIO()
    with torch.no_grad():
        torch.onnx.export(model, tuple(inputs.values()), file, input_names=list(inputs), output_names=model.names,
                          dynamic_axes=axes, opset_version=opset, dynamo=False)  # fmt: skip
    return onnx.load_from_string(file.getvalue())


def by_torch(model: Outputs, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    with torch.no_grad():
        return [output.numpy() for output in model(*(torch.from_numpy(feed) for feed in feeds.values()))]


def compare(model: Outputs, graph: onnx.ModelProto, feeds: list[dict], as_sets: bool = False) -> float:
    """The worst difference over batches of several sizes; `as_sets`: of queries, in any order."""
    worst = 0.0
    for feed in feeds:
        got, wanted = run(graph, feed), by_torch(model, feed)
        if as_sets and [array.shape for array in got] == [array.shape for array in wanted]:
            worst = max(worst, *(queries_apart([array[i] for array in got], [array[i] for array in wanted]) for i in range(len(wanted[0]))))
        else:
            worst = max(worst, *(difference(a, b) for a, b in zip(got, wanted)))
    return within(worst)


def queries_apart(got: list[np.ndarray], wanted: list[np.ndarray]) -> float:
    """How far a picture's queries are from the nearest of the other side, at most, but for one in a hundred.

    A model keeps the best queries by score: which of two about equal ones comes first, or is the last to be kept, is chance.
    """
    apart = np.zeros((len(got[0]), len(wanted[0])), np.float32)
    for ours, theirs in zip(got, wanted):
        scale = max(1.0, np.abs(theirs).max())
        for row, query in enumerate(ours):
            apart[row] = np.maximum(apart[row], np.abs(theirs - query).max(-1) / scale)
    nearest = np.sort(np.maximum(np.sort(apart.min(0)), np.sort(apart.min(1))))
    return float(nearest[-1 - len(nearest) // 100])


def spec_input(mean: list, deviation: list, pictures: dict, **others) -> dict:
    scale = 255 if pictures.get("do_rescale", True) else 1
    return others | {"name": "pixel_values", "filter": FILTERS.get(pictures.get("resample", 2), "bilinear"), "order": "rgb",
                     "mean": [scale * x for x in mean], "deviation": [scale * x for x in deviation]}  # fmt: skip


def finish(folder: Folder, given, name: str, graph: onnx.ModelProto, entry: dict, told: str) -> None:
    labels = labels_of(folder.config)
    title = f"{name.split('_', maxsplit=1)[0]} of your own, from {folder.path.resolve().name}"
    write_all(given.output, name, graph, model_name(folder.path), {"title": title} | entry | {"labels": labels})
    print(f"{name}\t{told}; torch {torch.__version__}, transformers {transformers.__version__}; spec.yaml beside it")


__all__ = ["Folder", "IMAGENET", "ModelError", "Outputs", "arguments", "by_torch", "check_request", "compare", "finish", "load", "probes", "spec_input",
           "to_onnx", "torch", "transformers"]  # fmt: skip
