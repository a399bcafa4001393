"""PyTorch's side of `benchmarks.generator_serving`: the authors' generator in inference mode."""

from __future__ import annotations

import os

import numpy as np
import torch

from benchmarks.torch_cyclegan import ResnetGenerator


def prepare(argument: dict):
    """`size`, `blocks`, `ngf`, `batch`, `layout` (nchw or channels_last), `compile`."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.manual_seed(0)
    generator = ResnetGenerator(argument["blocks"], argument["ngf"]).eval()
    for parameter in generator.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.02)
    shape = (argument["batch"], 3, argument["size"], argument["size"])
    images = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32))
    if argument.get("layout") == "channels_last":
        generator.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    if argument.get("compile"):
        generator.compile()

    def step() -> float:
        with torch.inference_mode():
            return float(generator(images)[0, 0, 0, 0])

    return step
