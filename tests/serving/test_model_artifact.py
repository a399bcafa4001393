"""A model is found from whatever folder a person has in hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from lesiongan.base.errors import UsageError
from lesiongan.base.files import write_json
from lesiongan.serving.model_artifact import find


def model(folder: Path, kind: str) -> Path:
    folder.mkdir(parents=True)
    write_json(folder / "model.json", {"format": 1, "kind": kind})
    return folder


def test_a_pushed_model_by_its_version_and_by_its_name(tmp_path):
    for version in ("1", "9", "10"):
        model(tmp_path / "saved_models" / "classifier" / version, "classifier")
    latest = tmp_path / "saved_models" / "classifier" / "10"
    (tmp_path / "saved_models" / "classifier" / "10-old").mkdir()
    assert find(latest) == latest
    for above in (latest.parent, latest.parents[1], latest.parents[2]):
        assert find(above, "classifier") == latest


@pytest.mark.parametrize("folder", ["model", "models", "saved_models"])
def test_what_a_training_or_a_run_wrote(tmp_path, folder):
    wanted = model(tmp_path / folder / "classifier", "classifier")
    for name in ("alpha-1", "alpha-0.5"):
        model(tmp_path / folder / name, "cyclegan")
    assert find(tmp_path, "classifier") == wanted
    with pytest.raises(UsageError, match=r"several models here \(alpha-0\.5, alpha-1\); give the folder of the one"):
        find(tmp_path, "cyclegan")
    with pytest.raises(UsageError, match=r"no acgan here \(alpha-0\.5, alpha-1, classifier\)"):
        find(tmp_path, "acgan")


def test_what_is_no_model_is_one_line_that_says_why(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    damaged = model(tmp_path / "damaged", "classifier")
    (damaged / "model.json").write_text("{")
    for name, why in [
        ("gone", "there is no such folder"),
        ("file", "that is a file"),
        ("empty", r"no model here \(model\.json is missing\)"),
        ("damaged", "not the record of a model"),
    ]:
        with pytest.raises(UsageError, match=f"{name}.*{why}"):
            find(tmp_path / name)
    with pytest.raises(UsageError, match="a model of kind cyclegan; give a classifier's folder"):
        find(model(tmp_path / "c", "cyclegan"), "classifier")
