"""The reader of torch's files, older and newer: written here by the formats' rules, and such that would run something."""

import io
import os
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/models"))
from safetensors_file import ModelError  # noqa: E402
from torch_pickle import MAGIC, load  # noqa: E402


def stand_in(module, name):
    """Something that pickles as module.name."""
    made = types.new_class(name)
    made.__module__, made.__qualname__ = module, name
    return made


FLOATS, LONGS = stand_in("torch", "FloatStorage"), stand_in("torch", "LongStorage")
REBUILD = stand_in("torch._utils", "_rebuild_tensor_v2")
SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


class Stored:
    def __init__(self, key, kind, count, *view):
        self.id = ("storage", kind, key, "cpu", count, *view)


class Tensor:
    def __init__(self, stored, offset, shape, strides):
        self.arguments = (stored, offset, shape, strides, False, OrderedDict())

    def __reduce__(self):
        return REBUILD, self.arguments


class Writer(pickle._Pickler):  # Python's own: C's looks the stand-ins up
    def persistent_id(self, thing):
        return thing.id if isinstance(thing, Stored) else None

    def save_global(self, thing, name=None):
        self.write(b"c%s\n%s\n" % (thing.__module__.encode(), thing.__qualname__.encode()))
        self.memoize(thing)

    dispatch = pickle._Pickler.dispatch | {type: save_global}


def dump(thing):
    out = io.BytesIO()
    Writer(out, 2).dump(thing)
    return out.getvalue()


def write(path, state, storages, magic=MAGIC, version=1001, system=SYSTEM):
    data = b"".join(dump(thing) for thing in (magic, version, system, state, [key for key, _ in storages]))
    for _, array in storages:
        data += struct.pack("<q", len(array)) + array.tobytes()
    path.write_bytes(data)
    return path


def write_archive(path, state, storages, compression=zipfile.ZIP_STORED, **entries):
    """`entries`: more of them, or others."""
    files = {"data_pkl": dump(state), "version": b"3\n"} | entries
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(f"weights/{name.replace('_', '.')}", data)
        for key, array in storages:
            archive.writestr(f"weights/data/{key}", array.tobytes())
    return path


ARRAY = np.arange(12, dtype=np.float32)


def one(offset=0, shape=(3, 4), strides=(4, 1), count=12, kind=FLOATS):
    return OrderedDict(w=Tensor(Stored("1", kind, count, None), offset, shape, strides))


@pytest.mark.parametrize("writer, view", [(write, (None,)), (write_archive, ())])
def test_tensors_and_their_views(tmp_path, writer, view):
    stored, longs = Stored("1", FLOATS, 12, *view), Stored("2", LONGS, 1, *view)
    state = OrderedDict(
        whole=Tensor(stored, 0, (3, 4), (4, 1)), across=Tensor(stored, 0, (4, 3), (1, 4)), part=Tensor(stored, 5, (2,), (1,)),
        scalar=Tensor(longs, 0, (), ()))  # fmt: skip
    found = load(writer(tmp_path / "x", state, [("1", ARRAY), ("2", np.array([7]))]))
    assert list(found) == ["whole", "across", "part", "scalar"]
    np.testing.assert_array_equal(found["whole"], ARRAY.reshape(3, 4))
    np.testing.assert_array_equal(found["across"], ARRAY.reshape(3, 4).T)
    assert found["part"].tolist() == [5, 6] and found["scalar"] == 7


class Runs:
    def __reduce__(self):
        return os.mkdir, ("HERE",)


@pytest.mark.parametrize("evil", [Runs(), [Runs()], OrderedDict(a=Runs())])
def test_nothing_is_run(tmp_path, monkeypatch, evil):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x"
    for place in range(5):
        things = [MAGIC, 1001, SYSTEM, one(), ["1"]]
        things[place] = evil
        path.write_bytes(b"".join(pickle.dumps(thing, 2) if thing is evil else dump(thing) for thing in things))
        with pytest.raises(ModelError, match="mkdir|no file of torch"):
            load(path)
        assert not (tmp_path / "HERE").exists()


@pytest.mark.parametrize("evil", [Runs(), OrderedDict(a=Runs())])
def test_nothing_of_an_archive_is_run(tmp_path, monkeypatch, evil):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="mkdir"):
        load(write_archive(tmp_path / "x", one(), [("1", ARRAY)], data_pkl=pickle.dumps(evil, 2)))
    assert not (tmp_path / "HERE").exists()


@pytest.mark.parametrize(
    "state, storages, changes",
    [
        (one(), [("1", ARRAY[:5])], {}),
        (one(), [("2", ARRAY)], {}),
        (one(), [("1", ARRAY)], {"byteorder": b"big"}),
        (one(), [("1", ARRAY)], {"compression": zipfile.ZIP_DEFLATED}),
        (one(), [("1", ARRAY)], {"data_pkl": b"no pickle"}),
        (one(shape=(4, 4)), [("1", ARRAY)], {}),
        (one(strides=(-4, 1)), [("1", ARRAY)], {}),
        (OrderedDict(a=one()["w"], b=one(count=6)["w"]), [("1", ARRAY)], {}),
        ([1], [], {}),
    ],
)
def test_archives_that_are_wrong(tmp_path, state, storages, changes):
    with pytest.raises(ModelError, match="x: "):
        load(write_archive(tmp_path / "x", state, storages, **changes))


def test_an_archive_cut_or_changed_anywhere(tmp_path):
    whole = write_archive(tmp_path / "x", one(), [("1", ARRAY)]).read_bytes()
    for length in range(len(whole)):
        (tmp_path / "x").write_bytes(whole[:length])
        with pytest.raises(ModelError):
            load(tmp_path / "x")
    random = np.random.default_rng(3)
    for _ in range(300):
        data = bytearray(whole)
        for place in random.integers(0, len(whole), random.integers(1, 4)):
            data[place] = random.integers(0, 256)
        (tmp_path / "x").write_bytes(data)
        try:
            load(tmp_path / "x")
        except ModelError:
            pass


@pytest.mark.parametrize("name", [b"builtins\neval", b"torch\nload", b"os\nsystem", b"torch._utils\n_rebuild_parameter", b"collections\ndeque"])
def test_names_that_are_not_allowed(tmp_path, name):
    (tmp_path / "x").write_bytes(b"\x80\x02c" + name + b"\n.")
    with pytest.raises(ModelError, match="names " + name.decode().replace("\n", ".")):
        load(tmp_path / "x")


@pytest.mark.parametrize(
    "state, storages, changes",
    [
        (one(), [("1", ARRAY)], {"magic": 3}),
        (one(), [("1", ARRAY)], {"version": 1002}),
        (one(), [("1", ARRAY)], {"system": {"little_endian": False}}),
        (one(), [("1", ARRAY)], {"system": []}),
        (one(), [("1", ARRAY[:5])], {}),
        (one(), [("2", ARRAY)], {}),
        (one(), [], {}),
        (one(offset=1), [("1", ARRAY)], {}),
        (one(offset=-1), [("1", ARRAY)], {}),
        (one(shape=(4, 4)), [("1", ARRAY)], {}),
        (one(shape=(2**40, 2**40)), [("1", ARRAY)], {}),
        (one(shape=(2**40,), strides=(0,)), [("1", ARRAY)], {}),
        (one(strides=(1,)), [("1", ARRAY)], {}),
        (one(strides=(-4, 1)), [("1", ARRAY)], {}),
        (one(count=2**60), [("1", ARRAY)], {}),
        ([1], [], {}),
        ({"w": 3}, [], {}),
    ],
)
def test_files_that_are_wrong(tmp_path, state, storages, changes):
    with pytest.raises(ModelError, match="x: "):
        load(write(tmp_path / "x", state, storages, **changes))


def test_cut_anywhere(tmp_path):
    whole = write(tmp_path / "x", one(), [("1", ARRAY)]).read_bytes()
    for length in range(len(whole)):
        (tmp_path / "x").write_bytes(whole[:length])
        with pytest.raises(ModelError):
            load(tmp_path / "x")


def test_bytes_changed(tmp_path):
    """Whatever comes out, it ends as a state of tensors or as a ModelError."""
    whole = write(tmp_path / "x", one(), [("1", ARRAY)]).read_bytes()
    random = np.random.default_rng(3)
    for _ in range(300):
        data = bytearray(whole)
        for place in random.integers(0, len(whole), random.integers(1, 4)):
            data[place] = random.integers(0, 256)
        (tmp_path / "x").write_bytes(data)
        try:
            load(tmp_path / "x")
        except ModelError:
            pass
