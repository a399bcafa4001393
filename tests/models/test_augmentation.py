"""Differentiable augmentation: values against NumPy, gradients against the adjoint, one draw for real and generated."""

from __future__ import annotations

import numpy as np
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
