"""The classification accuracy score of ACGANs: a classifier trained on generated images alone, tested on real ones.

    python -m benchmarks.accuracy_score EXAMPLES MODEL [MODEL ...] [--per-class 1000] [--images 30000] [--times 1 5]
        [--seed 0] [--predictions DIR]

Ravuri and Vinyals 2019, "Classification accuracy score for conditional generative models" (arXiv 1905.10887). Beside
each MODEL (an exported ACGAN) stands the same classifier trained on as many real training images of each class, at most
`--per-class`; `--times 5` gives the generated set five times as many. All images, the test images too, pass through the
generator's size, so that resolution tells nothing; all trainings see `--images` images. The classifier is that of the
preset `small`. What each says of every test image is kept in `--predictions`.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.judged import run_name
from lesiongan.config.classifier import ClassifierConfig
from lesiongan.data import examples
from lesiongan.data.image_set import ImageSet
from lesiongan.evaluation.predictions import submission
from lesiongan.serving import saved_models
from lesiongan.training.accuracy_score import accuracy_score, as_many
from pipelines.presets import resolve


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("examples")
    arguments.add_argument("models", nargs="+", type=Path)
    arguments.add_argument("--per-class", type=int, default=1000)
    arguments.add_argument("--images", type=int, default=30_000)
    arguments.add_argument("--times", type=int, nargs="+", default=[1])
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--predictions", type=Path)
    options = arguments.parse_args()
    classes = examples.taxonomy(options.examples).classes
    served = {path: saved_models.load(path) for path in options.models}
    size = next(iter(served.values())).size
    train, test = (examples.load(options.examples, size, split) for split in ("train", "test"))
    counts = np.minimum(np.bincount(train.labels, minlength=len(classes)), options.per_class)
    config = dataclasses.replace(resolve("small").classifier, images=options.images)
    print(f"{counts.sum():,} training images, at most {options.per_class:,} per class, {size} px, seed {options.seed}")
    _report(options, "real images", config, as_many(train, counts, options.seed), test, classes)
    for path, model in served.items():
        for times in options.times:
            labels = np.repeat(np.arange(len(classes)), times * counts)
            seeds = np.concatenate([np.arange(count) for count in times * counts])
            ids = tuple(f"{classes[label]}-{seed}" for label, seed in zip(labels, seeds, strict=True))
            made = ImageSet(model.sample(labels, seeds), labels.astype(np.int32), ids, (run_name(path),) * len(ids))
            _report(options, f"{run_name(path)} x {times}", config, made, test, classes)


def _report(
    options: argparse.Namespace, name: str, config: ClassifierConfig, train: ImageSet, test: ImageSet, classes
) -> None:
    lesions = examples.lesion_ids(options.examples, test.ids)
    with tempfile.TemporaryDirectory() as scratch:
        score = accuracy_score(
            config, train, test, classes, lesions, run_dir=Path(scratch), seed=options.seed, name=name
        )
    if options.predictions:
        options.predictions.mkdir(parents=True, exist_ok=True)
        place = options.predictions / f"{name.replace(' ', '-')}-seed{options.seed}.csv"
        place.write_text(submission(test.ids, score.probabilities, classes))
    result = score.result
    values = ((metric, result[metric], result["intervals"][metric]) for metric in ("balanced_accuracy", "accuracy"))
    shown = [
        f"{metric.replace('_', ' ')} {value:.3f} ({low:.3f} to {high:.3f})" for metric, value, (low, high) in values
    ]
    recalls = "  ".join(f"{c} {row['recall']:.2f}" for c, row in result["classes"].items() if row["recall"] is not None)
    print(f"  {name:<20}{len(train):>7,} images   {'   '.join(shown)}   recall {recalls}", flush=True)


if __name__ == "__main__":
    main()
