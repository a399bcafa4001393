"""What counts in an artifact's content, and what does not."""

from __future__ import annotations

import numpy as np

from lesiongan.base import contents


def test_arrays_count_by_what_they_are_not_by_how_they_are_packed(tmp_path):
    arrays = {"weights": np.arange(1000, dtype=np.float32), "step": np.array(7)}
    np.savez(tmp_path / "plain.npz", **arrays)
    np.savez_compressed(tmp_path / "packed.npz", **arrays)
    plain, packed = (tmp_path / name for name in ("plain.npz", "packed.npz"))
    assert plain.read_bytes() != packed.read_bytes()
    assert contents.digest(plain) == contents.digest(packed)
    np.savez(tmp_path / "other.npz", **{**arrays, "step": np.array(8)})
    assert contents.digest(tmp_path / "other.npz") != contents.digest(plain)


def test_a_damaged_archive_counts_byte_by_byte(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", weights=np.arange(1000))
    whole = (tmp_path / "x.npz").read_bytes()
    seen = set()
    for at in range(0, len(whole), max(1, len(whole) // 40)):
        changed = whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :]
        (tmp_path / "x.npz").write_bytes(changed)
        seen.add(contents.digest(tmp_path / "x.npz"))
    assert len(seen) > 30
