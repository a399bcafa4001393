"""Generator: nevi as melanomas, or the ACGAN's images refined, by each of the trained CycleGANs."""

from __future__ import annotations

import dataclasses

import numpy as np

from lesiongan.base.errors import UsageError
from lesiongan.base.progress import Progress
from lesiongan.data import examples
from lesiongan.data.contact_sheet import contact_sheet, save_sheet
from lesiongan.data.generated import Generated, guides_of, write
from lesiongan.data.image_set import ImageSet
from lesiongan.experiments.amounts import nested_order
from lesiongan.serving import model_artifact, saved_models
from lesiongan.steps.copy_audit import CopyAudit, with_spare, withhold
from lesiongan.steps.step import Task

_SHOWN = 10
_CHUNK = 256


OUTPUTS = ("generated",)


@dataclasses.dataclass(frozen=True)
class Options:
    largest: int = 0  # images that the largest cell of an alpha adds; experiment 2
    sizes: tuple[int, ...] = ()
    withhold: float = 0.0  # as of `sample_images`
    with_validation: bool = False  # the CycleGANs learned from the validation images too


def run(task: Task[Options]) -> dict:
    """Inputs: `examples`, `model`, `sampled` (experiment 1: the ACGAN's fresh images). Outputs: `generated`."""
    sheet: dict[str, list] = {}
    count, moved = 0, []
    artifact, audit = task.artifact("model"), None
    for name in model_artifact.names(artifact):
        model = saved_models.load(artifact / name)
        x = _sources(task, model)
        if not len(x):  # levelling may leave a common class without a single added image
            continue
        images = _translate(model, x, name)
        label = model.taxonomy.index(model.record.get("target") or model.record["class"])
        generated = Generated(images, np.full(len(x), label, np.int32), np.zeros(len(x), np.int64), x.ids)
        if task.options.withhold:
            if audit is None or audit.size != model.size:
                options = task.options
                audit = CopyAudit(
                    task.artifact("examples"), model.size, options.withhold, with_validation=options.with_validation
                )
            kept = _not_withheld(task, audit, generated, name)
            generated, x, images = generated.take(kept), x.take(kept), images[kept]
        sizes = sorted({*task.options.sizes, model.size})
        guides = guides_of(task.artifact("sampled") / "acgan") if "class" in model.record else set()
        alpha = model.record.get("alpha", "")
        write(task.outputs["generated"] / name, generated, model.record, sizes, alpha, guides)
        count += len(images)
        moved.append(float(np.abs(images.astype(np.int16) - x.images).mean()) / 127.5)
        _show(task, sheet, model, x, images)
    if "class" not in model.record:  # the real ones below all alphas
        real = f"real {model.record['target']}"
        sheet[real] = sheet.pop(real)
    save_sheet(contact_sheet(list(sheet.values()), list(sheet)), task.outputs["generated"] / "cyclegan.png")
    return {"generated": count, "mean_change": float(np.mean(moved)) if moved else 0.0}


def _not_withheld(task: Task[Options], audit: CopyAudit, generated: Generated, name: str) -> np.ndarray:
    """The places of the images that are handed on: in experiment 2 as many as the largest cell adds."""
    made = generated.as_set(name)
    sources = dict(zip(made.ids, generated.source_ids, strict=True))
    largest = task.options.largest
    needed = {int(generated.labels[0]): largest} if largest else {}
    kept = np.flatnonzero(withhold(audit, made, sources, needed, task.outputs["generated"] / name))
    return kept[:largest] if largest else kept


def _sources(task: Task[Options], model: saved_models.Served) -> ImageSet:
    record = model.record
    if "class" in record:
        images = examples.load(task.artifact("sampled") / "acgan", model.size, "train")
        return images.of_class(model.taxonomy.index(record["class"]))
    images = examples.load(task.artifact("examples"), model.size, "train", classes=[record["source"]])
    if len(images) < task.options.largest:
        raise UsageError(
            f"the largest cell adds {task.options.largest:,} images, but there are {len(images):,} training images "
            f"of {record['source']} to make them from; lower --set nevus_to_melanoma.amounts"
        )
    # sorted by id first, so that the order depends on the images and the seed, not on how they lie on disk
    by_id = sorted(range(len(images)), key=lambda i: images.ids[i])
    wanted = task.options.largest
    if task.options.withhold:
        wanted = with_spare(wanted)
    return images.take([by_id[i] for i in nested_order(len(images), task.seed)[:wanted]])


def _translate(model: saved_models.Served, x: ImageSet, name: str) -> np.ndarray:
    progress = Progress(f"translate {name}", len(x), "images")
    parts = []
    for begin in range(0, len(x), _CHUNK):
        parts.append(model.translate(x.images[begin : begin + _CHUNK]))
        progress.update(min(begin + _CHUNK, len(x)))
    progress.close()
    return np.concatenate(parts)


def _show(
    task: Task[Options], sheet: dict[str, list], model: saved_models.Served, x: ImageSet, images: np.ndarray
) -> None:
    """Fig. 8: nevi, and below each its melanoma at each alpha; Fig. 7: real, ACGAN and ACGAN + CycleGAN, class by
    class."""
    record = model.record
    abbreviation = record.get("target") or record["class"]
    real = examples.load(task.artifact("examples"), model.size, "train", classes=[abbreviation])
    if "class" in record:
        sheet[f"{abbreviation} ACGAN"] = list(x.images[:_SHOWN])
        sheet[f"{abbreviation} + CycleGAN"] = list(images[:_SHOWN])
    else:
        sheet.setdefault(f"{record['source']} (source)", list(x.images[:_SHOWN]))
        sheet[f"{abbreviation}, alpha {record['alpha']:g}"] = list(images[:_SHOWN])
    sheet.setdefault(f"real {abbreviation}", list(real.images[:_SHOWN]))
