"""The classification accuracy score: a classifier trained on generated images alone, tested on real ones, beside the
same classifier trained on as many real ones (Ravuri and Vinyals 2019, "Classification accuracy score for conditional
generative models").

No feature space can flatter it. Both trainings begin with the recipe's own weights (ImageNet's, where it has them) and
never with a classifier that has seen real lesions, which would know what the generated images are to teach.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lesiongan.base.errors import UsageError
from lesiongan.config.classifier import ClassifierConfig
from lesiongan.data.image_set import ImageSet
from lesiongan.evaluation.judge import resized
from lesiongan.evaluation.single import assess
from lesiongan.models.classifier.model import LesionClassifier
from lesiongan.training.classifier import predict, train_classifier


@dataclasses.dataclass(frozen=True)
class Score:
    """What a training on one set of images reaches on the real test images.

    Attributes:
        result: of `evaluation.single.assess`.
        probabilities: of each test image, float32 `[n, k]`; 0 for a class that the training did not have.
        model: can be handed to the next `accuracy_score` with the same recipe, so that nothing is traced again.
    """

    result: dict[str, Any]
    probabilities: np.ndarray
    model: LesionClassifier


def accuracy_score(
    config: ClassifierConfig,
    train: ImageSet,
    test: ImageSet,
    classes: Sequence[str],
    lesions: Sequence[str],
    *,
    run_dir: Path,
    seed: int,
    name: str,
    resamples: int = 2000,
    confidence: float = 0.95,
    model: LesionClassifier | None = None,
) -> Score:
    """Trains on `train` alone, and tests.

    Args:
        config: the recipe; all images are brought to its size.
        train: generated images, or the real ones beside them, of two classes or more.
        test: real test images; those of classes that `train` lacks are left out.
        classes: the abbreviations that labels stand for.
        lesions: of each test image its lesion, "" where that is not known.
        run_dir: the training's folder; one that was interrupted goes on.
        seed: of the training and of the bootstrap.
        name: what progress calls the training.
        resamples, confidence: of the intervals.

    Raises:
        UsageError: images of fewer than two classes, or no test image of them.
    """
    covered = np.unique(train.labels)
    if len(covered) < 2:
        raise UsageError(f"{name}: a classifier needs images of two classes or more to learn from")
    tested = np.isin(test.labels, covered)
    if not tested.any():
        raise UsageError(f"{name}: no test image of the classes that it learned from")
    trained, _ = train_classifier(
        config,
        _enlarged(train, config.size),
        _enlarged(test.take([]), config.size),
        num_classes=len(classes),
        run_dir=run_dir,
        seed=seed,
        name=name,
        model=model,
    )
    said, _ = predict(trained, resized(test.images[tested], config.size), tta=config.tta)
    known = np.isin(np.arange(len(classes)), covered)
    said = np.where(known, said, 0.0)
    said /= np.maximum(said.sum(1, keepdims=True), 1e-12)
    own = [lesion for lesion, wanted in zip(lesions, tested, strict=True) if wanted]
    result = assess(test.labels[tested], said, classes, own, seed=seed, resamples=resamples, confidence=confidence)
    probabilities = np.zeros((len(test), len(classes)), np.float32)
    probabilities[tested] = said
    return Score(result | {"train_images": len(train)}, probabilities, trained)


def as_many(real: ImageSet, wanted: np.ndarray, seed: int) -> ImageSet:
    """Real images at random, of each class `wanted` `[k]` of them, or all that there are."""
    rng = np.random.default_rng(seed)
    chosen = [rng.permutation(np.flatnonzero(real.labels == label))[:count] for label, count in enumerate(wanted)]
    return real.take(np.concatenate(chosen))


def _enlarged(images: ImageSet, size: int) -> ImageSet:
    return dataclasses.replace(images, images=resized(images.images, size))
