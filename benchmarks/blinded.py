"""Can a reader tell generated lesions from photographs? A numbered sheet without the answers, and a reader's score.

    python -m benchmarks.blinded sheet EXAMPLES MODEL OUT [--pairs 32] [--seed 0]
    python -m benchmarks.blinded score OUT ANSWERS

The sheet holds `--pairs` real test images, one per lesion, and as many by MODEL (an exported ACGAN) of the same
classes, in random order and at the same size; `key.json` says which is which. ANSWERS is a text with the numbers of the
images that the reader takes for generated. The score is the share of right answers with its exact 95 % interval
(Clopper and Pearson 1934); 0.5 is guessing.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy import stats

from benchmarks.judged import one_per_lesion
from lesiongan.serving import saved_models

_COLUMNS, _CELL = 8, 128  # pixels of an image on the sheet, enlarged smoothly


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    sheet = commands.add_parser("sheet")
    sheet.add_argument("examples")
    sheet.add_argument("model", type=Path)
    sheet.add_argument("out", type=Path)
    sheet.add_argument("--pairs", type=int, default=32)
    sheet.add_argument("--seed", type=int, default=0)
    sheet.set_defaults(run=_sheet)
    score = commands.add_parser("score")
    score.add_argument("out", type=Path)
    score.add_argument("answers", type=Path)
    score.set_defaults(run=_score)
    options = parser.parse_args()
    options.run(options)


def _sheet(options: argparse.Namespace) -> None:
    served = saved_models.load(options.model)
    random = np.random.default_rng(options.seed)
    test = one_per_lesion(options.examples, served.size, "test")
    classes = len(served.taxonomy)
    chosen = []  # classes in turn, so that the rare ones are seen too
    for number in range(options.pairs):
        left = np.setdiff1d(np.flatnonzero(test.labels == number % classes), chosen)
        chosen.append(int(random.choice(left if len(left) else np.setdiff1d(np.arange(len(test)), chosen))))
    labels = test.labels[chosen]
    generated = served.sample(labels, random.integers(0, 2**40, options.pairs))
    images = np.concatenate([test.images[chosen], generated])
    order = random.permutation(len(images))
    rows = -(-len(images) // _COLUMNS)
    picture = Image.new("RGB", (_COLUMNS * (_CELL + 8) + 8, rows * (_CELL + 24) + 8), "white")
    draw = ImageDraw.Draw(picture)
    for place, index in enumerate(order):
        x, y = 8 + place % _COLUMNS * (_CELL + 8), 20 + place // _COLUMNS * (_CELL + 24)
        picture.paste(Image.fromarray(images[index]).resize((_CELL, _CELL), Image.Resampling.BICUBIC), (x, y))
        draw.text((x, y - 14), str(place + 1), fill="black")
    options.out.mkdir(parents=True, exist_ok=True)
    picture.save(options.out / "sheet.png")
    key = {
        "generated": [place + 1 for place, index in enumerate(order) if index >= options.pairs],
        "images": len(images),
    }
    (options.out / "key.json").write_text(json.dumps(key))
    print(f"{len(images)} images: {options.out / 'sheet.png'}")


def _score(options: argparse.Namespace) -> None:
    key = json.loads((options.out / "key.json").read_text())
    said = {int(number) for number in re.findall(r"\d+", options.answers.read_text())}
    right = sum((number in said) == (number in key["generated"]) for number in range(1, key["images"] + 1))
    interval = stats.binomtest(right, key["images"]).proportion_ci(method="exact")
    print(f"{right} of {key['images']} right: {right / key['images']:.2f} ({interval.low:.2f} to {interval.high:.2f})")


if __name__ == "__main__":
    main()
