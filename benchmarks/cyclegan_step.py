"""CycleGAN's training step against PyTorch's on the same processor.

    python -m benchmarks.cyclegan_step --size 256 [--form plain] [--rounds 7]

256 px: 9 blocks, 64 filters, batch 1 (Zhu et al.'s networks). 64 px: 6 blocks, 32 filters, batch 4. Identity loss and
pools are on in both. Ours and PyTorch's (NCHW, channels_last, torch.compile where it runs), each a live process, take
steps in turn: both generators, the pools and both discriminators, with Adam, on one batch in memory. Needs the extra
`bench` and an idle machine: PyTorch's threads wait for each other busily, and crawl where something else runs. Run with
each `--form` it is what the rule of `lesiongan.models.cyclegan.fast.forms` rests on. The last line is our throughput
over the best PyTorch variant's.
"""

from __future__ import annotations

import argparse

import numpy as np

from benchmarks.live import add_options, against_torch

#: Size -> blocks, filters of both networks, batch. 32 px says nothing of speed: a trial of the benchmark.
CASES = {256: (9, 64, 1), 64: (6, 32, 4), 32: (1, 4, 1)}


def prepare(argument: dict):
    """Ours: `size`, `blocks`, `ngf`, `ndf`, `batch`, `form`; the identity loss is on."""
    import tensorflow as tf

    from lesiongan.config.cyclegan import CycleGANConfig
    from lesiongan.models.cyclegan.fast import forms
    from lesiongan.models.cyclegan.model import CycleGAN

    size, batch = argument["size"], argument["batch"]
    networks = {"blocks": argument["blocks"], "filters": argument["ngf"], "discriminator_filters": argument["ndf"]}
    form = forms.choose(size) if argument["form"] == "auto" else argument["form"]
    model = CycleGAN(CycleGANConfig(size=size, batch=batch, identity=0.5, **networks), steps=1000, form=form)
    rng = np.random.default_rng(0)
    x, y = tf.unstack(tf.constant(rng.uniform(-1, 1, (2, batch, size, size, 3)), tf.float32))
    train = tf.function(model.train_step, autograph=False, jit_compile=False)

    def step() -> float:
        return float(sum(float(loss) for loss in train((x, y)).values()))

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, choices=CASES, default=256, help="pixels (default: %(default)s)")
    parser.add_argument("--form", default="auto", help="auto (the rule's choice), plain, subpixel or fast")
    add_options(parser)
    arguments = parser.parse_args()
    size, (blocks, filters, batch) = arguments.size, CASES[arguments.size]
    print(f"CycleGAN, {size} px, {blocks} blocks, {filters} filters, batch {batch}, identity loss on", flush=True)
    case = {"size": size, "blocks": blocks, "ngf": filters, "ndf": filters, "batch": batch, "form": arguments.form}
    print(f"ratio {against_torch('benchmarks.cyclegan_step', 'benchmarks.torch_cyclegan', case, arguments):.2f}")


if __name__ == "__main__":
    main()
