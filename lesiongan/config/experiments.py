"""The two experiments: which images are generated, and how many are added."""

from __future__ import annotations

import dataclasses
from typing import Literal

from lesiongan.base.errors import UsageError
from lesiongan.config.checks import all_differ, at_least, known_choices, require


@dataclasses.dataclass(frozen=True)
class NevusToMelanomaConfig:
    """Experiment 2."""

    source: str = "NV"  # the class that images are made of
    target: str = "MEL"  # the class that they become
    # shares of the target's images, those that the classifier ranks highest, that a CycleGAN learns from; one CycleGAN
    # per alpha; none (`alphas=`) with `grid.synthetic`: no CycleGAN, only images made elsewhere
    alphas: tuple[float, ...] = (0.125, 0.25, 0.5, 1.0)
    folds: int = 0  # rank by out-of-fold scores of so many folds; 0: by the classifier's own
    amounts: tuple[int, ...] = (500, 1000, 2000, 3000, 4000, 5000, 6000, 7000)  # added images per cell

    name = "nevus_to_melanoma"

    def __post_init__(self):
        _check_amounts(self)
        for alpha in self.alphas:
            require(0.0 < alpha <= 1.0, f"{self.name}.alphas", f"{alpha:g} is not above 0 and at most 1")
        all_differ(self.name, "alphas", self.alphas)
        at_least(self, self.name, 0, ("folds",))
        if self.source == self.target:
            raise UsageError(f"options '{self.name}.source' and '{self.name}.target' are the same class")


@dataclasses.dataclass(frozen=True)
class NoiseToLesionConfig:
    """Experiment 1."""

    classes: tuple[str, ...] = ()  # the classes that get images and a CycleGAN; none: all
    amounts: tuple[int, ...] = (2000, 4000, 8000, 16000, 24000)  # added images per cell, over all classes
    # of an amount over the classes: `equal`, `proportional`, `levelling`
    distribution: Literal["equal", "proportional", "levelling"] = "equal"
    with_validation: bool = False  # build the GANs on training and validation images, as in the paper

    name = "noise_to_lesion"

    def __post_init__(self):
        known_choices(self, self.name)
        _check_amounts(self)
        all_differ(self.name, "classes", self.classes)


#: Either experiment.
ExperimentConfig = NevusToMelanomaConfig | NoiseToLesionConfig


def _check_amounts(config: ExperimentConfig) -> None:
    amounts = config.amounts
    require(
        bool(amounts) and min(amounts) >= 1,
        f"{config.name}.amounts",
        f"give at least one positive number of images, got {amounts}",
    )
    all_differ(config.name, "amounts", amounts)
