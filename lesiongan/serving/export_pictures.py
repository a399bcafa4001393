"""Pictures of Examples artifacts as files, with the tables that make their folder a source."""

from __future__ import annotations

import collections
import dataclasses
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lesiongan.base.errors import UsageError
from lesiongan.base.files import write_text
from lesiongan.base.lineage import digest
from lesiongan.base.progress import Progress
from lesiongan.data import examples
from lesiongan.data.contact_sheet import contact_sheet, save_sheet
from lesiongan.data.csv_files import as_csv, without_suffix
from lesiongan.data.folders import check_apart
from lesiongan.data.generated import DIGITAL_SOURCE_TYPE
from lesiongan.data.generated_folder import DRAWN_SOURCE_TYPE, IMAGES, PROVENANCE, SHEET
from lesiongan.serving.picture_files import SUFFIXES, Format, claim, write_picture, write_provenance, write_truth

REQUEST = "export.json"
METADATA = "metadata.csv"
_LONGEST = 150  # bytes of a file's name, so that it fits any file system
_SHOWN = 8  # per class on the sheet
_KNOWN = ("age_approx", "anatom_site_general", "lesion_id", "sex")  # ISIC's metadata
_MADE_OF = ("seed", "alpha", "generator", "generator_digest", "guided_by")
_FACTS = ("class", "source", *_MADE_OF)  # what a file itself says, as those of `generate` do
#: The origin of an image -> its digital source type; of any other origin it is a trained generator's.
_SOURCE_TYPES = {"real": "", "phantom": DRAWN_SOURCE_TYPE}


@dataclasses.dataclass(frozen=True)
class Request:
    """What is asked of a set of Examples.

    Attributes:
        split: of which.
        classes: abbreviations; empty: all.
        count: of each class of each set at most so many; 0: all.
        size: pixels; 0: the largest that each set has.
        form: of the files.
    """

    split: str = "train"
    classes: tuple[str, ...] = ()
    count: int = 0
    size: int = 0
    form: Format = "png"


def sets_in(place: Path) -> list[Path]:
    """The Examples of a folder: itself, or one per generator right in it; none where there are none."""
    if (place / examples.INFO).is_file():
        return [place]
    return sorted(path.parent for path in place.glob(f"*/{examples.INFO}"))


def export(sets: Sequence[Path], request: Request, output: Path) -> dict[str, int]:
    """Writes pictures; what an earlier call with the same request has written is not written again.

    Args:
        sets: Examples artifacts.
        request: which of their pictures, and how.
        output: gets `images/`, `ground_truth.csv` in ISIC's form and, of photographs, `metadata.csv`; of generated
            pictures and phantoms `provenance.csv`, `croissant.json` and `contact_sheet.png`, and their files say what
            they are.

    Returns:
        How many pictures there are of each set, by its folder's name.

    Raises:
        UsageError: a set has not what is asked for, nothing is left, or the output holds other things.
    """
    sizes = {place: _checked(place, request) for place in sets}
    tables = {place: _wanted(place, request) for place in sets}
    if not any(map(len, tables.values())):
        raise UsageError(f"{', '.join(map(str, sets))}: no image of what is asked for; {_there(sets)}")
    check_apart({**{f"the examples {place.name}": place for place in sets}, "the output": output})
    wanted = {"sets": [[place.name, digest(place)] for place in sets], **dataclasses.asdict(request)}
    claim(output, REQUEST, json.loads(json.dumps(wanted)))
    names = _names([image for table in tables.values() for image in table.index])
    progress = Progress("export", len(names), "images")
    rows: list[dict] = []
    shown: dict[str, list[np.ndarray]] = collections.defaultdict(list)
    for place, table in tables.items():
        for image_id, image in _images(place, sizes[place], request.split, table.index):
            row = _row(names[len(rows)], image_id, table.loc[image_id])
            rows.append(row)
            if len(shown[row["class"]]) < _SHOWN:
                shown[row["class"]].append(image)
            path = output / IMAGES / f"{row['image']}{SUFFIXES[request.form]}"
            if not path.is_file():
                source_type = row.get("digital_source_type", "")
                write_picture(path, image, _facts(row), form=request.form, source_type=source_type)
            progress.update(len(rows))
    progress.close()
    _write_tables(output, rows, _classes(sets), shown, request.form)
    return {place.name: len(table) for place, table in tables.items()}


def _checked(place: Path, request: Request) -> int:
    """The size that is taken of a set; raises where the set has not what is asked for."""
    info = examples.read_info(place)
    size = request.size or max(info["sizes"])
    examples.check_request(place, info, size, [request.split], request.classes)
    return size


def _wanted(place: Path, request: Request) -> pd.DataFrame:
    """The rows of `examples.csv` that are asked for, by image id, in its order."""
    table = examples.read_table(place)
    table = table[table["split"] == request.split]
    if request.classes:
        table = table[table["label"].isin(request.classes)]
    if request.count:
        table = table[table.groupby("label").cumcount() < request.count]
    return table.set_index("image_id", drop=False)


def _images(place: Path, size: int, split: str, ids: pd.Index) -> Iterator[tuple[str, np.ndarray]]:
    """Each image of `ids`, which stand in the order of `examples.csv`."""
    left = collections.deque(ids)
    for batch in examples.batches(place, size, split):
        for image_id, image in zip(batch.ids, batch.images, strict=True):
            if left and image_id == left[0]:
                yield left.popleft(), image
        if not left:
            return
    raise UsageError(f"{place}: {len(left):,} images of {examples.TABLE} are not in its records; make it again")


def _row(name: str, image_id: str, known: Mapping) -> dict:
    """What the tables say of a picture; without `digital_source_type` where it is a photograph."""
    row = {"image": name, "class": known["label"]}
    if name != image_id:
        row["original_id"] = image_id
    source_type = _SOURCE_TYPES.get(known["origin"], DIGITAL_SOURCE_TYPE)
    if not source_type:
        return row | {key: known[key] for key in _KNOWN}
    made_of = {"source": known.get("source_id", ""), **{key: known[key] for key in _MADE_OF if key in known}}
    given = {key: value for key, value in made_of.items() if not pd.isna(value) and value != ""}
    if source_type == DRAWN_SOURCE_TYPE:
        given |= {key: known[key] for key in _KNOWN}
    return row | given | {"digital_source_type": source_type}


def _facts(row: Mapping) -> dict[str, str | int]:
    return {key: row[key] for key in _FACTS if key in row}


def _names(ids: Iterable[str]) -> list[str]:
    """A file's name without suffix for each id, no two alike on any system. Ids come from users' tables: a name has no
    folders in it, begins with no dot and has the suffix of no picture, which would be taken off where it is read."""
    names, taken = [], set()
    for image_id in ids:
        name = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", image_id))
        name = name.encode()[:_LONGEST].decode(errors="ignore")
        while name != (shorter := without_suffix(name).strip(".")):
            name = shorter
        name = first = name or "image"
        number = 1
        while name.casefold() in taken:
            number += 1
            name = f"{first}-{number}"
        taken.add(name.casefold())
        names.append(name)
    return names


def _classes(sets: Sequence[Path]) -> list[str]:
    return list(dict.fromkeys(name for place in sets for name in examples.taxonomy(place).classes))


def _there(sets: Sequence[Path]) -> str:
    """What the sets have, in words."""
    counts: collections.Counter[str] = collections.Counter()
    for place in sets:
        for split, of_class in examples.read_info(place)["counts"].items():
            counts += collections.Counter({f"{split} {name}": count for name, count in of_class.items()})
    return f"there are {', '.join(f'{what} {count:,}' for what, count in counts.items()) or 'none at all'}"


def _write_tables(
    output: Path,
    rows: Sequence[dict],
    classes: Sequence[str],
    shown: Mapping[str, Sequence[np.ndarray]],
    form: Format,
) -> None:
    write_truth(output, rows, classes)
    if any("digital_source_type" in row for row in rows):
        write_provenance(output, rows, form)
        present = [name for name in classes if name in shown]
        side = max(96, max(len(image) for images in shown.values() for image in images))
        save_sheet(contact_sheet([shown[name] for name in present], present, cell=side), output / SHEET)
    known = pd.DataFrame(rows).reindex(columns=["image", *_KNOWN, "original_id"])
    known = known.loc[:, (known.fillna("").astype(str) != "").any()]
    if set(_KNOWN) & set(known) or (len(known.columns) > 1 and not (output / PROVENANCE).is_file()):
        write_text(output / METADATA, as_csv(known))
