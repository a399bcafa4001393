"""Trains one variation of either GAN on the device, many steps per call, and measures it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.gpu import acgan, cyclegan, networks as nets

_CALL = 125  # steps of one call
MODELS: dict[str, Any] = {"acgan": acgan, "cyclegan": cyclegan}


@dataclasses.dataclass(frozen=True)
class Variation:
    """A training: which model, what differs from its recipe, and how many images it sees."""

    model: str
    name: str
    seed: int = 0
    images: int = 0
    form: tuple[tuple[str, Any], ...] = ()
    numbers: tuple[tuple[str, float], ...] = ()
    measured: int = 1  # times, evenly over the training

    def made_form(self):
        return MODELS[self.model].Form(**dict(self.form))


@dataclasses.dataclass
class Data:
    """Training images uint8 `[n, size, size, 3]`, labels, sources, and the frozen weights, all on the device."""

    images: jax.Array
    labels: np.ndarray
    sources: np.ndarray
    frozen: dict


def train(variation: Variation, data: Data, deadline: float) -> Iterator[tuple[int, dict, dict]]:
    """Yields (images seen, state, losses) each time that it is to be measured; stops before the deadline
    (`time.monotonic`)."""
    form, seed = variation.made_form(), variation.seed
    batch = sum(form.shares) if variation.model == "acgan" else form.batch
    steps = -(-variation.images // batch)
    numbers = MODELS[variation.model].Numbers(**dict(variation.numbers))._replace(steps=float(steps))
    numbers = type(numbers)(*(jnp.float32(value) for value in numbers))
    state = jax.tree.map(lambda array: jnp.array(array, copy=True), MODELS[variation.model].init(seed, form))
    run = _runner(variation.model, form, data)
    mix = jax.tree.map(jnp.asarray, nets.mixing(seed))
    ends = [round(steps * (i + 1) / variation.measured / _CALL) or 1 for i in range(variation.measured)]
    begin, call = time.monotonic(), 0
    while call < ends[-1]:
        state, losses = run(state, jax.random.fold_in(jax.random.key(seed), call), numbers, mix)
        call += 1
        late = time.monotonic() > deadline
        if call in ends or late:
            losses = {name: float(value) for name, value in losses.items()}
            yield call * _CALL * batch, state, losses | {"seconds": time.monotonic() - begin}
        if late:
            return


_RUNNERS: dict = {}


def _runner(model: str, form, data: Data) -> Callable:
    if (model, form) not in _RUNNERS:
        make = _acgan_calls if model == "acgan" else _cyclegan_calls
        _RUNNERS[model, form] = make(form, data)
    return _RUNNERS[model, form]


def _pixels(images, index, key):
    """Images in [-1, 1], mirrored at random."""
    chosen = images[index].astype(jnp.float32) / 127.5 - 1.0
    mirrored = jax.random.bernoulli(key, 0.5, (len(index), 1, 1, 1))
    return jnp.where(mirrored, chosen[:, :, ::-1], chosen)


def _acgan_calls(form: acgan.Form, data: Data) -> Callable:
    labels = acgan.labels_of(form)
    pairs = acgan.partners(labels, form.pairs)
    order = np.argsort(data.labels, kind="stable")
    counts = np.bincount(data.labels, minlength=form.classes)
    begins = np.concatenate([[0], np.cumsum(counts)[:-1]])
    one_hot = np.eye(form.classes, dtype=np.float32)[labels]

    @partial(jax.jit, donate_argnums=0)
    def call(state, key, numbers, images, frozen, mix):
        def one(state, key):
            keys = jax.random.split(key, 4)
            drawn = jnp.floor(jax.random.uniform(keys[0], labels.shape) * counts[labels]).astype(jnp.int32)
            real = _pixels(images, jnp.asarray(order)[begins[labels] + drawn], keys[1])
            noise = jnp.concatenate([one_hot, jax.random.normal(keys[2], (len(labels), form.noise))], 1)
            return acgan.step(state, real, noise, keys[3], frozen, mix, form, numbers, labels, pairs)

        state, losses = jax.lax.scan(one, state, jax.random.split(key, _CALL))
        return state, jax.tree.map(jnp.mean, losses)

    return lambda state, key, numbers, mix: call(state, key, numbers, data.images, data.frozen, mix)


def _cyclegan_calls(form: cyclegan.Form, data: Data) -> Callable:
    x_rows, y_rows = np.flatnonzero(data.labels == 1), np.flatnonzero(data.labels == 0)
    kinds = data.sources.max() + 1
    x_shares, y_shares = (np.bincount(data.sources[rows], minlength=kinds) / len(rows) for rows in (x_rows, y_rows))
    weights = (y_shares / np.maximum(x_shares, 1e-9))[data.sources[x_rows]]
    ends = {True: np.cumsum(weights) / weights.sum(), False: np.arange(1, len(x_rows) + 1) / len(x_rows)}

    @partial(jax.jit, donate_argnums=0)
    def call(state, key, numbers, images, frozen, mix):
        def one(state, key):
            keys = jax.random.split(key, 5)
            cumulated = jnp.where(numbers.matched > 0, ends[True], ends[False]).astype(jnp.float32)
            drawn = jnp.searchsorted(cumulated, jax.random.uniform(keys[0], (form.batch,)))
            x = _pixels(images, jnp.asarray(x_rows)[jnp.minimum(drawn, len(x_rows) - 1)], keys[1])
            y = _pixels(
                images, jnp.asarray(y_rows)[jax.random.randint(keys[2], (form.batch,), 0, len(y_rows))], keys[3]
            )
            return cyclegan.step(state, x, y, keys[4], frozen, mix, form, numbers)

        state, losses = jax.lax.scan(one, state, jax.random.split(key, _CALL))
        return state, jax.tree.map(jnp.mean, losses)

    return lambda state, key, numbers, mix: call(state, key, numbers, data.images, data.frozen, mix)


def sampled(state: dict, form: acgan.Form, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Generated images uint8 and their labels, so many of each class, from the averaged generator."""
    labels = np.repeat(np.arange(form.classes), counts)
    random, parts = np.random.default_rng(0), []
    for begin in range(0, len(labels), 256):
        part = np.zeros(256, np.int64)
        wanted = labels[begin : begin + 256]
        part[: len(wanted)] = wanted
        noise = np.concatenate([np.eye(form.classes)[part], random.normal(size=(256, form.noise))], 1)
        parts.append(
            _generate(state["average"], state["average_moving"], noise.astype(np.float32), form)[: len(wanted)]
        )
    return to_uint8(np.concatenate(parts)), labels


@partial(jax.jit, static_argnums=3)
def _generate(weights, moving, noise, form):
    return acgan.generate(weights, moving, noise, form, False)[0]


@partial(jax.jit, static_argnums=2)
def _translate(weights, images, compute):
    return cyclegan.translate(weights, images, jnp.dtype(compute))


def translated(state: dict, form: cyclegan.Form, images: np.ndarray) -> np.ndarray:
    """uint8 images through the averaged generator."""
    parts = []
    for begin in range(0, len(images), 256):
        part = images[begin : begin + 256]
        padded = np.concatenate([part, np.zeros((256 - len(part), *part.shape[1:]), part.dtype)])
        parts.append(_translate(state["average"], padded.astype(np.float32) / 127.5 - 1, form.compute)[: len(part)])
    return to_uint8(np.concatenate(parts))


def to_uint8(images: np.ndarray) -> np.ndarray:
    return np.clip(np.rint((np.asarray(images) + 1) * 127.5), 0, 255).astype(np.uint8)
