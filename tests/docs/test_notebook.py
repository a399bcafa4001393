"""The notebook of the Python API runs from top to bottom, and what it computes is right."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

DOCS = Path(__file__).parents[2] / "docs"
NOTEBOOK = DOCS / "python.ipynb"
_MOST = {"text/plain": 2000, "text/html": 8000, "image/jpeg": 100_000}  # characters of a stored output


def code(notebook: Path) -> list[dict]:
    return [cell for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


def outputs(cell: dict) -> dict[str, str]:
    """Media type -> what a cell shows in it; what it prints is plain text too."""
    found = {}
    for output in cell["outputs"]:
        for kind, text in output.get("data", {"stream": output.get("text", "")}).items():
            found[kind] = "".join(text)
    return found


@pytest.fixture(scope="module")
def cells() -> list[dict]:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    return notebook["cells"]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> tuple[Path, Path]:
    """The notebook as `make notebook` writes it, and its working folder."""
    place = tmp_path_factory.mktemp("notebook")
    environment = os.environ | {"TMPDIR": str(place), "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    environment["PYTHONPATH"] = str(DOCS.parent)
    command = [sys.executable, str(Path(__file__).parent / "run_notebook.py"), str(place / "python.ipynb")]
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    (work,) = place.glob("lesiongan-notebook-*")
    return place / "python.ipynb", work


def test_stores_small_outputs():
    for number, cell in enumerate(code(NOTEBOOK)):
        for kind, text in outputs(cell).items():
            assert len(text) <= _MOST[{"stream": "text/plain"}.get(kind, kind)], f"cell {number}: {kind}"
            assert "/tmp" not in text, f"cell {number}: a path of the machine that it ran on"


@pytest.mark.slow
def test_stored_outputs_are_of_these_cells(run):
    """Numbers of trainings differ from machine to machine in their last digits; what is shown does not."""
    for stored, made in zip(code(NOTEBOOK), code(run[0]), strict=True):
        assert outputs(stored).keys() == outputs(made).keys(), "".join(stored["source"])


def test_links_lead_to_pages_that_are_there(cells):
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert links
    assert [link for link in links if not (DOCS / link).is_file()] == []


@pytest.mark.slow
def test_runs_and_gives_a_verdict(run):
    notebook, work = run
    result = json.loads((work / "evaluation" / "metrics.json").read_text())
    assert result["verdict"] in "".join(text for cell in code(notebook) for text in outputs(cell).values())
    assert [(cell["cell"], cell["seeds"]) for cell in result["cells"]] == [
        ("real only", [0, 1, 2]),
        ("cyclegan + 100", [0, 1, 2]),
    ]


@pytest.mark.slow
def test_table_is_what_its_predictions_give(run):
    predictions, evaluation = run[1] / "predictions", run[1] / "evaluation"
    truth = pd.read_csv(predictions / "truth.csv", keep_default_na=False)
    table = pd.read_csv(evaluation / "table.csv").set_index("cell")
    seeds: dict[str, list[float]] = {}
    for row in pd.read_csv(predictions / "cells.csv", keep_default_na=False).to_dict("records"):
        said = pd.read_csv(predictions / row["file"]).set_index("image").loc[truth["image"]]
        seeds.setdefault(row["cell"], []).append(float((said.idxmax(axis=1).to_numpy() == truth["label"]).mean()))
    for cell, accuracies in seeds.items():
        np.testing.assert_allclose(table.loc[cell, "accuracy"], np.mean(accuracies), rtol=1e-5)
        assert table.loc[cell, "accuracy_low"] < table.loc[cell, "accuracy"] < table.loc[cell, "accuracy_high"]


@pytest.mark.slow
def test_classifier_has_learned_more_than_any_constant_answer(run):
    """Whoever says one class of every image has a balanced accuracy of 1 / classes."""
    table = pd.read_csv(run[1] / "evaluation" / "table.csv").set_index("cell")
    classes = pd.read_csv(run[1] / "predictions" / "truth.csv", keep_default_na=False)["label"].nunique()
    assert table.loc["real only", "balanced_accuracy_low"] > 1 / classes
