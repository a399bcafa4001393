"""An ACGAN and its refiners as one model: what the pipeline's two steps make of a label and a seed."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from lesiongan.base.errors import UsageError
from lesiongan.base.files import read_json, write_json
from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.data import pictures
from lesiongan.data.taxonomy import ISIC_2019
from lesiongan.models.cyclegan.model import CycleGAN
from lesiongan.serving import saved_models
from lesiongan.serving.chained import export_chain
from lesiongan.serving.generate import Request, generate
from lesiongan.steps import push
from lesiongan.steps.infra_validate import validate
from lesiongan.steps.step import Task

SIZE = 64  # of the refiners; the ACGAN's is 32


@pytest.fixture(scope="module")
def parts(models, tmp_path_factory):
    """The folders of an ACGAN and of refiners of two classes."""
    folder, refiners = tmp_path_factory.mktemp("refiners"), {}
    for number, name in enumerate(("NV", "MEL")):
        generator = CycleGAN(
            CycleGANConfig(size=SIZE, filters=4, blocks=1, discriminator_filters=4, generator="additive"), seed=number
        ).exported
        for weight in generator.trainable_variables:
            weight.assign(20 * weight)
        refiners[name] = folder / f"refined-{name}"
        saved_models.export(
            generator, refiners[name], kind="cyclegan", size=SIZE, taxonomy=ISIC_2019, details={"class": name}
        )
    return models / "acgan", refiners


@pytest.fixture(scope="module")
def chain(parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("chain") / "refined"
    export_chain(*parts, folder)
    return folder


def test_it_makes_what_the_steps_make(parts, chain):
    acgan, refiners = saved_models.load(parts[0]), {name: saved_models.load(p) for name, p in parts[1].items()}
    labels = np.array([ISIC_2019.index(name) for name in ("MEL", "NV", "MEL", "NV", "NV")])
    seeds = np.arange(5)
    made = saved_models.load(chain).sample(labels, seeds)
    for label, seed, image in zip(labels, seeds, made, strict=True):
        plain = acgan.sample(np.array([label]), np.array([seed]))[0]
        larger = pictures.from_array(plain, [SIZE]).squares[SIZE]
        refined = refiners[ISIC_2019.classes[label]].translate(larger[None])[0]
        assert np.abs(image.astype(int) - refined).max() <= 1
        assert np.abs(image.astype(int) - larger).max() > 20  # the refiner did something
    only_nevi = saved_models.load(chain).sample(labels[1:2], seeds[1:2])  # the other refiner has nothing to do
    assert np.abs(only_nevi[0].astype(int) - made[1]).max() <= 1


def test_it_serves_and_knows_the_refined_classes_alone(chain, tmp_path):
    assert validate(chain)["blessed"]
    assert saved_models.load(chain).classes == ("NV", "MEL")
    serve = tf.saved_model.load(str(chain / "saved_model")).signatures["generate_by_name"]
    answer = serve(names=tf.constant(["MEL"]), seeds=tf.constant([3], tf.int64))
    assert np.asarray(Image.open(io.BytesIO(answer["png_bytes"].numpy()[0]))).shape == (SIZE, SIZE, 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"1 \(NV\), 0 \(MEL\)"):
        serve(names=tf.constant(["BCC"]), seeds=tf.constant([3], tf.int64))
    done, _ = generate(chain, Request((), 2), tmp_path / "out")
    assert done == 4
    with pytest.raises(UsageError, match="it knows NV, MEL"):
        generate(chain, Request(("BCC",), 2), tmp_path / "more")


def test_it_is_pushed_where_each_of_its_parts_is_blessed(parts, chain, tmp_path):
    blessed, refused = {"blessed": True, "reason": "good"}, {"blessed": False, "reason": "collapsed"}
    for second, expected in ((blessed, True), (refused, False)):
        folder = tmp_path / str(expected)
        write_json(folder / "blessing" / "blessing.json", {"refined-NV": blessed, "refined-MEL": second})
        write_json(folder / "infra" / "blessing.json", {"refined": blessed})
        inputs = {"chained": chain.parent, "blessing": folder / "blessing", "infra_blessing": folder / "infra"}
        parameters = {"models_dir": str(folder / "models")}
        push.run(Task(inputs, {"pushed": folder / "pushed"}, parameters, push.Options("noise-"), 0, folder))
        said = read_json(folder / "pushed" / "pushed.json")["refined"]
        assert said["pushed"] == expected
        assert (folder / "models" / "noise-refined" / "1" / "saved_model.pb").is_file() == expected
        if not expected:
            assert said["reason"] == "Evaluator: refined-MEL: collapsed"
