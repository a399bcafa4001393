"""The study's tables from kept predictions, against the Evaluator's numbers for the same predictions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from grids import write_grid

from benchmarks import study
from lesiongan.config.evaluation import EvaluationConfig
from lesiongan.evaluation import predictions
from lesiongan.evaluation.evaluate import evaluate

CLASSES = ("BCC", "MEL", "NV")  # in the order of the kept tables, so that both draw the same resamples
CELLS = [
    {"cell": "real only", "kind": "baseline", "amount": 0, "seeds": [0, 1, 2], "recall": 0.6},
    {"cell": "alpha 1 + 100", "kind": "cyclegan", "alpha": 1, "amount": 100, "seeds": [0, 1, 2], "recall": 0.66},
    {"cell": "alpha 1 + 200", "kind": "cyclegan", "alpha": 1, "amount": 200, "seeds": [0, 1, 2], "recall": 0.5},
    {"cell": "copies + 100", "kind": "control", "amount": 100, "seeds": [0, 1, 2], "recall": 0.62},
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A predictions artifact, and the folder that keeps it."""
    root = tmp_path_factory.mktemp("study")
    for name, seed in (("", 0), ("validation", 1)):
        write_grid(
            root / "run", CELLS, seed=seed, counts=(80, 120, 300), classes=CLASSES, images_per_lesion=2, name=name
        )
    assert study.keep(root / "run", "all", folder=root / "kept") == len(CELLS)
    return root / "run", root / "kept"


def test_balanced_accuracy_is_the_evaluators(run, tmp_path):
    artifact, kept = run
    config = EvaluationConfig(resamples=study.RESAMPLES, confidence=study.CONFIDENCE)
    told = {
        row["cell"]: row["metrics"]["balanced_accuracy"] for row in evaluate(artifact, tmp_path, config, 0)["cells"]
    }
    rows = study.corrected({"all": study.Kept(kept / "all").rows()})["all"]
    rows = rows[rows["metric"] == "balanced accuracy"].set_index("cell")
    for cell, entry in told.items():
        row = rows.loc[cell]
        assert row["value"] == pytest.approx(entry["value"], abs=1e-9)
        if cell == "real only":
            continue
        for ours, theirs in (("difference", "difference"), ("low", "difference_low"), ("high", "difference_high")):
            assert row[ours] == pytest.approx(entry[theirs], abs=1e-6)
        assert row["p_holm"] == pytest.approx(entry["p_holm"], rel=1e-4)


def test_p_is_corrected_over_the_cells_of_a_family_in_all_sets():
    """Holm 1979: the smallest p times the number of all, the next times one less, and none below the one before."""

    def rows(cells: str, p: list[float]) -> pd.DataFrame:
        families = ["", *(["cells"] * (len(p) - 1)), "controls"]
        return pd.DataFrame({"cell": ["real only", *cells], "family": families, "metric": "m", "p": [np.nan, *p]})

    one, two = study.corrected({"one": rows("abc", [0.01, 0.04, 0.5]), "two": rows("de", [0.03, 0.02])}).values()
    np.testing.assert_allclose(one["p_holm"], [np.nan, 3 * 0.01, 2 * 0.03, 0.5])
    np.testing.assert_allclose(two["p_holm"], [np.nan, 2 * 0.03, 2 * 0.02])
    assert two["of"].tolist()[1:] == [3, 2]


def test_recall_at_the_threshold_of_the_validation_images(run):
    artifact, kept = run
    rows = study.Kept(kept / "all").rows()
    row = rows[(rows["cell"] == "alpha 1 + 100") & (rows["metric"] != "balanced accuracy")].iloc[0]
    recalls = []
    (validation, on_validation), (test, on_test) = predictions.read(artifact, "validation"), predictions.read(artifact)
    for own, held in zip(on_test, on_validation, strict=True):
        if own.cell == row["cell"]:
            others = np.sort(np.rint(1e4 * held.probabilities[validation.labels != 1, 1]))
            most_called = int(0.1 * len(others))  # a tenth of the others may be called melanoma
            called = np.rint(1e4 * own.probabilities[:, 1]) > others[len(others) - most_called - 1]
            recalls.append(called[test.labels == 1].mean())
    # the threshold is the lowest score above: a test score between the two is not called
    assert row["value"] == pytest.approx(np.mean(recalls), abs=0.01)


def test_recalls_are_means_over_the_seeds(run):
    artifact, kept = run
    truth, members = predictions.read(artifact)
    found = study.Kept(kept / "all").recalls().loc["alpha 1 + 200"]
    own = [member.predicted for member in members if member.cell == "alpha 1 + 200"]
    for label, name in enumerate(truth.classes):
        chosen = truth.labels == label
        assert found[name] == pytest.approx(np.mean([(predicted[chosen] == label).mean() for predicted in own]))
    assert found["accuracy"] == pytest.approx(np.mean([(predicted == truth.labels).mean() for predicted in own]))


def test_what_is_kept_already_must_agree(run):
    artifact, kept = run
    assert study.keep(artifact, "all", folder=kept) == 0
    table = pd.read_csv(kept / "all" / "real only-test.csv", dtype=str)
    table.loc[0, "MEL_0"] = "1"
    table.to_csv(kept / "all" / "real only-test.csv", index=False)
    with pytest.raises(SystemExit, match="says something else"):
        study.keep(artifact, "all", folder=kept)
