"""Two collections of pictures side by side, real and made, whoever made them: their quality beside a floor, and the
pictures that may be copies. `image_quality` says what the numbers are."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
from sklearn.metrics import pairwise_distances_argmin_min
from sklearn.neighbors import NearestNeighbors

from lesiongan.base.errors import UsageError
from lesiongan.base.progress import Progress, say
from lesiongan.data.gathered import Gathered
from lesiongan.data.pictures import thumbnails
from lesiongan.data.synthetic import copies
from lesiongan.evaluation.feature_metrics import feature_scale
from lesiongan.evaluation.image_quality import METRICS, image_quality
from lesiongan.evaluation.judge import Judge, resized

FORMAT = 1
#: Made pictures below which nothing is measured; of real ones twice as many, whose halves are the floor.
LEAST = 24
ALL = "all"


@dataclasses.dataclass(frozen=True)
class Seen:
    """A collection as a judge sees it; rows as in `Gathered`.

    Attributes:
        features: float32 `[n, f]`.
        thumbnails: uint8 `[n, 32, 32]`.
    """

    rows: pd.DataFrame
    features: np.ndarray
    thumbnails: np.ndarray


def look(collection: Gathered, judge: Judge, label: str) -> Seen:
    """Reads a collection's pictures, once; `label` is what progress calls it.

    Raises:
        UsageError: the judge's features of a picture are not finite.
    """
    features, small, done = [], [], 0
    progress = Progress(f"features of {label}", len(collection.rows), "images")
    for images in collection.batches:
        squares = resized(images, judge.size)
        features.append(judge.features(squares))
        small.append(thumbnails(squares))
        progress.update(done := done + len(images))
    progress.close()
    seen = Seen(collection.rows, np.concatenate(features), np.concatenate(small))
    if not np.isfinite(seen.features).all():
        name = seen.rows["name"][int((~np.isfinite(seen.features)).any(1).argmax())]
        raise UsageError(f"{name}: the judge {judge.name} sees numbers that are not finite in it; give another judge")
    return seen


def compared(real: Seen, made: Seen, *, most: int = 2500, listed: int = 10, seed: int = 0) -> dict:
    """Quality over all pictures and per class that both collections have, and the nearest pairs; JSON-ready.

    Features are divided by the root mean square of all real ones, as in a run's report.

    Args:
        most: pictures of each side and class that the metrics take, drawn at random; copies are sought among all.
        listed: nearest pairs that are named.
        seed: of the draws.

    Returns:
        `quality`: for `all` and for each common class what `image_quality` returns, each number with `wide` (its
        interval is wider than its value), and `kid_above_floor` (whether KID of half the real pictures and as many made
        ones lies above that of two real halves, interval above interval); or `images` and `reason` where there are too
        few. `classes`: of each side class -> pictures. `copies`: see `nearest`.
    """
    scale = feature_scale(real.features)
    groups = {ALL: (np.arange(len(real.rows)), np.arange(len(made.rows)))}
    counts = [{str(k): int(v) for k, v in s.rows["class"].value_counts(sort=False).items() if k} for s in (real, made)]
    common = [name for name in counts[0] if name in counts[1]]
    if common != list(counts[0]) or common != list(counts[1]) or len(common) > 1:
        for name in common:
            groups[name] = np.flatnonzero(real.rows["class"] == name), np.flatnonzero(made.rows["class"] == name)
    quality = {}
    for name, places in groups.items():
        say(f"measuring {name}: {len(places[0]):,} real and {len(places[1]):,} made pictures")
        rng = np.random.default_rng([seed, 2])
        first, second = (np.sort(rng.permutation(own)[:most]) for own in places)
        quality[name] = _measured(real.features[first] / scale, made.features[second] / scale, seed)
    return {
        "format": FORMAT,
        "classes": {"real": counts[0], "made": counts[1]},
        "quality": quality,
        "copies": nearest(real, made, scale, listed),
    }


def _measured(real: np.ndarray, made: np.ndarray, seed: int) -> dict:
    images = {"real": len(real), "made": len(made)}
    for count, least, what in ((len(made), LEAST, "made"), (len(real), 2 * LEAST, "real")):
        if count < least:
            return {"images": images, "reason": f"{count} {what} pictures, at least {least} are needed"}
    result = image_quality(real, made, seed=seed) | {"normalised": True}
    for part in (result, result["floor"], result["matched"]):
        for name in METRICS:
            part[name] |= {"wide": part[name]["high"] - part[name]["low"] > abs(part[name]["value"])}
    return result | {"kid_above_floor": result["matched"]["kid"]["low"] > result["floor"]["kid"]["high"]}


def nearest(real: Seen, made: Seen, scale: float, listed: int) -> dict:
    """The made pictures that are nearest to a real one.

    Distances are root mean squares of the difference of two feature vectors over `scale`.

    Returns:
        `pairs`: of the `listed` nearest `made`, `real` (names), `distance`, and `same`: whether their fine structure is
        the same too, as near-duplicates are found, which come first. `same`: how many made pictures are so.
        `among_real`: the 1 % and 50 % quantiles of a real picture's distance to its nearest other real one. `nearer`:
        the share of made pictures that are nearer to a real one than that 1 %.
    """
    width = np.sqrt(real.features.shape[1])
    x, y = (np.asarray(s.features, np.float64) / scale for s in (real, made))
    place, distance = pairwise_distances_argmin_min(y, x)
    distance = np.linalg.norm(y - x[place], axis=1) / width  # the fast way loses digits where a pair is one picture
    same = copies(real.thumbnails, made.thumbnails)
    place[list(same)] = list(same.values())
    distance[list(same)] = np.linalg.norm(y[list(same)] - x[list(same.values())], axis=1) / width
    order = sorted(range(len(y)), key=lambda i: (i not in same, distance[i]))
    pairs = [
        {
            "made": made.rows["name"][i],
            "real": real.rows["name"][int(place[i])],
            "distance": float(distance[i]),
            "same": i in same,
        }
        for i in order[:listed]
    ]
    facts = {"pairs": pairs, "same": len(same), "among_real": None, "nearer": None}
    if len(x) >= 2 * LEAST:
        own = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(x).kneighbors()[0][:, 0] / width
        low, middle = np.quantile(own, (0.01, 0.5))
        facts |= {"among_real": {"1%": float(low), "50%": float(middle)}, "nearer": float((distance < low).mean())}
    return facts
