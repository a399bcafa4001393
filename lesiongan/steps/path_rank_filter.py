"""Filter: the training images of the target class, ranked by the classifier (Path-Rank-Filter)."""

from __future__ import annotations

import dataclasses

import numpy as np

from lesiongan.base.errors import UsageError
from lesiongan.base.files import write_text
from lesiongan.config.classifier import ClassifierConfig
from lesiongan.data import examples
from lesiongan.data.contact_sheet import contact_sheet, save_sheet
from lesiongan.data.csv_files import as_csv
from lesiongan.data.image_set import ImageSet
from lesiongan.experiments.path_rank_filter import RANKED, path_rank_filter
from lesiongan.serving import saved_models
from lesiongan.steps.step import Task

_SHOWN = 10


OUTPUTS = ("selection",)


@dataclasses.dataclass(frozen=True)
class Options:
    target: str = "MEL"
    alphas: tuple[float, ...] = (0.125, 0.25, 0.5, 1.0)
    folds: int = 0  # rank by out-of-fold scores of so many folds; 0: by the classifier's own
    classifier: ClassifierConfig = ClassifierConfig()  # how the folds' classifiers are trained


def run(task: Task[Options]) -> dict:
    """Inputs: `examples`, `model`. Outputs: `selection` (`ranked.csv`, `gallery.png`)."""
    target = task.options.target
    classifier = saved_models.load(task.artifact("model") / "classifier")
    if target not in classifier.taxonomy.classes:
        raise UsageError(f"target class {target!r} is not in the data; it has {', '.join(classifier.taxonomy.classes)}")
    label, listed = classifier.taxonomy.index(target), examples.read_table(task.artifact("examples"))
    if task.options.folds:
        images, scores = _out_of_fold(task, label)
    else:
        images = examples.load(task.artifact("examples"), classifier.size, "train", classes=[target])
        # as the classifier's own recipe says it, and as out-of-fold scores are taken
        tta = classifier.record.get("config", {}).get("tta", False)
        scores = classifier.predict(images.images, tta=tta)[0][:, label]
    sides = dict(zip(listed["image_id"], listed["split"], strict=True))
    table = path_rank_filter(images.ids, scores, task.options.alphas, splits=sides)
    output = task.outputs["selection"]
    output.mkdir(parents=True, exist_ok=True)
    write_text(output / RANKED, as_csv(table, float_format="%.6f"))
    where = {image_id: i for i, image_id in enumerate(images.ids)}
    best = [images.images[where[i]] for i in table["image_id"][:_SHOWN]]
    worst = [images.images[where[i]] for i in table["image_id"][::-1][:_SHOWN]]
    save_sheet(contact_sheet([best, worst], ["highest P", "lowest P"], cell=72), output / "gallery.png")
    return {"ranked": len(table), "median_score": float(table["score"].median())}


def _out_of_fold(task: Task[Options], label: int) -> tuple[ImageSet, np.ndarray]:
    """The training images of a class, and their scores by classifiers that have not seen them."""
    from lesiongan.training.out_of_fold import out_of_fold

    config = task.options.classifier
    train = examples.load(task.artifact("examples"), config.size, "train")
    probabilities = out_of_fold(
        config,
        train,
        examples.lesion_ids(task.artifact("examples"), train.ids),
        num_classes=len(examples.taxonomy(task.artifact("examples"))),
        count=task.options.folds,
        run_dir=task.run_dir,
        seed=task.seed,
    )
    return train.of_class(label), probabilities[train.labels == label, label]
