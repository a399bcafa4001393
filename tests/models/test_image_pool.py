"""The image pool against the reference's semantics, played through in NumPy with the same draws."""

import numpy as np
import tensorflow as tf

from lesiongan.models.cyclegan.image_pool import ImagePool


def _image(number):
    return tf.fill((1, 2, 2, 3), float(number))


def _seed(step):
    return tf.constant([7, step], tf.int64)


def test_a_filling_pool_returns_what_comes_in_and_keeps_it():
    pool = ImagePool(3, (2, 2, 3))
    for number in range(3):
        np.testing.assert_array_equal(pool.query(_image(number + 1), _seed(number)), _image(number + 1))
    np.testing.assert_array_equal(pool.buffer[:, 0, 0, 0], [1, 2, 3])
    assert int(pool.count) == 3


def test_a_full_pool_swaps_by_its_draws():
    pool, stored, seen = ImagePool(3, (2, 2, 3)), [], set()
    query = tf.function(pool.query)
    for number in range(1, 60):
        seed = _seed(number)
        (swap,), (slot,) = (draws.numpy() for draws in pool.draw(1, seed))
        if len(stored) < 3:
            stored.append(number)
            expected = number
        elif swap:
            expected, stored[slot] = stored[slot], number
        else:
            expected = number
        seen.add((len(stored) == 3 and expected != number, int(slot)))
        assert float(query(_image(number), seed)[0, 0, 0, 0]) == expected
        np.testing.assert_array_equal(pool.buffer[: len(stored), 0, 0, 0], stored)
    assert {(swapped, slot) for swapped in (True, False) for slot in range(3)} <= seen


def test_the_images_of_a_batch_go_through_one_after_the_other():
    """A batch that is larger than the pool: an image may come back that entered with the same batch."""
    pool, seed = ImagePool(2, (2, 2, 3)), _seed(3)
    swaps, slots = (draws.numpy() for draws in pool.draw(12, seed))
    stored, expected = [], []
    for number in range(12):
        if len(stored) < 2:
            stored.append(number)
            expected.append(number)
        elif swaps[number]:
            expected.append(stored[slots[number]])
            stored[slots[number]] = number
        else:
            expected.append(number)
    images = tf.concat([_image(number) for number in range(12)], 0)
    np.testing.assert_array_equal(pool.query(images, seed)[:, 0, 0, 0], expected)
    np.testing.assert_array_equal(pool.buffer[:, 0, 0, 0], stored)
    assert expected != list(range(12))


def test_draws_are_fair_and_uniform():
    swaps, slots = ImagePool(50, (2, 2, 3)).draw(20_000, _seed(0))
    assert abs(swaps.numpy().mean() - 0.5) < 0.02  # 0.0035 is one standard deviation
    counts = np.bincount(slots.numpy(), minlength=50)
    assert len(counts) == 50
    assert ((counts - 400) ** 2 / 400).sum() < 100  # chi squared, 49 degrees of freedom: p = 2e-5


def test_returned_images_carry_no_gradient():
    pool, images = ImagePool(3, (2, 2, 3)), _image(1)
    with tf.GradientTape() as tape:
        tape.watch(images)
        loss = tf.reduce_sum(pool.query(images, _seed(0)) ** 2)
    assert tape.gradient(loss, images) is None


def test_a_pool_of_no_capacity_returns_what_comes_in_and_has_no_state():
    pool = ImagePool(0, (2, 2, 3))
    np.testing.assert_array_equal(pool.query(_image(5), _seed(0)), _image(5))
    assert pool.state() == []


def test_reset_empties():
    pool = ImagePool(2, (2, 2, 3))
    pool.query(_image(5), _seed(0))
    pool.reset()
    assert int(pool.count) == 0
    assert not pool.buffer.numpy().any()
