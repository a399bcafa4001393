"""One training of the screening and its numbers; see `screening`."""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks import generated_quality as numbers
from benchmarks.judged import Looks, one_per_lesion
from benchmarks.variations import RECIPES, Variation
from lesiongan.config.acgan import ACGANConfig
from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.config.reader import assign
from lesiongan.config.run import Config
from lesiongan.data import examples
from lesiongan.data.contact_sheet import contact_sheet, save_sheet
from lesiongan.data.image_set import to_uint8
from lesiongan.data.lesions import source_of
from lesiongan.evaluation.imagenet_judge import imagenet
from lesiongan.evaluation.translation import pixel_distances
from lesiongan.models.acgan.model import ACGAN
from lesiongan.models.cyclegan.model import CycleGAN
from lesiongan.training.acgan import classes_grid, train_acgan
from lesiongan.training.cyclegan import train_cyclegan, translate

_ALONE = ("MEL", "NV", "BCC", "BKL")  # classes with enough validation images for a KID of their own
_TIMED = 12  # steps, the first four of which do not count
_MEASUREMENTS = 4  # while it trains


def acgan(options: argparse.Namespace, variation: Variation, run_dir: Path) -> dict[str, Any]:
    """Trains and measures an ACGAN."""
    config = _config(options, variation).acgan
    classes = examples.taxonomy(options.examples).classes
    data, validation = (examples.load(options.examples, config.size, split) for split in ("train", "validation"))
    with variation.without():
        model = ACGAN(config, len(classes), options.seed)
        model.compile()
        images = tf.zeros([config.batch, config.size, config.size, 3])
        seconds = _seconds_of_a_step(model, (images, tf.range(config.batch) % len(classes)))
        config = _budgeted(config, options.minutes, seconds)
        model = train_acgan(
            config,
            data,
            num_classes=len(classes),
            run_dir=run_dir,
            seed=options.seed,
            name=run_dir.name,
            judge=imagenet(),
            validation=validation,
        )
    sample = tf.function(model.sample, autograph=False, reduce_retracing=True)
    save_sheet(classes_grid(model, sample), run_dir.with_suffix(".png"))
    real = one_per_lesion(options.examples, config.size, "validation")
    counts = np.maximum(np.bincount(real.labels, minlength=len(classes)), 200)
    labels = np.repeat(np.arange(len(classes)), counts)
    seeds = np.concatenate([np.arange(count) for count in counts])
    made = np.concatenate(
        [
            to_uint8(sample(tf.constant(labels[i : i + 64], tf.int32), tf.constant(seeds[i : i + 64], tf.int64)))
            for i in range(0, len(labels), 64)
        ]
    )
    first = np.concatenate([np.flatnonzero(labels == k)[: (real.labels == k).sum()] for k in range(len(classes))])
    measured: dict[str, float] = {}
    for judge, short in (("imagenet", "Lite2"), (options.classifier, "classifier")):
        looks = Looks.of(judge, real, real)
        features = looks.features(made)
        measured[f"KID {short}, all"] = looks.kid(features[first], np.arange(len(real)))
        kids = {
            name: looks.kid(features[labels == classes.index(name)], np.flatnonzero(real.labels == classes.index(name)))
            for name in _ALONE
        }
        if short == "Lite2":
            measured["mean of four"] = float(np.mean(list(kids.values())))
        else:
            measured |= {name: value for name, value in kids.items() if name != "NV"}
        measured[f"recall {short}"] = looks.recall(features[first], np.arange(len(real)))
        if looks.judge.classes:
            called = looks.judge.probabilities(made).argmax(1)
            measured["named as intended"] = float(numbers.agreement(called, labels, len(classes)).mean())
    spread = list(numbers.spreads(made, labels, real).values())
    measured |= {"colour spread, least": min(spread), "most": max(spread)}
    return {"images": config.images, "measured": measured}


def cyclegan(options: argparse.Namespace, variation: Variation, run_dir: Path) -> dict[str, Any]:
    """Trains and measures a CycleGAN from nevi to melanomas."""
    config = _config(options, variation).cyclegan
    nv, mel = map(examples.taxonomy(options.examples).index, ("NV", "MEL"))
    sides = {split: examples.load(options.examples, config.size, split) for split in ("train", "validation")}
    (x, y), (held_x, held_y) = ([side.of_class(label) for label in (nv, mel)] for side in sides.values())
    sources = tuple([source_of(lesion) for lesion in examples.lesion_ids(options.examples, s.ids)] for s in (x, y))
    with variation.without():
        model = CycleGAN(config, seed=options.seed)
        images = tf.random.stateless_uniform([config.batch, config.size, config.size, 3], [0, 1], -1.0, 1.0)
        config = _budgeted(config, options.minutes, _seconds_of_a_step(model, (images, images)))
        model = train_cyclegan(
            config,
            x,
            y,
            run_dir=run_dir,
            seed=options.seed,
            name=run_dir.name,
            judge=imagenet(),
            validation=(held_x, held_y),
            sources=sources,
        )
    real = one_per_lesion(options.examples, config.size, "validation")
    nevi, rows = real.of_class(nv), np.flatnonzero(real.labels == mel)
    made = translate(model, nevi.images)
    measured: dict[str, float] = {}
    for judge, short in (("imagenet", "Lite2"), (options.classifier, "classifier")):
        looks = Looks.of(judge, real, real)
        features = looks.features(made)
        measured[f"KID {short}"] = looks.kid(features, rows)
        measured[f"recall {short}"] = looks.recall(features, rows)
        if looks.judge.classes:
            called = looks.judge.probabilities(made).argmax(1)
            measured["called melanoma"] = float((called == mel).mean())
    moved = pixel_distances(nevi.images, made)
    measured |= {"moved": float(moved.mean()), "colour spread": numbers.colour_spread(made, real.of_class(mel).images)}
    far = np.argsort(moved)[-32:]
    rows = [images[far[begin : begin + 8]] for begin in range(0, 32, 8) for images in (nevi.images, made)]
    save_sheet(contact_sheet(rows, cell=config.size), run_dir.with_suffix(".png"))
    return {"images": config.images, "measured": measured}


def _seconds_of_a_step(model, batch) -> float:
    """Processor seconds of a training step, the median of a few after the first."""
    step, seconds = tf.function(model.train_step, autograph=False), []
    for _ in range(_TIMED):
        begin = time.process_time()
        tf.nest.map_structure(lambda loss: loss.numpy(), step(batch))
        seconds.append(time.process_time() - begin)
    return float(np.median(seconds[4:]))


def _config(options: argparse.Namespace, variation: Variation) -> Config:
    precision = f"{options.model}.precision={options.precision}"
    return assign(Config(), *RECIPES[options.model].split(), precision, *variation.options.split())


def _budgeted(config: ACGANConfig | CycleGANConfig, minutes: float, seconds: float) -> Any:
    images = int(minutes * 60 / seconds) * config.batch
    return dataclasses.replace(config, images=images, measure_every_images=images // _MEASUREMENTS)
