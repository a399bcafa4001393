"""CycleGAN and its training step in PyTorch, written for the comparison (Zhu et al. 2017).

Networks, the layout of their state dicts and the order of a step are those of the authors' pytorch-CycleGAN-and-pix2pix
(models/networks.py, models/cycle_gan_model.py): `model.1.weight`, `model.10.conv_block.1.weight`, ...
"""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn.functional import l1_loss


class ResnetBlock(nn.Module):
    def __init__(self, channels: int, dropout: bool = False, norm: type[nn.Module] = nn.InstanceNorm2d):
        super().__init__()
        bias = norm is nn.InstanceNorm2d
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            norm(channels),
            nn.ReLU(inplace=True),
            *([nn.Dropout(0.5)] if dropout else []),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            norm(channels),
        )

    def forward(self, x):
        return x + self.conv_block(x)


class ResnetGenerator(nn.Module):
    """Convolutions have biases where the norm is an instance norm, as in the authors' code."""

    def __init__(self, blocks: int, ngf: int = 64, dropout: bool = False, norm: type[nn.Module] = nn.InstanceNorm2d):
        super().__init__()
        bias = norm is nn.InstanceNorm2d

        def activated(convolution: nn.Module, channels: int) -> list[nn.Module]:
            return [convolution, norm(channels), nn.ReLU(inplace=True)]

        layers = [nn.ReflectionPad2d(3), *activated(nn.Conv2d(3, ngf, 7, bias=bias), ngf)]
        for n in (ngf, 2 * ngf):
            layers += activated(nn.Conv2d(n, 2 * n, 3, stride=2, padding=1, bias=bias), 2 * n)
        layers += [ResnetBlock(4 * ngf, dropout, norm) for _ in range(blocks)]
        for n in (4 * ngf, 2 * ngf):
            up = nn.ConvTranspose2d(n, n // 2, 3, stride=2, padding=1, output_padding=1, bias=bias)
            layers += activated(up, n // 2)
        self.model = nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(ngf, 3, 7), nn.Tanh())

    def forward(self, x):
        return self.model(x).float()


class NLayerDiscriminator(nn.Module):
    """The 70 x 70 PatchGAN."""

    def __init__(self, ndf: int = 64):
        super().__init__()
        layers = [nn.Conv2d(3, ndf, 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
        for n, stride in ((ndf, 2), (2 * ndf, 2), (4 * ndf, 1)):
            convolution = nn.Conv2d(n, 2 * n, 4, stride=stride, padding=1)
            layers += [convolution, nn.InstanceNorm2d(2 * n), nn.LeakyReLU(0.2, inplace=True)]
        self.model = nn.Sequential(*layers, nn.Conv2d(8 * ndf, 1, 4, padding=1))

    def forward(self, x):
        return self.model(x).float()


class ImagePool:
    """Earlier generated images for a discriminator; `draw` gives whether to swap, and the slot."""

    def __init__(self, capacity: int, draw: Callable[[], tuple[bool, int]] | None = None):
        self.capacity, self.images = capacity, []
        self.draw = draw or (lambda: (random.random() < 0.5, random.randrange(capacity)))

    def query(self, images: torch.Tensor) -> torch.Tensor:
        returned = []
        for image in images.detach().split(1):
            if len(self.images) < self.capacity:
                self.images.append(image.clone())
            elif self.capacity:
                swap, slot = self.draw()
                if swap:
                    image, self.images[slot] = self.images[slot], image.clone()
            returned.append(image)
        return torch.cat(returned)


class CycleGAN:
    """`step(x, y)` trains; gradients stay in the parameters until the next step."""

    def __init__(
        self,
        blocks: int,
        ngf: int,
        ndf: int,
        *,
        cycle: float = 10.0,
        identity: float = 0.5,
        pool: int = 50,
    ):
        self.generator_xy, self.generator_yx = ResnetGenerator(blocks, ngf), ResnetGenerator(blocks, ngf)
        self.discriminator_x, self.discriminator_y = NLayerDiscriminator(ndf), NLayerDiscriminator(ndf)
        self.generators = nn.ModuleList([self.generator_xy, self.generator_yx])
        self.discriminators = nn.ModuleList([self.discriminator_x, self.discriminator_y])
        self.cycle, self.identity = cycle, identity
        self.pool_x, self.pool_y = ImagePool(pool), ImagePool(pool)
        for name, parameter in (*self.generators.named_parameters(), *self.discriminators.named_parameters()):
            nn.init.normal_(parameter, 0.0, 0.0 if name.endswith("bias") else 0.02)
        adam = {"lr": 2e-4, "betas": (0.5, 0.999), "fused": True}
        self.generator_optimizer = torch.optim.Adam(self.generators.parameters(), **adam)
        self.discriminator_optimizer = torch.optim.Adam(self.discriminators.parameters(), **adam)

    def step(self, x: torch.Tensor, y: torch.Tensor) -> dict[str, torch.Tensor]:
        """One step of the generators, then one of the discriminators; the loss terms before their weights.

        Args:
            x: float `[batch, 3, size, size]` in [-1, 1].
            y: the same, of the other domain.
        """
        losses = {}
        self.discriminators.requires_grad_(False)
        self.generator_optimizer.zero_grad()
        fake_y, fake_x = self.generator_xy(x), self.generator_yx(y)
        losses["cycle_x"] = l1_loss(self.generator_yx(fake_y), x)
        losses["cycle_y"] = l1_loss(self.generator_xy(fake_x), y)
        losses["adversarial_xy"] = _towards(self.discriminator_y(fake_y), 1.0)
        losses["adversarial_yx"] = _towards(self.discriminator_x(fake_x), 1.0)
        total = losses["adversarial_xy"] + losses["adversarial_yx"]
        total = total + self.cycle * (losses["cycle_x"] + losses["cycle_y"])
        if self.identity:
            losses["identity_x"] = l1_loss(self.generator_yx(x), x)
            losses["identity_y"] = l1_loss(self.generator_xy(y), y)
            total = total + self.identity * self.cycle * (losses["identity_x"] + losses["identity_y"])
        total.backward()
        self.generator_optimizer.step()

        self.discriminators.requires_grad_(True)
        self.discriminator_optimizer.zero_grad()
        for name, discriminator, real, fake, pool in (
            ("discriminator_x", self.discriminator_x, x, fake_x, self.pool_x),
            ("discriminator_y", self.discriminator_y, y, fake_y, self.pool_y),
        ):
            shown = pool.query(fake)
            losses[name] = 0.5 * (_towards(discriminator(real), 1.0) + _towards(discriminator(shown), 0.0))
            losses[name].backward()
        self.discriminator_optimizer.step()
        return losses


def _towards(scores: torch.Tensor, target: float) -> torch.Tensor:
    return nn.functional.mse_loss(scores, torch.full_like(scores, target))


def prepare(argument: dict):
    """`size`, `blocks`, `filters`, `batch`, and a variant of PyTorch; the identity loss is on."""
    from benchmarks.torch_variants import begin, fitted

    begin()
    model = CycleGAN(argument["blocks"], argument["filters"], argument["filters"])
    rng = np.random.default_rng(0)
    shape = (2, argument["batch"], 3, argument["size"], argument["size"])
    images = torch.from_numpy(rng.uniform(-1, 1, shape).astype(np.float32))
    x, y = fitted(argument, (*model.generators, *model.discriminators), *images)

    def step() -> float:
        return float(sum(loss.detach() for loss in model.step(x, y).values()))

    return step
