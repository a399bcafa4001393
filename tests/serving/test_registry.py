"""Pushed models: versions, a step back, and a step forth."""

from __future__ import annotations

import pytest

from lesiongan.base.errors import UsageError
from lesiongan.base.files import write_json, write_text
from lesiongan.data.taxonomy import ISIC_2019
from lesiongan.serving import model_artifact, registry
from lesiongan.steps.push import push

RECORD = {"format": 1, "name": "lesions", "kind": "acgan", "size": 64, "parameters": 1000, "version": "0.2.0"}
RECORD |= {"taxonomy": ISIC_2019.to_dict()}


@pytest.fixture
def store(tmp_path):
    """Two versions of one model; no TensorFlow is needed for any of it."""
    for digest in ("a", "b"):
        model = tmp_path / digest
        write_text(model / "saved_model" / "saved_model.pb", digest)
        write_json(model / "model.json", {**RECORD, "digest": digest, "exported": {"measured": {"kid": 0.1}}})
        verdict = {"Evaluator": {"blessed": True, "reason": f"nearer than before ({digest})"}}
        push(model, tmp_path / "store" / "lesions", verdict)
    return tmp_path / "store"


def test_each_version_has_a_row_with_what_is_known_of_it(store):
    first, second = registry.pushed(store)
    assert (first["version"], first["serving"], second["version"], second["serving"]) == (1, False, 2, True)
    assert second["measured"] == {"kid": 0.1}
    assert second["blessing"]["Evaluator"]["reason"] == "nearer than before (b)"
    assert second["disk"] > 0
    shown = registry.lines([first, second])
    assert "nearer than before (b)" in shown[2]
    assert " 2 *" in shown[2]


def test_each_version_has_its_card_with_its_blessing(store):
    for version, digest in (("1", "a"), ("2", "b")):
        text = (store / "lesions" / version / "README.md").read_text(encoding="utf-8")
        assert f"Evaluator: yes. nearer than before ({digest})." in text
        assert "Never for\ndiagnosis" in text
        assert 'folder = "."' in text


def test_a_step_back_and_forth(store):
    assert registry.roll_back(store, "lesions") == (2, 1)
    assert model_artifact.find(store / "lesions").name == "1"
    assert [(row["version"], row["withdrawn"]) for row in registry.pushed(store)] == [(1, False), (2, True)]
    with pytest.raises(UsageError, match="1 is its only version"):
        registry.roll_back(store, "lesions")
    assert registry.restore(store, "lesions", 2) == 2
    assert model_artifact.find(store / "lesions").name == "2"
    with pytest.raises(UsageError, match=r"version 2 was not withdrawn \(none\)"):
        registry.restore(store, "lesions", 2)


def test_a_withdrawn_number_is_not_given_again(store, tmp_path):
    registry.roll_back(store, "lesions")
    model = tmp_path / "c"
    write_text(model / "saved_model" / "saved_model.pb", "c")
    write_json(model / "model.json", {**RECORD, "digest": "c"})
    assert push(model, store / "lesions") == 3


def test_what_is_not_there_is_named(store, tmp_path):
    with pytest.raises(UsageError, match=r"no such model in .*; there are lesions"):
        registry.roll_back(store, "moles")
    with pytest.raises(UsageError, match="no such folder"):
        registry.pushed(tmp_path / "nowhere")
