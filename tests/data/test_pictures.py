"""Decoding: every kind of picture to RGB squares, and a short reason for whatever is none."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from lesiongan.data.pictures import MAX_PIXELS, Unusable, decode, encode_png, from_array


def smooth(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A picture with structure at every scale down to a few pixels, uint8 `[height, width, 3]`."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3))
    for cells in (4, 16, 64):
        coarse = Image.fromarray(rng.integers(0, 256, (cells, cells, 3)).astype(np.uint8))
        picture += np.asarray(coarse.resize((width, height), Image.Resampling.BILINEAR)) / cells
    return (picture / picture.max() * 255).astype(np.uint8)


def encoded(image: np.ndarray | Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def keys_matrix(n: int, m: int) -> np.ndarray:
    """`[m, n]` weights of Keys's cubic convolution (a = -0.5), widened by the scale where it shrinks (antialiasing)."""
    scale = n / m
    width = max(scale, 1.0)
    centres = (np.arange(m) + 0.5) * scale
    x = np.abs((np.arange(n) + 0.5 - centres[:, None]) / width)
    inner = 1.5 * x**3 - 2.5 * x**2 + 1
    outer = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    weights = np.where(x < 1, inner, np.where(x < 2, outer, 0))
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("size", [24, 96])
def test_resize_is_antialiased_bicubic(size):
    picture = smooth(60, 80)
    ours = decode(encoded(picture), [size]).squares[size].astype(float)
    reference = np.einsum("ih,jw,hwc->ijc", keys_matrix(60, size), keys_matrix(80, size), picture.astype(float))
    assert np.abs(ours - np.clip(reference, 0, 255)).max() <= 1.5  # Pillow rounds after each of the two passes


def test_every_size_comes_from_the_full_picture():
    data = encoded(smooth(50, 70))
    both = decode(data, [16, 32]).squares
    assert {size: image.shape for size, image in both.items()} == {16: (16, 16, 3), 32: (32, 32, 3)}
    for size, image in both.items():
        assert image.dtype == np.uint8
        np.testing.assert_array_equal(image, decode(data, [size]).squares[size])


def test_scaled_decoding_is_within_one_grey_level():
    data = encoded(smooth(768, 1024), "JPEG", quality=92)
    exact, fast = decode(data, [64]).squares[64], decode(data, [64], exact=False).squares[64]
    assert (exact != fast).any()  # it was another way
    assert np.abs(exact.astype(int) - fast).mean() < 1


def test_scaled_decoding_keeps_twice_the_largest_size():
    data = encoded(smooth(256, 256), "JPEG", quality=92)
    np.testing.assert_array_equal(decode(data, [200, 16]).squares[16], decode(data, [200, 16], exact=False).squares[16])


def test_modes():
    # Three vertical bands of 20 x 20: red, green, blue.
    picture = np.repeat(np.eye(3, dtype=np.uint8) * 255, 20, axis=0)[None].repeat(20, axis=0)
    data = encoded(picture)
    green = np.zeros((20, 20, 3), np.uint8) + np.array([0, 255, 0], np.uint8)
    np.testing.assert_array_equal(decode(data, [20], "crop").squares[20], green)
    np.testing.assert_array_equal(decode(data, [60], "pad").squares[60][20:40], picture)
    assert (decode(data, [60], "pad").squares[60][:20] == 0).all()
    squashed = decode(data, [60], "squash").squares[60]
    np.testing.assert_array_equal(squashed[30], picture[10])


def test_exif_rotation_is_applied():
    picture = smooth(32, 32)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    turned = decode(encoded(picture, exif=exif), [32]).squares[32]
    np.testing.assert_array_equal(turned, np.rot90(picture, -1))


def test_png_named_jpg_does_not_matter_and_grey_becomes_rgb():
    grey = smooth(16, 16)[..., 0]
    np.testing.assert_array_equal(decode(encoded(grey), [16]).squares[16], np.stack([grey] * 3, axis=-1))


def test_sixteen_bits_are_scaled():
    grey = smooth(16, 16)[..., 0]
    wide = Image.fromarray(grey.astype(np.uint16) * 257)
    np.testing.assert_array_equal(decode(encoded(wide), [16]).squares[16][..., 1], grey)


def test_cmyk():
    cmyk = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # magenta + yellow ink: red
    red = decode(encoded(cmyk, "JPEG"), [16]).squares[16]
    assert np.abs(red.astype(int) - [255, 0, 0]).max() <= 3


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_put_on_white(mode):
    image = Image.new("RGBA", (16, 16), (90, 90, 90, 255))
    image.paste((0, 0, 0, 0), (0, 0, 8, 16))
    options = {"transparency": 0} if mode == "P" else {}
    if mode == "P":
        image = Image.fromarray(np.repeat([[0] * 8 + [1] * 8], 16, axis=0).astype(np.uint8), "P")
        image.putpalette([10, 20, 30, 90, 90, 90])
    result = decode(encoded(image if mode == "P" else image.convert(mode), **options), [16]).squares[16]
    assert (result[:, :8] == 255).all()
    assert (result[:, 8:] == 90).all()


def frames() -> list[Image.Image]:
    return [Image.fromarray(smooth(16, 16, seed)) for seed in range(3)]


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


JPEG = encoded(smooth(64, 64), "JPEG")
PNG = encoded(smooth(64, 64))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", "empty", id="zero bytes"),
        pytest.param(b"this is text\n" * 9, "not a picture", id="text"),
        pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n", "not a picture", id="PostScript"),
        pytest.param(JPEG[: len(JPEG) // 2], "damaged", id="half a JPEG"),
        pytest.param(JPEG[:30], "not a picture|damaged", id="a JPEG's beginning"),
        pytest.param(PNG[: len(PNG) // 2], "damaged", id="half a PNG"),
        pytest.param(encoded(frames()[0], "GIF", save_all=True, append_images=frames()[1:]), "frame", id="GIF"),
        pytest.param(encoded(frames()[0], "PNG", save_all=True, append_images=frames()[1:]), "frame", id="APNG"),
        pytest.param(encoded(smooth(1, 1)), "smaller than 8", id="1 x 1"),
        pytest.param(encoded(smooth(7, 400)), "smaller than 8", id="7 x 400"),
        pytest.param(png_header(30_000, 30_000), "megapixels", id="bomb"),
        pytest.param(png_header(10_001, MAX_PIXELS // 10_000), "megapixels", id="just too large"),
        pytest.param(encoded(Image.new("F", (16, 16)), "TIFF"), "floating-point", id="float"),
    ],
)
@pytest.mark.parametrize("exact", [True, False])
def test_unusable(data, reason, exact):
    with pytest.raises(Unusable, match=reason):
        decode(data, [32], exact=exact)


def test_arrays_and_png():
    picture = smooth(48, 48)
    np.testing.assert_array_equal(from_array(picture, [48]).squares[48], picture)
    np.testing.assert_array_equal(from_array(picture, [16]).squares[16], decode(encoded(picture), [16]).squares[16])
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encode_png(picture)))), picture)
