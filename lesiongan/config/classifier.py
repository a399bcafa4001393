"""The lesion classifier, and how it is trained."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from lesiongan.config.checks import at_least, known_choices, require, within


@dataclasses.dataclass(frozen=True)
class ClassifierConfig:
    """The lesion classifier (the paper, section 2; fastai's recipe)."""

    backbone: Literal["resnet50", "efficientnet_lite0"] = "resnet50"
    weights: str = "none"  # `imagenet`, `none`, or the path of a weights file
    stem: Literal["imagenet", "small"] = "imagenet"  # `small`: 3 x 3 stride 2 without pooling, for 64 px or less
    width: float = 1.0  # factor on the backbone's filters; 1 is ResNet50, less is for a first look on a small machine
    size: int = 224  # pixels
    batch: int = 64
    epochs: float = 10.0
    images: int = 0  # budget in images seen; 0: `epochs` decides
    schedule: Literal["one_cycle", "fine_tune"] = "one_cycle"  # fine_tune: fastai's, first the head alone
    frozen_epochs: float = 1.0  # of fine_tune; a third of all steps at most
    rate_multiplier: float = 100.0  # of fine_tune: the head's rate over the first stages'
    learning_rate: float = 1e-3  # the peak of 1cycle; fine_tune: of the frozen phase, half of it in the other
    find_learning_rate: bool = False  # run the finder first and use its `steep` suggestion as the peak
    weight_decay: float = 0.01  # decoupled; none on batch norm and biases
    flips: bool = True
    rotations: bool = True  # by quarter turns
    angle: float = 0.0  # degrees; rotate at random by up to as much, on top of the quarter turns
    zoom: float = 0.0  # enlarge at random by up to this share, about a random place
    colour: float = 0.0  # strength of random brightness, contrast and saturation
    class_balance: Literal["none", "loss", "sampling"] = "none"
    balance_power: float = 1.0  # of class_balance: 1 makes all classes weigh the same, 0.5 goes half the way
    label_smoothing: float = 0.0
    mixup: float = 0.0  # alpha of the Beta distribution; fastai's 0.4
    focal: float = 0.0  # gamma of the focal loss
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"  # mixed_float16 is for GPUs
    tta: bool = False  # test-time augmentation: probabilities are means over the square's eight symmetries

    def __post_init__(self):
        known_choices(self, "classifier")
        at_least(self, "classifier", 1, ("size", "batch"))
        at_least(self, "classifier", 0, ("images", "angle", "colour", "mixup", "focal", "weight_decay"))
        within(self, "classifier", 0.0, 1.0, ("label_smoothing", "zoom"))
        require(self.width > 0, "classifier.width", f"{self.width} is not positive")
        require(
            self.stem == "imagenet" or self.backbone == "resnet50",
            "classifier.stem",
            f"{self.stem} is for resnet50, {self.backbone} has none: "
            "use --set classifier.stem=imagenet or --set classifier.backbone=resnet50",
        )

    def steps(self, images: int) -> int:
        """Steps of a training on so many images: from the budget `images` where it is set, else from `epochs`."""
        return max(1, math.ceil((self.images or self.epochs * images) / self.batch))
