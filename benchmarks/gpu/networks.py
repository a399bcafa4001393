"""What both GANs of recipe `best` are made of, as functions of weights by name, in JAX; NHWC.

Names, shapes and first weights are those of `lesiongan.models`, so that weights carry over in both directions.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

ENDS = {2: 24, 3: 40, 5: 112, 7: 320}
ACROSS_CHANNELS, ACROSS_SCALES = (64, 128, 256, 512), (64, 64, 128, 256)
COLOURS = 16
EMBEDDED = 64
Weights = dict[str, jax.Array]


def conv(x, kernel, stride=1, padding="SAME"):
    return lax.conv_general_dilated(x, kernel, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def mirrored(x, kernel, stride=1):
    """`convolution` with one mirrored pixel on each side."""
    return conv(jnp.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="reflect"), kernel, stride, "VALID")


def depthwise(x, kernel, stride=1):
    """As a sum of shifted products, which XLA makes one kernel of: cuDNN's own is slow to differentiate."""
    size = kernel.shape[0]
    n = -(-x.shape[1] // stride)
    total = max((n - 1) * stride + size - x.shape[1], 0)
    x = jnp.pad(x, [(0, 0), *[(total // 2, total - total // 2)] * 2, (0, 0)])
    end = (n - 1) * stride + 1
    return sum(
        x[:, i : i + end : stride, j : j + end : stride] * kernel[i, j, :, 0] for i in range(size) for j in range(size)
    )


def groups(weights: Weights) -> list[list[str]]:
    """The keys of the blocks of each group of an EfficientNet-Lite, by what its weights are called."""
    found: list[list[str]] = []
    for number in range(1, 8):
        blocks = {key.split("/")[1].split("_")[0] for key in weights if key.startswith(f"group{number}/")}
        found.append([f"group{number}/{block}" for block in sorted(blocks, key=lambda name: int(name[5:]))])
    return found


STRIDES = (1, 2, 2, 2, 1, 2, 1)


def efficientnet(weights: Weights, images, *, top=True) -> list:
    """The output of every group of a frozen EfficientNet-Lite (and of its last convolution)."""
    x = (images * 127.5 + 0.5) / 128.0
    x = jnp.clip(conv(x, weights["stem/conv"], 2) + weights["stem/conv/offset"], 0, 6)
    maps = []
    for blocks, stride in zip(groups(weights), STRIDES, strict=True):
        for index, block in enumerate(blocks):
            shortcut = x
            if f"{block}_expand" in weights:
                x = jnp.clip(conv(x, weights[f"{block}_expand"]) + weights[f"{block}_expand/offset"], 0, 6)
            x = depthwise(x, weights[f"{block}_depthwise"], 1 if index else stride)
            x = jnp.clip(x + weights[f"{block}_depthwise/offset"], 0, 6)
            x = conv(x, weights[f"{block}_project"]) + weights[f"{block}_project/offset"]
            x = x + shortcut if index else x
        maps.append(x)
    if top:
        maps.append(jnp.clip(conv(x, weights["top/conv"]) + weights["top/conv/offset"], 0, 6))
    return maps


def mixing(seed: int) -> Weights:
    """The frozen random convolutions, drawn as `FrozenFeatures` draws them."""
    random, arrays = np.random.default_rng(seed), {}

    def draw(name, inputs, outputs):
        bound = 1.0 / math.sqrt(inputs)
        arrays[f"{name}"] = random.uniform(-bound, bound, (1, 1, inputs, outputs)).astype(np.float32)
        arrays[f"{name}/bias"] = random.uniform(-bound, bound, outputs).astype(np.float32)

    for index, pair in enumerate(zip(ENDS.values(), ACROSS_CHANNELS, strict=True)):
        draw(f"channels{index}", *pair)
    for index, pair in enumerate(zip(ACROSS_CHANNELS, ACROSS_SCALES, strict=True)):
        draw(f"scales{index}", *pair)
    return arrays


def _doubling(n: int) -> np.ndarray:
    places = np.arange(2 * n)
    near, following = places // 2, np.clip(places // 2 + np.where(places % 2, 1, -1), 0, n - 1)
    return (0.75 * np.eye(n)[near] + 0.25 * np.eye(n)[following]).astype(np.float32)


def bilinear_doubled(x):
    matrix = jnp.asarray(_doubling(x.shape[1]), x.dtype)
    return jnp.einsum("ij,bjkc,lk->bilc", matrix, x, matrix)


def on_doubled(kernel):
    """`heads.on_doubled`: a 4 x 4 convolution of stride 2 of the doubled map as a 3 x 3 one of the map itself."""
    shares = jnp.asarray([[0.75, 0.25, 0, 0], [0.25, 0.75, 0.75, 0.25], [0, 0, 0.25, 0.75]], kernel.dtype)
    return jnp.einsum("ia,jb,abcf->ijcf", shares, shares, kernel)


def mean_pooled(x, factor: int):
    batch, height, width, channels = x.shape
    return x.reshape(batch, height // factor, factor, width // factor, factor, channels).mean((2, 4))


def features(frozen: Weights, mix: Weights, images, compute, at: int = 0) -> list:
    """`FrozenFeatures`: five maps of images in [-1, 1], from the finest on; `at` another size to look at."""
    colours = mean_pooled(images, images.shape[1] // COLOURS).astype(compute)
    if at and at != images.shape[1]:
        images = jax.image.resize(images, (len(images), at, at, 3), "bilinear")
    maps = efficientnet(frozen, images, top=False)
    mixed: list = []
    for index in range(3, -1, -1):
        x = maps[list(ENDS)[index] - 1].astype(compute)
        x = conv(x, mix[f"channels{index}"].astype(compute)) + mix[f"channels{index}/bias"].astype(compute)
        x = x + bilinear_doubled(mixed[0]) if mixed else x
        x = conv(x, mix[f"scales{index}"].astype(compute)) + mix[f"scales{index}/bias"].astype(compute)
        mixed.insert(0, x)
    return [*mixed, colours]


def shapes(size: int) -> list[tuple[int, int]]:
    sides = [2 * math.ceil(size / 2**power) for power in (2, 3, 4, 5)]
    return [*zip(sides, ACROSS_SCALES, strict=True), (COLOURS, 3)]


def batch_norm(x, epsilon=1e-5):
    """Normalised in float32 by the batch's statistics, and these: mean, and variance over n - 1 as it is averaged."""
    wide = x.astype(jnp.float32)
    mean = wide.mean((0, 1, 2))
    variance = jnp.square(wide - mean).mean((0, 1, 2))
    count = math.prod(x.shape[:3])
    return (wide - mean) * lax.rsqrt(variance + epsilon), (mean, variance * (count / (count - 1)))


def spectrally_normalised(kernel, u):
    """The kernel over its largest singular value, and the next vector of the power iteration."""
    matrix = kernel.reshape(-1, kernel.shape[-1])
    constant = lax.stop_gradient(matrix)
    v = _unit(jnp.dot(constant, u, precision="highest"))
    following = _unit(jnp.dot(constant.T, v, precision="highest"))
    sigma = jnp.dot(v, jnp.dot(matrix, following, precision="highest"), precision="highest")
    return kernel / sigma, following


def _unit(vector):
    return vector / jnp.maximum(jnp.linalg.norm(vector), 1e-12)


def heads_init(random: np.random.Generator, shapes, classes=0, width=1.0) -> tuple[dict, dict, int]:
    """Weights, vectors of the spectral norm, and the number of the trunks' features, of `Heads`."""
    widths = {4: 256, 8: 128, 16: 64}
    weights, vectors, before = {}, {}, 0
    outputs = 1 + (EMBEDDED if classes else 0)

    def add(key, shape):
        weights[key] = random.normal(0, 0.02, shape).astype(np.float32)
        vector = random.normal(size=shape[-1])
        vectors[key] = (vector / np.linalg.norm(vector)).astype(np.float32)

    for index, (side, channels) in enumerate(shapes):
        before, blocks = 2 * channels, max(1, round(math.log2(side / 4)))
        for block in range(blocks):
            after = max(1, round(widths.get(max(4, side >> (block + 1)), widths[16]) * width))
            key = f"map{index}_conv{block}"
            add(key, (4, 4, before, after))
            weights[f"{key}/scale"], weights[f"{key}/offset"] = np.ones(after, np.float32), np.zeros(after, np.float32)
            before = after
        add(f"map{index}_logits", (4, 4, before, outputs))
        weights[f"map{index}_logits_bias"] = np.zeros(outputs, np.float32)
        if classes:
            weights[f"map{index}_classes"] = random.normal(size=(classes, EMBEDDED)).astype(np.float32)
    return weights, vectors, len(shapes) * before


def heads(weights: Weights, vectors: Weights, maps, partners, labels, compute):
    """Logits `[batch, n]`, trunks `[batch, features]` and the next vectors of `Heads` in training."""
    following, logits, trunks = dict(vectors), [], []

    def kernel(key):
        normed, following[key] = spectrally_normalised(weights[key], vectors[key])
        return normed.astype(compute)

    for index, x in enumerate(maps):
        undoubled = x.shape[-1] != 3  # all but the colours are seen doubled
        if undoubled and x.shape[1] <= 2:
            x, undoubled = bilinear_doubled(x), False
        x = jnp.concatenate([x, x[partners]], -1)
        block = 0
        while f"map{index}_conv{block}" in weights:
            key = f"map{index}_conv{block}"
            if undoubled and block == 0:
                x = conv(x, on_doubled(kernel(key)), 1)
            else:
                x = conv(x, kernel(key), 1 if x.shape[1] <= 4 else 2)
            x = (batch_norm(x)[0] * weights[f"{key}/scale"] + weights[f"{key}/offset"]).astype(compute)
            x = jax.nn.leaky_relu(x, 0.2)
            block += 1
        trunks.append(x.mean((1, 2)))
        key = f"map{index}_logits"
        x = conv(x, kernel(key), 1, [(1, 1), (1, 1)]) + weights[f"{key}_bias"].astype(compute)
        y = x[..., 0]
        if labels is not None:
            embedding = weights[f"map{index}_classes"].astype(compute)[labels][:, None, None]
            y = y + (x[..., 1:] * embedding).sum(-1) / math.sqrt(EMBEDDED)
        logits.append(y.reshape(len(y), -1))
    return jnp.concatenate(logits, 1).astype(jnp.float32), jnp.concatenate(trunks, 1), following


def nearest_doubled(x):
    return jnp.repeat(jnp.repeat(x, 2, 1), 2, 2)


def resize_convolution(x, kernel, padding=1):
    sides = [(0, 0), (padding, padding), (padding, padding), (0, 0)]
    return conv(jnp.pad(nearest_doubled(x), sides, mode="edge"), kernel, 1, "VALID")


def without_margin(x, margin):
    return x[:, margin:-margin, margin:-margin]


def augment(images, key, cut, reach: int = 8):
    """Translation by up to `reach` pixels and a square of `cut` pixels (a traced number) set to 0, each image apart.

    Gives a function of images, so that real and generated ones get the same draw.
    """
    cut = jnp.asarray(cut).astype(jnp.int32)
    count, size = images.shape[:2]
    moves_key, cut_key = jax.random.split(key)
    moves = jax.random.randint(moves_key, (2, count), -reach, reach + 1)
    sources = jnp.arange(size) - moves[..., None]
    down, right = jax.nn.one_hot(sources, size)
    last = size + 1 - cut % 2
    centres = jnp.floor(jax.random.uniform(cut_key, (2, count)) * last).astype(jnp.int32)
    distance = jnp.arange(size) - (centres[..., None] - cut // 2)
    rows, columns = (distance >= 0) & (distance < cut)
    kept = ~(rows[:, :, None] & columns[:, None, :])[..., None]

    def moved(images):
        x = jnp.einsum("bij,bjkc,blk->bilc", down, images, right, precision="highest")
        return jnp.where(kept, x, 0.0)

    return moved


def adam_init(weights: Weights) -> dict:
    zeros = jax.tree.map(jnp.zeros_like, weights)
    return {"m": zeros, "v": zeros}


def adam(weights, moments, gradients, rate, step, beta_1=0.0, beta_2=0.999, epsilon=1e-8):
    """One step of Adam, epsilon after the bias correction; `step` counts from 1."""
    m = jax.tree.map(lambda m, g: beta_1 * m + (1 - beta_1) * g, moments["m"], gradients)
    v = jax.tree.map(lambda v, g: beta_2 * v + (1 - beta_2) * g * g, moments["v"], gradients)
    c1, c2 = 1 - beta_1**step, 1 - beta_2**step
    new = jax.tree.map(lambda w, m, v: w - rate * (m / c1) / (jnp.sqrt(v / c2) + epsilon), weights, m, v)
    return new, {"m": m, "v": v}


def falling(numbers, count):
    """The factor on the rates at step `count` (from 1) of a training with `numbers.steps`: 1, and from a share
    `decay_from` of it on towards 0."""
    progress = count / numbers.steps
    left = jnp.maximum((1 - progress) / jnp.maximum(1 - numbers.decay_from, 1e-9), 0.01)
    return jnp.where(progress > numbers.decay_from, left, 1.0)


def averaged(average: Weights, weights: Weights, decay, count) -> Weights:
    """The moving average after step `count`; see `lesiongan.models.averaging`."""
    share = 1 - jnp.minimum(decay, count / (count + 9.0))
    return jax.tree.map(lambda a, b: a + share * (b - a), average, weights)


def hinge(real, fake):
    return jax.nn.relu(1 - real).mean() + jax.nn.relu(1 + fake).mean()
