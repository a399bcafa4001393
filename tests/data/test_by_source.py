"""Train on one clinic's images, test on another's."""

from __future__ import annotations

import pytest
import small_sources

from lesiongan.base.errors import UsageError
from lesiongan.config.data import DataConfig
from lesiongan.data import examples
from lesiongan.data.by_source import take_apart
from lesiongan.data.ingest import ingest, open_collection
from lesiongan.data.sources import open_source

CONFIG = DataConfig(by_source=("HAM", "BCN"), source_minimum=4, validation=0.2, test=0.2, join_near_duplicates=False)
#: Clinic -> class -> images. MSK has one class, BCN too few VASC, HAM no SCC.
IMAGES = {
    "HAM": {"MEL": 6, "NV": 9, "VASC": 5},
    "BCN": {"MEL": 5, "NV": 4, "VASC": 2, "SCC": 8},
    "MSK4": {"NV": 3},
    "": {"MEL": 2},
}


@pytest.fixture
def data(tmp_path) -> str:
    """A folder in ISIC's layout with the lesion ids of ISIC 2019."""
    rows = [(clinic, label) for clinic, classes in IMAGES.items() for label, n in classes.items() for _ in range(n)]
    ids = [f"ISIC_{i:07d}" for i in range(len(rows))]
    table = small_sources.one_hot(ids, [label for _, label in rows])
    folder = small_sources.folder(tmp_path / "data", table, [f"{i}.jpg" for i in ids])
    lines = ["image,lesion_id"]
    lesions = [f"{clinic}_{n:07d}" if clinic else "" for n, (clinic, _) in enumerate(rows)]
    lines += [f"{image_id},{lesion}" for image_id, lesion in zip(ids, lesions, strict=True)]
    (tmp_path / "data" / "metadata.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_only_classes_that_both_have_enough_of_are_used(data):
    collection = open_collection(data, CONFIG, 0)
    assert collection.source.taxonomy.classes == ("MEL", "NV")
    assert list(collection.further) == ["bcn_test"]
    assert collection.further["bcn_test"].taxonomy == collection.source.taxonomy
    for part, clinic in ((collection.source, "HAM"), (collection.further["bcn_test"], "BCN")):
        assert set(part.rows["lesion_id"].str[:3]) == {clinic}
        labels = [part.taxonomy.classes[label] for label in part.rows["label"]]
        assert {c: labels.count(c) for c in set(labels)} == {c: IMAGES[clinic][c] for c in ("MEL", "NV")}


def test_every_row_that_is_left_out_is_named_with_the_reason(data):
    why = [a.why for a in open_collection(data, CONFIG, 0).anomalies if a.where == "data.by_source"]
    assert why.count("its lesion id begins with none of the beginnings asked for") == 3 + 2
    assert why.count("a part has too few of class VASC") == 5 + 2
    assert why.count("a part has too few of class SCC") == 8
    assert len(why) == sum(sum(classes.values()) for classes in IMAGES.values()) - 15 - 9


def test_examples_have_the_other_clinic_as_a_test_set_of_its_own(data, tmp_path):
    info = ingest(data, tmp_path / "out", CONFIG, [16], 0, log=lambda line: None)
    assert info["further_tests"] == ["bcn_test"]
    assert info["counts"]["bcn_test"] == {"MEL": 5, "NV": 4}
    table = examples.read_table(tmp_path / "out")
    sides = table.groupby(table["lesion_id"].str[:3])["split"].unique()
    assert set(sides["HAM"]) == {"train", "validation", "test"}
    assert set(sides["BCN"]) == {"bcn_test"}
    assert len(examples.load(tmp_path / "out", 16, "bcn_test")) == 9


@pytest.mark.parametrize(
    ("prefixes", "minimum", "said"),
    [
        (("HAM", "XYZ"), 1, "no lesion id begins with 'XYZ'; lesion ids begin with BCN, HAM, MSK4"),
        (("HAM", "HAM_000"), 1, "overlap"),
        (("HAM", "BCN"), 6, "0 classes in common with at least 6"),
        (("HAM", "MSK"), 1, "1 classes in common"),
    ],
)
def test_what_cannot_be_taken_apart(data, prefixes, minimum, said):
    with pytest.raises(UsageError, match=said):
        take_apart(open_source(data, DataConfig(), 0), prefixes, minimum)


@pytest.mark.slow
@pytest.mark.parametrize(("minimum", "classes"), [(30, 8), (150, 5), (1100, 2)])
def test_isic_2019_is_ham10000_and_bcn_20000(real_data, minimum, classes):
    """HAM10000 has 115 DF, 142 VASC, 130 AK and 197 SCC in ISIC 2019 (in HAM10000 itself AK and SCC are one class)."""
    config = DataConfig(by_source=("HAM", "BCN"), source_minimum=minimum)
    collection = open_collection(str(real_data / "isic2019_84px"), config, 0)
    assert len(collection.source.taxonomy) == classes
    if classes == 8:
        assert len(collection.source.rows) == 10_015
        assert len(collection.further["bcn_test"].rows) == 12_413
