"""Folders of pictures: what is read of them, what is said of them, and what is refused in one line."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from lesiongan.base.errors import UsageError
from lesiongan.config.data import DataConfig
from lesiongan.data import folders
from lesiongan.data.folders import check_apart, fingerprint, held_out, read_folder
from lesiongan.data.image_set import ImageSet


def picture(path, width: int, height: int, seed: int = 0) -> np.ndarray:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


@pytest.fixture
def folder(tmp_path):
    """Four pictures of several sizes at several depths, and three files that are none."""
    root = tmp_path / "nevi"
    picture(root / "b.png", 40, 60, 1)
    picture(root / "a.JPG", 33, 32, 2)
    picture(root / "deep/er/c.jpeg", 100, 70, 3)
    picture(root / "deep/d.png", 20, 50, 4)
    picture(root / "tiny.png", 5, 5, 5)
    (root / "broken.jpg").write_bytes(b"no picture")
    (root / "notes.txt").write_text("no picture either")
    return root


@pytest.fixture
def said(monkeypatch):
    lines: list[str] = []
    monkeypatch.setattr(folders, "say", lines.append)
    return lines


def test_pictures_of_all_depths_are_read_and_unusable_ones_named(folder, said):
    found = read_folder(folder, 32, label=1)
    assert found.ids == ("a.JPG", "b.png", "deep/d.png", "deep/er/c.jpeg")
    assert found.images.shape == (4, 32, 32, 3)
    assert set(found.labels) == {1}
    rows_first = Image.open(folder / "b.png").resize((32, 60), Image.Resampling.BICUBIC)
    expected = rows_first.resize((32, 32), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(found.images[1], np.asarray(expected))
    assert said == [
        f"{folder}: broken.jpg is left out: not a picture",
        f"{folder}: tiny.png is left out: smaller than 8 pixels (5 x 5)",
        f"{folder}: 1 of 4 pictures are smaller than 32 px and are enlarged",
    ]


def test_the_shape_is_kept_where_it_is_asked_for(folder, said):
    found = read_folder(folder, 32, DataConfig(resize="crop"))
    rows_first = Image.open(folder / "b.png").resize((32, 60), Image.Resampling.BICUBIC)
    cropped = rows_first.resize((32, 32), Image.Resampling.BICUBIC, box=(0, 10, 32, 50))
    np.testing.assert_array_equal(found.images[1], np.asarray(cropped))


def test_what_is_no_folder_of_pictures_is_one_clear_line(folder, tmp_path, said):
    with pytest.raises(UsageError, match=r"nothing: there is no such folder; give a folder of pictures"):
        read_folder(tmp_path / "nothing", 32)
    with pytest.raises(UsageError, match=r"b\.png: that is a file; give a folder"):
        read_folder(folder / "b.png", 32)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="empty: no pictures there"):
        read_folder(tmp_path / "empty", 32)
    (folder / "b.png").unlink()
    with pytest.raises(UsageError, match="nevi: 3 usable pictures, at least 4 are needed"):
        read_folder(folder, 32)


def test_folders_must_lie_apart(tmp_path, monkeypatch):
    for name in ("a", "a/within", "ab"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    check_apart({"--from": "a", "--to": "ab", "the output": "out"})
    with pytest.raises(UsageError, match=r"--to is the same folder as --from"):
        check_apart({"--from": tmp_path / "a", "--to": "ab/../a"})
    for pair in (("a", "a/within"), ("a/within", "a")):
        with pytest.raises(UsageError, match="--to and --from lie one within the other"):
            check_apart(dict(zip(("--from", "--to"), pair, strict=True)))


def test_the_fingerprint_changes_with_the_pictures(folder):
    before = fingerprint(folder)
    (folder / "notes.txt").write_text("other notes")
    assert fingerprint(folder) == before
    os.utime(folder / "b.png", ns=(1, 1))
    changed = fingerprint(folder)
    assert changed != before
    (folder / "deep/d.png").rename(folder / "deep/e.png")
    assert fingerprint(folder) not in (before, changed)


def test_a_share_is_held_out_at_random_and_nothing_is_in_both():
    images = ImageSet(
        np.zeros((40, 8, 8, 3), np.uint8), np.arange(40, dtype=np.int32), tuple(map(str, range(40))), ("real",) * 40
    )
    training, held = held_out(images, 0.25, seed=3)
    assert (len(training), len(held)) == (30, 10)
    assert sorted([*training.labels, *held.labels]) == list(range(40))
    assert held.labels.tolist() == held_out(images, 0.25, seed=3)[1].labels.tolist()
    assert held.labels.tolist() != held_out(images, 0.25, seed=4)[1].labels.tolist()
    assert held.labels.tolist() != list(range(10))
    assert len(held_out(images, 0.0, seed=3)[1]) == 0
