"""The reader of PyTorch's files: against files that PyTorch wrote, and against files that mean harm."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tracemalloc
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from lesiongan.base.errors import UsageError
from lesiongan.models.pth import read_state_dict

REFERENCE = Path(__file__).parent / "reference"
FILES = ("state_dict.pth", "state_dict_legacy.pth")


def expected() -> dict[str, np.ndarray]:
    """What reference/make_state_dicts.py puts into the files."""
    base = np.arange(24, dtype=np.float32)
    return {
        "plain": base.reshape(2, 3, 4),
        "transposed": base.reshape(4, 6).T,
        "part": base[5:17:3],
        "column": np.array([8, 14, 20], np.float32),
        "repeated": np.array([[1.5] * 3, [-2.0] * 3], np.float32),
        "parameter": np.array([[0.25, -1.0]]),
        "half": np.array([1.0, -0.5, 65504.0], np.float16),
        "bfloat16": np.array([1.0, -0.5, 3.140625], np.float32),
        "counter": np.array(2**40 + 1),
        "flags": np.array([True, False]),
        "bytes": np.array([0, 255], np.uint8),
        "empty": np.zeros((0, 3), np.float32),
    }


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Storage:
    """Pickles as torch does: by a persistent id."""

    def __init__(self, *pid):
        self.pid = pid


class Name:
    """Pickles as a name of a module that need not be here."""

    def __init__(self, module, name):
        self.module, self.name = module, name

    def __call__(self):
        raise AssertionError


class Pickler(pickle._Pickler):
    """Writes names of torch without torch."""

    def persistent_id(self, obj):
        return obj.pid if isinstance(obj, Storage) else None

    def save_name(self, obj):
        self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())

    dispatch = {**pickle._Pickler.dispatch, Name: save_name}  # noqa: RUF012


FLOATS = Name("torch", "FloatStorage")
REBUILD = Name("torch._utils", "_rebuild_tensor_v2")


def tensor(size=(2,), stride=(1,), offset=0, count=2, kind=FLOATS, key="0"):
    storage = Storage("storage", kind, key, "cpu", count)
    return Call(REBUILD, storage, offset, size, stride, False, OrderedDict())


def dumped(content) -> bytes:
    stream = io.BytesIO()
    Pickler(stream, 2).dump(content)
    return stream.getvalue()


def zipped(path: Path, content: bytes, **records: bytes) -> Path:
    records = {"version": b"3\n", "data/0": struct.pack("<2f", 1, 2), **records}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {"data.pkl": content, **records}.items():
            archive.writestr(f"archive/{name}", data)
    return path


def legacy(path: Path, content: bytes) -> Path:
    head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    storage = struct.pack("<q2f", 2, 1, 2)
    path.write_bytes(b"".join(pickle.dumps(x, 2) for x in head) + content + pickle.dumps(["0"], 2) + storage)
    return path


@pytest.mark.parametrize("file", FILES)
def test_a_file_of_torch_in_both_formats(file):
    found, wanted = read_state_dict(REFERENCE / file), expected()
    assert list(found) == list(wanted)
    for name, value in wanted.items():
        assert found[name].dtype == value.dtype, name
        np.testing.assert_array_equal(found[name], value, err_msg=name, strict=True)
    found["plain"][:] = 0  # arrays of their own, though torch shares one storage
    np.testing.assert_array_equal(found["part"], wanted["part"])


@pytest.mark.parametrize("write", [zipped, legacy])
def test_the_tests_own_writer_writes_what_the_reader_reads(tmp_path, write):
    for content in ({"a": tensor()}, {"epoch": 1, "state_dict": {"a": tensor()}}, {"model": {"a": tensor()}}):
        found = read_state_dict(write(tmp_path / "x.pth", dumped(content)))
        np.testing.assert_array_equal(found["a"], np.array([1, 2], np.float32), strict=True)
        assert list(found) == ["a"]


@pytest.mark.parametrize("write", [zipped, legacy])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_call_of_anything_else_is_refused_and_not_made(tmp_path, write, protocol):
    mark = tmp_path / "executed"
    for function, name in ((os.mkdir, "mkdir"), (eval, "eval"), (getattr, "getattr"), (pickle.loads, "loads")):
        arguments = (f"__import__('os').mkdir({str(mark)!r})",) if function is eval else (str(mark),)
        content = pickle.dumps({"a": Call(function, *arguments)}, protocol)
        with pytest.raises(UsageError, match=rf"x.pth: it asks for `\w+\.{name}`, which was refused"):
            read_state_dict(write(tmp_path / "x.pth", content))
        assert not mark.exists()


@pytest.mark.parametrize("part", [0, 1, 2, 4])
def test_every_pickle_of_a_legacy_file_is_guarded(tmp_path, part):
    parts = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, {}, []]
    parts[part] = Call(os.mkdir, str(tmp_path / "executed"))
    (tmp_path / "x.pth").write_bytes(b"".join(pickle.dumps(x, 2) for x in parts))
    with pytest.raises(UsageError, match="mkdir`, which was refused"):
        read_state_dict(tmp_path / "x.pth")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "name",
    [
        ("torch._utils", "_rebuild_tensor_v2.__func__"),
        ("torch.serialization", "os.system"),
        ("torch._utils", "_rebuild_tensor_v3"),
        ("torch", "QUInt8Storage"),
        ("torch", "nn"),
        ("collections", "abc"),
        ("builtins", "dict"),
    ],
)
def test_names_that_are_near_are_refused(tmp_path, name):
    with pytest.raises(UsageError, match=rf"`{'.'.join(name)}`, which was refused"):
        read_state_dict(zipped(tmp_path / "x.pth", dumped({"a": Name(*name)})))


@pytest.mark.parametrize(
    "target",
    [b"ctorch._utils\n_rebuild_tensor_v2\n", b"ccollections\nOrderedDict\n", b"ctorch\nFloatStorage\n"],
)
@pytest.mark.parametrize("state", [{"__defaults__": (1,)}, {"__call__": 1}, {"find_class": 1}, {"items": 1}])
def test_a_pickle_cannot_alter_the_reader(tmp_path, target, state):
    # (None, state) makes the unpickler set attributes of the object that the pickle names.
    build = b"\x80\x02" + target + pickle.dumps((None, state), 2)[2:-1] + b"b."
    with pytest.raises(UsageError):
        read_state_dict(zipped(tmp_path / "x.pth", build))
    found = read_state_dict(REFERENCE / FILES[0])
    np.testing.assert_array_equal(found["transposed"], expected()["transposed"])


@pytest.mark.parametrize(
    "broken",
    [
        {"size": (3,)},
        {"offset": 1},
        {"stride": (2,)},
        {"offset": -1},
        {"stride": (-1,)},
        {"size": (2, 2)},
        {"size": (2.0,)},
        {"size": ("2",)},
        {"size": (1 << 40,), "stride": (0,)},
        {"size": (1 << 70,)},
        {"count": 3},
        {"count": -1},
        {"kind": Name("torch", "DoubleStorage")},
        {"key": "1"},
        {"key": "../data.pkl"},
    ],
)
@pytest.mark.parametrize("write", [zipped, legacy])
def test_tensors_that_reach_beyond_their_storage_are_refused(tmp_path, write, broken):
    with pytest.raises(UsageError, match=r"x.pth: "):
        read_state_dict(write(tmp_path / "x.pth", dumped({"a": tensor(**broken)})))


@pytest.mark.parametrize("write", [zipped, legacy])
def test_a_pickle_cannot_ask_for_memory(tmp_path, write):
    memo = b"\x80\x02}r" + struct.pack("<I", 2**31 - 1) + b"."  # the memo's entry of that number
    text = b"\x80\x02X" + struct.pack("<I", 2**31 - 1) + b"a."
    array = b"\x80\x05\x96" + struct.pack("<Q", 2**34) + b"a."
    for content in (memo, text, array):
        tracemalloc.start()
        with pytest.raises(UsageError, match=r"x.pth: "):
            read_state_dict(write(tmp_path / "x.pth", content))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2**24


@pytest.mark.parametrize("file", FILES)
def test_every_truncation_is_an_error_of_one_line(tmp_path, file):
    data = (REFERENCE / file).read_bytes()
    for length in [*range(0, len(data), 37), len(data) - 1]:
        (tmp_path / "x.pth").write_bytes(data[:length])
        with pytest.raises(UsageError, match=r"x.pth: ") as error:
            read_state_dict(tmp_path / "x.pth")
        assert "\n" not in str(error.value)


def test_files_that_are_none(tmp_path):
    def fails(match, path):
        with pytest.raises(UsageError, match=match):
            read_state_dict(path)

    fails("absent.pth: cannot be read", tmp_path / "absent.pth")
    fails("cannot be read", tmp_path)
    for data in (b"", b"hello", b"\x89HDF\r\n\x1a\n" + bytes(100), pickle.dumps({"a": 1})):
        (tmp_path / "other.pth").write_bytes(data)
        fails("torch.save", tmp_path / "other.pth")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("a/b.txt", "c")
    fails("not one that torch.save wrote", tmp_path / "other.zip")
    x = tmp_path / "x.pth"
    fails("newer than known", zipped(x, dumped({"a": tensor()}), version=b"11\n"))
    fails("a list, not a state dict", zipped(x, dumped([tensor()])))
    fails("no tensors by name.* but `G`, `epoch`", zipped(x, dumped({"G": {"a": tensor()}, "epoch": 1})))
    fails("other than tensors", zipped(x, dumped({"a": Storage("module", 1, 2, 3)})))
    with zipfile.ZipFile(x, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", dumped({"a": tensor()}))
    fails("compressed", x)
