"""`lesiongan doctor` asks the machine itself."""

from __future__ import annotations

import re

import pytest

from pipelines import doctor


@pytest.mark.slow
def test_devices_and_what_bfloat16_is_worth_are_of_this_machine():
    lines, well = doctor.examine()
    assert well, lines
    assert any(re.fullmatch(r"devices: (CPU|GPU)(, (CPU|GPU))*", line) for line in lines), lines
    said = [re.fullmatch(r"bfloat16: a convolution takes (\S+) times as long as in float32", line) for line in lines]
    assert float(next(filter(None, said))[1]) > 0


def test_a_tensorflow_that_does_not_start_is_said(tmp_path, monkeypatch):
    (tmp_path / "tensorflow.py").write_text("raise ImportError('libcudart.so.12: no such file')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    lines, _ = doctor.examine()
    assert "devices: TensorFlow does not start: ImportError: libcudart.so.12: no such file" in lines
