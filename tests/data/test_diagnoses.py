"""Tables with diagnoses in words, as HAM10000, ISIC 2018 and the ISIC Archive's downloader really write them."""

from __future__ import annotations

import pytest
from small_sources import folder, one_hot, whys

from lesiongan.base.errors import UsageError
from lesiongan.config.data import DataConfig
from lesiongan.data import diagnoses
from lesiongan.data.sources import open_source
from lesiongan.data.taxonomy import ISIC_2019

CONFIG = DataConfig()

HAM10000 = """lesion_id,image_id,dx,dx_type,age,sex,localization,dataset
HAM_0000118,ISIC_0027419,bkl,histo,80.0,male,scalp,vidir_modern
HAM_0000118,ISIC_0025030,bkl,histo,80.0,male,scalp,vidir_modern
HAM_0002730,ISIC_0026769,akiec,histo,,unknown,face,rosendahl
HAM_0001466,ISIC_0031633,mel,histo,75.0,female,ear,vienna_dias
HAM_0002761,ISIC_0029176,vasc,consensus,60.0,male,back,vidir_molemax
"""

# the columns of `isic image download`, from its public documentation; commas inside quotes as there
ARCHIVE = """isic_id,attribution,copyright_license,age_approx,anatom_site_general,diagnosis_1,diagnosis_2,diagnosis_3,\
diagnosis_4,diagnosis_confirm_type,image_type,lesion_id,patient_id,sex
ISIC_0000001,"Hospital, Clinic",CC-BY-NC,55,head/neck,Malignant,Malignant melanocytic proliferations (Melanoma),\
Melanoma in situ,"Melanoma in situ, Lentigo maligna type",histopathology,dermoscopic,IL_1,IP_1,female
ISIC_0000002,Anonymous,CC-0,30,posterior torso,Benign,Benign melanocytic proliferations,Nevus,,,dermoscopic,\
IL_2,IP_2,male
ISIC_0000003,Anonymous,CC-0,,,Benign,Benign soft tissue proliferations - Vascular,Spider angioma of sorts,,,\
dermoscopic,,IP_2,
ISIC_0000004,Anonymous,CC-0,70,head/neck,Indeterminate,Indeterminate epidermal proliferations,\
Solar or actinic keratosis,,,dermoscopic,IL_4,IP_4,male
ISIC_0000005,Anonymous,CC-0,70,head/neck,Benign,Other,Scar,,,dermoscopic,IL_5,IP_5,male
ISIC_0000006,Anonymous,CC-0,70,head/neck,,,,,,dermoscopic,IL_6,IP_6,male
"""


@pytest.mark.parametrize("name", ["HAM10000_metadata.csv", "HAM10000_metadata", "HAM10000_metadata.tab"])
def test_ham10000(tmp_path, name):
    table = HAM10000.replace(",", "\t") if name.endswith("tab") else HAM10000
    parts = ("HAM10000_images_part_1/ISIC_0027419.jpg", "HAM10000_images_part_1/ISIC_0025030.jpg")
    more = [f"HAM10000_images_part_2/ISIC_00{number}.jpg" for number in (26769, 31633, 29176)]
    data = folder(tmp_path, table, [*parts, *more], name=name, images="")
    source = open_source(data, CONFIG, 0)
    assert source.kind == "diagnosis_csv"
    assert source.taxonomy.classes == ("MEL", "AK", "BKL", "VASC")  # akiec -> AK; in ISIC 2019's order
    assert [source.taxonomy.classes[label] for label in source.rows["label"]] == ["BKL", "BKL", "AK", "MEL", "VASC"]
    assert source.rows["lesion_id"].tolist()[:3] == ["HAM_0000118", "HAM_0000118", "HAM_0002730"]
    assert source.rows.loc[3, ["age_approx", "sex", "anatom_site_general"]].tolist() == [75.0, "female", "ear"]
    assert (source.rows["location"] != "").all()
    assert not source.anomalies


def test_isic_2018_task_3(tmp_path):
    columns = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
    ids = [f"ISIC_00243{i:02d}" for i in range(14)]
    base = "ISIC2018_Task3_Training"
    data = folder(tmp_path, "", [f"{name}.jpg" for name in ids], images=f"{base}_Input")
    (tmp_path / "ground_truth.csv").unlink()
    inner = tmp_path / f"{base}_GroundTruth"
    inner.mkdir()
    (inner / f"{base}_GroundTruth.csv").write_text(one_hot(ids, columns * 2, columns))
    groups = "\n".join(
        ["image,lesion_id,diagnosis confirm type"] + [f"{name},HAM_{i // 2},single" for i, name in enumerate(ids)]
    )
    (inner / f"{base}_LesionGroupings.csv").write_text(groups)
    source = open_source(data, CONFIG, 0)
    assert source.kind == "isic_challenge"
    assert source.taxonomy.classes == ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC")
    assert source.rows["label"].tolist() == list(range(7)) * 2
    assert source.rows["lesion_id"].tolist()[:3] == ["HAM_0", "HAM_0", "HAM_1"]
    assert (source.rows["location"] != "").all()


def test_the_archives_downloader(tmp_path):
    data = folder(tmp_path, ARCHIVE, [f"ISIC_000000{i}.jpg" for i in range(1, 7)], name="metadata.csv", images="")
    (tmp_path / "attribution.txt").write_text("...")
    source = open_source(data, CONFIG, 0)
    assert source.taxonomy.classes == ("MEL", "NV", "AK", "VASC")
    found = dict(zip(source.rows["image_id"], (source.taxonomy.classes[i] for i in source.rows["label"]), strict=True))
    assert found == {"ISIC_0000001": "MEL", "ISIC_0000002": "NV", "ISIC_0000003": "VASC", "ISIC_0000004": "AK"}
    assert source.rows["patient_id"].tolist() == ["IP_1", "IP_2", "IP_2", "IP_4"]
    assert whys(source)["ISIC_0000005"] == "diagnosis 'scar' is not in the table of diagnoses"
    assert whys(source)["ISIC_0000006"] == "no diagnosis"


def test_a_table_of_ones_own(tmp_path):
    data = folder(tmp_path / "x", ARCHIVE, [f"ISIC_000000{i}.jpg" for i in range(1, 7)], name="metadata.csv", images="")
    table = tmp_path / "two.csv"
    table.write_text("diagnosis,class\nMalignant,malignant\nBenign,benign\nScar,scar\n")
    source = open_source(data, DataConfig(diagnoses=str(table)), 0)
    classes = [source.taxonomy.classes[i] for i in source.rows["label"]]
    assert classes == ["malignant", "benign", "benign", "scar"]  # the most specific diagnosis that the table knows
    with pytest.raises(UsageError, match="no such file"):
        open_source(data, DataConfig(diagnoses=str(tmp_path / "gone.csv")), 0)
    table.write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="columns diagnosis and class"):
        open_source(data, DataConfig(diagnoses=str(table)), 0)


def test_a_plain_list_has_its_own_classes(tmp_path):
    table = "image,label\na,healthy\nb,ill\nc.jpg,healthy\n"
    source = open_source(folder(tmp_path / "x", table, ["a.jpg", "b.png", "c.jpg"]), CONFIG, 0)
    assert source.taxonomy.classes == ("healthy", "ill")
    assert source.rows["label"].tolist() == [0, 1, 0]


def test_one_diagnosis_only(tmp_path):
    data = folder(tmp_path / "x", "image,dx\na,nv\nb,nv\nc,wart\n", ["a.jpg", "b.jpg", "c.jpg"])
    with pytest.raises(UsageError, match=r"fewer than two classes among its diagnoses \(nv \(2\), wart \(1\)\)"):
        open_source(data, CONFIG, 0)


def test_the_table_names_only_known_classes():
    table = diagnoses.read_table(diagnoses.TABLE)
    assert set(table.values()) == set(ISIC_2019.classes)
    for name, spelled in zip(ISIC_2019.classes, ISIC_2019.names, strict=True):
        assert table[name.lower()] == table[spelled] == name
