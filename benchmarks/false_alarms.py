"""How often the evaluation's tests cry wolf, and how often they find what is there, on simulated tables.

    python -m benchmarks.false_alarms [--tables 200] [--cells 10] [--seeds 3] [--shift 0.02] [--effect 0.12]

A simulated table has the paper's test set (Table 1: 2,534 images, 452 of them melanomas), a baseline and so many cells,
each trained for so many seeds. An image has a difficulty of its own, the same for all trainings, so that their errors
are alike; each training shifts the recall of every class at random, by a standard deviation of `--shift`. None of
the cells differs from the baseline but by chance, so every rejection is a false alarm. It prints, for each metric, the
share of tests with p < 0.05, how many tables have such a p in their first cell (these are independent), and how many
have one anywhere after Holm's correction, beside the count that a test of exactly 5 % exceeds once in 100 repetitions.

With `--effect` a second run raises the melanoma recall of the first cell by so much, and counts how often that shows.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import numpy as np
from scipy import stats

from lesiongan.evaluation import comparison, statistics
from lesiongan.evaluation.predictions import Truth
from lesiongan.evaluation.scores import over_classes
from lesiongan.tables import paper_results

LEVEL = 0.05
TARGET = "MEL"
_CONCENTRATION = (
    1.4  # of the difficulties' Beta distribution: most images are nearly always right or nearly always wrong
)
_RESAMPLES = 300
_BASELINE = "baseline"


def test_set() -> tuple[Truth, np.ndarray]:
    """The paper's test set, one image per lesion, and the recall of each class that its baseline reaches (Table 2)."""
    support, recalls = paper_results.split()["test"], paper_results.table(2)[0]
    classes = tuple(support)
    labels = np.repeat(np.arange(len(classes)), [support[c] for c in classes])
    images = tuple(str(i) for i in range(len(labels)))
    return Truth(images, labels, np.arange(len(labels)), classes), np.array(
        [float(recalls[f"{c}_recall"]) for c in classes]
    )


def simulated_table(seed: int, *, number: int, seeds: int, shift: float, effect: float = 0.0) -> dict[str, dict]:
    """One table's comparisons, as `lesiongan.evaluation.comparison.compare` gives them for metrics over all classes.

    Args:
        seed: of everything random in it.
        number: cells beside the baseline.
        seeds: trainings of each cell and of the baseline.
        shift: standard deviation of a training's recall of each class.
        effect: what the first cell adds to the target's recall.

    Returns:
        cell -> key -> entry, for the cells beside the baseline.
    """
    random = np.random.default_rng(seed)
    truth, recalls = test_set()
    labels, k, target = truth.labels, len(truth.classes), truth.classes.index(TARGET)
    difficulty = random.beta(_CONCENTRATION * recalls[labels], _CONCENTRATION * (1 - recalls[labels]))
    shares = truth.support / len(labels)
    weights = statistics.lesion_weights(labels, truth.lesions, _RESAMPLES, seed)

    def training(gain: float):
        recall = difficulty + random.normal(0, shift, k)[labels] + gain * (labels == target)
        wrong = random.choice(k, len(labels), p=shares)
        wrong = np.where(wrong == labels, (labels + 1) % k, wrong)
        said = np.where(random.random(len(labels)) < recall, labels, wrong)
        return over_classes(statistics.resampled_confusions(labels, said, truth.lesions, k, weights), target)

    names = [_BASELINE, *(f"cell {i}" for i in range(number))]
    scored = {name: {s: training(effect if name == "cell 0" else 0.0) for s in range(seeds)} for name in names}
    comparisons = comparison.compare(
        scored, {name: "baseline" if name == _BASELINE else "made" for name in names}, _BASELINE, 1 - LEVEL
    )
    return {name: comparisons[name] for name in names[1:]}


def alarms(tables: int, **options) -> dict[str, dict[str, float]]:
    """Counts over simulated tables (seeds 0, 1, ...).

    Returns:
        metric -> `tests` (the share of all tests with p < 0.05), `first` (tables whose first cell has one),
        `after_holm` (tables where any cell has one after the correction), `first_after_holm` (where the first has).
    """
    counts: dict[str, np.ndarray] = {}
    for seed in range(tables):
        table = simulated_table(seed, **options)
        for key in table["cell 0"]:
            p = np.array([entry[key]["p"] for entry in table.values()])
            holm = np.array([entry[key]["p_holm"] for entry in table.values()])
            row = [(p < LEVEL).mean() / tables, p[0] < LEVEL, (holm < LEVEL).any(), holm[0] < LEVEL]
            counts[key[-1]] = counts.get(key[-1], 0) + np.array(row, float)
    names = ("tests", "first", "after_holm", "first_after_holm")
    return {metric: dict(zip(names, row.tolist(), strict=True)) for metric, row in counts.items()}


def bound(tables: int) -> int:
    """The count that a test of exactly 5 % exceeds in one of 100 repetitions."""
    return int(stats.binom.isf(0.01, tables, LEVEL))


def lines(counts: Mapping[str, Mapping[str, float]], tables: int) -> list[str]:
    text = [f"{'metric':20s}{'share of tests':>15s}{'first cell':>12s}{'any, Holm':>11s}{'bound':>7s}"]
    for metric, row in counts.items():
        numbers = f"{row['tests']:15.3f}{row['first']:12.0f}{row['after_holm']:11.0f}{bound(tables):7d}"
        text.append(f"{metric:20s}{numbers}")
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=200)
    parser.add_argument("--cells", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--shift", type=float, default=0.02, help="SD of a training's recall")
    parser.add_argument("--effect", type=float, default=0.12, help="gain in the first cell's melanoma recall; 0: none")
    a = parser.parse_args()
    options = {"number": a.cells, "seeds": a.seeds, "shift": a.shift}
    print(f"{a.tables} tables without an effect, {a.cells} cells of {a.seeds} seeds, recall shifted by SD {a.shift:g}")
    print("\n".join(lines(alarms(a.tables, **options), a.tables)), flush=True)
    if a.effect:
        row = alarms(a.tables, effect=a.effect, **options)["target_recall"]
        shares = f"{row['first'] / a.tables:.0%} of tables, {row['first_after_holm'] / a.tables:.0%} after Holm"
        print(f"an effect of {a.effect:+g} on the first cell's melanoma recall is found in {shares}")


if __name__ == "__main__":
    main()
