"""Predictions artifacts drawn at random with a known effect, for tests."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

CLASSES = ("MEL", "NV", "BCC")


def write_grid(
    directory: Path, cells, *, seed=0, counts=(120, 300, 80), classes=CLASSES, images_per_lesion=1, name=""
) -> None:
    """Writes cells.csv, truth.csv and predictions; with a `name`, those of a further set of images.

    `cells` are dicts: cell, kind, amount, seeds (a list), recall (a number, or one a class: the chance that an image
    of the class is called right), and perhaps alpha and `same_as` (a cell whose predictions are repeated).
    """
    random = np.random.default_rng(seed)
    root, directory = directory, directory / "sets" / name if name else directory
    (directory / "predictions").mkdir(parents=True, exist_ok=True)
    labels = np.repeat(np.arange(len(classes)), counts)
    images = [f"IMG_{name}{i:05d}" for i in range(len(labels))]
    with open(directory / "truth.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "label", "lesion_id"])
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            writer.writerow(
                [image, classes[label], f"L{label}_{i // images_per_lesion}" if images_per_lesion > 1 else ""]
            )
    rows, said = [], {}
    for cell in cells:
        for k in cell["seeds"]:
            name = f"predictions/{len(rows):03d}-seed{k}.csv"
            recall = np.broadcast_to(cell["recall"], len(classes))[labels]
            right = random.random(len(labels)) < recall
            other = (labels + random.integers(1, len(classes), len(labels))) % len(classes)
            chosen = np.where(right, labels, other)
            noise = random.random((len(labels), len(classes))) * 0.4
            noise[np.arange(len(labels)), chosen] += 1
            probabilities = said.get((cell.get("same_as"), k), noise / noise.sum(1, keepdims=True))
            said[cell["cell"], k] = probabilities
            with open(directory / name, "w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(["image", *classes])
                writer.writerows(
                    [image, *(f"{p:.6f}" for p in row)] for image, row in zip(images, probabilities, strict=True)
                )
            rows.append(
                [cell["cell"], cell["kind"], cell.get("alpha", ""), cell["amount"], k, 100, 2000 + cell["amount"], name]
            )
    with open(root / "cells.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["cell", "kind", "alpha", "amount", "seed", "steps", "train_images", "file"])
        writer.writerows(rows)
