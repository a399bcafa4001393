"""The strip of pictures at the head of a report: source, generated and real, cut out of the contact sheets that the
steps left beside the generated images."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from lesiongan.reporting import embedding

SHEET = "cyclegan.png"
_SETS = 3  # of pictures per class or alpha, and at most so many alphas
_GAP = 3  # pixels between a sheet's cells
_BACKGROUND = 245


@dataclasses.dataclass(frozen=True)
class Strip:
    """Rows of a contact sheet that belong together: the pictures of one column are a set.

    Attributes:
        sheet: the PNG file.
        of: how many rows the sheet has.
        rows: which of them are shown, from 0.
        heads: what each row shows.
        name: of them all.
    """

    sheet: str
    of: int
    rows: tuple[int, ...]
    heads: tuple[str, ...]
    name: str


def strips(experiment: str, generated: Sequence[Path], examples: Path | None) -> list[Strip]:
    """What the contact sheets of generated images hold, in the order in which `steps.translate_images` lays it out.

    Args:
        experiment: `nevus_to_melanoma`, where a sheet has sources, each alpha's images and real ones; or
            `noise_to_lesion`, where it has for each class images from noise, the refined ones and real ones.
        generated: artifacts of generated images; one without a sheet is passed over.
        examples: the real images, which say of which class a source is.
    """
    found: list[Strip] = []
    for folder in generated:
        sheet = str(folder / SHEET)
        sets = [(path.parent, _first_row(path)) for path in sorted(folder.glob("*/examples.csv"))]
        made = [(path, row) for path, row in sets if row]
        if not made or not Path(sheet).is_file():
            continue
        if experiment == "nevus_to_melanoma":
            of = len(made) + 2
            for i in _spread(len(made)):
                path, row = made[i]
                source = _label(examples, row.get("source_id", ""))
                target, alpha = row.get("label", ""), row.get("alpha", "")
                heads = (f"{source}, source" if source else "source", f"{target}, generated", f"{target}, real")
                name = f"alpha {float(alpha):g}" if alpha else path.name
                found.append(Strip(sheet, of, (0, i + 1, of - 1), heads, f"{source or 'source'} to {target}, {name}"))
        else:
            for i, (path, row) in enumerate(made):
                label = row.get("label", "") or path.name
                heads = (f"{label}, from noise", f"{label}, refined", f"{label}, real")
                found.append(Strip(sheet, 3 * len(made), (3 * i, 3 * i + 1, 3 * i + 2), heads, label))
    return found


def embedded(wanted: Sequence[Strip]) -> list[dict]:
    """The strips for a page: `name`, `heads` and `sets`, each a list of data URIs in the order of the heads. With more
    strips than a few each has one set. A sheet that cannot be read or is laid out otherwise gives nothing."""
    count = _SETS if len(wanted) <= _SETS else 1
    shown = []
    for strip in wanted:
        rows = _cut(strip, count)
        if rows:
            sets = [[embedding.webp_uri(picture) for picture in column] for column in zip(*rows, strict=True)]
            shown.append({"name": strip.name, "heads": strip.heads, "sets": sets, "side": rows[0][0].width})
    return shown


def _cut(strip: Strip, count: int) -> list[list[Image.Image]]:
    """The first `count` pictures of each row. The cells are square and stand at the sheet's right end, in as many
    columns as have a picture in each of the rows; before them there may be labels."""
    try:
        with Image.open(strip.sheet) as image:
            sheet = np.asarray(image.convert("RGB"))
    except (OSError, ValueError):
        return []
    pitch, rest = divmod(sheet.shape[0] - _GAP, strip.of)
    if rest or pitch <= _GAP:
        return []
    side = pitch - _GAP

    def cell(row: int, left: int) -> np.ndarray:
        return sheet[_GAP + row * pitch :][:side, left : left + side]

    every = range(sheet.shape[1] - pitch, -1, -pitch)
    lefts = [x for x in reversed(every) if all((cell(row, x)[0] != _BACKGROUND).any() for row in strip.rows)]
    return [[Image.fromarray(cell(row, left)) for left in lefts[:count]] for row in strip.rows] if lefts else []


def _spread(count: int) -> list[int]:
    """All of a few, else the first, the middle and the last."""
    return list(range(count)) if count <= _SETS else [0, count // 2, count - 1]


def _first_row(path: Path) -> dict[str, str]:
    return next(_rows(path), {})


def _label(examples: Path | None, image: str) -> str:
    """The class of a real image; "" where that is not known."""
    if examples is None or not image:
        return ""
    return next((row.get("label", "") for row in _rows(examples / "examples.csv") if row.get("image_id") == image), "")


def _rows(path: Path) -> Iterator[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            yield from csv.DictReader(file)
    except (OSError, ValueError):
        return
