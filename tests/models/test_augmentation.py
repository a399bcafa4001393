"""Differentiable augmentation: values against NumPy, gradients against the adjoint, one draw for real and generated."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from lesiongan.models import augmentation

SEED = tf.constant([3, 4])


def images(seed: int, count: int = 6, size: int = 16) -> tf.Tensor:
    return tf.random.stateless_uniform([count, size, size, 3], [seed, 0], -1, 1)


def test_translation_moves_each_image_by_up_to_an_eighth_and_zeros_move_in():
    x = images(0, count=60)
    moved = augmentation.translate(x, SEED).numpy()
    found = set()
    for original, result in zip(x.numpy(), moved, strict=True):
        padded = np.pad(original, [(2, 2), (2, 2), (0, 0)])
        places = [(i, j) for i in range(5) for j in range(5) if np.array_equal(padded[i : i + 16, j : j + 16], result)]
        assert len(places) == 1
        found.add(places[0])
    assert {i for i, _ in found} == {j for _, j in found} == set(range(5))


def test_cutout_sets_a_square_of_half_the_side_to_zero():
    x = images(0, count=60)
    cut = augmentation.cutout(x, SEED).numpy()
    areas = []
    for original, result in zip(x.numpy(), cut, strict=True):
        gone = (result == 0).all(axis=2)
        np.testing.assert_array_equal(result[~gone], original[~gone])
        rows, columns = np.flatnonzero(gone.any(axis=1)), np.flatnonzero(gone.any(axis=0))
        assert gone.sum() == len(rows) * len(columns)
        assert np.ptp(rows) == len(rows) - 1
        areas.append(gone.sum())
    assert max(areas) == 64
    assert 16 <= min(areas) < 64


def test_colour_changes_brightness_saturation_and_contrast():
    x = images(0, count=200)
    result = augmentation.colour(x, SEED).numpy()
    x = x.numpy()
    brightness = result.mean(axis=(1, 2, 3)) - x.mean(axis=(1, 2, 3))  # the other two keep an image's mean
    assert np.abs(brightness).max() <= 0.5
    assert np.ptp(brightness) > 0.9
    grey, grey_result = x.mean(axis=3), result.mean(axis=3)  # saturation keeps a pixel's mean
    contrast = grey_result.std(axis=(1, 2)) / grey.std(axis=(1, 2))
    assert contrast.min() >= 0.5
    assert contrast.max() <= 1.5
    assert np.ptp(contrast) > 0.9
    chroma, chroma_result = x - grey[..., None], result - grey_result[..., None]
    factor = chroma_result.std(axis=(1, 2, 3), keepdims=True) / chroma.std(axis=(1, 2, 3), keepdims=True)
    np.testing.assert_allclose(chroma_result, chroma * factor, atol=1e-4)
    saturation = factor.ravel() / contrast
    assert saturation.max() <= 2
    assert np.ptp(saturation) > 1.8


def test_real_and_generated_images_get_the_same_draw_and_other_seeds_another():
    x = images(0)
    other = tf.concat([x[:3], images(1)[3:]], axis=0)
    a, b = augmentation.augment(x, SEED).numpy(), augmentation.augment(other, SEED).numpy()
    np.testing.assert_allclose(a[:3], b[:3], atol=1e-6)
    assert np.abs(a - augmentation.augment(x, tf.constant([3, 5])).numpy()).max() > 0.1
    assert len({image.tobytes() for image in augmentation.augment(tf.repeat(x[:1], 6, 0), SEED).numpy()}) == 6


def test_each_transformation_happens_to_each_image_with_the_probability():
    x = images(0, count=400)
    np.testing.assert_allclose(augmentation.augment(x, SEED, tf.constant(0.0)), x, atol=1e-5)
    np.testing.assert_allclose(
        augmentation.augment(x, SEED, tf.constant(1.0)), augmentation.augment(x, SEED), atol=1e-6
    )
    some = augmentation.augment(x, SEED, tf.constant(0.25)).numpy()
    gone = np.abs(some - x).reshape(400, -1).max(1) > 1e-3
    # none of the five: 0.75^5; nothing is seen of moves by 0 (1 of 25)
    expected = 1 - 0.75**4 * (0.75 + 0.25 / 25)
    assert gone.mean() == pytest.approx(expected, abs=4.5 * np.sqrt(expected * (1 - expected) / 400))
    cut = (some == 0).all(axis=3).sum((1, 2)) >= 16  # moves let in at most 60 grey pixels, at two sides
    assert 0.15 < cut.mean() < 0.5
    again = augmentation.augment(tf.concat([x[:200], images(1, count=400)[200:]], 0), SEED, tf.constant(0.25)).numpy()
    np.testing.assert_allclose(again[:200], some[:200], atol=1e-5)


@pytest.mark.parametrize("number", range(5))
def test_what_does_not_happen_leaves_an_image_as_it_is(number):
    x = images(0, count=4)
    happens = tf.constant([True, False, True, False])
    if number < 3:
        result = augmentation.colour(x, SEED, [happens if index == number else tf.zeros(4, bool) for index in range(3)])
    else:
        result = (augmentation.translate, augmentation.cutout)[number - 3](x, SEED, happens)
    changed = np.abs(result - x).reshape(4, -1).max(1) > 1e-3
    np.testing.assert_array_equal(changed, happens)


def test_the_adaptive_probability_moves_by_its_formula():
    ada = augmentation.AdaptiveProbability(0.6, 1000)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (40, 10, 1), p=[0.2, 0.8])
    p, found, expected = 0.0, [], []
    for step, sources in enumerate(signs):
        ada.update(tf.constant(3 * sources, tf.float32), tf.constant(step, tf.int64))
        if step % 4 == 3:
            p = min(1.0, max(0.0, p + np.sign(signs[step - 3 : step + 1].mean() - 0.6) * 40 / 1000))
        found.append(float(ada.p))
        expected.append(p)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert len(set(np.diff(expected).round(3))) == 3  # up, down and still
    assert [variable.name for variable in ada.state()] == ["augmentation_probability:0", "augmentation_signs:0"]


def test_the_adaptive_probability_stays_between_0_and_1():
    ada = augmentation.AdaptiveProbability(0.6, 10)
    for sources, bound in ((tf.ones([10, 1]), 1.0), (-tf.ones([10, 1]), 0.0)):
        for step in range(8):
            ada.update(sources, tf.constant(step, tf.int64))
        assert float(ada.p) == bound


def test_the_gradient_is_that_of_the_augmentation():
    # The augmentation is affine in the images: f(x + d) - f(x) = A d, and the gradient of <f(x), y> is A' y.
    x, d, y = images(0), images(1), images(2)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = tf.reduce_sum(augmentation.augment(x, SEED) * y)
    gradient = tape.gradient(value, x)
    change = augmentation.augment(x + d, SEED) - augmentation.augment(x, SEED)
    np.testing.assert_allclose(tf.reduce_sum(gradient * d), tf.reduce_sum(change * y), rtol=1e-3)
    assert (np.abs(gradient.numpy()).reshape(6, -1).max(axis=1) > 0).all()
