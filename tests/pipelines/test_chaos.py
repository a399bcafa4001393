"""A run that is killed again and again gives what an undisturbed one gives; see `benchmarks.chaos`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.chaos import Chaos, tiny
from lesiongan.base.files import write_json


def toy(workdir: Path) -> list[str]:
    return [sys.executable, str(Path(__file__).with_name("toy_pipeline.py")), str(workdir)]


def test_kills_change_nothing_and_a_changed_result_is_seen(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    chaos = Chaos(tmp_path, toy, seed=0)
    assert chaos.compare(3) == 3
    assert chaos.faults("killed-1") == []
    result = next((tmp_path / "killed-1").glob("artifacts/*/step-3/made/numbers.csv"))
    result.write_text("15")
    write_json(tmp_path / "killed-1" / ".a.abcdefgh.part", {})
    assert [fault.partition(": ")[2] for fault in chaos.faults("killed-1")] == [
        "another content (numbers.csv)", "is left",
    ]  # fmt: skip


@pytest.mark.long
@pytest.mark.timeout(2400)
def test_kills_of_a_whole_run_change_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    assert Chaos(tmp_path, tiny, seed=0).compare(2) == 2
