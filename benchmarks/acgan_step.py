"""The ACGAN's training step against PyTorch's on the same processor.

    python -m benchmarks.acgan_step --size 128 [--rounds 7]

128 px, batch 32: the paper's networks; 32 px with thin networks is a trial of the benchmark and says nothing of speed.
Ours and PyTorch's (NCHW, channels_last, torch.compile where it runs), each a live process, take steps in turn: noise,
generator, discriminator on real and on generated images in separate passes, with dropout and Adam, then the generator's
own step, on one batch in memory. Needs the extra `bench` and an idle machine: PyTorch's threads wait for each other
busily, and crawl where something else runs. The last line is our throughput over the best PyTorch variant's.
"""

from __future__ import annotations

import argparse

import numpy as np

from benchmarks.live import add_options, against_torch

#: Size -> factor on the filters, batch.
CASES = {128: (1.0, 32), 32: (1 / 16, 4)}


def prepare(argument: dict):
    """Ours: `size`, `width`, `batch`; all options are the paper's."""
    import tensorflow as tf

    from lesiongan.config.acgan import ACGANConfig
    from lesiongan.models.acgan.model import ACGAN

    size, batch = argument["size"], argument["batch"]
    model = ACGAN(ACGANConfig(size=size, batch=batch, width=argument["width"]), 8)
    model.compile()
    rng = np.random.default_rng(0)
    real = tf.constant(rng.uniform(-1, 1, (batch, size, size, 3)), tf.float32)
    labels = tf.constant(rng.integers(0, 8, batch), tf.int32)
    train = tf.function(model.train_step, autograph=False, jit_compile=False)

    def step() -> float:
        return float(sum(float(value) for value in train((real, labels)).values()))

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, choices=CASES, default=128, help="pixels (default: %(default)s)")
    add_options(parser)
    arguments = parser.parse_args()
    size, (width, batch) = arguments.size, CASES[arguments.size]
    print(f"ACGAN, {size} px, {width:g} of the paper's filters, batch {batch}", flush=True)
    case = {"size": size, "width": width, "batch": batch}
    print(f"ratio {against_torch('benchmarks.acgan_step', 'benchmarks.torch_acgan', case, arguments):.2f}")


if __name__ == "__main__":
    main()
