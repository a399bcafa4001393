"""CycleGAN's training step against PyTorch's on the same processor.

    python -m benchmarks.cyclegan_step [--recipe paper|best] [--size 256|64] [--form plain]
        [--precision float32|mixed_bfloat16] [--rounds 7] [--quick]

`paper`, 256 px: 9 blocks, 64 filters, batch 1 (Zhu et al.'s networks); 64 px: 6 blocks, 32 filters, batch 4; identity
loss and pools are on in both. `best`: recipe `best` as preset `small` has it, 64 px with batch 16, 256 px with batch 2,
with its augmentation and moving average on both sides; PyTorch's networks are written as a person writes them
(`benchmarks.torch_cyclegan_best`), and tests/models/test_best_parity.py says that both compute the same.
Ours and PyTorch's (NCHW, channels_last, torch.compile where it runs), each a live process, take steps in turn: both
generators, the pools and both discriminators, with Adam, on one batch in memory. With `--precision mixed_bfloat16` both
do so in both precisions, PyTorch by its autocast. Needs the extra `bench` (and `imagenet` for `best`) and an idle
machine: PyTorch's threads wait for each other busily, and crawl where something else runs. Run with each `--form` it is
what the rule of `lesiongan.models.cyclegan.fast.forms` rests on. The last line is our throughput over the best PyTorch
variant's.
"""

from __future__ import annotations

import argparse
import dataclasses

import numpy as np

from benchmarks import quick
from benchmarks.live import QUICK, add_options, against_torch
from lesiongan.config.cyclegan import CycleGANConfig

#: Recipe -> size -> blocks, filters (of `paper`'s discriminators too), batch. 32 px says nothing of speed: a trial of
#: the benchmark.
CASES = {
    "paper": {256: (9, 64, 1), 64: (6, 32, 4), 32: (1, 4, 1)},
    "best": {256: (3, 24, 2), 64: (3, 24, 16), 32: (1, 4, 2)},
}
THEIRS = {"paper": "benchmarks.torch_cyclegan", "best": "benchmarks.torch_cyclegan_best"}


def options(recipe: str, **changes) -> CycleGANConfig:
    """Of a recipe, with those of the case."""
    from pipelines.presets import small

    if recipe == "paper":
        return CycleGANConfig(identity=0.5, discriminator_filters=changes["filters"], **changes)
    return dataclasses.replace(small("best").cyclegan, **changes)


def prepare(argument: dict):
    """Ours: `recipe`, `size`, `blocks`, `filters`, `batch`, `precision`, `form`; all other options are the recipe's,
    but for the identity loss, which is on in `paper`."""
    import tensorflow as tf

    from lesiongan.models.cyclegan.model import CycleGAN

    size, batch = argument["size"], argument["batch"]
    given = {name: argument[name] for name in ("recipe", "size", "blocks", "filters", "batch", "precision")}
    form = "" if argument["form"] == "auto" else argument["form"]
    model = CycleGAN(options(**given), steps=1000, form=form)
    rng = np.random.default_rng(0)
    x, y = tf.unstack(tf.constant(rng.uniform(-1, 1, (2, batch, size, size, 3)), tf.float32))
    train = tf.function(model.train_step, autograph=False, jit_compile=False)

    def step() -> float:
        return float(sum(float(loss) for loss in train((x, y)).values()))

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", choices=CASES, default="paper", help="(default: %(default)s)")
    sizes = CASES["paper"]
    parser.add_argument("--size", type=int, choices=sizes, default=256, help="pixels (default: %(default)s)")
    parser.add_argument("--form", default="auto", help="auto (the rule's choice), plain, subpixel or fast")
    add_options(parser)
    takes = "5 minutes (64 px: 2), twice that with --precision mixed_bfloat16"
    arguments = quick.parse(parser, takes, size=64, **QUICK)
    recipe, size = arguments.recipe, arguments.size
    blocks, filters, batch = CASES[recipe][size]
    print(f"CycleGAN, recipe {recipe}, {size} px, {blocks} blocks, {filters} filters, batch {batch}", flush=True)
    case = {"recipe": recipe, "size": size, "blocks": blocks, "filters": filters, "batch": batch}
    case |= {"form": arguments.form, "look_size": options(recipe, size=size, filters=filters).look_size}
    ratio = against_torch("benchmarks.cyclegan_step", THEIRS[recipe], case, arguments)
    quick.last_line(arguments, f"ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
