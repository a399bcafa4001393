"""The ACGAN of recipe `best` and its training step in PyTorch, written for the comparison; see
`lesiongan.models.acgan.projected`."""

from __future__ import annotations

import copy
import itertools
import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.functional import cross_entropy

from benchmarks.torch_projected import FrozenFeatures, Heads, ResizeConv, doubled, draw, hinge, move_average
from benchmarks.torch_variants import begin, fitted

GENERATOR_WIDTHS = {32: (128, 128, 64, 32), 64: (192, 192, 96, 48, 32), 128: (192, 192, 192, 96, 48, 32)}


class ConditionalNorm(nn.Module):
    """Batch norm, scale and offset linear in class and noise, ReLU (Brock et al. 2019)."""

    def __init__(self, channels: int, latent: int, classes: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale, self.offset = (nn.Linear(latent, channels, bias=False) for _ in range(2))
        for part, of_class in ((self.scale, 1.0), (self.offset, 0.0)):
            nn.init.normal_(part.weight, 0.0, 0.02)
            nn.init.constant_(part.weight[:, :classes], of_class)

    def forward(self, x, noise):
        return F.relu(self.norm(x) * self.scale(noise)[:, :, None, None] + self.offset(noise)[:, :, None, None])


class Generator(nn.Module):
    """Noise with labels `[batch, latent]` -> images `[batch, 3, size, size]` in [-1, 1]."""

    def __init__(self, size: int, latent: int, classes: int, width: float = 1.0):
        super().__init__()
        filters = [max(1, round(n * width)) for n in GENERATOR_WIDTHS[size]]
        self.dense = nn.Linear(latent, 64 * filters[0])
        self.blocks = range(1, len(filters))
        self.convs, self.norms = nn.ModuleDict(), nn.ModuleDict()
        for index, (before, after) in enumerate(itertools.pairwise(filters), 1):
            self.convs[f"first_{index}"] = ResizeConv(before, after, bias=True, padding=0)
            self.convs[f"second_{index}"] = nn.Conv2d(after, after, 3)
            self.convs[f"shortcut_{index}"] = nn.Conv2d(before, after, 1, bias=False)
            self.norms[f"first_{index}"] = ConditionalNorm(before, latent, classes)
            self.norms[f"second_{index}"] = ConditionalNorm(after, latent, classes)
        self.convs["image"] = nn.Conv2d(filters[-1], 3, 3)
        self.norms["image"] = ConditionalNorm(filters[-1], latent, classes)
        for name, parameter in (*self.convs.named_parameters(), *self.dense.named_parameters()):
            gain = 2.0 if name.startswith(("first", "second")) else 1.0
            weight = parameter.ndim > 1
            nn.init.normal_(parameter, 0.0, math.sqrt(gain / math.prod(parameter.shape[1:])) if weight else 0.0)

    def forward(self, noise):
        convs, norms = self.convs, self.norms
        x = self.dense(noise).unflatten(1, (-1, 8, 8))
        for index in self.blocks:
            y = convs[f"first_{index}"](norms[f"first_{index}"](x, noise))
            y = convs[f"second_{index}"](norms[f"second_{index}"](y, noise))
            x = y + doubled(convs[f"shortcut_{index}"](x))[..., 2:-2, 2:-2]
        return torch.tanh(convs["image"](norms["image"](inner(x), noise)).float())


def inner(x: torch.Tensor) -> torch.Tensor:
    """Less one pixel on each side."""
    return x[:, :, 1:-1, 1:-1]


class Discriminator(nn.Module):
    """Maps of features and labels -> source logits `[batch, n]`, class logits `[batch, classes]`."""

    def __init__(self, shapes, classes: int, width: float = 1.0):
        super().__init__()
        self.heads = Heads(shapes, classes, width)
        self.classes = nn.Linear(self.heads.features, classes)
        nn.init.normal_(self.classes.weight, 0.0, 0.02)
        nn.init.zeros_(self.classes.bias)

    def forward(self, maps, partners, labels, update: bool = False):
        source, trunks = self.heads(maps, partners, labels, update)
        return source, self.classes(trunks).float()


class ACGAN:
    """`step` trains; gradients stay in the parameters until the next step. Options are those of the recipe."""

    def __init__(self, size: int, *, latent: int, look_size: int, width: float = 1.0, classes: int = 8):
        self.latent, self.num_classes, self.steps = latent, classes, 0
        self.generator = Generator(size, latent, classes, width)
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self.look = FrozenFeatures(size, look_size)
        self.discriminator = Discriminator(self.look.shapes, classes, width)
        self.networks = (self.generator, self.look, self.discriminator)
        adam = {"lr": 4e-4, "betas": (0.0, 0.999), "fused": True}
        self.generator_optimizer = torch.optim.Adam(self.generator.parameters(), **adam)
        self.discriminator_optimizer = torch.optim.Adam(self.discriminator.parameters(), **adam)

    def noise(self, labels: torch.Tensor) -> torch.Tensor:
        """Noise whose first numbers are the one-hot label."""
        noise = torch.randn(len(labels), self.latent)
        noise[:, : self.num_classes] = F.one_hot(labels, self.num_classes)
        return noise

    def step(self, real, labels, noise, drawn=None) -> dict[str, torch.Tensor]:
        """One step of the discriminator, then one of the generator, on the same generated images.

        Args:
            real: float `[batch, 3, size, size]` in [-1, 1].
            labels: int64 `[batch]`, of the generated images too.
            noise: with the labels, see `noise`.
            drawn: of the augmentation, of real and generated images alike.
        """
        partners = partners_of(labels)
        with torch.no_grad():
            real = self.look(real, drawn)
        made = self.look(self.generator(noise), drawn)
        self.discriminator.requires_grad_(True)
        self.discriminator_optimizer.zero_grad()
        real_source, real_class = self.discriminator(real, partners, labels, update=True)
        made_source, _ = self.discriminator([each.detach() for each in made], partners, labels)
        d_class = cross_entropy(real_class, labels)
        d_loss = hinge(real_source, made_source) + d_class
        d_loss.backward()
        self.discriminator_optimizer.step()

        self.discriminator.requires_grad_(False)
        self.generator_optimizer.zero_grad()
        source, classes = self.discriminator(made, partners, labels)
        g_class = cross_entropy(classes, labels)
        g_loss = -source.mean() + 0.1 * g_class
        g_loss.backward()
        self.generator_optimizer.step()
        self.steps += 1
        move_average(self.average, self.generator, 0.999, self.steps)
        return {"d_loss": d_loss, "g_loss": g_loss, "d_class": d_class, "g_class": g_class}


def partners_of(labels: torch.Tensor) -> torch.Tensor:
    """For each image the next one of its class in the batch, round the batch."""
    places = torch.arange(len(labels))
    distances = (places[None] - places[:, None] - 1) % len(labels)
    return torch.where(labels[None] == labels[:, None], distances, len(labels)).argmin(1)


def prepare(argument: dict):
    """`size`, `batch`, `width`, `latent`, `look_size`, and a variant of PyTorch."""
    begin()
    size, batch = argument["size"], argument["batch"]
    options = {name: argument[name] for name in ("latent", "look_size", "width")}
    model = ACGAN(size, **options)
    real = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (batch, 3, size, size)).astype(np.float32))
    labels = torch.arange(batch) % model.num_classes
    (real,) = fitted(argument, model.networks, real)

    def step() -> float:
        losses = model.step(real, labels, model.noise(labels), draw(batch, size))
        return float(sum(loss.detach() for loss in losses.values()))

    return step
