"""Reads the weights of CTranslate2's model.bin, version 6: little-endian, each variable with its name, shape and numbers.

    u32 version, name of the kind (u16 length with a NUL, bytes), u32 revision, u32 count
    each variable: name, u8 rank, u32 × rank, u8 type, u32 bytes, the numbers
    u32 count of aliases, each two names: another name of a variable

A file that is cut short or holds anything else is refused.
"""

import math
import struct
from pathlib import Path

import numpy as np
from safetensors_file import ModelError

TYPES = {0: np.dtype("<f4"), 1: np.dtype("i1"), 2: np.dtype("<i2"), 3: np.dtype("<i4"), 4: np.dtype("<f2")}
LARGEST_RANK = 8


class Variables:
    def __init__(self, path: Path, kind: str):
        self.path, self.data, self.place = path, memoryview(path.read_bytes()), 0
        version = self._number("<I")
        if version != 6:
            raise ModelError(f"{path}: is no model.bin of CTranslate2 in version 6")
        found = self._text()
        if found != kind:
            raise ModelError(f"{path}: holds a {found!r}, not a {kind}")
        self._number("<I")
        self.entries: dict[str, np.ndarray] = {}
        for _ in range(self._number("<I")):
            name = self._text()
            self.entries[name] = self._variable(name)
        for _ in range(self._number("<I")):
            alias, name = self._text(), self._text()
            if name not in self.entries:
                raise ModelError(f"{path}: {alias!r} stands for {name!r}, which is not there")
            self.entries[alias] = self.entries[name]
        if self.place != len(self.data):
            raise ModelError(f"{path}: has {len(self.data) - self.place} bytes too many")

    def _take(self, count: int) -> memoryview:
        if count > len(self.data) - self.place:
            raise ModelError(f"{self.path}: is cut short")
        self.place += count
        return self.data[self.place - count : self.place]

    def _number(self, form: str) -> int:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _text(self) -> str:
        raw = bytes(self._take(self._number("<H")))
        if not raw.endswith(b"\0"):
            raise ModelError(f"{self.path}: has a name without its end")
        return raw[:-1].decode("utf-8", "replace")

    def _variable(self, name: str) -> np.ndarray:
        rank = self._number("B")
        if rank > LARGEST_RANK:
            raise ModelError(f"{self.path}: {name!r} cannot have {rank} dimensions")
        shape = [self._number("<I") for _ in range(rank)]
        kind, size = TYPES.get(self._number("B")), self._number("<I")
        if kind is None or math.prod(shape) * kind.itemsize != size:
            raise ModelError(f"{self.path}: {name!r} of shape {shape} has {size} bytes, or is of an unknown type")
        return np.frombuffer(self._take(size), kind).reshape(shape)

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def __getitem__(self, name: str) -> np.ndarray:
        """Numbers as float32, whole numbers as they are."""
        if name not in self.entries:
            raise ModelError(f"{self.path}: has no {name!r}")
        found = self.entries[name]
        if found.dtype.kind != "f":
            return found
        if not np.isfinite(found).all():
            raise ModelError(f"{self.path}: {name!r} holds numbers that are none")
        return found.astype(np.float32)
