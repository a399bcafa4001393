"""The same model, saved by processes that have done other things before, is the same files and has the same digest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import lesiongan
from lesiongan.base import contents

SAVE = """
import sys
from pathlib import Path
import numpy as np
import tensorflow as tf
import lesiongan
from lesiongan.data.taxonomy import Taxonomy
from lesiongan.models.cyclegan.served_generator import served_generator
from lesiongan.serving import saved_models
from lesiongan.steps.model_run import keep_training

place = Path(sys.argv[1])
for number in range(int(sys.argv[2])):  # functions, which TensorFlow counts
    tf.function(lambda x: x * number)(tf.constant(1.0))
config = lesiongan.CycleGANConfig(size=32, blocks=1, filters=2, discriminator_filters=2, pool=2)
model = lesiongan.CycleGAN(config, seed=1, steps=5)
model.train_step(tuple(np.random.default_rng(0).uniform(-1, 1, (2, 1, 32, 32, 3)).astype(np.float32)))
saved_models.export(
    served_generator(model.exported), place / "model", kind="cyclegan", size=32, taxonomy=Taxonomy.of(("MEL", "NV")),
    details={}, beside=lambda folder: keep_training(model, folder, place),
)
saved_models.load(place / "model").translate(np.zeros((1, 32, 32, 3), np.uint8))
"""


def test_a_model_that_is_saved_twice_is_the_same_files(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path(lesiongan.__file__).parents[1])}
    processes = [
        subprocess.Popen([sys.executable, "-c", SAVE, str(tmp_path / str(n)), str(n)], env=environment) for n in (0, 7)
    ]
    assert [process.wait(600) for process in processes] == [0, 0]
    one, other = (contents.file_digests(tmp_path / name / "model") for name in ("0", "7"))
    assert len(one) > 5
    assert {name for name in one if one[name] != other.get(name)} <= {"model.keras"}  # which says when it was saved
    assert contents.digest(tmp_path / "0") == contents.digest(tmp_path / "7")
