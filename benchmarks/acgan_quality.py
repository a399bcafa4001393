"""How near the images of ACGANs are to real ones, class by class, and whether they show the class that was asked for.

    python -m benchmarks.acgan_quality EXAMPLES MODEL [MODEL ...] [--judge imagenet] [--judge CLASSIFIER] [--grids DIR]

MODEL is the folder of an exported ACGAN. For each judge KID, recall and coverage against the test side of the Examples,
overall (as many images of each class as the test side has) and for the classes with 200 test images or more, with
intervals, and real validation images against the same as the floor. A judge that is a classifier also says how often
it names the class that was asked for. `--grids` writes a sheet of 8 classes x 8 images per model, with the distance
from its images to the nearest training image.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

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
            for path, (generated, labels) in sampled.items():
                print(run_name(path))
                _report(run_name(path), looks, test, floor, labels, looks.features(generated), alone, classes)
                if looks.judge.classes:
                    _agreement(looks.judge.probabilities(generated).argmax(1), labels, classes)
        if arguments.grids:
            for path, model in models.items():
                _grid(arguments, path, model, classes)


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
    rates = [float((called[labels == k] == k).mean()) for k in range(len(classes))]
    named = "  ".join(f"{name} {rate:.2f}" for name, rate in zip(classes, rates, strict=True))
    print(f"  classifier names the intended class: {named}; mean {np.mean(rates):.3f}")


def _grid(arguments: argparse.Namespace, path: Path, model: saved_models.Served, classes: tuple[str, ...]) -> None:
    labels, seeds = np.divmod(np.arange(len(classes) * _COLUMNS), _COLUMNS)
    images = model.sample(labels, seeds)
    train = examples.load(arguments.examples, model.size, "train").images
    flat = train.reshape(len(train), -1).astype(np.float32) / 255
    squares = (flat * flat).sum(1)
    generated = images.reshape(len(images), -1).astype(np.float32) / 255
    nearest = (generated * generated).sum(1) - (2 * generated @ flat.T - squares).max(1)
    nearest = np.sqrt(np.maximum(nearest, 0) / flat.shape[1])
    name = run_name(path)
    print(f"{name}: to the nearest training image {nearest.min():.3f} or more (root mean square of the differences)")
    rows = list(images.reshape(len(classes), _COLUMNS, *images.shape[1:]))
    save_sheet(contact_sheet(rows, list(classes), cell=model.size), arguments.grids / f"acgan-{name}.png")


if __name__ == "__main__":
    main()
