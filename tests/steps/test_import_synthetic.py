"""Images made elsewhere: read in both layouts, never mixed up with real ones, refused where they copy a test image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_examples import blob, examples

from lesiongan.base.errors import UsageError
from lesiongan.data import examples as artifact
from lesiongan.data.taxonomy import Taxonomy
from lesiongan.steps import import_synthetic
from lesiongan.steps.step import Task

TAXONOMY = Taxonomy.of(("MEL", "NV", "BCC"))


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> Path:
    counts = {"train": (6, 12, 3), "validation": (2, 3, 2), "test": (2, 3, 2), "clinic_test": (2, 2, 0)}
    return examples(tmp_path_factory.mktemp("real") / "examples", TAXONOMY, counts)


def save(path: Path, picture: np.ndarray, size: int = 64) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).resize((size, size), Image.Resampling.BICUBIC).save(path)


def class_folders(root: Path, classes: dict[str, int]) -> Path:
    for label, (name, count) in enumerate(classes.items()):
        for i in range(count):
            save(root / name / f"{name}_{i}.png", blob(label, 50_000 + i))
    return root


def imported(real: Path, tmp_path: Path, *paths: Path, **options) -> Path:
    given = {"classes": ("MEL",), "largest": 4, "sizes": (32, 16)} | options
    task = Task(
        inputs={"examples": real},
        outputs={"generated": tmp_path / "generated"},
        parameters={},
        options=import_synthetic.Options(synthetic=tuple(map(str, paths)), **given),
        seed=3,
        run_dir=tmp_path / "run",
    )
    import_synthetic.run(task)
    return tmp_path / "generated"


def test_a_folder_of_one_class(real, tmp_path):
    made = imported(real, tmp_path, class_folders(tmp_path / "diffusion model", {"MEL": 6}))
    folder = made / "synthetic-diffusion-model"
    images = artifact.load(folder, 32, "train")
    assert len(images) == 4
    assert set(images.labels) == {0}
    assert set(images.origins) == {"synthetic:diffusion-model"}
    assert artifact.taxonomy(folder) == TAXONOMY
    table = artifact.read_table(folder)
    assert set(table["split"]) == {"train"}
    # the columns that every generated image has, empty where nothing is known
    assert table["alpha"].isna().all()
    assert (table["source_id"] == "").all()
    assert table["digital_source_type"].str.endswith("trainedAlgorithmicMedia").all()
    for image, image_id in zip(images.images, images.ids, strict=True):
        number = int(image_id.rpartition("_")[2])
        assert np.abs(image.astype(int) - blob(0, 50_000 + number)).mean() < 12  # the picture of that file


def test_a_table_of_labels_with_the_classes_in_another_order(real, tmp_path):
    root = tmp_path / "theirs"
    for i in range(5):
        save(root / "pictures" / f"fake{i}.png", blob(i % 2, 60_000 + i))
    lines = ["image,BCC,NV,MEL"] + [f"fake{i},0,{int(i % 2 == 1)},{int(i % 2 == 0)}" for i in range(5)]
    (root / "ground_truth.csv").write_text("\n".join(lines) + "\n")
    made = imported(real, tmp_path, root, classes=("MEL", "NV"), largest=4)
    images = artifact.load(made / "synthetic-theirs", 32, "train")
    assert {i: int(label) for i, label in zip(images.ids, images.labels, strict=True)} == {
        image_id: int(image_id[-1]) % 2 for image_id in images.ids
    }
    assert np.bincount(images.labels).tolist() == [2, 2]


def test_the_order_is_shuffled_by_the_seed_and_the_same_whatever_is_needed(real, tmp_path):
    root = class_folders(tmp_path / "x", {"MEL": 12})
    few = artifact.load(imported(real, tmp_path / "a", root, largest=5) / "synthetic-x", 32, "train").ids
    many = artifact.load(imported(real, tmp_path / "b", root, largest=11) / "synthetic-x", 32, "train").ids
    assert many[:5] == few
    assert sorted(many) != list(many)


def test_too_few_images_and_unknown_classes(real, tmp_path):
    root = class_folders(tmp_path / "x", {"MEL": 3, "unknown": 2})
    with pytest.raises(UsageError, match="3 usable images of MEL, but the largest cell takes 4"):
        imported(real, tmp_path, root)
    (root / "MEL" / "MEL_3.png").write_bytes(b"no picture")
    with pytest.raises(UsageError, match="3 usable images of MEL, but the largest cell takes 4"):
        imported(real, tmp_path, root)


@pytest.mark.parametrize("split", ["validation", "test", "clinic_test"])
def test_a_copy_of_a_held_out_image_is_refused_or_dropped(real, tmp_path, split):
    root = class_folders(tmp_path / "x", {"MEL": 5})
    held_out = artifact.load(real, 32, split)
    copy = np.ascontiguousarray(held_out.images[0][:, ::-1])  # mirrored, larger and as JPEG
    Image.fromarray(copy).resize((96, 96), Image.Resampling.BICUBIC).save(root / "MEL" / "stolen.jpg", quality=90)
    with pytest.raises(
        UsageError, match=rf"1 of 6 pictures are copies .*stolen of the .* image {held_out.ids[0]}"
    ) as e:
        imported(real, tmp_path, root)
    assert len(str(e.value).splitlines()) == 1
    made = imported(real, tmp_path, root, synthetic_copies="drop", largest=5)
    assert not any("stolen" in i for i in artifact.load(made / "synthetic-x", 32, "train").ids)
    assert "a copy of the" in (made / "synthetic-x" / "anomalies.csv").read_text()


def test_a_copy_of_a_training_image_is_no_leak(real, tmp_path):
    root = class_folders(tmp_path / "x", {"MEL": 3})
    save(root / "MEL" / "copy.png", artifact.load(real, 32, "train").images[0], size=96)
    assert len(artifact.load(imported(real, tmp_path, root) / "synthetic-x", 32, "train")) == 4
