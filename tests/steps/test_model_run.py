"""What a training leaves beside the exported model."""

from __future__ import annotations

import numpy as np

import lesiongan
from lesiongan.steps.model_run import keep_training
from lesiongan.training.states import LAST, write_state


def test_the_training_model_is_that_of_the_last_step_whatever_was_exported(tmp_path):
    config = lesiongan.CycleGANConfig(size=32, blocks=1, filters=2, discriminator_filters=2, pool=2)
    model = lesiongan.CycleGAN(config, seed=1, steps=5)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 1, 32, 32, 3)).astype(np.float32)
    model.train_step(tuple(images))
    last = [variable.numpy() for variable in model.state()]
    exported = [variable.value for variable in model.exported.variables]
    write_state(tmp_path / LAST, 1, 0.5, exported)
    for variable in exported:  # the best state
        variable.assign(variable + 1.0)
    keep_training(model, tmp_path, tmp_path, model.exported)
    loaded = lesiongan.load(tmp_path / "model.keras")
    assert loaded.get_config() == model.get_config()
    for one, other in zip(loaded.state(), last, strict=True):
        np.testing.assert_array_equal(one, other)
