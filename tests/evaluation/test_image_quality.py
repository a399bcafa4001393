"""Image quality against the papers' formulas written out as loops, closed forms, and simulated truth."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from scipy import linalg

from lesiongan.evaluation import feature_metrics as metrics, image_quality as quality
from lesiongan.evaluation.feature_metrics import frechet_distance, precision_recall
from lesiongan.evaluation.image_quality import METRICS, image_quality


def _sets(n=40, m=30, d=6, seed=0, shift=0.7, scale=0.8):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), scale * rng.normal(size=(m, d)) + shift / np.sqrt(d)


def _plain_kid(x, y):
    def kernel(a, b):
        return (sum(p * q for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3

    def within(z):
        return sum(kernel(z[i], z[j]) for i in range(len(z)) for j in range(len(z)) if i != j) / (len(z) * (len(z) - 1))

    return within(x) + within(y) - 2 * sum(kernel(a, b) for a in x for b in y) / (len(x) * len(y))


def _plain_prdc(real, made, k):
    """Kynkaanniemi et al. 2019, equations 1 and 2; Naeem et al. 2020, equations 2 and 3."""

    def distance(a, b):
        return float(np.sqrt(((a - b) ** 2).sum()))

    def reach(z):
        return [sorted(distance(z[i], z[j]) for j in range(len(z)) if j != i)[k - 1] for i in range(len(z))]

    balls_real, balls_made = reach(real), reach(made)
    in_real = [[distance(x, y) <= r for x, r in zip(real, balls_real, strict=True)] for y in made]
    in_made = [[distance(x, y) <= r for y, r in zip(made, balls_made, strict=True)] for x in real]
    return {
        "precision": sum(any(row) for row in in_real) / len(made),
        "recall": sum(any(row) for row in in_made) / len(real),
        "density": sum(sum(row) for row in in_real) / (k * len(made)),
        "coverage": sum(any(row[i] for row in in_real) for i in range(len(real))) / len(real),
    }


def _plain_fid(x, y):
    s, t = np.cov(x.T), np.cov(y.T)
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(s + t - 2 * linalg.sqrtm(s @ t).real))


def test_kid_equals_the_paper_s_sums():
    x, y = _sets()
    assert metrics.kernel_inception_distance(x, y) == pytest.approx(_plain_kid(x, y), rel=1e-4)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])  # which are used as they are, and which are copied
def test_kid_of_a_set_with_itself_is_that_with_a_copy(dtype):
    x = _sets()[0].astype(dtype)
    expected = _plain_kid(x.astype(np.float64), x.astype(np.float64))
    assert expected < -0.1  # an image with itself counts between the sets, and not within them
    for y in (x, x.copy()):
        assert metrics.kernel_inception_distance(x, y) == pytest.approx(expected, rel=1e-9)
    one, other = (image_quality(x, y, resamples=20)["kid"] for y in (x, x.copy()))
    assert one == other


def test_mmd_equals_the_sums_of_its_kernel():
    x, y = _sets()
    scale = np.median([((a - b) ** 2).sum() for i, a in enumerate(x) for b in x[:i]])

    def kernel(a, b):
        return np.mean([(1 + ((a - b) ** 2).sum() / (2 * alpha * scale)) ** -alpha for alpha in (0.2, 0.5, 1, 2, 5)])

    def within(z):
        return np.mean([kernel(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j])

    expected = within(x) + within(y) - 2 * np.mean([kernel(a, b) for a in x for b in y])
    assert metrics.bounded_discrepancy(x, y) == pytest.approx(expected, rel=1e-5)
    assert image_quality(x, y, resamples=20)["mmd"]["value"] == pytest.approx(expected, rel=1e-5)


def test_one_image_of_huge_features_drives_kid_and_not_mmd():
    # by construction the first set is nearer to the real images than the second, but for one image in a hundred
    rng = np.random.default_rng(0)
    real, near, far = rng.normal(size=(100, 8)), rng.normal(size=(100, 8)), rng.normal(1.5, 1, (100, 8))
    near[0] *= 100
    kid, of_far = (metrics.kernel_inception_distance(real, made) for made in (near, far))
    assert abs(kid) > of_far
    assert metrics.bounded_discrepancy(real, near) < 0.1 * metrics.bounded_discrepancy(real, far)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_balls_equal_the_papers_definitions(k):
    real, made = _sets(d=3)
    assert precision_recall(real, made, k) == pytest.approx(_plain_prdc(real, made, k), rel=1e-6)


def test_fid_equals_the_paper_s_formula():
    x, y = _sets(200, 150)
    assert frechet_distance(x, y) == pytest.approx(_plain_fid(x, y), rel=1e-6)


def test_blocks_of_rows_do_not_change_the_numbers(monkeypatch):
    real, made = _sets(50, 45)
    whole = image_quality(real, made, resamples=20)
    monkeypatch.setattr(metrics, "_ROWS_AT_A_TIME", 7)
    parts = image_quality(real, made, resamples=20)
    for name in METRICS:
        assert parts[name] == pytest.approx(whole[name], rel=1e-9)
        assert parts["floor"][name] == pytest.approx(whole["floor"][name], rel=1e-9)


def _of_moments(rng, n, mean, covariance):
    """A sample whose mean and covariance are exactly the given ones."""
    z = rng.normal(size=(n, len(mean)))
    z -= z.mean(0)
    z = z @ np.linalg.inv(np.linalg.cholesky(np.cov(z.T))).T
    return z @ np.linalg.cholesky(covariance).T + mean


def test_fid_of_gaussians_in_closed_form():
    rng = np.random.default_rng(0)
    s, t = np.array([4.0, 1.0, 9.0]), np.array([1.0, 0.25, 16.0])
    x, y = _of_moments(rng, 50, np.zeros(3), np.diag(s)), _of_moments(rng, 60, np.array([1.0, 2, 0]), np.diag(t))
    # Commuting covariances: |difference of means|^2 + sum (sigma - tau)^2 = 5 + (1 + 0.25 + 1).
    assert frechet_distance(x, y) == pytest.approx(7.25, rel=1e-9)
    # Two by two, not commuting: the trace of the root is sqrt(tr(S T) + 2 sqrt(det(S T))).
    s, t = np.array([[2.0, 1], [1, 3]]), np.array([[1.0, -0.5], [-0.5, 2]])
    x, y = _of_moments(rng, 40, np.zeros(2), s), _of_moments(rng, 40, np.zeros(2), t)
    root = np.sqrt(np.trace(s @ t) + 2 * np.sqrt(np.linalg.det(s @ t)))
    assert frechet_distance(x, y) == pytest.approx(np.trace(s + t) - 2 * root, rel=1e-9)


def test_fid_with_fewer_images_than_features():
    x, y = _sets(12, 15, 8)
    wide = np.linalg.qr(np.random.default_rng(1).normal(size=(60, 60)))[0][:8]  # an isometry into 60 dimensions
    assert frechet_distance(x @ wide, y @ wide) == pytest.approx(_plain_fid(x, y), rel=1e-7)
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(10, 40)), rng.normal(size=(14, 40))
    values, vectors = np.linalg.eigh(np.cov(x.T))
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    eigenvalues = np.linalg.eigvalsh(root @ np.cov(y.T) @ root).clip(0)
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(np.cov(x.T) + np.cov(y.T))
    assert frechet_distance(x, y) == pytest.approx(expected - 2 * np.sqrt(eigenvalues).sum(), rel=1e-5)


def test_fid_of_a_shift_in_a_singular_space():
    x = np.random.default_rng(0).normal(size=(10, 50))
    assert frechet_distance(x, x + 0.1) == pytest.approx(50 * 0.01, rel=1e-6)


@pytest.mark.parametrize(("n", "d"), [(60, 4), (30, 45)])
def test_fid_s_standard_error_is_near_the_leave_one_out_jackknife_s(n, d):
    x, y = _sets(n, n + 5, d)
    variance = 0.0
    for which in (0, 1):
        left = [
            frechet_distance(*(np.delete(z, i, 0) if w == which else z for w, z in enumerate((x, y))))
            for i in range(len((x, y)[which]))
        ]
        variance += (len(left) - 1) * np.var(left)
    assert metrics.frechet_with_error(x, y)[1] == pytest.approx(np.sqrt(variance), rel=0.15)


def test_identical_sets():
    x = _sets(300, d=8)[0]
    got = image_quality(x, x.copy(), resamples=20)
    # Not 0: the pairs of an image with itself count between the sets but not within them, a share of 1 / n.
    kernel = (x @ x.T / 8 + 1) ** 3
    apart = kernel[~np.eye(300, dtype=bool)].mean()
    assert got["kid"]["value"] == pytest.approx(2 / 300 * (apart - np.diag(kernel).mean()))
    assert abs(got["kid"]["value"]) < 0.1
    assert got["fid"]["value"] == pytest.approx(0, abs=1e-9)
    for name in ("precision", "recall", "coverage"):
        assert got[name]["value"] == 1
        assert 0.98 < got[name]["low"] < 1
        assert got[name]["high"] == 1
    assert got["density"]["value"] >= 1


def test_disjoint_sets():
    x, y = _sets(60, 60)
    got = image_quality(x, y + 100, resamples=20)
    for name in ("precision", "recall", "coverage", "density"):
        assert got[name]["value"] == 0
    assert got["precision"]["high"] == pytest.approx(1.96**2 / (60 + 1.96**2), rel=1e-3)  # Wilson's, of 0 of 60
    assert got["kid"]["low"] > got["floor"]["kid"]["high"]
    assert got["fid"]["value"] > 6 * 100**2 * 0.9


def test_copies_of_real_images_are_inside_their_own_balls():
    # Every real image six times: each has five copies at distance 0, so the balls have no radius but hold the copies.
    rng = np.random.default_rng(0)
    once = (1000 + rng.normal(size=(20, 256))).astype(np.float32)
    got = precision_recall(np.repeat(once, 6, 0), np.repeat(once, 7, 0), 5)
    assert got == {"precision": 1.0, "recall": 1.0, "density": pytest.approx(6 / 5), "coverage": 1.0}
    beside = precision_recall(np.repeat(once, 6, 0), np.repeat(once + 0.01, 7, 0), 5)
    assert beside == {"precision": 0.0, "recall": 0.0, "density": 0.0, "coverage": 0.0}


def test_mode_collapse_shows_in_recall_and_coverage_only():
    x, y = _sets(200, 200, 4, shift=0, scale=1)
    y[:] = 0.01 * y
    got = precision_recall(x, y)
    assert got["precision"] > 0.95
    assert got["recall"] < 0.1
    assert got["coverage"] < 0.5


def test_radii_from_neighbour_lists_equal_those_of_the_kept_images_alone():
    x = np.random.default_rng(0).normal(size=(150, 3))
    keep = metrics.halves_kept(150, 2, 20, 3)[0][7]
    got = metrics._radii(metrics._nearest(x, 5), keep, 5)[keep]
    kept = x[keep]
    expected = np.sort(((kept[:, None] - kept) ** 2).sum(-1), axis=1)[:, 5]  # place 0 is the image itself
    assert got == pytest.approx(expected, rel=1e-5)


def test_halves_hold_half_of_each_set_and_vary():
    real, made = metrics.halves_kept(40, 25, 50, 0)
    assert real[0].all()
    assert made[0].all()
    assert set(real[1:].sum(1)) == {20}
    assert set(made[1:].sum(1)) == {12}
    assert len(np.unique(real[1:], axis=0)) == 50
    assert abs(real[1:].mean(0) - 0.5).max() < 0.35


# Nominal 95 %: two hundred repetitions leave 1.5 % of standard error. The truth is the metric's mean at this size.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "m", "d", "shift", "scale"), [(100, 140, 2, 1.0, 0.7), (200, 200, 8, 1.0, 0.8), (200, 200, 8, 0.0, 1.0)]
)
def test_intervals_cover_at_their_level(n, m, d, shift, scale):
    intervals = {name: [] for name in METRICS}
    for repetition in range(200):
        real, made = _sets(n, m, d, [7, repetition], shift, scale)
        got = quality._compared(real, made, metrics.rational_quadratic(real), repetition, 60, 1.96, 5)
        for name in METRICS:
            intervals[name].append([got[name]["value"], got[name]["low"], got[name]["high"]])
    covered = {}
    for name, rows in intervals.items():
        value, low, high = np.array(rows).T
        # KID's and MMD's truth is known where the distributions are the same.
        truth = 0.0 if name in ("kid", "mmd") and not shift and scale == 1 else value.mean()
        covered[name] = float(np.mean((low <= truth) & (truth <= high)))
    assert all(0.90 <= share <= 0.995 for share in covered.values()), covered


def test_kid_s_interval_tells_sets_apart_and_halves_with_four_times_the_images():
    x, y = _sets(150, 120)
    kid = image_quality(x, y, seed=3)["kid"]
    assert kid["value"] == pytest.approx(metrics.kernel_inception_distance(x, y))
    assert 0 < kid["low"] < kid["value"] < kid["high"]
    four = image_quality(*_sets(600, 480), seed=3)["kid"]
    assert 0.35 < (four["high"] - four["low"]) / (kid["high"] - kid["low"]) < 0.75


def test_features_that_are_not_finite_are_named():
    x, y = _sets()
    x[3, 2] = np.nan
    with pytest.raises(ValueError, match="rows hold NaN"):
        metrics.kernel_inception_distance(x, y)


def test_result_is_json_and_its_floor_has_the_sizes_it_says():
    real, made = _sets(101, 40)
    got = image_quality(real, made, resamples=20, seed=4)
    assert json.loads(json.dumps(got)) == got
    assert got["images"] == {"real": 101, "made": 40}
    assert got["features"] == 6
    assert got["floor"]["images"] == {"real": 50, "other": 40}
    assert got["matched"]["images"] == {"real": 50, "made": 40}
    for group in (got, got["floor"], got["matched"]):
        for name in METRICS:
            assert group[name]["low"] <= group[name]["value"] <= group[name]["high"]
    assert got == image_quality(real, made, resamples=20, seed=4)
    assert got != image_quality(real, made, resamples=20, seed=5)


def test_floor_of_another_real_set_has_as_many_images_as_are_made():
    real, made = _sets(80, 40)
    other = _sets(90, seed=1)[0]
    got = image_quality(real, made, floor=other, resamples=20)
    assert got["floor"]["images"] == {"real": 80, "other": 40}
    assert {name: got["matched"][name] for name in METRICS} == {name: got[name] for name in METRICS}
    assert got["floor"]["fid"]["value"] < got["fid"]["value"]
    fewer = image_quality(real, made, floor=other[:20], resamples=20)
    assert fewer["matched"]["images"] == {"real": 80, "made": 20}


def test_fid_s_floor_falls_with_the_number_of_images_and_kid_s_stays():
    small, large = (image_quality(*_sets(n, n, 20, shift=0, scale=1), resamples=20, seed=1)["floor"] for n in (60, 600))
    assert small["fid"]["value"] > 3 * large["fid"]["value"]
    for floor in (small, large):
        assert floor["kid"]["low"] < 0 < floor["kid"]["high"]


def test_normalise_takes_the_scale_of_the_features_out():
    real, made = _sets(100, 90)
    got = image_quality(1e3 * real, 1e3 * made, normalise=True, resamples=20)
    scale = np.sqrt(np.mean(real**2))
    expected = image_quality(real / scale, made / scale, resamples=20)
    for name in METRICS:
        assert got[name] == pytest.approx(expected[name], rel=1e-5)
    assert got["normalised"] is True
    assert expected["normalised"] is False
    silent = image_quality(0 * real, 0 * made, normalise=True, resamples=20)
    assert silent["kid"]["value"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda real, made: (real[:, 0], made), "real: features must be"),
        (lambda real, made: (real, made[:, :3]), "differ in width: 6 and 3"),
        (lambda real, made: (real, made[:11]), "made: at least 12 images"),
        (lambda real, made: (real[:23], made), "floor from its halves needs 24"),
        (lambda real, made: (real, np.where(np.arange(30)[:, None] == 4, np.nan, made)), "made: 1 rows hold NaN"),
        (lambda real, made: (np.where(np.arange(40)[:, None] < 2, np.inf, real), made), "real: 2 rows hold NaN"),
    ],
)
def test_bad_features_raise_one_clear_line(change, words):
    with pytest.raises(ValueError, match=words) as caught:
        image_quality(*change(*_sets()))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("options", [{"k": 0}, {"resamples": 5}, {"confidence": 95}])
def test_options_out_of_range(options):
    with pytest.raises(ValueError, match="k must be"):
        image_quality(*_sets(), **options)


def test_importing_it_does_not_start_tensorflow():
    code = "import sys, lesiongan.evaluation.image_quality; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
