"""The CycleGAN of recipe `best` and its training step in PyTorch, written for the comparison; see
`lesiongan.models.cyclegan.additive`."""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.functional import l1_loss

from benchmarks.torch_projected import FrozenFeatures, Heads, ResizeConv, draw, hinge, move_average
from benchmarks.torch_variants import begin, fitted


class AdditiveGenerator(nn.Module):
    """`clip(x + 2 tanh(r(x)), -1, 1)` of `[batch, 3, size, size]`."""

    def __init__(self, filters: int, blocks: int):
        super().__init__()
        n, self.blocks = filters, range(1, blocks + 1)

        def conv(before, after, size=3, stride=1):
            return nn.Conv2d(before, after, size, stride, padding=1, padding_mode="reflect", bias=False)

        self.convs = nn.ModuleDict({"stem": conv(3, n), "down_1": conv(n, 2 * n, 4, 2)})
        self.convs["down_2"] = conv(2 * n, 4 * n, 4, 2)
        for block in self.blocks:
            self.convs[f"residual_{block}_first"] = conv(4 * n, 4 * n)
            self.convs[f"residual_{block}_second"] = conv(4 * n, 4 * n)
        for number, wide in ((1, 2 * n), (2, n)):
            self.convs[f"up_{number}"] = ResizeConv(2 * wide, wide, bias=False)
            self.convs[f"joined_{number}"] = conv(2 * wide, wide)
        self.convs["last"] = nn.Conv2d(n, 3, 3, padding=1, padding_mode="reflect")
        for name, parameter in self.convs.named_parameters():
            gain = 1e-4 if name.startswith("last") else 0.2 if "second" in name else 2.0
            weight = parameter.ndim > 1
            nn.init.normal_(parameter, 0.0, math.sqrt(gain / math.prod(parameter.shape[1:])) if weight else 0.0)

    def forward(self, images):
        def normed(x):
            return F.relu(F.instance_norm(x), inplace=True)

        convs = self.convs
        x = normed(convs["stem"](F.pad(images, (2, 2, 2, 2), mode="reflect")))
        ways_down = [x]
        for number in (1, 2):
            x = normed(convs[f"down_{number}"](x))
            ways_down.append(x)
        for block in self.blocks:
            x = x + convs[f"residual_{block}_second"](normed(convs[f"residual_{block}_first"](x)))
        for number in (1, 2):
            x = normed(convs[f"up_{number}"](x))
            x = normed(convs[f"joined_{number}"](torch.cat([x, ways_down[2 - number]], 1)))
        return torch.clamp(images + 2 * torch.tanh(convs["last"](x)[:, :, 2:-2, 2:-2].float()), -1, 1)


class CycleGAN:
    """`step(x, y)` trains; gradients stay in the parameters until the next step. Options are those of the recipe: no
    identity loss, no pools."""

    def __init__(self, size: int, *, filters: int, blocks: int, look_size: int, width: float = 1.0):
        self.generator_xy, self.generator_yx = (AdditiveGenerator(filters, blocks) for _ in range(2))
        self.average = copy.deepcopy(self.generator_xy).requires_grad_(False)
        self.look = FrozenFeatures(size, look_size)
        self.discriminator_x, self.discriminator_y = (Heads(self.look.shapes, width=width) for _ in range(2))
        self.generators = nn.ModuleList([self.generator_xy, self.generator_yx])
        self.discriminators = nn.ModuleList([self.discriminator_x, self.discriminator_y])
        self.networks = (*self.generators, self.look, *self.discriminators)
        self.steps = 0
        adam = {"lr": 2e-4, "betas": (0.0, 0.999), "fused": True}
        self.generator_optimizer = torch.optim.Adam(self.generators.parameters(), **adam)
        self.discriminator_optimizer = torch.optim.Adam(self.discriminators.parameters(), **adam)

    def step(self, x, y, of_generators=None, of_discriminators=None) -> dict[str, torch.Tensor]:
        """One step of the generators, then one of the discriminators; the loss terms before their weights.

        Args:
            x: float `[batch, 3, size, size]` in [-1, 1].
            y: the same, of the other domain.
            of_generators, of_discriminators: draws of the augmentation.
        """
        losses = {}
        partners = torch.arange(len(x)).roll(-1)
        self.discriminators.requires_grad_(False)
        self.generator_optimizer.zero_grad()
        fake_y, fake_x = self.generator_xy(x), self.generator_yx(y)
        losses["cycle_x"] = l1_loss(self.generator_yx(fake_y), x)
        losses["cycle_y"] = l1_loss(self.generator_xy(fake_x), y)
        losses["adversarial_xy"] = -self.discriminator_y(self.look(fake_y, of_generators), partners)[0].mean()
        losses["adversarial_yx"] = -self.discriminator_x(self.look(fake_x, of_generators), partners)[0].mean()
        total = losses["adversarial_xy"] + losses["adversarial_yx"]
        (total + 5.0 * (losses["cycle_x"] + losses["cycle_y"])).backward()
        self.generator_optimizer.step()

        self.discriminators.requires_grad_(True)
        self.discriminator_optimizer.zero_grad()
        for name, discriminator, real, fake in (
            ("discriminator_x", self.discriminator_x, x, fake_x),
            ("discriminator_y", self.discriminator_y, y, fake_y),
        ):
            with torch.no_grad():
                real, fake = (self.look(images, of_discriminators) for images in (real, fake))
            scores = discriminator(real, partners, update=True)[0]
            losses[name] = hinge(scores, discriminator(fake, partners)[0])
            losses[name].backward()
        self.discriminator_optimizer.step()
        self.steps += 1
        move_average(self.average, self.generator_xy, 0.999, self.steps)
        return losses


def prepare(argument: dict):
    """`size`, `batch`, `filters`, `blocks`, `look_size`, and a variant of PyTorch."""
    begin()
    size, batch = argument["size"], argument["batch"]
    model = CycleGAN(size, **{name: argument[name] for name in ("filters", "blocks", "look_size")})
    images = np.random.default_rng(0).uniform(-1, 1, (2, batch, 3, size, size)).astype(np.float32)
    x, y = fitted(argument, model.networks, *torch.from_numpy(images))

    def step() -> float:
        losses = model.step(x, y, draw(batch, size), draw(batch, size))
        return float(sum(loss.detach() for loss in losses.values()))

    return step
