"""Trains an ACGAN on a set of labelled images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from lesiongan.base.errors import UsageError
from lesiongan.base.progress import say
from lesiongan.config.acgan import ACGANConfig
from lesiongan.data.contact_sheet import contact_sheet
from lesiongan.data.image_set import ImageSet, spread_over, to_uint8
from lesiongan.data.inputs import conditional_batches
from lesiongan.evaluation.judge import LEAST, Judge, Reference
from lesiongan.models.acgan.model import ACGAN
from lesiongan.models.guidance import Guide
from lesiongan.training import failure_signals
from lesiongan.training.callbacks import SaveSamples
from lesiongan.training.distribution import scope
from lesiongan.training.failure_watch import FailureWatch, WatchFailures, acgan_rules
from lesiongan.training.guiding import check_guide
from lesiongan.training.loop import fit
from lesiongan.training.measuring import Measure, check_judge, export_best, steps_between
from lesiongan.training.precision import settled
from lesiongan.training.rollback import Rollback
from lesiongan.training.run import Run
from lesiongan.training.transfer import read_model, take_over

_COLUMNS = 8  # images per class in a sample grid
_WATCHED = 16  # images per class in which failures are looked for
_JUDGED = 64  # images per class, generated and real, that KID is measured with at most
_BATCH = 64  # images sampled at a time

#: Labels int32 `[n]`, seeds int64 `[n]` -> images `[n, size, size, 3]` in [-1, 1].
Sample = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def train_acgan(
    config: ACGANConfig,
    data: ImageSet,
    *,
    num_classes: int,
    run_dir: Path,
    seed: int,
    name: str = "acgan",
    judge: Judge | None = None,
    validation: ImageSet | None = None,
    guide: Guide | None = None,
    transfer: Path | None = None,
) -> ACGAN:
    """Trains an ACGAN, going on from the last checkpoint of `run_dir` where there is one.

    After each twentieth of the training (or `config.measure_every_images` images), images of every class are generated
    from fixed noise and measured: how much they differ within a class, and with a judge their KID to real ones (mean
    over the classes). Failures are reported (see `failure_watch`).

    Args:
        config: see `ACGANConfig`.
        data: the real images, `config.size` pixels.
        num_classes: k; labels are 0 to k - 1. A class without images stays at what the noise gives.
        run_dir: gets checkpoints, statistics, TensorBoard events and sample grids; see `training.loop.fit`.
        seed: of weights, order of the images, augmentation and noise.
        name: what progress calls this training.
        judge: whose features KID is measured in; `config.export` and `config.patience` go by it.
        validation: real images that KID is measured to; classes with fewer than 16 of them do not count.
        guide: the classifier of `config.guidance`, of the same k classes; another one than the judge.
        transfer: the folder of an exported ACGAN, whose networks this training begins with.

    Returns:
        The trained model; `sample` draws from the averaged generator where `config.ema` is set. With `config.export`
        "best" the generator that `sample` draws from has the weights of the lowest KID (`states.last_state` the
        last ones).

    Raises:
        UsageError: an empty set, images of another size, a configuration that the networks cannot have, or one that
            needs a judge or a guide without one.
    """
    if not len(data):
        raise UsageError(f"{name}: there are no images to train on; check the split and the classes of the Examples")
    if data.size != config.size:
        raise UsageError(f"{name}: images have {data.size} px, acgan.size is {config.size}; make Examples of that size")
    check_judge(config, "acgan", judge is not None)
    check_guide(config, "acgan", guide is not None)
    if guide is not None and judge is None:
        say(f"{name}: the classifier that guides is no judge of the result: KID is not measured")
    stratified = config.networks == "projected"  # its discriminator sees images in pairs of one class
    present = len(np.unique(data.labels))
    if stratified and config.batch < 2 * present:
        raise UsageError(
            f"{name}: acgan.batch={config.batch} is too small for pairs of each of {present} classes, which "
            f"acgan.networks=projected sees; give {2 * present} or more"
        )
    config = settled(config, run_dir, lambda config: _prepared(config, num_classes, guide))
    steps = config.steps(len(data))
    with scope(config.replicas, "acgan"):
        model = ACGAN(config, num_classes, seed, steps=steps, guide=guide)
        model.compile()
    if transfer is not None:
        parts = {"generator": "generator", "discriminator": "discriminator", "averaged": "generator"}
        take_over(model, read_model(transfer, ACGAN), parts, name)

    def batches(start: int) -> tf.data.Dataset:
        return conditional_batches(
            data,
            batch=config.batch,
            start=start,
            steps=steps,
            seed=seed,
            flip=config.flip,
            balanced=config.balanced,
            stratified=stratified,
        )

    specs = [tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.int64)]
    sample = tf.function(model.sample, autograph=False, input_signature=specs)
    references = _references(judge, validation, num_classes, name)
    watched = _spread(data, num_classes, _WATCHED)
    summary = fit(
        model,
        batches,
        Run(name, run_dir, steps=steps, images_per_step=config.batch, group="acgan"),
        [
            Measure(
                lambda: measured(sample, num_classes, watched, references),
                steps_between(config, steps),
                select="kid" if references else "",
                exported=lambda: [variable.value for variable in model.exported.variables],
                patience=config.patience if references else 0,
            ),
            WatchFailures(FailureWatch(acgan_rules(), steps)),
            SaveSamples(lambda: {"classes": classes_grid(model, sample)}, max(1, min(2000, steps // 4))),
        ],
        rollback=Rollback(config.rollbacks, config.rollback_rate, model.scale_rates),
    )
    if config.export == "best":
        export_best(summary, run_dir, [variable.value for variable in model.exported.variables], name)
    return model


def classes_grid(model: ACGAN, sample: Sample, columns: int = _COLUMNS) -> np.ndarray:
    """A picture for people: one row per class, one column per seed, the same noise in every grid; uint8 `[h, w, 3]`.

    `sample` is `model.sample`, or that as a `tf.function`.
    """
    images = _generated(sample, model.num_classes, columns)
    return contact_sheet(list(images), cell=max(64, model.config.size))


def measured(
    sample: Sample, num_classes: int, watched: ImageSet, references: dict[int, tuple[Reference, int]]
) -> dict[str, float]:
    """What is measured while an ACGAN trains.

    Args:
        sample: the ACGAN's.
        num_classes: k.
        watched: real images, some of each class, whose diversity the generated ones should have.
        references: label -> real images of the class, and how many generated ones are compared to them.

    Returns:
        `kid`, the mean over the classes of `references` (NaN where one is), if there are any; `class_diversity` and
        `class_diversity_lowest` (see `failure_signals.of_classes`).
    """
    generated = _generated(sample, num_classes, max([_WATCHED, *(count for _, count in references.values())]))
    first = generated[:, :_WATCHED]
    labels = np.repeat(np.arange(num_classes), _WATCHED)
    diversity = failure_signals.of_classes(watched.images, watched.labels, first.reshape(-1, *first.shape[2:]), labels)
    if not references:
        return diversity
    kids = [reference.kid(generated[label, :count]) for label, (reference, count) in references.items()]
    return {"kid": float(np.mean(kids)), **diversity}


def _generated(sample: Sample, num_classes: int, count: int) -> np.ndarray:
    """Images of every class from the seeds 0, 1, ...: uint8 `[k, count, size, size, 3]`."""
    labels, seeds = np.divmod(np.arange(num_classes * count), count)
    parts = [
        to_uint8(
            sample(tf.constant(labels[begin : begin + _BATCH], tf.int32), tf.constant(seeds[begin : begin + _BATCH]))
        )
        for begin in range(0, len(labels), _BATCH)
    ]
    images = np.concatenate(parts)
    return images.reshape(num_classes, count, *images.shape[1:])


def _references(
    judge: Judge | None, validation: ImageSet | None, num_classes: int, name: str
) -> dict[int, tuple[Reference, int]]:
    """The real images that KID is measured to, of each class that has enough of them; all classes set the features'
    scale."""
    if judge is None:
        return {}
    chosen = None if validation is None else _spread(validation, num_classes, _JUDGED)
    counts = np.zeros(num_classes, int) if chosen is None else np.bincount(chosen.labels, minlength=num_classes)
    enough = np.flatnonzero(counts >= LEAST)
    if chosen is None or not len(enough):
        say(
            f"{name}: KID is not measured and the last state is exported: no class has {LEAST} validation images "
            f"(the largest {counts.max()})"
        )
        return {}
    return {
        label: (judge.reference(chosen.of_class(label).images, among=chosen.images), int(counts[label]))
        for label in enough.tolist()
    }


def _spread(images: ImageSet, num_classes: int, count: int) -> ImageSet:
    """At most `count` images of each class, spread over the set, the same in every run."""
    places = [np.flatnonzero(images.labels == label) for label in range(num_classes)]
    chosen = [own[spread_over(count, len(own))] for own in places]
    return images.take(np.concatenate(chosen))


def _prepared(config: ACGANConfig, num_classes: int, guide: Guide | None) -> tuple[ACGAN, tuple[tf.Tensor, tf.Tensor]]:
    """A model, and a batch whose time says how long its steps take; labels come in pairs, which some networks see."""
    model = ACGAN(config, num_classes, seed=0, steps=1, guide=guide)
    model.compile()
    images = tf.random.stateless_uniform([config.batch, config.size, config.size, 3], [0, 0], -1.0, 1.0)
    return model, (images, tf.range(config.batch) // 2 % num_classes)
