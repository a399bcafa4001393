"""Input pipelines: batches of augmented images as pure functions of (seed, step).

Every training example has a number, its position in the endless stream of examples: step * batch + its place in the
batch. Which image it is and how it is augmented follows from the seed and that number alone, through a counter-based
generator (no state), so that a training resumed at step k sees what an uninterrupted one would have seen, and an image
is augmented anew in every epoch. Images stay in memory as uint8; whole batches are gathered and augmented at once.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from lesiongan.base.errors import UsageError
from lesiongan.data.hashed_random import derive, in_range, integers, permutation, uniform
from lesiongan.data.image_set import ImageSet

# Streams of random numbers: one per independent use, part of each draw's key.
_ORDER, _DRAW, _PARTNER, _FLIP_X, _FLIP_Y, _TURN, _TOP, _LEFT, _BRIGHTNESS, _CONTRAST, _SATURATION = range(11)
_ANGLE, _ZOOM, _ACROSS, _DOWN = range(11, 15)

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def classifier_batches(
    data: ImageSet,
    *,
    batch: int,
    start: int,
    steps: int,
    seed: int,
    flips: bool,
    rotations: bool,
    angle: float = 0.0,
    zoom: float = 0.0,
    colour: float = 0.0,
    balanced: bool = False,
    weights: np.ndarray | None = None,
) -> tf.data.Dataset:
    """Batches `start` to `steps` - 1 of labelled images for a classifier's training.

    Args:
        data: the training images.
        batch: images per batch; batches run across the borders of epochs, so that all have this size.
        start, steps: the first step and the step to stop before.
        seed: decides order and augmentation.
        flips: mirror at random along both axes.
        rotations: rotate by a random number of quarter turns.
        angle: rotate by up to as many degrees, the corners filled by reflection; 0 for none.
        zoom: enlarge by up to this share, about a random point, without showing what is outside the image; 0 for none.
        colour: strength in [0, 1] of random brightness, contrast and saturation; 0 for none.
        balanced: draw every class with the same probability (with replacement); otherwise each epoch is a permutation
            of the images.
        weights: `[n]`, above 0: draw each image with a probability in proportion (with replacement), within its class
            where `balanced`.

    Returns:
        A dataset of (images float32 `[batch, size, size, 3]` in [-1, 1], labels int32 `[batch]`).

    Raises:
        UsageError: the set is empty.
    """
    pixels, labels, choose = _labelled(data, seed, balanced, weights)

    def make(step):
        examples = _examples(step, batch)
        index = choose(examples)
        symmetry = _symmetry(examples, seed, left_right=flips, up_down=flips, turns=rotations)
        chosen = pixels.take(index, symmetry)
        if angle or zoom:
            chosen = _affine(chosen, examples, seed, angle, zoom)
        if colour:
            chosen = _colour(chosen, examples, seed, colour)
        return chosen, tf.gather(labels, index)

    return _dataset(make, start, steps)


def conditional_batches(
    data: ImageSet,
    *,
    batch: int,
    start: int,
    steps: int,
    seed: int,
    flip: bool = True,
    balanced: bool = False,
    stratified: bool = False,
) -> tf.data.Dataset:
    """Batches of labelled images for a class-conditional GAN; mirrored left-right at random if `flip`.

    Arguments, form and order are those of `classifier_batches`. With `stratified` the classes that have images take
    turns, so that each batch holds as many of one as of another (one more or less where the batch is no multiple).
    """
    pixels, labels, choose = _labelled(data, seed, balanced)
    if stratified:
        choose = _in_turn(data.labels, seed)

    def make(step):
        examples = _examples(step, batch)
        index = choose(examples)
        return pixels.take(index, _symmetry(examples, seed, left_right=flip)), tf.gather(labels, index)

    return _dataset(make, start, steps)


def unpaired_batches(
    x: ImageSet,
    y: ImageSet,
    *,
    size: int,
    batch: int,
    start: int,
    steps: int,
    seed: int,
    flip: bool = True,
    crop: bool = False,
    x_weights: np.ndarray | None = None,
) -> tf.data.Dataset:
    """Batches `start` to `steps` - 1 of the two domains of a CycleGAN.

    An epoch is max(size of X, size of Y) examples. Within it X goes round in order of the epoch's shuffle, modulo its
    size, and Y is drawn uniformly with replacement, even where it is the larger (junyanz: data/unaligned_dataset.py).

    Args:
        x, y: the domains; images of another size than asked for are resized (bicubic, antialiased).
        size: pixels of the images in the batches.
        batch: images of each domain per batch.
        start, steps: the first step and the step to stop before.
        seed: decides order and augmentation.
        flip: mirror left-right at random.
        crop: resize to size * 286 / 256 and crop at random to `size`.
        x_weights: `[n]`, 0 or more: draw each image of X with a probability in proportion, with replacement.

    Returns:
        A dataset of (x, y), each float32 `[batch, size, size, 3]` in [-1, 1].

    Raises:
        UsageError: a domain is empty.
    """
    for name, domain in (("X", x), ("Y", y)):
        if not len(domain):
            raise UsageError(f"domain {name} of the CycleGAN holds no images; check the classes and the filter's alpha")
    n_x, n_y = len(x), len(y)
    epoch_length = max(n_x, n_y)
    x_pixels, y_pixels = _Pixels(x.images), _Pixels(y.images)
    seed_x, seed_y = derive(seed, 0), derive(seed, 1)  # so that x and y are augmented independently
    resized = round(size * 286 / 256) if crop else size
    ends = None if x_weights is None else _ends(np.asarray(x_weights, np.float64))

    def take(pixels, index, examples, seed):
        images = _resize(pixels.take(index, _symmetry(examples, seed, left_right=flip)), resized)
        return _random_crop(images, examples, seed, size) if crop else images

    def make(step):
        examples = _examples(step, batch)
        if ends is None:
            x_index = permutation((examples % epoch_length) % n_x, examples // epoch_length, n_x, seed, _ORDER)
        else:
            x_index = _drawn(ends, seed, examples)
        y_index = integers(seed, _PARTNER, examples, n_y)
        return take(x_pixels, x_index, examples, seed_x), take(y_pixels, y_index, examples, seed_y)

    return _dataset(make, start, steps)


def _dataset(make, start: int, steps: int) -> tf.data.Dataset:
    # Two batches in the making keep ahead of a training step without taking its cores.
    make = tf.autograph.experimental.do_not_convert(make)  # it has nothing to convert, and looking for it takes seconds
    return tf.data.Dataset.range(start, steps).map(make, num_parallel_calls=2, deterministic=True).prefetch(2)


def _labelled(data: ImageSet, seed: int, balanced: bool, weights: np.ndarray | None = None):
    """The images and the labels in memory, and the function from example numbers to indices."""
    n = len(data)
    if not n:
        raise UsageError("there are no images to train on; check the split and the classes of the Examples")
    pixels, labels = _Pixels(data.images), tf.constant(data.labels, tf.int32)
    if not balanced and weights is None:
        return pixels, labels, lambda examples: permutation(examples % n, examples // n, n, seed, _ORDER)
    shares = np.ones(n) if weights is None else np.asarray(weights, np.float64)
    if shares.shape != (n,) or not (shares > 0).all():
        raise ValueError(f"weights must be {n} numbers above 0, got shape {shares.shape}")
    if balanced:
        shares = shares / np.bincount(data.labels, shares)[data.labels]
    ends = _ends(shares)
    return pixels, labels, lambda examples: _drawn(ends, seed, examples)


def _ends(shares: np.ndarray) -> tf.Tensor:
    """Where each image's part of [0, 1) ends, float64 `[n]`."""
    return tf.constant(np.cumsum(shares) / shares.sum())


def _drawn(ends: tf.Tensor, seed: int, examples: tf.Tensor) -> tf.Tensor:
    """Indices of images, drawn with replacement by their shares."""
    index = tf.searchsorted(ends, uniform(seed, _DRAW, examples), side="right", out_type=tf.int64)
    return tf.minimum(index, ends.shape[0] - 1)  # the last end may be rounded to less than 1


def _in_turn(labels: np.ndarray, seed: int):
    """The function from example numbers to indices where the classes take turns and each draws with replacement."""
    order = np.argsort(labels, kind="stable")
    counts = np.bincount(labels)
    present = np.flatnonzero(counts)
    first = tf.constant((np.cumsum(counts) - counts)[present], tf.int64)
    sizes, order = tf.constant(counts[present], tf.int64), tf.constant(order, tf.int64)

    def choose(examples):
        turn = examples % len(present)
        within = integers(seed, _DRAW, examples, tf.gather(sizes, turn))
        return tf.gather(order, tf.gather(first, turn) + within)

    return choose


def _examples(step: tf.Tensor, batch: int) -> tf.Tensor:
    """The numbers of a batch's examples in the stream, int64 `[batch]`."""
    return step * batch + tf.range(batch, dtype=tf.int64)


def _to_unit(images: tf.Tensor) -> tf.Tensor:
    """uint8 0 to 255 -> float32 [-1, 1], as `image_set.to_unit`."""
    return tf.cast(images, tf.float32) / 127.5 - 1.0


class _Pixels:
    """Images in memory, from which a batch is gathered and turned or mirrored in one op.

    A symmetry of the square is a number: 0 to 3 are the quarter turns counter-clockwise, 4 to 7 the same after
    mirroring left and right. Reversed slices and `tf.where` took four times as long.
    """

    def __init__(self, images: np.ndarray):
        self.size = images.shape[1]
        self.pixels = tf.reshape(tf.constant(images), [-1, images.shape[-1]])
        places = np.arange(self.size**2).reshape(self.size, self.size)
        symmetries = [np.rot90(m, turns).ravel() for m in (places, places[:, ::-1]) for turns in range(4)]
        self.taken_from = tf.constant(np.stack(symmetries), tf.int64)  # [symmetry, place] -> where its pixel comes from

    def take(self, index: tf.Tensor, symmetry: tf.Tensor) -> tf.Tensor:
        """The images at `index`, each under its symmetry; float32 `[batch, size, size, 3]` in [-1, 1]."""
        places = index[:, None] * self.size**2 + tf.gather(self.taken_from, symmetry)
        images = tf.gather(self.pixels, places)
        return _to_unit(tf.reshape(images, [index.shape[0], self.size, self.size, images.shape[-1]]))


def _symmetry(examples, seed: int, *, left_right=False, up_down=False, turns=False) -> tf.Tensor:
    """A random symmetry for each example, int64 `[batch]`."""
    mirrored = integers(seed, _FLIP_X, examples, 2 if left_right else 1)
    turned = integers(seed, _TURN, examples, 4 if turns else 1)
    if up_down:  # up-down is left-right and half a turn
        upside_down = integers(seed, _FLIP_Y, examples, 2)
        mirrored, turned = (mirrored + upside_down) % 2, turned + 2 * upside_down
    return 4 * mirrored + turned % 4


def _affine(images, examples, seed: int, angle: float, zoom: float) -> tf.Tensor:
    """Rotation and enlargement at random, bilinear."""

    def draw(stream, low, high):
        return tf.reshape(in_range(seed, stream, examples, low, high), [-1])

    turn = draw(_ANGLE, -angle, angle) * (np.pi / 180.0)
    scale = 1.0 / draw(_ZOOM, 1.0, 1.0 + zoom)  # input pixels per output pixel
    middle = (images.shape[1] - 1) / 2
    room = middle * (1.0 - scale)
    x, y = middle + room * draw(_ACROSS, -1.0, 1.0), middle + room * draw(_DOWN, -1.0, 1.0)
    along, across = scale * tf.cos(turn), scale * tf.sin(turn)
    zero = tf.zeros_like(turn)
    # the output's pixel (u, v) is the input's (x, y) + rotation (u - middle, v - middle)
    rows = [along, -across, x - middle * (along - across), across, along, y - middle * (across + along), zero, zero]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack(rows, 1),
        output_shape=tf.constant(images.shape[1:3].as_list(), tf.int32),
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )


def _colour(images, examples, seed: int, strength: float) -> tf.Tensor:
    """Brightness shifted, contrast (about the image's mean) and saturation (about grey) scaled; clipped to [-1, 1]."""
    images += in_range(seed, _BRIGHTNESS, examples, -strength, strength)
    mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
    images = mean + (images - mean) * in_range(seed, _CONTRAST, examples, 1 - strength, 1 + strength)
    grey = tf.reduce_sum(images * tf.constant(_LUMA), axis=-1, keepdims=True)
    images = grey + (images - grey) * in_range(seed, _SATURATION, examples, 1 - strength, 1 + strength)
    return tf.clip_by_value(images, -1.0, 1.0)


def _resize(images: tf.Tensor, size: int) -> tf.Tensor:
    """Bicubic with antialiasing; clipped, since bicubic overshoots."""
    if images.shape[1] == size and images.shape[2] == size:
        return images
    return tf.clip_by_value(tf.image.resize(images, [size, size], method="bicubic", antialias=True), -1.0, 1.0)


def _random_crop(images, examples, seed: int, size: int) -> tf.Tensor:
    """A square of `size` pixels from each image, at a place of its own."""
    places = images.shape[1] - size + 1
    offsets = tf.range(size, dtype=tf.int64)
    rows = integers(seed, _TOP, examples, places)[:, None] + offsets
    columns = integers(seed, _LEFT, examples, places)[:, None] + offsets
    return tf.gather(tf.gather(images, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)
