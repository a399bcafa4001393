"""Scores of images by classifiers that were not trained on them.

The confidence of a network on its own training images measures memory (the Path-Rank-Filter ranks by it); a network
that has not seen them says how typical they look.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lesiongan.base.errors import UsageError
from lesiongan.base.files import write_arrays
from lesiongan.base.progress import say
from lesiongan.config.classifier import ClassifierConfig
from lesiongan.data.image_set import ImageSet
from lesiongan.training.classifier import build_classifier, predict, train_classifier


def folds(labels: np.ndarray, groups: Sequence[str], count: int, seed: int) -> np.ndarray:
    """The fold of each image, int `[n]`: stratified by class, no group in two folds (scikit-learn).

    Args:
        labels: int `[n]`.
        groups: lesion ids, `[n]`; an image without one ("") is a group of its own.
        count: how many folds, at least 2.

    Raises:
        UsageError: fewer than two folds, or more folds than groups.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # costs a second to import

    own = np.unique([group or f" {i}" for i, group in enumerate(groups)], return_inverse=True)[1]
    if not 2 <= count <= own.max() + 1:
        raise UsageError(f"{count} folds of {own.max() + 1} lesions: give a number from 2 to that")
    fold_of_image = np.zeros(len(labels), np.int64)
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    for number, (_, held_out) in enumerate(splitter.split(np.zeros(len(labels)), labels, own)):
        fold_of_image[held_out] = number
    return fold_of_image


def out_of_fold(
    config: ClassifierConfig,
    train: ImageSet,
    groups: Sequence[str],
    *,
    num_classes: int,
    count: int,
    run_dir: Path,
    seed: int,
) -> np.ndarray:
    """Probabilities `[n, num_classes]` of the training images, each by a classifier of the other folds.

    Each fold is a whole training of `config`; finished folds are kept in `run_dir`, and an interrupted call goes on.
    Arguments as for `folds` and `train_classifier`.
    """
    fold, model = folds(train.labels, groups, count, seed), None
    probabilities = np.zeros((len(train), num_classes), np.float32)
    nothing = train.take([])
    for number in range(count):
        file, held_out = Path(run_dir) / f"fold-{number}.npz", fold == number
        if file.exists():
            say(f"fold {number + 1} of {count}: done before")
        else:
            model = build_classifier(config, num_classes) if model is None else model
            name = f"fold {number + 1} of {count}"
            place = Path(run_dir) / f"fold-{number}"
            train_classifier(
                config,
                train.take(~held_out),
                nothing,
                num_classes=num_classes,
                run_dir=place,
                seed=seed + number,
                name=name,
                model=model,
            )
            write_arrays(file, probabilities=predict(model, train.images[held_out], tta=config.tta)[0])
        with np.load(file) as data:
            probabilities[held_out] = data["probabilities"]
    return probabilities
