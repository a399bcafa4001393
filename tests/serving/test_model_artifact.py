"""A model is found from whatever folder a person has in hand."""

from __future__ import annotations

import copy
import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from lesiongan.base.errors import UsageError
from lesiongan.base.files import write_json
from lesiongan.base.shown import is_plain
from lesiongan.data.taxonomy import ISIC_2019
from lesiongan.serving import model_artifact, saved_models
from lesiongan.serving.hub import prepared
from lesiongan.serving.model_artifact import find
from lesiongan.steps.push import push


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


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.update(size=64),
        lambda record: record.update(kind="cyclegan"),
        lambda record: [record["taxonomy"][key].reverse() for key in record["taxonomy"]],
        lambda record: record.pop("digest"),
        lambda record: record.update(resize="evil"),
    ],
)
def test_a_record_that_was_changed_is_refused(models, tmp_path, change):
    shutil.copytree(models / "classifier", tmp_path / "model")
    record = json.loads((tmp_path / "model" / "model.json").read_text())
    change(record)
    (tmp_path / "model" / "model.json").write_text(json.dumps(record))
    with pytest.raises(UsageError, match="was changed after the model was exported"):
        model_artifact.describe(tmp_path / "model")


def test_one_flipped_bit_of_the_weights_is_seen_pushed_or_not(models, tmp_path):
    shutil.copytree(models / "classifier", tmp_path / "model")
    push(tmp_path / "model", tmp_path / "pushed")
    saved_models.load(tmp_path / "pushed")  # it is well
    for place in (tmp_path / "model" / "saved_model", tmp_path / "pushed" / "1"):
        weights = place / "variables" / "variables.data-00000-of-00001"
        content = bytearray(weights.read_bytes())
        content[len(content) // 2] ^= 0x40
        weights.write_bytes(content)
    for place in ("model", "pushed"):
        with pytest.raises(UsageError, match="is damaged"):
            saved_models.load(tmp_path / place)


def test_what_stands_beside_a_pushed_model_does_not_go_to_the_hub(models, tmp_path):
    shutil.copytree(models / "classifier", tmp_path / "model")
    (tmp_path / "model" / model_artifact.SEEN).write_bytes(b"digests")
    push(tmp_path / "model", tmp_path / "pushed")
    assert (tmp_path / "pushed" / "1" / model_artifact.SEEN).is_file()
    laid_out = prepared(tmp_path / "pushed", tmp_path / "hub", "owner/name", "cc-by-nc-4.0")
    assert not [name for name in laid_out if name.endswith(model_artifact.SEEN)]
    saved_models.load(tmp_path / "hub")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("\x1b[2J"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
WHOLE = {
    "format": 1,
    "kind": "classifier",
    "name": "m",
    "size": 32,
    "taxonomy": ISIC_2019.to_dict(),
    "digest": "0" * 64,
    "resize": "squash",
    "refines": ["MEL"],
}
PLACES = [*WHOLE, "taxonomy.classes", "taxonomy.names", "taxonomy.colours", "record_digest"]


@settings(max_examples=int(os.environ.get("LESIONGAN_FUZZ", "150")), deadline=None)
@given(st.dictionaries(st.sampled_from(PLACES), JSON, max_size=3), st.sets(st.sampled_from(list(WHOLE)), max_size=2))
def test_any_record_is_read_or_refused_in_one_line(fuzz_folder, changes, gone):
    record = copy.deepcopy({key: value for key, value in WHOLE.items() if key not in gone})
    for place, value in changes.items():
        key, _, inner = place.partition(".")
        if inner and isinstance(record.get(key), dict):
            record[key][inner] = value
        else:
            record[key] = value
    path = fuzz_folder / "model.json"
    path.write_text(json.dumps(record), encoding="utf-8")
    try:
        read = model_artifact.describe(fuzz_folder)
        model_artifact.check_complete(fuzz_folder, read)
    except UsageError as error:
        read, said = None, str(error)
    if read is None:
        assert said.startswith(str(fuzz_folder))
        assert is_plain(said)
        return
    assert read["size"] > 0
    assert set(model_artifact.made_classes(read)) <= set(read["taxonomy"]["classes"])


@settings(max_examples=50, deadline=None)
@given(
    st.binary(max_size=100) | st.text(max_size=50).map(str.encode) | JSON.map(lambda value: json.dumps(value).encode())
)
def test_any_bytes_are_no_record(fuzz_folder, content):
    (fuzz_folder / "model.json").write_bytes(content)
    with pytest.raises(UsageError, match=r"model\.json"):
        model_artifact.find(fuzz_folder)


@pytest.fixture(scope="module")
def fuzz_folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("record")
