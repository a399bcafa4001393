"""Generated pictures as PNG or JPEG files that say what they are: in the file itself and in tables beside them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from PIL import Image, PngImagePlugin

from lesiongan import __version__
from lesiongan.base.errors import UsageError
from lesiongan.base.files import read_json, whole_file, write_json, write_text
from lesiongan.data.csv_files import as_csv
from lesiongan.data.generated import DIGITAL_SOURCE_TYPE
from lesiongan.data.generated_folder import DRAWN_SOURCE_TYPE, PROVENANCE, TRUTH
from lesiongan.serving.croissant import write_croissant
from lesiongan.serving.xmp import packet

#: What the text in a file says of it, by its digital source type.
_DESCRIPTIONS = {
    DIGITAL_SOURCE_TYPE: "synthetic image made by a trained model; for research only",
    DRAWN_SOURCE_TYPE: "drawn phantom, no photograph; for tests only",
}
#: Suffixes of files.
Format = Literal["png", "jpeg"]
SUFFIXES: dict[str, str] = {"png": ".png", "jpeg": ".jpg"}
_JPEG_QUALITY = 95


def picture_bytes(
    pixels: np.ndarray, facts: Mapping[str, str | int], form: Format = "png", source_type: str = DIGITAL_SOURCE_TYPE
) -> bytes:
    """uint8 `[h, w, 3]` as a PNG or JPEG file with IPTC's digital source type and `facts` as XMP, where programs for
    pictures look for them (`xmp.facts_of` reads them), and as text (of a JPEG its comment). The same pixels and facts
    give the same bytes.

    Args:
        source_type: of IPTC; "" for a photograph, whose file says nothing.
    """
    texts = {"Software": f"lesiongan {__version__}", "Description": _DESCRIPTIONS.get(source_type, "")}
    texts |= {f"lesiongan:{key}": str(value) for key, value in facts.items()}
    xmp = packet(source_type, {**facts, "version": __version__})
    stream, image = io.BytesIO(), Image.fromarray(pixels)
    more: dict[str, Any] = {}
    if form == "jpeg":
        if source_type:
            comment = "\n".join(f"{key}: {value}" for key, value in texts.items())
            more = {"xmp": xmp.encode(), "comment": comment.encode()}
        image.save(stream, "JPEG", quality=_JPEG_QUALITY, subsampling=0, **more)
        return stream.getvalue()
    if source_type:
        text = PngImagePlugin.PngInfo()
        for key, value in texts.items():
            text.add_text(key, value)
        text.add_itxt("XML:com.adobe.xmp", xmp)
        more = {"pnginfo": text}
    image.save(stream, "PNG", **more)
    return stream.getvalue()


def write_picture(path: Path, pixels: np.ndarray, facts: Mapping[str, str | int], **form: Any) -> None:
    """Writes `picture_bytes`, whole or not at all."""
    with whole_file(path) as file:
        file.write(picture_bytes(pixels, facts, **form))


def made_by(record: Mapping) -> dict[str, str]:
    """What is said of a picture's generator, of the model's record: its name, its digest, and whose help it had."""
    guide = {"guided_by": record["guided_by"]} if record.get("guided_by") else {}
    return {"generator": record["name"], "generator_digest": record["digest"], **guide}


def write_tables(folder: Path, rows: Sequence[Mapping], classes: Sequence[str], record: Mapping) -> None:
    """Writes `ground_truth.csv` in ISIC's form, `provenance.csv` and the Croissant file of PNG pictures.

    Args:
        folder: where `images` lies.
        rows: of each picture `image`, `class`, and what it was made of (`seed`, `source`).
        classes: of the model, in label order.
        record: the model's.
    """
    write_truth(folder, rows, classes)
    origin = {**made_by(record), "digital_source_type": DIGITAL_SOURCE_TYPE}
    write_provenance(folder, [{**row, **origin} for row in rows], "png")


def write_truth(folder: Path, rows: Sequence[Mapping], classes: Sequence[str]) -> None:
    """Writes `ground_truth.csv` of rows with `image` and `class`; `classes` are the columns."""
    table = pd.DataFrame(rows)
    truth = pd.DataFrame({name: (table["class"] == name).astype(float) for name in classes})
    truth.insert(0, "image", table["image"])
    write_text(folder / TRUTH, as_csv(truth))


def write_provenance(folder: Path, rows: Sequence[Mapping], form: Format) -> None:
    """Writes `provenance.csv` of rows with `image`, `class` and where each picture comes from, and the Croissant file
    that describes it and the pictures."""
    write_text(folder / PROVENANCE, as_csv(pd.DataFrame(rows).rename(columns={"class": "intended"})))
    write_croissant(folder, rows, SUFFIXES[form])


def claim(output: Path, name: str, wanted: Mapping[str, Any], growing: str = "") -> None:
    """Notes in a folder what it was asked for, so that the same request goes on there.

    Args:
        output: the folder; made where there is none.
        name: of the note.
        wanted: the request, JSON-ready.
        growing: a number of it that may be larger than before (0 is none).

    Raises:
        UsageError: the folder holds something else, or what another request made.
    """
    place = output / name
    found = read_json(place) if place.is_file() else None
    if found is None and output.is_dir() and any(output.iterdir()):
        raise UsageError(f"-o {output}: not empty, and not made by this command; name another folder")
    if found is not None:
        differing = [key for key, value in wanted.items() if found.get(key) != value]
        more = differing == [growing] and 0 < found[growing] < wanted[growing]
        if differing and not more:
            raise UsageError(
                f"-o {output}: holds pictures of another request ({differing[0]} was {found.get(differing[0])}); "
                "name another folder"
            )
    write_json(place, wanted)
