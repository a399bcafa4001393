"""Where a picture comes from, written into its file as XMP (ISO 16684-1), which programs for pictures read."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

from PIL import Image

from lesiongan.base.errors import UsageError

_OURS = "urn:lesiongan:provenance"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{rdf}">
<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="{iptc}" xmlns:lesiongan="{ours}"
 Iptc4xmpExt:DigitalSourceType={source_type}{facts}/>
</rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""
#: What `facts_of` calls IPTC's digital source type.
SOURCE_TYPE = "digital_source_type"
_LONGEST = 1 << 20  # bytes of a packet that is read


def packet(source_type: str, facts: Mapping[str, str | int]) -> str:
    """XMP with IPTC's digital source type, and `facts` as properties of our own.

    Args:
        facts: by names that are XML names.
    """
    properties = "".join(f"\n lesiongan:{key}={quoteattr(str(value))}" for key, value in facts.items())
    return _PACKET.format(rdf=_RDF, iptc=_IPTC, ours=_OURS, source_type=quoteattr(source_type), facts=properties)


def facts_of(path: Path) -> dict[str, str]:
    """What a PNG or JPEG file says of its origin: `digital_source_type` and the facts that were written with it; empty
    where it says nothing.

    Raises:
        UsageError: no such file, or no picture.
    """
    try:
        with Image.open(path) as image:
            found = image.info.get("XML:com.adobe.xmp") or image.info.get("xmp") or ""
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file; give pictures") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise UsageError(f"{path}: not a picture that can be read; give PNG or JPEG files") from None
    data = found.encode() if isinstance(found, str) else bytes(found)
    if not data or len(data) > _LONGEST:
        return {}
    try:
        # entities are not defined anywhere in XMP, and expanding them is how small texts become large ones
        tree = ElementTree.parse(io.BytesIO(data)) if b"<!" not in data else None
    except ElementTree.ParseError:
        tree = None
    if tree is None:
        return {}
    facts: dict[str, str] = {}
    for description in tree.iter(f"{{{_RDF}}}Description"):
        for name, value in description.attrib.items():
            if name == f"{{{_IPTC}}}DigitalSourceType":
                facts[SOURCE_TYPE] = value
            elif name.startswith(f"{{{_OURS}}}"):
                facts[name.partition("}")[2]] = value
    return facts
