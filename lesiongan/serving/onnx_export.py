"""A model as an ONNX file, for runtimes other than TensorFlow.

ONNX has no generator of random numbers that depends on a seed alone: an ACGAN's file takes the noise itself, and seeds
do not repeat across the two. Pictures go in and come out as float32 in [-1, 1], at the model's own size; decoding and
resizing are the caller's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from lesiongan.base.errors import UsageError
from lesiongan.base.files import whole_file
from lesiongan.models.cyclegan.served_generator import PortableGenerator
from lesiongan.serving import saved_models
from lesiongan.serving.trained_generator import trained_generator

_OPSET = 18


def export_onnx(model: Path, file: Path) -> dict[str, list[str]]:
    """Writes a model as ONNX.

    | kind | inputs | outputs |
    |---|---|---|
    | ACGAN | `labels` int32 `[n]`, `noise` float32 `[n, m]`, standard normal | `image` float32 `[n, s, s, 3]` |
    | CycleGAN | `images` float32 `[n, s, s, 3]` | `image` |
    | classifier | `images` | `probabilities` `[n, k]`, `features` |

    Args:
        model: a model's folder or name.
        file: a path that ends in `.onnx`.

    Returns:
        The names of `inputs` and `outputs`.

    Raises:
        UsageError: no such model, one that was exported before it had the function, or tf2onnx is not installed (the
            extra `onnx`).
    """
    try:
        import tf2onnx
    except ImportError as error:
        raise UsageError("ONNX needs a package of its own: pip install 'lesiongan[onnx]'") from error
    served = saved_models.load(model)
    function, specs = _function(served)
    converted, _ = tf2onnx.convert.from_function(function, input_signature=specs, opset=_OPSET)
    with whole_file(file) as stream:
        stream.write(converted.SerializeToString())
    return {
        "inputs": [each.name for each in converted.graph.input],
        "outputs": [each.name for each in converted.graph.output],
    }


def _function(served: saved_models.Served) -> tuple[Any, list[tf.TensorSpec]]:
    """What is converted, and its inputs."""
    if served.record["kind"] == "cyclegan":
        # runtimes know the operations of the portable form
        if served.record.get("any_size"):
            translate = served.translate_squares
        else:
            translate = PortableGenerator(trained_generator(served)).translate
        images = tf.TensorSpec([None, served.size, served.size, 3], tf.float32, name="images")

        def alone(images: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"image": translate(images, tf.zeros(tf.shape(images)[:1], tf.int64))}

        return tf.function(alone, autograph=False), [images]
    function = getattr(served.module, {"acgan": "from_noise", "classifier": "predict"}[served.record["kind"]], None)
    if function is None:
        raise UsageError(f"{served.record['name']}: exported by an earlier version; export the model again")
    return function, list(function.input_signature)
