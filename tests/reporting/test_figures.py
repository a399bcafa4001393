"""Figures as text: what a reader sees of their axes."""

from __future__ import annotations

import re

from lesiongan.reporting.figures import finder_curve


def test_the_finders_rates_are_written_as_numbers():
    rates = [10.0**-k for k in range(7, -1, -1)]
    svg = finder_curve(rates, [3.0, 3, 3, 2.9, 2.5, 2, 3, 9], {"minimum": 1e-2, "steep": 3e-3}, "steep", "one")
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    assert not [text for text in texts if "\\" in text or "$" in text]
    assert {f"1e-0{k}" for k in range(1, 8)} <= set(texts)
    assert "steep 3.0e-03 (used)" in texts
