"""A source's fingerprint changes when, and only when, what it is read from does."""

from __future__ import annotations

import os
import zipfile

from small_sources import folder, jpeg, official, one_hot

from lesiongan.config.data import DataConfig
from lesiongan.data.fingerprint import source_fingerprint

CONFIG = DataConfig()


def test_the_fingerprint_follows_the_data(tmp_path):
    data = official(tmp_path, packed=True)
    folder(tmp_path, one_hot(["x"], ["MEL"]), ["x.jpg"], name="other.csv")
    seen = [source_fingerprint(data, CONFIG, 0)]

    def changed() -> bool:
        seen.append(source_fingerprint(data, CONFIG, 0))
        return seen[-1] not in seen[:-1]

    assert not changed()
    table = tmp_path / "ISIC_2019_Training_GroundTruth.csv"
    table.write_text(table.read_text().replace("1.0", "1"))
    assert changed()
    os.utime(tmp_path / "images/x.jpg", ns=(1, 1))
    assert changed()
    (tmp_path / "images/y.jpg").write_bytes(jpeg())
    assert changed()
    with zipfile.ZipFile(tmp_path / "ISIC_2019_Training_Input.zip", "a") as archive:
        archive.writestr("ISIC_2019_Training_Input/more.jpg", jpeg())
    assert changed()


def test_the_fingerprint_of_phantoms_follows_its_options():
    base = DataConfig(phantoms=40, phantom_size=24)
    fingerprints = {
        source_fingerprint("phantoms", config, seed)
        for config, seed in [
            (base, 0),
            (base, 1),
            (DataConfig(phantoms=41, phantom_size=24), 0),
            (DataConfig(phantoms=40, phantom_size=25), 0),
        ]
    }
    assert len(fingerprints) == 4
    assert source_fingerprint("phantoms", base, 0) in fingerprints
