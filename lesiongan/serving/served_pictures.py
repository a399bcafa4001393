"""Encoded pictures made squares inside a served model's graph: what `data.pictures` does, in TensorFlow's operations.

The steps are the same, in the same order, so that a served model sees what it was trained on, to the grey level (a test
asks it of pictures of all kinds): decoded with exact arithmetic, turned upright by EXIF, put on white where it is
transparent, resized by antialiased bicubic interpolation with Pillow's arithmetic. What a graph cannot read (TIFF,
DICOM) and what is refused in training (animations) is refused with an `InvalidArgumentError` that says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

_FORMATS = "JPEG, PNG, BMP, GIF or WebP"
_ANIMATED = "more than one frame (animated)"
_ORIENTATION = 0x0112  # EXIF's tag
#: How the picture of each EXIF orientation becomes upright: transposed, then mirrored up-down, then left-right.
_TURNS = {
    **{1: (False, False, False), 2: (False, False, True), 3: (False, True, True), 4: (False, True, False)},
    **{5: (True, False, False), 6: (True, False, True), 7: (True, True, True), 8: (True, True, False)},
}


class Squares:
    """Pictures as a model's squares, float32 `[n, size, size, 3]` in [-1, 1].

    What a picture goes through is a TensorFlow function of its own: the signatures of a model share it, where each of
    them would have some thousand operations of its own, which take seconds to make, to write and to load.

    Args:
        size: pixels of a side.
        resize: `squash`, `crop` or `pad`, see `data.pictures.decode`.
    """

    def __init__(self, size: int, resize: str = "squash"):
        any_picture = tf.TensorSpec([None, None, 3], tf.float32)
        self._shape = tf.TensorSpec([size, size, 3], tf.float32)
        self.upright = function(upright, tf.TensorSpec([], tf.string))
        self._square = function(lambda pixels: square(pixels, size, resize) / 127.5 - 1.0, any_picture)

    def of_files(self, encoded: tf.Tensor) -> tf.Tensor:
        """Of files as they are, `[n]` strings: JPEG, PNG, BMP, GIF (one frame) or WebP."""
        return tf.map_fn(lambda data: self._square(self.upright(data)), encoded, fn_output_signature=self._shape)

    def of_pixels(self, images: tf.Tensor) -> tf.Tensor:
        """Of uint8 `[n, h, w, 3]`."""
        return tf.map_fn(self._square, tf.cast(images, tf.float32), fn_output_signature=self._shape)


def decoded(encoded: tf.Tensor, size: int, resize: str = "squash") -> tf.Tensor:
    """Files as squares; see `Squares`."""
    return Squares(size, resize).of_files(encoded)


def function(body: Callable, *specs: tf.TensorSpec) -> Any:
    """A TensorFlow function of inputs of these shapes and types."""
    # no Python control flow depends on a tensor, and AutoGraph's conversion took up to 15 s in a step
    return tf.function(body, autograph=False, input_signature=specs)


def upright(data: tf.Tensor) -> tf.Tensor:
    """One encoded picture as RGB, float32 `[height, width, 3]` of whole numbers 0 to 255, turned upright, on white."""
    content = tf.cast(tf.io.decode_raw(data, tf.uint8), tf.int32)
    is_jpeg, is_png = _begins(data, b"\xff\xd8\xff"), _begins(data, b"\x89PNG\r\n\x1a\n")
    is_gif, is_bmp = _begins(data, b"GIF8"), _begins(data, b"BM")
    is_webp = tf.logical_and(_begins(data, b"RIFF"), tf.equal(tf.strings.substr(data, 8, 4), b"WEBP"))

    def jpeg() -> tf.Tensor:
        # the default arithmetic of TensorFlow's decoder is a quicker one, up to several levels off
        return tf.cast(tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE"), tf.float32)

    def png() -> tf.Tensor:
        pixels = tf.cast(tf.io.decode_png(data, channels=4), tf.float32)
        # TensorFlow fills in an opaque alpha of as many bits as the greys have: 1, not 255, in black and white
        bits, colour_type = content[24], content[25]
        is_few_greys = tf.logical_and(tf.equal(colour_type, 0), bits < 8)
        opaque = tf.where(is_few_greys, tf.bitwise.left_shift(1, tf.minimum(bits, 8)) - 1, 255)
        return _on_white(pixels, tf.cast(opaque, tf.float32))

    def gif() -> tf.Tensor:
        return tf.cast(_only_frame(tf.io.decode_gif(data)), tf.float32)

    def bmp() -> tf.Tensor:
        pixels = tf.cast(tf.io.decode_bmp(data), tf.float32)
        return pixels[..., :3] if pixels.shape[-1] else tf.broadcast_to(pixels, [*tf.unstack(tf.shape(pixels)[:2]), 3])

    def webp() -> tf.Tensor:
        # TensorFlow's decoder ends the whole process over an animation: the header's flag is asked first
        is_animated = tf.logical_and(
            tf.equal(tf.strings.substr(data, 12, 4), b"VP8X"), tf.not_equal(tf.bitwise.bitwise_and(content[20], 2), 0)
        )
        with tf.control_dependencies([tf.debugging.Assert(tf.logical_not(is_animated), [_ANIMATED])]):
            # the decoder gives the channels that there are, three or four, and no others
            pixels = tf.cast(_only_frame(tf.io.decode_webp(tf.identity(data))), tf.float32)
        return tf.cond(tf.equal(tf.shape(pixels)[-1], 4), lambda: _on_white(pixels), lambda: pixels[..., :3])

    def other() -> tf.Tensor:
        refused = tf.debugging.Assert(False, [f"not a picture that the served model reads: give {_FORMATS}"])
        with tf.control_dependencies([refused]):
            return tf.zeros([1, 1, 3])

    readers: list[tuple[tf.Tensor, Callable[[], tf.Tensor]]] = [
        (is_jpeg, jpeg), (is_png, png), (is_webp, webp), (is_gif, gif), (is_bmp, bmp),
    ]  # fmt: skip
    pixels = tf.ensure_shape(tf.case(readers, default=other), [None, None, 3])
    start = tf.case(
        [(is_jpeg, lambda: _exif_of_jpeg(content)), (is_png, lambda: _exif_of_png(content)),
         (is_webp, lambda: _exif_of_webp(content))],
        default=lambda: tf.constant(-1),
    )  # fmt: skip
    return _turned(pixels, _orientation(content, start))


def square(pixels: tf.Tensor, size: int, resize: str) -> tf.Tensor:
    """float32 `[height, width, 3]` of whole numbers as float32 `[size, size, 3]` of whole numbers."""
    shape = tf.shape(pixels)
    height, width = shape[0], shape[1]
    if resize == "squash":
        return _resized(pixels, (size, size), (height, width))
    if resize == "crop":
        side = tf.minimum(height, width)
        return _resized(pixels, (size, size), (side, side))
    if resize == "pad":
        scale = size / tf.cast(tf.maximum(height, width), tf.float64)
        # as Python rounds, halves to the even number
        inner = [tf.maximum(1, tf.cast(tf.round(tf.cast(n, tf.float64) * scale), tf.int32)) for n in (height, width)]
        small = _resized(pixels, (inner[0], inner[1]), (height, width))
        before = [(size - n) // 2 for n in inner]
        sides = [[b, size - n - b] for b, n in zip(before, inner, strict=True)]
        return tf.ensure_shape(tf.pad(small, [*sides, [0, 0]]), [size, size, 3])
    raise ValueError(f"resize must be squash, crop or pad, got {resize!r}")


def _resized(pixels: tf.Tensor, target: tuple, taken: tuple) -> tf.Tensor:
    """The central part `taken` (rows, columns) of an image at `target` (rows, columns) pixels."""
    # As `data.pictures`, along the rows first. The axis in hand goes to the front, where whole rows are gathered.
    pixels = tf.cast(tf.transpose(pixels, [1, 0, 2]), tf.int32)
    pixels = tf.transpose(_resized_first(pixels, tf.convert_to_tensor(target[1]), taken[1]), [1, 0, 2])
    pixels = tf.cast(_resized_first(pixels, tf.convert_to_tensor(target[0]), taken[0]), tf.float32)
    return tf.ensure_shape(pixels, [*(n if isinstance(n, int) else None for n in target), 3])


def _resized_first(pixels: tf.Tensor, size: tf.Tensor, taken: tf.Tensor) -> tf.Tensor:
    """The first axis of int32 `[length, other, 3]` by Pillow's own arithmetic (its Resample.c): Keys' cubic with a of
    -0.5, weights as whole multiples of 2^-22, halves rounded up, so that not one grey level differs."""
    length = tf.shape(pixels)[0]
    scale = tf.cast(taken, tf.float64) / tf.cast(size, tf.float64)
    width = tf.maximum(scale, 1.0)
    start = tf.cast(length - taken, tf.float64) / 2.0
    centres = start + (tf.cast(tf.range(size), tf.float64) + 0.5) * scale
    first = tf.maximum(tf.cast(centres - 2.0 * width + 0.5, tf.int32), 0)
    end = tf.minimum(tf.cast(centres + 2.0 * width + 0.5, tf.int32), length)
    taps = 2 * tf.cast(tf.math.ceil(2.0 * width), tf.int32) + 1
    places = first[:, None] + tf.range(taps)

    x = tf.abs((tf.cast(places, tf.float64) - centres[:, None] + 0.5) / width)
    near, far = (1.5 * x - 2.5) * x * x + 1.0, -0.5 * (((x - 5.0) * x + 8.0) * x - 4.0)
    weights = tf.where(x < 1.0, near, tf.where(x < 2.0, far, 0.0))
    weights = tf.where(places < end[:, None], weights, 0.0)
    weights = weights / tf.reduce_sum(weights, axis=1, keepdims=True) * 2.0**22
    whole = tf.cast(weights + tf.where(weights < 0.0, tf.constant(-0.5, tf.float64), 0.5), tf.int32)
    places = tf.minimum(places, length - 1)

    def add(tap: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tap + 1, total + tf.gather(pixels, places[:, tap]) * whole[:, tap][:, None, None]

    shape = tf.stack([size, tf.shape(pixels)[1], 3])
    _, total = tf.while_loop(
        lambda tap, _: tap < taps,
        add,
        (tf.constant(0), tf.fill(shape, 1 << 21)),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, None, None])),
    )
    return tf.clip_by_value(tf.bitwise.right_shift(total, 22), 0, 255)


def _on_white(pixels: tf.Tensor, opaque: tf.Tensor | float = 255.0) -> tf.Tensor:
    colour, alpha = pixels[..., :3], tf.minimum(pixels[..., 3:4] / opaque, 1.0)
    return tf.floor(colour * alpha + 255.0 * (1.0 - alpha) + 0.5)


def _only_frame(frames: tf.Tensor) -> tf.Tensor:
    """`[1, h, w, c]` or `[h, w, c]` without the frames' axis; more than one frame is refused."""
    frames = tf.reshape(frames, tf.concat([[-1], tf.shape(frames)[-3:]], 0))
    single = tf.debugging.Assert(tf.equal(tf.shape(frames)[0], 1), [_ANIMATED])
    with tf.control_dependencies([single]):
        return tf.identity(frames[0])


def _begins(data: tf.Tensor, magic: bytes) -> tf.Tensor:
    return tf.equal(tf.strings.substr(data, 0, len(magic)), magic)


def _turned(pixels: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    transposed, vertical, horizontal = (
        tf.gather([turns[i] for turns in _TURNS.values()], orientation - 1) for i in range(3)
    )
    pixels = tf.cond(transposed, lambda: tf.transpose(pixels, [1, 0, 2]), lambda: pixels)
    pixels = tf.cond(vertical, lambda: tf.reverse(pixels, [0]), lambda: pixels)
    return tf.ensure_shape(tf.cond(horizontal, lambda: tf.reverse(pixels, [1]), lambda: pixels), [None, None, 3])


def _orientation(content: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """The orientation, 1 to 8, of the TIFF header of EXIF at `start` (-1: there is none); 1 for what is malformed."""
    length = tf.shape(content)[0]

    def digits(place: tf.Tensor, count: int) -> tf.Tensor:
        places = place[..., None] + tf.range(count)
        inside = tf.logical_and(places >= 0, places < length)
        return tf.where(inside, tf.gather(content, tf.clip_by_value(places, 0, length - 1)), 0)

    mark = digits(start, 2)
    is_little, is_big = (tf.reduce_all(tf.equal(mark, letter)) for letter in (0x49, 0x4D))

    def number(place: tf.Tensor, count: int) -> tf.Tensor:
        weights = tf.constant([256**i for i in range(count)])
        return tf.reduce_sum(digits(place, count) * tf.where(is_little, weights, weights[::-1]), -1)

    is_tiff = tf.logical_and(tf.logical_or(is_little, is_big), tf.equal(number(start + 2, 2), 42))
    directory = start + number(start + 4, 4)
    entries = tf.where(tf.logical_and(directory > start, directory < length), number(directory, 2), 0)
    # one look at all entries at once: the first that is the orientation
    places = directory + 2 + 12 * tf.range(tf.minimum(entries, 512))
    tags = number(places, 2)
    values = number(places + 8, 2)
    match = tf.logical_and(tf.equal(tags, _ORIENTATION), tf.equal(number(places + 2, 2), 3))
    value = tf.reduce_max(tf.concat([[0], tf.where(match, values, 0)], 0))
    valid = tf.logical_and(tf.logical_and(start >= 0, is_tiff), tf.logical_and(value >= 1, value <= 8))
    return tf.where(valid, value, 1)


def _after_headers(content: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """Where the TIFF header begins: some cameras write `Exif` before it more than once."""
    header = tf.constant(list(b"Exif\0\0"))

    def repeated(place: tf.Tensor) -> tf.Tensor:
        part = content[place : place + 6]
        return tf.cond(
            tf.equal(tf.shape(part)[0], 6), lambda: tf.reduce_all(tf.equal(part, header)), lambda: tf.constant(False)
        )

    return tf.while_loop(repeated, lambda place: (place + 6,), (start,))[0]


def _exif_of_jpeg(content: tf.Tensor) -> tf.Tensor:
    """Where EXIF's TIFF header begins in a JPEG, -1 where there is none: segments are followed to the first scan."""
    length = tf.shape(content)[0]
    header = tf.constant(list(b"Exif\0\0"))

    def more(place: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
        inside = tf.logical_and(tf.less(found, 0), place + 10 < length)
        at = tf.minimum(place, length - 2)
        return tf.logical_and(inside, tf.logical_and(tf.equal(content[at], 0xFF), tf.not_equal(content[at + 1], 0xDA)))

    def follow(place: tf.Tensor, found: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        is_exif = tf.logical_and(
            tf.equal(content[place + 1], 0xE1), tf.reduce_all(tf.equal(content[place + 4 : place + 10], header))
        )
        is_filler = tf.equal(content[place + 1], 0xFF)
        size = tf.where(is_filler, 1, 2 + content[place + 2] * 256 + content[place + 3])
        return place + size, tf.where(is_exif, place + 4, found)

    found = tf.while_loop(more, follow, (tf.constant(2), tf.constant(-1)))[1]
    return tf.cond(found >= 0, lambda: _after_headers(content, found), lambda: found)


def _exif_of_png(content: tf.Tensor) -> tf.Tensor:
    return _chunk(content, 8, b"eXIf", big=True, name_first=False)


def _exif_of_webp(content: tf.Tensor) -> tf.Tensor:
    found = _chunk(content, 12, b"EXIF", big=False, name_first=True)
    return tf.cond(found >= 0, lambda: _after_headers(content, found), lambda: found)


def _chunk(content: tf.Tensor, first: int, name: bytes, *, big: bool, name_first: bool) -> tf.Tensor:
    """Where the content of a chunk begins in a PNG or RIFF file, -1 where there is none of that name."""
    length, wanted = tf.shape(content)[0], tf.constant(list(name))
    trailer = 0 if name_first else 4  # PNG's check sum
    places = [3, 2, 1, 0] if big else [0, 1, 2, 3]

    def follow(place: tf.Tensor, found: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        name_at, size_at = (place, place + 4) if name_first else (place + 4, place)
        size = sum(content[size_at + i] * 256 ** places[i] for i in range(4))
        size = tf.where(size < 0, length, size)
        is_it = tf.reduce_all(tf.equal(content[name_at : name_at + 4], wanted))
        padded = size + size % 2 if name_first else size
        return place + 8 + padded + trailer, tf.where(is_it, place + 8, found)

    def more(place: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
        return tf.logical_and(found < 0, tf.logical_and(place >= 0, place + 8 <= length))

    return tf.while_loop(more, follow, (tf.constant(first), tf.constant(-1)))[1]
