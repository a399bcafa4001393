"""Entries of kfp's cache, as kfp writes them, are read without kfp."""

from __future__ import annotations

import pytest
from kfp import dsl
from kfp.local.cache import LocalCache

from lesiongan.base.sealed import DamagedError, write_sealed
from pipelines.entries import read_entry


def written(folder, artifact: dsl.Artifact):
    entry = folder / "cache" / "0123.json"
    entry.parent.mkdir(exist_ok=True)
    write_sealed(entry, LocalCache._serialize_outputs({"made": artifact}), of=entry.stem)
    return entry


def test_a_confusion_matrix_is_read_as_it_was_logged(tmp_path):
    confusion = dsl.ClassificationMetrics(name="confusion", uri="artifacts/confusion")
    confusion.log_confusion_matrix(["MEL", "NV"], [[1, 2], [3, 4]])
    found = read_entry(written(tmp_path, confusion))["made"]
    assert found["metadata"] == confusion.metadata
    assert found["uri"] == "artifacts/confusion"


def test_no_other_artifact_has_more_than_numbers_and_texts(tmp_path):
    assert read_entry(written(tmp_path, dsl.Metrics(name="metrics", uri="a/metrics", metadata={"kid": 0.5})))
    with pytest.raises(DamagedError, match="not an entry"):
        read_entry(written(tmp_path, dsl.Metrics(name="metrics", uri="a/metrics", metadata={"kid": {"a": 1}})))
