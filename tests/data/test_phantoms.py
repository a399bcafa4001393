from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lesiongan.base.errors import UsageError
from lesiongan.data import phantoms
from lesiongan.data.taxonomy import ISIC_2019

CLASSES = ISIC_2019.classes


def _difference(a, b) -> float:
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


def _colours(image) -> np.ndarray:
    """Histograms of the whole and of its middle, and how the middle differs: no shapes, no texture."""
    middle = image[8:24, 8:24]
    histograms = [
        np.histogram(part[..., c], 8, (0, 256), density=True)[0] for part in (image, middle) for c in range(3)
    ]
    return np.concatenate([*histograms, middle.mean((0, 1)) - image.mean((0, 1)), middle.std((0, 1))])


def test_every_class_of_the_taxonomy_has_phantoms_and_counts():
    assert set(phantoms.RECIPES) == set(CLASSES)
    assert tuple(phantoms.ISIC_2019_COUNTS) == CLASSES
    assert sum(phantoms.ISIC_2019_COUNTS.values()) == 25331  # the published size of the ISIC 2019 training set


@pytest.mark.parametrize("abbreviation", CLASSES)
def test_an_image_is_uint8_rgb_and_the_same_each_time(abbreviation):
    image = phantoms.render(abbreviation, 3, 48, view_seed=5)
    assert image.dtype == np.uint8
    assert image.shape == (48, 48, 3)
    assert image.std() > 5  # a picture, not one flat colour
    np.testing.assert_array_equal(image, phantoms.render(abbreviation, 3, 48, view_seed=5))


def test_another_lesion_view_or_class_is_another_picture():
    pictures = [
        phantoms.render("NV", 0, 32),
        phantoms.render("NV", 1, 32),
        phantoms.render("NV", 0, 32, view_seed=1),
        phantoms.render("DF", 0, 32),
    ]
    for a, b in itertools.combinations(pictures, 2):
        assert _difference(a, b) > 1


def test_numpy_integers_are_seeds_too():
    np.testing.assert_array_equal(phantoms.render("NV", 7, 32), phantoms.render("NV", np.int64(7), 32, np.int32(0)))


@pytest.mark.parametrize("abbreviation", CLASSES)
def test_the_picture_does_not_depend_on_the_size(abbreviation):
    for seed in range(3):
        small = phantoms.render(abbreviation, seed, 64)
        large = phantoms.render(abbreviation, seed, 128)
        halved = np.asarray(Image.fromarray(large).resize((64, 64), Image.Resampling.BOX))
        other = phantoms.render(abbreviation, seed + 100, 64)
        assert _difference(small, halved) < 4
        assert _difference(small, halved) < 0.25 * _difference(small, other)


def test_two_views_of_a_lesion_share_its_colours_more_than_two_lesions_do():
    """Colours of the lesion's middle, which rotation keeps; light and white balance differ a little between views."""

    def middle(seed, view):
        return phantoms.render("NV", seed, 32, view)[10:22, 10:22].reshape(-1, 3).mean(0)

    first = np.array([middle(seed, 1) for seed in range(24)])
    second = np.array([middle(seed, 2) for seed in range(24)])
    same = np.linalg.norm(first - second, axis=1)
    different = np.linalg.norm(first - np.roll(second, 1, axis=0), axis=1)
    assert np.median(same) < 0.6 * np.median(different)


def test_wrong_use_is_one_clear_line():
    with pytest.raises(UsageError, match=r"'XYZ'.*MEL, NV"):
        phantoms.render("XYZ", 0, 32)
    with pytest.raises(UsageError, match="8 pixels"):
        phantoms.render("NV", 0, 4)
    with pytest.raises(UsageError, match="at least 1 image"):
        phantoms.table(0, 0)


@pytest.mark.parametrize("count", [1, 7, 19, 20, 199, 200, 201, 1600, 5001])
def test_a_table_has_exactly_the_images_asked_for(count):
    counts = phantoms.class_counts(count)
    assert sum(counts.values()) == count
    by_size = sorted(CLASSES, key=phantoms.ISIC_2019_COUNTS.get, reverse=True)
    assert all(counts[a] >= counts[b] for a, b in itertools.pairwise(by_size))
    assert len(phantoms.table(count, 0)) == count


def test_the_imbalance_is_that_of_isic_2019():
    counts = phantoms.class_counts(25331)
    assert counts == phantoms.ISIC_2019_COUNTS


@pytest.mark.parametrize("count", [200, 1600])
def test_no_class_has_fewer_than_ten_lesions(count):
    table = phantoms.table(count, 1)
    assert set(table.label) == set(CLASSES)
    assert table.groupby("label").lesion_id.nunique().min() >= 10


def test_about_a_fifth_of_the_lesions_have_two_or_three_images_of_one_patient():
    table = phantoms.table(3000, 2)
    images = table.groupby("lesion_id").size()
    assert set(images) == {1, 2, 3}
    assert 0.15 < (images > 1).mean() < 0.25
    patient = ["label", "age_approx", "sex", "anatom_site_general", "lesion_seed"]
    assert (table.groupby("lesion_id")[patient].nunique(dropna=False) == 1).all(axis=None)
    assert not table.duplicated(["lesion_seed", "view_seed"]).any()


def test_a_table_depends_on_its_seed_alone():
    pd.testing.assert_frame_equal(phantoms.table(300, 4), phantoms.table(300, 4))
    assert not set(phantoms.table(300, 4).lesion_seed) & set(phantoms.table(300, 5).lesion_seed)


def test_the_metadata_are_isics_and_plausible():
    table = phantoms.table(3000, 0)
    assert table.image_id.is_unique
    assert table.image_id.str.fullmatch(r"PHANTOM_\d{7}").all()
    assert table.lesion_id.str.fullmatch(r"PH_\d{7}").all()
    assert set(table.sex.dropna()) == {"male", "female"}
    assert set(table.anatom_site_general.dropna()) <= set(phantoms._SITES)
    ages = table.age_approx.dropna()
    assert ((ages % 5 == 0) & (ages >= 5) & (ages <= 85)).all()
    assert 0 < table.age_approx.isna().mean() < 0.05
    mean = table.groupby("label").age_approx.mean()
    assert mean[["BCC", "AK", "SCC"]].min() > mean["NV"] + 10
    # Shuffled: the first tenth is no sorted block of one class.
    assert table.label[:300].nunique() >= 5


def test_colours_alone_tell_something_of_the_class_but_not_all():
    """Phantoms are worth learning from: colours beat guessing (1 in 8) clearly, and leave work for a network."""
    each, tests = 60, 15
    labels = np.repeat(np.arange(8), each)
    features = np.stack([_colours(phantoms.render(c, seed, 32)) for c in CLASSES for seed in range(each)])
    test = np.tile(np.arange(each) < tests, 8)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300))
    accuracy = model.fit(features[~test], labels[~test]).score(features[test], labels[test])
    assert 2 / 8 < accuracy < 0.75


def test_drawing_needs_no_tensorflow():
    code = "import sys, lesiongan.data.phantoms as p; p.render('NV', 0, 16); print('tensorflow' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], check=True, timeout=120, capture_output=True, text=True)
    assert answer.stdout.strip() == "False"
