"""Reads PyTorch's state dicts (.pth, .pt) without PyTorch, and without running what their pickles say.

A .pth file is a pickle, which may name any function and have it called. Here a pickle reaches a handful of names, all
of them functions of this file that only note down what a tensor is; arrays are made after it has been read. The
formats, of torch/serialization.py: a zip file with `data.pkl` and one file per storage (torch >= 1.6), and before it
("legacy") five pickles in a row, then the storages.
"""

from __future__ import annotations

import io
import math
import mmap
import os
import pickle
import pickletools
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, cast

import numpy as np

from lesiongan.base.errors import UsageError

#: PyTorch's storage classes -> NumPy's type codes. NumPy has no bfloat16: these become float32.
STORAGES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "u2",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
#: Keys under which training scripts put the state dict of a network, beside epoch and the like.
NESTED = ("state_dict", "model")

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_NEWEST = 10  # of zip files, torch/csrc/.../caffe2/serialize/versions.h
_FOREIGN = {"BYTEARRAY8", "NEXT_BUFFER", "READONLY_BUFFER", "EXT1", "EXT2", "EXT4"}  # torch writes none of them
_MEMO = {"PUT", "BINPUT", "LONG_BINPUT"}
_REPEATED = 1 << 24  # elements that a tensor may have beyond its storage's (`expand`)


class _Storage(NamedTuple):
    kind: str  # of STORAGES
    key: str
    length: int  # in elements


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _Dict(dict):
    """In place of `OrderedDict`; attributes that a pickle would set (`_metadata`) are dropped."""

    __slots__ = ()

    def __setstate__(self, state):
        pass


class _Refused(Exception):
    """What is wrong with a file, and what to do; without the file's name."""


class _Unpickler(pickle.Unpickler):
    """An unpickler that calls nothing but what is below. Functions are bound methods, which a pickle cannot alter.

    Args:
        storages: takes the storages that the pickle names, by key.
    """

    def __init__(self, file: BinaryIO, storages: dict[str, _Storage]):
        super().__init__(file, encoding="utf-8")
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:
        known = {
            ("collections", "OrderedDict"): _Dict,
            ("torch._utils", "_rebuild_tensor_v2"): self._tensor,
            ("torch._utils", "_rebuild_parameter"): self._parameter,
        }
        if module == "torch" and name in STORAGES:
            return name
        if (module, name) in known:
            return known[module, name]
        raise _Refused(
            f"it asks for `{module}.{name}`, which was refused (only tensors are read); "
            "save the state dict alone: torch.save(model.state_dict(), PATH)"
        )

    def persistent_load(self, pid: Any) -> _Storage:
        match pid:
            case ("storage", str(kind), str(key), str(), int(count), *view) if kind in STORAGES and count >= 0:
                storage = _Storage(kind, key, count)
                if view in ([], [None]) and self._storages.setdefault(key, storage) == storage:
                    return storage
        raise _Refused("it holds something other than tensors; save the state dict alone")

    def _tensor(self, storage, offset, size, stride, *_) -> _Tensor:
        # Everything that follows relies on these types, and a pickle may hand in any.
        numbers = (offset, *size, *stride)
        if not isinstance(storage, _Storage) or not all(type(n) is int and n >= 0 for n in numbers):
            raise _Refused("it describes an impossible tensor")
        if len(size) != len(stride):
            raise _Refused("it describes an impossible tensor")
        return _Tensor(storage, offset, tuple(size), tuple(stride))

    def _parameter(self, data, *_) -> _Tensor:
        return data


def read_state_dict(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The tensors of a state dict as arrays of their own, by name, in the file's order.

    The types are PyTorch's, but for bfloat16, which becomes float32. Where a training script has put the state dict
    under the key `state_dict` or `model`, it is found there. What is no tensor is left out.

    Args:
        path: a file of `torch.save`, of torch >= 1.6 (zip) or before.

    Raises:
        UsageError: no such file, not a file of PyTorch's, truncated, of a newer format, without tensors, or its pickle
            asks for anything other than tensors (nothing of it is executed).
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            if zipfile.is_zipfile(file):
                content, read = _open_zip(zipfile.ZipFile(file))
            else:
                # Mapped, so that reading beyond the end costs no memory.
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
                    content, read = _open_legacy(memory)
            tensors = _find_tensors(content)
            arrays: dict[_Storage, np.ndarray] = {}
            for tensor in tensors.values():
                if tensor.storage not in arrays:
                    arrays[tensor.storage] = read(tensor.storage)
            return {name: _array(tensor, arrays[tensor.storage]) for name, tensor in tensors.items()}
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error}); give a .pth file") from error
    except _Refused as error:
        raise UsageError(f"{path}: {error}") from error
    except Exception as error:  # a broken pickle or zip file can raise whatever it likes
        raise UsageError(
            f"{path}: not a file that torch.save wrote, or damaged ({type(error).__name__}: {error}); fetch it again"
        ) from error


def _load(file: BinaryIO | mmap.mmap, storages: dict[str, _Storage]) -> Any:
    """The pickle that begins here; the file is left at its end."""
    # Looked through first: the unpickler would fill the memory for a number in a damaged file.
    begin = file.tell()
    argument: Any  # a number, of the codes in `_MEMO`
    for count, (opcode, argument, _) in enumerate(
        pickletools.genops(cast(BinaryIO, file))
    ):  # of which a map has enough
        if opcode.name in _FOREIGN or (opcode.name in _MEMO and argument > count):
            raise _Refused("its pickle is damaged, or not one that torch.save wrote; fetch it again")
    end = file.tell()
    file.seek(begin)
    return _Unpickler(io.BytesIO(file.read(end - begin)), storages).load()


def _open_zip(archive: zipfile.ZipFile) -> tuple[Any, Callable[[_Storage], np.ndarray]]:
    """What the pickle says, and a function that reads a storage."""
    names = set(archive.namelist())
    roots = [name.removesuffix("data.pkl") for name in names if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(roots) != 1:
        raise _Refused("a zip file, but not one that torch.save wrote")
    root = roots[0]

    def record(name: str) -> bytes:
        if root + name not in names:
            raise _Refused(f"it lacks its part `{name}`; fetch it again")
        if archive.getinfo(root + name).compress_type != zipfile.ZIP_STORED:
            raise _Refused("its parts are compressed, as torch.save never does")
        return archive.read(root + name)

    version = record("version").strip() if f"{root}version" in names else b"3"
    if not version.isdigit() or int(version) > _NEWEST:
        raise _Refused(f"format {version.decode(errors='replace')!r} is newer than known here (to {_NEWEST})")
    big = f"{root}byteorder" in names and record("byteorder").strip() == b"big"

    def read(storage: _Storage) -> np.ndarray:
        return _elements(record(f"data/{storage.key}"), storage, ">" if big else "<")

    return _load(io.BytesIO(record("data.pkl")), {}), read


def _open_legacy(file: mmap.mmap) -> tuple[Any, Callable[[_Storage], np.ndarray]]:
    """What the pickle says, and a function that reads a storage. The storages come after the pickles, in the order of
    a list of their keys; the size of each in the file is in elements, so its kind must be known from the pickle."""
    if file.read(4) == b"PK\x03\x04":
        raise _Refused("truncated: a zip file without its end; fetch it again")
    file.seek(0)
    storages: dict[str, _Storage] = {}

    def load() -> Any:
        return _load(file, storages)

    if load() != _MAGIC:
        raise _Refused("a pickle, but not one that torch.save wrote")
    protocol, system = load(), load()
    if protocol != _PROTOCOL:
        raise _Refused(f"format {protocol!r} is not known here (only {_PROTOCOL})")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise _Refused("it was written on a big-endian machine")
    content, keys = load(), load()
    data = {}
    for key in keys:
        storage = storages[key]
        head = file.read(8)
        count = int.from_bytes(head, "little")
        if len(head) < 8:
            raise _Refused("truncated: it ends before its storages do; fetch it again")
        if count != storage.length:
            raise _Refused(f"storage {key} has {count} elements in place of {storage.length}; fetch it again")
        data[key] = file.read(count * np.dtype(STORAGES[storage.kind]).itemsize)

    def read(storage: _Storage) -> np.ndarray:
        if storage.key not in data:
            raise _Refused(f"it lacks its storage {storage.key}; fetch it again")
        return _elements(data[storage.key], storage, "<")

    return content, read


def _elements(data: bytes, storage: _Storage, order: Literal["<", ">"]) -> np.ndarray:
    """A storage's bytes as a vector."""
    dtype = np.dtype(STORAGES[storage.kind]).newbyteorder(order)
    if len(data) != storage.length * dtype.itemsize:
        raise _Refused(
            f"truncated: storage {storage.key} has {len(data)} bytes in place of {storage.length * dtype.itemsize}; "
            "fetch it again"
        )
    vector = np.frombuffer(data, dtype)
    if storage.kind == "BFloat16Storage":  # the upper half of a float32
        vector = (vector.astype(np.uint32) << 16).view(np.float32)
    return vector.astype(vector.dtype.newbyteorder("="))


def _array(tensor: _Tensor, elements: np.ndarray) -> np.ndarray:
    """A tensor as an array of its own."""
    count = math.prod(tensor.size)
    if count == 0:
        return np.zeros(tensor.size, elements.dtype)
    last = tensor.offset + sum((n - 1) * step for n, step in zip(tensor.size, tensor.stride, strict=True))
    if last >= len(elements) or count > max(len(elements), _REPEATED):
        raise _Refused("a tensor reaches beyond its storage; fetch it again")
    strides = [step * elements.itemsize for step in tensor.stride]
    view = np.lib.stride_tricks.as_strided(elements[tensor.offset :], tensor.size, strides)
    return np.array(view, order="C")


def _find_tensors(content: Any) -> dict[str, _Tensor]:
    """The state dict in what a file holds."""
    if isinstance(content, Mapping):
        tensors = {k: v for k, v in content.items() if isinstance(k, str) and isinstance(v, _Tensor)}
        if tensors:
            return tensors
        for key in NESTED:
            if isinstance(content.get(key), Mapping):
                return _find_tensors(content[key])
        keys = ", ".join(f"`{key}`" for key in list(content)[:8] if isinstance(key, str)) or "nothing"
        raise _Refused(f"it holds no tensors by name, nor under `state_dict` or `model`, but {keys}; save a state dict")
    raise _Refused(f"it holds a {type(content).__name__}, not a state dict; save one with model.state_dict()")
