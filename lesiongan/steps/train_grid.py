"""Trainer: the classifiers of an experiment's table, all in one process, each cell from the same start."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pandas as pd

from lesiongan import model_artifact
from lesiongan.config import ClassifierConfig, GridConfig, NevusToMelanomaConfig, NoiseToLesionConfig
from lesiongan.data import examples
from lesiongan.data.image_set import ImageSet
from lesiongan.errors import LesionganError
from lesiongan.evaluation.predictions import submission
from lesiongan.files import read_json, write_json, write_text
from lesiongan.grid import Cell, nevus_to_melanoma_cells, noise_to_lesion_cells, shares
from lesiongan.progress import say
from lesiongan.steps.model_run import keep_run
from lesiongan.steps.step import Task
from lesiongan.steps.train_classifier import STATE
from lesiongan.training.classifier import load_state, predict, train_classifier

#: Of cells that go on from a trained classifier: there is nothing left to freeze.
_CELL_SCHEDULE = "one_cycle"


@dataclasses.dataclass(frozen=True)
class Options:
    experiment: str = "nevus_to_melanoma"  # or `noise_to_lesion`
    classifier: ClassifierConfig = ClassifierConfig()
    grid: GridConfig = GridConfig()
    nevus_to_melanoma: NevusToMelanomaConfig = NevusToMelanomaConfig()
    noise_to_lesion: NoiseToLesionConfig = NoiseToLesionConfig()


def run(task: Task) -> dict:
    """Inputs: `examples`, `classifier` (the start of the first seed), `generated` (a list). Outputs: `predictions`,
    `model_run`.

    Finished cells stand in the working folder and are never trained again; a cell that fails does not keep the
    others from being trained, but the step ends with an error, so that no failure is cached as a success.
    """
    options = task.options
    taxonomy = examples.taxonomy(task.inputs["examples"])
    size = options.classifier.size
    real = examples.load(task.inputs["examples"], size, "train")
    validation = examples.load(task.inputs["examples"], size, "validation")
    test = examples.load(task.inputs["examples"], size, "test")
    pool = _Pool(task.inputs["generated"], size)
    rows, failed, model = [], [], None
    cells = _cells(options, taxonomy.classes)
    for index in range(options.grid.seeds):
        start = None
        for cell in cells:
            slug = f"{cell.slug}-seed{index}"
            done = task.run_dir / "cells" / f"{slug}.json"
            if not done.exists():
                try:
                    if options.grid.warm_start and start is None:
                        start, model = _start(task, model, real, validation, len(taxonomy), index)
                    added = pool.draw(cell, taxonomy)
                    model = _train_cell(task, cell, slug, model, real, added, validation, len(taxonomy), index, start)
                    probabilities, _ = predict(model, test.images, tta=options.classifier.tta)
                    text = submission(test.ids, probabilities, taxonomy.classes)
                    write_text(task.run_dir / "cells" / f"{slug}.csv", text)
                    steps = _steps(options, len(real), len(real) + (0 if added is None else len(added)))
                    write_json(done, {"steps": steps, "train_images": len(real) + cell.amount})
                except LesionganError as error:
                    say(f"cell {cell.name}, seed {index}: failed: {error}")
                    failed.append(f"{cell.name} (seed {index}): {error}")
                    continue
            else:
                say(f"cell {cell.name}, seed {index}: done before")
            alpha = f"{cell.alpha:g}" if cell.alpha else ""
            row = {"cell": cell.name, "kind": cell.kind, "alpha": alpha, "amount": cell.amount, "seed": index}
            rows.append(row | read_json(done) | {"file": f"predictions/{slug}.csv"})
    if failed:
        raise LesionganError(
            f"{len(failed)} of {len(cells) * options.grid.seeds} cells failed, the others are kept: {failed[0]}"
        )
    _write_output(task, rows, test, taxonomy.classes)
    return {"classifiers": len(rows), "test_images": len(test)}


class _Pool:
    """The generated images that cells draw from; each set is read once."""

    def __init__(self, artifacts: list[Path], size: int):
        self.size = size
        self.where = {path.parent.name: path.parent for a in artifacts for path in Path(a).glob("*/examples.json")}
        self.sets: dict[str, ImageSet] = {}

    def draw(self, cell: Cell, taxonomy) -> ImageSet | None:
        """The cell's added images: the first ones of each set, so that amounts are nested; equally over the classes."""
        if not cell.amount:
            return None
        classes: list[ImageSet] = []
        for name in cell.generators:
            if name not in self.where:
                raise LesionganError(f"no generated images named {name!r}; there are {', '.join(sorted(self.where))}")
            if name not in self.sets:
                self.sets[name] = examples.load(self.where[name], self.size, "train")
            images = self.sets[name]
            classes += [images.of_class(label) for label in range(len(taxonomy)) if (images.labels == label).any()]
        parts = []
        for images, count in zip(classes, shares(cell.amount, len(classes)), strict=True):
            if count > len(images):
                raise LesionganError(f"{cell.name}: {count} images asked for, {len(images)} generated")
            parts.append(images.take(np.arange(count)))
        return ImageSet.join(parts)


def _cells(options: Options, classes: tuple[str, ...]) -> list[Cell]:
    if options.experiment == "nevus_to_melanoma":
        return nevus_to_melanoma_cells(options.nevus_to_melanoma)
    return noise_to_lesion_cells(options.noise_to_lesion, classes)


def _start(task: Task, model, real: ImageSet, validation: ImageSet, num_classes: int, index: int):
    """The state that every cell of a seed goes on from: trained once on the real images."""
    if index == 0:
        return load_state(task.inputs["classifier"] / "classifier" / STATE), model
    config, run_dir = task.options.classifier, task.run_dir / "runs" / f"start-seed{index}"
    cells_model, model = model, model if config.schedule == _CELL_SCHEDULE else None
    model, _ = train_classifier(
        config,
        real,
        validation,
        num_classes=num_classes,
        run_dir=run_dir,
        seed=task.seed + index,
        name=f"start, seed {index}",
        model=model,
    )
    return model.get_state(), model if config.schedule == _CELL_SCHEDULE else cells_model


def _steps(options: Options, real: int, images: int) -> int:
    """Equal epochs: more images are more steps, as in the paper; equal steps: only the images differ."""
    config, grid = options.classifier, options.grid
    budget = grid.images or config.images or round(config.epochs * real)
    if grid.budget == "equal_epochs":
        budget = round(budget * images / real)
    return math.ceil(budget / config.batch)


def _train_cell(task: Task, cell: Cell, slug: str, model, real, added, validation, num_classes: int, index: int, start):
    # one peak for all cells: a finder that ran anew in each would make more differ than the images
    rate = task.options.grid.learning_rate or model_artifact.describe(task.inputs["classifier"] / "classifier")["peak"]
    config = dataclasses.replace(task.options.classifier, learning_rate=rate, find_learning_rate=False)
    if start is not None:
        config = dataclasses.replace(config, schedule=_CELL_SCHEDULE)
    images = real if added is None else ImageSet.join([real, added])
    model, _ = train_classifier(
        config,
        images,
        validation,
        num_classes=num_classes,
        run_dir=task.run_dir / "runs" / slug,
        seed=task.seed + 1000 + index,
        name=f"{cell.name}, seed {index}",
        model=model,
        initial=start,
        steps=_steps(task.options, len(real), len(images)),
        image_weights=_image_weights(task.options.grid, len(real), len(images)),
    )
    return model


def _image_weights(grid: GridConfig, real: int, images: int) -> np.ndarray | None:
    """How often each image is drawn, the real ones first; None: an epoch has each once."""
    if grid.synthetic_weight == 1 or images == real:
        return None
    return np.where(np.arange(images) < real, 1.0, grid.synthetic_weight)


def _write_output(task: Task, rows: list[dict], test: ImageSet, classes: tuple[str, ...]) -> None:
    output = task.outputs["predictions"]
    (output / "predictions").mkdir(parents=True, exist_ok=True)
    for row in rows:
        name = Path(row["file"]).name
        write_text(output / "predictions" / name, (task.run_dir / "cells" / name).read_text())
        run_dir = task.run_dir / "runs" / Path(name).stem
        if run_dir.exists():
            keep_run(run_dir, task.outputs["model_run"] / Path(name).stem)
    pd.DataFrame(rows).to_csv(output / "cells.csv", index=False)
    lesions = examples.read_table(task.inputs["examples"]).set_index("image_id")["lesion_id"]
    truth = {
        "image": list(test.ids),
        "label": [classes[i] for i in test.labels],
        "lesion_id": [lesions.get(i, "") for i in test.ids],
    }
    pd.DataFrame(truth).to_csv(output / "truth.csv", index=False)
