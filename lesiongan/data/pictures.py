"""One picture, from the bytes of a file that nobody has checked to squares of the sizes that training reads.

The paper (section 2) resizes with bicubic interpolation from the fully decoded image, without keeping the shape
(`squash`). Pillow's bicubic filter widens with the scale, so it is antialiased.
"""

from __future__ import annotations

import dataclasses
import io
import warnings
import zlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
from PIL import ExifTags, Image

from lesiongan.base.errors import LesionganError

Resize = Literal["squash", "crop", "pad"]

#: Side in pixels of the thumbnails that near-duplicates are found by.
THUMBNAIL = 32
#: Pictures smaller than this (pixels, either side) show nothing.
MIN_SIDE = 8
#: A header that claims more pixels is refused before anything is decoded.
MAX_PIXELS = 100_000_000
#: A progressive JPEG has about ten scans. Each is a pass over all its pixels: with hundreds of them, which cost a few
#: bytes each, a small file took minutes.
MAX_SCANS = 100
_MAX_SCANNED = 20 * MAX_PIXELS  # pixels, of all scans
#: Pillow's other formats (EPS, PDF, ...) start interpreters or are never photographs.
_FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP", "GIF")


class Unusable(LesionganError):
    """A file that cannot become a picture; the message is a short reason without the file's name."""


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture as it comes, and as training reads it.

    Attributes:
        width, height: of the file in pixels, as it is stored.
        squares: size in pixels -> uint8 `[size, size, 3]`, RGB, 0 to 255.
        thumbnail: see `thumbnail`.
    """

    width: int
    height: int
    squares: dict[int, np.ndarray]
    thumbnail: np.ndarray


def decode(data: bytes, sizes: Sequence[int], resize: Resize = "squash", exact: bool = True) -> Picture:
    """Decodes an encoded picture and makes it a square of each size.

    Args:
        data: the file's bytes: JPEG, PNG, TIFF, BMP, WebP or GIF, whatever the file is named; DICOM with the extra
            `dicom`.
        sizes: sides in pixels; none of them if only the rest is asked for.
        resize: `squash` (the shape is lost, as in the paper), `crop` (the largest square in the centre) or `pad` (black
            bars).
        exact: resize from the fully decoded image. False lets a JPEG be decoded at 1/2, 1/4 or 1/8 of its size (still
            at least twice the largest of `sizes`), which is much faster and nearly the same.

    Returns:
        The picture, turned upright where EXIF says so; transparency is put on white, 16-bit greyscale is scaled to 8
        bits.

    Raises:
        Unusable: not a picture, damaged, animated, too small or too large.
    """
    image, shape = _opened(data, 0 if exact else 2 * max((*sizes, THUMBNAIL)))
    return _picture(image, shape, sizes, resize)


def whole(data: bytes) -> np.ndarray:
    """The picture at its own size: uint8 `[height, width, 3]`; else as `decode`."""
    return np.asarray(_opened(data, 0)[0])


def _opened(data: bytes, needed: int) -> tuple[Image.Image, tuple[int, int]]:
    """An encoded picture as an RGB image, upright, and the file's width and height; a JPEG may be decoded smaller, at
    `needed` pixels or more of each side (0: whole)."""
    if not data:
        raise Unusable("the file is empty (0 bytes)")
    from lesiongan.data import dicom  # it builds on this module

    try:
        with warnings.catch_warnings():
            # Pillow warns of size and of odd metadata; sizes are checked here, and the metadata does not matter.
            warnings.simplefilter("ignore")
            if dicom.is_dicom(data):
                decoded = dicom.image(data)
                return decoded, decoded.size
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                _check(image)
                if image.format in ("JPEG", "MPO"):
                    check_scans(data, image.width * image.height)
                shape = image.size
                if needed:
                    image.draft(None, (needed, needed))
                image.load()
                return _rgb(_upright(image)), shape
    except (Unusable, MemoryError):
        raise
    except Image.UnidentifiedImageError:
        raise Unusable("not a picture") from None
    except Image.DecompressionBombError:
        raise Unusable(f"more than {MAX_PIXELS // 1_000_000} megapixels") from None
    except Exception as error:  # a damaged file can make a decoder raise anything
        raise Unusable(f"damaged: {error or type(error).__name__}") from error


def from_array(array: np.ndarray, sizes: Sequence[int], resize: Resize = "squash") -> Picture:
    """The same for a picture that is already decoded, uint8 `[h, w, 3]`."""
    image = Image.fromarray(array)
    return _picture(image, image.size, sizes, resize)


def _picture(image: Image.Image, shape: tuple[int, int], sizes: Sequence[int], resize: Resize) -> Picture:
    squares = {size: np.asarray(square(image, size, resize)) for size in sizes}
    return Picture(*shape, squares, thumbnail(image))


def square(image: Image.Image, size: int, resize: Resize) -> Image.Image:
    """An RGB image as a square of `size` pixels, by antialiased bicubic interpolation."""
    width, height = image.size
    if resize == "squash" or width == height:
        return _resized(image, (size, size), (0, 0, width, height))
    if resize == "crop":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        return _resized(image, (size, size), (left, top, left + side, top + side))
    if resize == "pad":
        scale = size / max(width, height)
        inner = max(1, round(width * scale)), max(1, round(height * scale))
        canvas = Image.new("RGB", (size, size))
        canvas.paste(_resized(image, inner, (0, 0, width, height)), ((size - inner[0]) // 2, (size - inner[1]) // 2))
        return canvas
    raise ValueError(f"resize must be squash, crop or pad, got {resize!r}")


def _resized(image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float]) -> Image.Image:
    """The part `box` (left, top, right, bottom) of an image at `size` (width, height): along the rows first, then along
    the columns. Pillow alone takes, since 13, whichever order is cheaper, and rounds and clips in between: one picture
    would give other squares with another version, and in a served model's graph."""
    if image.size == size and box == (0, 0, *size):
        return image
    if box == (0, 0, *image.size) and image.width >= image.height and size[0] == size[1]:
        return image.resize(size, Image.Resampling.BICUBIC)  # every Pillow takes the rows first here
    left, top, right, bottom = box
    rows = image.resize((size[0], image.height), Image.Resampling.BICUBIC, box=(left, 0, right, image.height))
    return rows.resize(size, Image.Resampling.BICUBIC, box=(0, top, size[0], bottom))


def thumbnail(image: Image.Image) -> np.ndarray:
    """What near-duplicates are found by: uint8 `[32, 32]`, grey, whatever the picture's shape."""
    return np.asarray(image.convert("L").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC, reducing_gap=3.0))


def thumbnails(images: np.ndarray) -> np.ndarray:
    """uint8 `[n, s, s, 3]` -> uint8 `[n, 32, 32]`, the `thumbnail` of each."""
    found = np.empty((len(images), THUMBNAIL, THUMBNAIL), np.uint8)
    for place, image in enumerate(images):
        found[place] = thumbnail(Image.fromarray(image))
    return found


def encode_png(image: np.ndarray) -> bytes:
    """uint8 `[h, w, 3]` as PNG. Run-length coding alone is faster on filtered photographs, and smaller."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=1, compress_type=zlib.Z_RLE)
    return buffer.getvalue()


def check_size(width: int, height: int) -> None:
    """Raises `Unusable` for a picture too large to be decoded or too small to show anything."""
    if width * height > MAX_PIXELS:
        raise Unusable(f"more than {MAX_PIXELS // 1_000_000} megapixels ({width} x {height})")
    if min(width, height) < MIN_SIDE:
        raise Unusable(f"smaller than {MIN_SIDE} pixels ({width} x {height})")


def check_scans(data: bytes, pixels: int) -> None:
    """Raises `Unusable` for a JPEG of more scans than a photograph has. Their marker cannot be in a scan's own data."""
    scans = data.count(b"\xff\xda")
    if scans > MAX_SCANS or scans * pixels > _MAX_SCANNED:
        raise Unusable(f"a JPEG of {scans:,} scans, more than a photograph of its size has")


def _check(image: Image.Image) -> None:
    """Looks at the header only."""
    check_size(*image.size)
    # MPO is a camera's JPEG with a preview behind it: its first frame is the photograph.
    if image.format != "MPO" and getattr(image, "is_animated", False):
        raise Unusable("more than one frame (animated)")


#: EXIF orientation -> how the picture is turned upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _upright(image: Image.Image) -> Image.Image:
    """The picture turned as EXIF says. Only EXIF itself is asked (Pillow would ask XMP too, which a served model
    cannot), and what is malformed in it does not matter: metadata never makes a picture unusable."""
    try:
        if image.format == "TIFF":
            orientation = image.getexif().get(ExifTags.Base.Orientation)
        else:
            content = image.info.get("exif") or b""
            while content.startswith(b"Exif\0\0"):  # some cameras write it several times
                content = content[6:]
            if not content:
                return image
            exif = Image.Exif()
            exif.load(content)
            orientation = exif.get(ExifTags.Base.Orientation)
        turn = _TURNS.get(orientation or 0)
    except Exception:  # whatever a camera, a phone or an editor has written there
        turn = None
    return image if turn is None else image.transpose(turn)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):
        # Pillow's own conversion clips at 255 instead of scaling.
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise Unusable("more than 16 bits a pixel")
        return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.mode == "CMYK":
        # as TensorFlow's decoder does, so that a served model sees the same
        ink = 255 - np.asarray(image).astype(np.uint32)
        return Image.fromarray((ink[..., :3] * ink[..., 3:] // 255).astype(np.uint8))
    if image.mode == "F":
        raise Unusable("floating-point pixels")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")
