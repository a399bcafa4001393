"""Trains a CycleGAN on two sets of images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from lesiongan.base.errors import UsageError
from lesiongan.base.progress import say
from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.data.contact_sheet import contact_sheet
from lesiongan.data.image_set import ImageSet, spread_over, to_uint8, to_unit
from lesiongan.data.inputs import unpaired_batches
from lesiongan.evaluation.judge import LEAST, MOST, Judge, Reference, resized
from lesiongan.models.cyclegan.model import CycleGAN
from lesiongan.models.guidance import NO_CLASS, Guide
from lesiongan.training import failure_signals
from lesiongan.training.callbacks import RecordLosses, SaveSamples
from lesiongan.training.distribution import scope
from lesiongan.training.failure_watch import FailureWatch, WatchFailures, cyclegan_rules
from lesiongan.training.guiding import check_guide
from lesiongan.training.loop import fit
from lesiongan.training.measuring import Measure, check_judge, export_best, steps_between
from lesiongan.training.precision import settled
from lesiongan.training.rollback import Rollback
from lesiongan.training.run import Run
from lesiongan.training.transfer import read_model, take_over

_PAIRS = 4  # rows of a sample grid
_COLUMNS = ("x", "x to y", "x to y to x", "x to x", "y", "y to x", "y to x to y", "y to y")
_WATCHED = 32  # images in which failures are looked for
_BATCH = 16  # images translated at a time


def train_cyclegan(
    config: CycleGANConfig,
    x: ImageSet,
    y: ImageSet,
    *,
    run_dir: Path,
    seed: int,
    name: str = "cyclegan",
    model: CycleGAN | None = None,
    judge: Judge | None = None,
    validation: tuple[ImageSet, ImageSet] | None = None,
    sources: tuple[Sequence[str], Sequence[str]] | None = None,
    guide: Guide | None = None,
    aims: tuple[int, int] = (NO_CLASS, NO_CLASS),
    transfer: Path | None = None,
) -> CycleGAN:
    """Trains X -> Y (and Y -> X), going on from the last checkpoint of `run_dir` where there is one.

    After each twentieth of the training (or `config.measure_every_images` images), fixed images of X are translated
    and measured: how far they move, how much they differ among themselves, and with a judge their KID to real images of
    Y. Failures are reported (see `failure_watch`).

    Args:
        config: see `CycleGANConfig`; `max_steps` caps an epoch budget only.
        x: images of the source domain.
        y: images of the target domain.
        run_dir: gets checkpoints, statistics, TensorBoard events and sample grids; see `training.loop.fit`.
        seed: of weights, order of the images, augmentation and pools.
        name: what progress calls this training.
        model: a model of the same configuration, which is reset and trained: its compiled step is used again.
        judge: whose features KID is measured in; `config.export` and `config.patience` go by it.
        validation: images of X and of Y that the sample grids show and that measurements are made with; of the training
            images where there are none, and then without KID. With fewer than 16 of either KID is not measured.
        sources: where each image of X and of Y is from, for `config.match_sources`: else the camera is the first thing
            that is learned.
        guide: the classifier of `config.guidance`, another one than the judge; of a `model` its own one.
        aims: the labels that the guide is to see in X -> Y and in Y -> X, see `guiding.aims_of`.
        transfer: the folder of an exported CycleGAN, whose networks this training begins with.

    Returns:
        The trained model; `translate` gives X -> Y. With `config.export` "best" its exported generator has the weights
        of the lowest KID (`states.last_state` the last ones).

    Raises:
        UsageError: an empty set, a configuration that the networks cannot have, or one that needs a judge or a guide
            without one.
    """
    for letter, images in (("X", x), ("Y", y)):
        if not len(images):
            raise UsageError(f"{name}: there are no images in domain {letter}; a CycleGAN needs some in both")
    check_judge(config, "cyclegan", judge is not None)
    check_guide(config, "cyclegan", guide is not None)
    if guide is not None and judge is None:
        say(f"{name}: the classifier that guides is no judge of the result: KID is not measured")
    x_weights = _matching(*sources) if config.match_sources and sources else None
    if config.match_sources and x_weights is None:
        say(f"{name}: cyclegan.match_sources has no effect: X and Y have no sources in common that are known")
    config = settled_precision(config, run_dir, guide)
    steps = config.steps(len(x), len(y))
    if model is None:
        with scope(config.replicas, "cyclegan"):
            model = CycleGAN(config, seed=seed, steps=steps, guide=guide, aims=aims)
    else:
        if model.config != config:
            raise ValueError("a model that is used again must have the configuration of the training")
        model.reset(seed, steps)
        model.aims.assign(aims)
    if transfer is not None:
        networks = ("generator_xy", "generator_yx", "discriminator_x", "discriminator_y")
        parts = {network: network for network in networks} | {"averaged_xy": "generator_xy"}
        take_over(model, read_model(transfer, CycleGAN), parts, name)

    def batches(start: int) -> tf.data.Dataset:
        return unpaired_batches(
            x,
            y,
            size=config.size,
            batch=config.batch,
            start=start,
            steps=steps,
            seed=seed,
            flip=config.flip,
            crop=config.crop,
            x_weights=x_weights,
        )

    shown_x, shown_y = (
        held if held is not None and len(held) else images
        for held, images in zip(validation or (None, None), (x, y), strict=True)
    )
    pairs = (_spread(shown_x, _PAIRS, config.size), _spread(shown_y, _PAIRS, config.size))
    reference = _reference(judge, validation, config.size, name)
    fixed = _spread(shown_x, MOST if reference else _WATCHED, config.size)
    summary = fit(
        model,
        batches,
        Run(name, run_dir, steps=steps, images_per_step=config.batch, group="cyclegan"),
        [
            RecordLosses(rates=lambda: _rates(model)),
            Measure(
                lambda: _measured(model, fixed, reference),
                steps_between(config, steps),
                select="kid" if reference else "",
                exported=lambda: [variable.value for variable in model.exported.variables],
                patience=config.patience if reference else 0,
            ),
            WatchFailures(FailureWatch(cyclegan_rules(config), steps)),
            SaveSamples(lambda: {"pairs": pairs_grid(model, *map(to_unit, pairs))}, max(1, min(2000, steps // 4))),
        ],
        rollback=Rollback(config.rollbacks, config.rollback_rate, model.scale_rates),
    )
    if config.export == "best":
        export_best(summary, run_dir, [variable.value for variable in model.exported.variables], name)
    return model


def translate(model: CycleGAN, images: np.ndarray) -> np.ndarray:
    """X -> Y as it is exported, uint8 `[n, size, size, 3]` on both sides; one trace (kept on the model) serves all
    trainings with it."""
    if not hasattr(model, "translate_pixels"):
        model.translate_pixels = tf.function(
            lambda pixels: model.translate(tf.cast(pixels, tf.float32) / 127.5 - 1.0), autograph=False
        )
    parts = []
    for begin in range(0, len(images), _BATCH):
        part = images[begin : begin + _BATCH]
        padded = np.concatenate([part, np.repeat(part[-1:], _BATCH - len(part), 0)])
        parts.append(to_uint8(model.translate_pixels(padded)[: len(part)]))
    return np.concatenate(parts)


def pairs_grid(model: CycleGAN, x: tf.Tensor, y: tf.Tensor) -> np.ndarray:
    """A picture for people: one row per pair, with the columns x, x->y, x->y->x and x->x (by Y's generator, what
    the identity loss holds), and the same of y.

    Args:
        model: its trained generators are shown, not their average.
        x: float `[n, size, size, 3]` in [-1, 1].
        y: the same, of the other domain.

    Returns:
        uint8 `[height, width, 3]`.
    """
    n = min(len(x), len(y))
    x, y = x[:n], y[:n]
    fake_y, fake_x = model.generator_xy(x), model.generator_yx(y)
    columns = [x, fake_y, model.generator_yx(fake_y), model.generator_yx(x)]
    columns += [y, fake_x, model.generator_xy(fake_x), model.generator_xy(y)]
    tiles = to_uint8(np.stack([np.asarray(column) for column in columns], 1))
    return contact_sheet(tiles, column_labels=_COLUMNS, cell=max(64, model.config.size))


def _measured(model: CycleGAN, x: np.ndarray, reference: Reference | None) -> dict[str, float]:
    translated = translate(model, x)
    signals = failure_signals.of_translation(x[:_WATCHED], translated[:_WATCHED])
    return signals if reference is None else {"kid": reference.kid(translated), **signals}


def _reference(
    judge: Judge | None, validation: tuple[ImageSet, ImageSet] | None, size: int, name: str
) -> Reference | None:
    """The real images of Y that KID is measured to, where it can be measured."""
    if judge is None:
        return None
    counts = [len(images) for images in validation or ((), ())]
    if validation is None or min(counts) < LEAST:
        say(
            f"{name}: KID is not measured and the last state is exported: there are {counts[0]} validation images of X "
            f"and {counts[1]} of Y, {LEAST} of both are needed"
        )
        return None
    return judge.reference(_spread(validation[1], MOST, size))


def _matching(x: Sequence[str], y: Sequence[str]) -> np.ndarray | None:
    """Weights of the images of X by which each source has the share that it has in Y; None where no two have the same
    source."""
    shares, counts = Counter(y), Counter(x)
    weights = np.array([shares[source] / counts[source] for source in x])
    return weights if weights.any() else None


def _rates(model: CycleGAN) -> dict[str, float]:
    generator, discriminator = (
        float(optimizer.learning_rate) for optimizer in (model.generator_optimizer, model.discriminator_optimizer)
    )
    if generator == discriminator:
        return {"learning_rate": generator}
    return {"learning_rate": generator, "learning_rate_discriminator": discriminator}


def _spread(images: ImageSet, count: int, size: int) -> np.ndarray:
    """At most `count` images spread over the set, the same in every run: uint8 `[n, size, size, 3]`."""
    return resized(images.images[spread_over(count, len(images))], size)


def settled_precision(config: CycleGANConfig, folder: Path, guide: Guide | None = None) -> CycleGANConfig:
    """The configuration with `precision=auto` settled for this machine, once per folder; see `precision.settled`."""

    def prepared(config: CycleGANConfig) -> tuple[CycleGAN, tuple[tf.Tensor, ...]]:
        shape = [config.batch, config.size, config.size, 3]
        return CycleGAN(config, seed=0, steps=1, guide=guide), tuple(
            tf.random.stateless_uniform(shape, [side, 0], -1.0, 1.0) for side in (0, 1)
        )

    return settled(config, folder, prepared)
