"""The CycleGAN of recipe `best` in JAX: `lesiongan.models.cyclegan.model.CycleGAN.train_step` with additive generators
and projected discriminators."""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.gpu import networks as nets


@dataclasses.dataclass(frozen=True)
class Form:
    """What changes the program."""

    size: int = 64
    filters: int = 24
    blocks: int = 3
    batch: int = 16
    heads: float = 1.0
    identity: bool = False
    negatives: bool = False
    at: int = 0  # size at which the frozen features look; 0: the images' own
    compute: str = "bfloat16"


class Numbers(NamedTuple):
    """Numbers of a training."""

    rate: float = 2e-4
    d_rate: float = 2e-4
    beta_2: float = 0.999
    cycle: float = 5.0
    identity: float = 0.0
    negative_share: float = 0.5
    ema: float = 0.999
    cut: float = 16.0
    augmented: float = 1.0
    matched: float = 1.0
    decay_from: float = 1.0
    steps: float = 1500.0


def generator_init(random: np.random.Generator, form: Form) -> dict:
    """Weights of `AdditiveGenerator`."""
    weights, n = {}, form.filters

    def add(key, size, before, after, gain=2.0):
        weights[key] = random.normal(0, math.sqrt(gain / (size * size * before)), (size, size, before, after)).astype(
            np.float32
        )

    add("stem", 3, 3, n)
    add("down_1", 4, n, 2 * n)
    add("down_2", 4, 2 * n, 4 * n)
    for block in range(1, form.blocks + 1):
        add(f"residual_{block}_first", 3, 4 * n, 4 * n)
        add(f"residual_{block}_second", 3, 4 * n, 4 * n, 0.2)
    for number, wide in ((1, 2 * n), (2, n)):
        add(f"up_{number}", 3, 2 * wide, wide)
        add(f"joined_{number}", 3, 2 * wide, wide)
    add("last", 3, n, 3, 1e-4)
    weights["last_bias"] = np.zeros(3, np.float32)
    return weights


def normed(x, compute):
    """Instance norm and ReLU."""
    wide = x.astype(jnp.float32)
    mean = wide.mean((1, 2), keepdims=True)
    variance = jnp.square(wide - mean).mean((1, 2), keepdims=True)
    return jax.nn.relu(((wide - mean) * lax.rsqrt(variance + 1e-5)).astype(compute))


def translate(weights, images, compute):
    def conv(x, key, stride=1):
        return nets.mirrored(x, weights[key].astype(compute), stride)

    margin = [(0, 0), (2, 2), (2, 2), (0, 0)]
    x = normed(conv(jnp.pad(images.astype(compute), margin, mode="reflect"), "stem"), compute)
    ways_down = [x]
    for number in (1, 2):
        x = normed(conv(x, f"down_{number}", 2), compute)
        ways_down.append(x)
    block = 1
    while f"residual_{block}_first" in weights:
        x = x + conv(normed(conv(x, f"residual_{block}_first"), compute), f"residual_{block}_second")
        block += 1
    for number in (1, 2):
        x = normed(nets.resize_convolution(x, weights[f"up_{number}"].astype(compute)), compute)
        x = normed(conv(jnp.concatenate([x, ways_down[2 - number]], -1), f"joined_{number}"), compute)
    r = nets.without_margin(conv(x, "last") + weights["last_bias"].astype(compute), 2).astype(jnp.float32)
    return jnp.clip(images + 2 * jnp.tanh(r), -1, 1)


def init(seed: int, form: Form) -> dict:
    random = np.random.default_rng(seed)
    g = {"xy": generator_init(random, form), "yx": generator_init(random, form)}
    d, u = {}, {}
    for side in ("x", "y"):
        d[side], u[side], _ = nets.heads_init(random, nets.shapes(form.at or form.size), 0, form.heads)
    return {
        "g": g,
        "d": d,
        "u": u,
        "average": g["xy"],
        "g_adam": nets.adam_init(g),
        "d_adam": nets.adam_init(d),
        "step": np.zeros((), np.int32),
    }


def step(state, x, y, key, frozen, mix, form: Form, numbers: Numbers):
    """One training step on images of both sides `[batch, size, size, 3]` in [-1, 1]; gives state and losses."""
    compute = jnp.dtype(form.compute)
    pairs = np.roll(np.arange(form.batch), -1)
    keys = jax.random.split(key)
    count = state["step"] + 1
    factor = nets.falling(numbers, count)

    def seen(images, augmented):
        images = jnp.where(numbers.augmented > 0, augmented(images), images)
        return nets.features(frozen, mix, images, compute, form.at)

    def scores(weights, vectors, maps):
        logits, _, vectors = nets.heads(weights, vectors, maps, pairs, None, compute)
        return logits, vectors

    def g_loss(g):
        augmented = nets.augment(x, keys[0], numbers.cut)
        fake_y, fake_x = translate(g["xy"], x, compute), translate(g["yx"], y, compute)
        cycle = jnp.abs(translate(g["yx"], fake_y, compute) - x).mean()
        cycle += jnp.abs(translate(g["xy"], fake_x, compute) - y).mean()
        adversarial_xy = -scores(state["d"]["y"], state["u"]["y"], seen(fake_y, augmented))[0].mean()
        adversarial_yx = -scores(state["d"]["x"], state["u"]["x"], seen(fake_x, augmented))[0].mean()
        total = adversarial_xy + adversarial_yx + numbers.cycle * cycle
        if form.identity:
            same = (
                jnp.abs(translate(g["yx"], x, compute) - x).mean() + jnp.abs(translate(g["xy"], y, compute) - y).mean()
            )
            total += numbers.identity * numbers.cycle * same
        return total, (fake_x, fake_y, cycle, adversarial_xy)

    (g_total, (fake_x, fake_y, cycle, adversarial)), gradients = jax.value_and_grad(g_loss, has_aux=True)(state["g"])
    fake_x, fake_y = lax.stop_gradient((fake_x, fake_y))
    g, g_adam = nets.adam(state["g"], state["g_adam"], gradients, factor * numbers.rate, count, 0.0, numbers.beta_2)

    augmented = nets.augment(x, keys[1], numbers.cut)
    maps = {name: seen(images, augmented) for name, images in (("x", x), ("y", y), ("fx", fake_x), ("fy", fake_y))}
    maps = lax.stop_gradient(maps)

    def d_loss(d):
        total, vectors = 0.0, {}
        for side, fake, other in (("x", "fx", "y"), ("y", "fy", "x")):
            real, vectors[side] = scores(d[side], state["u"][side], maps[side])
            made, _ = scores(d[side], vectors[side], maps[fake])
            loss = nets.hinge(real, made)
            if form.negatives:
                apart, _ = scores(d[side], vectors[side], maps[other])
                share = numbers.negative_share
                loss = (1 - share) * loss + share * nets.hinge(real, apart)
            total += loss
        return total, vectors

    (d_total, vectors), gradients = jax.value_and_grad(d_loss, has_aux=True)(state["d"])
    d, d_adam = nets.adam(state["d"], state["d_adam"], gradients, factor * numbers.d_rate, count, 0.0, numbers.beta_2)
    average = nets.averaged(state["average"], g["xy"], numbers.ema, count)
    state = {
        "g": g,
        "d": d,
        "u": vectors,
        "average": average,
        "g_adam": g_adam,
        "d_adam": d_adam,
        "step": count,
    }
    return state, {"g": g_total, "d": d_total, "cycle": cycle, "adversarial": adversarial}
