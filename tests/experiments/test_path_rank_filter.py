from __future__ import annotations

import pytest

from lesiongan.base.errors import UsageError
from lesiongan.experiments.path_rank_filter import kept, path_rank_filter


@pytest.mark.parametrize(("alpha", "count"), [(1 / 8, 452), (1 / 4, 905), (1 / 2, 1809), (1.0, 3618)])
def test_the_papers_numbers_of_melanomas(alpha, count):
    assert kept(alpha, 3618) == count


def test_halves_are_rounded_up():
    assert [kept(0.5, n) for n in (1, 3, 5, 7)] == [1, 2, 3, 4]  # Python's round would give 0, 2, 2, 4


@pytest.mark.parametrize("alpha", [0.0, -0.5, 1.01, float("nan")])
def test_alpha_out_of_range(alpha):
    with pytest.raises(ValueError, match="alpha"):
        kept(alpha, 10)


def test_the_best_are_kept_and_ties_go_by_id():
    table = path_rank_filter(["d", "c", "b", "a"], [0.9, 0.2, 0.5, 0.5], [0.5, 1.0])
    assert list(table["image_id"]) == ["d", "a", "b", "c"]
    assert list(table["rank"]) == [1, 2, 3, 4]
    assert list(table["kept_0.5"]) == [True, True, False, False]
    assert table["kept_1"].all()


def test_the_order_of_the_input_does_not_matter():
    ids, scores = ["a", "b", "c", "d", "e"], [0.1, 0.1, 0.7, 0.1, 0.3]
    forward = path_rank_filter(ids, scores, [0.4])
    backward = path_rank_filter(ids[::-1], scores[::-1], [0.4])
    assert forward.equals(backward)


def test_what_cannot_be_ranked_is_refused():
    with pytest.raises(ValueError, match="twice"):
        path_rank_filter(["a", "a"], [0.1, 0.2], [1.0])
    with pytest.raises(ValueError, match="finite"):
        path_rank_filter(["a", "b"], [0.1, float("nan")], [1.0])
    with pytest.raises(ValueError, match="equally many"):
        path_rank_filter(["a"], [0.1, 0.2], [1.0])


def test_images_of_other_sides_are_refused():
    splits = {"a": "train", "b": "train", "c": "test", "d": "validation"}
    assert len(path_rank_filter(["a", "b"], [0.1, 0.2], [1.0], splits=splits)) == 2
    for ids, said in ((["a", "c"], "first: c, of side test"), (["d"], "side validation"), (["x"], "side none")):
        with pytest.raises(UsageError, match=said):
            path_rank_filter(ids, [0.5] * len(ids), [1.0], splits=splits)
