"""Reads the tensors of a file that torch.save wrote, without torch.

Since torch 1.6 such a file is a ZIP archive: a pickle, and the numbers of each storage as a file. Older ones are a row of pickles
and then the numbers. A pickle can name anything of Python to be called; here it can name the four things that a state dictionary is
made of, and all else is refused before it is looked up.
"""

import io
import math
import pickle
import struct
import zipfile
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
        # Older files add a part: None, or of which other storage it is a view.
        if not isinstance(pid, tuple) or len(pid) not in (5, 6) or pid[0] != "storage" or pid[5:] not in ((), (None,)):
            raise ModelError("it refers to something that is no storage")
        kind, key, count = pid[1], pid[2], pid[4]
        if not isinstance(kind, StorageKind) or not isinstance(key, str) or type(count) is not int or count < 0:
            raise ModelError("it has a storage that cannot be")
        return Storage(key, kind.dtype, count)


def load(path: Path) -> dict[str, np.ndarray]:
    """The state dictionary. ModelError for anything but one."""
    try:
        with open(path, "rb") as file:
            return read_archive(file) if zipfile.is_zipfile(file) else read_row(file, path.stat().st_size)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, IndexError, KeyError, ImportError,
            OverflowError, MemoryError, RecursionError, struct.error, zipfile.BadZipFile, NotImplementedError, RuntimeError,
            OSError) as error:  # fmt: skip
        raise ModelError(f"{path}: is no file of torch's: {error}") from error


def read_archive(file) -> dict[str, np.ndarray]:
    """Every file is in one folder, whose name is the archive's own."""
    with zipfile.ZipFile(file) as archive:
        entries = {entry.filename.partition("/")[2]: entry for entry in archive.infolist()}
        if "data.pkl" not in entries or entries.get("byteorder") and archive.read(entries["byteorder"]) != b"little":
            raise ModelError("is an archive without a state dictionary, or of a machine with another order of bytes")
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
            raise ModelError("is compressed, which torch's files are not")
        state = checked_state(Restricted(io.BytesIO(archive.read(entries["data.pkl"]))).load())
        used = {value.storage for value in state.values()}
        if len(used) != len({storage.key for storage in used}):
            raise ModelError("tells two things of one storage")
        storages = {storage.key: numbers(archive.read(entries[f"data/{storage.key}"]), storage) for storage in used}
        return {name: tensor(value, storages[value.storage.key]) for name, value in state.items()}


def checked_state(state) -> dict[str, View]:
    if not isinstance(state, dict) or not all(isinstance(key, str) and isinstance(value, View) for key, value in state.items()):
        raise ModelError("holds something else than tensors by their names")
    return {key: sound(value) for key, value in state.items()}


def sound(value: View) -> View:
    """The same, checked again: a pickle can change an object after it was made."""
    kind = value.storage
    if not isinstance(kind, Storage) or not isinstance(kind.key, str) or kind.dtype not in ("<f4", "<i8") or type(kind.count) is not int or kind.count < 0:
        raise ModelError("it has a storage that cannot be")
    if not isinstance(value.shape, tuple) or not isinstance(value.strides, tuple):
        raise ModelError("a tensor in it is no view of a storage")
    return view(kind, value.offset, value.shape, value.strides)


def numbers(data: bytes, kind: Storage) -> np.ndarray:
    if len(data) != kind.count * np.dtype(kind.dtype).itemsize:
        raise ModelError(f"its storage {kind.key} is cut short or of another length than told")
    return np.frombuffer(data, kind.dtype)


def read_row(file, size: int) -> dict[str, np.ndarray]:
    file.seek(0)
    if Restricted(file).load() != MAGIC or Restricted(file).load() != PROTOCOL:
        raise ModelError("is no file of torch's")
    system = Restricted(file).load()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ModelError("was written on a machine with another order of bytes")
    state, keys = checked_state(Restricted(file).load()), Restricted(file).load()
    kinds = {value.storage.key: value.storage for value in state.values()}
    storages = {key: read_storage(file, kinds[key], size) for key in keys}
    return {name: tensor(value, storages[value.storage.key]) for name, value in state.items()}


def read_storage(file, kind: Storage, size: int) -> np.ndarray:
    count = struct.unpack("<q", file.read(8))[0]
    length = count * np.dtype(kind.dtype).itemsize
    if count != kind.count or length > size - file.tell():
        raise ModelError(f"its storage {kind.key} is cut short or of another length than told")
    return numbers(file.read(length), kind)


def tensor(value: View, storage: np.ndarray) -> np.ndarray:
    """A copy of what the view shows."""
    last = value.offset + sum((side - 1) * stride for side, stride in zip(value.shape, value.strides))
    if math.prod(value.shape) > len(storage) or last >= len(storage):
        raise ModelError("a tensor in it reaches beyond its storage")
    strides = [stride * storage.itemsize for stride in value.strides]
    return np.lib.stride_tricks.as_strided(storage[value.offset :], value.shape, strides, writeable=False).copy()
