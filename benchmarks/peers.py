"""Generated melanomas beside those of what a user would install instead, judged alike.

    python -m benchmarks.peers pictures EXAMPLES FOLDER [--class MEL]
    python -m benchmarks.peers judge EXAMPLES NAME=IMAGES.npz ... [--model ACGAN ...] [--class MEL] [--size 64]
        [--judge imagenet] [--judge CLASSIFIER] [--grids DIR]

The first writes the training images of a class as PNG files, for `benchmarks.torch_peers` to train on (they know no
classes). The second measures what each made, and what our exported ACGANs make: KID, recall and coverage against the
real test images of the class, one per lesion, with intervals; the nearest training image; a sheet of 32 each.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import generated_quality as numbers
from benchmarks.judged import Looks, line, one_per_lesion, run_name
from lesiongan.data import examples
from lesiongan.data.contact_sheet import contact_sheet, save_sheet
from lesiongan.serving import saved_models

_MADE = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    pictures = commands.add_parser("pictures")
    pictures.add_argument("examples")
    pictures.add_argument("folder", type=Path)
    pictures.set_defaults(run=_pictures)
    judge = commands.add_parser("judge")
    judge.add_argument("examples")
    judge.add_argument("made", nargs="*", metavar="NAME=IMAGES.npz")
    judge.add_argument("--model", action="append", type=Path, default=[])
    judge.add_argument("--judge", action="append", default=[], metavar="imagenet|CLASSIFIER")
    judge.add_argument("--grids", type=Path)
    judge.set_defaults(run=_judge)
    for command in (pictures, judge):
        command.add_argument("--class", dest="name", default="MEL")
        command.add_argument("--size", type=int, default=64)
    options = parser.parse_args()
    options.run(options)


def _pictures(options: argparse.Namespace) -> None:
    images = examples.load(options.examples, options.size, "train", classes=[options.name])
    options.folder.mkdir(parents=True, exist_ok=True)
    for image_id, pixels in zip(images.ids, images.images, strict=True):
        Image.fromarray(pixels).save(options.folder / f"{image_id}.png")
    print(f"{len(images):,} pictures: {options.folder}")


def _judge(options: argparse.Namespace) -> None:
    label = examples.taxonomy(options.examples).index(options.name)
    sets: dict[str, np.ndarray] = {}
    for entry in options.made:
        name, _, path = entry.partition("=")
        with np.load(path) as arrays:
            sets[name] = arrays["images"]
            print(f"{name}: {int(arrays['steps']):,} steps, {float(arrays['minutes']):.0f} core-minutes")
    for path in options.model:
        sets[run_name(path)] = saved_models.load(path).sample(np.full(_MADE, label), np.arange(_MADE))
    test, floor = (one_per_lesion(options.examples, options.size, split) for split in ("test", "validation"))
    test_rows, floor_rows = np.flatnonzero(test.labels == label), np.flatnonzero(floor.labels == label)
    sets = {"real validation images": floor.images[floor_rows], **sets}
    for judge in options.judge or ["imagenet"]:
        looks = Looks.of(judge, test, floor)
        print(f"judge {looks.judge.name}, {options.size} px, {len(test_rows)} test images of {options.name}")
        for name, images in sets.items():
            quality = looks.quality(looks.features(images), test_rows, floor_rows)
            print(line(name, (len(test_rows), len(images)), quality))
    train = examples.load(options.examples, options.size, "train", classes=[options.name]).images
    for name, images in sets.items():
        least, median = np.quantile(numbers.nearest_distances(images, train), (0.0, 0.5))
        spread = numbers.colour_spread(images, test.images[test_rows])
        print(f"  {name:<28}nearest training image: least {least:.3f}, median {median:.3f}; colour spread {spread:.2f}")
        if options.grids and name != "real validation images":
            rows = list(images[:32].reshape(4, 8, *images.shape[1:]))
            save_sheet(contact_sheet(rows, cell=options.size), options.grids / f"peers-{name}.png")


if __name__ == "__main__":
    main()
