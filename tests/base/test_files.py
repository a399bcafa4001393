from __future__ import annotations

import pytest

from lesiongan.base.files import digest_directory, digest_text, disk_used, whole_directory, write_text
from lesiongan.base.progress import duration


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "a" / "target"
    with pytest.raises(RuntimeError), whole_directory(target) as folder:
        (folder / "half").write_text("x")
        raise RuntimeError
    assert not target.exists()
    assert list(target.parent.iterdir()) == []
    for text in ("first", "second"):
        with whole_directory(target) as folder:
            (folder / text).write_text(text)
    assert [p.name for p in target.iterdir()] == ["second"]


def test_a_file_that_cannot_be_replaced_leaves_nothing_behind(tmp_path):
    (tmp_path / "f").mkdir()
    with pytest.raises(OSError):
        write_text(tmp_path / "f", "x")
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_digests_tell_contents_and_names_apart(tmp_path):
    for name, content in (("a", "x"), ("b", "x"), ("c", "y")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(content)
    digests = [digest_directory(tmp_path / name) for name in "abc"]
    assert digests[0] == digests[1] != digests[2]
    (tmp_path / "a" / "file").rename(tmp_path / "a" / "other")
    assert digest_directory(tmp_path / "a") != digests[0]
    assert digest_text("ab", "c") != digest_text("a", "bc")


def test_disk_used_counts_a_hard_link_once(tmp_path):
    (tmp_path / "f").write_bytes(b"x" * 1000)
    (tmp_path / "g").hardlink_to(tmp_path / "f")
    assert disk_used(tmp_path) == 1000


def test_durations_read_as_a_person_says_them():
    assert [duration(s) for s in (0.4, 42, 200, 7500)] == ["0 s", "42 s", "3 min 20 s", "2 h 05 min"]
