"""Everything that a run depends on, apart from the data and the seed."""

from __future__ import annotations

import dataclasses
from typing import Literal

from lesiongan.base.errors import UsageError
from lesiongan.config.acgan import ACGANConfig
from lesiongan.config.checks import known_choices, require
from lesiongan.config.classifier import ClassifierConfig
from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.config.data import DataConfig
from lesiongan.config.evaluation import EvaluationConfig
from lesiongan.config.experiments import ExperimentConfig, NevusToMelanomaConfig, NoiseToLesionConfig
from lesiongan.config.grid import GridConfig


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that a run depends on, apart from the data and the seed."""

    # which recipe the preset filled in, `paper` or `best`; for records. `--recipe` chooses one, setting this alone
    # changes nothing
    recipe: Literal["paper", "best"] = "best"
    # at which scale, `demo`, `small`, `study` or `full`; for records, likewise
    scale: Literal["demo", "small", "study", "full"] = "demo"
    data: DataConfig = DataConfig()
    classifier: ClassifierConfig = ClassifierConfig()
    acgan: ACGANConfig = ACGANConfig()
    cyclegan: CycleGANConfig = CycleGANConfig()
    nevus_to_melanoma: NevusToMelanomaConfig = NevusToMelanomaConfig()
    noise_to_lesion: NoiseToLesionConfig = NoiseToLesionConfig()
    grid: GridConfig = GridConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    def __post_init__(self):
        """Refuses groups that do not fit together; each group has checked itself."""
        known_choices(self)
        require(
            bool(self.nevus_to_melanoma.alphas or self.grid.synthetic),
            "nevus_to_melanoma.alphas",
            "without an alpha no CycleGAN makes images; give at least one, or images made elsewhere with --synthetic",
        )
        balanced = {"oversampling", "class_weights"} & set(self.grid.controls)
        if balanced and self.classifier.class_balance != "none":
            raise UsageError(
                f"option 'grid.controls': {min(balanced)} says nothing where classifier.class_balance is "
                f"{self.classifier.class_balance} for every cell; set that to none"
            )

    def experiment(self, name: str) -> ExperimentConfig:
        """The group of an experiment, `nevus_to_melanoma` or `noise_to_lesion`."""
        return getattr(self, name)
