"""Metrics against scikit-learn called directly, and against numbers worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from grids import CLASSES, write_grid
from sklearn import metrics as sk

from lesiongan.base.errors import LesionganError, UsageError
from lesiongan.config.evaluation import EvaluationConfig
from lesiongan.evaluation import classification, predictions
from lesiongan.evaluation.calibration import expected_calibration_error
from lesiongan.evaluation.evaluate import evaluate


@pytest.fixture
def case():
    random = np.random.default_rng(3)
    labels = random.choice(4, size=300, p=[0.6, 0.25, 0.1, 0.05])
    probabilities = random.dirichlet(np.ones(4), size=300)
    probabilities[np.arange(300), labels] += 0.4
    return labels, probabilities / probabilities.sum(1, keepdims=True)


def test_metrics_equal_scikit_learn(case):
    labels, probabilities = case
    said = probabilities.argmax(1)
    names = tuple("abcd")
    got = classification.metrics(labels, probabilities, names)
    assert got["confusion"] == sk.confusion_matrix(labels, said).tolist()
    assert got["accuracy"] == pytest.approx(sk.accuracy_score(labels, said))
    assert got["accuracy"] == pytest.approx(sk.f1_score(labels, said, average="micro"))
    assert got["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(labels, said))
    assert got["macro_f1"] == pytest.approx(sk.f1_score(labels, said, average="macro"))
    precision, recall, f1, support = sk.precision_recall_fscore_support(labels, said)
    for k, name in enumerate(names):
        own = got["classes"][name]
        assert own["precision"] == pytest.approx(precision[k])
        assert own["recall"] == pytest.approx(recall[k])
        assert own["f1"] == pytest.approx(f1[k])
        assert own["support"] == support[k]
        # Specificity is the recall of "any other class".
        assert own["specificity"] == pytest.approx(sk.recall_score(labels != k, said != k))
        assert own["auc"] == pytest.approx(sk.roc_auc_score(labels == k, probabilities[:, k]))


def test_auc_counts_ties_half_and_lacks_absent_classes():
    labels = np.array([0, 0, 1, 1, 1])
    tied = np.array([[0.9, 0.1, 0.0], [0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.2, 0.8, 0.0], [0.6, 0.4, 0.0]])
    got = classification.auc(labels, tied)
    assert got[:2] == pytest.approx([sk.roc_auc_score(labels == k, tied[:, k]) for k in range(2)])
    assert np.isnan(got[2])


def test_absent_and_never_predicted_classes():
    # Class 2 has no image; class 1 is never said. Truth 0 0 1, said 0 2 0.
    confusion = classification.confusion_matrix(np.array([0, 0, 1]), np.array([0, 2, 0]), 3)
    got = classification.rates(confusion)
    assert got["precision"].tolist() == [0.5, 0.0, 0.0]
    np.testing.assert_array_equal(got["recall"], [0.5, 0.0, np.nan])
    assert got["balanced_accuracy"] == 0.25
    assert got["macro_f1"] == 0.25  # F1 of class 0 is 2 * 1 / (2 + 2), of class 1 it is 0
    assert got["specificity"].tolist() == [0.0, 1.0, pytest.approx(2 / 3)]


def test_rates_of_many_matrices_are_those_of_each():
    many = np.random.default_rng(0).integers(0, 20, size=(5, 2, 3, 3))
    together = classification.rates(many)
    for key, values in together.items():
        np.testing.assert_allclose(values[4, 1], classification.rates(many[4, 1])[key])


def test_calibration_error_by_hand():
    # Two images at confidence 0.8, one right: gap 0.3, weight 2/4. Two at 0.6, both right: gap 0.4, weight 2/4.
    probabilities = np.array([[0.8, 0.2], [0.8, 0.2], [0.6, 0.4], [0.4, 0.6]])
    assert expected_calibration_error(np.array([0, 1, 0, 1]), probabilities) == pytest.approx(0.35)


def test_rows_in_another_order_are_joined_by_image(tmp_path):
    write_grid(tmp_path, [{"cell": "real only", "kind": "baseline", "amount": 0, "seeds": [0], "recall": 0.8}])
    before = predictions.read(tmp_path)[1][0].probabilities
    path = next((tmp_path / "predictions").iterdir())
    head, *rows = path.read_text().splitlines()
    path.write_text("\n".join([head, *reversed(rows)]))
    np.testing.assert_array_equal(predictions.read(tmp_path)[1][0].probabilities, before)


def test_incomplete_artifacts_are_refused(tmp_path):
    write_grid(tmp_path, [{"cell": "real only", "kind": "baseline", "amount": 0, "seeds": [0], "recall": 0.8}])
    path = next((tmp_path / "predictions").iterdir())
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-1]))
    with pytest.raises(UsageError, match="no prediction for 1 of 500"):
        predictions.read(tmp_path)
    path.write_text("\n".join([*lines, lines[-1]]))
    with pytest.raises(UsageError, match="stands in it twice"):
        predictions.read(tmp_path)
    path.unlink()
    with pytest.raises(UsageError, match="is missing"):
        predictions.read(tmp_path)


def test_a_diverged_classifier_is_excluded_and_named(tmp_path):
    cell = {"kind": "acgan", "amount": 5, "seeds": [0, 1], "recall": 0.8}
    write_grid(
        tmp_path,
        [{"cell": "real only", "kind": "baseline", "amount": 0, "seeds": [0, 1], "recall": 0.8}, {"cell": "a", **cell}],
    )
    path = sorted((tmp_path / "predictions").iterdir())[3]
    head, first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([head, first.split(",")[0] + ",nan,nan,nan", *rest]))
    result = evaluate(tmp_path, tmp_path / "out", EvaluationConfig(resamples=50), 0)
    assert [(e["cell"], e["seed"]) for e in result["excluded"]] == [("a", 1)]
    assert result["cells"][1]["seeds"] == [0]
    for file in (tmp_path / "predictions").iterdir():
        file.write_text("\n".join([head, *(line.split(",")[0] + ",nan,nan,nan" for line in (first, *rest))]))
    with pytest.raises(LesionganError, match="finite"):
        evaluate(tmp_path, tmp_path / "out", EvaluationConfig(resamples=50), 0)


def test_the_result_is_what_the_file_holds(tmp_path):
    write_grid(tmp_path, [{"cell": "real only", "kind": "baseline", "amount": 0, "seeds": [0], "recall": 0.9}])
    config = EvaluationConfig(resamples=50)
    result = evaluate(tmp_path, tmp_path / "out", config, 0, target="BCC")
    assert (result["target"], result["against"]) == ("BCC", "NV")
    assert result["support"] == dict(zip(CLASSES, (120, 300, 80), strict=True))
    assert json.loads((tmp_path / "out" / "metrics.json").read_text()) == result
    for wrong in ({"target": "XYZ"}, {"against": "XYZ"}, {"baseline": "XYZ"}, {"primary": "XYZ"}):
        with pytest.raises(UsageError, match=r"unknown (class|metric|baseline cell) 'XYZ'"):
            evaluate(tmp_path, tmp_path / "out", config, 0, **wrong)
