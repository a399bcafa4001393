"""Generator: images from noise by the ACGAN, for the CycleGANs to learn from (X) and, from other seeds, for the
classifiers."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

from lesiongan.data import examples
from lesiongan.data.contact_sheet import contact_sheet, save_sheet
from lesiongan.data.generated import Generated, write
from lesiongan.experiments.amounts import spread
from lesiongan.serving import saved_models
from lesiongan.steps.copy_audit import CopyAudit, with_spare, withhold
from lesiongan.steps.step import Task

_SHOWN = 8
#: Seeds of the classifiers' images start here, those of the CycleGANs' X at 0: no image is in both sets.
_FRESH = 1 << 32


OUTPUTS = ("references", "generated")


@dataclasses.dataclass(frozen=True)
class Options:
    classes: tuple[str, ...] = ()  # the classes to sample; empty: all
    largest: int = 0  # images that the largest cell adds, over all classes
    distribution: Literal["equal", "proportional", "levelling"] = "equal"  # of that amount over the classes
    sizes: tuple[int, ...] = ()  # pixels at which the images are stored
    withhold: float = 0.0  # rate of false alarms by which suspected copies of training images are withheld; 0: none are
    with_validation: bool = False  # the ACGAN learned from the validation images too


def run(task: Task[Options]) -> dict:
    """Inputs: `examples`, `model` (`acgan`). Outputs: `references` (X of the CycleGANs), `generated`."""
    acgan = saved_models.load(task.artifact("model") / "acgan")
    taxonomy, sizes = acgan.taxonomy, sorted({*task.options.sizes, acgan.size})
    classes = task.options.classes or taxonomy.classes
    counts = examples.read_info(task.artifact("examples"))["counts"]["train"]
    numbers = spread(task.options.largest, [counts[c] for c in classes], task.options.distribution)
    references = _sample(acgan, {c: counts[c] for c in classes}, task.seed, 0)
    fresh = _fresh(task, acgan, dict(zip(classes, numbers, strict=True)))
    write(task.outputs["references"] / "acgan", references, acgan.record, sizes, alpha="")
    write(task.outputs["generated"] / "acgan", fresh, acgan.record, sizes, alpha="")
    rows = [fresh.images[fresh.labels == taxonomy.index(c)][:_SHOWN] for c in classes]
    save_sheet(contact_sheet(rows, classes), task.outputs["generated"] / "acgan.png")
    return {"references": len(references.images), "generated": len(fresh.images)}


def _fresh(task: Task[Options], acgan: saved_models.Served, needed: dict[str, int]) -> Generated:
    """The classifiers' images, without suspected copies of training images where they are withheld: a few more are left
    then than the classifiers need, for the CycleGANs that refine them have copies of their own."""
    if not task.options.withhold:
        return _sample(acgan, needed, task.seed, _FRESH)
    made = _sample(acgan, {name: with_spare(number) for name, number in needed.items()}, task.seed, _FRESH)
    audit = CopyAudit(
        task.artifact("examples"),
        acgan.size,
        task.options.withhold,
        with_validation=task.options.with_validation,
    )
    output = task.outputs["generated"] / "acgan"
    by_label = {acgan.taxonomy.index(name): number for name, number in needed.items()}
    kept = withhold(audit, made.as_set(output.name), {}, by_label, output)
    return made.take(np.flatnonzero(kept))


def _sample(acgan, counts: dict[str, int], seed: int, first: int) -> Generated:
    labels = np.concatenate([np.full(n, acgan.taxonomy.index(c), np.int32) for c, n in counts.items()])
    seeds = np.concatenate([np.arange(n, dtype=np.int64) for n in counts.values()])
    # one stream of seeds per run and class: the same (run seed, class, number) gives the same image everywhere
    seeds += first + (seed % 1024 << 40) + (labels.astype(np.int64) << 33)
    return Generated(acgan.sample(labels, seeds), labels, seeds, tuple("" for _ in seeds))
