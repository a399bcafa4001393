"""Scores on resamples against scikit-learn with sample weights, and the pair's operating points by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from lesiongan.evaluation import scores, statistics
from lesiongan.evaluation.predictions import Truth

CLASSES = ("MEL", "NV", "BCC")


def case(n=240, seed=0):
    rng = np.random.default_rng(seed)
    lesions = np.arange(n) // 2
    labels = rng.choice(3, n // 2, p=[0.3, 0.5, 0.2])[lesions]
    probabilities = rng.dirichlet(np.ones(3), n)
    probabilities[np.arange(n), labels] += 0.3
    probabilities = np.round(probabilities / probabilities.sum(1, keepdims=True), 2)  # with ties
    return Truth(tuple(map(str, range(n))), labels, lesions, CLASSES), probabilities


@pytest.fixture(scope="module")
def scored():
    truth, probabilities = case()
    weights = statistics.lesion_weights(truth.labels, truth.lesions, 5, seed=0)
    found = scores.of_classifier(truth, probabilities, weights, target=0, against=1, thresholds={0.9: 0.6})
    return truth, probabilities, weights[:, truth.lesions], found


def test_every_resample_is_scikit_learns_with_weights(scored):
    truth, probabilities, weights, found = scored
    said = probabilities.argmax(1)
    for row, w in enumerate(weights):  # the first one is the test set itself
        options = {"sample_weight": w, "zero_division": 0, "labels": [0, 1, 2], "average": None}
        precision, recall, f1, _ = sk.precision_recall_fscore_support(truth.labels, said, **options)
        assert found["metrics", "accuracy"][row] == pytest.approx(
            sk.accuracy_score(truth.labels, said, sample_weight=w)
        )
        assert found["metrics", "balanced_accuracy"][row] == pytest.approx(recall.mean())
        for k, name in enumerate(CLASSES):
            area = sk.roc_auc_score(truth.labels == k, probabilities[:, k], sample_weight=w)
            got = [found["classes", name, key][row] for key in ("precision", "recall", "f1", "auc")]
            assert got == pytest.approx([precision[k], recall[k], f1[k], area])
        assert found["metrics", "target_recall"][row] == found["classes", "MEL", "recall"][row]


def test_the_pair_is_judged_on_its_two_classes_alone(scored):
    truth, probabilities, weights, found = scored
    both = truth.labels < 2
    share = probabilities[:, 0] / (probabilities[:, 0] + probabilities[:, 1])
    positive, called = truth.labels == 0, share >= 0.6
    for row, w in enumerate(weights):
        area = sk.roc_auc_score(positive[both], share[both], sample_weight=w[both])
        assert found["metrics", "target_auc"][row] == pytest.approx(area)
        sensitivity = (w * (called & positive)).sum() / (w * positive).sum()
        specificity = (w * (~called & (truth.labels == 1))).sum() / (w * (truth.labels == 1)).sum()
        assert found["pair", "0.9", "sensitivity"][row] == pytest.approx(sensitivity)
        assert found["pair", "0.9", "specificity"][row] == pytest.approx(specificity)


def test_a_side_without_images_has_no_auc():
    weights = np.ones((3, 2), np.float32)
    for positive in ([True, True], [False, False]):
        assert np.isnan(statistics.resampled_auc(np.array(positive), np.array([0.1, 0.2]), np.arange(2), weights)).all()
    empty = np.zeros(0)
    assert np.isnan(statistics.resampled_auc(empty.astype(bool), empty, empty.astype(int), weights)).all()
    assert scores.pair_scores(np.array([[0.0, 0.0, 1.0]]), 0, 1) == [0.5]
