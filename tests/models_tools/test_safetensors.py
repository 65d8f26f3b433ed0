"""The reader of safetensors files: the three kinds of numbers, and headers that do not fit their files."""

import json
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/models"))
from safetensors_file import ModelError, Tensors, find, write  # noqa: E402


def raw(path, header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def test_the_three_kinds_of_numbers(tmp_path):
    data = struct.pack("<2f", 1.5, -2) + struct.pack("<2e", 0.5, 65504) + struct.pack("<2H", 0x3FC0, 0xC000) + b"\1" * 8
    path = raw(tmp_path / "x", {"__metadata__": {"format": "pt"}, "a": entry(), "b": entry("F16", (1, 2), (8, 12)),
                                "c": entry("BF16", (2, 1), (12, 16)), "ids": entry("I64", (1,), (16, 24))}, data)  # fmt: skip
    tensors = Tensors(path)
    assert sorted(tensors) == ["a", "b", "c", "ids"] and "d" not in tensors
    assert tensors["a"].tolist() == [1.5, -2] and tensors["b"].tolist() == [[0.5, 65504]]
    assert tensors["c"].tolist() == [[1.5], [-2]] and tensors["c"].dtype == np.float32
    for name in ("ids", "d"):
        with pytest.raises(ModelError, match=name):
            tensors[name]


def test_what_is_written_is_read(tmp_path):
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "scalar": np.float32(3).reshape(()), "none": np.zeros((0, 4), np.float32)}
    write(tmp_path / "x", arrays)
    tensors = Tensors(tmp_path / "x")
    for name, array in arrays.items():
        np.testing.assert_array_equal(tensors[name], array)
    assert (8 + struct.unpack("<Q", (tmp_path / "x").read_bytes()[:8])[0]) % 8 == 0


@pytest.mark.parametrize(
    "header, data",
    [
        (b"", b""),
        (b"[]", b""),
        (b"{", b""),
        (b"\xff\xfe", b""),
        (b"[" * 100_000, b""),
        ({"a": 3}, b""),
        ({"a": {}}, b""),
        ({"a": entry()}, b"1234"),
        ({"a": entry()}, b"123456789"),
        ({"a": entry("F33")}, b"12345678"),
        ({"a": entry(["F32"])}, b"12345678"),
        ({"a": entry(shape=(3,))}, b"12345678"),
        ({"a": entry(shape=(-2,))}, b"12345678"),
        ({"a": entry(shape=(2.0,))}, b"12345678"),
        ({"a": entry(shape=(True, 2))}, b"12345678"),
        ({"a": entry(shape=(2**40, 2**40))}, b"12345678"),
        ({"a": entry(offsets=(8, 0))}, b"12345678"),
        ({"a": entry(offsets=(1, 9))}, b"123456789"),
        ({"a": entry(), "b": entry()}, b"12345678"),
        ({"a": entry(offsets=(0, 8)), "b": entry(offsets=(4, 12))}, b"123456789012"),
    ],
)
def test_headers_that_do_not_fit(tmp_path, header, data):
    with pytest.raises(ModelError):
        Tensors(raw(tmp_path / "x", header, data))


def test_lengths_that_do_not_fit(tmp_path):
    for length in (0, 1, 10**6, 2**63, 2**64 - 1):
        with pytest.raises(ModelError):
            Tensors(raw(tmp_path / "x", {}, length=length))
    for data in (b"", b"1234567"):
        (tmp_path / "x").write_bytes(data)
        with pytest.raises(ModelError):
            Tensors(tmp_path / "x")


def test_numbers_that_are_none(tmp_path):
    with pytest.raises(ModelError, match="none"):
        Tensors(raw(tmp_path / "x", {"a": entry()}, struct.pack("<2f", 1, np.nan)))["a"]


def test_which_file_is_taken(tmp_path):
    with pytest.raises(ModelError, match="no folder"):
        find(tmp_path / "none")
    with pytest.raises(ModelError, match="no model.safetensors"):
        find(tmp_path)
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(ModelError, match="pytorch_model.bin is a pickle"):
        find(tmp_path)
    (tmp_path / "other.safetensors").touch()
    assert find(tmp_path).name == "other.safetensors"
    (tmp_path / "third.safetensors").touch()
    with pytest.raises(ModelError, match="several"):
        find(tmp_path)
    (tmp_path / "model.safetensors").touch()
    assert find(tmp_path).name == "model.safetensors"
