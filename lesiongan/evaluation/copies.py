"""Which generated pictures are suspected copies of training images.

Each picture is held against all training images in three ways that owe each other nothing: the bits of a perceptual
hash, its structure (`structure`), and the features of a network (where there are some: one that no training here used).
Each gives a distance to the nearest training image, the smaller the more suspicious.

How small is too small is said by held-out real pictures, which cannot be copies: of each way the limit is the r-th
smallest of their distances, with the largest r by which so few of them are suspected in any of the ways that the rate
among others like them is, with 95 % confidence, not above the wanted one (the binomial's tolerance limit; below about 5
/ rate of them, where none might be suspected, one is, and the rate holds on average alone; below 1 / rate there is no
limit at all). Dermoscopy pictures look alike: a limit chosen by eye for photographs in general suspects thousands of
pairs of different lesions.

`python -m benchmarks.memorisation` measures how many planted copies are found, and how many real images are suspected.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy import stats

from lesiongan.data.near_duplicates import perceptual_hashes
from lesiongan.evaluation.memorisation import nearest_and_usual
from lesiongan.evaluation.structure import Structures

HASH, STRUCTURE, FEATURES = "hash", "structure", "features"
_ROWS_AT_A_TIME = 512
_BITS = 64
_NO_LIMIT = -1.0
#: Features see a copy less well than they see its class: they get a quarter of the false alarms.
_SLOWER = {FEATURES: 4}
_CONFIDENCE = 0.95  # that the rate of false alarms is not above the wanted one


class Nearest(NamedTuple):
    """The nearest training image by one of the ways.

    Attributes:
        places: among the training images, int64 `[n]`.
        distances: float64 `[n]`, infinite where there is none. `hash`: bits that differ, of 64. `structure`: 1 less the
            correlation, over what is usual for the picture's other candidates. `features`: likewise Euclidean, over the
            usual distance to its next neighbours.
    """

    places: np.ndarray
    distances: np.ndarray


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Pictures as the audit sees them.

    Attributes:
        thumbnails: uint8 `[n, 32, 32]` (`data.pictures.thumbnails`).
        features: float `[n, f]`, or None.
        groups: int `[n]`, -1 for none: pictures of one lesion, which are not compared; None for no groups at all.
    """

    thumbnails: np.ndarray
    features: np.ndarray | None = None
    groups: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.thumbnails)


class Training:
    """The training images, against which others are held."""

    def __init__(self, pictures: Pictures):
        self.pictures = pictures
        self._structures = Structures(pictures.thumbnails)
        self._hashes = perceptual_hashes(pictures.thumbnails) if len(pictures) else np.zeros(0, np.uint64)

    def nearest(self, pictures: Pictures) -> dict[str, Nearest]:
        """By way; without features on both sides there are two."""
        groups, own = pictures.groups, self.pictures.groups
        if not len(self.pictures):
            none = Nearest(np.zeros(len(pictures), np.int64), np.full(len(pictures), np.inf))
            return {HASH: none, STRUCTURE: none}
        fits = self._structures.fits(pictures.thumbnails, groups, own)
        found = {
            HASH: self._by_hash(pictures),
            STRUCTURE: Nearest(fits.places, fits.ratios.astype(np.float64)),
        }
        if pictures.features is not None and self.pictures.features is not None:
            found[FEATURES] = Nearest(*nearest_and_usual(pictures.features, self.pictures.features, groups, own))
        return found

    def _by_hash(self, pictures: Pictures) -> Nearest:
        places, bits = np.zeros(len(pictures), np.int64), np.full(len(pictures), np.inf)
        for symmetry in range(8 if len(pictures) else 0):
            hashes = perceptual_hashes(pictures.thumbnails, symmetry)
            for begin in range(0, len(hashes), _ROWS_AT_A_TIME):
                rows = slice(begin, begin + _ROWS_AT_A_TIME)
                differ = np.bitwise_count(hashes[rows, None] ^ self._hashes[None])
                if pictures.groups is not None and self.pictures.groups is not None:
                    ours = pictures.groups[rows, None]
                    differ[(ours == self.pictures.groups) & (ours >= 0)] = _BITS + 1
                best = differ.argmin(1)
                value = differ[np.arange(len(best)), best].astype(np.float64)
                value[value > _BITS] = np.inf
                better = value < bits[rows]
                places[rows], bits[rows] = np.where(better, best, places[rows]), np.where(better, value, bits[rows])
        return Nearest(places, bits)


@dataclasses.dataclass(frozen=True)
class Limits:
    """Distances up to which a picture is suspected.

    Attributes:
        values: way -> the limit; a picture at most as far is suspected. -1, none at all, where there are too few
            held-out pictures.
        rate: the false-alarm rate that was asked for.
        held_out: how many pictures the limits are from.
        suspected: how many of them are suspected by these limits.
    """

    values: Mapping[str, float]
    rate: float
    held_out: int
    suspected: int


def limits(held_out: Mapping[str, Nearest], rate: float) -> Limits:
    """From the distances of held-out real pictures; see above.

    Raises:
        ValueError: a rate that is not between 0 and 1.
    """
    if not 0.0 < rate < 1.0:
        raise ValueError(f"the false-alarm rate must be between 0 and 1, got {rate}")
    count = len(next(iter(held_out.values())).distances)
    allowed = max(int(stats.binom.ppf(1 - _CONFIDENCE, count, rate)), int(rate * (count + 1) >= 1.0))
    none = Limits(dict.fromkeys(held_out, _NO_LIMIT), rate, count, 0)
    for ways in (tuple(held_out), (STRUCTURE,)):  # with few held-out pictures, at least the way that finds most
        best = none
        for rank in range(1, allowed + 1):
            found = _at_rank(none, {way: held_out[way] for way in ways if way in held_out}, rank)
            if found.suspected > allowed:
                break
            best = found
        if best is not none:
            break
    return best


def _at_rank(none: Limits, held_out: Mapping[str, Nearest], rank: int) -> Limits:
    """Limits by which of each way about `rank` pictures are suspected, of features a quarter; fewer where distances are
    equal, of which hashes have many."""
    values = {}
    for way, found in held_out.items():
        own = rank // _SLOWER.get(way, 1)
        in_order = np.append(np.sort(found.distances), np.inf)
        value = in_order[own - 1] if own else _NO_LIMIT
        if value == in_order[own]:  # equal distances stay together, on the safe side
            value = np.nextafter(value, -np.inf)
        values[way] = float(value) if value >= 0 else _NO_LIMIT
    flagged = np.any([found.distances <= values[way] for way, found in held_out.items()], axis=0) if values else []
    return dataclasses.replace(none, values={**none.values, **values}, suspected=int(np.sum(flagged)))


def suspected(found: Mapping[str, Nearest], held_to: Limits) -> tuple[np.ndarray, np.ndarray]:
    """Which pictures are suspected, bool `[n]`, and of which training image each would be a copy, int64 `[n]`: that of
    the way by which it is farthest below its limit."""
    margins = []
    for way, each in found.items():
        limit = held_to.values[way]
        margins.append(np.where(each.distances <= limit, each.distances / max(limit, 1e-12), np.inf))
    places = np.stack([each.places for each in found.values()])
    below = np.array(margins)
    best = below.argmin(0)
    return np.isfinite(below.min(0)), places[best, np.arange(len(best))]
