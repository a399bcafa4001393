"""How near the images of ACGANs are to real ones, class by class, and whether they show the class that was asked for.

    python -m benchmarks.acgan_quality EXAMPLES MODEL [MODEL ...] [--judge imagenet] [--judge CLASSIFIER] [--grids DIR]

MODEL is the folder of an exported ACGAN. For each judge KID, recall and coverage against the test side of the Examples,
overall (as many images of each class as the test side has) and for the classes with 200 test images or more, with
intervals, and real validation images against the same as the floor. A judge that is a classifier also says how often
it names the class that was asked for, and of real test images the class that they have. Beside them the spread of
mean colours within a class over that of real ones (0.8 to 1.25 is healthy), and how near generated images are to their
nearest training image, as the test images are (a copy is nearer). `--grids` writes a sheet of 8 classes x 8 images per
model.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks import generated_quality as numbers
from benchmarks.judged import Looks, line, one_per_lesion, parser, run_name
from lesiongan.data import examples
from lesiongan.data.contact_sheet import contact_sheet, save_sheet
from lesiongan.data.image_set import ImageSet
from lesiongan.serving import saved_models

_LEAST = 200  # test images of a class that is judged by itself
_SAMPLED = 400  # images per class, at least
_COLUMNS = 8


def main() -> None:
    arguments = parser(__doc__.splitlines()[0]).parse_args()
    classes = examples.taxonomy(arguments.examples).classes
    served = {path: saved_models.load(path) for path in arguments.models}
    for size in {model.size for model in served.values()}:
        images = examples.load(arguments.examples, size, "test")
        alone = np.flatnonzero(np.bincount(images.labels, minlength=len(classes)) >= _LEAST)
        test, floor = (one_per_lesion(arguments.examples, size, split) for split in ("test", "validation"))
        models = {path: model for path, model in served.items() if model.size == size}
        sampled = {path: _sample(model, test, len(classes)) for path, model in models.items()}
        for judge in arguments.judge or ["imagenet"]:
            looks = Looks.of(judge, test, floor)
            print(f"judge {looks.judge.name}, {size} px, {len(test):,} test images, one per lesion")
            _report("real validation images", looks, test, floor, floor.labels, looks.floor, alone, classes)
            if looks.judge.classes:
                _agreement(looks.judge.probabilities(test.images).argmax(1), test.labels, classes)
            for path, (generated, labels) in sampled.items():
                print(run_name(path))
                _report(run_name(path), looks, test, floor, labels, looks.features(generated), alone, classes)
                if looks.judge.classes:
                    _agreement(looks.judge.probabilities(generated).argmax(1), labels, classes)
        train = examples.load(arguments.examples, size, "train").images
        print(f"to the nearest training image, {size} px, root mean square of the differences (range 0 to 1)")
        print(f"  {'real test images':<28}{_nearest(test.images, train)}")
        for path, (generated, labels) in sampled.items():
            spreads = numbers.spreads(generated, labels, test)
            shown = "  ".join(f"{classes[label]} {spread:.2f}" for label, spread in spreads.items())
            print(f"  {run_name(path):<28}{_nearest(generated, train)}\n  spread of mean colours over real: {shown}")
            if arguments.grids:
                _grid(arguments, path, models[path], classes, train)


def _sample(model: saved_models.Served, test: ImageSet, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """As many images of each class as the test side has, and at least 400: images and labels."""
    counts = np.maximum(np.bincount(test.labels, minlength=num_classes), _SAMPLED)
    labels = np.repeat(np.arange(num_classes), counts)
    seeds = np.concatenate([np.arange(count) for count in counts])
    return model.sample(labels, seeds), labels


def _report(name, looks: Looks, test: ImageSet, floor: ImageSet, labels, features, alone, classes) -> None:
    """Lines for all classes together, and for each of `alone`."""
    counts = np.bincount(test.labels, minlength=len(classes))
    first = np.concatenate([np.flatnonzero(labels == k)[:count] for k, count in enumerate(counts)])
    everything = looks.quality(features[first], np.arange(len(test)), np.arange(len(floor)))
    print(line("all", (len(test), len(first)), everything))
    kids = []
    for label in alone:
        generated = features[labels == label]
        test_rows, floor_rows = np.flatnonzero(test.labels == label), np.flatnonzero(floor.labels == label)
        quality = looks.quality(generated, test_rows, floor_rows)
        kids.append(quality["kid"]["value"])
        print(line(classes[label], (len(test_rows), len(generated)), quality))
    print(f"  mean KID of {', '.join(classes[k] for k in alone)}: {np.mean(kids):.3f}   ({name})")


def _agreement(called: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]) -> None:
    rates = numbers.agreement(called, labels, len(classes))
    named = "  ".join(f"{name} {rate:.2f}" for name, rate in zip(classes, rates, strict=True))
    print(f"  classifier names the intended class: {named}; mean {np.nanmean(rates):.3f}")


def _nearest(images: np.ndarray, train: np.ndarray) -> str:
    distances = numbers.nearest_distances(images, train)
    least, hundredth, median = np.quantile(distances, (0.0, 0.01, 0.5))
    return f"least {least:.3f}, first percentile {hundredth:.3f}, median {median:.3f}"


def _grid(
    arguments: argparse.Namespace, path: Path, model: saved_models.Served, classes: tuple[str, ...], train: np.ndarray
) -> None:
    labels, seeds = np.divmod(np.arange(len(classes) * _COLUMNS), _COLUMNS)
    images = model.sample(labels, seeds)
    print(f"  {run_name(path):<28}the sheet's images: {_nearest(images, train)}")
    rows = list(images.reshape(len(classes), _COLUMNS, *images.shape[1:]))
    save_sheet(contact_sheet(rows, list(classes), cell=model.size), arguments.grids / f"acgan-{run_name(path)}.png")


if __name__ == "__main__":
    main()
