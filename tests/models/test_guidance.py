"""A frozen classifier's word as a term of the generators' losses: the term by hand, its gradient in the steps of both
GANs, and what a model does without its classifier."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf
from cyclegan_steps import TINY, applied, assert_gradients_agree, batches, step_written_out

import lesiongan
from lesiongan.base.errors import UsageError
from lesiongan.config.acgan import ACGANConfig
from lesiongan.data.pictures import from_array
from lesiongan.models.acgan.model import ACGAN
from lesiongan.models.cyclegan.model import CycleGAN
from lesiongan.models.guidance import NO_CLASS, Guide, resized

CLASSES = ("MEL", "NV", "BCC")
WEIGHTS = tf.Variable(np.random.default_rng(3).normal(size=(48, 3)).astype(np.float32))  # as a loaded model has them


def look(images: tf.Tensor) -> tf.Tensor:
    """The probabilities of 48 px by the colours of sixteen squares; not linear in them."""
    return tf.nn.softmax(3.0 * tf.reshape(tf.nn.avg_pool2d(tf.sin(2.0 * images), 12, 12, "VALID"), [-1, 48]) @ WEIGHTS)


GUIDE = Guide(look, 48, CLASSES, "digest")
GUIDED = dataclasses.replace(TINY, guidance=0.7)


def pictures(count: int, size: int, seed: int = 0) -> tf.Tensor:
    return tf.constant(np.random.default_rng(seed).uniform(-1, 1, (count, size, size, 3)), tf.float32)


def test_the_loss_is_the_mean_of_minus_log_p():
    images = pictures(5, 48)
    p = look(images).numpy().astype(np.float64)
    assert float(GUIDE.loss(images, tf.constant([2, 0, 1, 1, 0]))) == pytest.approx(
        -np.log(p[range(5), [2, 0, 1, 1, 0]]).mean(), rel=1e-5
    )
    assert float(GUIDE.loss(images, tf.constant(1, tf.int64))) == pytest.approx(-np.log(p[:, 1]).mean(), rel=1e-5)
    assert float(GUIDE.loss(images, tf.constant(NO_CLASS))) == 0.0


def test_a_classifier_that_is_sure_of_another_class_gives_a_finite_loss_and_a_gradient():
    logits = tf.Variable([[60.0, 0.0, 0.0], [200.0, 0.0, 0.0]])
    guide = Guide(lambda images: tf.nn.softmax(logits), 48, CLASSES)
    with tf.GradientTape() as tape:
        loss = guide.loss(pictures(2, 48), tf.constant(1))
    assert math.isfinite(loss)
    first, second = tape.gradient(loss, logits).numpy()
    np.testing.assert_allclose(first, [0.5, -0.5, 0.0], atol=1e-6)  # (p - wanted) / images
    assert np.isfinite(second).all()


@pytest.mark.parametrize(("before", "after"), [(32, 48), (64, 36), (48, 48)])
def test_images_are_resized_as_pictures_are(before, after):
    """To grey levels: pictures are rounded (and clipped, which none of these is) after each of two passes, which the
    guide's are not."""
    pixels = np.random.default_rng(1).integers(70, 186, (2, before, before, 3), dtype=np.uint8)
    ours = (resized(tf.cast(pixels, tf.float32) / 127.5 - 1.0, after).numpy() + 1.0) * 127.5
    expected = np.stack([from_array(picture, [after]).squares[after] for picture in pixels])
    assert ours.shape == (2, after, after, 3)
    assert np.abs(ours - expected).max() < 1.5


def _of_guide(model: CycleGAN, x: tf.Tensor, y: tf.Tensor) -> tuple[list[float], list[tf.Tensor]]:
    """Both terms and the gradients of their sum, one pass at a time: Y is to be MEL, X to be NV."""
    with tf.GradientTape() as tape:
        there = look(resized(model.generator_xy(x), 48))[:, 0]
        back = look(resized(model.generator_yx(y), 48))[:, 1]
        terms = [-tf.reduce_mean(tf.math.log(p)) for p in (there, back)]
        total = tf.add_n(terms)
    return [float(term) for term in terms], tape.gradient(total, model.generator_variables)


def test_a_cyclegans_gradients_are_the_plain_ones_and_the_guides():
    model = CycleGAN(GUIDED, seed=3, guide=GUIDE, aims=(0, 1))
    ((x, y),) = batches(1)
    _, plain, _ = step_written_out(model, x, y)
    terms, guided = _of_guide(model, x, y)
    losses, gradients, _ = model.generator_gradients(x, y)
    assert [float(losses[name]) for name in ("guidance_xy", "guidance_yx")] == pytest.approx(terms, rel=1e-5)
    assert_gradients_agree(gradients, [a + 0.7 * b for a, b in zip(plain, guided, strict=True)])
    added = [np.linalg.norm(0.7 * b) / np.linalg.norm(a) for a, b in zip(plain, guided, strict=True)]
    assert max(added) > 0.05  # else this test shows nothing


def test_aims_can_change_under_a_compiled_step_and_a_source_of_no_class_asks_for_nothing():
    model = CycleGAN(GUIDED, seed=3, guide=GUIDE, aims=(0, 1))
    ((x, y),) = batches(1)
    step = tf.function(model.generator_gradients, autograph=False)
    made = look(resized(model.generator_xy(x), 48)).numpy()
    for aims in ((0, 1), (2, NO_CLASS)):
        model.aims.assign(aims)
        losses, _, _ = step(x, y)
        assert float(losses["guidance_xy"]) == pytest.approx(-np.log(made[:, aims[0]]).mean(), rel=1e-4)
    assert float(losses["guidance_yx"]) == 0.0


def test_a_batch_in_parts_is_guided_as_a_whole():
    x, y = batches(1, batch=4)[0]
    steps = []
    for parts in (1, 2):
        config = dataclasses.replace(GUIDED, batch=4, accumulate=parts, pool=0)
        model = CycleGAN(config, seed=3, guide=GUIDE, aims=(0, 1))
        losses = tf.function(model.train_step, autograph=False)((x, y))
        steps.append((float(losses["guidance_xy"]), applied(model.generator_optimizer)))
    assert steps[0][0] == pytest.approx(steps[1][0], rel=1e-5)
    assert_gradients_agree(steps[1][1], steps[0][1])


def test_a_scaled_loss_gives_the_same_gradients():
    gradients = []
    for precision in ("float32", "mixed_float16"):
        model = CycleGAN(dataclasses.replace(GUIDED, precision=precision), seed=3, guide=GUIDE, aims=(0, 1))
        optimizer = model.generator_optimizer
        if precision == "mixed_float16":
            optimizer.dynamic_scale.assign(16.0)  # at first it is so large that this step would be held back
        (pair,) = batches(1)
        model.train_step(pair)
        gradients.append(np.concatenate([g.ravel() for g in applied(getattr(optimizer, "inner_optimizer", optimizer))]))
    assert np.linalg.norm(gradients[1] - gradients[0]) < 0.05 * np.linalg.norm(gradients[0])


ACGAN_SMALL = ACGANConfig(size=32, batch=6, width=1 / 16, latent=16)


def _acgan(**options) -> ACGAN:
    model = ACGAN(dataclasses.replace(ACGAN_SMALL, **options), 3, seed=5, guide=GUIDE)
    model.compile()
    return model


def test_an_acgans_gradients_are_the_plain_ones_and_the_guides():
    batch = pictures(6, 32), tf.constant([0, 1, 2, 0, 1, 2])
    plain, guided, fresh = _acgan(), _acgan(guidance=0.3), _acgan()
    noise, labels, _ = fresh.draw(batch[1])
    with tf.GradientTape() as tape:
        p = tf.gather(look(resized(fresh.generator(noise, training=True), 48)), labels, batch_dims=1)
        term = -tf.reduce_mean(tf.math.log(p))
    added = tape.gradient(term, [v.value for v in fresh.generator.trainable_variables])
    losses, expected = guided.train_step(batch), plain.train_step(batch)
    assert "guidance" not in expected
    assert float(losses["guidance"]) == pytest.approx(float(term), rel=1e-5)
    assert float(losses["g_loss"]) == pytest.approx(float(expected["g_loss"]) + 0.3 * float(term), rel=1e-5)
    wanted = [a + 0.3 * b for a, b in zip(applied(plain.generator_optimizer), added, strict=True)]
    assert_gradients_agree(applied(guided.generator_optimizer), wanted)
    assert max(np.linalg.norm(0.3 * b) / np.linalg.norm(a) for a, b in zip(wanted, added, strict=True)) > 0.05
    for one, other in zip(applied(guided.discriminator_optimizer), applied(plain.discriminator_optimizer), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", ["acgan", "cyclegan"])
def test_no_file_and_no_checkpoint_holds_the_guide_and_a_model_without_it_does_not_train(tmp_path, kind):
    if kind == "acgan":
        model, plain, batch = _acgan(guidance=0.3), _acgan(), (pictures(6, 32), tf.constant([0, 1, 2, 0, 1, 2]))
    else:
        model, plain = CycleGAN(GUIDED, seed=3, guide=GUIDE, aims=(0, 1)), CycleGAN(TINY, seed=3)
        (batch,) = batches(1)
    assert [v.shape for v in model.state()] == [v.shape for v in plain.state()]
    assert len(model.weights) == len(plain.weights)
    assert {"guidance", "guidance_xy"} & set(model.test_step(batch))
    model.save(tmp_path / "model.keras")
    loaded = lesiongan.load(tmp_path / "model.keras")
    for step in (loaded.train_step, loaded.test_step):
        with pytest.raises(UsageError, match=rf"{kind}\.guidance needs a classifier, which no model's file holds"):
            step(batch)
    loaded.guide = GUIDE
    losses, expected = loaded.train_step(batch), model.train_step(batch)  # the aims are in the file
    for name, loss in expected.items():
        assert float(losses[name]) == pytest.approx(float(loss), rel=1e-5), name
