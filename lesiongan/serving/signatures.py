"""What an exported SavedModel answers to: per kind of model a verb, for bytes of files and for pixels.

| kind | signatures, the first is `serving_default` | inputs | outputs |
|---|---|---|---|
| `acgan` | `generate`, `generate_by_name` | `labels` int32 or `names` string, `seeds` int64, `[n]` | pictures |
| `cyclegan` | `translate_bytes`, `translate` | `images_bytes` string `[n]`, `images` uint8 `[n, h, w, 3]` | pictures |
| | `translate_full_bytes`, `translate_full` | the same | pictures of the same sizes (of bytes `png_bytes` alone) |
| `classifier` | `classify_bytes`, `classify` | the same | `probabilities`, `names` `[n, k]`, `features` |

Pictures are `image`, uint8 `[n, size, size, 3]`, and `png_bytes`, string `[n]`: TensorFlow Serving's REST sends bytes
only where a name ends in `_bytes`. Any n is served by one graph; pictures of any size become squares inside it, as they
did in training. The two that keep the size are those of a generator that takes any. What cannot be answered (no
picture, a label that does not exist) is an `InvalidArgumentError`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from lesiongan.models.cyclegan.full_size import translated_at_full_size
from lesiongan.serving.served_pictures import Squares, function

_PIXELS = tf.TensorSpec([None, None, None, 3], tf.uint8, name="images")
_FILES = tf.TensorSpec([None], tf.string, name="images_bytes")


def encoded(images: tf.Tensor) -> dict[str, tf.Tensor]:
    """Float [-1, 1] images as uint8 and as PNG."""
    pixels = as_bytes(images)
    return {"image": pixels, "png_bytes": tf.map_fn(tf.io.encode_png, pixels, fn_output_signature=tf.string)}


def as_bytes(images: tf.Tensor) -> tf.Tensor:
    """Float [-1, 1] as uint8."""
    return tf.cast(tf.clip_by_value(tf.round((images + 1.0) * 127.5), 0.0, 255.0), tf.uint8)


class ClassifierModule(tf.Module):
    """`predict(images float32 [n, size, size, 3])` in Python, and the signatures of `classifier`."""

    VERB = "predict"

    def __init__(self, model: Any, size: int, resize: str, classes: Sequence[str]):
        super().__init__()
        images = tf.TensorSpec([None, size, size, 3], tf.float32, name="images")
        self.predict = function(lambda images: model.classify(images), images)

        def named(images: tf.Tensor) -> dict[str, tf.Tensor]:
            answer = self.predict(images)
            names = tf.tile(tf.constant([list(classes)]), [tf.shape(images)[0], 1])
            return {**answer, "names": names}

        squares = Squares(size, resize)
        self.classify_bytes = function(lambda images_bytes: named(squares.of_files(images_bytes)), _FILES)
        self.classify = function(lambda images: named(squares.of_pixels(images)), _PIXELS)

    def signatures(self) -> dict[str, Any]:
        return {"classify_bytes": self.classify_bytes, "classify": self.classify}


class CycleGANModule(tf.Module):
    """`translate_squares(images float32 [n, size, size, 3], seeds)` in Python, and the signatures of `cyclegan`."""

    VERB = "translate_squares"

    def __init__(self, model: Any, size: int, resize: str, classes: Sequence[str]):
        super().__init__()
        images = tf.TensorSpec([None, size, size, 3], tf.float32, name="images")
        seeds = tf.TensorSpec([None], tf.int64, name="seeds")
        self.translate_squares = function(lambda images, seeds: model.translate(images, seeds), images, seeds)

        def pictures(images: tf.Tensor) -> dict[str, tf.Tensor]:
            return encoded(self.translate_squares(images, tf.zeros(tf.shape(images)[:1], tf.int64)))

        squares = Squares(size, resize)
        self.translate_bytes = function(lambda images_bytes: pictures(squares.of_files(images_bytes)), _FILES)
        self.translate = function(lambda images: pictures(squares.of_pixels(images)), _PIXELS)
        self.any_size = getattr(model, "any_size", False)
        if self.any_size:
            self._keep_sizes(model, squares)

    def _keep_sizes(self, model: Any, squares: Squares) -> None:
        shape = tf.TensorSpec([None, None, 3], tf.float32)
        # whole numbers `[h, w, 3]` -> [-1, 1] of the same size
        full = function(lambda pixels: translated_at_full_size(model.translate, pixels / 127.5 - 1.0), shape)

        def of_file(data: tf.Tensor) -> tf.Tensor:
            return tf.io.encode_png(as_bytes(full(squares.upright(data))))

        def of_pixels(images: tf.Tensor) -> dict[str, tf.Tensor]:
            pixels = tf.cast(images, tf.float32)
            return encoded(tf.map_fn(full, pixels, fn_output_signature=shape, parallel_iterations=1))

        def of_files(images_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
            made = tf.map_fn(of_file, images_bytes, fn_output_signature=tf.string, parallel_iterations=1)
            return {"png_bytes": made}

        self.translate_full_bytes, self.translate_full = function(of_files, _FILES), function(of_pixels, _PIXELS)

    def signatures(self) -> dict[str, Any]:
        names = ["translate_bytes", "translate"]
        names += ["translate_full_bytes", "translate_full"] if self.any_size else []
        return {name: getattr(self, name) for name in names}


class ACGANModule(tf.Module):
    """`sample(labels, seeds)` in Python, and the signatures of `acgan`."""

    VERB = "sample"

    def __init__(self, model: Any, size: int, resize: str, classes: Sequence[str]):
        super().__init__()
        labels = tf.TensorSpec([None], tf.int32, name="labels")
        names = tf.TensorSpec([None], tf.string, name="names")
        seeds = tf.TensorSpec([None], tf.int64, name="seeds")
        self.sample = function(lambda labels, seeds: model.sample(labels, seeds), labels, seeds)
        noise = tf.TensorSpec([None, model.latent], tf.float32, name="noise")
        self.from_noise = function(lambda labels, noise: {"image": model.from_noise(labels, noise)}, labels, noise)
        made = list(getattr(model, "labels", range(len(classes))))
        known = ", ".join(f"{label} ({classes[label]})" for label in made)

        def generate(labels: tf.Tensor, seeds: tf.Tensor) -> dict[str, tf.Tensor]:
            # a one-hot form of a label that does not exist would be zeros, and the picture plausible
            exists = tf.reduce_any(tf.equal(labels[:, None], tf.constant([made])), 1)
            asserts = [
                tf.debugging.Assert(tf.reduce_all(exists), [f"labels are {known}, got", labels]),
                tf.debugging.assert_equal(tf.shape(labels), tf.shape(seeds), "as many seeds as labels are needed"),
            ]
            with tf.control_dependencies([check for check in asserts if check is not None]):
                return encoded(self.sample(tf.identity(labels), seeds))

        def by_name(names: tf.Tensor, seeds: tf.Tensor) -> dict[str, tf.Tensor]:
            equal = tf.equal(names[:, None], tf.constant([list(classes)]))
            found = tf.reduce_all(tf.reduce_any(equal, 1))
            with tf.control_dependencies([tf.debugging.Assert(found, [f"names are {known}, got", names])]):
                return generate(tf.argmax(tf.cast(equal, tf.int32), 1, tf.int32), seeds)

        self.generate = function(generate, labels, seeds)
        self.generate_by_name = function(by_name, names, seeds)

    def signatures(self) -> dict[str, Any]:
        return {"generate": self.generate, "generate_by_name": self.generate_by_name}


MODULES: dict[str, Callable[..., Any]] = {
    "classifier": ClassifierModule,
    "cyclegan": CycleGANModule,
    "acgan": ACGANModule,
}
