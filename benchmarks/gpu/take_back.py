"""Exports a generator that was trained on the device as a model of this project.

    python -m benchmarks.gpu.take_back FILE.npz EXAMPLES OUT

FILE is what `screening` kept of a plan's entry, named MODEL-NAME-SEED.npz. OUT becomes the folder of the exported
model, as a training writes it; its record says what it was trained by.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import lesiongan  # noqa: F401 - before TensorFlow
from benchmarks.variations import RECIPES
from lesiongan.config.reader import assign
from lesiongan.config.run import Config
from lesiongan.data import examples
from lesiongan.models.acgan.model import ACGAN
from lesiongan.models.cyclegan.model import CycleGAN
from lesiongan.models.cyclegan.served_generator import served_generator
from lesiongan.serving import saved_models


def fill(network, arrays: dict[str, np.ndarray], moving: dict[str, np.ndarray]) -> None:
    """Sets the weights of a `Network`, by the names of `parity.weights_of`."""
    for key, kernel in network.kernels.items():
        kernel.assign(arrays[key])
    for key, bias in network.biases.items():
        bias.assign(arrays[f"{key}_bias"])
    if moving:
        norms = network.norms
        for part in ("scale", "offset"):
            getattr(norms, part).assign(np.concatenate([arrays[f"{key}/{part}"] for key in norms.widths], -1))
        for number, variable in enumerate((norms.moving_mean, norms.moving_variance)):
            variable.assign(np.concatenate([moving[f"{key}|{number}"] for key in norms.widths]))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("file", type=Path)
    arguments.add_argument("examples")
    arguments.add_argument("out", type=Path)
    options = arguments.parse_args()
    kind = options.file.name.partition("-")[0]
    arrays = {key: value.astype(np.float32) for key, value in np.load(options.file).items()}
    weights = {key.partition("|")[2]: value for key, value in arrays.items() if key.startswith("average|")}
    moving = {key.partition("|")[2]: value for key, value in arrays.items() if key.startswith("moving|")}
    taxonomy = examples.taxonomy(options.examples)
    config = getattr(assign(Config(), *RECIPES[kind].split()), kind)
    model = ACGAN(config, len(taxonomy.classes)) if kind == "acgan" else CycleGAN(config)
    fill(model.exported, weights, moving)
    details = {"trained_by": "benchmarks.gpu", "source": "NV", "target": "MEL"}
    saved_models.export(
        model if kind == "acgan" else served_generator(model.exported),
        options.out / "model" / kind,
        kind=kind,
        size=config.size,
        taxonomy=taxonomy,
        details=details,
    )
    print(f"{options.out}: {kind}")


if __name__ == "__main__":
    main()
