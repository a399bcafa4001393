"""CycleGAN's generators from state dicts of the authors' PyTorch code (pytorch-CycleGAN-and-pix2pix,
models/networks.py).

It takes their default networks of CycleGAN: `--netG resnet_*blocks` with or without dropout, `--norm instance`. Biases
before norms are dropped: the norm subtracts them again. Dropout does nothing in a translation.

TensorFlow is imported only after a file has passed the checks, so that a wrong one is refused at once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lesiongan.base.errors import UsageError
from lesiongan.base.files import digest_directory
from lesiongan.config.cyclegan import LEAST_SIZE
from lesiongan.models.pth import read_state_dict

if TYPE_CHECKING:
    from lesiongan.models.cyclegan.networks import ResNetGenerator

_WRAPPED = re.compile(r"^(?:(?:module|_orig_mod)\.)+")  # by DataParallel and torch.compile
_BLOCK = re.compile(r"^model\.(\d+)\.conv_block\.(\d+)\.")
_STATISTICS = (".running_mean", ".running_var", ".num_batches_tracked")
_FIRST_BLOCK = 10  # after the stem and two more convolutions, each with its norm and ReLU

_Shapes = dict[str, tuple[int, ...]]


def import_generator(path: str | os.PathLike, size: int) -> tuple[ResNetGenerator, dict]:
    """A generator with the weights of a file such as `latest_net_G_A.pth` (X -> Y) or `latest_net_G_B.pth` (Y -> X).

    Args:
        path: a file of `torch.save`; nothing in it is executed.
        size: pixels of the images that it will translate, which the file does not say.

    Returns:
        The generator, and what is known of it: `filters`, `blocks`, `dropout` (in its training), `file`, `digest`.

    Raises:
        UsageError: an impossible size, not a file of PyTorch's, or of another network.
    """
    if size < LEAST_SIZE or size % 4:
        raise UsageError(f"size {size}: it must be a multiple of 4 and at least {LEAST_SIZE} pixels")
    weights, facts = generator_weights(read_state_dict(path), str(path))
    from lesiongan.models.cyclegan.networks import ResNetGenerator

    generator = ResNetGenerator(size, filters=facts["filters"], blocks=facts["blocks"])
    generator.set_weights(weights)
    return generator, {**facts, "file": Path(path).name, "digest": digest_directory(path)}


def generator_weights(
    state: Mapping[str, np.ndarray], what: str = "the state dict"
) -> tuple[list[np.ndarray], dict[str, int | bool]]:
    """A generator's state dict as weights in the order of `ResNetGenerator.weights`.

    Args:
        state: arrays by the authors' names.
        what: its name in errors, such as the file's.

    Returns:
        The weights, and `filters`, `blocks`, `dropout`.

    Raises:
        UsageError: another network.
    """
    wanted = "give netG of --netG resnet_9blocks (or another number), --norm instance"
    state = _plain(state, what, wanted)
    n = _filters(state, "model.1.weight", 7, what, wanted)
    inner = sorted({(int(m[1]), int(m[2])) for m in map(_BLOCK.match, state) if m})
    numbers, places = (sorted(set(part)) for part in zip(*inner, strict=True)) if inner else ([], [])
    blocks = len(numbers)
    if numbers != list(range(_FIRST_BLOCK, _FIRST_BLOCK + blocks)) or not blocks or places not in ([1, 5], [1, 6]):
        raise UsageError(f"{what}: its residual blocks are not those of a ResNet generator; {wanted}")
    up = _FIRST_BLOCK + blocks
    convolutions: _Shapes = {"model.1": (n, 3, 7, 7), "model.4": (2 * n, n, 3, 3), "model.7": (4 * n, 2 * n, 3, 3)}
    for number in numbers:
        for place in places:
            convolutions[f"model.{number}.conv_block.{place}"] = (4 * n, 4 * n, 3, 3)
    transposed: _Shapes = {f"model.{up}": (4 * n, 2 * n, 3, 3), f"model.{up + 3}": (2 * n, n, 3, 3)}
    head = f"model.{up + 7}"
    biases = {name: shape[0] for name, shape in convolutions.items()}
    biases |= {name: shape[1] for name, shape in transposed.items()}
    _check(state, {**convolutions, **transposed, head: (3, n, 7, 7)}, {**biases, head: 3}, what, wanted)
    weights = [_kernel(state[f"{name}.weight"]) for name in convolutions]
    # PyTorch keeps a transposed kernel as [in, out, h, w]; ours is [h, w, in, out].
    weights += [state[f"{name}.weight"].transpose(2, 3, 0, 1) for name in transposed]
    weights += [_kernel(state[f"{head}.weight"]), state[f"{head}.bias"]]
    return weights, {"filters": n, "blocks": blocks, "dropout": places == [1, 6]}


def _kernel(weight: np.ndarray) -> np.ndarray:
    """`[out, in, h, w]` to `[h, w, in, out]`."""
    return weight.transpose(2, 3, 1, 0)


def _plain(state: Mapping[str, np.ndarray], what: str, wanted: str) -> dict[str, np.ndarray]:
    """The state dict by the names within the network, without the statistics that instance norms had before PyTorch 0.4
    (the authors' code drops them too)."""
    state = {_WRAPPED.sub("", name): value for name, value in state.items()}
    if any(name.startswith("model.model.") for name in state):
        raise UsageError(f"{what}: a U-Net; {wanted}")
    scales = [name for name, value in state.items() if name.endswith(".weight") and value.ndim == 1]
    if scales:
        raise UsageError(f"{what}: its norms have weights (`{scales[0]}`), as batch norm has; {wanted}")
    return {name: value for name, value in state.items() if not name.endswith(_STATISTICS)}


def _filters(state: Mapping[str, np.ndarray], stem: str, size: int, what: str, wanted: str) -> int:
    """ngf or ndf, by the first convolution."""
    if stem not in state:
        raise UsageError(f"{what}: no tensor `{stem}`; {wanted}")
    shape = state[stem].shape
    if len(shape) != 4 or shape[2:] != (size, size) or not shape[0]:
        raise UsageError(f"{what}: `{stem}` has shape {list(shape)}, not [n, 3, {size}, {size}]; {wanted}")
    if shape[1] != 3:
        raise UsageError(f"{what}: made for images of {shape[1]} channels; only those of 3 (RGB) can be used")
    return shape[0]


def _check(state: Mapping[str, np.ndarray], kernels: _Shapes, biases: dict[str, int], what: str, wanted: str) -> None:
    """Exactly these tensors, of these shapes, all finite."""
    shapes = {f"{name}.weight": shape for name, shape in kernels.items()}
    shapes |= {f"{name}.bias": (count,) for name, count in biases.items()}
    for name, shape in shapes.items():
        if name not in state:
            raise UsageError(f"{what}: no tensor `{name}`; {wanted}")
        if state[name].shape != shape:
            raise UsageError(f"{what}: `{name}` has shape {list(state[name].shape)}, not {list(shape)}; {wanted}")
        if not np.issubdtype(state[name].dtype, np.floating) or not np.isfinite(state[name]).all():
            raise UsageError(f"{what}: `{name}` holds values that are no finite floats; its training went wrong")
    unknown = sorted(set(state) - set(shapes))
    if unknown:
        raise UsageError(f"{what}: a tensor `{unknown[0]}` that the network does not have; {wanted}")
