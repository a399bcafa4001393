"""The lesion classifier, and how it is trained."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from lesiongan.config.checks import at_least, known_choices, require, within


@dataclasses.dataclass(frozen=True)
class ClassifierConfig:
    """The lesion classifier (the paper, section 2; fastai's recipe)."""

    backbone: Literal["resnet50", "efficientnet_lite0"] = "resnet50"  # `resnet50` (the paper's) or `efficientnet_lite0`
    weights: str = "none"  # `imagenet`, `none`, or a weights file
    # `small`: 3 x 3 with stride 2 and no pooling, for ResNet50 at 64 px or less
    stem: Literal["imagenet", "small"] = "imagenet"
    width: float = 1.0  # factor on the backbone's filters
    size: int = 224  # pixels
    batch: int = 64  # images per step
    epochs: float = 10.0  # length in epochs, where `images` is 0
    images: int = 0  # length in images seen; 0: `epochs` decides
    # `one_cycle`, or `fine_tune`: first the head on a frozen backbone, then everything
    schedule: Literal["one_cycle", "fine_tune"] = "one_cycle"
    frozen_epochs: float = 1.0  # of `fine_tune`: epochs of the first phase, a third of all steps at most
    rate_multiplier: float = 100.0  # of `fine_tune`: the head's rate over the first stages'
    learning_rate: float = 1e-3  # the peak of 1cycle; with `fine_tune` of the frozen phase, half of it in the other
    find_learning_rate: bool = False  # run the finder first and take its `steep` suggestion as the peak
    weight_decay: float = 0.01  # decoupled; none on batch norm and biases
    flips: bool = True  # mirror at random
    rotations: bool = True  # quarter turns at random
    angle: float = 0.0  # degrees: rotate at random by up to as much
    zoom: float = 0.0  # enlarge at random by up to this share
    colour: float = 0.0  # strength of random brightness, contrast and saturation
    # `loss`: rare classes weigh more; `sampling`: they are drawn more often
    class_balance: Literal["none", "loss", "sampling"] = "none"
    balance_power: float = 1.0  # of `class_balance`: 1 all the way, 0.5 half the way
    label_smoothing: float = 0.0  # share of the target that is spread over all classes
    mixup: float = 0.0  # alpha of the Beta distribution by which images are mixed
    focal: float = 0.0  # gamma of the focal loss; 0: cross-entropy
    # `mixed_float16` or `mixed_bfloat16`, for GPUs
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    tta: bool = False  # mean of the probabilities over the square's eight symmetries
    replicas: int = 1  # GPUs of a machine that share each batch, with the result of one; 0: all that there are
    rollbacks: int = 0  # how often a training that diverges goes back to its last checkpoint; 0: it ends
    rollback_rate: float = 0.5  # factor on the learning rate each time

    def __post_init__(self):
        known_choices(self, "classifier")
        at_least(self, "classifier", 0, ("rollbacks", "replicas"))
        within(self, "classifier", 0.0, 1.0, ("rollback_rate",))
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
