"""Filter: the training images of the target class, ranked by the classifier (Path-Rank-Filter)."""

from __future__ import annotations

import dataclasses

from lesiongan import serving, sheets
from lesiongan.data import examples
from lesiongan.errors import UsageError
from lesiongan.filtering import path_rank_filter
from lesiongan.steps.step import Task

#: The ranked table inside the `selection` artifact.
RANKED = "ranked.csv"
_SHOWN = 10


@dataclasses.dataclass(frozen=True)
class Options:
    target: str = "MEL"
    alphas: tuple[float, ...] = (0.125, 0.25, 0.5, 1.0)


def run(task: Task) -> dict:
    """Inputs: `examples`, `model`. Outputs: `selection` (`ranked.csv`, `gallery.png`)."""
    target = task.options.target
    classifier = serving.load(task.inputs["model"] / "classifier")
    if target not in classifier.taxonomy.classes:
        raise UsageError(f"target class {target!r} is not in the data; it has {', '.join(classifier.taxonomy.classes)}")
    images = examples.load(task.inputs["examples"], classifier.size, "train", classes=[target])
    probabilities, _ = classifier.predict(images.images)
    scores = probabilities[:, classifier.taxonomy.index(target)]
    table = path_rank_filter(images.ids, scores, task.options.alphas)
    output = task.outputs["selection"]
    output.mkdir(parents=True, exist_ok=True)
    table.to_csv(output / RANKED, index=False, float_format="%.6f")
    where = {image_id: i for i, image_id in enumerate(images.ids)}
    best = [images.images[where[i]] for i in table["image_id"][:_SHOWN]]
    worst = [images.images[where[i]] for i in table["image_id"][::-1][:_SHOWN]]
    sheets.save(sheets.contact_sheet([best, worst], ["highest P", "lowest P"], cell=72), output / "gallery.png")
    return {"ranked": len(table), "median_score": float(table["score"].median())}
