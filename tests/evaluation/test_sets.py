"""Several sets of images in one artifact: validation images for thresholds, further test sets, groups of patients."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from grids import write_grid

from lesiongan.base.errors import UsageError
from lesiongan.config.evaluation import EvaluationConfig
from lesiongan.evaluation import calibration, groups, predictions, scores
from lesiongan.evaluation.evaluate import evaluate

CELLS = [
    {"cell": "real only", "kind": "baseline", "amount": 0, "seeds": [0, 1], "recall": 0.7},
    {"cell": "acgan + 500", "kind": "acgan", "amount": 500, "seeds": [0, 1], "recall": 0.75},
]
CONFIG = EvaluationConfig(resamples=60)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    for number, name in enumerate(("", "validation", "bcn")):
        write_grid(root, CELLS, name=name, seed=number, counts=(60, 150, 40) if name else (120, 300, 80))
    return root, evaluate(root, root / "out", CONFIG, 0)


def test_a_further_test_set_has_its_own_result_and_does_not_change_the_usual_one(artifact, tmp_path):
    root, result = artifact
    assert result["further"] == ["bcn"]
    further = json.loads((root / "out" / "sets" / "bcn" / "metrics.json").read_text())
    assert (further["set"], further["images"], result["images"]) == ("bcn", 250, 500)
    assert not (root / "out" / "sets" / "validation").exists()
    write_grid(tmp_path, CELLS, seed=0)
    alone = evaluate(tmp_path, tmp_path / "out", CONFIG, 0)
    for one, other in zip(alone["cells"], result["cells"], strict=True):
        assert (one["metrics"], one["classes"]) == (other["metrics"], other["classes"])
    # What the further set holds is what it would be as the usual one.
    write_grid(tmp_path / "bcn", CELLS, seed=2, counts=(60, 150, 40))
    as_usual = evaluate(tmp_path / "bcn", tmp_path / "bcn" / "out", CONFIG, 0)
    assert [c["metrics"] for c in as_usual["cells"]] == [c["metrics"] for c in further["cells"]]


def test_thresholds_and_temperatures_come_from_the_validation_images(artifact):
    root, result = artifact
    truth, members = predictions.read(root)
    validation, said = predictions.read(root, "validation")
    assert result["validated"]
    for cell in result["cells"]:
        own = [m for m in members if m.cell == cell["cell"]]
        expected = {"sensitivity": [], "specificity": [], "temperature": []}
        for member in own:
            p = next(m.probabilities for m in said if (m.cell, m.seed) == (member.cell, member.seed))
            two = validation.labels < 2
            score = p[two, 0] / (p[two, 0] + p[two, 1])
            negatives = np.sort(score[validation.labels[two] == 1])
            threshold = score[score > negatives[int(np.ceil(0.9 * len(negatives))) - 1]].min()
            test_score = scores.pair_scores(member.probabilities, 0, 1)
            expected["sensitivity"].append((test_score[truth.labels == 0] >= threshold).mean())
            expected["specificity"].append((test_score[truth.labels == 1] < threshold).mean())
            expected["temperature"].append(calibration.fit_temperature(validation.labels, p))
        found = cell["pair"]["at_specificity"]["0.9"]
        for key in ("sensitivity", "specificity"):
            assert found[key]["value"] == pytest.approx(np.mean(expected[key]))
            assert found[key]["low"] < found[key]["value"] < found[key]["high"]
        assert found["specificity"]["value"] == pytest.approx(0.9, abs=0.08)
        assert cell["calibration"]["temperature"] == pytest.approx(np.mean(expected["temperature"]))
        confusion = np.mean([c["confusion"] for c in result["classifiers"] if c["cell"] == cell["cell"]], axis=0)
        assert cell["pair"]["confused"] == {
            "target_called_against": confusion[0, 1],
            "against_called_target": confusion[1, 0],
        }


def test_without_validation_images_there_is_no_threshold(tmp_path):
    write_grid(tmp_path, CELLS[:1])
    result = evaluate(tmp_path, tmp_path / "out", CONFIG, 0)
    assert not result["validated"]
    cell = result["cells"][0]
    assert cell["pair"]["at_specificity"] == {}
    assert cell["calibration"]["temperature"] is None
    assert cell["calibration"]["ece"] > 0


def test_a_further_set_without_predictions_is_refused(artifact, tmp_path):
    write_grid(tmp_path, CELLS)
    write_grid(tmp_path, CELLS, name="bcn")
    next((tmp_path / "sets" / "bcn" / "predictions").iterdir()).unlink()
    with pytest.raises(UsageError, match=r"sets/bcn/predictions/.* is missing"):
        evaluate(tmp_path, tmp_path / "out", CONFIG, 0)


def test_the_curve_and_its_error_are_of_the_same_bins(artifact):
    _, result = artifact
    for cell in result["cells"]:
        bins = cell["calibration"]["bins"]
        assert sum(b["images"] for b in bins) == pytest.approx(500)
        assert all(0 <= b["accuracy"] <= 1 and 1 / 3 <= b["confidence"] <= 1 for b in bins)
    truth, members = predictions.read(artifact[0])
    p = members[0].probabilities
    curve = calibration.reliability(truth.labels, p)
    inside = (p.max(1) > 13 / 15) & (p.max(1) <= 14 / 15)
    assert curve["images"][13] == inside.sum()
    assert curve["accuracy"][13] == pytest.approx((p.argmax(1) == truth.labels)[inside].mean())


def patients(images):
    """Every second image of a man of 70 on the back, the others of a woman of unknown age; a few of BCN."""
    n = len(images)
    return pd.DataFrame(
        {
            "image_id": images,
            "age_approx": [70.0 if i % 2 else np.nan for i in range(n)],
            "sex": ["male" if i % 2 else "female" for i in range(n)],
            "anatom_site_general": ["back" if i % 2 else "" for i in range(n)],
            "lesion_id": [f"BCN_{i}" if i < 10 else f"HAM_{i}" if i < 300 else "" for i in range(n)],
        }
    )


def test_groups_are_those_of_the_table_and_their_numbers_those_of_their_images(artifact):
    root, _ = artifact
    truth, members = predictions.read(root)
    result = evaluate(root, root / "grouped", CONFIG, 0, table=patients(truth.images))
    found = {(row["by"], row["group"]): row for row in result["groups"]}
    # BCN has 10 lesions, fewer than 50.
    assert set(found) == {("age", "60 to 74"), ("sex", "male"), ("sex", "female"), ("site", "back"), ("source", "HAM")}
    men = np.arange(500) % 2 == 1
    for cell in result["cells"]:
        value, low, high = found["sex", "male"]["cells"][cell["cell"]]["target_recall"]
        own = [m for m in members if m.cell == cell["cell"]]
        expected = [(m.predicted[men & (truth.labels == 0)] == 0).mean() for m in own]
        assert value == pytest.approx(np.mean(expected))
        assert low < value < high
        accuracy = found["sex", "male"]["cells"][cell["cell"]]["accuracy"][0]
        assert accuracy == pytest.approx(np.mean([(m.predicted == truth.labels)[men].mean() for m in own]))
    assert found["sex", "male"]["cells"] == found["site", "back"]["cells"]


def test_a_class_with_few_lesions_in_a_group_has_no_recall_there(tmp_path):
    write_grid(tmp_path, CELLS[:1], counts=(30, 300, 80))
    truth, _ = predictions.read(tmp_path)
    row = evaluate(tmp_path, tmp_path / "out", CONFIG, 0, table=patients(truth.images))["groups"][0]
    assert row["target_lesions"] == 15 < groups.LEAST_OF_CLASS
    numbers = row["cells"]["real only"]
    assert numbers["target_recall"] is numbers["target_auc"] is None
    assert numbers["accuracy"] is not None


def test_a_table_without_patients_gives_no_groups(artifact):
    root, _ = artifact
    truth, _ = predictions.read(root)
    table = pd.DataFrame({"image_id": list(truth.images)})
    assert evaluate(root, root / "plain", CONFIG, 0, table=table)["groups"] == []
