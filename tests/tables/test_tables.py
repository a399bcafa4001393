"""The paper's tables: the same numbers in every form as in metrics.json, and the paper's own beside them."""

from __future__ import annotations

import io
import json

import pandas as pd
import pytest
from grids import write_grid
from page import Page

from lesiongan.config.evaluation import EvaluationConfig
from lesiongan.data.taxonomy import ISIC_2019
from lesiongan.evaluation.evaluate import evaluate
from lesiongan.tables import formats, layout, paper_results

SEEDS = [0, 1]
BASE = {"cell": "real only", "kind": "baseline", "amount": 0, "seeds": SEEDS, "recall": 0.7}
CONTROL = {"cell": "oversampling_5 & more", "kind": "control", "amount": 500, "seeds": SEEDS, "recall": 0.7}


@pytest.fixture(scope="module")
def melanoma(tmp_path_factory):
    root = tmp_path_factory.mktemp("melanoma")
    cells = [
        {
            "cell": f"alpha {a:g} + {n}",
            "kind": "cyclegan",
            "alpha": a,
            "amount": n,
            "seeds": SEEDS,
            "recall": 0.7 + n / 3e4,
        }
        for n in (6000, 500)
        for a in (1.0, 0.125)
    ]
    write_grid(root, [BASE, *cells, CONTROL], counts=[40] * 8, classes=ISIC_2019.classes)
    return evaluate(root, root / "out", EvaluationConfig(resamples=100), 0)


@pytest.fixture(scope="module")
def lesion(tmp_path_factory):
    root = tmp_path_factory.mktemp("lesion")
    cells = [
        {"cell": f"{kind} + 16000", "kind": kind, "amount": 16000, "seeds": SEEDS, "recall": 0.9}
        for kind in ("acgan", "cyclegan")
    ]
    write_grid(root, [BASE, *cells], counts=[40] * 8, classes=ISIC_2019.classes)
    return evaluate(root, root / "out", EvaluationConfig(resamples=100), 0)


def read(table) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(formats.csv(table)))


def test_table_3_is_in_the_papers_form_with_its_numbers_beside_ours(melanoma):
    table = read(layout.alpha_table(melanoma, with_paper=True))
    assert table["synthetic_images"].tolist() == [0, 500, 500, 6000, 6000]
    assert table["alpha"].tolist() == ["real only", "0.125", "1", "0.125", "1"]  # the control is not the paper's
    paper = pd.DataFrame(paper_results.table(3)).astype(float)
    for _, row in table[table["synthetic_images"] > 0].iterrows():
        theirs = paper[(paper["synthetic_images"] == row["synthetic_images"]) & (paper["alpha"] == float(row["alpha"]))]
        ours = [row[f"{key}_paper"] for key in ("accuracy", "target_precision", "target_recall")]
        assert ours == theirs[["accuracy", "MEL_precision", "MEL_recall"]].iloc[0].tolist()
        cell = next(c for c in melanoma["cells"] if c["cell"] == f"alpha {row['alpha']} + {row['synthetic_images']}")
        for field in ("value", "low", "high", "difference", "difference_low", "difference_high", "p", "p_holm"):
            column = "target_recall" if field == "value" else f"target_recall_{field}"
            assert row[column] == pytest.approx(cell["metrics"]["target_recall"][field], rel=1e-5)
    assert table.loc[0, "accuracy_paper"] == 0.856


def test_table_2_is_in_the_papers_form_with_its_numbers_beside_ours(lesion):
    table = read(layout.class_table(lesion, with_paper=True)).set_index("model")
    paper = pd.DataFrame(paper_results.table(2)).set_index("model")
    for ours, theirs in (
        ("real only", "ISIC-0"),
        ("acgan + 16000", "acgan-0.441"),
        ("cyclegan + 16000", "cyclegan-0.441"),
    ):
        for column in paper.columns.drop("synthetic_images"):
            assert table.loc[ours, f"{column}_paper"] == float(paper.loc[theirs, column])
    for cell in lesion["cells"]:
        for name, values in cell["classes"].items():
            assert table.loc[cell["cell"], f"{name}_recall"] == pytest.approx(values["recall"]["value"], rel=1e-5)
            assert table.loc[cell["cell"], f"{name}_precision_high"] == pytest.approx(
                values["precision"]["high"], rel=1e-5
            )
    assert [t.name for t in layout.of_evaluation(lesion, True)] == ["main", "table", "table2", "per_class"]


def test_every_metric_of_every_class_stands_in_a_table(lesion):
    table = read(layout.of_evaluation(lesion, True)[-1]).set_index(["cell", "class"])
    assert len(table) == 3 * 8
    for cell in lesion["cells"]:
        for name, values in cell["classes"].items():
            for metric in ("precision", "recall", "specificity", "f1", "auc"):
                row = table.loc[(cell["cell"], name)]
                assert row[metric] == pytest.approx(values[metric]["value"], rel=1e-5)
                assert row[f"{metric}_low"] <= row[metric] <= row[f"{metric}_high"]


def test_table_1_counts_images_and_sums_them():
    counts = {side: dict(reversed(classes.items())) for side, classes in paper_results.split().items()}
    counts["elsewhere"] = {"MEL": 7}
    table = read(layout.split_table(counts, with_paper=True))
    assert table["class"].tolist() == ["NV", "MEL", "BCC", "BKL", "AK", "SCC", "VASC", "DF", "all"]
    assert table.columns.tolist()[1:7] == [f"{s}{e}" for s in ("train", "validation", "test") for e in ("", "_paper")]
    assert (table["train"] == table["train_paper"]).all()
    assert table["train"].iloc[-1] == 20264
    assert table["elsewhere"].tolist() == [0, 7, 0, 0, 0, 0, 0, 0, 7]


def test_the_grids_own_table_has_the_controls_apart_in_kind(melanoma):
    table = read(layout.grid_table(melanoma, with_paper=False))
    assert table["kind"].tolist() == ["baseline", *["cyclegan"] * 4, "control"]
    assert not any(c.endswith("_paper") for c in table.columns)
    assert pd.isna(table.loc[0, "accuracy_difference"])


def test_the_papers_balanced_accuracy_is_the_mean_of_its_recalls(lesion):
    found = paper_results.numbers(lesion, lesion["cells"][2])
    recalls = (0.759, 0.942, 0.913, 0.686, 0.73, 0.75, 0.8, 0.635)
    assert found["metrics", "balanced_accuracy"] == pytest.approx(sum(recalls) / 8)
    assert found["metrics", "target_precision"] == found["classes", "MEL", "precision"] == 0.813


def test_what_the_paper_has_not_has_no_number(melanoma):
    cell = dict(melanoma["cells"][1])
    assert paper_results.numbers(melanoma, cell)
    assert paper_results.numbers(melanoma, {**cell, "amount": 123}) == {}
    assert paper_results.numbers(melanoma, {**cell, "kind": "synthetic"}) == {}
    assert paper_results.numbers({**melanoma, "target": "BCC", "against": "BKL"}, cell) == {}
    elsewhere = [melanoma["cells"][0], {**cell, "kind": "synthetic", "alpha": None}]  # which experiment, nobody knows
    assert paper_results.numbers({**melanoma, "cells": elsewhere}, melanoma["cells"][0]) == {}


@pytest.mark.parametrize("compact", [False, True])
def test_latex_has_as_many_columns_in_every_row_and_closes_its_braces(melanoma, lesion, compact):
    every = [*layout.of_evaluation(melanoma, True), *layout.of_evaluation(lesion, True)]
    for table in [*every, layout.split_table(paper_results.split(), True)]:
        text = formats.latex(table, compact)
        lines = [line for line in text.splitlines() if not line.startswith("%")]
        rows = [line for line in lines if line.endswith(r" \\") and "&" in line]
        assert len(rows) == 1 + len(table.rows)
        assert {line.count(" & ") for line in rows} == {len(table.heads) + len(table.columns) - 1}
        assert lines[0] == r"\begin{table}"
        assert any(line.startswith(r"\caption{" + table.caption.split()[0]) for line in lines)
        assert rf"\label{{tab:{table.name.replace('_', '-')}}}" in lines
        (begin,) = (line for line in lines if line.startswith(r"\begin{tabular}{"))
        align = begin.removeprefix(r"\begin{tabular}{").rstrip("}")
        assert len(align) == len(table.heads) + len(table.columns)
        for line in lines:
            plain = line.replace(r"\{", "").replace(r"\}", "")
            assert plain.count("{") == plain.count("}"), line
            assert line.count(r"\(") == line.count(r"\)"), line
    text = formats.latex(layout.grid_table(melanoma, True))
    assert r"oversampling\_5 \& more" in text
    assert "paper 0.865" in text


def test_an_asterisk_marks_what_holm_leaves(lesion):
    table = layout.grid_table(lesion, False)
    sure = [n.sure for row in table.rows for n in row.numbers]
    entries = [c["metrics"][key] for c in lesion["cells"] for key in table.columns]
    assert sure == [e["p_holm"] is not None and e["p_holm"] < 0.05 for e in entries]
    assert any(sure)
    assert formats.latex(table).count("^{*}") == formats.latex(table, compact=True).count("^{*}") == sum(sure)


def test_the_compact_form_has_value_and_interval_in_a_line(melanoma):
    table = layout.main_table(melanoma)
    assert list(table.columns) == ["balanced_accuracy", "target_recall", "target_auc"]
    text = formats.latex(table, compact=True)
    for cell in melanoma["cells"]:
        recall = cell["metrics"]["target_recall"]
        low, high = rf"\({recall['low']:.3f}\)", rf"\({recall['high']:.3f}\)"
        name = cell["cell"].replace("_", r"\_").replace("&", r"\&")
        (line,) = (line for line in text.splitlines() if line.startswith(f"{name} & "))
        assert f"[{low}, {high}]" in line
    assert "shortstack" not in text
    assert r"\Delta" not in text


def test_html_is_a_page_of_its_own(melanoma, tmp_path):
    every = layout.of_evaluation(melanoma, True)
    formats.write(every, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        f"{t.name}{ending}" for t in every for ending in (".csv", ".tex", "_compact.tex", ".html")
    )
    page = Page((tmp_path / "table3.html").read_text())
    assert page.problems == []
    assert all(load.startswith("data:") for load in page.loads)
    recall = melanoma["cells"][1]["metrics"]["target_recall"]
    assert f"{recall['low']:.3f} to {recall['high']:.3f}" in page.text
    assert "paper 0.865" in page.text
    assert "NIK 2020" in page.text
    assert json.dumps(melanoma["baseline"]).strip('"') in page.text
