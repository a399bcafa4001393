"""Writes acgan.npz, what PyTorch says of small ACGANs and of their first training steps.

The networks and the step are those of benchmarks/torch_acgan.py. Needs torch; run as `python make_acgan.py`. Weights,
noise and pictures come from seeds, so that the tests make them again without PyTorch.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

CLASSES, LATENT, BATCH, STEPS, WIDTH = 3, 12, 4, 3, 1 / 16
#: Size -> widths of the generator's maps, kernels, side of its first map, side of the discriminator's last map: our
#: rule at 32 px, the paper's network at 128 px, both with a sixteenth of the filters.
GENERATORS = {32: ((24, 16, 12), (4, 4, 4), 4, 1), 128: ((48, 24, 16, 12, 4), (5, 5, 5, 5, 8), 1, 13)}
DISCRIMINATOR = (1, 2, 4, 8, 16, 32)


def weights(size: int, seed: int = 0) -> dict[str, dict[str, np.ndarray]]:
    """Network -> name -> value, in our layout and by our names: `kernel/up_1`, `bias/dense`, `scale/up_1`, ..."""
    (first, *filters), kernels, side, last = GENERATORS[size]
    rng = np.random.default_rng(seed)

    def norm(key, width):
        return {f"scale/{key}": rng.normal(1, 0.1, width), f"offset/{key}": rng.normal(0, 0.1, width)}

    generator = {"kernel/dense": rng.normal(0, 0.3, (LATENT, side**2 * first))}
    generator["bias/dense"] = rng.normal(0, 0.1, side**2 * first)
    generator |= norm("dense", first) if size == 32 else {}
    for i, (k, before, after) in enumerate(zip(kernels, (first, *filters), (*filters, 3), strict=True)):
        generator[f"kernel/up_{i + 1}"] = rng.normal(0, 0.1, (k, k, after, before))
        generator |= norm(f"up_{i + 1}", after) if i < len(filters) else {}
    discriminator = {}
    for i, (before, after) in enumerate(zip((3, *DISCRIMINATOR), DISCRIMINATOR, strict=False)):
        discriminator[f"kernel/conv_{i + 1}"] = rng.normal(0, 0.2, (3, 3, before, after))
        discriminator |= norm(f"conv_{i + 1}", after) if i else {}
    for head, outputs in (("source", 1), ("classes", CLASSES)):
        discriminator[f"kernel/{head}"] = rng.normal(0, 0.1, (last**2 * DISCRIMINATOR[-1], outputs))
        discriminator[f"bias/{head}"] = rng.normal(0, 0.1, outputs)
    networks = {"generator": generator, "discriminator": discriminator}
    return {name: {k: v.astype(np.float32) for k, v in values.items()} for name, values in networks.items()}


def as_state(size: int, network: str, ours: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Values by our names and in our layout (weights or their gradients) as PyTorch's state dict has them."""
    state = {}
    side = GENERATORS[size][2]
    for name, value in ours.items():
        kind, key = name.split("/")
        if kind in ("kernel", "bias") and key in ("dense", "source", "classes"):
            if key == "dense":  # its outputs are a map
                places = value.reshape(*value.shape[:-1], side**2, -1)
                value = np.moveaxis(places, -1, -2).reshape(value.shape).T
            elif kind == "kernel":  # its inputs are a map
                places = value.reshape(-1, DISCRIMINATOR[-1], value.shape[-1])
                value = places.transpose(2, 1, 0).reshape(value.shape[::-1])
            state[f"{key}.{'weight' if kind == 'kernel' else 'bias'}"] = value
            continue
        if key == "dense":  # the norm after it
            place = 0
        elif network == "generator":
            place = 3 * int(key[3:]) - (1 if size == 32 else 3) + (kind != "kernel")
        else:
            place = max(0, 3 * int(key[5:]) - 4) + (kind != "kernel")
        if kind == "kernel":
            value = value.transpose(3, 2, 0, 1)
        state[f"layers.{place}.{'bias' if kind == 'offset' else 'weight'}"] = value
    return state


def batch(size: int, number: int) -> tuple[np.ndarray, ...]:
    """Of a step: real images float32 `[BATCH, size, size, 3]`, their labels, noise `[BATCH, LATENT]`, its labels."""
    rng = np.random.default_rng([1, number])
    coarse = rng.uniform(-1, 1, (BATCH, size // 8, size // 8, 3)).repeat(8, 1).repeat(8, 2)
    real = (0.7 * coarse + 0.3 * rng.uniform(-1, 1, coarse.shape)).astype(np.float32)
    labels, fake_labels = rng.integers(0, CLASSES, (2, BATCH))
    noise = rng.normal(size=(BATCH, LATENT)).astype(np.float32)
    noise[:, :CLASSES] = np.eye(CLASSES)[fake_labels]
    return real, labels, noise, fake_labels


def theirs():
    """The module benchmarks/torch_acgan.py."""
    path = Path(__file__).parents[3] / "benchmarks" / "torch_acgan.py"
    spec = importlib.util.spec_from_file_location("torch_acgan", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def steps(size: int, seed: int = 0, count: int = STEPS) -> dict[str, np.ndarray]:
    """Losses of the first steps, `[count]` each, and the first step's gradients by the names of state dicts."""
    import torch

    torch.set_num_threads(1)  # threads cost more than they bring at this size
    model = theirs().ACGAN(size, latent=LATENT, classes=CLASSES, width=WIDTH, dropout=0.0)
    for name, ours in weights(size, seed).items():
        state = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in as_state(size, name, ours).items()}
        missing, unexpected = getattr(model, name).load_state_dict(state, strict=False)
        assert not unexpected
        assert all("running" in key or "tracked" in key for key in missing)
    found, history = {}, []
    for number in range(count):
        real, *rest = batch(size, number)
        losses = model.step(torch.from_numpy(real.transpose(0, 3, 1, 2).copy()), *map(torch.from_numpy, rest))
        history.append({key: float(value.detach()) for key, value in losses.items()})
        for name in ("generator", "discriminator") if number == 0 else ():
            for key, parameter in getattr(model, name).named_parameters():
                found[f"{size}/gradient/{name}/{key}"] = parameter.grad.numpy().copy()
    return found | {f"{size}/loss/{key}": np.array([losses[key] for losses in history]) for key in history[0]}


if __name__ == "__main__":
    np.savez_compressed(Path(__file__).with_name("acgan.npz"), **(steps(32) | steps(128)))
