"""The generated images' quality, from small Examples whose answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_examples import examples

from lesiongan.data.examples import TABLE, load
from lesiongan.data.generated import Generated, write as write_generated
from lesiongan.data.taxonomy import Taxonomy
from lesiongan.evaluation.feature_metrics import feature_scale
from lesiongan.evaluation.image_quality import image_quality
from lesiongan.steps import evaluate, generated_quality
from lesiongan.steps.step import Task

CLASSES = Taxonomy.of(("MEL", "NV"))
SIZE, PAIRS = 32, 26


class MeanColour:
    """A judge by hand: its features are the mean of each colour, and the redder an image, the likelier a melanoma."""

    taxonomy, size = CLASSES, SIZE

    def predict(self, images):
        colour = images.mean((1, 2)) / 255
        p = colour[:, 0] / (colour[:, 0] + colour[:, 1])
        return np.stack([p, 1 - p], 1), colour


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> Path:
    """Two images of each lesion, one behind the other."""
    counts = {"train": (2, 2 * PAIRS), "validation": (2 * PAIRS, 4), "test": (2 * PAIRS, 10)}
    directory = examples(tmp_path_factory.mktemp("evaluate") / "real", CLASSES, counts)
    table = pd.read_csv(directory / TABLE, dtype=str, keep_default_na=False)
    place = table.groupby(["split", "label"]).cumcount() // 2
    table["lesion_id"] = table["split"] + table["label"] + place.astype(str)
    table.to_csv(directory / TABLE, index=False)
    return directory


def quality_of(real: Path, made: Path) -> dict:
    (row,) = generated_quality.rows(real, [made], MeanColour(), load(real, SIZE, "test"), 3)
    return row


def expected(real: Path, generated: np.ndarray) -> dict:
    """By one image of each pair: the first of test and validation."""
    features = MeanColour().predict
    test, held = load(real, SIZE, "test"), load(real, SIZE, "validation", classes=["MEL"])
    alone = test.take(np.arange(0, len(test), 2))
    scale = feature_scale(features(alone.images)[1])
    order = np.random.default_rng(3).permutation(PAIRS)
    sets = alone.of_class(0).images, generated, held.take(np.arange(0, len(held), 2)).take(order).images
    reference, made, floor = (features(images)[1] / scale for images in sets)
    return image_quality(reference, made, floor=floor, seed=3) | {"normalised": True}


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)


def written(folder: Path, images: np.ndarray, sources: tuple[str, ...], alpha: float | str) -> None:
    zeros = np.zeros(len(images), np.int32)
    model = {"name": folder.name, "digest": "d", "taxonomy": CLASSES.to_dict()}
    write_generated(folder, Generated(images, zeros, zeros.astype(np.int64), sources), model, [SIZE], alpha)


def test_translated_images_count_once_for_each_lesion_that_they_were_made_of(real, tmp_path):
    nevi = load(real, SIZE, "train", classes=["NV"])
    # the second images of all lesions, then the first ones
    sources = (*nevi.ids[1::2], *nevi.ids[::2])
    images = pictures(2 * PAIRS)
    written(tmp_path / "alpha-1", images, sources, 1.0)
    row = quality_of(real, tmp_path / "alpha-1")
    assert row["images"] == row["quality"]["images"]["made"] == row["quality"]["images"]["real"] == PAIRS
    assert row["quality"]["floor"]["images"] == {"real": PAIRS, "other": PAIRS}
    assert row["quality"] == expected(real, images[:PAIRS])
    called = MeanColour().predict(images[:PAIRS])[0]
    assert row["agreement"] == pytest.approx((called.argmax(1) == 0).mean())
    assert row["probability"] == pytest.approx(called[:, 0].mean())


def test_images_made_of_nothing_real_all_count(real, tmp_path):
    images = pictures(2 * PAIRS)
    written(tmp_path / "acgan", images, ("",) * len(images), "")
    sampled = load(tmp_path / "acgan", SIZE, "train").ids
    written(tmp_path / "refined-MEL", images, sampled, "")
    sets = [tmp_path / "acgan", tmp_path / "refined-MEL"]
    for row in generated_quality.rows(real, sets, MeanColour(), load(real, SIZE, "test"), 3):
        assert row["images"] == 2 * PAIRS
        assert row["quality"] == expected(real, images)


def test_generators_come_in_one_order_wherever_their_folders_lie(tmp_path):
    """A run that was interrupted has its artifacts in several folders; the order of rows in `appearance.json` was
    another then."""
    for first, second in (("2026-a", "2026-b"), ("2026-b", "2026-a")):
        inputs: dict[str, Path | list[Path]] = {}
        for name, run, generators in (("sampled", first, ["acgan"]), ("generated", second, ["refined-NV", "alpha-1"])):
            artifact = tmp_path / first / run / name
            for generator in generators:
                (artifact / generator).mkdir(parents=True)
                (artifact / generator / "examples.json").write_text("{}")
            inputs[name] = [artifact] if name == "generated" else artifact
        task = Task(inputs, {}, {}, evaluate.Options(), 0, tmp_path)
        assert [path.name for path in evaluate._sets(task)] == ["acgan", "alpha-1", "refined-NV"]
