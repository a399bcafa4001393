"""ONNX files say what TensorFlow says, in onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from server_process import SIZE

from lesiongan.config.acgan import ACGANConfig
from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.data.taxonomy import ISIC_2019
from lesiongan.models.acgan.model import ACGAN
from lesiongan.models.classifier.model import LesionClassifier
from lesiongan.models.cyclegan.model import CycleGAN
from lesiongan.models.cyclegan.served_generator import served_generator
from lesiongan.serving import saved_models
from lesiongan.serving.convert import convert

for package in ("tf2onnx", "onnxruntime"):
    pytest.importorskip(package, reason="pip install 'lesiongan[onnx]' onnxruntime")
pytestmark = pytest.mark.slow


def acgan(networks):
    model = ACGAN(ACGANConfig(size=SIZE, width=0.1, latent=40, networks=networks, batch=16), 8, seed=0)
    for kernel in model.generator.kernels.values():
        kernel.assign(10 * kernel)
    return model


def cyclegan(generator, upsampling="transposed"):
    options = {"filters": 4, "blocks": 1, "discriminator_filters": 4, "generator": generator, "upsampling": upsampling}
    model = CycleGAN(CycleGANConfig(size=SIZE, **options), seed=0)
    for weight in model.exported.trainable_variables:
        weight.assign(10 * weight)
    return served_generator(model.exported)


def classifier(backbone):
    model = LesionClassifier(8, backbone=backbone, **({"width": 0.2} if backbone == "resnet50" else {}))
    model.reset(0)
    return model


MODELS = {
    "paper's ACGAN": ("acgan", lambda: acgan("paper")),
    "residual ACGAN": ("acgan", lambda: acgan("residual")),
    "projected ACGAN": ("acgan", lambda: acgan("projected")),
    "ResNet generator": ("cyclegan", lambda: cyclegan("resnet")),
    "ResNet generator, resized": ("cyclegan", lambda: cyclegan("resnet", "resize")),
    "additive generator": ("cyclegan", lambda: cyclegan("additive")),
    "ResNet50": ("classifier", lambda: classifier("resnet50")),
    "EfficientNet-Lite0": ("classifier", lambda: classifier("efficientnet_lite0")),
}


@pytest.mark.parametrize("name", MODELS)
def test_onnxruntime_says_the_same(name, tmp_path):
    import onnxruntime

    kind, make = MODELS[name]
    details = {"config": {"upsampling": "resize" if "resized" in name else "transposed"}}
    saved_models.export(make(), tmp_path / "model", kind=kind, size=SIZE, taxonomy=ISIC_2019, details=details)
    convert(tmp_path / "model", tmp_path / "model.onnx", "onnx")
    module = saved_models.load(tmp_path / "model").module
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    for count in (1, 3):
        images = np.random.default_rng(0).uniform(-1, 1, (count, SIZE, SIZE, 3)).astype(np.float32)
        if kind == "acgan":
            noise = np.random.default_rng(1).normal(size=(count, 40)).astype(np.float32)
            given = {"labels": np.arange(count, dtype=np.int32), "noise": noise}
            expected = module.from_noise(*map(tf.constant, given.values()))
        elif kind == "cyclegan":
            given, expected = {"images": images}, {"image": module.translate_squares(images, tf.zeros(count, tf.int64))}
        else:
            given, expected = {"images": images}, module.predict(images)
        assert {each.name for each in session.get_inputs()} == set(given)
        names = [each.name for each in session.get_outputs()]
        found = dict(zip(names, session.run(names, given), strict=True))
        assert set(expected) <= set(found)
        for key, value in expected.items():
            np.testing.assert_allclose(found[key], value, atol=1e-4 * max(1.0, np.abs(value).max()))
            if count > 1 and key in ("image", "features"):
                assert np.abs(found[key][0] - found[key][1]).max() > 1e-3  # not one answer to all
