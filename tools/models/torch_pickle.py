"""Reads the tensors of a file that torch.save wrote before torch 1.6, without torch.

Such a file is a row of pickles and then the numbers. A pickle can name anything of Python to be called; here it can name the
four things that a state dictionary is made of, and all else is refused before it is looked up.
"""

import math
import pickle
import struct
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors_file import ModelError

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001


@dataclass(frozen=True)
class StorageKind:
    dtype: str


@dataclass(frozen=True)
class Storage:
    key: str
    dtype: str
    count: int


@dataclass(frozen=True)
class View:
    storage: Storage
    offset: int
    shape: tuple
    strides: tuple


def view(storage, offset, shape, strides, *_unused) -> View:
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, Storage) or len(shape) != len(strides) or not all(type(x) is int and x >= 0 for x in numbers):
        raise ModelError("a tensor in it is no view of a storage")
    return View(storage, offset, tuple(shape), tuple(strides))


ALLOWED = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): view,
    ("torch", "FloatStorage"): StorageKind("<f4"),
    ("torch", "LongStorage"): StorageKind("<i8"),
}


class Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str):
        if (module, name) not in ALLOWED:
            raise ModelError(f"it names {module}.{name}, which no state dictionary needs")
        return ALLOWED[module, name]

    def persistent_load(self, pid):
        if not isinstance(pid, tuple) or len(pid) != 6 or pid[0] != "storage" or pid[5] is not None:
            raise ModelError("it refers to something that is no storage")
        kind, key, count = pid[1], pid[2], pid[4]
        if not isinstance(kind, StorageKind) or not isinstance(key, str) or type(count) is not int or count < 0:
            raise ModelError("it has a storage that cannot be")
        return Storage(key, kind.dtype, count)


def load(path: Path) -> dict[str, np.ndarray]:
    """The state dictionary. ModelError for anything but one."""
    try:
        with open(path, "rb") as file:
            return read_tensors(file, path.stat().st_size)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, IndexError, KeyError, ImportError,
            OverflowError, MemoryError, RecursionError, struct.error, OSError) as error:  # fmt: skip
        raise ModelError(f"{path}: is no file of torch's older format: {error}") from error


def read_tensors(file, size: int) -> dict[str, np.ndarray]:
    if Restricted(file).load() != MAGIC or Restricted(file).load() != PROTOCOL:
        raise ModelError("is no file of torch's older format")
    system = Restricted(file).load()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ModelError("was written on a machine with another order of bytes")
    state, keys = Restricted(file).load(), Restricted(file).load()
    if not isinstance(state, dict) or not all(isinstance(key, str) and isinstance(value, View) for key, value in state.items()):
        raise ModelError("holds something else than tensors by their names")
    kinds = {value.storage.key: value.storage for value in state.values()}
    storages = {key: read_storage(file, kinds[key], size) for key in keys}
    return {name: tensor(value, storages[value.storage.key]) for name, value in state.items()}


def read_storage(file, kind: Storage, size: int) -> np.ndarray:
    count = struct.unpack("<q", file.read(8))[0]
    if count != kind.count or count * np.dtype(kind.dtype).itemsize > size - file.tell():
        raise ModelError(f"its storage {kind.key} is cut short or of another length than told")
    return np.frombuffer(file.read(count * np.dtype(kind.dtype).itemsize), kind.dtype)


def tensor(value: View, storage: np.ndarray) -> np.ndarray:
    """A copy of what the view shows."""
    last = value.offset + sum((side - 1) * stride for side, stride in zip(value.shape, value.strides))
    if math.prod(value.shape) > len(storage) or last >= len(storage):
        raise ModelError("a tensor in it reaches beyond its storage")
    strides = [stride * storage.itemsize for stride in value.strides]
    return np.lib.stride_tricks.as_strided(storage[value.offset :], value.shape, strides, writeable=False).copy()
