"""The ACGAN of recipe `best` in JAX: `lesiongan.models.acgan.model.ACGAN.train_step` with projected networks."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.gpu import networks as nets

WIDTHS = {64: (192, 192, 96, 48, 32), 128: (192, 192, 192, 96, 48, 32)}
_NOISE_DEVIATION = 0.02


@dataclasses.dataclass(frozen=True)
class Form:
    """What changes the program; everything else is a number that it takes (`Numbers`)."""

    size: int = 64
    classes: int = 8
    noise: int = 64
    width: float = 1.0
    heads: float = 1.0
    shares: tuple[int, ...] = (4,) * 8  # images of each class per batch
    pairs: bool = True
    colour: bool = True  # a map of the picture itself
    projection: bool = True  # an embedding of the class in the logits
    noise_in_norms: bool = True
    at: int = 0  # size at which the frozen features look; 0: the images' own
    loss: str = "hinge"
    compute: str = "bfloat16"


class Numbers(NamedTuple):
    """Numbers of a training."""

    rate: float = 2e-4
    d_rate: float = 2e-4
    beta_2: float = 0.999
    class_weight: float = 0.1
    aux_on_fake: float = 0.0
    ema: float = 0.999
    cut: float = 16.0
    augmented: float = 1.0
    decay_from: float = 1.0  # share of the training after which the rates fall towards 0
    steps: float = 3750.0


def generator_init(random: np.random.Generator, form: Form) -> tuple[dict, dict]:
    """Weights and moving averages of `ProjectedGenerator`."""
    filters = [max(1, round(w * form.width)) for w in WIDTHS[form.size]]
    latent = form.classes + form.noise

    def normal(shape, deviation):
        return random.normal(0, deviation, shape).astype(np.float32)

    weights = {
        "dense": normal((latent, 64 * filters[0]), latent**-0.5),
        "dense_bias": np.zeros(64 * filters[0], np.float32),
    }
    norms = {}
    for index, (before, after) in enumerate(itertools.pairwise(filters), 1):
        for key, size, ins, gain in (
            ("first", 3, before, 2.0),
            ("second", 3, after, 2.0),
            ("shortcut", 1, before, 1.0),
        ):
            weights[f"{key}_{index}"] = normal((size, size, ins, after), math.sqrt(gain / (size * size * ins)))
        weights |= {f"{key}_{index}_bias": np.zeros(after, np.float32) for key in ("first", "second")}
        norms |= {f"first_{index}": before, f"second_{index}": after}
    weights["image"] = normal((3, 3, filters[-1], 3), math.sqrt(1.0 / (9 * filters[-1])))
    weights["image_bias"] = np.zeros(3, np.float32)
    norms["image"] = filters[-1]
    moving = {}
    for key, width in norms.items():
        rows = np.concatenate([np.ones((form.classes, width)), normal((form.noise, width), _NOISE_DEVIATION)])
        weights[f"{key}/scale"] = rows.astype(np.float32)
        zeros = np.zeros((form.classes, width))
        weights[f"{key}/offset"] = np.concatenate([zeros, normal((form.noise, width), _NOISE_DEVIATION)]).astype(
            np.float32
        )
        moving[key] = (np.zeros(width, np.float32), np.ones(width, np.float32))
    return weights, moving


def generate(weights, moving, noise, form: Form, training: bool):
    """Images of noise with labels `[batch, latent]`, and the next moving averages."""
    following, compute = dict(moving), jnp.dtype(form.compute)
    known = noise if form.noise_in_norms else noise.at[:, form.classes :].set(0.0)

    def norm(x, key):
        if training:
            x, seen = nets.batch_norm(x)
            following[key] = tuple(
                0.9 * old + 0.1 * lax.stop_gradient(new) for old, new in zip(moving[key], seen, strict=False)
            )
        else:
            mean, variance = moving[key]
            x = (x.astype(jnp.float32) - mean) * lax.rsqrt(variance + 1e-5)
        scale, offset = (
            jnp.dot(known, weights[f"{key}/{part}"], precision="highest")[:, None, None] for part in ("scale", "offset")
        )
        return jax.nn.relu((x * scale + offset).astype(compute))

    def kernel(key):
        return weights[key].astype(compute)

    x = noise.astype(compute) @ kernel("dense") + kernel("dense_bias")
    x = x.reshape(len(x), 8, 8, -1)
    index = 1
    while f"first_{index}" in weights:
        y = nets.resize_convolution(norm(x, f"first_{index}"), kernel(f"first_{index}"), 0)
        y = norm(y + kernel(f"first_{index}_bias"), f"second_{index}")
        y = nets.conv(y, kernel(f"second_{index}"), 1, "VALID") + kernel(f"second_{index}_bias")
        x = y + nets.without_margin(nets.bilinear_doubled(nets.conv(x, kernel(f"shortcut_{index}"))), 2)
        index += 1
    x = nets.conv(norm(nets.without_margin(x, 1), "image"), kernel("image"), 1, "VALID") + kernel("image_bias")
    return jnp.tanh(x.astype(jnp.float32)), following


def init(seed: int, form: Form) -> dict:
    """The whole state of a training, as NumPy arrays."""
    random = np.random.default_rng(seed)
    generator, moving = generator_init(random, form)
    maps = nets.shapes(form.at or form.size)[: None if form.colour else -1]
    d, vectors, count = nets.heads_init(random, maps, form.classes if form.projection else 0, form.heads)
    d["classes"] = random.normal(0, 0.02, (count, form.classes)).astype(np.float32)
    d["classes_bias"] = np.zeros(form.classes, np.float32)
    return {
        "g": generator,
        "moving": moving,
        "d": d,
        "u": vectors,
        "average": generator,
        "average_moving": moving,
        "g_adam": nets.adam_init(generator),
        "d_adam": nets.adam_init(d),
        "step": np.zeros((), np.int32),
    }


def labels_of(form: Form) -> np.ndarray:
    """The classes take turns; those with a larger share stay longer."""
    left, labels = np.array(form.shares), []
    while left.sum():
        labels += [k for k in range(form.classes) if left[k] > 0]
        left = np.maximum(left - 1, 0)
    return np.array(labels)


def partners(labels: np.ndarray, pairs: bool) -> np.ndarray:
    """`partners_of`, of labels that are known."""
    count = len(labels)
    if not pairs:
        return np.arange(count)
    return np.array(
        [next(j % count for j in range(i + 1, i + count + 1) if labels[j % count] == labels[i]) for i in range(count)]
    )


def cross_entropy(logits, labels):
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1).mean()


def step(state: dict, real, noise, key, frozen, mix, form: Form, numbers: Numbers, labels, pairs):
    """One training step: real images `[batch, size, size, 3]` in [-1, 1], noise with labels; gives state and losses."""
    compute = jnp.dtype(form.compute)
    augmented = nets.augment(real, key, numbers.cut)

    def seen(images):
        images = jnp.where(numbers.augmented > 0, augmented(images), images)
        return nets.features(frozen, mix, images, compute, form.at)[: None if form.colour else -1]

    count = state["step"] + 1
    factor = nets.falling(numbers, count)
    real_maps = lax.stop_gradient(seen(real))

    def made(weights):
        images, moving = generate(weights, state["moving"], noise, form, True)
        return seen(images), moving

    fake_maps, back, moving = jax.vjp(made, state["g"], has_aux=True)
    fake_maps = lax.stop_gradient(fake_maps)

    def judged(weights, vectors, maps):
        source, trunks, vectors = nets.heads(
            weights, vectors, maps, pairs, labels if form.projection else None, compute
        )
        classes = trunks.astype(compute) @ weights["classes"].astype(compute) + weights["classes_bias"].astype(compute)
        return source, classes.astype(jnp.float32), vectors

    def d_loss(weights):
        real_source, real_class, vectors = judged(weights, state["u"], real_maps)
        fake_source, fake_class, _ = judged(weights, vectors, fake_maps)
        d_class = cross_entropy(real_class, labels) + numbers.aux_on_fake * cross_entropy(fake_class, labels)
        if form.loss == "hinge":
            source = nets.hinge(real_source, fake_source)
        else:
            source = jax.nn.softplus(-real_source).mean() + jax.nn.softplus(fake_source).mean()
        return source + d_class, (vectors, d_class)

    (loss, (vectors, d_class)), gradients = jax.value_and_grad(d_loss, has_aux=True)(state["d"])
    d, d_adam = nets.adam(state["d"], state["d_adam"], gradients, factor * numbers.d_rate, count, 0.0, numbers.beta_2)

    def g_loss(maps):
        source, classes, _ = judged(d, vectors, maps)
        adversarial = -source.mean() if form.loss == "hinge" else jax.nn.softplus(-source).mean()
        g_class = cross_entropy(classes, labels)
        return adversarial + numbers.class_weight * g_class, g_class

    (g, g_class), gradient = jax.value_and_grad(g_loss, has_aux=True)(fake_maps)
    (gradients,) = back(gradient)
    generator, g_adam = nets.adam(
        state["g"], state["g_adam"], gradients, factor * numbers.rate, count, 0.0, numbers.beta_2
    )

    state = {
        "g": generator,
        "moving": moving,
        "d": d,
        "u": vectors,
        "average": nets.averaged(state["average"], generator, numbers.ema, count),
        "average_moving": nets.averaged(state["average_moving"], moving, numbers.ema, count),
        "g_adam": g_adam,
        "d_adam": d_adam,
        "step": count,
    }
    return state, {"d_loss": loss, "g_loss": g, "d_class": d_class, "g_class": g_class}
