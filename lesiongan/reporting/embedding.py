"""PNG files as part of a page, within a budget of bytes."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

_SCALES = (1.0, 0.75, 0.5, 0.35)


def embed(paths: Sequence[Path], budget: int) -> list[dict | None]:
    """Pictures as data URIs that take at most `budget` bytes together.

    They stay as they are where they fit; otherwise all become WebP, smaller step by step; what does not fit then is
    left out.

    Returns:
        For each path `{"uri", "width", "height"}` (pixels of the file), or None where the file is no picture or left
        out.
    """
    files = [_read(path) for path in paths]
    for scale in (None, *_SCALES):
        encoded = [file and (file[0] if scale is None else _webp(file[1], scale)) for file in files]
        if sum(_size(data) for data in encoded if data) <= budget:
            break
    kind = "image/png" if scale is None else "image/webp"
    embedded: list[dict | None] = []
    for file, data in zip(files, encoded, strict=True):
        if not file or not data or _size(data) > budget:
            embedded.append(None)
            continue
        budget -= _size(data)
        uri = f"data:{kind};base64,{base64.b64encode(data).decode()}"
        embedded.append({"uri": uri, "width": file[1].width, "height": file[1].height})
    return embedded


def webp_uri(image: Image.Image) -> str:
    """A picture as a data URI, at its own size."""
    return f"data:image/webp;base64,{base64.b64encode(_webp(image, 1.0)).decode()}"


def _read(path: Path) -> tuple[bytes, Image.Image] | None:
    try:
        data = Path(path).read_bytes()
        image = Image.open(io.BytesIO(data))
        image.load()
    except (OSError, ValueError):
        return None
    if image.format != "PNG":
        stream = io.BytesIO()
        image.convert("RGB").save(stream, "PNG")
        data = stream.getvalue()
    return data, image.convert("RGB")


def _webp(image: Image.Image, scale: float) -> bytes:
    if scale < 1:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=88, method=4)
    return stream.getvalue()


def _size(data: bytes) -> int:
    return (len(data) + 2) // 3 * 4
