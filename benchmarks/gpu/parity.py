"""Whether the JAX steps are this project's: losses of a few steps from the same weights, images and noise.

    python -m benchmarks.gpu.parity write FILE.npz    (TensorFlow, float32, without augmentation)
    python -m benchmarks.gpu.parity compare FILE.npz  (JAX)

The two need not be installed in one environment.
"""

from __future__ import annotations

import argparse

import numpy as np

STEPS = 4
_BATCH = 16


def write(path: str) -> None:
    """Losses of `STEPS` steps of each model, with the weights and inputs that they began with."""
    import lesiongan  # noqa: F401 - before TensorFlow

    arrays = _acgan() | _cyclegan()
    np.savez(path, **arrays)


def _acgan() -> dict:
    import tensorflow as tf

    from benchmarks.variations import RECIPES
    from lesiongan.config.reader import assign
    from lesiongan.config.run import Config
    from lesiongan.models.acgan.model import ACGAN, with_label

    options = RECIPES["acgan"].replace("augment=true", "augment=false").split()
    config = assign(Config(), *options, f"acgan.batch={_BATCH}").acgan
    model = ACGAN(config, 8, 3)
    model.compile()
    random = np.random.default_rng(0)
    labels = np.arange(_BATCH) % 8
    real = random.uniform(-1, 1, (STEPS, _BATCH, 64, 64, 3)).astype(np.float32)
    noise = random.normal(size=(STEPS, _BATCH, config.latent)).astype(np.float32)
    arrays = {
        **{f"acgan/g/{key}": value for key, value in weights_of(model.generator).items()},
        **{f"acgan/d/{key}": value for key, value in weights_of(model.discriminator.heads).items()},
        **{f"acgan/d/{key}": value for key, value in weights_of(model.discriminator).items()},
        **{f"acgan/u/{key}": vector.numpy() for key, vector in model.discriminator.heads.vectors.items()},
        "acgan/real": real,
        "acgan/mix_seed": np.array(model.discriminator.settings["seed"]),
    }
    losses, noises = [], []
    for images, z in zip(real, noise, strict=True):
        with_class = with_label(tf.constant(z), tf.constant(labels), 8)
        noises.append(with_class.numpy())
        seeds = dict.fromkeys(("augment", "real", "fake", "generator"), tf.constant([0, 0], tf.int64))
        model.draw = lambda *_, z=with_class, seeds=seeds, **__: (z, tf.constant(labels, tf.int32), seeds)
        found = model.train_step((tf.constant(images), tf.constant(labels, tf.int32)))
        losses.append([float(found[name]) for name in ("d_loss", "g_loss", "d_class", "g_class")])
    return arrays | {"acgan/noise": np.array(noises), "acgan/losses": np.array(losses)}


def _cyclegan() -> dict:
    import tensorflow as tf

    from benchmarks.variations import RECIPES
    from lesiongan.config.reader import assign
    from lesiongan.config.run import Config
    from lesiongan.models.cyclegan.model import CycleGAN

    options = RECIPES["cyclegan"].replace("augment=true", "augment=false").split()
    config = assign(Config(), *options).cyclegan
    model = CycleGAN(config, seed=3)
    random = np.random.default_rng(1)
    x, y = random.uniform(-1, 1, (2, STEPS, config.batch, 64, 64, 3)).astype(np.float32)
    arrays = {"cyclegan/x": x, "cyclegan/y": y}
    for side, network in (("xy", model.generator_xy), ("yx", model.generator_yx)):
        arrays |= {f"cyclegan/g/{side}/{key}": value for key, value in weights_of(network).items()}
    for side, network in (("x", model.discriminator_x), ("y", model.discriminator_y)):
        arrays |= {f"cyclegan/d/{side}/{key}": value for key, value in weights_of(network.heads).items()}
        arrays |= {f"cyclegan/u/{side}/{key}": vector.numpy() for key, vector in network.heads.vectors.items()}
    losses = []
    for images in zip(x, y, strict=True):
        found = model.train_step(tuple(map(tf.constant, images)))
        cycle = float(found["cycle_x"] + found["cycle_y"])
        g = float(found["adversarial_xy"] + found["adversarial_yx"]) + config.cycle * cycle
        losses.append([g, float(found["discriminator_x"] + found["discriminator_y"]), cycle])
    return arrays | {"cyclegan/losses": np.array(losses)}


def weights_of(network) -> dict[str, np.ndarray]:
    """The weights of a `Network`, by the names that the functions here know them by."""
    arrays = {key: kernel.numpy() for key, kernel in network.kernels.items()}
    arrays |= {f"{key}_bias": bias.numpy() for key, bias in network.biases.items()}
    if hasattr(network, "norms"):
        for part in ("scale", "offset"):
            pieces = network.norms.split(getattr(network.norms, part).value)
            arrays |= {f"{key}/{part}": piece.numpy() for key, piece in pieces.items()}
    return arrays


def compare(path: str, frozen: str) -> None:
    """Prints the losses of both, and the largest relative difference."""
    import jax
    import jax.numpy as jnp

    from benchmarks.gpu import acgan, cyclegan, networks as nets

    jax.config.update("jax_default_matmul_precision", "highest")
    arrays = dict(np.load(path))
    lite = {key[6:]: jnp.asarray(v, jnp.float32) for key, v in np.load(frozen).items() if key.startswith("lite0/")}

    def below(prefix):
        return {key[len(prefix) :]: jnp.asarray(v) for key, v in arrays.items() if key.startswith(prefix)}

    form = acgan.Form(shares=(_BATCH // 8,) * 8, compute="float32")
    state = jax.tree.map(jnp.asarray, acgan.init(0, form))
    weights = {"g": below("acgan/g/"), "d": below("acgan/d/"), "u": below("acgan/u/")}
    for name, value in weights.items():
        assert {k: v.shape for k, v in value.items()} == {k: v.shape for k, v in state[name].items()}, name
    state |= weights | {"average": weights["g"]}
    labels = acgan.labels_of(form)
    pairs, mix = acgan.partners(labels, True), nets.mixing(int(arrays["acgan/mix_seed"]))
    numbers = acgan.Numbers(augmented=0.0)
    step = jax.jit(lambda s, r, z: acgan.step(s, r, z, jax.random.key(0), lite, mix, form, numbers, labels, pairs))
    found = []
    for real, noise in zip(arrays["acgan/real"], arrays["acgan/noise"], strict=True):
        state, losses = step(state, real, noise)
        found.append([float(losses[name]) for name in ("d_loss", "g_loss", "d_class", "g_class")])
    _report("acgan", arrays["acgan/losses"], np.array(found))

    form = cyclegan.Form(compute="float32")
    state = jax.tree.map(jnp.asarray, cyclegan.init(0, form))
    for name, sides in (("g", ("xy", "yx")), ("d", "xy"), ("u", "xy")):
        for side in sides:
            mine = below(f"cyclegan/{name}/{side}/")
            expected = {k: v.shape for k, v in state[name][side].items()}
            assert {k: v.shape for k, v in mine.items()} == expected, (name, side)
            state[name][side] = mine
    numbers, mix = cyclegan.Numbers(augmented=0.0), nets.mixing(0)
    step = jax.jit(lambda s, x, y: cyclegan.step(s, x, y, jax.random.key(0), lite, mix, form, numbers))
    found = []
    for x, y in zip(arrays["cyclegan/x"], arrays["cyclegan/y"], strict=True):
        state, losses = step(state, x, y)
        found.append([float(losses[name]) for name in ("g", "d", "cycle")])
    _report("cyclegan", arrays["cyclegan/losses"], np.array(found))


def _report(name: str, expected: np.ndarray, found: np.ndarray) -> None:
    print(expected.round(5), found.round(5), sep="\n")
    print(f"{name}: largest relative difference {np.max(np.abs(found / expected - 1)):.1e}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("what", choices=("write", "compare"))
    arguments.add_argument("file")
    arguments.add_argument("--frozen", help="the weights that `pack` wrote")
    options = arguments.parse_args()
    write(options.file) if options.what == "write" else compare(options.file, options.frozen)


if __name__ == "__main__":
    main()
