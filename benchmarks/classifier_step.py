"""The lesion classifier's training step against PyTorch's on the same processor.

    python -m benchmarks.classifier_step [--precision float32|mixed_bfloat16] [--rounds 7] [--quick]

ResNet50 at 64 px, batch 32, and at 224 px, batch 8; EfficientNet-Lite0 at 96 px, batch 32, beside them. Ours and
PyTorch's (NCHW, channels_last, torch.compile where it runs), each a live process, take steps in turn: forward,
backward and Adam on one batch in memory. With `--precision mixed_bfloat16` both do so in both precisions, PyTorch by
its autocast. Needs the extra `bench`. The last line is the lower of ResNet50's two ratios: our throughput over the best
PyTorch variant.
"""

from __future__ import annotations

import argparse

import numpy as np

from benchmarks import quick
from benchmarks.live import QUICK, add_options, against_torch

CASES = (("efficientnet_lite0", 96, 32), ("resnet50", 64, 32), ("resnet50", 224, 8))


def prepare(argument: dict):
    """Ours: `backbone`, `size`, `batch`, `precision`."""
    import tensorflow as tf

    from lesiongan.config.classifier import ClassifierConfig
    from lesiongan.training.classifier import build_classifier

    size, batch = argument["size"], argument["batch"]
    config = ClassifierConfig(backbone=argument["backbone"], size=size, batch=batch, precision=argument["precision"])
    model = build_classifier(config, 8)
    model.reset(0)
    model.cycle.set(1e-4, 1000)
    rng = np.random.default_rng(0)
    images = tf.constant(rng.uniform(-1, 1, (batch, size, size, 3)).astype(np.float32))
    labels = tf.constant(rng.integers(0, 8, batch), tf.int32)
    train = tf.function(model.train_step, autograph=False, jit_compile=False)

    def step() -> float:
        logs = train((images, labels))
        return float(logs["loss"]) + float(logs["accuracy"])

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_options(parser)
    arguments = quick.parse(parser, "5 minutes, twice that with --precision mixed_bfloat16", **QUICK)
    ratios = {}
    for backbone, size, batch in CASES:
        print(f"{backbone}, {size} px, batch {batch}", flush=True)
        case = {"backbone": backbone, "size": size, "batch": batch}
        ratio = against_torch("benchmarks.classifier_step", "benchmarks.torch_classifier", case, arguments)
        ratios[backbone, size] = ratio
        print(f"  ours over the best of PyTorch: {ratio:.2f}", flush=True)
    lower = min(value for (backbone, _), value in ratios.items() if backbone == "resnet50")
    quick.last_line(arguments, f"ratio {lower:.2f}")


if __name__ == "__main__":
    main()
