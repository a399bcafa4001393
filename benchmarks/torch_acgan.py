"""The ACGAN and its training step in PyTorch, written for the comparison (Odena et al. 2017; clvrai/ACGAN-PyTorch).

The networks are those of `lesiongan.models.acgan.networks`, which says what in them is the paper's and what ours.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, softplus

GENERATOR_WIDTHS = {
    32: (384, 256, 192),
    64: (384, 256, 192, 64),
    128: (768, 384, 256, 192, 64),
    256: (768, 384, 256, 192, 96, 64),
}
DISCRIMINATOR_WIDTHS = (16, 32, 64, 128, 256, 512)


class Generator(nn.Module):
    """Noise `[batch, latent]` -> images `[batch, 3, size, size]` in [-1, 1]."""

    def __init__(self, size: int, latent: int, width: float = 1.0):
        super().__init__()
        first, *filters = _scaled(GENERATOR_WIDTHS[size], width)
        published = size == 128
        kernels = [(5, 0)] * len(filters) + [(8, 0)] if published else [(4, 1)] * (len(filters) + 1)
        self.shape = (first, 1, 1) if published else (first, 4, 4)
        self.dense = nn.Linear(latent, int(np.prod(self.shape)))
        layers = [] if published else _normed(first, nn.ReLU(inplace=True))
        for before, after, (kernel, padding) in zip([first, *filters], [*filters, 3], kernels, strict=True):
            layers.append(nn.ConvTranspose2d(before, after, kernel, stride=2, padding=padding, bias=False))
            layers += [nn.Tanh()] if after == 3 else _normed(after, nn.ReLU(inplace=True))
        self.layers = nn.Sequential(*layers)

    def forward(self, noise):
        return self.layers(self.dense(noise).unflatten(1, self.shape)).float()


class Discriminator(nn.Module):
    """Images `[batch, 3, size, size]` -> source logits `[batch, 1]`, class logits `[batch, classes]`."""

    def __init__(self, size: int, classes: int, width: float = 1.0, dropout: float = 0.5):
        super().__init__()
        layers, channels = [], 3
        for index, filters in enumerate(_scaled(DISCRIMINATOR_WIDTHS, width)):
            stride = 2 - index % 2
            layers.append(nn.Conv2d(channels, filters, 3, stride=stride, padding=stride - 1, bias=False))
            activation = nn.LeakyReLU(0.2, inplace=True)
            layers += _normed(filters, activation) if index else [activation]
            layers += [nn.Dropout(dropout)] if dropout else []
            channels = filters
            size = (size - 1) // 2 + 1 if stride == 2 else size - 2
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.source = nn.Linear(channels * size * size, 1)
        self.classes = nn.Linear(channels * size * size, classes)

    def forward(self, images):
        x = self.layers(images)
        return self.source(x).float(), self.classes(x).float()


class ACGAN:
    """`step` trains; gradients stay in the parameters until the next step."""

    def __init__(
        self,
        size: int,
        *,
        latent: int = 110,
        classes: int = 8,
        width: float = 1.0,
        dropout: float = 0.5,
    ):
        self.latent, self.num_classes = latent, classes
        self.generator, self.discriminator = (
            Generator(size, latent, width),
            Discriminator(size, classes, width, dropout),
        )
        for network in (self.generator, self.discriminator):
            for name, parameter in network.named_parameters():
                norm = parameter.ndim == 1 and name.endswith("weight")
                nn.init.normal_(parameter, float(norm), 0.0 if name.endswith("bias") else 0.02)
        adam = {"lr": 2e-4, "betas": (0.5, 0.999), "fused": True}
        self.generator_optimizer = torch.optim.Adam(self.generator.parameters(), **adam)
        self.discriminator_optimizer = torch.optim.Adam(self.discriminator.parameters(), **adam)

    def draw(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Noise whose first numbers are the one-hot label, and the labels."""
        labels = torch.randint(self.num_classes, (count,))
        noise = torch.randn(count, self.latent)
        noise[:, : self.num_classes] = nn.functional.one_hot(labels, self.num_classes)
        return noise, labels

    def step(self, real, labels, noise, fake_labels) -> dict[str, torch.Tensor]:
        """One step of the discriminator, then one of the generator, on the same generated images; the class head
        learns from real images only.

        Args:
            real: float `[batch, 3, size, size]` in [-1, 1].
            labels, fake_labels: int64 `[batch]`.
            noise: see `draw`.
        """
        fake = self.generator(noise)
        self.discriminator.requires_grad_(True)
        self.discriminator_optimizer.zero_grad()
        source, classes = self.discriminator(real)
        losses = {"d_real": softplus(-source).mean(), "d_class": cross_entropy(classes, labels)}
        (losses["d_real"] + losses["d_class"]).backward()
        losses["d_fake"] = softplus(self.discriminator(fake.detach())[0]).mean()
        losses["d_fake"].backward()
        self.discriminator_optimizer.step()

        self.discriminator.requires_grad_(False)
        self.generator_optimizer.zero_grad()
        source, classes = self.discriminator(fake)
        losses |= {"g_adversarial": softplus(-source).mean(), "g_class": cross_entropy(classes, fake_labels)}
        (losses["g_adversarial"] + losses["g_class"]).backward()
        self.generator_optimizer.step()
        return losses


def _scaled(widths, factor: float) -> list[int]:
    return [max(1, round(width * factor)) for width in widths]


def _normed(channels: int, activation: nn.Module) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels, eps=1e-5, momentum=0.1), activation]


def prepare(argument: dict):
    """`size`, `batch`, `width`, and a variant of PyTorch."""
    from benchmarks.torch_variants import begin, fitted

    begin()
    model = ACGAN(argument["size"], width=argument["width"])
    rng = np.random.default_rng(0)
    batch, size = argument["batch"], argument["size"]
    real = torch.from_numpy(rng.uniform(-1, 1, (batch, 3, size, size)).astype(np.float32))
    labels = torch.arange(batch) % model.num_classes
    (real,) = fitted(argument, (model.generator, model.discriminator), real)

    def step() -> float:
        return float(sum(loss.detach() for loss in model.step(real, labels, *model.draw(batch)).values()))

    return step
