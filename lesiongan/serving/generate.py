"""Pictures of the classes asked for by a trained generator, as a folder that trainings take as they take real ones."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from lesiongan.base.errors import UsageError
from lesiongan.base.file_names import file_name
from lesiongan.base.progress import Progress
from lesiongan.data.contact_sheet import contact_sheet, save_sheet
from lesiongan.data.folders import check_apart
from lesiongan.data.generated_folder import IMAGES, SHEET
from lesiongan.data.labelled import distinct_names, listed, opened, squares
from lesiongan.data.pictures import whole
from lesiongan.serving import model_artifact, saved_models
from lesiongan.serving.picture_files import claim, made_by, write_picture, write_tables

REQUEST = "generation.json"
_CHUNK = 64  # pictures made at a time
_SHOWN = 8  # per class on the sheet


@dataclasses.dataclass(frozen=True)
class Request:
    """What a folder of generated pictures was asked for.

    Attributes:
        classes: abbreviations.
        count: pictures per class; of a translator at most so many, 0: one of each picture.
        seed: of the first picture of each class; picture i is of seed + i.
        source: files and folders of pictures that a translator turns into others.
        full_size: the translated pictures keep their size, see `cyclegan.full_size`.
    """

    classes: tuple[str, ...]
    count: int
    seed: int = 0
    source: tuple[str, ...] = ()
    full_size: bool = False


def generate(model: Path, request: Request, output: Path) -> tuple[int, list[str]]:
    """Makes pictures; what an earlier call with the same request has made is not made again.

    Args:
        model: a folder with an ACGAN or a CycleGAN, or the name of a pushed one (see `model_artifact.find`).
        request: what to make.
        output: gets `images/` (PNG), `ground_truth.csv` in ISIC's form, `provenance.csv`, `croissant.json` and
            `contact_sheet.png`; it is a source for `--data` and `--synthetic`.

    Returns:
        How many pictures there are, and a line for each source that cannot be used.

    Raises:
        UsageError: no generator there, a class that it does not know, pictures given to one that needs none or the
            other way round, or an output that holds what another request made.
    """
    place = model_artifact.find(model)
    record = model_artifact.describe(place)
    request = _checked(record, request, model)
    wanted = {"generator_digest": record["digest"], **json.loads(json.dumps(dataclasses.asdict(request)))}
    claim(output, REQUEST, wanted, growing="count")
    for entry in request.source:
        if Path(entry).is_dir():
            check_apart({"the pictures": entry, "the output": output})
    served = saved_models.load(place)
    rows, faults = (_translated if request.source else _sampled)(served, request, output / IMAGES)
    if not rows:
        raise UsageError(f"no picture to translate{f': {faults[0]}' if faults else '; give files or folders of them'}")
    write_tables(output, rows, served.taxonomy.classes, record)
    shown = [[row["image"] for row in rows if row["class"] == name][:_SHOWN] for name in request.classes]
    pictures = [[np.asarray(Image.open(output / IMAGES / f"{image}.png")) for image in images] for images in shown]
    save_sheet(contact_sheet(pictures, request.classes, cell=max(96, served.size)), output / SHEET)
    return len(rows), faults


def _checked(record: dict, request: Request, model: Path) -> Request:
    """The request with every class that it means; raises where the model cannot do it."""
    known = model_artifact.made_classes(record)
    unknown = [name for name in request.classes if name not in known]
    if unknown:
        raise UsageError(f"--class {unknown[0]}: {model} does not know it; it knows {', '.join(known)}")
    if record["kind"] == "classifier":
        raise UsageError(f"{model}: a classifier makes no pictures; give an ACGAN or a CycleGAN")
    if record["kind"] == "acgan":
        if request.full_size:
            raise UsageError(f"--full-size: {model} makes pictures from noise, of {record['size']} px; leave it out")
        if request.source:
            raise UsageError(f"--from: {model} makes pictures from noise and takes none; give a CycleGAN, or no --from")
        return dataclasses.replace(request, classes=request.classes or known)
    if not request.source:
        raise UsageError(f"{model}: a CycleGAN makes pictures of others; say of which with --from")
    if request.full_size and not record.get("any_size"):
        raise UsageError(
            f"--full-size: {model} translates at {record['size']} px alone; `lesiongan convert --to portable` makes a "
            "model of it that takes any size"
        )
    target = record.get("target") or record["class"]
    if request.classes not in ((), (target,)):
        raise UsageError(f"--class {request.classes[0]}: {model} makes {target}; leave --class out")
    return dataclasses.replace(request, classes=(target,))


def _sampled(served: saved_models.Served, request: Request, folder: Path) -> tuple[list[dict], list[str]]:
    """Rows of all pictures; those that are not there yet are made."""
    rows: list[dict] = [
        {"image": f"{file_name(name)}_{request.seed + number:010d}", "class": name, "seed": request.seed + number}
        for name in request.classes
        for number in range(request.count)
    ]
    missing = [row for row in rows if not (folder / f"{row['image']}.png").is_file()]
    progress = Progress("generate", len(rows), "images", start=len(rows) - len(missing))
    for begin in range(0, len(missing), _CHUNK):
        chunk = missing[begin : begin + _CHUNK]
        labels = np.array([served.taxonomy.index(row["class"]) for row in chunk])
        images = served.sample(labels, np.array([row["seed"] for row in chunk], np.int64), batch=_CHUNK)
        _write(served, folder, chunk, images)
        progress.update(len(rows) - len(missing) + begin + len(chunk))
    progress.close()
    return rows, []


def _translated(served: saved_models.Served, request: Request, folder: Path) -> tuple[list[dict], list[str]]:
    files, faults = listed(request.source)
    files = files[: request.count or None]
    names = dict(zip(files, distinct_names(files), strict=True))
    rows, done = [], 0
    progress = Progress("generate", len(files), "images")
    step = 1 if request.full_size else _CHUNK
    for begin in range(0, len(files), step):
        images, chunk, unusable = _read(files[begin : begin + step], served, request)
        faults += unusable
        made = [{"image": names[path], "class": request.classes[0], "source": str(path)} for path in chunk]
        missing = np.array([not (folder / f"{row['image']}.png").is_file() for row in made], bool)
        if missing.any():
            chosen = [row for row, absent in zip(made, missing, strict=True) if absent]
            translate = served.translate_full if request.full_size else served.translate
            _write(served, folder, chosen, translate(images[missing]))
        rows += made
        done += len(files[begin : begin + step])
        progress.update(done)
    progress.close()
    return rows, faults


def _read(files: Sequence[Path], served: saved_models.Served, request: Request) -> tuple[np.ndarray, list[Path], list]:
    """Pictures as an array, their files, and a line for each that cannot be used."""
    if not request.full_size:
        return squares(files, served.size, served.reading)
    images, used, faults = opened(files, whole)
    return np.stack(images) if images else np.zeros((0, 1, 1, 3), np.uint8), used, faults


def _write(served: saved_models.Served, folder: Path, rows: Sequence[dict], images: np.ndarray) -> None:
    for row, image in zip(rows, images, strict=True):
        origin = {"seed": row["seed"]} if "seed" in row else {"source": Path(row["source"]).name}
        facts = {"class": row["class"], **origin, **made_by(served.record)}
        write_picture(folder / f"{row['image']}.png", image, facts)
