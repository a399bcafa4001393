"""Training of the lesion classifier: fastai's recipe (Adam, learning-rate finder, 1cycle) on an `ImageSet`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from lesiongan.base.errors import UsageError
from lesiongan.base.files import read_json, write_arrays, write_json
from lesiongan.config.classifier import ClassifierConfig
from lesiongan.data.image_set import ImageSet, turned
from lesiongan.data.inputs import classifier_batches
from lesiongan.models.classifier.model import LesionClassifier
from lesiongan.models.replicas import check_share
from lesiongan.optim.adam import Adam, ParameterGroups
from lesiongan.optim.fine_tune import FineTune
from lesiongan.optim.one_cycle import OneCycle
from lesiongan.training.distribution import scope, shared
from lesiongan.training.loop import fit
from lesiongan.training.lr_finder import find_learning_rate
from lesiongan.training.precision import say_if_slow
from lesiongan.training.rollback import Rollback
from lesiongan.training.run import Run

#: Which of the finder's suggestions becomes the peak of 1cycle.
SUGGESTION = "steep"


def build_classifier(config: ClassifierConfig, num_classes: int) -> LesionClassifier:
    """A compiled classifier, its weights not yet set (`reset`); `model.cycle` is the schedule of its optimizer."""
    with scope(config.replicas, "classifier"):
        check_share(config.batch, "classifier.batch")
        return _compiled(config, num_classes)


def _compiled(config: ClassifierConfig, num_classes: int) -> LesionClassifier:
    model = LesionClassifier(
        num_classes,
        backbone=config.backbone,
        stem=config.stem,
        width=config.width,
        label_smoothing=config.label_smoothing,
        mixup=config.mixup,
        focal=config.focal,
        precision=config.precision,
    )
    groups = None
    if config.schedule == "fine_tune":
        model.cycle = FineTune(config.learning_rate, 1, 0, multiplier=config.rate_multiplier)
        groups = ParameterGroups(model.parameter_groups(), model.cycle.groups)
    else:
        model.cycle = OneCycle(config.learning_rate, 1)
    optimizer = Adam.fastai(model.cycle.rate, model.cycle.momentum, weight_decay=config.weight_decay, groups=groups)
    # Without XLA: on a CPU it makes this step four times slower.
    model.compile(optimizer=optimizer, jit_compile=False)
    model.build_optimizer()  # where the model is made: its replicas share the optimizer's variables too
    return model


def train_classifier(
    config: ClassifierConfig,
    train: ImageSet,
    validation: ImageSet,
    *,
    num_classes: int,
    run_dir: Path,
    seed: int,
    name: str = "classifier",
    model: LesionClassifier | None = None,
    initial: Path | Sequence[np.ndarray] | None = None,
    steps: int | None = None,
    class_weights: Sequence[float] | np.ndarray | None = None,
    image_weights: np.ndarray | None = None,
) -> tuple[LesionClassifier, dict]:
    """Trains a classifier and measures it on the validation images.

    Args:
        config: the recipe; `config.size` must be the images' size.
        train, validation: images with labels below `num_classes`; the validation set may be empty.
        run_dir: for checkpoints, statistics and logs; a training found there goes on.
        seed: decides weights, order, augmentation and dropout.
        name: what progress calls this training.
        model: a model of `build_classifier` (or of an earlier call) with the same configuration, used again in place of
            a new one, so that nothing is traced again. Its weights are re-initialised.
        initial: weights to start from: a .npz file of `model.get_state()`, or the list itself. Else `config.weights`.
        steps: length of the training; else `config.images` or `config.epochs` decide.
        class_weights: weights in the loss, `[num_classes]`; else `config.class_balance` decides.
        image_weights: how often each training image is drawn, `[n]`; else an epoch has each once.

    Returns:
        The model and a summary: what `fit` returns (`steps`, `seconds`, `images_per_second`, the last losses), the peak
        `learning_rate`, `finder` (the curve with its suggestions, where it ran), and what `evaluate` says of the
        validation set as `validation_images`, `validation_accuracy`, `validation_balanced_accuracy`,
        `validation_recall`.

    Raises:
        UsageError: images of another size than configured, no images, or weights that are not available.
    """
    for side, images in (("training", train), ("validation", validation)):
        if len(images) and images.size != config.size:
            raise UsageError(f"{side} images have {images.size} px, classifier.size is {config.size}: use the same")
    if not len(train):
        raise UsageError("there are no images to train the classifier on; check the split and the classes")
    say_if_slow(config.precision)
    model = build_classifier(config, num_classes) if model is None else model
    steps = steps or config.steps(len(train))
    _start(model, config, seed, initial)
    if class_weights is None and config.class_balance == "loss":
        class_weights = balanced_weights(train.labels, num_classes, config.balance_power)
    if image_weights is None and config.class_balance == "sampling" and config.balance_power != 1:
        image_weights = balanced_weights(train.labels, num_classes, config.balance_power)[train.labels]
    model.set_class_weights(class_weights)

    def batches(start: int, end: int = steps) -> tf.data.Dataset:
        return classifier_batches(
            train,
            batch=config.batch,
            start=start,
            steps=end,
            seed=seed,
            flips=config.flips,
            rotations=config.rotations,
            colour=config.colour,
            angle=config.angle,
            zoom=config.zoom,
            balanced=config.class_balance == "sampling" and config.balance_power == 1,
            weights=image_weights,
        )

    rate = config.learning_rate
    summary: dict[str, Any] = {}
    if config.find_learning_rate:
        _set_schedule(model, config, rate, steps, len(train))
        summary["finder"] = _finder_result(model, _first(model, batches), Path(run_dir) / "learning_rate_finder.json")
        rate = summary["finder"]["suggestions"][SUGGESTION]
    _set_schedule(model, config, rate, steps, len(train))
    summary |= fit(
        model,
        batches,
        Run(name, run_dir, steps=steps, images_per_step=config.batch, group="classifier"),
        rollback=Rollback(
            config.rollbacks,
            config.rollback_rate,
            lambda factor: _set_schedule(model, config, rate * factor, steps, len(train)),
        ),
    )
    summary["learning_rate"] = rate
    measured = evaluate(model, validation, config.batch, tta=config.tta)
    summary |= {f"validation_{key}": value for key, value in measured.items()}
    return model, summary


def balanced_weights(labels: np.ndarray, classes: int, power: float = 1.0) -> np.ndarray:
    """Weights of the classes in proportion to count^-power, 1 on average over the images; 0 for classes without images.

    With power 1 all classes weigh the same: n / (classes present * count).
    """
    counts = np.bincount(labels, minlength=classes)
    weights = np.where(counts > 0, np.maximum(counts, 1.0) ** -power, 0.0)
    return (weights * len(labels) / (weights * counts).sum()).astype(np.float32)


def predict(
    model: LesionClassifier, images: np.ndarray, batch: int = 64, *, tta: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities `[n, k]` and features `[n, f]` of uint8 images `[n, s, s, 3]`.

    The last batch is padded, so that one trace (kept on the model) serves all calls with this size and batch.

    Args:
        tta: means over the eight symmetries of the square (test-time augmentation), at eight times the cost.
    """
    if not hasattr(model, "classify_pixels"):

        def classify_pixels(pixels):
            result = model.classify(tf.cast(pixels, tf.float32) / 127.5 - 1.0)
            return result["probabilities"], result["features"]

        model.classify_pixels = tf.function(classify_pixels, autograph=False)
    probabilities = np.zeros((len(images), model.classes), np.float32)
    features = np.zeros((len(images), model.backbone.features), np.float32)
    symmetries = range(8 if tta else 1)
    for begin in range(0, len(images), batch):
        part = images[begin : begin + batch]
        n = len(part)
        padded = np.concatenate([part, np.zeros((batch - n, *part.shape[1:]), np.uint8)]) if n < batch else part
        for symmetry in symmetries:
            p, f = model.classify_pixels(tf.constant(turned(padded, symmetry)))
            probabilities[begin : begin + n] += p[:n] / len(symmetries)
            features[begin : begin + n] += f[:n] / len(symmetries)
    return probabilities, features


def evaluate(model: LesionClassifier, images: ImageSet, batch: int = 64, *, tta: bool = False) -> dict:
    """How well a classifier does on labelled images, with test-time augmentation if asked for.

    Returns:
        `images` (how many), `accuracy`, `balanced_accuracy` (mean recall of the classes that the set has), `recall`
        (by label, None where there are no images). The numbers are None for an empty set.
    """
    if not len(images):
        return {"images": 0, "accuracy": None, "balanced_accuracy": None, "recall": [None] * model.classes}
    hits = predict(model, images.images, batch, tta=tta)[0].argmax(1) == images.labels
    recall = [
        float(hits[images.labels == k].mean()) if (images.labels == k).any() else None for k in range(model.classes)
    ]
    balanced = np.mean([r for r in recall if r is not None])
    return {
        "images": len(images),
        "accuracy": float(hits.mean()),
        "balanced_accuracy": float(balanced),
        "recall": recall,
    }


def _set_schedule(model: LesionClassifier, config: ClassifierConfig, rate: float, steps: int, images: int) -> None:
    if config.schedule == "fine_tune":
        frozen = min(math.ceil(config.frozen_epochs * images / config.batch), steps // 3)
        model.cycle.set(rate, steps, frozen)
    else:
        model.cycle.set(rate, steps)


def _first(model: LesionClassifier, batches):
    """The finder's batches."""
    return shared(model, lambda start: batches(start, 100))(0)


def _finder_result(model: LesionClassifier, batches, path: Path) -> dict:
    """The finder's curve, kept in a file, so that a resumed training goes on with the same rate."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {**find_learning_rate(model, batches).to_dict(), "used": SUGGESTION})
    return read_json(path)


def _start(model: LesionClassifier, config: ClassifierConfig, seed: int, initial) -> None:
    """Weights and optimizer as they are when a training begins."""
    model.reset(seed)
    if initial is None:
        if config.weights != "none":
            model.load_backbone_weights(config.weights)
        return
    model.set_state(load_state(initial) if isinstance(initial, (str, Path)) else initial)


def save_state(model: LesionClassifier, path: str | Path) -> None:
    """Weights and moving averages as a .npz file, from which another training can go on."""
    write_arrays(path, **{f"arr_{i}": value for i, value in enumerate(model.get_state())})


def load_state(path: str | Path) -> list[np.ndarray]:
    """What `save_state` wrote."""
    with np.load(path) as data:
        return [data[f"arr_{i}"] for i in range(len(data.files))]
