"""Classifiers trained on generated images alone: good images teach as much as real ones, mislabelled ones nothing."""

from __future__ import annotations

import pytest
from small_examples import blob, examples

from lesiongan.base.errors import UsageError
from lesiongan.config.classifier import ClassifierConfig
from lesiongan.config.evaluation import EvaluationConfig
from lesiongan.data.examples import load
from lesiongan.data.taxonomy import Taxonomy
from lesiongan.steps import accuracy_scores
from lesiongan.training.accuracy_score import accuracy_score

TAXONOMY = Taxonomy.of(("MEL", "NV", "BCC"))
CLASSIFIER = ClassifierConfig(size=32, width=0.1, stem="small", batch=8, learning_rate=1e-2)
LIMITS = EvaluationConfig(accuracy_score_images=480, resamples=50)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    counts = {"train": (30, 24, 4), "validation": (2, 2, 2), "test": (20, 20, 4)}
    return examples(tmp_path_factory.mktemp("accuracy_scores") / "real", TAXONOMY, counts)


def test_mislabelled_images_teach_nothing_and_real_ones_do(real, tmp_path):
    """Two trainings of a small network (about 10 s): a score is nothing else."""
    # what is called a melanoma looks like a nevus, and the other way round
    for name, label, count in (("refined-MEL", 0, 26), ("refined-NV", 1, 40)):
        number = iter(range(10**6))

        def swapped(_, label=label, number=number):
            return blob(1 - label, 60_000 + next(number))

        examples(tmp_path / name, TAXONOMY, {"train": [count * (k == label) for k in range(3)]}, change=swapped)
    examples(tmp_path / "alpha-1", TAXONOMY, {"train": (24, 0, 0)})
    sets = [tmp_path / name for name in ("alpha-1", "refined-MEL", "refined-NV")]
    single, refined = accuracy_scores.rows(real, sets, CLASSIFIER, LIMITS, 0, tmp_path / "work")
    assert (single["generator"], refined["generator"]) == ("alpha-1", "refined")
    assert "images of one class" in single["reason"]
    assert refined["images"] == {"MEL": 26, "NV": 24}  # of each class as many on both sides
    assert set(refined["real"]["recall"]) == {"MEL", "NV"}
    generated, beside = (refined[side]["balanced_accuracy"] for side in ("generated", "real"))
    assert generated["value"] < 0.4 < 0.6 < beside["value"]
    assert beside["low"] <= beside["value"] <= beside["high"]


def test_one_class_is_no_training(real, tmp_path):
    train = load(real, 32, "train", classes=["MEL"])
    with pytest.raises(UsageError, match="two classes"):
        accuracy_score(
            CLASSIFIER,
            train,
            load(real, 32, "test"),
            TAXONOMY.classes,
            [""] * 44,
            run_dir=tmp_path,
            seed=0,
            name="alone",
        )
