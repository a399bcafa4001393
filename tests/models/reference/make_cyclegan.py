"""Writes cyclegan.npz, what PyTorch says of small CycleGANs and of their training steps, and netG.pth, a generator.

The networks and the step are those of benchmarks/torch_cyclegan.py. Needs torch; run as `python make_cyclegan.py`.
Weights and pictures come from seeds, so that the tests make them again without PyTorch.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

SIZE, BLOCKS, NGF, NDF = 32, 2, 4, 4
#: (swap, slot) of each domain's pool of two images, after the two steps that fill it.
DRAWS = {"x": [(True, 1), (False, 0), (True, 1)], "y": [(False, 0), (True, 0), (True, 1)]}
STEPS = 5
NETWORKS = ("generator_xy", "generator_yx", "discriminator_x", "discriminator_y")
PTH_NGF = 2


def generator_state(rng: np.random.Generator, ngf: int = NGF, blocks: int = BLOCKS, place: int = 5) -> dict:
    """A random state dict of the authors' ResNet generator, written out by hand; float32.

    Args:
        place: of the second convolution in a block, 5, or 6 where there is a dropout before it.
    """
    shapes = {"model.1": (ngf, 3, 7, 7), "model.4": (2 * ngf, ngf, 3, 3), "model.7": (4 * ngf, 2 * ngf, 3, 3)}
    for block in range(10, 10 + blocks):
        shapes[f"model.{block}.conv_block.1"] = shapes[f"model.{block}.conv_block.{place}"] = (4 * ngf, 4 * ngf, 3, 3)
    transposed = {f"model.{10 + blocks}": (4 * ngf, 2 * ngf, 3, 3), f"model.{13 + blocks}": (2 * ngf, ngf, 3, 3)}
    shapes |= {**transposed, f"model.{17 + blocks}": (3, ngf, 7, 7)}
    return _random(rng, shapes, {name: shape[1 if name in transposed else 0] for name, shape in shapes.items()})


def discriminator_state(rng: np.random.Generator, ndf: int = NDF) -> dict:
    """The same of the authors' NLayerDiscriminator."""
    widths = {0: (ndf, 3), 2: (2 * ndf, ndf), 5: (4 * ndf, 2 * ndf), 8: (8 * ndf, 4 * ndf), 11: (1, 8 * ndf)}
    shapes = {f"model.{number}": (*width, 4, 4) for number, width in widths.items()}
    return _random(rng, shapes, {name: shape[0] for name, shape in shapes.items()})


def _random(rng: np.random.Generator, shapes: dict, biases: dict) -> dict[str, np.ndarray]:
    # wider than N(0, 0.02), so that tanh and the norms' epsilon matter; biases before norms too, which must not matter
    state = {}
    for name, shape in shapes.items():
        state[f"{name}.weight"] = rng.normal(0, 0.1, shape).astype(np.float32)
        state[f"{name}.bias"] = rng.normal(0, 0.1, biases[name]).astype(np.float32)
    return state


def states(seed: int = 0) -> dict[str, dict[str, np.ndarray]]:
    """State dicts of the four networks."""
    rng = np.random.default_rng(seed)
    return {name: generator_state(rng) if "generator" in name else discriminator_state(rng) for name in NETWORKS}


def pair(number: int) -> np.ndarray:
    """x and y of a step: float32 `[2, 1, SIZE, SIZE, 3]` in [-1, 1], coarse and fine noise."""
    rng = np.random.default_rng([1, number])
    coarse = rng.uniform(-1, 1, (2, 1, SIZE // 8, SIZE // 8, 3)).repeat(8, 2).repeat(8, 3)
    return (0.7 * coarse + 0.3 * rng.uniform(-1, 1, coarse.shape)).astype(np.float32)


def adam_gradients() -> np.ndarray:
    """float32 `[5, 4, 4, 3, 8]`, from 1e-10, where Adam's epsilon matters, to 1."""
    rng = np.random.default_rng(2)
    return (rng.normal(size=(5, 4, 4, 3, 8)) * 10.0 ** rng.uniform(-10, 0, (4, 4, 3, 8))).astype(np.float32)


def theirs():
    """The module benchmarks/torch_cyclegan.py."""
    path = Path(__file__).parents[3] / "benchmarks" / "torch_cyclegan.py"
    spec = importlib.util.spec_from_file_location("torch_cyclegan", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def torch_model(seed: int = 0, **options):
    """PyTorch's CycleGAN with the weights of `states(seed)`."""
    import torch

    torch.set_num_threads(1)  # threads cost more than they bring at this size
    model = theirs().CycleGAN(BLOCKS, NGF, NDF, **options)
    for name, state in states(seed).items():
        getattr(model, name).load_state_dict({key: torch.from_numpy(value) for key, value in state.items()})
    return model


def nchw(images: np.ndarray):
    import torch

    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def nhwc(images) -> np.ndarray:
    return images.detach().numpy().transpose(0, 2, 3, 1)


def outputs(seed: int = 0) -> dict[str, np.ndarray]:
    """What each network says of the first pair, NHWC."""
    model, (x, y) = torch_model(seed), map(nchw, pair(0))
    seen = {"generator_xy": x, "generator_yx": y, "discriminator_x": x, "discriminator_y": y}
    return {f"output/{name}": nhwc(getattr(model, name)(images)) for name, images in seen.items()}


def one_step(seed: int = 0, identity: float = 0.5) -> dict[str, np.ndarray]:
    """Losses and gradients of the first step, the pool empty; gradients by the names of state dicts."""
    model = torch_model(seed, identity=identity)
    losses = model.step(*map(nchw, pair(0)))
    return _losses("loss", losses) | _gradients("gradient", model)


def full_pool() -> dict[str, np.ndarray]:
    """Losses and gradients of the discriminators where both pools return what they hold, `pair(1)`."""
    model = torch_model(pool=1)
    (x, y), held = map(nchw, pair(0)), pair(1)
    for pool, image in ((model.pool_x, held[0]), (model.pool_y, held[1])):
        pool.images, pool.draw = [nchw(image)], lambda: (True, 0)
    losses = model.step(x, y)
    kept = {name: value for name, value in losses.items() if name.startswith("discriminator")}
    return _losses("full/loss", kept) | _gradients("full/gradient", model, NETWORKS[2:])


def several_steps() -> dict[str, np.ndarray]:
    """Losses of STEPS steps with pools of two images, whose draws are DRAWS: `[STEPS]` each."""
    model = torch_model(pool=2)
    for pool, draws in ((model.pool_x, DRAWS["x"]), (model.pool_y, DRAWS["y"])):
        pool.draw = iter(draws).__next__
    history = [_losses("steps", model.step(*map(nchw, pair(number)))) for number in range(STEPS)]
    return {name: np.stack([losses[name] for losses in history]) for name in history[0]}


def adam() -> dict[str, np.ndarray]:
    """A variable that starts at 0 after each update, `[5, 4, 4, 3, 8]`."""
    import torch

    gradients = adam_gradients()
    variable = torch.nn.Parameter(torch.zeros(gradients.shape[1:]))
    optimizer = torch.optim.Adam([variable], 2e-4, (0.5, 0.999))
    found = []
    for gradient in gradients:
        variable.grad = torch.from_numpy(gradient)
        optimizer.step()
        found.append(variable.detach().numpy().copy())
    return {"adam": np.stack(found)}


def pth(path: Path) -> dict[str, np.ndarray]:
    """Writes a generator as the authors' code does, and what it makes of the first X."""
    import torch

    network = theirs().ResnetGenerator(BLOCKS, PTH_NGF)
    network.load_state_dict(
        {k: torch.from_numpy(v) for k, v in generator_state(np.random.default_rng(3), PTH_NGF).items()}
    )
    torch.save(network.state_dict(), path)
    return {"pth": nhwc(network(nchw(pair(0)[0])))}


def _losses(prefix: str, losses: dict) -> dict[str, np.ndarray]:
    return {f"{prefix}/{name}": value.detach().numpy() for name, value in losses.items()}


def _gradients(prefix: str, model, networks=NETWORKS) -> dict[str, np.ndarray]:
    return {
        f"{prefix}/{network}/{name}": parameter.grad.numpy()
        for network in networks
        for name, parameter in getattr(model, network).named_parameters()
    }


if __name__ == "__main__":
    found = outputs() | one_step() | full_pool() | several_steps() | adam()
    found |= pth(Path(__file__).with_name("netG.pth"))
    np.savez_compressed(Path(__file__).with_name("cyclegan.npz"), **found)
