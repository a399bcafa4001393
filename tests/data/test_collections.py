"""A source with a given split or with further test sets, as ExampleGen and `lesiongan data` see it."""

from __future__ import annotations

import dataclasses
import json
import shutil
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from small_sources import CLASSES, folder, jpeg, one_hot

from lesiongan.base.errors import UsageError
from lesiongan.config.data import DataConfig
from lesiongan.data import examples
from lesiongan.data.fingerprint import source_fingerprint
from lesiongan.data.ingest import ingest
from lesiongan.data.overview import lines, overview
from lesiongan.data.sources import further_tests

IDS = [f"ISIC_{i:07d}" for i in range(80)]
CONFIG = DataConfig(validation=0.2, test=0.2)


@pytest.fixture
def data(tmp_path) -> str:
    """80 images of the eight classes in the official layout."""
    root = tmp_path / "ISIC_2019"
    table = one_hot(IDS, CLASSES * 10)
    names = [f"{name}.jpg" for name in IDS]
    return folder(root, table, names, name="ISIC_2019_Training_GroundTruth.csv", images="ISIC_2019_Training_Input")


def official_test(data: str) -> None:
    """The official test set as released later: other ids, UNK in use, two columns of weights."""
    ids = [f"ISIC_9{i:06d}" for i in range(12)]
    lines = one_hot(ids, (*CLASSES, "UNK", "UNK", "MEL", "NV")).splitlines()
    weights = ["score_weight,validation_weight", *["1.0,0.0"] * 12]
    table = "\n".join(f"{line},{weight}" for line, weight in zip(lines, weights, strict=True))
    folder(
        Path(data),
        table,
        [f"{name}.jpg" for name in ids],
        name="ISIC_2019_Test_GroundTruth.csv",
        images="ISIC_2019_Test_Input",
        seed=1000,
    )


def silent(line: str) -> None:
    pass


def test_the_official_test_set_is_found(data, tmp_path):
    official_test(data)
    assert list(further_tests(data, CONFIG)) == ["isic_2019_test"]
    info = ingest(data, tmp_path / "out", CONFIG, [16], 0, log=silent, workers=1)
    assert info["further_tests"] == ["isic_2019_test"]
    assert sum(map(sum, info["table1"].values())) == 80  # Table 1 is of the training set
    assert info["counts"]["isic_2019_test"] == {**dict.fromkeys(CLASSES, 1), "MEL": 2, "NV": 2}
    assert info["anomalies"] == {"class UNK": 2, "its row is not used": 2}
    images = examples.load(tmp_path / "out", 16, "isic_2019_test")
    assert len(images) == 10
    assert set(images.ids) <= {f"ISIC_9{i:06d}" for i in range(12)}
    assert len(examples.load(tmp_path / "out", 16, "test")) == sum(info["counts"]["test"].values())
    with pytest.raises(UsageError, match="no split 'further'; there are train, validation, test, isic_2019_test"):
        examples.load(tmp_path / "out", 16, "further")


def test_half_a_download_of_the_official_test_set_is_named_and_no_hindrance(data, tmp_path):
    official_test(data)
    folder = Path(data) / "ISIC_2019_Test_Input"
    archive = folder.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as whole:
        for path in sorted(folder.iterdir()):
            whole.write(path, f"{folder.name}/{path.name}")
    shutil.rmtree(folder)
    assert list(further_tests(data, CONFIG)) == ["isic_2019_test"]
    archive.write_bytes(archive.read_bytes()[:-100])
    assert further_tests(data, CONFIG) == {}
    said: list[str] = []
    info = ingest(data, tmp_path / "out", CONFIG, [16], 0, log=said.append, workers=1)
    assert info["further_tests"] == []
    fault = "the zip file cannot be read (File is not a zip file); download it again"
    assert info["anomalies"] == {fault: 1}
    assert f"{archive.name}: {fault}" in said


def test_a_named_test_set_with_classes_of_its_own(data, tmp_path):
    for name, count in (("nevus", 3), ("MEL", 2), ("wart", 4)):
        for i in range(count):
            path = tmp_path / "my clinic" / name / f"{name}{i}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg(500 + i))
    config = dataclasses.replace(CONFIG, further_tests=(str(tmp_path / "my clinic"),))
    info = ingest(data, tmp_path / "out", config, [16], 0, log=silent, workers=1)
    assert info["counts"]["my_clinic_test"] == {**dict.fromkeys(CLASSES, 0), "MEL": 2, "NV": 3}
    assert info["anomalies"] == {"class wart is none of the training classes": 4}
    # nevus 0 and melanoma 0 are the same random picture
    assert info["leak_audit"]["near_duplicates_of_different_classes"] == 2
    with pytest.raises(UsageError, match="no such file or folder"):
        ingest(data, tmp_path / "no", dataclasses.replace(CONFIG, further_tests=("gone",)), [16], 0, log=silent)


def test_a_picture_of_the_training_set_in_a_further_test_set(data, tmp_path):
    official_test(data)
    source = Path(data)
    shutil.copy(
        source / "ISIC_2019_Training_Input" / f"{IDS[0]}.jpg", source / "ISIC_2019_Test_Input" / "ISIC_9000003.jpg"
    )
    split = tmp_path / "split.csv"
    sides = ["train"] * 60 + ["val"] * 10 + ["TEST"] * 10
    pd.DataFrame({"image": IDS, "split": sides}).to_csv(split, index=False)
    config = dataclasses.replace(CONFIG, split=str(split))
    info = ingest(data, tmp_path / "out", config, [16], 0, log=silent, workers=1)
    assert info["leak_audit"]["images_with_near_duplicate_in_training"] == 1
    row = pd.read_csv(tmp_path / "out" / "leaks.csv").iloc[0]
    assert row[["image", "split", "duplicate", "duplicate_split"]].tolist() == [
        "ISIC_0000000",
        "train",
        "ISIC_9000003",
        "isic_2019_test",
    ]


def test_a_given_split_is_taken_as_it_is(data, tmp_path):
    split = tmp_path / "split.csv"
    sides = ["train"] * 40 + ["validation"] * 16 + ["test"] * 16
    text = "\r\n".join(["Image;Split", *(f"{name}.jpg;{side}" for name, side in zip(IDS, sides, strict=False))])
    split.write_bytes(b"\xef\xbb\xbf" + f"{text}\r\nISIC_7;test\r\n".encode())
    config = dataclasses.replace(CONFIG, split=str(split))
    info = ingest(data, tmp_path / "out", config, [16], 0, log=silent, workers=1)
    table = examples.read_table(tmp_path / "out").set_index("image_id")
    assert table.loc[IDS[:72], "split"].tolist() == sides
    assert len(table) == 72
    assert info["table1"]["MEL"] == [5, 2, 2]
    anomalies = pd.read_csv(tmp_path / "out" / "anomalies.csv")
    assert anomalies["what"].tolist() == [*IDS[72:], "ISIC_7"]
    assert set(anomalies["why"]) == {"the given split does not name it", "no image of the data has this id"}
    before = source_fingerprint(data, config, 0)
    split.write_text(split.read_text().replace("validation", "val"))
    assert source_fingerprint(data, config, 0) != before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,side\na,train\n", "columns image and split"),
        (f"image,split\n{IDS[0]},trian\n", "line 2: 'trian' is none of train, validation, test"),
        (f"image,split\n{IDS[0]},train\n{IDS[0]},test\n", "line 3: ISIC_0000000 is on two sides"),
        (f"image,split\n{IDS[0]},train\n", "no image of the data on the side validation"),
        (
            "image,split\n" + "".join(f"{n},{'train' if i else 'test'}\n{n}x,val\n" for i, n in enumerate(IDS)),
            "no image of the data on the side validation",
        ),
        (
            "image,split\n"
            + "".join(f"{n},{('val', 'test')[i // 8 % 2] if i % 8 == 3 else 'train'}\n" for i, n in enumerate(IDS)),
            "trains on no image of class AK",
        ),
    ],
)
def test_splits_that_cannot_be_used(data, tmp_path, text, message):
    (tmp_path / "split.csv").write_text(text)
    with pytest.raises(UsageError, match=message):
        ingest(data, tmp_path / "out", dataclasses.replace(CONFIG, split=str(tmp_path / "split.csv")), [16], 0)
    assert not (tmp_path / "out").exists()


def test_the_overview(data, tmp_path):
    official_test(data)
    inside = Path(data) / "ISIC_2019_Training_Input"
    (inside / f"{IDS[5]}.jpg").write_bytes(b"")
    (inside / f"{IDS[6]}.jpg").unlink()
    shutil.copy(inside / f"{IDS[8]}.jpg", inside / f"{IDS[16]}.jpg")
    config = dataclasses.replace(CONFIG, max_unusable=0.05)
    found = overview(data, config, 0, workers=1)
    assert json.loads(json.dumps(found)) == found
    assert (found["kind"], found["rows"], found["images"], found["missing"]) == ("isic_challenge", 90, 88, 1)
    assert found["unusable"] == 1
    assert found["table1"] == {name: [6, 2, 2] for name in CLASSES}
    assert found["shapes"] == {"16x16": 88}
    assert found["leak_audit"]["near_duplicates"] == 1
    assert [pair["image"] for pair in found["duplicates"]] == [IDS[8]]
    whys = {anomaly["what"]: anomaly["why"] for anomaly in found["anomalies"]}
    assert whys[IDS[6]] == "the row has no image"
    assert whys[f"ISIC_2019_Training_Input/{IDS[5]}.jpg"] == "the file is empty (0 bytes)"
    text = "\n".join(lines(found))
    for part in ("MEL", "16 x 16: 88", "near duplicates: 1", "1 x the row has no image: ISIC_0000006", "by_lesion"):
        assert part in text
    quick = overview(data, config, 0, quick=True)
    assert quick["table1"] == found["table1"]
    assert quick["unusable"] is quick["shapes"] is quick["leak_audit"]["near_duplicates"] is None
    assert "not opened" in "\n".join(lines(quick))
