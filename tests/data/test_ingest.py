"""ExampleGen from files to the Examples artifact, and reading it back."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lesiongan.base.errors import MachineError, UsageError
from lesiongan.config.data import DataConfig
from lesiongan.data import examples, examples_writer, pictures
from lesiongan.data.ingest import ingest
from lesiongan.data.sources import open_source
from lesiongan.data.taxonomy import ISIC_2019, Taxonomy

CONFIG = DataConfig(validation=0.2, test=0.2)


def silent(text: str) -> None:
    pass


def make(root: Path, per_class: int = 10) -> Path:
    """Two folders of classes with pictures of 40 x 30."""
    for label, name in enumerate(("MEL", "NV")):
        (root / name).mkdir(parents=True)
        for i in range(per_class):
            rng = np.random.default_rng(100 * label + i)
            coarse = Image.fromarray(rng.integers(0, 256, (5, 5, 3)).astype(np.uint8))
            coarse.resize((40, 30), Image.Resampling.BICUBIC).save(root / name / f"{name}_{i:02d}.jpg", quality=95)
    return root


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    """(source folder, artifact, summary): one picture is broken."""
    root = tmp_path_factory.mktemp("ingest")
    data = make(root / "data")
    (data / "NV" / "NV_03.jpg").write_bytes(b"no picture")
    (root / "out").mkdir()  # as Kubeflow does
    summary = ingest(
        str(data), root / "out", DataConfig(validation=0.2, test=0.2, max_unusable=0.1), [16, 24], 5, log=silent
    )
    return data, root / "out", summary


def test_counts_and_table_1(artifact):
    _, out, summary = artifact
    assert summary["table1"] == {"MEL": [6, 2, 2], "NV": [6, 2, 2]}
    assert (summary["rows"], summary["images"], summary["unusable"], summary["missing"]) == (20, 19, 1, 0)
    assert sum(sum(of_class.values()) for of_class in summary["counts"].values()) == 19
    assert json.loads((out / "examples.json").read_text()) == json.loads(json.dumps(summary))
    assert examples.taxonomy(out) == Taxonomy.of(("MEL", "NV"))
    anomalies = pd.read_csv(out / "anomalies.csv")
    assert anomalies["what"].tolist() == ["NV/NV_03.jpg"]
    assert anomalies["why"].tolist() == ["not a picture"]
    assert not [name for name in os.listdir(out.parent) if name.startswith(".")]


@pytest.mark.parametrize("size", [16, 24])
def test_the_pictures_are_those_of_the_files(artifact, size):
    data, out, _ = artifact
    table = examples.read_table(out)
    assert len(table) == 19
    for split, rows in table.groupby("split"):
        images = examples.load(out, size, split)
        assert list(images.ids) == rows["image_id"].tolist()
        assert [("MEL", "NV")[label] for label in images.labels] == rows["label"].tolist()
        assert set(images.origins) == {"real"}
        for picture, image_id, label in zip(images.images, images.ids, rows["label"], strict=True):
            file = (data / label / f"{image_id}.jpg").read_bytes()
            np.testing.assert_array_equal(picture, pictures.decode(file, [size]).squares[size])


def test_classes_and_several_splits(artifact):
    _, out, summary = artifact
    nevi = examples.load(out, 16, "train", classes=["NV"])
    everything = examples.load(out, 16, "train")
    assert set(nevi.labels.tolist()) == {1}
    np.testing.assert_array_equal(nevi.images, everything.images[everything.labels == 1])
    both = examples.load_splits(out, 16, ("train", "validation"))
    assert both.ids == everything.ids + examples.load(out, 16, "validation").ids
    assert len(both) == sum(sum(summary["counts"][split].values()) for split in ("train", "validation"))


def test_it_is_a_tfds_data_set_for_anyone(artifact):
    _, out, summary = artifact
    code = (
        "import sys, tensorflow_datasets as tfds\n"
        "builder = tfds.builder_from_directory(sys.argv[1])\n"
        "rows = list(tfds.as_numpy(builder.as_dataset(split='train')))\n"
        "assert 'lesiongan' not in sys.modules\n"
        "print(len(rows), rows[0]['image'].shape, rows[0]['image'].dtype, builder.info.features['label'].names,"
        " sorted(rows[0]), rows[0]['origin'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, out / "24"], capture_output=True, text=True, cwd="/", check=True)
    train = sum(summary["counts"]["train"].values())
    features = "['image', 'image_id', 'label', 'lesion_id', 'origin']"
    assert done.stdout.strip() == f"{train} (24, 24, 3) uint8 ['MEL', 'NV'] {features} b'real'"


def test_requests_for_what_is_not_there(artifact, tmp_path):
    _, out, _ = artifact
    with pytest.raises(UsageError, match="no images of 32 px there"):
        examples.load(out, 32, "train")
    with pytest.raises(UsageError, match="no split 'dev'"):
        examples.load(out, 16, "dev")
    with pytest.raises(UsageError, match="no class 'DF'; there are MEL, NV"):
        examples.load(out, 16, "train", classes=["DF"])
    with pytest.raises(UsageError, match=r"no examples\.json"):
        examples.read_info(tmp_path)
    (tmp_path / "examples.json").write_text('{"format": 99}')
    with pytest.raises(UsageError, match="format 99 is newer"):
        examples.read_table(tmp_path)


def test_too_many_unusable_files(tmp_path):
    data = make(tmp_path / "data")
    (data / "MEL" / "MEL_00.jpg").write_bytes(b"")
    with pytest.raises(UsageError, match=r"1 of 20 files cannot be used.*MEL/MEL_00.jpg: the file is empty"):
        ingest(str(data), tmp_path / "out", CONFIG, [16], 0, log=silent, workers=1)
    assert sorted(os.listdir(tmp_path)) == ["data"]  # nothing half-written


def test_fewer_training_images_of_a_class(artifact, tmp_path):
    data, whole, _ = artifact
    config = DataConfig(validation=0.2, test=0.2, max_unusable=0.1, fewer=("MEL:1/3",))
    few = ingest(str(data), tmp_path / "out", config, [16], 5, log=silent)
    assert few["table1"] == {"MEL": [2, 2, 2], "NV": [6, 2, 2]}
    assert few["anomalies"]["left out of training"] == 4
    before, after = (
        pd.read_csv(folder / "examples.csv").set_index("image_id")["split"] for folder in (whole, tmp_path / "out")
    )
    assert after.equals(before.loc[after.index])
    gone = before.drop(after.index)
    assert set(gone) == {"train"}
    assert gone.index.str.startswith("MEL").tolist() == [True] * 4


@pytest.mark.parametrize("entry", ["MEL", "MEL:0", "MEL:1.5", "MEL:x", ":0.5", "MEL:1/0", "MEL:nan"])
def test_a_share_that_is_none(entry):
    with pytest.raises(UsageError, match=r"option 'data\.fewer': give CLASS:SHARE"):
        DataConfig(fewer=(entry,))


def test_a_share_of_a_class_that_is_not_there(artifact, tmp_path):
    with pytest.raises(UsageError, match="'XYZ' is none of the data's classes MEL, NV"):
        ingest(str(artifact[0]), tmp_path / "out", DataConfig(fewer=("XYZ:0.5",)), [16], 5, log=silent)


def test_phantoms_are_the_same_again_and_marked(tmp_path):
    config = DataConfig(phantoms=200, phantom_size=24)
    summaries = [ingest("phantoms", tmp_path / name, config, [16], 3, log=silent) for name in ("a", "b")]
    assert summaries[0] == summaries[1]
    assert summaries[0]["phantom"] is True
    one, two = (examples.load(tmp_path / name, 16, "train") for name in ("a", "b"))
    np.testing.assert_array_equal(one.images, two.images)
    assert set(one.origins) == {"phantom"}
    table = examples.read_table(tmp_path / "a")
    assert table.groupby("lesion_id")["split"].nunique().max() == 1
    assert table["age_approx"].dtype == float
    source = open_source("phantoms", config, 3)
    drawn = dict(zip(source.rows["image_id"], source.rows["location"], strict=True))
    expected = pictures.from_array(source.read(drawn[one.ids[7]]), [16]).squares[16]
    np.testing.assert_array_equal(one.images[7], expected)


def test_what_stands_at_the_output(tmp_path):
    data = make(tmp_path / "data", 5)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="holds something else"):
        ingest(str(data), tmp_path / "full", CONFIG, [16], 0, log=silent, workers=1)
    assert (tmp_path / "full" / "thesis.tex").exists()
    with pytest.raises(UsageError, match="at least"):
        ingest(str(data), tmp_path / "out", CONFIG, [], 0, log=silent)


def test_a_full_disk(tmp_path):
    with (
        pytest.raises(MachineError, match="the disk is full"),
        examples_writer.writing(tmp_path / "out", [16], ISIC_2019),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not os.listdir(tmp_path)


def test_generated_images(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5, 16, 16, 3)).astype(np.uint8)
    seeds = [0, 1, 2**53 + 1, 2**62 + 1, 4]  # more digits than a float has
    extra = pd.DataFrame({"source_id": list("abcde"), "seed": seeds, "alpha": [0.125] * 5, "generator": "cyclegan"})
    extra["lesion_id"] = ["L1", "L2", "", "L4", "L5"]
    ids, origins = [f"G{i}" for i in range(5)], ["cyclegan"] * 5
    info = examples_writer.write_generated(
        tmp_path / "g", images, [0, 1, 0, 7, 2], ids, origins, ISIC_2019, extra, phantom=True
    )
    assert info["counts"]["train"]["MEL"] == 2
    assert info["phantom"] is True
    loaded = examples.load(tmp_path / "g", 16, "train")
    np.testing.assert_array_equal(loaded.images, images)
    assert loaded.labels.tolist() == [0, 1, 0, 7, 2]
    assert loaded.labels.dtype == np.int32
    assert (loaded.ids, loaded.origins) == (tuple(ids), tuple(origins))
    assert len(examples.load(tmp_path / "g", 16, "test")) == 0
    table = examples.read_table(tmp_path / "g")
    assert table["seed"].tolist() == seeds
    assert table["alpha"].tolist() == [0.125] * 5
    assert table["lesion_id"].tolist() == ["L1", "L2", "", "L4", "L5"]
    with pytest.raises(ValueError, match="must differ"):
        examples_writer.write_generated(tmp_path / "h", images, [0] * 5, ["x"] * 5, origins, ISIC_2019)
    png = io.BytesIO(pictures.encode_png(images[0]))
    np.testing.assert_array_equal(np.asarray(Image.open(png)), images[0])


@pytest.mark.slow
def test_isic_2019_at_64_px(tmp_path, real_data):
    summary = ingest(
        str(real_data / "isic2019_84px"), tmp_path / "out", DataConfig(split="by_image"), [64], 0, log=silent
    )
    assert summary["table1"]["NV"] == [10300, 1287, 1288]
    assert (summary["images"], summary["missing"]) == (22_986, 2_345)
    assert len(pd.read_csv(tmp_path / "out" / "anomalies.csv")) == 2_345
    assert examples.load(tmp_path / "out", 64, "train").images.shape[1:] == (64, 64, 3)
