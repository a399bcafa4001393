"""Splits: the paper's Table 1, and no lesion on two sides."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from lesiongan.base.errors import UsageError
from lesiongan.data import splits

# The paper, Table 1: train, validation, test.
TABLE_1 = {
    "MEL": (3618, 452, 452),
    "NV": (10300, 1287, 1288),
    "BCC": (2658, 332, 333),
    "AK": (694, 87, 86),
    "BKL": (2099, 262, 263),
    "DF": (191, 24, 24),
    "VASC": (202, 26, 25),
    "SCC": (502, 63, 63),
}


@pytest.fixture(scope="module")
def isic_2019(real_data):
    """(labels, lesion ids) of the real ground truth, read without this package's code."""
    root = real_data / "isic2019_84px"
    truth = pd.read_csv(root / "ISIC_2019_Training_GroundTruth.csv")
    metadata = pd.read_csv(root / "ISIC_2019_Training_Metadata.csv").set_index("image")
    labels = truth[list(TABLE_1)].to_numpy().argmax(axis=1)
    return labels, metadata.loc[truth["image"], "lesion_id"].reset_index(drop=True)


@pytest.mark.parametrize("seed", [0, 7])
def test_by_image_gives_table_1(isic_2019, seed):
    labels, _ = isic_2019
    sides = splits.by_image(labels, 0.1, 0.1, seed)
    assert dict(zip(TABLE_1, map(tuple, splits.counts(labels, sides).tolist()), strict=True)) == TABLE_1


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_by_lesion_on_isic_2019(isic_2019, seed):
    labels, lesions = isic_2019
    sides = splits.by_lesion(labels, splits.join_groups(lesions), 0.1, 0.1, seed)
    frame = pd.DataFrame({"lesion": lesions, "label": labels, "side": sides})
    assert frame.dropna().groupby("lesion")["side"].nunique().max() == 1
    whole = frame["label"].value_counts(normalize=True)
    for side, part in frame.groupby("side"):
        share = part["label"].value_counts(normalize=True)
        assert ((share / whole - 1).abs() < 0.1).all(), (side, share / whole)
    assert frame["side"].value_counts(normalize=True)["test"] == pytest.approx(0.1, abs=0.002)


def test_the_seed_decides_which_lesions(isic_2019):
    labels, lesions = isic_2019
    groups = splits.join_groups(lesions)
    one, again, other = (splits.by_lesion(labels, groups, 0.1, 0.1, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    tested = one == "test"
    assert (other[tested] == "test").mean() < 0.3  # chance is 0.1


@st.composite
def collections(draw):
    """Labels and groups in which each class has at least three groups and each group one class."""
    labels, groups = [], []
    for label in range(draw(st.integers(1, 4))):
        for size in draw(st.lists(st.integers(1, 6), min_size=3, max_size=30)):
            labels += [label] * size
            groups += [len(set(groups))] * size
    order = draw(st.permutations(range(len(labels))))
    return np.array(labels)[list(order)], np.array(groups)[list(order)]


@given(collections(), st.sampled_from([(0.1, 0.1), (0.25, 0.25), (0.05, 0.3)]), st.integers(0, 2**31 - 1))
@settings(max_examples=60, deadline=None)
def test_whole_groups_and_no_empty_class(collection, shares, seed):
    labels, groups = collection
    sides = splits.by_lesion(labels, groups, *shares, seed)
    assert len(sides) == len(labels)
    assert set(sides) <= set(splits.SPLITS)
    for group in set(groups):
        assert len(set(sides[groups == group])) == 1
    assert splits.counts(labels, sides).min() >= 1


@given(collections(), st.integers(0, 2**31 - 1))
@settings(max_examples=60, deadline=None)
def test_single_images_level_each_class(collection, seed):
    labels, _ = collection
    sides = splits.by_lesion(labels, np.arange(len(labels)), 0.2, 0.2, seed)
    table = splits.counts(labels, sides)
    quota = table.sum(axis=1, keepdims=True) * np.array([0.6, 0.2, 0.2])
    assert np.abs(table - quota).max() < 1.5  # to the nearest image, but for the one that an empty side is given


def test_groups_with_several_classes_stay_whole():
    labels = np.array([0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 1, 1])
    groups = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7])
    sides = splits.by_lesion(labels, groups, 0.2, 0.2, seed=0)
    assert all(len(set(sides[groups == g])) == 1 for g in range(8))
    assert splits.counts(labels, sides).min() >= 1


def test_join_groups_follows_chains():
    # 0-1 by patient p, 1-2 by lesion b: one group, though 0 and 2 share nothing. 3-4 by patient q. 5 and 6 by the pair.
    lesions = ["a", "b", "b", "", np.nan, "c", "d"]
    patients = ["p", "p", "", "q", "q", None, " "]
    groups = splits.join_groups(lesions, patients, extra_pairs=[(5, 6)])
    assert groups[0] == groups[1] == groups[2]
    assert groups[3] == groups[4]
    assert groups[5] == groups[6]
    assert len(set(groups)) == 3


def test_a_lesion_and_a_patient_of_one_name_are_two_things():
    assert len(set(splits.join_groups(["7", ""], ["", "7"]))) == 2


def test_a_class_with_two_lesions_is_named():
    labels, groups = np.array([0] * 9 + [1] * 4), np.array([*range(9), 9, 9, 9, 10])
    with pytest.raises(UsageError, match=r"class DF has 2 lesions"):
        splits.by_lesion(labels, groups, 0.1, 0.1, 0, classes=("NV", "DF"))


def test_a_class_too_small_for_by_image_is_named():
    labels = np.array([0] * 100 + [1] * 4)
    with pytest.raises(UsageError, match=r"class DF has 4 images"):
        splits.by_image(labels, 0.1, 0.1, 0, classes=("NV", "DF"))


@pytest.mark.parametrize("shares", [(0.0, 0.1), (0.1, 0.0), (0.5, 0.5), (-0.1, 0.2)])
@pytest.mark.parametrize("split", [splits.by_image, lambda y, *rest: splits.by_lesion(y, np.arange(len(y)), *rest)])
def test_impossible_shares(split, shares):
    with pytest.raises(UsageError, match=r"data\.validation"):
        split(np.zeros(50, int), *shares, 0)


def test_fewer_keeps_a_share_of_one_class_in_whole_lesions_and_nests():
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(400), rng.integers(1, 4, 400))
    labels = (groups % 4 == 0).astype(int)
    sides = splits.by_lesion(labels, groups, 0.1, 0.3, 0)
    training = (sides == "train") & (labels == 1)
    kept_before = np.zeros(len(sides), bool)
    for share in (1 / 8, 1 / 4, 1 / 2, 1.0):
        thinned = splits.fewer(sides, labels, groups, {1: share}, 0)
        assert (thinned[~training] == sides[~training]).all()
        kept = training & (thinned == "train")
        assert 0 <= kept.sum() - share * training.sum() < 3  # at most a part of one lesion more
        assert not set(groups[kept]) & set(groups[training & ~kept])
        assert kept[kept_before].all()
        kept_before = kept
    assert (
        splits.fewer(sides, labels, groups, {1: 1 / 8}, 1) != splits.fewer(sides, labels, groups, {1: 1 / 8}, 0)
    ).any()
