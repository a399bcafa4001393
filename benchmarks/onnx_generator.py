"""onnxruntime's side of `benchmarks.generator_serving`: our generator as an ONNX file."""

from __future__ import annotations

import os

import numpy as np
import onnxruntime


def prepare(argument: dict):
    """`file`, `size`, `batch`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    session = onnxruntime.InferenceSession(argument["file"], options, providers=["CPUExecutionProvider"])
    shape = (argument["batch"], argument["size"], argument["size"], 3)
    images = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)

    def step() -> float:
        (image,) = session.run(["image"], {"images": images})
        return float(image[0, 0, 0, 0])

    return step
