"""Failures are noticed: each rule on curves made up for it, and two real trainings that are made to fail."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.data.image_set import ImageSet
from lesiongan.training.cyclegan import train_cyclegan
from lesiongan.training.failure_watch import FailureWatch, acgan_rules, cyclegan_rules

STEPS = 1000
HEALTHY = {
    "movement": 0.1,
    "diversity": 0.9,
    "luminance_correlation": 0.8,
    "discriminator_x": 0.15,
    "discriminator_y": 0.15,
}
HEALTHY_ACGAN = {"class_diversity": 0.9, "class_diversity_lowest": 0.6, "d_source_accuracy": 0.8}


def usual_rules():
    return cyclegan_rules(CycleGANConfig(identity=0.5))


def warned(rules, curve, healthy) -> list[tuple[int, str]]:
    """Warnings of a training whose numbers are recorded each 20 steps; `curve(step)` replaces some of the healthy."""
    watch = FailureWatch(rules, STEPS)
    return [(step, text) for step in range(20, STEPS + 1, 20) for text in watch(step, healthy | curve(step))]


@pytest.mark.parametrize(
    ("rules", "healthy", "name", "sick", "words", "option"),
    [
        (usual_rules, HEALTHY, "movement", 0.01, "identity collapse", "cyclegan.identity"),
        (usual_rules, HEALTHY, "diversity", 0.1, "mode collapse", "cyclegan.augment=true"),
        (usual_rules, HEALTHY, "luminance_correlation", -0.4, "inverted", "cyclegan.identity=0.5"),
        (usual_rules, HEALTHY, "discriminator_x", 0.004, "the discriminator of X is at zero", "spectral_norm"),
        (usual_rules, HEALTHY, "discriminator_y", 0.004, "the discriminator of Y is at zero", "spectral_norm"),
        (acgan_rules, HEALTHY_ACGAN, "class_diversity", 0.1, "mode collapse", "acgan.augment=true"),
        (acgan_rules, HEALTHY_ACGAN, "class_diversity_lowest", 0.05, "one class has collapsed", "acgan.balanced=true"),
        (acgan_rules, HEALTHY_ACGAN, "d_source_accuracy", 0.998, "won for good", "acgan.dropout"),
    ],
)
def test_each_failure_is_noticed_from_where_it_lasts_and_said_once(rules, healthy, name, sick, words, option):
    lasting = {"movement": 160, "d_source_accuracy": 200, "class_diversity": 260, "class_diversity_lowest": 260}.get(
        name, 100
    )
    found = warned(rules(), lambda step: {name: sick} if step >= 400 else {}, healthy)
    ((step, text),) = found
    assert step == 400 + lasting
    assert words in text
    assert "since step 400" in text
    assert f"{sick:.3g}" in text
    assert option in text
    # it must last: what is well again in between is no failure
    assert warned(rules(), lambda step: {name: sick} if step % 100 else {}, healthy) == []
    # and a bad start is none either
    assert warned(rules(), lambda step: {name: sick} if step < lasting else {}, healthy) == []


def test_an_additive_generator_has_half_its_training_to_leave_its_input():
    still = CycleGANConfig(generator="additive", identity=0.0, cycle=5.0)
    ((step, text),) = warned(cyclegan_rules(still), lambda step: {"movement": 0.01}, HEALTHY)
    assert step == 20 + STEPS / 2
    assert text.endswith(": set cyclegan.cycle=2.5")


def test_a_healthy_training_is_not_warned_of():
    assert warned(usual_rules(), lambda step: {}, HEALTHY) == []
    assert warned(acgan_rules(), lambda step: {}, HEALTHY_ACGAN) == []


def test_of_a_training_of_twenty_steps_nothing_is_said():
    watch = FailureWatch(acgan_rules(), 20)
    assert [text for step in range(1, 21) for text in watch(step, HEALTHY_ACGAN | {"class_diversity": 0.0})] == []


def test_lines_without_the_number_change_nothing():
    watch = FailureWatch(usual_rules(), STEPS)
    told = []
    for step in range(100, 500, 10):
        told += watch(step, {"movement": 0.0} if step % 50 == 0 else {"adversarial_xy": 0.3})
    assert [text.partition(",")[0] for text in told] == ["identity collapse"]


def blots(n: int, seed: int, colour: tuple[float, float, float] | None = None) -> ImageSet:
    """Dark blots on light ground, of one colour or each of its own."""
    random = np.random.default_rng(seed)
    across = np.linspace(-1, 1, 32)
    images = np.empty((n, 32, 32, 3), np.uint8)
    for image in images:
        x, y, size = random.uniform((-0.3, -0.3, 0.2), (0.3, 0.3, 0.5))
        blot = np.exp(-((across[None] - x) ** 2 + (across[:, None] - y) ** 2) / size**2)[..., None]
        image[:] = np.rint(230 - 180 * blot * (colour or random.uniform(0.4, 1.0, 3)))
    return ImageSet(images, np.zeros(n, np.int32), tuple(map(str, range(n))), ("real",) * n)


BLUE, RED = (1.0, 0.7, 0.4), (0.4, 0.7, 1.0)
SMALL = CycleGANConfig(size=32, blocks=1, filters=8, discriminator_filters=8, batch=4, images=2000, learning_rate=2e-3)


def warnings_of(folder, x: ImageSet, y: ImageSet, **changes) -> list[str]:
    """What a real training is warned of."""
    train_cyclegan(dataclasses.replace(SMALL, **changes), x, y, run_dir=folder, seed=0)
    path = folder / "warnings.jsonl"
    return [json.loads(line)["warning"] for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.slow
def test_a_real_training_whose_cycle_loss_rules_out_all_else(tmp_path):
    found = warnings_of(tmp_path, blots(40, 0, RED), blots(40, 1, BLUE), cycle=1000.0)
    assert sum("is at zero" in text for text in found) == 2  # the generators do not care what the discriminators say
    assert sum("light becomes dark" in text for text in found) == 1  # a cycle may as well go through the negative


@pytest.mark.long
def test_a_real_training_whose_identity_loss_rules_out_all_else(tmp_path):
    found = warnings_of(tmp_path, blots(40, 0), blots(40, 1), identity=100.0, images=6000)
    assert sum(text.startswith("identity collapse") for text in found) == 1


@pytest.mark.long
def test_a_real_training_that_is_well_is_not_warned_of(tmp_path):
    assert warnings_of(tmp_path, blots(40, 0, RED), blots(40, 1, BLUE)) == []
