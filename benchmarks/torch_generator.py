"""PyTorch's side of `benchmarks.generator_serving`: the authors' generator in inference mode."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.torch_cyclegan import ResnetGenerator
from benchmarks.torch_variants import begin, fitted


def prepare(argument: dict):
    """`size`, `blocks`, `ngf`, `batch`, and a variant of PyTorch."""
    begin()
    generator = ResnetGenerator(argument["blocks"], argument["ngf"]).eval()
    for parameter in generator.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.02)
    shape = (argument["batch"], 3, argument["size"], argument["size"])
    images = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32))
    (images,) = fitted(argument, [generator], images)

    def step() -> float:
        with torch.inference_mode():
            return float(generator(images)[0, 0, 0, 0])

    return step
