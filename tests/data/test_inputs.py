"""The input pipelines: order, resume, augmentation and value range, against NumPy and plain integers."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from lesiongan.base.errors import UsageError
from lesiongan.data import hashed_random, inputs
from lesiongan.data.image_set import ImageSet


def image_set(n: int, size: int = 8, seed: int = 0, labels=None) -> ImageSet:
    """Random images whose every pixel of the red channel is the image's index (n <= 256), so that each can be named."""
    images = np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), np.uint8)
    images[..., 0] = np.arange(n, dtype=np.uint8)[:, None, None]
    labels = np.arange(n) % 3 if labels is None else np.asarray(labels)
    return ImageSet(images, labels.astype(np.int32), tuple(f"i{k}" for k in range(n)), ("real",) * n)


def indices(images: np.ndarray) -> np.ndarray:
    return np.rint((images[:, 0, 0, 0] + 1) * 127.5).astype(int)


def collect(dataset: tf.data.Dataset) -> list[np.ndarray]:
    """The parts of every batch, joined over the batches."""
    return [np.concatenate(part) for part in zip(*dataset.as_numpy_iterator(), strict=True)]


CLASSIFIER = {"batch": 7, "seed": 3, "flips": True, "rotations": True, "colour": 0.2}


def test_splitmix64_gives_its_published_sequence():
    # The first outputs of the reference implementation from the state 1234567 (each step adds the golden gamma).
    states = [(1234567 + k * 0x9E3779B97F4A7C15) % 2**64 for k in range(5)]
    mixed = hashed_random._mix(tf.constant(states, tf.uint64)).numpy().tolist()
    assert mixed == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_resuming_equals_the_uninterrupted_stream():
    data, other = image_set(20), image_set(33, seed=1)
    pipelines = [
        lambda start: inputs.classifier_batches(data, start=start, steps=9, **CLASSIFIER),
        lambda start: inputs.classifier_batches(data, start=start, steps=9, balanced=True, **CLASSIFIER),
        lambda start: inputs.conditional_batches(data, batch=7, start=start, steps=9, seed=3),
        lambda start: inputs.unpaired_batches(data, other, size=8, batch=2, start=start, steps=9, seed=3, crop=True),
    ]
    for pipeline in pipelines:
        whole, resumed = list(pipeline(0).as_numpy_iterator()), list(pipeline(4).as_numpy_iterator())
        assert len(whole) == 9
        assert len(resumed) == 5
        for expected, batch in zip(whole[4:], resumed, strict=True):
            for a, b in zip(expected, batch, strict=True):
                np.testing.assert_array_equal(a, b)


def test_every_epoch_is_another_permutation_and_labels_stay_with_their_images():
    data = image_set(20)
    images, labels = collect(inputs.conditional_batches(data, batch=8, start=0, steps=10, seed=3))  # 4 epochs
    index = indices(images)
    np.testing.assert_array_equal(labels, data.labels[index])
    epochs = index.reshape(4, 20)
    for epoch in epochs:
        assert sorted(epoch) == list(range(20))
    assert len({tuple(epoch) for epoch in epochs}) == 4
    assert not np.array_equal(epochs[0], np.arange(20))


def test_seeds_give_different_orders():
    data = image_set(20)
    orders = {
        tuple(indices(collect(inputs.conditional_batches(data, batch=20, start=0, steps=1, seed=seed))[0]))
        for seed in (0, 1, 2, 2**63 - 1)
    }
    assert len(orders) == 4


def test_augmentation_is_fresh_in_every_epoch():
    data = image_set(1, size=16)
    images, _ = collect(inputs.classifier_batches(data, **(CLASSIFIER | {"batch": 1}), start=0, steps=12))
    assert len({image.tobytes() for image in images}) == 12


def test_flips_and_turns_are_the_eight_symmetries_in_equal_shares():
    data = image_set(1)
    images, _ = collect(
        inputs.classifier_batches(data, batch=100, start=0, steps=40, seed=3, flips=True, rotations=True)
    )
    one = data.images[0].astype(np.float32) / 127.5 - 1
    symmetries = [np.rot90(m, k) for m in (one, one[:, ::-1]) for k in range(4)]
    matches = np.array([(np.abs(images - s) < 1e-6).all(axis=(1, 2, 3)) for s in symmetries])
    assert (matches.sum(axis=0) == 1).all()
    # 4,000 images over 8 symmetries: 500 each, standard deviation 21.
    assert np.abs(matches.sum(axis=1) - 500).max() < 4.5 * 21


def test_rotations_without_flips_are_quarter_turns_only():
    data = image_set(1)
    images, _ = collect(
        inputs.classifier_batches(data, batch=50, start=0, steps=1, seed=3, flips=False, rotations=True)
    )
    one = data.images[0].astype(np.float32) / 127.5 - 1
    matches = np.array([(np.abs(images - np.rot90(one, k)) < 1e-6).all(axis=(1, 2, 3)) for k in range(4)])
    assert (matches.sum(axis=0) == 1).all()
    assert (matches.sum(axis=1) > 0).all()


def test_the_flip_of_the_gans_mirrors_left_and_right():
    data = image_set(1)
    images, _ = collect(inputs.conditional_batches(data, batch=400, start=0, steps=1, seed=3))
    one = data.images[0].astype(np.float32) / 127.5 - 1
    same = (np.abs(images - one) < 1e-6).all(axis=(1, 2, 3))
    mirrored = (np.abs(images - one[:, ::-1]) < 1e-6).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 150 < mirrored.sum() < 250
    images, _ = collect(inputs.conditional_batches(data, batch=400, start=0, steps=1, seed=3, flip=False))
    assert np.abs(images - one).max() < 1e-6


def test_values_run_from_minus_one_to_one():
    pixels = np.zeros((1, 8, 8, 3), np.uint8)
    pixels[0, 0, 0] = (0, 51, 255)
    data = ImageSet(pixels, np.zeros(1, np.int32), ("a",), ("real",))
    batch = next(inputs.conditional_batches(data, batch=1, start=0, steps=1, seed=0, flip=False).as_numpy_iterator())
    assert batch[0].dtype == np.float32
    assert batch[1].dtype == np.int32
    np.testing.assert_allclose(batch[0][0, 0, 0], [-1.0, -0.6, 1.0], rtol=0, atol=1e-7)


def test_colour_changes_brightness_contrast_and_saturation_within_its_strength():
    grey = np.full((1, 8, 8, 3), 128, np.uint8)
    data = ImageSet(grey, np.zeros(1, np.int32), ("a",), ("real",))
    images, _ = collect(
        inputs.classifier_batches(data, batch=200, start=0, steps=1, seed=3, flips=False, rotations=False, colour=0.3)
    )
    shift = images[:, 0, 0, 0] - (128 / 127.5 - 1)  # a flat grey image has no contrast and no saturation to change
    assert np.abs(images - images[:, :1, :1, :1]).max() < 1e-6
    assert np.abs(shift).max() < 0.3 + 1e-6
    assert shift.min() < -0.25
    assert shift.max() > 0.25
    images, _ = collect(
        inputs.classifier_batches(
            image_set(9), batch=200, start=0, steps=1, seed=3, flips=False, rotations=False, colour=1
        )
    )
    assert images.min() == -1
    assert images.max() == 1


def test_images_are_drawn_in_proportion_to_their_weights():
    """3 real images and 2 of a generator that weigh a quarter: 6/7 of the draws are real."""
    data = image_set(5, labels=[0, 1, 1, 0, 1])
    weights = np.array([1, 1, 1, 0.25, 0.25])
    options = {"batch": 100, "start": 0, "steps": 80, "seed": 3, "flips": False, "rotations": False}
    for balanced, expected in (
        (False, weights / weights.sum()),
        (True, [0.5 / 1.25, 0.5 / 2.25, 0.5 / 2.25, 0.5 * 0.25 / 1.25, 0.5 * 0.25 / 2.25]),
    ):
        images, labels = collect(inputs.classifier_batches(data, weights=weights, balanced=balanced, **options))
        drawn = indices(images)
        np.testing.assert_array_equal(labels, data.labels[drawn])
        share = np.bincount(drawn, minlength=5) / len(drawn)
        np.testing.assert_allclose(share, expected, atol=4 * np.sqrt(0.25 / len(drawn)))
    for wrong in (np.ones(4), np.array([1, 1, 1, 1, 0.0])):
        with pytest.raises(ValueError, match="weights must be 5 numbers above 0"):
            inputs.classifier_batches(data, weights=wrong, **options)


def test_balanced_draws_every_class_and_every_image_of_it_equally():
    labels = [0] * 90 + [2] * 8 + [5] * 2
    data = image_set(100, labels=labels)
    images, drawn = collect(inputs.conditional_batches(data, batch=100, start=0, steps=60, seed=3, balanced=True))
    index = indices(images)
    np.testing.assert_array_equal(drawn, data.labels[index])
    for label in (0, 2, 5):  # 2,000 each, standard deviation 37
        assert abs((drawn == label).sum() - 2000) < 4.5 * 37
    of_two = np.bincount(index, minlength=100)[90:98]  # 250 each, standard deviation 15.5
    assert np.abs(of_two - 250).max() < 4.5 * 15.5


@pytest.mark.parametrize(("n_x", "n_y"), [(6, 20), (20, 6)])
def test_unpaired_epochs(n_x, n_y):
    """X in rounds of its shuffle, the epoch as long as the larger domain; Y uniform with replacement."""
    x, y = image_set(n_x), image_set(n_y, seed=1)
    batches = collect(inputs.unpaired_batches(x, y, size=8, batch=4, start=0, steps=500, seed=3, flip=False))
    x_index, y_index = (indices(part) for part in batches)
    epochs = x_index.reshape(100, 20)
    for epoch in epochs:
        for position in range(0, 20, n_x):
            part = epoch[position : position + n_x]
            assert len(set(part)) == len(part)
            np.testing.assert_array_equal(part, epoch[: len(part)])
    assert len({tuple(epoch) for epoch in epochs}) > 90
    # Y: repeats within an epoch, 2,000 draws uniform over n_y.
    assert any(len(set(epoch)) < min(n_y, 20) for epoch in y_index.reshape(100, 20))
    expected, deviation = 2000 / n_y, np.sqrt(2000 / n_y * (1 - 1 / n_y))
    assert np.abs(np.bincount(y_index, minlength=n_y) - expected).max() < 4.5 * deviation


def test_x_and_y_are_flipped_independently():
    x = image_set(1)
    a, b = collect(inputs.unpaired_batches(x, x, size=8, batch=200, start=0, steps=1, seed=3))
    equal = np.abs(a - b).max(axis=(1, 2, 3)) < 1e-6
    assert 70 < equal.sum() < 130


def test_the_crop_is_a_window_of_the_enlarged_image():
    x = image_set(2, size=32)
    batch = inputs.unpaired_batches(x, x, size=32, batch=60, start=0, steps=1, seed=3, flip=False, crop=True)
    crops, _ = collect(batch)
    unit = x.images.astype(np.float32) / 127.5 - 1
    enlarged = np.clip(tf.image.resize(unit, [36, 36], method="bicubic", antialias=True).numpy(), -1, 1)  # 35.75 -> 36
    places = set()
    for crop in crops:
        found = [
            (i, top, left)
            for i in range(2)
            for top in range(5)
            for left in range(5)
            if np.abs(enlarged[i, top : top + 32, left : left + 32] - crop).max() < 1e-5
        ]
        assert len(found) == 1
        places.add(found[0][1:])
    assert {top for top, _ in places} == {left for _, left in places} == set(range(5))


def test_images_of_another_size_are_resized():
    x = image_set(3, size=16)
    a, b = collect(inputs.unpaired_batches(x, image_set(3, size=32), size=32, batch=3, start=0, steps=1, seed=3))
    assert a.shape == b.shape == (3, 32, 32, 3)
    assert a.min() >= -1
    assert a.max() <= 1


def test_empty_sets_are_the_users_mistake():
    empty = image_set(3).take([])
    with pytest.raises(UsageError, match="no images"):
        inputs.conditional_batches(empty, batch=1, start=0, steps=1, seed=0)
    with pytest.raises(UsageError, match="domain Y"):
        inputs.unpaired_batches(image_set(3), empty, size=8, batch=1, start=0, steps=1, seed=0)


def affine(images: np.ndarray, **options) -> np.ndarray:
    data = ImageSet(
        images, np.zeros(len(images), np.int32), tuple(map(str, range(len(images)))), ("real",) * len(images)
    )
    found, _ = collect(
        inputs.classifier_batches(
            data, batch=len(images), start=0, steps=1, seed=4, flips=False, rotations=False, **options
        )
    )
    return (found + 1) * 127.5


def test_rotation_moves_a_mark_along_its_circle():
    images = np.full((64, 41, 41, 3), 100, np.uint8)
    images[:, 19:22, 34:37] = 255  # 15 pixels right of the middle
    angles = []
    for image in affine(images, angle=30.0):
        rows, columns = np.nonzero(image[..., 0] > 200)
        y, x = rows.mean() - 20, columns.mean() - 20
        assert np.hypot(x, y) == pytest.approx(15, abs=0.7)
        angles.append(np.degrees(np.arctan2(y, x)))
    assert -31 < min(angles) < -24
    assert 24 < max(angles) < 31
    assert len({round(angle, 1) for angle in angles}) > 30


def test_zoom_shows_a_part_of_the_picture_enlarged():
    ramp = np.tile(np.arange(0, 200, 5, dtype=np.uint8)[None, :, None], (64, 40, 1, 3))
    found = affine(ramp, zoom=0.5)[:, 20, :, 0]
    slopes = (found[:, -1] - found[:, 0]) / 39
    assert slopes.min() == pytest.approx(5 / 1.5, abs=0.15)
    assert slopes.max() == pytest.approx(5, abs=0.15)
    assert found.min() >= -0.5  # nothing from outside comes in
    assert found.max() <= 195.5
    starts = found[:, 0]
    assert starts.max() > 20  # not always about the middle, nor about a corner
    assert starts.min() < 3
