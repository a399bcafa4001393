"""The lesion classifier's training step in PyTorch, written for the comparison: ResNet50 (torchvision's form, v1.5),
fastai's head, AdamW; or EfficientNet-Lite0 of `efficientnet_lite_pytorch` under the same head."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from benchmarks.torch_variants import begin, fitted


class Bottleneck(nn.Module):
    def __init__(self, inputs: int, filters: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(
            *_conv_norm(inputs, filters, 1),
            nn.ReLU(inplace=True),
            *_conv_norm(filters, filters, 3, stride),
            nn.ReLU(inplace=True),
            *_conv_norm(filters, 4 * filters, 1),
        )
        shortcut = stride != 1 or inputs != 4 * filters
        self.shortcut = nn.Sequential(*_conv_norm(inputs, 4 * filters, 1, stride)) if shortcut else nn.Identity()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(self.body(x) + self.shortcut(x))


def _conv_norm(inputs: int, filters: int, size: int, stride: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, filters, size, stride, size // 2, bias=False)
    return [conv, nn.BatchNorm2d(filters)]


def resnet50() -> nn.Module:
    layers: list[nn.Module] = [*_conv_norm(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    for filters, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for block in range(blocks):
            layers.append(Bottleneck(inputs, filters, stride if block == 0 else 1))
            inputs = 4 * filters
    return nn.Sequential(*layers)


class Lite0(nn.Module):
    def __init__(self):
        super().__init__()
        from efficientnet_lite_pytorch import EfficientNet

        self.network = EfficientNet.from_name("efficientnet-lite0")

    def forward(self, x):
        return self.network.extract_features(x)


class Classifier(nn.Module):
    def __init__(self, backbone: nn.Module, features: int, classes: int = 8):
        super().__init__()
        self.backbone = backbone
        self.head = nn.Sequential(
            nn.BatchNorm1d(2 * features),
            nn.Dropout(0.25),
            nn.Linear(2 * features, 512, bias=False),
            nn.ReLU(inplace=True),
            nn.BatchNorm1d(512),
            nn.Dropout(0.5),
            nn.Linear(512, classes, bias=False),
        )

    def forward(self, images):
        maps = self.backbone(images)
        return self.head(torch.cat([maps.amax((2, 3)), maps.mean((2, 3))], 1)).float()


def prepare(argument: dict):
    """`backbone`, `size`, `batch`, and a variant of PyTorch."""
    begin()
    backbone, features = (resnet50(), 2048) if argument["backbone"] == "resnet50" else (Lite0(), 1280)
    model = Classifier(backbone, features).train()
    rng = np.random.default_rng(0)
    size, batch = argument["size"], argument["batch"]
    images = torch.from_numpy(rng.uniform(-1, 1, (batch, 3, size, size)).astype(np.float32))
    labels = torch.from_numpy(rng.integers(0, 8, batch))
    (images,) = fitted(argument, [model], images)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, (0.9, 0.99), 1e-5, 0.01, fused=True)

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        logits = model(images)
        loss = nn.functional.cross_entropy(logits, labels)
        loss.backward()
        optimizer.step()
        return float(loss) + float((logits.argmax(1) == labels).float().mean())

    return step
