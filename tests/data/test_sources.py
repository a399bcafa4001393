"""Sources: the layouts, and tables and folders as they really come."""

from __future__ import annotations

import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from small_sources import CLASSES, folder, jpeg, official, one_hot, whys

from lesiongan.base.errors import MachineError, UsageError
from lesiongan.config.data import DataConfig
from lesiongan.data.pictures import Unusable
from lesiongan.data.sources import open_source
from lesiongan.data.taxonomy import ISIC_2019

CONFIG = DataConfig()


@pytest.mark.parametrize(("packed", "unpacked"), [(True, False), (False, True), (True, True)])
def test_the_official_layout(tmp_path, packed, unpacked):
    source = open_source(official(tmp_path, packed=packed, unpacked=unpacked), CONFIG, 0)
    assert source.kind == "isic_challenge"
    assert source.origin == "real"
    assert source.taxonomy == ISIC_2019
    assert source.rows["label"].tolist() == list(range(8)) * 2
    assert source.rows["image_id"][3] == "ISIC_0000003_downsampled"
    assert source.rows.loc[2, ["lesion_id", "age_approx", "sex"]].tolist() == ["BCN_1", 50.0, "male"]
    assert source.rows["lesion_id"][1] == ""
    assert np.isnan(source.rows["age_approx"][1])
    assert not source.anomalies
    reader = pickle.loads(pickle.dumps(source.reader))
    for position, location in enumerate(source.rows["location"]):
        assert reader.read(location) == jpeg(position)


def test_a_table_beside_pictures_of_any_name(tmp_path):
    table = one_hot(["a", "b.jpg", "c.PNG", "sub/d"], ["bad", "good", "bad", "good"], ["good", "bad"])
    data = folder(tmp_path / "x", table, ["a.jpg", "b.jpeg", "c.JPG", "sub/d.png"], name="labels.csv", images="pics")
    source = open_source(data, CONFIG, 0)
    assert source.kind == "one_hot_csv"
    assert source.taxonomy.classes == ("good", "bad")
    assert source.rows["label"].tolist() == [1, 0, 1, 0]
    assert source.rows["image_id"].tolist() == ["a", "b", "c", "sub_d"]
    assert source.rows["location"].tolist() == ["pics/a.jpg", "pics/b.jpeg", "pics/c.JPG", "pics/sub/d.png"]


def test_the_tables_path_can_be_given(tmp_path):
    data = folder(tmp_path, one_hot(["a", "b"], ["MEL", "NV"]), ["a.jpg", "b.jpg"], name="ground_truth.csv")
    (tmp_path / "ground_truth_2.csv").write_text(one_hot(["a"], ["DF"]))
    with pytest.raises(UsageError, match=r"ground_truth\.csv, ground_truth_2\.csv"):
        open_source(data, CONFIG, 0)
    assert len(open_source(f"{data}/ground_truth.csv", CONFIG, 0).rows) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace(",", ";").replace("1.0", "1,0").replace("0.0", "0,0").encode(),
        lambda text: text.replace(",", "\t").encode(),
        lambda text: text.encode("utf-16"),
        lambda text: text.replace("\n", ",,\n").encode(),
        lambda text: text.replace("\n", "\n\n").encode(),
    ],
    ids=["BOM", "CRLF", "semicolons", "tabs", "UTF-16", "commas at the end", "empty lines"],
)
def test_csv_as_spreadsheets_write_it(tmp_path, change):
    table = change(one_hot(["a", "b", "c"], ["MEL", "NV", "DF"]))
    source = open_source(folder(tmp_path / "x", table, ["a.jpg", "b.jpg", "c.jpg"]), CONFIG, 0)
    assert source.taxonomy.classes == ("MEL", "NV", "DF")
    assert source.rows["label"].tolist() == [0, 1, 2]
    assert set(whys(source).values()) == {"the class has no rows"}


def test_rows_that_are_not_used_are_named(tmp_path):
    ids = [
        "good",
        "twice",
        "twice",
        "torn",
        "torn",
        "two",
        "none",
        "nan",
        "unk",
        "../up",
        "/abs",
        "C:\\win",
        "",
        "other",
    ]
    labels = ["MEL", "NV", "NV", "MEL", "NV", *["MEL"] * 8, "NV"]
    lines = one_hot(ids, labels).splitlines()
    lines[6] = "two,1,1,0,0,0,0,0,0,0"
    lines[7] = "none,0,0,0,0,0,0,0,0,0"
    lines[8] = "nan,NaN,0,0,0,0,0,0,0,0"
    lines[9] = "unk,0,0,0,0,0,0,0,0,1"
    lines.append("short,1,0")
    names = ["good.jpg", "twice.jpg", "torn.jpg", "two.jpg", "other.jpg", "stray.jpg", "a/good.jpg"]
    source = open_source(folder(tmp_path / "x", "\n".join(lines), names), CONFIG, 0)
    assert source.rows["image_id"].tolist() == ["good", "twice", "other"]
    why = whys(source)
    assert why["twice"] == "the same id again"
    assert why["torn"] == "the same id with different classes"
    assert why["two"] == "2 classes are 1"
    assert why["none"] == "0 classes are 1"
    assert why["nan"] == "a class value is neither 0 nor 1"
    assert why["unk"] == "class UNK"
    assert why["short"] == "the line has 3 fields, the header 10"
    for bad in ("../up", "/abs", "C:\\win", ""):
        assert why[bad] == "the id is empty or leads out of the folder"
    assert why["images/stray.jpg"] == "the image has no row"
    assert [a.where for a in source.anomalies if a.what == "two"] == ["ground_truth.csv line 7"]
    assert sum(a.what == "torn" for a in source.anomalies) == 2
    used = source.rows["location"][0]
    other = ({"images/good.jpg", "images/a/good.jpg"} - {used}).pop()
    assert why[other] == f"a file of the same name is used: {used}"


def test_downsampled_ids_find_their_picture_but_never_anothers(tmp_path):
    ids = ["one", "two_downsampled", "three", "three_downsampled"]
    names = ["one_downsampled.jpg", "two.jpg", "three_downsampled.jpg"]
    source = open_source(folder(tmp_path / "x", one_hot(ids, ["MEL", "NV", "MEL", "NV"]), names), CONFIG, 0)
    locations = ["images/one_downsampled.jpg", "images/two.jpg", "", "images/three_downsampled.jpg"]
    assert source.rows["location"].tolist() == locations
    assert whys(source)["three"] == "the row has no image"


def test_missing_images_are_allowed_up_to_half(tmp_path):
    ids = list("abcdefgh")
    data = folder(tmp_path / "x", one_hot(ids, ["MEL", "NV"] * 4), [f"{i}.jpg" for i in "abcd"])
    source = open_source(data, CONFIG, 0)
    assert (source.rows["location"] == "").sum() == 4
    assert sum(a.why == "the row has no image" for a in source.anomalies) == 4
    Path(data, "images/d.jpg").unlink()
    with pytest.raises(UsageError, match=r"5 of its 8 rows.*--allow-missing"):
        open_source(data, CONFIG, 0)
    assert len(open_source(data, DataConfig(allow_missing=True), 0).rows) == 8
    for path in Path(data, "images").iterdir():
        path.unlink()
    with pytest.raises(UsageError, match="not one of its 8 rows"):
        open_source(data, DataConfig(allow_missing=True), 0)


def test_class_folders(tmp_path):
    for position, name in enumerate(["Melanoma/1.jpg", "Melanoma/2.jpg", "nevus/1.jpg", "nevus/\u00fcber 3.png"]):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(jpeg(position))
    (tmp_path / "empty").mkdir()
    (tmp_path / "loose.jpg").write_bytes(jpeg())
    source = open_source(str(tmp_path), CONFIG, 0)
    assert source.kind == "class_folders"
    assert source.taxonomy.classes == ("MEL", "NV")
    assert source.rows["label"].tolist() == [0, 0, 1, 1]
    assert source.rows["image_id"].tolist() == ["Melanoma_1.jpg", "2", "nevus_1.jpg", "\u00fcber 3"]
    assert source.read(source.rows["location"][3]) == jpeg(3)
    assert whys(source) == {
        "empty": "the folder has no pictures",
        "loose.jpg": "the picture is in no class's folder",
    }


def test_all_eight_folders_have_isic_order(tmp_path):
    for name in CLASSES:
        (tmp_path / name.lower()).mkdir()
        (tmp_path / name.lower() / f"{name}.jpg").write_bytes(jpeg())
    assert open_source(str(tmp_path), CONFIG, 0).taxonomy == ISIC_2019


def test_links_out_of_the_folder_are_not_followed(tmp_path):
    (tmp_path / "secret.jpg").write_bytes(jpeg())
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/c.jpg").write_bytes(jpeg())
    data = folder(tmp_path / "x", one_hot(["a", "b", "c"], ["MEL", "NV", "MEL"]), ["a.jpg", "real.jpg"])
    Path(data, "images/b.jpg").symlink_to(tmp_path / "secret.jpg")
    Path(data, "more").symlink_to(tmp_path / "outside")
    source = open_source(data, DataConfig(allow_missing=True), 0)
    assert source.rows["location"].tolist() == ["images/a.jpg", "", ""]
    assert "symbolic link" in whys(source)["images/b.jpg"]
    assert "symbolic link" in whys(source)["more"]


def test_archives_with_entries_that_climb_out(tmp_path):
    data = folder(tmp_path / "x", one_hot(["a", "b"], ["MEL", "NV"]), [])
    with zipfile.ZipFile(Path(data, "pictures.zip"), "w") as archive:
        archive.writestr("a.jpg", jpeg(1))
        archive.writestr("../../b.jpg", jpeg(2))
        archive.writestr("__MACOSX/._a.jpg", b"resource fork")
    source = open_source(data, CONFIG, 0)
    assert source.rows["location"].tolist() == ["pictures.zip::a.jpg", ""]
    assert source.read("pictures.zip::a.jpg") == jpeg(1)
    assert whys(source)["../../b.jpg"] == "the entry's path leads out of the archive"


def test_a_damaged_archive(tmp_path):
    data = Path(folder(tmp_path / "x", one_hot(["a", "b"], ["MEL", "NV"]), []))
    with zipfile.ZipFile(data / "p.zip", "w") as archive:
        archive.writestr("a.jpg", jpeg(1))
    source = open_source(str(data), CONFIG, 0)
    content = bytearray((data / "p.zip").read_bytes())
    content[60] ^= 255  # in the entry's bytes: the CRC does not fit any more
    (data / "p.zip").write_bytes(content)
    with pytest.raises(Unusable, match="damaged in the archive"):
        source.read("p.zip::a.jpg")
    with pytest.raises(MachineError, match="vanished while the pictures were read"):
        source.read("images/gone.jpg")
    (data / "p.zip").write_bytes(content[:100])
    with pytest.raises(UsageError, match=r"p\.zip: the zip file cannot be read"):
        open_source(str(data), CONFIG, 0)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("picture,MEL,NV\na,1,0\n", "no image column"),
        ("image,MEL,NV,thickness\na,1,0,3.7\nb,0,1,2.5\n", "column 'thickness'"),
        ("image,MEL,NV,hospital\na,1,0,Oslo\nb,0,1,Bergen\n", "column 'hospital'"),
        ("image,lesion_id\na,x\n", "fewer than two class columns"),
        ("image,MEL,NV\na,1,1\nb,0,0\n", "no usable row"),
        ("image,MEL,MEL\na,1,0\n", "stands twice"),
        ("image,AK,AKIEC\na,1,0\n", "are one class"),
        ("", "no image column"),
    ],
)
def test_tables_that_cannot_be_understood(tmp_path, table, message):
    data = folder(tmp_path / "x", table, ["a.jpg", "b.jpg"])
    with pytest.raises(UsageError, match=message) as error:
        open_source(data, CONFIG, 0)
    assert "ground_truth.csv" in str(error.value)


def test_paths_that_are_no_source(tmp_path):
    with pytest.raises(UsageError, match="no such file or folder"):
        open_source(str(tmp_path / "gone"), CONFIG, 0)
    with pytest.raises(UsageError, match="no ground-truth CSV"):
        open_source(str(tmp_path), CONFIG, 0)
    (tmp_path / "a.jpg").write_bytes(jpeg())
    with pytest.raises(UsageError, match="give the folder of the data"):
        open_source(str(tmp_path / "a.jpg"), CONFIG, 0)
    for name in ("train/MEL", "test/MEL"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "b.jpg").write_bytes(jpeg())
    with pytest.raises(UsageError, match="test, train are a split"):
        open_source(str(tmp_path), CONFIG, 0)


def test_the_kind_can_be_named(tmp_path):
    """A folder with class folders and a table: the table is found first."""
    data = folder(tmp_path, one_hot(["a", "b"], ["MEL", "NV"]), ["a.jpg", "b.jpg"], images="DF")
    (tmp_path / "VASC").mkdir()
    (tmp_path / "VASC/c.jpg").write_bytes(jpeg(9))
    assert open_source(data, CONFIG, 0).taxonomy.classes == ("MEL", "NV")
    named = open_source(data, DataConfig(kind="class_folders"), 0)
    assert named.taxonomy.classes == ("DF", "VASC")
    with pytest.raises(UsageError, match="no source of the kind isic_challenge"):
        open_source(data, DataConfig(kind="isic_challenge"), 0)
    with pytest.raises(UsageError, match="'zip' is none of phantoms, isic_challenge, one_hot_csv"):
        open_source(data, DataConfig(kind="zip"), 0)


def test_phantoms():
    source = open_source("phantoms", DataConfig(phantoms=40, phantom_size=24), 3)
    assert (source.kind, source.origin, source.taxonomy) == ("phantoms", "phantom", ISIC_2019)
    assert len(source.rows) == 40
    picture = source.read(source.rows["location"][0])
    assert picture.shape == (24, 24, 3)
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, pickle.loads(pickle.dumps(source.reader)).read(source.rows["location"][0]))


def test_sources_need_no_tensorflow():
    code = "import sys, lesiongan.data.sources, lesiongan.data.ingest; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_isic_2019(real_data):
    source = open_source(str(real_data / "isic2019_84px"), CONFIG, 0)
    assert source.kind == "isic_challenge"
    assert len(source.rows) == 25_331
    assert (source.rows["location"] == "").sum() == 2_345
    assert [anomaly.why for anomaly in source.anomalies] == ["the row has no image"] * 2_345
    assert (source.rows["lesion_id"] == "").sum() == 2_084


def test_isic_sample(real_data):
    source = open_source(str(real_data / "isic_sample"), CONFIG, 0)
    assert source.kind == "one_hot_csv"
    assert source.taxonomy == ISIC_2019
    assert np.bincount(source.rows["label"]).tolist() == [468, 936, 401, 101, 351, 90, 111, 154]  # its README
    assert not source.anomalies
