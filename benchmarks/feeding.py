"""The classifier's input pipeline beside its training step, at 64 px and batch 32 on this machine's processor.

    python -m benchmarks.feeding [--rounds 7] [--images 20000] [--quick]

In turn, in one process: images/s of the pipeline alone with every augmentation on (flips, quarter turns, colour),
images/s of the ResNet50 step on one batch that stays in memory, and of the same step fed by the pipeline. The last line
is the pipeline's rate over the step's; the line before it says what feeding costs a step.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from benchmarks import quick
from benchmarks.interleaved import in_turn, medians

SIZE, BATCH, STEPS = 64, 32, 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--images", type=int, default=20_000)
    arguments = quick.parse(parser, "90 seconds", rounds=2, images=5000)
    import tensorflow as tf

    from lesiongan.config.classifier import ClassifierConfig
    from lesiongan.data.image_set import ImageSet
    from lesiongan.data.inputs import classifier_batches
    from lesiongan.training.classifier import build_classifier

    rng = np.random.default_rng(0)
    n = arguments.images
    data = ImageSet(
        rng.integers(0, 256, (n, SIZE, SIZE, 3), np.uint8),
        rng.integers(0, 8, n).astype(np.int32),
        tuple(map(str, range(n))),
        ("real",) * n,
    )

    def batches(steps: int):
        return iter(
            classifier_batches(data, batch=BATCH, start=0, steps=steps, seed=0, flips=True, rotations=True, colour=0.2)
        )

    model = build_classifier(ClassifierConfig(size=SIZE, batch=BATCH, weights="none"), 8)
    model.reset(0)
    model.cycle.set(1e-4, 10_000)
    step = tf.function(lambda images, labels: model.train_step((images, labels)), autograph=False)
    fixed = next(batches(1))
    for _ in range(2):
        step(*fixed)

    def rate(count: int, run) -> float:
        begin = time.monotonic()
        for _ in range(count):
            run()
        return count * BATCH / (time.monotonic() - begin)

    def pipeline() -> float:
        stream = batches(100_000)
        next(stream)
        return rate(200, lambda: next(stream))

    def fed() -> float:
        stream = batches(100_000)
        next(stream)
        return rate(STEPS, lambda: step(*next(stream))["loss"].numpy())

    print("images/s")
    rates = medians(
        in_turn(
            {"pipeline": pipeline, "step": lambda: rate(STEPS, lambda: step(*fixed)["loss"].numpy()), "fed step": fed},
            arguments.rounds,
        )
    )
    for name, value in rates.items():
        print(f"{name:10s} {value:9.1f} images/s")
    print(f"feeding costs a step {100 * (rates['step'] / rates['fed step'] - 1):.1f} %")
    quick.last_line(arguments, f"ratio {rates['pipeline'] / rates['step']:.2f}")


if __name__ == "__main__":
    main()
