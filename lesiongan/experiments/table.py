"""An experiment's table from a whole configuration: for plans and pipelines, which know all of it.

It stands apart from `cells`, so that a training depends on the groups of options that it uses, and on no other.
"""

from __future__ import annotations

from lesiongan.config.run import Config
from lesiongan.experiments.cells import Cell, experiment_cells, limiting_resolution


def table_cells(experiment: str, config: Config, classes: tuple[str, ...]) -> list[Cell]:
    """The cells of `nevus_to_melanoma` or `noise_to_lesion` for data of these classes."""
    resolution = limiting_resolution(config.acgan.size, config.classifier.size)
    return experiment_cells(config.experiment(experiment), config.grid, classes, resolution=resolution)
