"""What a long computation says of the time that it takes."""

from __future__ import annotations

import re

import pytest

from lesiongan.base import progress


@pytest.fixture
def lines(monkeypatch, capsys):
    """Lines of a step, on a clock that the test turns."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setenv(progress.STEP_VARIABLE, "lines")

    def turn(bar: progress.Progress, seconds: float, done: int, **options) -> str:
        now[0] += seconds
        bar.update(done, **options)
        return capsys.readouterr().out

    return turn


def test_the_first_step_is_compilation_and_no_estimate(lines):
    bar = progress.Progress("gan", 101, scale=4, rate_unit="images")
    first = lines(bar, 60.0, 1)  # a minute of tracing
    assert "gan: 1 of 101 steps" in first
    assert "left" not in first
    # ten steps in twenty seconds: 2 images/s, and 90 steps take 180 s
    assert "2 images/s, 3 min 00 s left" in lines(bar, 20.0, 11)


def test_a_resumed_training_counts_its_own_steps(lines):
    bar = progress.Progress("gan", 1000, start=500)
    lines(bar, 30.0, 501)
    assert "10 steps/s, 40 s left" in lines(bar, 10.0, 601)


def test_a_note_is_asked_for_when_it_is_shown(lines):
    asked = []
    bar = progress.Progress("gan", 100)
    for done in range(1, 31):
        lines(bar, 1.0, done, note=lambda: asked.append(1) or "d loss 0.5")
    assert len(asked) == 3  # every ten seconds
    assert re.search(r"left  d loss 0.5", lines(bar, 10.0, 40, note=lambda: "d loss 0.5"))
