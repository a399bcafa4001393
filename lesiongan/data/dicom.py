"""DICOM dermoscopy: one frame as an RGB picture, with the optional extra `dicom` (pydicom).

Only the elements that describe the pixels are read. What a file says of the patient is never parsed, and no message
holds a value out of it: pydicom's own messages quote values, so they are not passed on.
"""

from __future__ import annotations

import io
import logging
from typing import Any

import numpy as np
from PIL import Image

from lesiongan.data.pictures import Unusable, check_scans, check_size

_COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_GREYS = ("MONOCHROME1", "MONOCHROME2")
_JPEG = "1.2.840.10008.1.2.4."  # begins the transfer syntaxes of all kinds of JPEG
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_ELEMENTS = (
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "RescaleSlope", "RescaleIntercept"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"),
    *(
        f"{colour}PaletteColorLookupTable{part}"
        for colour in ("Red", "Green", "Blue")
        for part in ("Descriptor", "Data")
    ),
    *(f"Segmented{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue")),
    *_PIXELS,
)


def is_dicom(data: bytes) -> bool:
    """Whether a file begins as DICOM does: 128 bytes of anything, then DICM."""
    return data[128:132] == b"DICM"


def image(data: bytes) -> Image.Image:
    """The picture of a DICOM file, RGB.

    Greyscale is shown as its window says, or else over the whole range that its bits can hold.

    Raises:
        Unusable: pydicom is not installed, no picture of one frame, too small or too large, a compression that is not
            read, damaged.
    """
    try:
        import pydicom
    except ImportError:
        raise Unusable("a DICOM file; install lesiongan[dicom]") from None
    # pydicom logs and warns of odd values and quotes them; with validation off they are not looked at.
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    if _DEFLATED in data[132:4096]:  # pydicom would inflate it without a limit
        raise Unusable("a deflated DICOM file, which is not read")
    try:
        dataset = pydicom.dcmread(io.BytesIO(data), specific_tags=list(_ELEMENTS))
        _check(dataset)
        if dataset.file_meta.TransferSyntaxUID.startswith(_JPEG):
            check_scans(data, int(dataset.Columns) * int(dataset.Rows))
        return Image.fromarray(np.ascontiguousarray(_rgb(dataset)))
    except (Unusable, MemoryError):
        raise
    except Exception as error:  # a damaged file can make a decoder raise anything; its message may quote the file
        raise Unusable(f"a damaged DICOM file ({type(error).__name__})") from None


def _check(dataset: Any) -> None:
    """Looks at the header only."""
    if not any(name in dataset for name in _PIXELS):
        raise Unusable("a DICOM file without a picture")
    if "PixelData" not in dataset:
        raise Unusable("floating-point pixels")
    check_size(int(dataset.Columns), int(dataset.Rows))
    if int(dataset.get("NumberOfFrames") or 1) != 1:
        raise Unusable("more than one frame")
    if dataset.PhotometricInterpretation not in (*_COLOURS, *_GREYS, "PALETTE COLOR"):
        raise Unusable("a DICOM file of a colour space that is not read")
    from pydicom.pixels import get_decoder

    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        can_be_read = not syntax.is_encapsulated or get_decoder(syntax).is_available
    except (NotImplementedError, ValueError):
        can_be_read = False
    if not can_be_read:
        raise Unusable("a DICOM file of a compression that is not read; save it as PNG or JPEG")


def _rgb(dataset: Any) -> np.ndarray:
    from pydicom import pixels

    space = dataset.PhotometricInterpretation
    values = pixels.pixel_array(dataset)  # YBR is converted to RGB
    if space == "PALETTE COLOR":
        values = pixels.apply_color_lut(values, dataset)[..., :3]
        return values if values.dtype == np.uint8 else ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    bits = int(dataset.BitsStored)
    signed = int(dataset.get("PixelRepresentation") or 0)
    ends = np.array([-(1 << bits - 1), (1 << bits - 1) - 1] if signed else [0, (1 << bits) - 1])
    if space in _GREYS:
        values = pixels.apply_rescale(values, dataset)
        ends = pixels.apply_rescale(ends, dataset)
        if "WindowCenter" in dataset and "WindowWidth" in dataset:
            values = pixels.apply_windowing(values, dataset)
    low, high = float(ends.min()), float(ends.max())
    if not high > low:
        raise Unusable("a damaged DICOM file (its greyscale has no range)")
    if values.dtype != np.uint8 or (low, high) != (0, 255):
        values = np.clip(np.rint((values.astype(np.float64) - low) / (high - low) * 255), 0, 255).astype(np.uint8)
    if space == "MONOCHROME1":  # the lowest value is white
        values = 255 - values
    return values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=-1)
