"""Path-Rank-Filter (Wei et al. 2019, "Generative Image Translation for Data Augmentation in Colorectal Histopathology
Images"; the paper, Fig. 6): train the CycleGAN on the images of the target class that the classifier is surest of.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lesiongan.base.errors import UsageError

#: The ranked table inside the `selection` artifact.
RANKED = "ranked.csv"


def kept(alpha: float, count: int) -> int:
    """How many of `count` images alpha keeps: round(alpha x count), halves up; at least one.

    Raises:
        ValueError: alpha is not in (0, 1].
    """
    if not 0.0 < alpha <= 1.0:
        raise ValueError(f"alpha must be above 0 and at most 1, got {alpha}")
    return max(1, math.floor(alpha * count + 0.5))


def path_rank_filter(
    ids: Sequence[str],
    scores: Sequence[float] | np.ndarray,
    alphas: Sequence[float],
    *,
    splits: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Ranks images by the classifier's probability of their class.

    Args:
        ids: image ids, training images of one class.
        scores: softmax probability of that class, same order.
        alphas: the shares to keep.
        splits: image id -> its side; ids of another side than `train` are refused.

    Returns:
        One row per image, best first: `image_id`, `score`, `rank` (from 1), and for each alpha a boolean column
        `kept_<alpha>`. Ties are broken by image id, so that the ranking does not depend on the order of the input.

    Raises:
        ValueError: ids and scores differ in number, an id comes twice, a score is not finite, or an alpha is out of
            range.
        UsageError: an image is not of the training side: a generator must not learn from what a classifier is chosen or
            tested by.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if len(ids) != len(scores):
        raise ValueError(f"ids and scores must be equally many, got {len(ids)} and {len(scores)}")
    if len(set(ids)) != len(ids):
        raise ValueError("an image id comes twice")
    if not np.isfinite(scores).all():
        raise ValueError("a score is not finite")
    foreign = [] if splits is None else [image_id for image_id in ids if splits.get(image_id) != "train"]
    if splits is not None and foreign:
        raise UsageError(
            f"{len(foreign)} images to rank are not of the training side (first: {foreign[0]}, of side "
            f"{splits.get(foreign[0], 'none')}); rank training images only"
        )
    table = pd.DataFrame({"image_id": list(ids), "score": scores})
    table = table.sort_values(["score", "image_id"], ascending=[False, True], ignore_index=True)
    table["rank"] = np.arange(1, len(table) + 1)
    for alpha in alphas:
        table[f"kept_{alpha:g}"] = table["rank"] <= kept(alpha, len(table))
    return table
