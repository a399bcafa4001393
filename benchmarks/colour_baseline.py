"""What colour alone tells of a diagnosis: the floor that a classifier of lesions must leave far behind.

    python -m benchmarks.colour_baseline EXAMPLES

Logistic regression (scikit-learn, L2, classes weighted by the root of their rarity as the `small` preset's classifier)
on histograms of 8 x 8 x 8 colours of each picture of an Examples artifact's training side; strength chosen on the
validation side, measured on the test side. Minutes on two cores.
"""

from __future__ import annotations

import sys

import numpy as np

from lesiongan.data import examples
from lesiongan.evaluation.single import assess, lines


def histograms(images: np.ndarray) -> np.ndarray:
    """uint8 `[n, s, s, 3]` -> shares of the 512 colours, square roots (Hellinger), `[n, 512]`."""
    cells = (images >> 5).astype(np.int64)
    cells = (cells[..., 0] * 8 + cells[..., 1]) * 8 + cells[..., 2]
    counts = np.stack([np.bincount(one.ravel(), minlength=512) for one in cells])
    return np.sqrt(counts / cells[0].size)


def main() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score

    directory = sys.argv[1]
    info = examples.read_info(directory)
    sides = {side: examples.load(directory, info["sizes"][0], side) for side in ("train", "validation", "test")}
    x = {side: histograms(images.images) for side, images in sides.items()}
    counts = np.bincount(sides["train"].labels)
    weights = {label: count**-0.5 for label, count in enumerate(counts)}
    best = (-1.0, None)
    for strength in (3.0, 30.0):
        model = LogisticRegression(C=strength * counts.mean() ** 0.5, class_weight=weights, max_iter=300)
        model.fit(x["train"], sides["train"].labels)
        score = balanced_accuracy_score(sides["validation"].labels, model.predict(x["validation"]))
        best = max(best, (score, model), key=lambda pair: pair[0])
    test = sides["test"]
    lesions = examples.lesion_ids(directory, test.ids)
    scores = assess(test.labels, best[1].predict_proba(x["test"]), info["taxonomy"]["classes"], lesions)
    print("\n".join(lines(scores)))


if __name__ == "__main__":
    main()
