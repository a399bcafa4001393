"""Our numbers are those of ISIC's own scorer (isic-challenge-scoring), from the same two files.

What the scorer said is kept in `official_scores.json`, since one of its dependencies has to be compiled. Where it is
installed (the extra `scorer`), it is asked again; running this file as a script writes it.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lesiongan.data.taxonomy import ISIC_2019
from lesiongan.evaluation.classification import metrics
from lesiongan.evaluation.predictions import submission

_KEPT = Path(__file__).with_name("official_scores.json")
_OURS = {"auc": "auc", "sensitivity_at_half": "sensitivity", "specificity_at_half": "specificity"}  # and theirs


def _case(folder: Path) -> tuple[np.ndarray, Path, Path]:
    """Labels, and the files of truth and of predictions."""
    random, classes = np.random.default_rng(0), ISIC_2019.classes
    labels = np.repeat(np.arange(8), [45, 128, 33, 8, 26, 5, 6, 10])
    probabilities = random.dirichlet(np.full(8, 0.3), len(labels))
    probabilities[np.arange(len(labels)), labels] += 0.4
    probabilities /= probabilities.sum(1, keepdims=True)
    ids = [f"ISIC_{i:07d}" for i in range(len(labels))]
    said, truth = folder / "said.csv", folder / "truth.csv"
    said.write_text(submission(ids, probabilities, classes))
    one_hot = pd.DataFrame(np.eye(8)[labels], columns=list(classes))
    one_hot.insert(0, "image", ids)
    one_hot.to_csv(truth, index=False)
    return labels, truth, said


def _official(truth: Path, said: Path) -> dict:
    from isic_challenge_scoring.classification import ClassificationMetric, ClassificationScore

    score = ClassificationScore.from_file(truth, said, ClassificationMetric.BALANCED_ACCURACY)
    table = score.per_category.loc[list(ISIC_2019.classes), list(_OURS.values())]
    return {"balanced_accuracy": float(score.overall), "classes": table.astype(float).to_dict("index")}


def test_balanced_accuracy_auc_and_thresholded_metrics_are_the_official_ones(tmp_path):
    labels, _, said = _case(tmp_path)
    official = json.loads(_KEPT.read_text())
    # Both read the file, so that both see its seven digits.
    ours = metrics(labels, pd.read_csv(said)[list(ISIC_2019.classes)].to_numpy(), ISIC_2019.classes)
    assert ours["balanced_accuracy"] == pytest.approx(official["balanced_accuracy"])
    for name in ISIC_2019.classes:
        for own, theirs in _OURS.items():
            assert ours["classes"][name][own] == pytest.approx(official["classes"][name][theirs]), (name, own)
    halves = [ours["classes"][c]["sensitivity_at_half"] for c in ISIC_2019.classes]
    # 0.5 is not the largest of eight
    assert halves != pytest.approx([ours["classes"][c]["recall"] for c in ISIC_2019.classes])


def test_the_scorer_still_says_what_is_kept(tmp_path):
    pytest.importorskip("isic_challenge_scoring", reason="needs the extra `scorer`")
    _, truth, said = _case(tmp_path)
    now, kept = _official(truth, said), json.loads(_KEPT.read_text())
    assert now["balanced_accuracy"] == pytest.approx(kept["balanced_accuracy"])
    for name, row in kept["classes"].items():
        assert now["classes"][name] == pytest.approx(row)


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        _, *files = _case(Path(folder))
        _KEPT.write_text(json.dumps(_official(*files), indent=1) + "\n")
