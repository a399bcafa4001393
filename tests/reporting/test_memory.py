"""What the report says of remembered training images and of accuracy scores is what the Evaluator wrote."""

from __future__ import annotations

import json

from lesiongan.reporting import accuracy_scores, memory
from lesiongan.reporting.report import write_report

SHARE = {"value": 0.02, "low": 0.01, "high": 0.03, "found": 4, "images": 200}
GENERATOR = {
    "generator": "alpha-1",
    "images": 200,
    "suspected": SHARE,
    "pairs": {"alpha-1_0000003": "ISIC_1"},
    "withheld": {"images": 210, "withheld": 10},
    "moved": {"median": 0.05, "low": 0.004, "high": 0.1, "still": 12, "images": 200},
    "authenticity": None,
    "copying": None,
    "membership": None,
}
FOUND = {
    "limits": {"rate": 0.01, "held_out": 2265, "suspected": 15, "values": {"hash": 1.0, "structure": 0.25}},
    "false_alarms": {"value": 0.011, "low": 0.007, "high": 0.016, "images": 2292},
    "features": None,
    "generators": [GENERATOR],
}


def written(folder, **changes):
    (folder / memory.RESULT).write_text(json.dumps(FOUND | changes))
    return memory.section(folder)


def test_numbers_stand_with_the_rate_they_were_held_to(tmp_path):
    found = written(tmp_path)
    assert list(found["rows"]["alpha-1"]) == ["images", "suspected copies", "withheld before", "moved"]
    assert found["rows"]["alpha-1"]["withheld before"] == "10 of 210"
    text = " ".join(found["sentences"])
    assert "2,265 held-out real images give for 1.0% false alarms" in text
    assert "2,292 real test images they suspect 1.1% (0.7% to 1.6%)" in text
    assert "alpha-1: 12 of 200 images are their own source, unchanged" in text
    assert "AuthPct" not in text
    assert memory.section(None) == memory.section(tmp_path / "nowhere") == {}


def test_no_limit_is_said(tmp_path):
    limits = FOUND["limits"] | {"held_out": 40, "values": {"hash": -1.0, "structure": -1.0}}
    (sentence, *_) = written(tmp_path, limits=limits)["sentences"]
    assert "40 held-out real images are too few" in sentence


def test_metrics_of_features_are_explained_where_they_are_shown(tmp_path):
    more = {
        "authenticity": SHARE,
        "copying": {"value": -4.5, "cells": []},
        "membership": {"auc": SHARE, "control": SHARE},
    }
    found = written(tmp_path, features="imagenet", generators=[GENERATOR | more])
    assert found["rows"]["alpha-1"]["C_T"] == -4.5
    assert "features of imagenet, which no training used" in found["sentences"][-1]


def test_the_page_has_both_tables(tmp_path):
    score = {"value": 0.5, "low": 0.4, "high": 0.6}
    side = {"balanced_accuracy": score, "accuracy": score, "recall": {"MEL": score}}
    rows = [
        {"generator": "acgan", "size": 64, "images": {"MEL": 1000, "NV": 900}, "generated": side, "real": side},
        {"generator": "alpha-1", "reason": "it has images of one class"},
    ]
    (tmp_path / accuracy_scores.RESULT).write_text(json.dumps(rows))
    scores = accuracy_scores.section(tmp_path)
    assert list(scores["rows"]) == ["acgan alone", "as many real, beside acgan"]
    assert scores["rows"]["acgan alone"]["images"] == "1,900"
    data = {"memory": written(tmp_path), "accuracy_scores": scores}
    page = write_report(tmp_path / "report.html", pipeline="p", title="t", data=data).read_text()
    for text in ("acgan alone", "MEL recall", "alpha-1 was not measured", "10 of 210", "suspected copies"):
        assert text in page
