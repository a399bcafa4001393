"""One of the processes of a small training; prints what came out as JSON.

    [TF_CONFIG=...] python train_together.py acgan|cyclegan FOLDER IMAGES [--devices N] [--seconds S]

`--devices` logical CPUs share each batch of a process that is alone; `--seconds` are waited for after each step.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from pathlib import Path

import lesiongan  # noqa: F401

sys.path.insert(0, str(Path(__file__).parent))
import numpy as np
import tensorflow as tf

from lesiongan.base.errors import Interrupted, LesionganError
from lesiongan.config.acgan import ACGANConfig
from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.data.image_set import ImageSet
from lesiongan.training.acgan import train_acgan
from lesiongan.training.callbacks import STATS, RecordLosses
from lesiongan.training.cyclegan import train_cyclegan
from lesiongan.training.distribution import joined

ACGAN = ACGANConfig(size=64, width=1 / 16, batch=8, latent=10, dropout=0.5, augment=True, ema=0.9)
CYCLEGAN = CycleGANConfig(
    size=32, blocks=1, filters=4, discriminator_filters=4, batch=4, pool=3, augment=True, ema=0.9, spectral_norm=True
)


def images(count: int, size: int, seed: int) -> ImageSet:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    labels = np.arange(count, dtype=np.int32) % 3
    return ImageSet(pixels, labels, tuple(f"i{k}" for k in range(count)), ("real",) * count)


def train(config, place: Path):
    if isinstance(config, ACGANConfig):
        return train_acgan(config, images(12, 64, 0), num_classes=3, run_dir=place / "run", seed=1)
    return train_cyclegan(config, images(9, 32, 0), images(7, 32, 1), run_dir=place / "run", seed=1)


def found(model, place: Path) -> dict:
    state = [variable.numpy() for variable in model.state()]
    optimizers = (model.generator_optimizer, model.discriminator_optimizer)
    lines = [json.loads(line) for line in (place / "run" / STATS).read_text().splitlines()]
    return {
        "losses": [{key: value for key, value in line.items() if key != "seconds"} for line in lines],
        "moments": [moment.numpy().tolist() for optimizer in optimizers for moment in optimizer._averages],
        "digest": hashlib.sha256(b"".join(array.tobytes() for array in state)).hexdigest(),
    }


def slower(seconds: float) -> None:
    """Every step is followed by a pause, so that a test can kill in between."""
    original = RecordLosses.at_step

    def at_step(self, step, losses):
        original(self, step, losses)
        time.sleep(seconds)

    RecordLosses.at_step = at_step


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", choices=("acgan", "cyclegan"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("images", type=int)
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.0)
    given = parser.parse_args()
    cpu = tf.config.list_physical_devices("CPU")[0]
    if given.devices > 1:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * given.devices)
    if given.seconds:
        slower(given.seconds)
    config = {"acgan": ACGAN, "cyclegan": CYCLEGAN}[given.model]
    config = type(config)(**{**vars(config), "images": given.images, "replicas": given.devices})
    try:
        with joined(config, given.model, given.folder) as place:
            print(json.dumps(found(train(config, place), place)))
    except (LesionganError, Interrupted) as error:
        print(f"{error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
