"""Results by age group, sex, body site, source of the images and skin tone, where a group is large enough to speak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lesiongan.evaluation import comparison, statistics
from lesiongan.evaluation.predictions import Classifier, Truth
from lesiongan.evaluation.scores import of_pair, over_classes

#: Lesions that a group needs, and lesions of the target class that its recall needs; the AUC needs as many of the class
#: that the target is told from.
LEAST_LESIONS, LEAST_OF_CLASS = 50, 20
#: Years; a group ends before the next one begins. ISIC's ages are rounded to 5 years.
AGES = (0, 30, 45, 60, 75)
METRICS = ("accuracy", "target_recall", "target_specificity", "target_auc")


def groups(table: pd.DataFrame, images: Sequence[str]) -> dict[str, dict[str, np.ndarray]]:
    """Which images are of which group.

    Args:
        table: `examples.csv` (`lesiongan.data.examples.read_table`).
        images: n ids.

    Returns:
        by (`age`, `sex`, `site`, `source`; `skin tone` where the table has a column `skin_tone`) -> group -> bool
        `[n]`. An image without the metadata is in no group of that kind. The source is what stands before the first `_`
        of ISIC 2019's lesion ids (HAM, BCN, MSK4).
    """
    known = table.drop_duplicates("image_id").set_index("image_id").reindex(list(images))
    text = known.reindex(columns=["sex", "anatom_site_general", "lesion_id"], fill_value="").fillna("")
    ages = known["age_approx"].to_numpy(float) if "age_approx" in known else np.full(len(known), np.nan)
    masks = {"age": {}, "sex": _by(text["sex"]), "site": _by(text["anatom_site_general"])}
    for low, high in zip(AGES, (*AGES[1:], np.inf), strict=True):
        name = f"{low} and above" if np.isinf(high) else f"{low} to {high - 1}"
        masks["age"][name] = (ages >= low) & (ages < high)
    masks["source"] = _by(text["lesion_id"].str.extract(r"^([A-Z]+\d?)_", expand=False).fillna(""))
    if "skin_tone" in known:
        masks["skin tone"] = _by(known["skin_tone"].fillna(""))
    return masks


def by_group(
    truth: Truth,
    members: Mapping[str, Sequence[Classifier]],
    table: pd.DataFrame,
    target: int,
    against: int | None,
    resamples: int,
    confidence: float,
    seed: int,
) -> list[dict]:
    """The scores of every cell in every group that is large enough.

    Args:
        truth: the test images.
        members: cell -> its classifiers.
        table: see `groups`.
        target, against: labels; see `scores.of_classifier`.
        resamples, confidence, seed: of the bootstrap, which draws each group's own lesions, stratified by class.

    Returns:
        One row per group: `by`, `group`, `images`, `lesions`, `target_lesions` and `cells`, cell -> metric of `METRICS`
        -> [value, low, high], None where the group has too few lesions of a class.
    """
    rows = []
    for by, named in groups(table, truth.images).items():
        for name, chosen in named.items():
            subset = truth.only(chosen)
            lesions = _lesions(subset)
            if lesions < LEAST_LESIONS:
                continue
            weights = statistics.lesion_weights(subset.labels, subset.lesions, resamples, seed)
            has_target = _lesions(subset, target) >= LEAST_OF_CLASS
            has_pair = has_target and against is not None and _lesions(subset, against) >= LEAST_OF_CLASS
            scored = {
                cell: {
                    m.seed: _scores(subset, m.probabilities[chosen], weights, target, against if has_pair else None)
                    for m in own
                }
                for cell, own in members.items()
            }
            compared = comparison.compare(scored, dict.fromkeys(scored, ""), None, confidence)
            row: dict[str, Any] = {"by": by, "group": name, "images": len(subset.images), "lesions": lesions}
            row |= {"target_lesions": _lesions(subset, target), "cells": {}}
            for cell, entries in compared.items():
                row["cells"][cell] = {
                    key: _interval(entries.get(("metrics", key)) if has_target or key == "accuracy" else None)
                    for key in METRICS
                }
            rows.append(row)
    return rows


def _scores(subset: Truth, probabilities: np.ndarray, weights: np.ndarray, target: int, against: int | None):
    confusions = statistics.resampled_confusions(
        subset.labels, probabilities.argmax(1), subset.lesions, len(subset.classes), weights
    )
    values = over_classes(confusions, target)
    return values if against is None else values | of_pair(subset, probabilities, weights, target, against)


def _interval(entry: Mapping | None) -> list[float] | None:
    return None if entry is None or entry["value"] is None else [entry["value"], entry["low"], entry["high"]]


def _lesions(truth: Truth, label: int | None = None) -> int:
    return len(np.unique(truth.lesions if label is None else truth.lesions[truth.labels == label]))


def _by(values: pd.Series) -> dict[str, np.ndarray]:
    """Each value that there is, the commonest first."""
    return {name: (values == name).to_numpy() for name in values[values != ""].value_counts().index}
