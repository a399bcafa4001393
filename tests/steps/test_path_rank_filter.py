"""The filter's scores are taken as the classifier's recipe says, and as out-of-fold scores are."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from small_examples import examples

from lesiongan.config.classifier import ClassifierConfig
from lesiongan.data.examples import load
from lesiongan.data.taxonomy import Taxonomy
from lesiongan.serving import saved_models
from lesiongan.steps import path_rank_filter
from lesiongan.steps.step import Task

TAXONOMY = Taxonomy.of(("MEL", "NV"))
SIZE = 32


class LeftHalf:
    """A classifier by hand: the lighter the left half, the likelier a melanoma."""

    def classify(self, images):
        lightness = tf.reduce_mean(images[:, :, : SIZE // 2], (1, 2, 3))
        p = tf.sigmoid(4 * lightness)
        return {"probabilities": tf.stack([p, 1 - p], 1), "features": lightness[:, None]}


def probability(half: np.ndarray) -> np.ndarray:
    """Of a half of each image, uint8 `[n, h, w, 3]`."""
    return 1 / (1 + np.exp(-4 * (half.mean((1, 2, 3)) / 127.5 - 1)))


@pytest.mark.parametrize("tta", [False, True])
def test_scores_are_means_over_the_symmetries_where_the_recipe_has_them(tmp_path: Path, tta: bool):
    real = examples(tmp_path / "examples", TAXONOMY, {"train": (9, 3), "test": (1, 1)})
    details = {"config": dataclasses.asdict(ClassifierConfig(size=SIZE, tta=tta))}
    saved_models.export(
        LeftHalf(), tmp_path / "model" / "classifier", kind="classifier", size=SIZE, taxonomy=TAXONOMY, details=details
    )
    path_rank_filter.run(
        Task(
            inputs={"examples": real, "model": tmp_path / "model"},
            outputs={"selection": tmp_path / "selection"},
            parameters={},
            options=path_rank_filter.Options(alphas=(0.5,)),
            seed=0,
            run_dir=tmp_path / "work",
        )
    )
    found = pd.read_csv(tmp_path / "selection" / "ranked.csv").set_index("image_id")["score"]
    melanomas = load(real, SIZE, "train", classes=["MEL"])
    images, half = melanomas.images, SIZE // 2
    halves = [images[:, :, :half], images[:, :, half:], images[:, :half], images[:, half:]]
    # Of the eight symmetries two bring each half to the left.
    expected = np.mean([probability(part) for part in halves], 0) if tta else probability(halves[0])
    np.testing.assert_allclose(found.loc[list(melanomas.ids)], expected, atol=2e-6)
    assert found.is_monotonic_decreasing
