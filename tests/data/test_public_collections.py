"""Public collections in miniature, as their archives give them: classes, lesions, what is left out."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from small_sources import CLASSES, jpeg, one_hot, whys

from lesiongan.base.errors import UsageError
from lesiongan.config.data import DataConfig
from lesiongan.data.ingest import check_refused
from lesiongan.data.sources import open_source

CONFIG = DataConfig()


def put(root: Path, names, seed: int = 0) -> None:
    for position, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(jpeg(seed + position))


def classes_of(source) -> list[str]:
    return [source.taxonomy.classes[label] for label in source.rows["label"]]


def test_isic_2016(tmp_path):
    names = [f"ISIC_{i:07d}" for i in range(0, 12, 2)]
    put(tmp_path, [f"ISBI2016_ISIC_Part3_Training_Data/{name}.jpg" for name in names])
    labels = ["benign", "malignant", "benign", "benign", "malignant", "benign"]
    table = "".join(f"{name},{label}\n" for name, label in zip(names, labels, strict=True))
    (tmp_path / "ISBI2016_ISIC_Part3_Training_GroundTruth.csv").write_text(table)
    source = open_source(str(tmp_path), CONFIG, 0)
    assert source.taxonomy.classes == ("benign", "malignant")
    assert classes_of(source) == labels
    assert source.anomalies == ()


def test_isic_2017_has_nevi_where_both_questions_are_no(tmp_path):
    names = [f"ISIC_{i:07d}" for i in range(6)]
    put(tmp_path, [f"ISIC-2017_Training_Data/{name}.jpg" for name in names])
    put(tmp_path, [f"ISIC-2017_Training_Data/{names[0]}_superpixels.png"])
    rows = [(1, 0), (0, 1), (0, 0), (0, 0), (0, 0), (1, 1)]
    table = "image_id,melanoma,seborrheic_keratosis\n"
    table += "".join(f"{name},{m:.1f},{s:.1f}\n" for name, (m, s) in zip(names, rows, strict=True))
    (tmp_path / "ISIC-2017_Training_Part3_GroundTruth.csv").write_text(table)
    source = open_source(str(tmp_path), CONFIG, 0)
    assert source.taxonomy.classes == ("MEL", "NV", "BKL")
    assert classes_of(source) == ["MEL", "BKL", "NV", "NV", "NV"]
    assert whys(source) == {
        names[5]: "2 classes are 1",
        f"ISIC-2017_Training_Data/{names[5]}.jpg": "its row is not used",
        f"ISIC-2017_Training_Data/{names[0]}_superpixels.png": "the image has no row",
    }
    assert source.refused == ("2 classes are 1",)


def test_isic_2020_and_what_it_does_not_know(tmp_path):
    diagnoses = ["nevus"] * 4 + ["melanoma"] * 2 + ["seborrheic keratosis"] + ["unknown"] * 7
    names = [f"ISIC_{i:07d}" for i in range(len(diagnoses))]
    put(tmp_path, [f"train/{name}.jpg" for name in names])
    table = "image_name,patient_id,lesion_id,sex,age_approx,anatom_site_general_challenge,diagnosis,"
    table += "benign_malignant,target\n"
    for i, (name, word) in enumerate(zip(names, diagnoses, strict=True)):
        malignant = word == "melanoma"
        target = f"{'malignant' if malignant else 'benign'},{malignant:d}"
        table += f"{name},IP_{i // 2},IL_{i},female,45.0,torso,{word},{target}\n"
    (tmp_path / "ISIC_2020_Training_GroundTruth_v2.csv").write_text(table)
    source = open_source(str(tmp_path), CONFIG, 0)
    assert classes_of(source) == ["NV"] * 4 + ["MEL"] * 2 + ["BKL"]
    assert source.rows["patient_id"].tolist() == ["IP_0", "IP_0", "IP_1", "IP_1", "IP_2", "IP_2", "IP_3"]
    assert source.rows["anatom_site_general"].tolist() == ["torso"] * 7
    assert len(source.refused) == 7
    with pytest.raises(UsageError, match=r"7 of 14 rows of its table have no class.*data.max_refused"):
        check_refused("d", source, CONFIG)
    check_refused("d", source, DataConfig(max_refused=0.5))
    (tmp_path / "mine.csv").write_text(
        "diagnosis,class\nnevus,NV\nmelanoma,MEL\nseborrheic keratosis,BKL\nunknown,benign\n"
    )
    named = open_source(str(tmp_path), DataConfig(diagnoses=str(tmp_path / "mine.csv")), 0)
    assert classes_of(named)[7:] == ["benign"] * 7


def test_milk10k_labels_lesions_and_its_dermoscopic_pictures_are_read(tmp_path):
    columns = ("AKIEC", "BCC", "BEN_OTH", "BKL", "DF", "INF", "MAL_OTH", "MEL", "NV", "SCCKA", "VASC")
    lesions = [f"IL_{i:07d}" for i in range(6)]
    labels = ["MEL", "NV", "BCC", "INF", "SCCKA", "NV"]
    table = ",".join(["lesion_id", *columns]) + "\n"
    metadata = (
        "lesion_id,image_type,isic_id,attribution,copyright_license,age_approx,sex,skin_tone_class,site,MONET_hair\n"
    )
    for i, (lesion, label) in enumerate(zip(lesions, labels, strict=True)):
        table += ",".join([lesion, *(f"{float(c == label)}" for c in columns)]) + "\n"
        for kind, number in (("clinical: close-up", 2 * i), ("dermoscopic", 2 * i + 1)):
            name = f"ISIC_{number:07d}"
            metadata += f"{lesion},{kind},{name},MILK study team,CC-BY-NC,55.0,male,3,head/neck,0.1\n"
            put(tmp_path, [f"MILK10k_Training_Input/{lesion}/{name}.jpg"], seed=number)
    (tmp_path / "MILK10k_Training_GroundTruth.csv").write_text(table)
    (tmp_path / "MILK10k_Training_Metadata.csv").write_text(metadata)
    (tmp_path / "MILK10k_Training_Supplement.csv").write_text("isic_id,diagnosis_full\nISIC_0000001,Malignant\n")
    source = open_source(str(tmp_path), CONFIG, 0)
    assert classes_of(source) == labels
    assert source.rows["image_id"].tolist() == [f"ISIC_{2 * i + 1:07d}" for i in range(6)]
    assert source.rows["lesion_id"].tolist() == lesions
    assert source.rows["age_approx"].tolist() == [55.0] * 6
    clinical = [a.what for a in source.anomalies if "clinical" in a.why]
    assert clinical == [f"ISIC_{2 * i:07d}" for i in range(6)]


def test_pad_ufes_20(tmp_path):
    diagnoses = ["BCC", "ACK", "NEV", "SEK", "SCC", "MEL", "BOD", "NEV"]
    table = "patient_id,lesion_id,smoke,drink,background_father,background_mother,age,pesticide,gender,"
    table += "skin_cancer_history,cancer_history,has_piped_water,has_sewage_system,fitspatrick,region,diameter_1,"
    table += "diameter_2,diagnostic,itch,grew,hurt,changed,bleed,elevation,img_id,biopsed\n"
    for i, word in enumerate(diagnoses):
        name = f"PAT_{i}_{100 + i // 2}_{i}.png"
        asked = "False,False,POMERANIA,POMERANIA" if i % 3 else ",,,"
        history = "FEMALE,True,True,True,True,3.0" if i % 3 else ",,,,,"
        table += (
            f"PAT_{i // 2},{100 + i // 2},{asked},{30 + i},{'False' if i % 3 else ''},{history},ARM,6.0,5.0,{word},"
        )
        table += f"{i % 2 == 0},False,False,UNK,{i % 3 == 0},True,{name},True\n"
        put(tmp_path, [f"imgs_part_{1 + i % 3}/imgs_part_{1 + i % 3}/{name}"], seed=i)
    (tmp_path / "metadata.csv").write_text(table)
    source = open_source(str(tmp_path), CONFIG, 0)
    assert classes_of(source) == ["BCC", "AK", "NV", "BKL", "SCC", "MEL", "SCC", "NV"]
    assert source.rows["age_approx"].tolist() == [30.0 + i for i in range(8)]
    assert source.rows["sex"].tolist() == ["FEMALE" if i % 3 else "" for i in range(8)]
    assert source.rows["lesion_id"].tolist() == ["100", "100", "101", "101", "102", "102", "103", "103"]
    assert source.anomalies == ()


def test_bcn20000(tmp_path):
    diagnoses = ["MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC"]
    head = "bcn_filename,age_approx,anatom_site_general,diagnosis,lesion_id,capture_date,sex,split\n"
    for side in ("train", "test"):
        table = head
        for i, word in enumerate(diagnoses):
            name = f"BCN_{i + 100 * (side == 'test'):010d}.jpg"
            table += f"{name},55.0,anterior torso,{word},BCN_{i // 2:07d},2012-05-16,male,{side}\n"
            put(tmp_path, [f"BCN_20k_{side}/bcn_20k_{side}/{name}"], seed=i)
        (tmp_path / f"bcn_20k_{side}.csv").write_text(table)
    source = open_source(str(tmp_path), CONFIG, 0)
    assert source.taxonomy.classes == CLASSES
    assert classes_of(source) == diagnoses
    assert source.rows["lesion_id"].tolist() == [f"BCN_{i // 2:07d}" for i in range(8)]
    assert [a.why for a in source.anomalies] == ["the image has no row"] * 8


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("name", ["HAM10000_metadata", "HAM10000_metadata.csv", "HAM10000_metadata.tab"])
def test_ham10000_as_dataverse_gives_it(tmp_path, packed, name):
    head = "lesion_id,image_id,dx,dx_type,age,sex,localization,dataset\n"
    words = ["mel", "nv", "bcc", "akiec", "bkl", "df", "vasc", "nv"]
    parts = {"HAM10000_images_part_1": range(4), "HAM10000_images_part_2": range(4, 8)}
    parts["ISIC2018_Task3_Test_Images"] = range(8, 12)
    for part, numbers in parts.items():
        if packed:
            with zipfile.ZipFile(tmp_path / f"{part}.zip", "w") as archive:
                for i in numbers:
                    archive.writestr(f"ISIC_{i:07d}.jpg", jpeg(i))
        else:
            put(tmp_path, [f"{part}/ISIC_{i:07d}.jpg" for i in numbers], seed=numbers[0])

    def table(numbers) -> str:
        return head + "".join(
            f"HAM_{i // 2:07d},ISIC_{i:07d},{words[i % 8]},histo,50.0,male,back,vidir_modern\n" for i in numbers
        )

    text = table(range(8)).replace(",", "\t") if name.endswith(".tab") else table(range(8))
    (tmp_path / name).write_text(text)
    (tmp_path / "ISIC2018_Task3_Test_GroundTruth.csv").write_text(table(range(8, 12)))
    for data in (tmp_path, tmp_path / name):
        source = open_source(str(data), CONFIG, 0)
        assert classes_of(source) == ["MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "NV"]
        assert (source.rows["location"] != "").all()
        assert [a.why for a in source.anomalies] == ["the image has no row"] * 4  # those of the test set


def test_windows_zip(tmp_path):
    names = [f"ISIC_{i:07d}" for i in range(8)]
    with zipfile.ZipFile(tmp_path / "ISIC_2019_Training_Input.zip", "w") as archive:
        for i, name in enumerate(names):
            entry = zipfile.ZipInfo("x")
            entry.filename = f"ISIC_2019_Training_Input\\{name}.jpg"
            archive.writestr(entry, jpeg(i))
    (tmp_path / "ISIC_2019_Training_GroundTruth.csv").write_text(one_hot(names, CLASSES))
    source = open_source(str(tmp_path), CONFIG, 0)
    assert (source.rows["location"] != "").all()
    assert source.read(source.rows["location"][3]) == jpeg(3)
