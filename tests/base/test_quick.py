"""The quick form of the benchmarks of speed."""

from __future__ import annotations

import argparse

import pytest

from benchmarks import quick


@pytest.mark.parametrize(
    ("words", "rounds", "last"),
    [
        ([], 7, "ratio 1.50\n"),
        (["--rounds", "3"], 3, "ratio 1.50\n"),
        (["--quick"], 2, "ratio 1.50 (quick form)\n"),
        (["--quick", "--rounds", "7"], 7, "ratio 1.50 (quick form)\n"),
    ],
)
def test_the_quick_form_takes_other_defaults_and_says_so(words, rounds, last, capsys):
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    arguments = quick.parse(parser, "4 minutes", words, rounds=2)
    assert arguments.rounds == rounds
    assert ("about 4 minutes" in capsys.readouterr().out) == ("--quick" not in words)
    quick.last_line(arguments, "ratio 1.50")
    assert capsys.readouterr().out == last
