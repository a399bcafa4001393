"""Generators of the authors' PyTorch code: a file that PyTorch wrote, and files of other networks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from reference_scripts import REFERENCE, script

import lesiongan
from lesiongan.base.errors import UsageError
from lesiongan.data.image_set import to_uint8, to_unit
from lesiongan.models.cyclegan.pth_import import generator_weights, import_generator
from lesiongan.serving import saved_models
from lesiongan.serving.import_cyclegan import export_generator

PTH = REFERENCE / "netG.pth"


make = script("make_cyclegan")


@pytest.fixture(scope="module")
def translated():
    """What PyTorch makes of the first X by netG.pth, `[1, 32, 32, 3]`."""
    with np.load(REFERENCE / "cyclegan.npz") as file:
        return file["pth"]


def state(**options):
    return make.generator_state(np.random.default_rng(3), make.PTH_NGF, **options)


def lesiongan_command(*arguments) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(Path(lesiongan.__file__).parent.parent)}
    command = [sys.executable, "-m", "pipelines.cli", "import-cyclegan", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


def test_an_imported_generator_translates_as_in_pytorch(translated):
    generator, facts = import_generator(PTH, 32)
    np.testing.assert_allclose(generator(make.pair(0)[0]), translated, atol=1e-4)
    assert {name: facts[name] for name in ("filters", "blocks", "dropout", "file")} == {
        "filters": 2,
        "blocks": 2,
        "dropout": False,
        "file": "netG.pth",
    }


def test_biases_before_norms_change_nothing_and_the_last_one_does():
    images, outputs = make.pair(0)[0], []
    for change in (None, "model.4.bias", "model.19.bias"):
        changed = state()
        if change:
            changed[change] = changed[change] + 0.5
        weights, _ = generator_weights(changed)
        generator, _ = import_generator(PTH, 32)
        generator.set_weights(weights)
        outputs.append(generator(images).numpy())
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert np.abs(outputs[0] - outputs[2]).max() > 0.1


def test_the_command_writes_a_model_that_is_served(tmp_path, translated):
    folder = tmp_path / "horse"
    done = lesiongan_command(PTH, "-o", folder, "--size", 32, "--source", "NV", "--target", "MEL")
    assert done.returncode == 0, done.stderr
    assert f"model: {folder}" in done.stdout
    assert "2 residual blocks, 2 filters" in done.stdout
    model = saved_models.load(folder)
    assert (model.record["kind"], model.size, model.record["target"]) == ("cyclegan", 32, "MEL")
    assert model.taxonomy.index("MEL") == 0
    images = make.pair(0)[0]
    served = model.module.translate_squares(tf.constant(images), tf.zeros(1, tf.int64))
    np.testing.assert_allclose(served, translated, atol=1e-4)
    pixels = to_uint8(images)
    expected = to_uint8(import_generator(PTH, 32)[0](to_unit(pixels)).numpy())
    assert np.abs(model.translate(pixels).astype(int) - expected).max() <= 1  # where a level is rounded


def test_another_size_and_other_classes(tmp_path):
    record = export_generator(PTH, tmp_path / "model", size=48, source="horse", target="zebra")
    assert record["taxonomy"]["classes"] == ["horse", "zebra"]
    assert json.loads((tmp_path / "model/model.json").read_text())["imported"]["blocks"] == 2
    assert saved_models.load(tmp_path / "model").translate(np.zeros((1, 48, 48, 3), np.uint8)).shape == (1, 48, 48, 3)


def test_a_wrong_file_is_one_line_and_exit_2(tmp_path):
    damaged = tmp_path / "cut.pth"
    damaged.write_bytes(PTH.read_bytes()[:9000])
    done = lesiongan_command(damaged, "-o", tmp_path / "model")
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith(f"lesiongan: {damaged}: truncated")
    assert not (tmp_path / "model").exists()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="there is something already"):
        export_generator(PTH, tmp_path, size=32, source="X", target="Y")
    assert (tmp_path / "mine.txt").read_text() == "mine"
    with pytest.raises(UsageError, match="must be two classes"):
        export_generator(PTH, tmp_path / "new", size=32, source="X", target="X")


@pytest.mark.parametrize("size", [30, 16, 0])
def test_impossible_sizes_are_refused(size):
    with pytest.raises(UsageError, match=f"size {size}: "):
        import_generator(PTH, size)


def test_dropout_wrappers_and_old_statistics_make_no_difference():
    plain, _ = generator_weights(state())
    with_dropout, facts = generator_weights(state(place=6))
    wrapped, _ = generator_weights({f"module.{name}": value for name, value in state().items()})
    old, _ = generator_weights(
        {**state(), "model.2.running_mean": np.zeros(2, np.float32), "model.2.running_var": np.ones(2, np.float32)}
    )
    assert facts["dropout"]
    for other in (with_dropout, wrapped, old):
        for one, two in zip(plain, other, strict=True):
            np.testing.assert_array_equal(one, two)


def _without(name):
    return {key: value for key, value in state().items() if key != name}


def _zeros(*shape):
    return np.zeros(shape, np.float32)


def _unet():
    inner = {"model.model.0.weight": _zeros(2, 3, 4, 4), "model.model.1.model.1.weight": _zeros(4, 2, 4, 4)}
    return {**inner, "model.model.3.weight": _zeros(4, 3, 4, 4), "model.model.3.bias": _zeros(3)}


OTHERS = {
    "batch norm": (
        {**_without("model.1.bias"), "model.2.weight": _zeros(2), "model.2.running_var": _zeros(2)},
        "norms",
    ),
    "no norm, no biases": (_without("model.4.bias"), "no tensor `model.4.bias`"),
    "U-Net": (_unet(), "U-Net"),
    "a discriminator": (make.discriminator_state(np.random.default_rng(0)), "no tensor `model.1.weight`"),
    "no block": ({k: v for k, v in state().items() if "conv_block" not in k}, "residual blocks"),
    "a gap in the blocks": ({k: v for k, v in state().items() if ".10." not in k}, "residual blocks"),
    "zero padding": (
        {k.replace("block.5", "block.3").replace("block.1", "block.0"): v for k, v in state().items()},
        "bl",
    ),
    "grey": ({**state(), "model.1.weight": _zeros(2, 1, 7, 7)}, "1 channels"),
    "grey output": ({**state(), "model.19.weight": _zeros(1, 2, 7, 7)}, r"`model.19.weight` has shape \[1, 2, 7, 7\]"),
    "resize-convolution": ({**state(), "model.12.weight": _zeros(4, 8, 3, 3)}, r"`model.12.weight` has shape"),
    "another stem": ({**state(), "model.1.weight": _zeros(2, 3, 3, 3)}, r"`model.1.weight` has shape \[2, 3, 3, 3\]"),
    "more than it has": ({**state(), "model.22.weight": _zeros(3, 3, 1, 1)}, "`model.22.weight` that the network"),
    "not a number": ({**state(), "model.19.bias": np.full(3, np.nan, np.float32)}, "no finite floats"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_networks_are_refused(name):
    other, message = OTHERS[name]
    with pytest.raises(UsageError, match=message) as refusal:
        generator_weights(other, "F.pth")
    assert str(refusal.value).startswith("F.pth: ")
    assert "\n" not in str(refusal.value)


def test_files_that_pytorch_writes_here(tmp_path):
    torch = pytest.importorskip("torch", reason="files of PyTorch's own: pip install 'lesiongan[bench]'")
    theirs = make.theirs()
    image = make.pair(0)[0]

    network = theirs.ResnetGenerator(1, 2, dropout=True).eval()
    torch.save(torch.nn.DataParallel(network).state_dict(), tmp_path / "dropout.pth")
    generator, facts = import_generator(tmp_path / "dropout.pth", 32)
    assert facts["dropout"]
    np.testing.assert_allclose(generator(image), make.nhwc(network(make.nchw(image))), atol=1e-4)

    other = theirs.ResnetGenerator(1, 2, norm=torch.nn.BatchNorm2d)
    torch.save(other.state_dict(), tmp_path / "batch.pth")
    with pytest.raises(UsageError, match=r"batch\.pth: its norms have weights"):
        import_generator(tmp_path / "batch.pth", 32)
