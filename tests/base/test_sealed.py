"""Arrays on disk are what was written, or are said to be damaged."""

from __future__ import annotations

import numpy as np
import pytest

from lesiongan.base.files import write_arrays
from lesiongan.base.sealed import DamagedError, read_arrays

ARRAYS = {"numbers": np.arange(12, dtype=np.float32).reshape(3, 4), "words": np.array(["a", ""]), "one": np.int64(7)}


def test_arrays_read_back(tmp_path):
    write_arrays(tmp_path / "x.npz", **ARRAYS)
    found = read_arrays(tmp_path / "x.npz")
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)


def test_no_flipped_bit_changes_an_array(tmp_path):
    path = tmp_path / "x.npz"
    write_arrays(path, **ARRAYS)
    whole, seen = path.read_bytes(), 0
    for place in range(len(whole)):
        content = bytearray(whole)
        content[place] ^= 1 << place % 8
        path.write_bytes(content)
        try:
            found = read_arrays(path)
        except DamagedError:
            seen += 1
        else:  # a date of the archive, or an array's name
            for array in found.values():
                assert any(np.array_equal(array, other) for other in ARRAYS.values())
    assert seen > len(whole) / 2


@pytest.mark.parametrize("length", [0, 1, 100, -1])
def test_what_is_cut_off_or_gone_is_damaged(tmp_path, length):
    path = tmp_path / "x.npz"
    with pytest.raises(DamagedError, match="is missing"):
        read_arrays(path)
    write_arrays(path, **ARRAYS)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DamagedError, match="cannot be read"):
        read_arrays(path)
