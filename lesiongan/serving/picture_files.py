"""Generated pictures as PNG files that say what they are: in the file itself and in tables beside them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, PngImagePlugin

from lesiongan import __version__
from lesiongan.base.files import whole_file, write_text
from lesiongan.data.generated import DIGITAL_SOURCE_TYPE
from lesiongan.data.generated_folder import PROVENANCE, TRUTH

_XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 Iptc4xmpExt:DigitalSourceType="{source_type}"/>
</rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""


def picture_bytes(pixels: np.ndarray, facts: Mapping[str, str | int]) -> bytes:
    """uint8 `[h, w, 3]` as a PNG file with IPTC's digital source type as XMP, where programs for pictures look for it,
    and `facts` as text. The same pixels and facts give the same bytes."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Software", f"lesiongan {__version__}")
    text.add_text("Description", "synthetic image made by a trained model; for research only")
    for key, value in facts.items():
        text.add_text(f"lesiongan:{key}", str(value))
    text.add_itxt("XML:com.adobe.xmp", _XMP.format(source_type=DIGITAL_SOURCE_TYPE))
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", pnginfo=text)
    return stream.getvalue()


def write_picture(path: Path, pixels: np.ndarray, facts: Mapping[str, str | int]) -> None:
    """Writes `picture_bytes`, whole or not at all."""
    with whole_file(path) as file:
        file.write(picture_bytes(pixels, facts))


def write_tables(folder: Path, rows: Sequence[Mapping], classes: Sequence[str], record: Mapping) -> None:
    """Writes `ground_truth.csv` in ISIC's form and `provenance.csv`.

    Args:
        folder: where `images` lies.
        rows: of each picture `image`, `class`, and what it was made of (`seed`, `source`).
        classes: of the model, in label order.
        record: the model's.
    """
    table = pd.DataFrame(rows)
    truth = pd.DataFrame({name: (table["class"] == name).astype(float) for name in classes})
    truth.insert(0, "image", table["image"])
    write_text(folder / TRUTH, truth.to_csv(index=False))
    provenance = table.rename(columns={"class": "intended"}).assign(
        generator=record["name"], generator_digest=record["digest"], digital_source_type=DIGITAL_SOURCE_TYPE
    )
    write_text(folder / PROVENANCE, provenance.to_csv(index=False))
