"""Out-of-fold scores: whose fold an image is in, who has seen it, and that an interrupted call goes on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from lesiongan.base.errors import UsageError
from lesiongan.config.classifier import ClassifierConfig
from lesiongan.data.image_set import ImageSet
from lesiongan.training import out_of_fold as module
from lesiongan.training.out_of_fold import folds, out_of_fold

CONFIG = ClassifierConfig(size=32, width=0.1, batch=16, images=640, learning_rate=4e-3, flips=False, rotations=False)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12)), min_size=20, max_size=80), st.integers(2, 4))
@settings(max_examples=30, deadline=None)
def test_every_image_has_one_fold_and_every_lesion_too(pairs, count):
    labels = np.array([lesion % 3 for _, lesion in pairs])
    groups = [f"L{lesion}" if lesion else "" for _, lesion in pairs]
    if len(set(groups) - {""}) < count:
        return
    found = folds(labels, groups, count, 0)
    assert set(found) <= set(range(count))
    for group in set(groups) - {""}:
        assert len({found[i] for i, g in enumerate(groups) if g == group}) == 1


def test_folds_that_cannot_be():
    for count in (1, 4):
        with pytest.raises(UsageError, match="folds of 3 lesions"):
            folds(np.zeros(5, int), ["a", "a", "b", "b", ""], count, 0)


@pytest.mark.slow
def test_no_image_is_scored_by_a_classifier_that_saw_it(tmp_path, monkeypatch):
    """Pictures of noise with random labels: what was trained on is remembered, what was not is guessed."""
    rng = np.random.default_rng(0)
    labels = np.arange(64).astype(np.int32) % 2
    images = rng.integers(0, 256, (64, 32, 32, 3)).astype(np.uint8)
    train = ImageSet(images, labels, tuple(map(str, range(64))), ("real",) * 64)
    groups = [""] * 64
    seen = []
    original = module.train_classifier

    def watched(config, kept, *rest, **options):
        seen.append(set(kept.ids))
        return original(config, kept, *rest, **options)

    monkeypatch.setattr(module, "train_classifier", watched)
    scores = out_of_fold(CONFIG, train, groups, num_classes=2, count=2, run_dir=tmp_path, seed=1)
    fold = folds(labels, groups, 2, 1)
    for number in range(2):
        assert seen[number] == {train.ids[i] for i in np.flatnonzero(fold != number)}
    np.testing.assert_allclose(scores.sum(1), 1, rtol=1e-5)
    assert 0.25 < (scores.argmax(1) == labels).mean() < 0.75
    (tmp_path / "fold-1.npz").unlink()
    again = out_of_fold(CONFIG, train, groups, num_classes=2, count=2, run_dir=tmp_path, seed=1)
    assert len(seen) == 3  # the first fold was there
    np.testing.assert_allclose(again, scores, atol=1e-5)
