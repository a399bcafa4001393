"""What a run on a cluster would be: its tasks, how many run side by side, GPU hours, the time that it takes, disk."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from lesiongan.config.run import Config
from lesiongan.experiments.cells import Cell, cell_steps, parts
from lesiongan.experiments.table import table_cells
from pipelines.cluster_profile import ClusterProfile
from pipelines.costs import COMPILATION, DEVICE, Measured, assumed, nearest, works
from pipelines.plan import Counts, Trainings, disk, duration_of, trainings

#: Numbers per weight that a training's folder holds: the weight and two moments, in two checkpoints and in one that is
#: being written.
_CHECKPOINTS = 9


@dataclasses.dataclass(frozen=True)
class Stage:
    """Trainings that wait for the same, and so may run side by side.

    Attributes:
        seconds: of each task.
        limit: of tasks side by side; 0: none.
    """

    seconds: tuple[float, ...]
    limit: int = 0

    @property
    def at_once(self) -> int:
        return min(len(self.seconds), self.limit or len(self.seconds))

    @property
    def longest(self) -> float:
        """Seconds from its first task's begin to its last one's end, where the longest begin first."""
        machines = [0.0] * self.at_once
        for seconds in sorted(self.seconds, reverse=True):
            machines[machines.index(min(machines))] += seconds
        return max(machines, default=0.0)


def tasks(pipeline: Any) -> dict[str, int]:
    """How often each task of a pipeline (`definitions.experiment_pipeline`) runs, as its loops say."""
    spec = pipeline.pipeline_spec
    found: dict[str, int] = {}

    def walk(dag: Any, times: int) -> None:
        for name, task in dag.tasks.items():
            looped = task.HasField("parameter_iterator")
            turns = times * (len(json.loads(task.parameter_iterator.items.raw)) if looped else 1)
            component = spec.components[task.component_ref.name]
            if component.HasField("dag"):
                walk(component.dag, turns)
            else:
                found[name] = found.get(name, 0) + turns

    walk(spec.root.dag, 1)
    return found


def lines(
    experiment: str,
    config: Config,
    counts: Counts,
    profile: ClusterProfile,
    pipeline: Any,
    measured: tuple[str, Mapping[str, Measured]] | None = None,
) -> list[str]:
    """The plan of an experiment on a cluster, for a person; arguments as of `plan.lines`, and the pipeline."""
    cells = table_cells(experiment, config, tuple(counts.train))
    number = tasks(pipeline)
    several = ", ".join(f"{count} x {name}" for name, count in number.items() if count > 1)
    stages = trained_together(experiment, config, counts, cells, profile.at_once, measured)
    at_once = max(stage.at_once for stage in stages)
    gpus = profile.gpus("train")
    hours = sum(sum(stage.seconds) for stage in stages) / 3600 * max(gpus, 1)
    device = measured[0] if measured else f"{DEVICE}, where a step was measured (--measure times this machine)"
    weights = max(step.weights for step in works(config).values())
    return [
        f"{sum(number.values())} tasks{f': {several}, the others once' if several else ''}",
        f"up to {at_once} trainings side by side, each with {gpus} GPU{'s' if gpus != 1 else ''}",
        f"{hours:.2g} {'GPU hours' if gpus else 'hours'} of training, from start to end "
        f"{duration_of(sum(stage.longest for stage in stages))}, as on {device}",
        f"disk: about {disk(experiment, config, counts, cells) / 1e9:.1f} GB of artifacts in the cluster's object "
        f"storage, and {at_once * _CHECKPOINTS * 4 * weights / 1e9:.1f} GB of checkpoints on the volume",
    ]


def trained_together(
    experiment: str,
    config: Config,
    counts: Counts,
    cells: Sequence[Cell],
    limit: int,
    measured: tuple[str, Mapping[str, Measured]] | None,
) -> list[Stage]:
    """The trainings of a run in the order in which they wait for each other."""
    work, steps = works(config), measured[1] if measured else assumed(config)

    def seconds(network: str, number: float) -> float:
        known = steps[network]
        step = known if isinstance(known, Measured) else nearest(work[network], known)
        return COMPILATION[network] + number * step.seconds_of(work[network])

    planned = {part.what: part for part in trainings(experiment, config, counts, cells)}
    before = [part for what, part in planned.items() if what in ("the first classifier, which judges", "ACGAN")]
    before += [part for what, part in planned.items() if what == "out-of-fold classifiers"]
    stages = [Stage((seconds(part.network, part.steps),)) for part in before]
    cyclegans = planned.get("CycleGANs")
    if cyclegans:
        stages.append(Stage(_alike(cyclegans, seconds), limit))
    images = sum(counts.train.values())
    own = {cell.name: cell_steps(config.classifier, config.grid, cell, images) for cell in cells}
    first = config.classifier.steps(images)
    grid = []
    for seed, names in parts(cells, config.grid):
        started = (
            first if config.grid.warm_start and seed else 0
        )  # the first seed goes on from the classifier that judges
        grid.append(seconds("classifier", started + sum(own[name] for name in names)))
    stages.append(Stage(tuple(grid), limit))
    return stages


def _alike(part: Trainings, seconds: Any) -> tuple[float, ...]:
    """Of trainings of one kind, each of which is planned as long as their mean."""
    return (seconds(part.network, math.ceil(part.steps / part.number)),) * part.number
