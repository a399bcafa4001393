"""A Croissant file beside a folder of generated pictures (MLCommons' format 1.0, JSON-LD on schema.org): what the files
are, which columns the table beside them has, under which licence and of what the pictures were made.

https://docs.mlcommons.org/croissant/docs/croissant-spec.html; `mlcroissant validate --jsonld croissant.json` checks it,
and `mlcroissant.Dataset` reads the pictures by it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lesiongan import __version__
from lesiongan.base.files import write_json
from lesiongan.data.generated_folder import DRAWN_SOURCE_TYPE, IMAGES, PROVENANCE

CROISSANT = "croissant.json"

#: The keywords of format 1.0, as the specification lists them.
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{
        name: f"cr:{name}"
        for name in (
            "citeAs",
            "column",
            "equivalentProperty",
            "extract",
            "field",
            "fileProperty",
            "fileObject",
            "fileSet",
            "format",
            "includes",
            "isLiveDataset",
            "jsonPath",
            "key",
            "md5",
            "parentField",
            "path",
            "recordSet",
            "references",
            "regex",
            "repeated",
            "replace",
            "samplingRate",
            "separator",
            "source",
            "subField",
            "transform",
        )
    },
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "sc": "https://schema.org/",
}
#: ISIC 2019's images are CC BY-NC 4.0, and so is what a generator learned from them.
_LEARNED = "https://creativecommons.org/licenses/by-nc/4.0/"
_DRAWN = "https://www.apache.org/licenses/LICENSE-2.0"
_ISIC = "https://challenge.isic-archive.com/data/#2019"
_NUMBERS = {"seed": "sc:Integer", "alpha": "sc:Float", "age_approx": "sc:Float"}
_TYPES = {".png": "image/png", ".jpg": "image/jpeg"}
_WHAT = {
    "image": "name of the picture's file, without suffix",
    "intended": "class that the picture was made for",
    "source": "id of the image that it was made of",
    "seed": "of the generator",
    "generator": "name of the model",
    "generator_digest": "SHA-256 of the model's files",
    "guided_by": "SHA-256 of the classifiers that the model's training was guided by",
    "digital_source_type": "IPTC's digital source type",
}


def write_croissant(folder: Path, rows: Sequence[Mapping[str, Any]], suffix: str) -> None:
    """Writes `croissant.json` into a folder with `images/` and `provenance.csv`.

    Args:
        rows: what `provenance.csv` says of each picture.
        suffix: of the pictures' files, `.png` or `.jpg`.
    """
    table = folder / PROVENANCE
    columns = pd.read_csv(table, nrows=0).columns
    drawn = all(row.get("digital_source_type") == DRAWN_SOURCE_TYPE for row in rows)
    of_isic = any(str(row.get("source", "")).startswith("ISIC_") for row in rows)
    content = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": "lesiongan-pictures",
        "description": _description(rows, drawn),
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "license": _DRAWN if drawn else _LEARNED,
        "version": __version__,
        "creator": {"@type": "sc:Organization", "name": f"lesiongan {__version__}"},
        **({"isBasedOn": _ISIC} if of_isic else {}),
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": "provenance",
                "name": "provenance",
                "description": "One row per picture: the class it was made for, and by what.",
                "contentUrl": PROVENANCE,
                "encodingFormat": "text/csv",
                "sha256": hashlib.sha256(table.read_bytes()).hexdigest(),
            },
            {
                "@type": "cr:FileSet",
                "@id": "pictures",
                "name": "pictures",
                "description": "The pictures; each file says in XMP what it is.",
                "encodingFormat": _TYPES[suffix],
                "includes": f"{IMAGES}/*{suffix}",
            },
        ],
        "recordSet": [_files(suffix), _made(columns)],
    }
    write_json(folder / CROISSANT, content)


def _description(rows: Sequence[Mapping[str, Any]], drawn: bool) -> str:
    classes = ", ".join(sorted({str(row["class"]) for row in rows}))
    if drawn:
        return f"{len(rows):,} drawn phantoms of dermoscopy pictures ({classes}): no photographs, for tests only."
    generators = ", ".join(sorted({str(row["generator"]) for row in rows if row.get("generator")})) or "a trained model"
    return (
        f"{len(rows):,} synthetic dermoscopy pictures ({classes}) made by {generators}: no photographs of patients, "
        "for research only, never for diagnosis. Their licence is that of the images that the generator learned from; "
        "the one named here is ISIC 2019's."
    )


def _files(suffix: str) -> dict[str, Any]:
    pictures = {"fileSet": {"@id": "pictures"}}
    name = {
        **_field("files/name", "name of the file, without suffix", "sc:Text"),
        "source": {
            **pictures,
            "extract": {"fileProperty": "filename"},
            "transform": {"regex": rf"^(.*)\{suffix}$"},
        },
    }
    content = {
        **_field("files/content", "the picture", "sc:ImageObject"),
        "source": {**pictures, "extract": {"fileProperty": "content"}},
    }
    return {
        "@type": "cr:RecordSet",
        "@id": "files",
        "name": "files",
        "key": {"@id": "files/name"},
        "field": [name, content],
    }


def _made(columns: Sequence[str]) -> dict[str, Any]:
    fields = [
        {
            **_field(f"made/{column}", _WHAT.get(column, column), _NUMBERS.get(column, "sc:Text")),
            "source": {"fileObject": {"@id": "provenance"}, "extract": {"column": column}},
            **({"references": {"field": {"@id": "files/name"}}} if column == "image" else {}),
        }
        for column in columns
    ]
    return {"@type": "cr:RecordSet", "@id": "made", "name": "made", "key": {"@id": "made/image"}, "field": fields}


def _field(place: str, description: str, data_type: str) -> dict[str, Any]:
    name = place.rpartition("/")[2]
    return {"@type": "cr:Field", "@id": place, "name": name, "description": description, "dataType": data_type}
