"""Reads and writes safetensors files: eight bytes with the header's length, the header in JSON, the numbers.

A header that does not fit its file is refused; nothing in such a file is ever executed, unlike in a pickle.
"""

import json
import math
import struct
from pathlib import Path

import numpy as np

LONGEST_HEADER = 100_000_000  # as the format has it
BITS = {"BOOL": 8, "U8": 8, "I8": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
        "F64": 64, "I64": 64, "U64": 64, "F8_E5M2": 8, "F8_E4M3": 8}  # fmt: skip


class ModelError(Exception):
    """What is wrong with a model, for a person."""


class Tensors:
    """The tensors of a file by their names, each as float32 when it is asked for."""

    def __init__(self, path: Path):
        self.path = path
        self.data = np.memmap(path, np.uint8, "r") if path.stat().st_size > 0 else np.zeros(0, np.uint8)
        length = struct.unpack("<Q", self.data[:8])[0] if self.data.size >= 8 else 0
        if not 2 <= length <= min(LONGEST_HEADER, self.data.size - 8):
            raise ModelError(f"{path}: no safetensors file, or cut short")
        try:
            header = json.loads(self.data[8 : 8 + length].tobytes())
        except (ValueError, RecursionError) as error:
            raise ModelError(f"{path}: its header is no JSON: {error}") from error
        self.start = 8 + length
        if not isinstance(header, dict):
            raise ModelError(f"{path}: its header is no map")
        header.pop("__metadata__", None)
        self.entries = {name: self._entry(name, entry) for name, entry in header.items()}
        expected = 0
        for begin, end in sorted(entry[2:] for entry in self.entries.values()):
            if begin != expected:
                raise ModelError(f"{path}: its tensors overlap or leave gaps")
            expected = end
        if expected != self.data.size - self.start:
            raise ModelError(f"{path}: holds {self.data.size - self.start} bytes of tensors, its header says {expected}")

    def _entry(self, name: str, entry) -> tuple:
        try:
            dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        except (TypeError, KeyError, ValueError) as error:
            raise ModelError(f"{self.path}: {name!r} lacks its type, shape or place") from error
        whole = all(type(number) is int and number >= 0 for number in (*shape, begin, end)) if isinstance(shape, list) else False
        if not whole or not isinstance(dtype, str) or dtype not in BITS:
            raise ModelError(f"{self.path}: {name!r} has a type, shape or place that cannot be")
        if end - begin != math.prod(shape) * BITS[dtype] // 8:
            raise ModelError(f"{self.path}: {name!r} of shape {shape} and type {dtype} has {end - begin} bytes")
        return dtype, tuple(shape), begin, end

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def __iter__(self):
        return iter(self.entries)

    def shape(self, name: str) -> tuple:
        return self._find(name)[1]

    def __getitem__(self, name: str) -> np.ndarray:
        dtype, shape, begin, end = self._find(name)
        raw = self.data[self.start + begin : self.start + end].tobytes()
        if dtype == "BF16":
            numbers = (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
        elif dtype in ("F16", "F32"):
            numbers = np.frombuffer(raw, {"F16": "<f2", "F32": "<f4"}[dtype]).astype(np.float32)
        else:
            raise ModelError(f"{self.path}: {name!r} is of type {dtype}; F32, F16 and BF16 are read")
        if not np.isfinite(numbers).all():
            raise ModelError(f"{self.path}: {name!r} holds numbers that are none")
        return numbers.reshape(shape)

    def _find(self, name: str) -> tuple:
        if name not in self.entries:
            raise ModelError(f"{self.path}: has no tensor {name!r}")
        return self.entries[name]


def write(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """Stores them as float32."""
    header, offset = {}, 0
    for name, array in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [offset, offset + 4 * array.size]}
        offset += 4 * array.size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in tensors.values():
            file.write(np.ascontiguousarray(array, "<f4").tobytes())


def find(folder: Path) -> Path:
    """The safetensors file of a folder. A pickle is refused: reading one runs what its maker wrote into it."""
    for name in ("model.safetensors", "open_clip_model.safetensors"):
        if (folder / name).is_file():
            return folder / name
    if not folder.is_dir():
        raise ModelError(f"{folder} is no folder")
    files = sorted(folder.glob("*.safetensors"))
    if len(files) == 1:
        return files[0]
    if files:
        raise ModelError(f"{folder} holds several safetensors files, none of them model.safetensors")
    for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt"):
        for pickle in sorted(folder.glob(pattern)):
            raise ModelError(f"{pickle} is a pickle, which is not read: it could run anything; take model.safetensors")
    raise ModelError(f"{folder} holds no model.safetensors")
