"""The ACGAN's training step against PyTorch's on the same processor.

    python -m benchmarks.acgan_step [--recipe paper|best] [--size N] [--precision float32|mixed_bfloat16] [--rounds 7]
        [--quick]

`paper`: 128 px, batch 32, the paper's networks. `best`: 64 px, batch 32, recipe `best` as preset `small` has it, with
its augmentation, class loss and moving average on both sides; PyTorch's networks are written as a person writes them
(`benchmarks.torch_acgan_best`), and tests/models/test_best_parity.py says that both compute the same. 32 px with thin
networks is a trial of the benchmark and says nothing of speed.
Ours and PyTorch's (NCHW, channels_last, torch.compile where it runs), each a live process, take steps in turn: noise,
generator, discriminator on real and on generated images in separate passes, with Adam, then the generator's own step,
on one batch in memory. With `--precision mixed_bfloat16` both do so in both precisions, PyTorch by its autocast. Needs
the extra `bench` (and `imagenet` for `best`) and an idle machine: PyTorch's threads wait for each other busily, and
crawl where something else runs. The last line is our throughput over the best PyTorch variant's.
"""

from __future__ import annotations

import argparse
import dataclasses

import numpy as np

from benchmarks import quick
from benchmarks.live import QUICK, add_options, against_torch
from lesiongan.config.acgan import ACGANConfig

#: Recipe -> size -> factor on the filters, batch; the first is the default.
CASES = {"paper": {128: (1.0, 32), 32: (1 / 16, 4)}, "best": {64: (1.0, 32), 32: (1 / 8, 8)}}
THEIRS = {"paper": "benchmarks.torch_acgan", "best": "benchmarks.torch_acgan_best"}


def options(recipe: str, **changes) -> ACGANConfig:
    """Of a recipe, with those of the case."""
    from pipelines.presets import small

    return dataclasses.replace(ACGANConfig() if recipe == "paper" else small("best").acgan, **changes)


def prepare(argument: dict):
    """Ours: `recipe`, `size`, `width`, `batch`, `precision`; all other options are the recipe's."""
    import tensorflow as tf

    from lesiongan.models.acgan.model import ACGAN

    size, batch = argument["size"], argument["batch"]
    given = {name: argument[name] for name in ("recipe", "size", "width", "batch", "precision")}
    model = ACGAN(options(**given), 8)
    model.compile()
    real = tf.constant(np.random.default_rng(0).uniform(-1, 1, (batch, size, size, 3)), tf.float32)
    labels = tf.range(batch) % 8
    train = tf.function(model.train_step, autograph=False, jit_compile=False)

    def step() -> float:
        return float(sum(float(value) for value in train((real, labels)).values()))

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", choices=CASES, default="paper", help="(default: %(default)s)")
    parser.add_argument("--size", type=int, help="pixels (default: 128 of paper, 64 of best)")
    add_options(parser)
    arguments = quick.parse(parser, "4 minutes, twice that with --precision mixed_bfloat16", **QUICK)
    recipe, cases = arguments.recipe, CASES[arguments.recipe]
    size = arguments.size or next(iter(cases))
    if size not in cases:
        parser.error(f"--size {size}: recipe {recipe} is compared at {' and '.join(map(str, cases))} px")
    width, batch = cases[size]
    print(f"ACGAN, recipe {recipe}, {size} px, {width:g} of the recipe's filters, batch {batch}", flush=True)
    config = options(recipe, size=size)
    case = {"recipe": recipe, "size": size, "width": width, "batch": batch}
    case |= {"latent": config.latent, "look_size": config.look_size}
    ratio = against_torch("benchmarks.acgan_step", THEIRS[recipe], case, arguments)
    quick.last_line(arguments, f"ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
