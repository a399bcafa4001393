"""A trained CycleGAN applied to files: each picture as the model itself translates it, and where it came from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lesiongan.base.errors import UsageError
from lesiongan.base.files import write_json
from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.data.image_set import to_uint8, to_unit
from lesiongan.data.taxonomy import ISIC_2019
from lesiongan.models.cyclegan.model import CycleGAN
from lesiongan.serving import saved_models
from lesiongan.serving.translate import translate_pictures

SIZE = 32


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    model = CycleGAN(CycleGANConfig(size=SIZE, blocks=1, filters=4, discriminator_filters=4), seed=1)
    folder = tmp_path_factory.mktemp("model") / "alpha-1"
    details = {"source": "NV", "target": "MEL"}
    saved_models.export(model, folder, kind="cyclegan", size=SIZE, taxonomy=ISIC_2019, details=details)
    return model, folder


@pytest.fixture
def nevi(tmp_path):
    random = np.random.default_rng(0)
    for name in ("a.png", "deep/a.png", "c.jpg", "translated.png"):
        path = tmp_path / "nevi" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (40, 50, 3), np.uint8)).save(path)
    (tmp_path / "nevi" / "broken.jpg").write_bytes(b"no picture")
    return tmp_path / "nevi"


def test_each_picture_is_translated_and_says_where_it_came_from(exported, nevi, tmp_path, monkeypatch):
    monkeypatch.setattr("lesiongan.serving.translate._CHUNK", 2)
    model, folder = exported
    done, faults = translate_pictures(folder, [str(nevi), "gone.png"], tmp_path / "made")
    assert done == 4
    assert faults == [f"{nevi}/broken.jpg: not a picture", "gone.png: No such file or directory"]
    table = pd.read_csv(tmp_path / "made" / "translated.csv")
    assert table["image"].tolist() == ["nevi_a.png", "c.png", "deep_a.png", "translated_png.png"]
    assert table["source"].tolist() == [str(nevi / n) for n in ("a.png", "c.jpg", "deep/a.png", "translated.png")]
    assert set(table["generator_digest"]) == {saved_models.load(folder).record["digest"]}
    for image, source in zip(table["image"], table["source"], strict=True):
        before = np.asarray(Image.open(source).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC))
        after = to_uint8(model.translate(to_unit(before)[None]))[0]
        found = np.asarray(Image.open(tmp_path / "made" / image))
        assert np.abs(found.astype(int) - after).max() <= 1  # other batches round otherwise
    assert Image.open(tmp_path / "made" / "translated.png").width > 4 * 96


def test_pictures_of_one_name_are_kept_apart_and_one_given_twice_is_one(exported, nevi, tmp_path):
    paths = [str(nevi / "a.png"), str(nevi / "deep" / "a.png"), str(nevi / "a.png")]
    assert translate_pictures(exported[1], paths, tmp_path / "made") == (2, [])
    table = pd.read_csv(tmp_path / "made" / "translated.csv")
    assert table["image"].tolist() == ["nevi_a.png", "deep_a.png"]
    one, two = (np.asarray(Image.open(tmp_path / "made" / name)) for name in table["image"])
    assert (one != two).any()


def test_wrong_input_is_one_clear_line(exported, nevi, tmp_path):
    _, folder = exported
    with pytest.raises(UsageError, match=r"gone\.png: No such file"):
        translate_pictures(folder, ["gone.png"], tmp_path / "made")
    with pytest.raises(UsageError, match="lie one within the other"):
        translate_pictures(folder, [str(nevi)], nevi / "made")
    write_json(tmp_path / "model.json", {"format": 1, "kind": "acgan"})
    with pytest.raises(UsageError, match="a model of kind acgan; give a CycleGAN's folder"):
        translate_pictures(tmp_path, [str(nevi)], tmp_path / "made")
