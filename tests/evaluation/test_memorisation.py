"""AuthPct, C_T and membership inference against their published formulas, written out plainly."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lesiongan.evaluation import memorisation

RNG = np.random.default_rng(0)
TRAIN, HELD = RNG.normal(size=(140, 6)), RNG.normal(size=(60, 6))
#: A third nearly training images, the others their own.
MADE = np.concatenate([TRAIN[:30] + 0.05 * RNG.normal(size=(30, 6)), RNG.normal(size=(60, 6))])


def distance(a, b) -> float:
    return math.sqrt(sum((float(p) - float(q)) ** 2 for p, q in zip(a, b, strict=True)))


def authentic_share(train, made) -> float:
    """Alaa et al. 2022: authentic where the nearest training image has another one nearer than the generated image."""
    authentic = 0
    for g in made:
        to_training = [distance(g, t) for t in train]
        at = to_training.index(min(to_training))
        authentic += min(distance(train[at], t) for i, t in enumerate(train) if i != at) < min(to_training)
    return authentic / len(made)


def c_t(train, held, made, cells_of) -> float:
    """Meehan et al. 2020, equations of section 3: Z_U in each cell, weighted by the held-out images in it."""
    total = weight = 0.0
    for cell in (0, 1):
        own = [t for t in train if cells_of(t) == cell]
        p = [min(distance(x, t) for t in own) for x in held if cells_of(x) == cell]
        q = [min(distance(x, t) for t in own) for x in made if cells_of(x) == cell]
        m, n = len(q), len(p)
        u = sum((a > b) + 0.5 * (a == b) for a in q for b in p)
        z = (u - m * n / 2) / math.sqrt(m * n * (m + n + 1) / 12)
        total, weight = total + n * z, weight + n
    return total / weight


def test_authenticity_is_the_published_one():
    found = memorisation.authenticity(TRAIN, MADE)
    assert found["value"] == pytest.approx(authentic_share(TRAIN, MADE), abs=1e-4)
    assert found["low"] < found["value"] < found["high"]
    assert memorisation.authenticity(TRAIN, TRAIN[:40])["value"] == 0.0


def test_c_t_is_the_published_one():
    def cells_of(x):
        return int(x[0] > 0)

    cells = [np.array([cells_of(x) for x in s]) for s in (TRAIN, HELD, MADE)]
    found = memorisation.copying_in_cells(TRAIN, HELD, MADE, *cells)
    assert len(found["cells"]) == 2
    assert found["value"] == pytest.approx(c_t(TRAIN, HELD, MADE, cells_of), abs=1e-4)


def test_c_t_tells_copies_from_new_images_and_from_far_ones():
    rng = np.random.default_rng(1)
    train, held = rng.normal(size=(600, 80)), rng.normal(size=(300, 80))
    same = memorisation.copying(train, held, rng.normal(size=(300, 80)))["value"]
    copied = memorisation.copying(train, held, train[:300] + 0.3 * rng.normal(size=(300, 80)))["value"]
    far = memorisation.copying(train, held, 2 * rng.normal(size=(300, 80)))["value"]
    assert abs(same) < 3 < 8 < far
    assert copied < -8
    assert memorisation.copying(train, held, train[:20])["value"] is None


def test_membership_is_the_share_of_pairs():
    members, others, made = TRAIN[:60], HELD, MADE
    found = memorisation.membership(members, others, made)["auc"]
    near = [[min(distance(x, g) for g in made) for x in s] for s in (members, others)]
    pairs = np.mean([(a < b) + 0.5 * (a == b) for a in near[0] for b in near[1]])
    assert found["value"] == pytest.approx(pairs, abs=1e-4)
    assert found["images"] == 60


def test_delongs_interval_covers_what_it_should():
    """Of 400 pairs of samples from one distribution about 95 % of the intervals hold 0.5."""
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(400):
        found = memorisation.nearer(rng.normal(size=80), rng.normal(size=60))
        covered += found["low"] <= 0.5 <= found["high"]
    assert 365 <= covered <= 394


def test_a_generator_that_remembers_is_found_out_and_the_control_is_not():
    rng = np.random.default_rng(3)
    train, held = rng.normal(size=(400, 10)), rng.normal(size=(200, 10))
    honest = memorisation.membership(train, held, rng.normal(size=(300, 10)))
    assert honest["auc"]["low"] < 0.5 < honest["auc"]["high"]
    copied = memorisation.membership(train, held, train + 0.1 * rng.normal(size=train.shape))
    assert copied["auc"]["low"] > 0.95
    assert copied["control"]["low"] < 0.5 < copied["control"]["high"]


def test_nearest_keeps_groups_apart_and_copies_at_no_distance():
    x = np.array([[1000.0, 0.0], [3.0, 4.0]])
    y = np.array([[1000.0, 0.0], [0.0, 0.0], [1000.5, 0.0]])
    places, distances = memorisation.nearest(x, y)
    assert (places.tolist(), distances.tolist()) == ([0, 1], [0.0, 5.0])
    places, distances = memorisation.nearest(x, y, np.array([7, -1]), np.array([7, -1, 8]))
    assert (places.tolist(), distances.tolist()) == ([2, 1], [0.5, 5.0])
    assert np.isinf(memorisation.nearest(x[:1], y[:1], np.array([7]), np.array([7]))[1]).all()
