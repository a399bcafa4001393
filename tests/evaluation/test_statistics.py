"""Intervals and tests against the binomial distribution, scipy and statsmodels, and on cases whose effect is known."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from grids import write_grid
from scipy import stats
from statsmodels.stats.multitest import multipletests

from lesiongan.config.evaluation import EvaluationConfig
from lesiongan.evaluation import classification, statistics
from lesiongan.evaluation.evaluate import evaluate

BASE = {"cell": "real only", "kind": "baseline", "amount": 0}


def _interval(labels, said, lesions, target, resamples=4000):
    weights = statistics.lesion_weights(labels, lesions, resamples, seed=1)
    confusions = statistics.resampled_confusions(labels, said, lesions, 2, weights)
    recalls = classification.rates(confusions)["recall"][:, target]
    return statistics.estimate(recalls[:1], recalls[1:, None])


def test_interval_of_a_proportion_is_near_the_binomial_one():
    labels = np.repeat([0, 1], [452, 1000])
    said = labels.copy()
    said[:126] = 1  # recall 326 / 452
    got = _interval(labels, said, np.arange(len(labels)), target=0)
    exact = stats.binomtest(326, 452).proportion_ci(0.95, method="wilson")
    assert got.value == pytest.approx(326 / 452)
    assert got.low == pytest.approx(exact.low, abs=0.004)
    assert got.high == pytest.approx(exact.high, abs=0.004)


def test_images_of_a_lesion_are_drawn_together():
    # Four identical images a lesion carry the information of one: the interval is twice as wide as by images.
    labels = np.repeat([0, 1], [400, 400])
    lesions = np.arange(800) // 4
    said = np.where((lesions % 5 == 0) & (labels == 0), 1, labels)
    together = _interval(labels, said, lesions, target=0)
    apart = _interval(labels, said, np.arange(800), target=0)
    assert (together.high - together.low) / (apart.high - apart.low) == pytest.approx(2, rel=0.1)


def test_every_resample_keeps_the_lesions_of_a_class():
    labels = np.array([0, 0, 0, 1, 1, 1, 1])
    lesions = np.array([0, 0, 1, 2, 3, 4, 4])
    weights = statistics.lesion_weights(labels, lesions, 50, seed=0)
    assert (weights[0] == 1).all()  # the test set itself
    assert (weights[:, :2].sum(1) == 2).all()
    assert (weights[:, 2:].sum(1) == 3).all()
    np.testing.assert_array_equal(weights, statistics.lesion_weights(labels, lesions, 50, seed=0))


def test_a_resampled_matrix_is_that_of_the_repeated_images():
    random = np.random.default_rng(5)
    labels, said, lesions = random.integers(0, 3, 60), random.integers(0, 3, 60), np.arange(60) // 2
    weights = random.integers(0, 4, (1, 30)).astype(np.float32)
    repeated = np.repeat(np.arange(60), weights[0, lesions].astype(int))
    expected = classification.confusion_matrix(labels[repeated], said[repeated], 3)
    np.testing.assert_array_equal(statistics.resampled_confusions(labels, said, lesions, 3, weights)[0], expected)


def test_with_seeds_that_alone_vary_it_is_student_t():
    points = np.array([0.01, 0.03, 0.05, 0.02])
    got = statistics.estimate(points, np.tile(points, (100, 1)))
    reference = stats.ttest_1samp(points, 0)
    low, high = reference.confidence_interval(0.95)
    assert (got.low, got.high) == (pytest.approx(low), pytest.approx(high))
    assert got.p == pytest.approx(reference.pvalue, rel=1e-6)


def test_with_lesions_that_alone_vary_it_is_normal():
    drawn = np.random.default_rng(0).normal(0.02, 0.01, 5000)
    got = statistics.estimate([0.02, 0.02, 0.02], np.stack([drawn] * 3, axis=1))
    assert got.high - 0.02 == pytest.approx(1.959964 * drawn.std())
    assert got.p == pytest.approx(2 * stats.norm.sf(0.02 / drawn.std()), rel=1e-6)


def test_what_lesion_and_seed_do_together_is_counted_once():
    """Independent noise of variance 4 in each of 3 trainings on top of the lesions' own 9: the seeds' part has the
    noise already, so that 9 is left for the lesions."""
    random = np.random.default_rng(0)
    own, noise = random.normal(0, 3, (50_000, 1)), random.normal(0, 2, (50_000, 3))
    got = statistics.estimate([98, 100, 102], own + noise)
    t, z = stats.t.ppf(0.975, 2), stats.norm.ppf(0.975)
    assert got.high - 100 == pytest.approx(np.sqrt(t**2 * 4 / 3 + z**2 * 9), rel=0.01)


def test_seeds_that_are_equal_by_chance_leave_what_other_lesions_would_change():
    """Two trainings gain one image of 99 each, not the same one: no common change, no spread, and yet nothing sure."""
    lesions = np.arange(99)
    weights = statistics.lesion_weights(np.zeros(99, np.int64), lesions, 4000, seed=0)
    change = np.zeros((2, 99))
    change[0, 3] = change[1, 50] = 1
    got = statistics.estimate(change.mean(1), weights @ change.T / 99)
    # the mean of the two is 2 gains in 2 x 99: a binomial's deviation is sqrt(2) / 198
    assert got.high - got.value == pytest.approx(1.96 * np.sqrt(2) / 198, rel=0.05)
    assert got.p == pytest.approx(2 * stats.norm.sf(np.sqrt(2)), rel=0.1)


@pytest.mark.parametrize("seeds", [1, 3])
def test_p_and_interval_agree(seeds):
    random = np.random.default_rng(0)
    for shift in np.linspace(0, 0.04, 9):
        points = shift + random.normal(0, 0.002, seeds)
        got = statistics.estimate(points, points + random.normal(0, 0.01, (2000, 1)))
        if abs(got.p - 0.05) > 0.005:  # one resample more or less at the border
            assert (got.p < 0.05) == (got.low > 0 or got.high < 0)


def test_mcnemar_is_the_binomial_test_of_the_discordant():
    first = np.repeat([True, True, False, False], [50, 4, 13, 9])
    second = np.repeat([True, False, True, False], [50, 4, 13, 9])
    got = statistics.mcnemar(first, second)
    assert (got["gained"], got["lost"]) == (13, 4)
    assert got["p"] == pytest.approx(stats.binomtest(4, 17).pvalue)
    assert statistics.mcnemar(first, first)["p"] == 1


def test_holm_by_hand_and_as_statsmodels():
    assert statistics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    random = np.random.default_rng(0)
    for count in (1, 2, 32):
        p_values = np.round(random.random(count) ** 3, 2)  # with ties
        expected = multipletests(p_values, method="holm")[1]
        np.testing.assert_allclose(statistics.holm(p_values), expected, rtol=1e-12)
    assert statistics.holm([]).shape == (0,)


@pytest.mark.parametrize("seeds", [[0], [0, 1, 2]])
def test_equal_predictions_differ_by_nothing(tmp_path, seeds):
    same = {
        "cell": "acgan + 500",
        "kind": "acgan",
        "amount": 500,
        "seeds": seeds,
        "recall": 0.1,
        "same_as": "real only",
    }
    write_grid(tmp_path, [{**BASE, "seeds": seeds, "recall": 0.8}, same])
    result = evaluate(tmp_path, tmp_path / "out", EvaluationConfig(resamples=200), 0)
    entries = [*result["cells"][1]["metrics"].values(), *result["cells"][1]["classes"]["BCC"].values()]
    for m in entries:
        assert (m["difference"], m["difference_low"], m["difference_high"], m["p"]) == (0, 0, 0, 1)
    assert result["verdict"].startswith("No gain shown")


@pytest.mark.parametrize("seeds", [[0], [0, 1, 2]])
def test_a_large_effect_is_found(tmp_path, seeds):
    better = {"cell": "acgan + 500", "kind": "acgan", "amount": 500, "seeds": seeds, "recall": 0.9}
    null = {"cell": "acgan + 100", "kind": "acgan", "amount": 100, "seeds": seeds, "recall": 0.7}
    write_grid(tmp_path, [{**BASE, "seeds": seeds, "recall": 0.7}, null, better])
    result = evaluate(tmp_path, tmp_path / "out", EvaluationConfig(), 0)
    m = result["cells"][2]["metrics"]["balanced_accuracy"]
    assert 0.05 < m["difference_low"] < 0.2 < m["difference_high"]
    assert m["p_holm"] < 0.05
    assert result["verdict"].startswith("Yes, added images help: 'acgan + 500'")
    assert ("holds" in result["verdict"]) == (len(seeds) == 1)


def test_controls_have_a_family_of_their_own(tmp_path):
    cells = [{"cell": f"acgan + {n}", "kind": "acgan", "amount": n, "seeds": [0], "recall": 0.72} for n in (1, 2)]
    control = {"cell": "oversampling", "kind": "control", "amount": 0, "seeds": [0], "recall": 0.75}
    write_grid(tmp_path, [{**BASE, "seeds": [0], "recall": 0.7}, *cells, control])
    rows = evaluate(tmp_path, tmp_path / "out", EvaluationConfig(resamples=500), 0)["cells"]
    m = [row["metrics"]["accuracy"] for row in rows]
    assert m[3]["p_holm"] == m[3]["p"]
    assert [m[1]["p_holm"], m[2]["p_holm"]] == pytest.approx(multipletests([m[1]["p"], m[2]["p"]], method="holm")[1])


def test_false_alarms_where_seeds_shift_recall():
    """No effect, but seeds shift each recall by SD 0.02: 5 % alarms at most, by lesions alone more."""
    random = np.random.default_rng(0)
    images, seeds, tables = 452, 3, 400
    weights = statistics.lesion_weights(np.zeros(images, np.int64), np.arange(images), 500, seed=0)
    alarms = by_lesions = 0
    for _ in range(tables):
        difficulty = random.beta(1.0, 0.4, images)

        def training(difficulty=difficulty):
            return random.random((seeds, images)) < difficulty + random.normal(0, 0.02, (seeds, 1))

        change = training().astype(np.float32) - training()
        drawn = weights @ change.T / images
        alarms += statistics.estimate(change.mean(1), drawn).p < 0.05
        by_lesions += statistics.estimate([change.mean()], drawn.mean(1, keepdims=True)).p < 0.05
    assert alarms <= stats.binom.isf(0.01, tables, 0.05)
    assert by_lesions > stats.binom.isf(0.01, tables, 0.05)


@pytest.mark.long
def test_false_alarms_of_whole_tables_and_the_power_to_find_an_effect():
    """200 tables of the paper's test set, 6 cells, 3 seeds whose recalls shift by SD 0.02."""
    from benchmarks import false_alarms

    tables, options = 200, {"number": 6, "seeds": 3, "shift": 0.02}
    found = false_alarms.alarms(tables, **options)
    print("\n".join(false_alarms.lines(found, tables)))
    lowest, highest = stats.binom.ppf([0.005, 0.995], tables, 0.05)
    for metric, row in found.items():
        assert row["first"] <= highest, metric
        assert row["after_holm"] <= false_alarms.bound(tables), metric
    # The tests of a table are alike, so the bounds of one test a table are the ones for their mean rate too.
    assert lowest / tables <= np.mean([row["tests"] for row in found.values()]) <= highest / tables
    # A gain of 0.12 in melanoma recall, for 5 seeds: 3 leave too much to Student's t with 2 degrees of freedom.
    with_effect = false_alarms.alarms(20, effect=0.12, **{**options, "seeds": 5})["target_recall"]
    assert with_effect["first"] >= 16
    assert with_effect["first_after_holm"] >= 5


def test_importing_it_leaves_tensorflow_out():
    code = (
        "import sys, lesiongan.evaluation.evaluate, lesiongan.reporting.report; sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
