"""DICOM files as pydicom writes them: the pixels that went in come out, and nothing of the patient does."""

from __future__ import annotations

import io
import logging
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image
from small_sources import folder, one_hot

from lesiongan.config.data import DataConfig
from lesiongan.data.pictures import MAX_PIXELS, Unusable, decode
from lesiongan.data.sources import open_source

pydicom = pytest.importorskip("pydicom")
from pydicom.encaps import encapsulate  # noqa: E402
from pydicom.pixels import convert_color_space  # noqa: E402
from pydicom.uid import (  # noqa: E402
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

PATIENT = "Mustermann^Erika"


def smooth() -> np.ndarray:
    """A colour picture without sharp edges, `[24, 32, 3]`, so that JPEG keeps it."""
    y, x = np.mgrid[:24, :32]
    return np.stack([40 + 6 * x, 200 - 5 * y, 90 + 2 * x + 2 * y], axis=-1).astype(np.uint8)


def dataset(pixels: np.ndarray, space: str, syntax=ExplicitVRLittleEndian, **elements):
    ds = pydicom.Dataset()
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.4"
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.3680043.8.498.1"
    ds.PatientName, ds.PatientID = PATIENT, "SECRET-ID"
    ds.Rows, ds.Columns = pixels.shape[:2]
    ds.SamplesPerPixel = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.ndim == 3:
        ds.PlanarConfiguration = 0
    ds.PhotometricInterpretation = space
    ds.BitsAllocated = ds.BitsStored = pixels.dtype.itemsize * 8
    ds.HighBit, ds.PixelRepresentation = ds.BitsStored - 1, int(pixels.dtype.kind == "i")
    ds.PixelData = pixels.tobytes()
    for name, value in elements.items():
        setattr(ds, name, value)
    return ds


def written(ds) -> bytes:
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def compressed(pixels: np.ndarray, kind: str, space: str, syntax, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    ds = dataset(pixels, space, syntax)
    ds.PixelData = encapsulate([buffer.getvalue()])
    ds["PixelData"].VR = "OB"
    return written(ds)


def read(data: bytes, size: tuple[int, int] = (24, 32)) -> np.ndarray:
    """The whole picture: padded to a square of its longer side, and cut again."""
    picture = decode(data, [max(size)], "pad").squares[max(size)]
    top, left = (max(size) - size[0]) // 2, (max(size) - size[1]) // 2
    return picture[top : top + size[0], left : left + size[1]]


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("planar", [0, 1])
def test_rgb(syntax, planar):
    ds = dataset(smooth(), "RGB", syntax, PlanarConfiguration=planar)
    if planar:
        ds.PixelData = smooth().transpose(2, 0, 1).tobytes()
    np.testing.assert_array_equal(read(written(ds)), smooth())


def test_ybr_and_run_lengths():
    ybr = convert_color_space(smooth(), "RGB", "YBR_FULL")
    assert np.abs(read(written(dataset(ybr, "YBR_FULL"))).astype(int) - smooth()).max() <= 2
    ds = dataset(smooth(), "RGB")
    ds.compress(RLELossless, generate_instance_uid=False)
    np.testing.assert_array_equal(read(written(ds)), smooth())


@pytest.mark.parametrize("space", ["YBR_FULL", "YBR_FULL_422", "RGB"])
def test_jpeg_baseline(space):
    """Also where the header says RGB of a JFIF file, which is YCbCr, as some devices write it."""
    data = compressed(smooth(), "JPEG", space, JPEGBaseline8Bit, quality=98, subsampling=2 if "422" in space else 0)
    assert np.abs(read(data).astype(int) - smooth()).mean() < 1.5


def test_jpeg_2000():
    data = compressed(smooth(), "JPEG2000", "YBR_RCT", JPEG2000Lossless, irreversible=False)
    np.testing.assert_array_equal(read(data), smooth())


def grey() -> np.ndarray:
    return np.arange(24 * 32, dtype=np.uint16).reshape(24, 32)


def test_greyscale_uses_the_range_of_its_bits_or_its_window():
    twelve = dataset(grey() * 5, "MONOCHROME2", BitsStored=12, HighBit=11)
    expected = np.rint(grey() * 5 / 4095 * 255)
    np.testing.assert_array_equal(read(written(twelve)), np.repeat(expected[..., None], 3, axis=-1))
    eight = (grey() // 3).astype(np.uint8)
    np.testing.assert_array_equal(read(written(dataset(eight, "MONOCHROME2")))[..., 0], eight)
    np.testing.assert_array_equal(read(written(dataset(eight, "MONOCHROME1")))[..., 0], 255 - eight)
    signed = dataset(grey().astype(np.int16) - 300, "MONOCHROME2", BitsStored=12, HighBit=11)
    signed.RescaleSlope, signed.RescaleIntercept = 2, 10
    np.testing.assert_array_equal(read(written(signed))[..., 0], np.rint((grey() - 300.0 + 2048) / 4095 * 255))
    window = dataset(grey(), "MONOCHROME2", WindowCenter=400.5, WindowWidth=201)
    shown = read(written(window))[..., 0].astype(float)
    # PS3.3 C.11.2.1.2: below center - 0.5 - (width - 1) / 2 black, above its mirror white, linear between
    np.testing.assert_allclose(shown, np.clip((grey() - 300.0) / 200 * 255, 0, 255), atol=0.51)


@pytest.mark.parametrize("bits", [8, 16])
def test_palette(bits):
    rng = np.random.default_rng(0)
    table = rng.integers(0, 256, (256, 3)).astype(np.uint8)
    indices = rng.integers(0, 256, (24, 32)).astype(np.uint8)
    ds = dataset(indices, "PALETTE COLOR")
    for channel, name in enumerate(("Red", "Green", "Blue")):
        entries = table[:, channel] if bits == 8 else table[:, channel].astype("<u2") * 257
        setattr(ds, f"{name}PaletteColorLookupTableDescriptor", [256, 0, bits])
        setattr(ds, f"{name}PaletteColorLookupTableData", entries.tobytes())
    np.testing.assert_array_equal(read(written(ds)), table[indices])


def frames() -> bytes:
    return written(dataset(smooth(), "RGB", NumberOfFrames=2, PixelData=smooth().tobytes() * 2))


def no_picture() -> bytes:
    ds = dataset(smooth(), "RGB")
    del ds.PixelData
    return written(ds)


def lossless() -> bytes:
    ds = dataset(smooth(), "RGB", JPEGLSLossless, PixelData=encapsulate([bytes(64)]))
    ds["PixelData"].VR = "OB"
    return written(ds)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (frames, "more than one frame"),
        (no_picture, "a DICOM file without a picture"),
        (lossless, "a DICOM file of a compression that is not read; save it as PNG or JPEG"),
        (lambda: written(dataset(smooth(), "CMYK")), "a DICOM file of a colour space that is not read"),
        (lambda: written(dataset(smooth(), "RGB", DeflatedExplicitVRLittleEndian)), "a deflated DICOM file"),
        (lambda: written(dataset(smooth(), "RGB", Rows=60_000, Columns=60_000)), f"more than {MAX_PIXELS // 10**6}"),
        (lambda: written(dataset(smooth()[:4], "RGB")), "smaller than 8 pixels"),
        (lambda: written(dataset(smooth(), "RGB"))[:-700], "a damaged DICOM file"),
        (lambda: written(dataset(smooth(), "RGB", ExplicitVRBigEndian))[:400], "a DICOM file without a picture"),
        (lambda: bytes(128) + b"DICM" + PATIENT.encode() * 9, "DICOM file"),
    ],
)
def test_what_cannot_be_read_is_named_without_the_patient(data, why, caplog, recwarn, capfd):
    with caplog.at_level(logging.DEBUG), pytest.raises(Unusable, match=why) as raised:
        decode(data(), [16])
    said = [str(raised.value), str(raised.value.__cause__), caplog.text, *(str(w.message) for w in recwarn)]
    assert not any(word in text for text in (*said, *capfd.readouterr()) for word in ("Mustermann", "SECRET"))


def test_damaged_anywhere_is_a_reason_or_a_picture():
    data = compressed(smooth(), "JPEG", "YBR_FULL", JPEGBaseline8Bit)
    rng = np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(data)
        for position in rng.integers(128, len(data), 6):
            damaged[position] = rng.integers(256)
        said = ""
        try:
            assert decode(bytes(damaged), [16]).squares[16].shape == (16, 16, 3)
        except Unusable as unusable:
            said = str(unusable)
        assert "Mustermann" not in said


def test_values_of_odd_elements_are_not_passed_on(caplog, recwarn, capfd):
    ds = dataset(smooth(), "RGB", PatientBirthDate="19700101")
    data = written(ds).replace(b"19700101", b"BORN1970")
    with caplog.at_level(logging.DEBUG):
        np.testing.assert_array_equal(read(data), smooth())
    assert not any("BORN" in text for text in (caplog.text, *(str(w.message) for w in recwarn), *capfd.readouterr()))


def test_in_folders_and_zips_whatever_the_name(tmp_path):
    names = ["a.dcm", "b.DCM", "IM0003", "1.2.840.4"]
    table = one_hot(["a", "b", "IM0003", "1.2.840.4"], ["MEL", "NV", "MEL", "NV"], ["MEL", "NV"])
    data = written(dataset(smooth(), "RGB"))
    loose = folder(tmp_path / "loose", table, names)
    for name in names:
        (tmp_path / "loose/images" / name).write_bytes(data)
    packed = folder(tmp_path / "packed", table, [])
    with zipfile.ZipFile(tmp_path / "packed/images.zip", "w") as archive:
        for name in names:
            archive.writestr(f"images/{name}", data)
        archive.writestr("images/notes", "nothing")
    for path in (loose, packed):
        source = open_source(path, DataConfig(), 0)
        assert source.anomalies == ()
        for location in source.rows["location"]:
            np.testing.assert_array_equal(read(source.read(location)), smooth())


def test_without_pydicom_what_to_install_is_said(monkeypatch):
    data = written(dataset(smooth(), "RGB"))
    monkeypatch.setitem(sys.modules, "pydicom", None)  # as Python marks what cannot be imported
    with pytest.raises(Unusable, match=r"^a DICOM file; install lesiongan\[dicom\]$"):
        decode(data, [16])
