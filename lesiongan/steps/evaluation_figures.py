"""What the Evaluator lays out of the generated images: the paper's Figures 7 and 8, and how far each CycleGAN moves a
nevus."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lesiongan.base.files import write_json
from lesiongan.data import examples
from lesiongan.data.contact_sheet import contact_sheet, save_sheet
from lesiongan.data.image_set import ImageSet
from lesiongan.evaluation import translation
from lesiongan.serving import saved_models

FIGURE_7, FIGURE_8, DISTANCES = "figure7.png", "figure8.png", "distances.json"
_ROWS, _COLUMNS = 2, 8  # of Figure 7: rows per kind, and columns that several classes share
_NEVI = 8  # of Figure 8
_MEASURED = 500  # nevi whose distance is measured


def write(
    real: Path, sets: list[Path], classifier: saved_models.Served, scale: np.ndarray, output: Path, confidence: float
) -> None:
    """Writes `figure7.png` where there are images made from noise or elsewhere, and `figure8.png` and `distances.json`
    where images were translated at some alpha.

    Args:
        real: the Examples of the real images.
        sets: Examples of generated images.
        classifier: whose features measure the distance, and in whose size all is drawn.
        scale: standard deviation of each of its features over real images, `[d]`.
        output: the evaluation artifact.
        confidence: of the distances' intervals.
    """
    tables = {path: examples.read_table(path) for path in sets}
    translated = {float(t["alpha"].iloc[0]): p for p, t in tables.items() if len(t) and t["alpha"].notna().all()}
    others = {p: t for p, t in tables.items() if len(t) and p not in translated.values()}
    if others:
        save_sheet(_figure_7(real, others, classifier), output / FIGURE_7)
    if translated:
        _figure_8(real, {a: translated[a] for a in sorted(translated)}, classifier, scale, output, confidence)


def _figure_7(real: Path, others: dict, classifier: saved_models.Served) -> np.ndarray:
    """Columns per class that has generated images, the more the fewer these are; real images, then each kind of
    generated ones. The first refined images of a class are made of its first images from noise."""
    classes, size = classifier.taxonomy.classes, classifier.size
    blank = np.full((size, size, 3), 245, np.uint8)
    made = sorted({classes.index(name) for table in others.values() for name in table["label"].unique()})
    wide = max(1, _COLUMNS // len(made))
    kinds: dict[str, list[list[np.ndarray]]] = {"real": examples.first_of_each_class(real, size, "train", _ROWS * wide)}
    refined = [p for p, t in others.items() if (t["source_id"] != "").all()]
    for path in sorted(others, key=lambda p: p in refined):
        images = examples.load(path, size, "train")
        kind = "ACGAN + CycleGAN" if path in refined else "ACGAN" if path.name == "acgan" else path.name
        for label in np.unique(images.labels):
            shown = images.take(np.flatnonzero(images.labels == label)[: _ROWS * wide])
            kinds.setdefault(kind, [[] for _ in classes])[label] = list(shown.images)
    rows, names = [], []
    for kind, by_class in kinds.items():
        columns = [by_class[label][first::wide] for label in made for first in range(wide)]
        for k in range(max(map(len, columns))):
            rows.append([images[k] if k < len(images) else blank for images in columns])
            names.append(kind if k == 0 else "")
    return contact_sheet(rows, names, [classes[made[i // wide]] for i in range(wide * len(made))])


def _figure_8(
    real: Path,
    sets: dict[float, Path],
    classifier: saved_models.Served,
    scale: np.ndarray,
    output: Path,
    confidence: float,
) -> None:
    """One row per nevus, one column per alpha; and the distances of the first nevi that all alphas have."""
    size, listed = classifier.size, examples.read_table(real).set_index("image_id")
    source_of = {}
    for alpha, path in sets.items():
        table = examples.read_table(path)
        source_of[alpha] = dict(zip(table["image_id"], table["source_id"], strict=True))
    every = set.intersection(*(set(ids.values()) for ids in source_of.values()))
    wanted = [s for s in dict.fromkeys(next(iter(source_of.values())).values()) if s in every][:_MEASURED]
    if not wanted:
        return
    nevi = _in_order(examples.load(real, size, "train", classes=sorted(set(listed.loc[wanted, "label"]))), wanted)
    _, before = classifier.predict(nevi.images)
    moved, columns = {}, [nevi.images[:_NEVI]]
    for alpha, path in sets.items():
        images = examples.load(path, size, "train")
        translated = _in_order(images, wanted, [source_of[alpha][i] for i in images.ids])
        columns.append(translated.images[:_NEVI])
        distances = translation.distances(
            nevi.images, translated.images, before, classifier.predict(translated.images)[1], scale
        )
        moved[alpha] = {
            source: {key: float(values[i]) for key, values in distances.items()} for i, source in enumerate(wanted)
        }
    names = [listed.loc[wanted[0], "label"], *(f"alpha {alpha:g}" for alpha in sets)]
    save_sheet(contact_sheet(list(zip(*columns, strict=True)), [], names), output / FIGURE_8)
    lesions = listed.loc[wanted, "lesion_id"].to_dict()
    write_json(output / DISTANCES, translation.by_alpha(moved, lesions, confidence))


def _in_order(images: ImageSet, wanted: list[str], ids: list[str] | None = None) -> ImageSet:
    """The images whose id (or whose entry of `ids`) is wanted, in that order."""
    place = {name: i for i, name in reversed(list(enumerate(ids or images.ids)))}
    return images.take(np.array([place[name] for name in wanted]))
