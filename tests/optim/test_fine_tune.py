"""fastai's fine_tune: both phases against its formulas, frozen groups, discriminative rates in the compiled step."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from lesiongan.config.classifier import ClassifierConfig
from lesiongan.data.image_set import ImageSet
from lesiongan.optim.adam import Adam, ParameterGroups
from lesiongan.optim.fine_tune import GROUPS, FineTune
from lesiongan.training.classifier import build_classifier, train_classifier

BASE, FROZEN, STEPS = 2e-3, 40, 140


def cosine(start: float, end: float, position: float) -> float:
    """fastai's `SchedCos`."""
    return start + (1 + math.cos(math.pi * (1 - position))) * (end - start) / 2


def one_cycle(maximum: float, position: float, warm_up: float, div: float) -> tuple[float, float]:
    """fastai's `fit_one_cycle`, `combined_cos` of rate and momentum, at a position in [0, 1]."""
    if position < warm_up:
        part = position / warm_up
        return cosine(maximum / div, maximum, part), cosine(0.95, 0.85, part)
    part = (position - warm_up) / (1 - warm_up)
    return cosine(maximum, maximum / 1e5, part), cosine(0.85, 0.95, part)


def test_rate_and_momentum_of_every_step():
    schedule = FineTune(BASE, STEPS, FROZEN)
    for step in range(STEPS):
        if step < FROZEN:  # self.fit_one_cycle(freeze_epochs, slice(base_lr), pct_start=0.99)
            expected = one_cycle(BASE, step / FROZEN, 0.99, 25.0)
        else:  # base_lr /= 2; self.fit_one_cycle(epochs, slice(base_lr/lr_mult, base_lr), pct_start=0.3, div=5.0)
            expected = one_cycle(BASE / 2, (step - FROZEN) / (STEPS - FROZEN), 0.3, 5.0)
        np.testing.assert_allclose([float(v) for v in schedule.values(step)], expected, rtol=2e-4, err_msg=str(step))


def test_the_groups_factors():
    """`slice(lr)` is lr/10 for all groups but the last; `slice(lr/100, lr)` is even in the logarithm."""
    schedule = FineTune(BASE, STEPS, FROZEN)
    factors, begins = schedule.groups(FROZEN - 1)
    np.testing.assert_allclose(factors, [0, 0.1, 0, 0.1, 1])
    factors, begins = schedule.groups(FROZEN)
    np.testing.assert_allclose(factors, [0.01, 0.01, 0.1, 0.1, 1], rtol=1e-6)
    np.testing.assert_array_equal(begins, [FROZEN, 0, FROZEN, 0, 0])
    assert len(factors) == len(GROUPS)


def test_lengths_that_do_not_fit():
    with pytest.raises(ValueError, match="frozen steps must be fewer"):
        FineTune(BASE, 10, 10)


def test_adams_groups_are_adams_of_their_own():
    """A group that starts at step 3 does what an optimizer does that is made then; factors scale the rate."""
    gradients = np.random.default_rng(0).normal(size=(8, 2, 3)).astype(np.float32)
    late, scaled = (keras.Variable(np.ones((1, 3), np.float32), name=name) for name in ("late", "scaled"))
    begin, factor = 3, 0.25

    def schedule(step):
        frozen = tf.cast(step, tf.int64) < begin
        return tf.stack([tf.where(frozen, 0.0, 1.0), tf.constant(factor)]), tf.constant([float(begin), 0.0])

    grouped = Adam.fastai(1e-2, groups=ParameterGroups({id(late): 0, id(scaled): 1}, schedule))
    grouped.build([late, scaled])
    step = tf.function(lambda a, b: grouped.apply([a, b], [late, scaled]), autograph=False)
    for a, b in gradients:
        step(tf.constant(a[None]), tf.constant(b[None]))
    for variable, rate, seen in ((late, 1e-2, gradients[begin:, 0]), (scaled, 1e-2 * factor, gradients[:, 1])):
        alone = keras.Variable(np.ones((1, 3), np.float32))
        optimizer = Adam.fastai(rate)
        optimizer.build([alone])
        for gradient in seen:
            optimizer.apply([tf.constant(gradient[None])], [alone])
        np.testing.assert_allclose(variable.numpy(), alone.numpy(), rtol=1e-6)


@pytest.fixture(scope="module")
def small() -> ImageSet:
    rng = np.random.default_rng(0)
    labels = np.arange(48) % 3
    images = rng.integers(0, 256, (48, 32, 32, 3)) // 4 + 60 * labels[:, None, None, None]
    return ImageSet(images.astype(np.uint8), labels.astype(np.int32), tuple(map(str, range(48))), ("real",) * 48)


@pytest.mark.parametrize("backbone", ["resnet50", "efficientnet_lite0"])
def test_every_variable_is_in_a_group(backbone):
    model = build_classifier(ClassifierConfig(backbone=backbone, width=0.1, size=32, schedule="fine_tune"), 3)
    groups = model.parameter_groups()
    assert set(groups) == {id(v) for v in model.trainable_variables}
    assert set(groups.values()) == set(range(len(GROUPS)))
    for variable in model.trainable_variables:
        if groups[id(variable)] in (1, 3):
            assert len(variable.shape) == 1
        elif groups[id(variable)] in (0, 2):
            assert len(variable.shape) == 4


def test_a_frozen_backbone_does_not_move_and_its_norms_do(small, tmp_path):
    config = ClassifierConfig(
        width=0.1, size=32, batch=16, schedule="fine_tune", frozen_epochs=1, images=16 * 9, learning_rate=1e-2
    )
    model = build_classifier(config, 3)
    model.reset(3)
    seen = {}

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen[batch] = [v.numpy() for v in model.trainable_variables]

    model.cycle.set(1e-2, 9, 3)
    before = [v.numpy() for v in model.trainable_variables]
    from lesiongan.data.inputs import classifier_batches

    batches = classifier_batches(small, batch=16, start=0, steps=9, seed=1, flips=True, rotations=True)
    model.fit(batches, epochs=1, verbose=0, shuffle=False, callbacks=[Watch()])
    groups = [model.parameter_groups()[id(v)] for v in model.trainable_variables]
    for group, old, frozen, then in zip(groups, before, seen[2], seen[8], strict=True):
        assert np.array_equal(old, frozen) == (group in (0, 2))
        assert not np.array_equal(old, then)
    _, summary = train_classifier(config, small, small, num_classes=3, run_dir=tmp_path, seed=3, model=model)
    assert summary["steps"] == 9
    assert np.isfinite(summary["loss"])
