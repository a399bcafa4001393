"""A model in another form says what it said before, and where it takes pictures of any size it keeps their size."""

from __future__ import annotations

import importlib.util
import io
import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from lesiongan.base.errors import UsageError
from lesiongan.base.files import read_json
from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.data.taxonomy import ISIC_2019
from lesiongan.models.cyclegan.full_size import translated_at_full_size
from lesiongan.models.cyclegan.model import CycleGAN
from lesiongan.models.cyclegan.served_generator import served_generator
from lesiongan.serving import saved_models
from lesiongan.serving.convert import convert
from lesiongan.serving.generate import Request, generate
from lesiongan.steps.infra_validate import validate

SIZE = 64


def exported(folder, **options):
    config = CycleGANConfig(size=SIZE, filters=4, blocks=2, discriminator_filters=4, **options)
    generator = CycleGAN(config, seed=1).exported
    for weight in generator.trainable_variables:
        weight.assign(5 * weight)  # far from nothing
    details = {"source": "NV", "target": "MEL", "resize": "pad", "config": {"upsampling": config.upsampling}}
    served = served_generator(generator)
    saved_models.export(served, folder, kind="cyclegan", size=SIZE, taxonomy=ISIC_2019, details=details)
    return folder


@pytest.fixture(scope="module")
def fast(tmp_path_factory):
    return exported(tmp_path_factory.mktemp("fast") / "nevus-to-melanoma")


@pytest.fixture(scope="module")
def portable(fast, tmp_path_factory):
    folder = tmp_path_factory.mktemp("portable") / "portable"
    convert(fast, folder, "portable")
    return folder


def pictures(count=3, sides=(SIZE, SIZE)):
    return np.random.default_rng(0).integers(0, 256, (count, *sides, 3), dtype=np.uint8)


def test_the_portable_form_says_the_same_and_serves(fast, portable, tmp_path):
    before, after = saved_models.load(fast), saved_models.load(portable)
    assert np.abs(before.translate(pictures()).astype(int) - after.translate(pictures())).max() <= 1
    kept = ("kind", "size", "source", "target", "resize", "taxonomy", "parameters")
    assert {key: before.record[key] for key in kept} == {key: after.record[key] for key in kept}
    assert (after.record["form"], after.record["converted_from"]) == ("portable", before.record["digest"])
    assert validate(portable)["blessed"]
    convert(portable, tmp_path / "cpu", "cpu")
    again = saved_models.load(tmp_path / "cpu")
    np.testing.assert_array_equal(before.translate(pictures()), again.translate(pictures()))


def test_the_portable_form_of_a_generator_that_resizes(tmp_path):
    place = exported(tmp_path / "resizes", upsampling="resize")
    convert(place, tmp_path / "portable", "portable")
    before, after = saved_models.load(place), saved_models.load(tmp_path / "portable")
    assert np.abs(before.translate(pictures()).astype(int) - after.translate(pictures())).max() <= 1


def test_a_picture_of_the_trained_size_is_the_same_at_full_size_and_others_keep_theirs(portable):
    served = saved_models.load(portable)
    square = pictures(1)
    assert np.abs(served.translate(square)[0].astype(int) - served.translate_full(square)[0]).max() <= 1
    for sides in ((90, 61), (8, 130)):
        picture = pictures(1, sides)[0]
        whole = served.translate_full(picture[None])[0]
        assert whole.shape == picture.shape
        assert whole.std() > 1
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    signature = tf.saved_model.load(str(portable / "saved_model")).signatures["translate_full_bytes"]
    png = signature(images_bytes=tf.constant([stream.getvalue()]))["png_bytes"].numpy()[0]
    assert np.abs(np.asarray(Image.open(io.BytesIO(png))).astype(int) - whole).max() <= 1


def test_generate_keeps_sizes_where_the_model_can(fast, portable, tmp_path):
    nevi = tmp_path / "nevi"
    nevi.mkdir()
    for name, sides in (("a", (70, 90)), ("b", (64, 64))):
        Image.fromarray(pictures(1, sides)[0]).save(nevi / f"{name}.png")
    request = Request((), 0, source=(str(nevi),), full_size=True)
    with pytest.raises(UsageError, match="--to portable"):
        generate(fast, request, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert generate(portable, request, tmp_path / "out") == (2, [])
    sizes = {path.name: Image.open(path).size for path in (tmp_path / "out" / "images").iterdir()}
    assert sizes == {"a.png": (90, 70), "b.png": (64, 64)}


@pytest.mark.parametrize("sides", [(32, 32), (33, 100), (129, 47), (9, 8), (200, 170)])
def test_tiles_are_blended_without_a_seam(sides):
    # what each tile makes of a pixel depends on the pixel alone here: whatever the tiles, the blend is that
    picture = tf.constant(np.random.default_rng(0).uniform(-1, 1, (*sides, 3)), tf.float32)
    seen = []

    def darker(tile):
        seen.append(tile.shape)
        return 0.5 * tile - 0.25

    blended = translated_at_full_size(darker, picture, tile=32)
    np.testing.assert_allclose(blended, 0.5 * picture - 0.25, atol=1e-6)
    assert all(side % 4 == 0 and side <= 32 for shape in seen for side in shape[1:3])
    count = int(np.prod([1 + max(0, -(-(max(8, -(-side // 4) * 4) - 32) // 24)) for side in sides]))
    assert len(seen) == count  # a quarter of each overlaps the next at least


def test_neighbouring_tiles_meet_gradually():
    # each tile has a grey of its own: without blending there would be a step of 0.1 and more
    greys = iter(np.linspace(-1, 1, 5))
    made = translated_at_full_size(lambda tile: tf.fill(tile.shape, float(next(greys))), tf.zeros([32, 128, 3]), 32)
    steps = np.abs(np.diff(made[16, :, 0]))
    assert steps.max() < 0.1
    assert (made[0, 0, 0], made[0, -1, 0]) == (-1, 1)


def test_the_additive_generator_keeps_sizes_as_it_is(tmp_path):
    place = exported(tmp_path / "additive", generator="additive")
    served = saved_models.load(place)
    assert served.translate_full(pictures(1, (70, 50))).shape == (1, 70, 50, 3)
    with pytest.raises(UsageError, match="runs anywhere"):
        convert(place, tmp_path / "other", "portable")


def test_what_cannot_be_converted_is_refused(fast, models, tmp_path):
    with pytest.raises(UsageError, match="runs anywhere"):
        convert(models / "acgan", tmp_path / "other", "cpu")
    with pytest.raises(UsageError, match="need no pictures"):
        convert(fast, tmp_path / "other", "medigan")
    with pytest.raises(UsageError, match="something already"):
        convert(fast, tmp_path, "portable")
    assert not (tmp_path / "other").exists()


def test_a_package_for_medigan_makes_the_models_images(models, tmp_path):
    package = tmp_path / "lesions"
    convert(models / "acgan", package, "medigan")
    (entry,) = read_json(package / "metadata.json").values()
    base = entry["execution"]["generate_method"]["args"]["base"]
    assert base == ["model_file", "num_samples", "output_path", "save_images"]
    model_file = package / (entry["execution"]["model_name"] + entry["execution"]["extension"])
    assert model_file.is_file()
    code = (
        "import sys, json; sys.path.insert(0, sys.argv[1]); import lesions\n"
        "lesions.generate(sys.argv[2], 3, sys.argv[3], True, classes='MEL, NV', seed=5)\n"
        "print(json.dumps([m for m in sys.modules if m.startswith('lesiongan')]))"
    )
    command = [sys.executable, "-I", "-c", code, str(tmp_path), str(model_file), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []
    served = saved_models.load(models / "acgan")
    for name, seed in (("MEL", 5), ("NV", 6), ("MEL", 7)):
        made = np.asarray(Image.open(tmp_path / "out" / f"{name}_{seed:019d}.png"))
        expected = served.sample(np.array([served.taxonomy.index(name)]), np.array([seed]))[0]
        assert np.abs(made.astype(int) - expected).max() <= 1


def test_a_package_draws_other_images_in_every_call_and_refuses_unknown_classes(models, tmp_path):
    package = tmp_path / "lesions"
    convert(models / "acgan", package, "medigan")
    specification = importlib.util.spec_from_file_location("lesions", package / "__init__.py")
    lesions = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(lesions)
    model_file = str(package / "saved_model.pb")
    # medigan asks in batches, and says no seed
    first, second = (np.stack(lesions.generate(model_file, 2, "", False)) for _ in range(2))
    assert first.shape == (2, 32, 32, 3)
    assert (first != second).any()
    with pytest.raises(ValueError, match="no class 'XYZ'"):
        lesions.generate(model_file, 1, "", False, classes="XYZ")
