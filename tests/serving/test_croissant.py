"""The Croissant file beside generated pictures: what it names is there, and MLCommons' own program accepts it."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import subprocess

import numpy as np
import pytest

from lesiongan.data.generated import DIGITAL_SOURCE_TYPE
from lesiongan.data.generated_folder import DRAWN_SOURCE_TYPE
from lesiongan.serving.croissant import CROISSANT
from lesiongan.serving.picture_files import SUFFIXES, write_picture, write_provenance


def written(folder, form="png", source_type=DIGITAL_SOURCE_TYPE, **more):
    rows = [
        {"image": f"MEL_{i}", "class": "MEL", "seed": i, **more, "digital_source_type": source_type} for i in range(3)
    ]
    (folder / "images").mkdir(parents=True)
    for row in rows:
        path = folder / "images" / f"{row['image']}{SUFFIXES[form]}"
        write_picture(path, np.full((8, 8, 3), 40 * row["seed"], np.uint8), {}, form=form)
    write_provenance(folder, rows, form)
    return json.loads((folder / CROISSANT).read_text())


def test_it_describes_the_files_that_are_there(tmp_path):
    found = written(tmp_path, generator="acgan", generator_digest="abc", source="ISIC_0000001")
    table, pictures = found["distribution"]
    assert table["sha256"] == hashlib.sha256((tmp_path / table["contentUrl"]).read_bytes()).hexdigest()
    assert len(list(tmp_path.glob(pictures["includes"]))) == 3
    with (tmp_path / table["contentUrl"]).open() as file:
        columns = next(csv.reader(file))
    (made,) = (each for each in found["recordSet"] if each["name"] == "made")
    assert [field["source"]["extract"]["column"] for field in made["field"]] == columns
    assert found["license"] == "https://creativecommons.org/licenses/by-nc/4.0/"
    assert "isic-archive" in found["isBasedOn"]
    assert "acgan" in found["description"]


def test_phantoms_are_no_patients_data(tmp_path):
    found = written(tmp_path, source_type=DRAWN_SOURCE_TYPE)
    assert "apache" in found["license"].lower()
    assert "phantoms" in found["description"]
    assert "isBasedOn" not in found


def test_the_same_pictures_give_the_same_file(tmp_path):
    written(tmp_path / "a")
    written(tmp_path / "b")
    assert (tmp_path / "a" / CROISSANT).read_bytes() == (tmp_path / "b" / CROISSANT).read_bytes()


@pytest.mark.parametrize("form", SUFFIXES)
@pytest.mark.skipif(not shutil.which("mlcroissant"), reason="the program of mlcroissant[image] is not on the path")
def test_mlcroissant_accepts_it_and_reads_the_pictures(tmp_path, form):
    written(tmp_path, form, generator="acgan", generator_digest="abc")
    place = str(tmp_path / CROISSANT)
    checked = subprocess.run(
        ["mlcroissant", "validate", "--jsonld", place], capture_output=True, text=True, timeout=300
    )
    assert checked.returncode == 0, checked.stderr
    assert "Found the following" not in checked.stderr or "error(s)" not in checked.stderr
    for records in ("made", "files"):
        command = ["mlcroissant", "load", "--jsonld", place, "--record_set", records]
        loaded = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert loaded.returncode == 0, loaded.stderr
        assert "MEL_2" in loaded.stdout + loaded.stderr
