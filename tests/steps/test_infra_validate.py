"""InfraValidator blesses what serves the training-time model, and says what is wrong with anything else."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from lesiongan.base.errors import MachineError
from lesiongan.config.acgan import ACGANConfig
from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.data.taxonomy import ISIC_2019
from lesiongan.models.acgan.model import ACGAN
from lesiongan.models.classifier.model import LesionClassifier
from lesiongan.models.cyclegan.model import CycleGAN
from lesiongan.serving import clean_process, saved_models
from lesiongan.serving.reference import ANSWER
from lesiongan.steps.infra_validate import Options, validate, validate_all

SIZE = 32


def classifier(seed: int) -> LesionClassifier:
    model = LesionClassifier(8, width=0.1)
    model.reset(seed)
    return model


def acgan(seed: int) -> ACGAN:
    model = ACGAN(ACGANConfig(size=SIZE, width=0.1), 8, seed=seed)
    for kernel in model.generator.kernels.values():  # of first weights all pictures are grey
        kernel.assign(10 * kernel)
    return model


def cyclegan(seed: int) -> CycleGAN:
    return CycleGAN(CycleGANConfig(size=SIZE, blocks=1, filters=4, discriminator_filters=4), seed=seed)


def exported(folder, make, seed: int = 0, resize: str = "squash"):
    details = {"seed": seed, "resize": resize}
    kind = make.__name__
    saved_models.export(make(seed), folder / kind, kind=kind, size=SIZE, taxonomy=ISIC_2019, details=details)
    return folder / kind


@pytest.mark.slow
@pytest.mark.parametrize("make", [classifier, acgan, cyclegan])
def test_a_sound_model_is_blessed_with_its_time_and_memory(make, tmp_path):
    verdict = validate(exported(tmp_path, make, resize="pad"))
    assert verdict["blessed"], verdict
    assert 0 < verdict["latency"] < 60
    assert 0.1 < verdict["memory"] < 8


def test_a_model_that_is_another_than_the_trained_one_is_refused(tmp_path):
    folder, other = exported(tmp_path / "a", acgan, 0), exported(tmp_path / "b", acgan, 1)
    shutil.copy(other / ANSWER, folder / ANSWER)
    verdict = validate(folder)
    assert not verdict["blessed"]
    assert "image differs from the training-time model's by up to" in verdict["reason"]


def test_one_that_is_not_a_number_is_refused(tmp_path):
    model = classifier(0)
    model.head.weights[0].assign(np.full(model.head.weights[0].shape, np.nan))
    saved_models.export(
        model, tmp_path / "classifier", kind="classifier", size=SIZE, taxonomy=ISIC_2019, details={"seed": 0}
    )
    verdict = validate(tmp_path / "classifier")
    assert "differs from the training-time model's by up to nan" in verdict["reason"]


def test_what_cannot_be_loaded_is_refused_in_one_line(tmp_path):
    folder = exported(tmp_path, acgan)
    (folder / "saved_model" / "saved_model.pb").write_bytes(b"not a model")
    verdict = validate(folder)
    assert not verdict["blessed"]
    assert verdict["reason"].startswith("a process with TensorFlow alone could not serve it: ")
    assert "\n" not in verdict["reason"]


def test_a_process_that_is_killed_says_nothing_of_its_model(tmp_path):
    """It was taken for a model that cannot be served, and that for the step's result."""
    folder = exported(tmp_path, acgan)

    def kill() -> None:
        while True:
            parents = _processes()
            found = [pid for pid, parent in parents.items() if parent in parents]
            if found:
                break
            time.sleep(0.02)
        os.kill(found[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(MachineError, match="the process that tried acgan was killed"):
        validate_all({"acgan": folder})
    killer.join()


def _processes() -> dict[int, int]:
    """The processes that meet models, and the one that forks them: id -> parent."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if clean_process.__file__.encode() in (path / "cmdline").read_bytes():
                found[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
    return found


def test_limits_of_time_and_memory_hold(tmp_path):
    folder = exported(tmp_path, acgan)
    assert "latency" in validate(folder, Options(max_latency=1e-6))["reason"]
    assert "memory" in validate(folder, Options(max_memory=1e-3))["reason"]


def test_labels_names_and_seeds_that_do_not_fit_are_refused_by_the_graph(tmp_path):
    served = tf.saved_model.load(str(exported(tmp_path, acgan) / "saved_model")).signatures
    seeds = tf.constant([1, 2], tf.int64)
    by_label = served["generate"](labels=tf.constant([0, 2]), seeds=seeds)["image"]
    by_name = served["generate_by_name"](names=tf.constant(["MEL", "BCC"]), seeds=seeds)["image"]
    np.testing.assert_array_equal(by_label, by_name)
    for call in (
        lambda: served["generate"](labels=tf.constant([0, 8]), seeds=seeds),
        lambda: served["generate"](labels=tf.constant([0, -1]), seeds=seeds),
        lambda: served["generate"](labels=tf.constant([0]), seeds=seeds),
        lambda: served["generate_by_name"](names=tf.constant(["MEL", "LENTIGO"]), seeds=seeds),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError):
            call()


def test_pixels_of_any_size_are_answered_as_files_are(tmp_path):
    served = tf.saved_model.load(str(exported(tmp_path, cyclegan, resize="crop") / "saved_model")).signatures
    pixels = np.random.default_rng(0).integers(0, 256, (3, 50, 70, 3), dtype=np.uint8)
    files = tf.constant([tf.io.encode_png(one).numpy() for one in pixels])
    by_pixels, by_file = served["translate"](images=pixels), served["translate_bytes"](images_bytes=files)
    assert by_pixels["image"].shape == (3, SIZE, SIZE, 3)
    np.testing.assert_array_equal(by_pixels["image"], by_file["image"])
