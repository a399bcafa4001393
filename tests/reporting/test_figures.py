"""Figures as text: what a reader sees of their axes."""

from __future__ import annotations

import re

from lesiongan.reporting.figures import finder_curve
from lesiongan.reporting.results import learning_series


def test_the_finders_rates_are_written_as_numbers():
    rates = [10.0**-k for k in range(7, -1, -1)]
    svg = finder_curve(rates, [3.0, 3, 3, 2.9, 2.5, 2, 3, 9], {"minimum": 1e-2, "steep": 3e-3}, "steep", "one")
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    assert not [text for text in texts if "\\" in text or "$" in text]
    assert {f"1e-0{k}" for k in range(1, 8)} <= set(texts)
    assert "steep 3.0e-03 (used)" in texts


def test_two_folders_of_images_made_elsewhere_are_two_learning_curves():
    def cell(name, kind, amount, value, alpha=None):
        metrics = {"recall": {"value": value, "low": value - 0.1, "high": value + 0.1}}
        return {"cell": name, "kind": kind, "amount": amount, "alpha": alpha, "metrics": metrics}

    cells = [cell("real only", "baseline", 0, 0.5), cell("alpha 0.125 + 500", "cyclegan", 500, 0.6, 0.125)]
    cells += [cell(f"{name} + {n}", "synthetic", n, 0.7) for name in ("diffusion", "style + gan") for n in (500, 1000)]
    result = {"baseline": "real only", "cells": cells, "classifiers": [{"cell": c["cell"], "seed": 0} for c in cells]}
    series = learning_series(result, "recall")
    assert list(series) == ["alpha 1/8", "diffusion", "style + gan"]
    assert [point[0] for point in series["diffusion"]] == [0, 500, 1000]
