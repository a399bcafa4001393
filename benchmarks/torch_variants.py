"""What PyTorch's variants of a contender differ in: memory layout, torch.compile, bfloat16 by its autocast."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

import torch
from torch import nn


def begin() -> None:
    """All processors that this process may use, and a seed."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.manual_seed(0)


def fitted(argument: Mapping, networks: Iterable[nn.Module], *images: torch.Tensor) -> list[torch.Tensor]:
    """Changes the networks, in place, as `layout`, `precision` and `compile` of a contender's argument say.

    Autocast wraps each network's pass by itself: what it casts is forgotten after it, so that the next pass sees the
    weights that an optimizer has moved.

    Returns:
        The images, `[batch, channels, height, width]`, in the layout.
    """
    channels_last = argument.get("layout") == "channels_last"
    for network in networks:
        if channels_last:
            network.to(memory_format=torch.channels_last)
        if argument.get("precision") == "mixed_bfloat16":
            network.forward = torch.autocast("cpu", torch.bfloat16)(network.forward)
        if argument.get("compile"):
            network.compile()
    return [each.to(memory_format=torch.channels_last) if channels_last else each for each in images]
