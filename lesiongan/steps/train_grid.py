"""Trainer: the classifiers of an experiment's table, all in one process, each cell from the same start.

The predictions artifact is laid out as `lesiongan.evaluation.predictions` says: `cells.csv`, `truth.csv` and
`predictions/` of the usual test set; the same of the validation images and of every further test set in `sets/<name>/`.
A row of `cells.csv` has `share` too, by which the paper's tables name their rows.

A cell's result is in a working folder of its own, named by a digest of all that decides it: its images, its recipe,
its start, what it is evaluated on, and the code. So a grid with more seeds, amounts or controls trains only the new
cells.
"""

from __future__ import annotations

import dataclasses
import shutil
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from lesiongan.base.checkpoint_seconds import CHECKPOINTS
from lesiongan.base.contents import file_digests
from lesiongan.base.errors import LesionganError, MachineError
from lesiongan.base.files import digest_directory, digest_text, write_text
from lesiongan.base.progress import say
from lesiongan.base.sealed import DamagedError, read_sealed, write_sealed
from lesiongan.config.classifier import ClassifierConfig
from lesiongan.config.experiments import ExperimentConfig, NevusToMelanomaConfig, NoiseToLesionConfig
from lesiongan.config.grid import GridConfig
from lesiongan.config.reader import to_json
from lesiongan.data import examples
from lesiongan.data.csv_files import as_csv
from lesiongan.evaluation.predictions import SETS, submission
from lesiongan.experiments.cell_images import CellImages, digest, downsampled_and_restored, evaluation_sets
from lesiongan.experiments.cells import STRONGER, Cell, cell_steps, experiment_cells, limiting_resolution, parts, share
from lesiongan.models.classifier.model import LesionClassifier
from lesiongan.serving import model_artifact, saved_models
from lesiongan.steps.model_run import keep_run
from lesiongan.steps.side_by_side import side_by_side
from lesiongan.steps.step import Task
from lesiongan.steps.train_classifier import STATE
from lesiongan.training.classifier import balanced_weights, load_state, predict, train_classifier

#: Of cells that go on from a trained classifier: there is nothing left to freeze.
_CELL_SCHEDULE: Final = "one_cycle"
_DONE = "done.json"
_FILES = "files"  # of it: the digests of the predictions


OUTPUTS = ("predictions", "model_run")


@dataclasses.dataclass(frozen=True)
class Options:
    experiment: str = "nevus_to_melanoma"  # or `noise_to_lesion`
    classifier: ClassifierConfig = ClassifierConfig()
    grid: GridConfig = GridConfig()
    nevus_to_melanoma: NevusToMelanomaConfig = NevusToMelanomaConfig()
    noise_to_lesion: NoiseToLesionConfig = NoiseToLesionConfig()
    acgan_size: int = 0  # pixels of the ACGAN's images, for the control `acgan_resolution`; 0: there is no ACGAN
    seeds: tuple[int, ...] = ()  # of a part of the grid: its seeds; empty: all
    cells: tuple[str, ...] = ()  # of a part of the grid: the names of its cells; empty: all


def run(task: Task[Options]) -> dict:
    """Inputs: `examples`, `classifier` (the first seed's start); `generated`, `sampled`, `imported`, where they are.
    Outputs: `predictions`, `model_run`.

    Finished cells are never trained again; a cell that fails does not keep the others from being trained, but the step
    ends with an error, so that no failure is cached as a success.
    """
    seeds = task.options.seeds or tuple(range(task.options.grid.seeds))
    cells = _cells(task.options, examples.taxonomy(task.artifact("examples")).classes)
    apart = parts(cells, task.options.grid, seeds, started=(0,))
    of_process: list[_Grid] = []  # each has its own, with the compiled steps

    def part(number: int) -> list[str]:
        if not of_process:
            of_process.append(_Grid(task))
        seed, names = apart[number]
        return of_process[0].train_all([seed], [cell for cell in of_process[0].cells if cell.name in names])

    failed = side_by_side(part, len(apart))
    grid = _Grid(task)
    if failed is None:
        failed = grid.train_all(seeds, grid.cells)
    if failed:
        total = len(grid.cells) * len(seeds)
        raise LesionganError(f"{len(failed)} of {total} cells failed, the others are kept: {failed[0]}")
    rows = [grid.row(cell, index) for index in seeds for cell in grid.cells]
    grid.write(rows)
    return {"classifiers": len(rows), "test_images": len(grid.evaluation_sets[""])}


class _Grid:
    """The images, the model that all cells share, and the cells' results in the working folders."""

    def __init__(self, task: Task[Options]):
        options, directory = task.options, task.artifact("examples")
        self.task, self.options, self.config = task, options, options.classifier
        self.judge: saved_models.Served | None = None
        self.experiment = _experiment(options)
        self.taxonomy = examples.taxonomy(directory)
        self.real = examples.load(directory, self.config.size, "train")
        self.evaluation_sets = evaluation_sets(directory, self.config.size)
        self.validation = self.evaluation_sets.get("validation", self.real.take([]))
        self.images = CellImages(
            self.real,
            task.artifacts("generated", "sampled", "imported"),
            self.taxonomy,
            options.noise_to_lesion.distribution,
            task.seed,
            self._look,
        )
        self.cells = _cells(options, self.taxonomy.classes)
        self.counts = dict(
            zip(self.taxonomy.classes, np.bincount(self.real.labels, minlength=len(self.taxonomy)), strict=True)
        )
        self.peak = model_artifact.describe(task.artifact("classifier") / "classifier")["peak"]
        self.models: dict[str, LesionClassifier] = {}  # by schedule, which is built in; each serves all its trainings
        self.starts: dict[int, list[np.ndarray]] = {}
        self.places: dict[tuple[str, int], Path] = {}
        evaluated = [f"{name}: {digest(images)}" for name, images in self.evaluation_sets.items()]
        self.common = (options.experiment, task.code, to_json(self.config), digest(self.real), *evaluated)

    def _look(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the run's classifier says, for cells whose images are chosen; it has seen no generated image."""
        if self.judge is None:
            self.judge = saved_models.load(self.task.artifact("classifier") / "classifier")
        return self.judge.predict(images)

    def train_all(self, seeds: Sequence[int], cells: Sequence[Cell]) -> list[str]:
        """Trains the cells that are not finished; a line for each that failed."""
        failed = []
        for index in seeds:
            for cell in cells:
                try:
                    self.train(cell, index)
                except (MachineError, MemoryError, OSError):
                    raise  # the next cell would meet the same
                except Exception as error:
                    if type(error).__name__ == "ResourceExhaustedError":
                        raise
                    if not isinstance(error, LesionganError):
                        traceback.print_exc()
                    say(f"cell {cell.name}, seed {index}: failed: {error}")
                    failed.append(f"{cell.name} (seed {index}): {error}")
        return failed

    def train(self, cell: Cell, index: int) -> None:
        """Trains a cell and keeps its predictions, unless that was done before."""
        place = self._place(cell, index)
        if finished(place) is None:
            model, numbers = self._train(cell, index, place / "run")
            for name, images in self.evaluation_sets.items():
                pixels = downsampled_and_restored(images, cell.resolution).images if cell.resolution else images.images
                probabilities, _ = predict(model, pixels, tta=self.config.tta)
                text = submission(images.ids, probabilities, self.taxonomy.classes)
                write_text(place / f"{name or 'test'}.csv", text)
            write_done(place, numbers)
        else:
            say(f"cell {cell.name}, seed {index}: done before")
        shutil.rmtree(place / "run" / CHECKPOINTS, ignore_errors=True)  # of one done before too: a kill may have come

    def row(self, cell: Cell, index: int) -> dict:
        """The row of `cells.csv` of a trained cell."""
        numbers = finished(self._place(cell, index))
        if numbers is None:
            raise MachineError(f"cell {cell.name}, seed {index}: what it left has vanished; the same command trains it")
        share_of = share(cell, self.experiment, self.counts)
        return {
            "cell": cell.name,
            "kind": cell.kind,
            "alpha": f"{cell.alpha:g}" if cell.alpha else "",
            "amount": cell.amount,
            "seed": index,
            **numbers,
            "file": f"predictions/{cell.slug}-seed{index}.csv",
            "share": "" if share_of is None else f"{share_of:.3f}",
        }

    def write(self, rows: list[dict]) -> None:
        """Writes the artifacts from the working folders."""
        output, by_name = self.task.outputs["predictions"], {cell.name: cell for cell in self.cells}
        places = [self._place(by_name[row["cell"]], row["seed"]) for row in rows]
        for name, images in self.evaluation_sets.items():
            folder = output / SETS / name if name else output
            for row, place in zip(rows, places, strict=True):
                write_text(folder / row["file"], (place / f"{name or 'test'}.csv").read_text(encoding="utf-8"))
            truth = {
                "image": list(images.ids),
                "label": [self.taxonomy.classes[i] for i in images.labels],
                "lesion_id": examples.lesion_ids(self.task.artifact("examples"), images.ids),
            }
            write_text(folder / "truth.csv", as_csv(pd.DataFrame(truth)))
        for row, place in zip(rows, places, strict=True):
            keep_run(place / "run", self.task.outputs["model_run"] / Path(row["file"]).stem)
        write_text(output / "cells.csv", as_csv(pd.DataFrame(rows)))

    def _place(self, cell: Cell, index: int) -> Path:
        """The folder of a cell's result, named by all that decides it."""
        key = (cell.name, index)
        if key not in self.places:
            start = ""
            if goes_on(self.options.grid, cell):
                state = self.task.artifact("classifier") / "classifier" / STATE
                start = digest_directory(state) if index == 0 else str(self.task.seed + index)
            decided = (
                to_json(recipe(self.config, self.options.grid, cell, self.peak)),
                start,
                str(cell_steps(self.config, self.options.grid, cell, len(self.real))),
                str(self._seed(index)),
                str(self.options.grid.synthetic_weight),
                cell.control,
                str(cell.resolution),
                *map(digest, self.images.added(cell)),
                ",".join(cell.classes) if cell.control == "synthetic_only" else "",
            )
            self.places[key] = self._folder(*decided)
        return self.places[key]

    def _folder(self, *decided: str) -> Path:
        """A working folder that the steps of other grids find again."""
        return self.task.run_dir.parent / "cells" / digest_text(*self.common, *decided)[:24]

    def _seed(self, index: int) -> int:
        return self.task.seed + 1000 + index

    def _train(self, cell: Cell, index: int, run_dir: Path) -> tuple[LesionClassifier, dict[str, int]]:
        """The cell's classifier, and what its row says of the training."""
        grid = self.options.grid
        start = self._start(index) if goes_on(grid, cell) else None
        images, real = self.images.of(cell)
        validation = downsampled_and_restored(self.validation, cell.resolution) if cell.resolution else self.validation
        weights = None
        if cell.control == "class_weights":
            weights = balanced_weights(images.labels, len(self.taxonomy))
        steps = cell_steps(self.config, grid, cell, len(self.real))
        config = recipe(self.config, grid, cell, self.peak)
        model, _ = train_classifier(
            config,
            images,
            validation,
            num_classes=len(self.taxonomy),
            run_dir=run_dir,
            seed=self._seed(index),
            name=f"{cell.name}, seed {index}",
            model=self.models.get(config.schedule),
            initial=start,
            steps=steps,
            class_weights=weights,
            image_weights=_image_weights(grid, real, len(images)),
        )
        self.models[config.schedule] = model
        return model, {"steps": steps, "train_images": len(images)}

    def _start(self, index: int) -> list[np.ndarray]:
        """The state that every cell of a seed goes on from: trained once on the real images."""
        if index not in self.starts:
            if index == 0:
                self.starts = {0: load_state(self.task.artifact("classifier") / "classifier" / STATE)}
                return self.starts[0]
            model, _ = train_classifier(
                self.config,
                self.real,
                self.validation,
                num_classes=len(self.taxonomy),
                run_dir=self._folder("start", str(self.task.seed + index)),
                seed=self.task.seed + index,
                name=f"start, seed {index}",
                model=self.models.get(self.config.schedule),
            )
            self.models[self.config.schedule] = model
            self.starts = {index: model.get_state()}
        return self.starts[index]


def write_done(place: Path, numbers: dict[str, int]) -> None:
    """Notes that a cell is finished, what its row says of the training, and what its predictions are."""
    write_sealed(place / _DONE, {**numbers, _FILES: _predictions(place)})


def finished(place: Path) -> dict[str, int] | None:
    """What the row of a finished cell says of its training; None where there is none, or one that is damaged."""
    if not (place / _DONE).exists():
        return None
    try:
        done = read_sealed(place / _DONE, unsealed=lambda data: _FILES not in data)  # of versions up to 0.2
        if done.pop(_FILES, _predictions(place)) != _predictions(place):
            raise DamagedError("does not say what its predictions are")
        return done
    except DamagedError as error:
        say(f"{place / _DONE} {error}; the cell is trained again")
        shutil.rmtree(place)
        return None


def _predictions(place: Path) -> dict[str, str]:
    return {path.name: file_digests(path)[""] for path in sorted(place.glob("*.csv"))}


def goes_on(grid: GridConfig, cell: Cell) -> bool:
    """Whether a cell goes on from a start on real images."""
    return grid.warm_start and cell.control != "synthetic_only"


def recipe(config: ClassifierConfig, grid: GridConfig, cell: Cell, peak: float) -> ClassifierConfig:
    """The recipe of a cell: with one peak for all of them, since a finder that ran anew in each would make more differ
    than the images.

    A cell that goes on from the start has a rate of its own (`grid.learning_rate`) and nothing left to freeze. Beside
    such cells one that does not is trained as the start was, for as long as the start and a cell together.

    Args:
        config: the recipe of the start, the classifier of the real images.
        peak: of the start's training, which a finder may have chosen.
    """
    as_start = grid.warm_start and not goes_on(grid, cell)
    rate = peak if as_start else grid.learning_rate or peak
    config = dataclasses.replace(config, learning_rate=rate, find_learning_rate=False)
    if goes_on(grid, cell):
        config = dataclasses.replace(config, schedule=_CELL_SCHEDULE)
    if cell.control == "augmentation":
        stronger = {key: max(value, getattr(config, key)) for key, value in STRONGER.items()}
        config = dataclasses.replace(config, **stronger)
    return config


def _experiment(options: Options) -> ExperimentConfig:
    return getattr(options, options.experiment)


def _cells(options: Options, classes: tuple[str, ...]) -> list[Cell]:
    """The cells of this part of the grid."""
    resolution = limiting_resolution(options.acgan_size, options.classifier.size)
    cells = experiment_cells(_experiment(options), options.grid, classes, resolution=resolution)
    unknown = set(options.cells) - {cell.name for cell in cells}
    if unknown:
        raise LesionganError(f"no cell {min(unknown)!r} in the grid")
    return [cell for cell in cells if not options.cells or cell.name in options.cells]


def _image_weights(grid: GridConfig, real: int, images: int) -> np.ndarray | None:
    """How often each image is drawn, the real ones first; None: an epoch has each once."""
    if grid.synthetic_weight == 1 or images == real or not real:
        return None
    return np.where(np.arange(images) < real, 1.0, grid.synthetic_weight)
