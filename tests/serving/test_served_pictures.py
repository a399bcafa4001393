"""A served model sees a picture as ingest and predict do: any picture, orientation and way to make it a square."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings, strategies as st
from PIL import Image

from lesiongan.data import pictures
from lesiongan.serving import served_pictures

#: Format -> the modes that are written in it.
MODES = {
    "JPEG": ("RGB", "L", "CMYK"),
    "PNG": ("RGB", "RGBA", "L", "LA", "P", "1", "I;16"),
    "WEBP": ("RGB", "RGBA"),
    "BMP": ("RGB", "L"),
    "GIF": ("P", "L"),
}


def content(mode: str, width: int, height: int, seed: int) -> Image.Image:
    """Noise of a coarse and a fine scale, so that overshoots at edges and single pixels matter."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (3, 4, 3)).astype(np.uint8)
    picture = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.NEAREST)).astype(int)
    picture = np.clip(picture + random.integers(-40, 41, picture.shape), 0, 255).astype(np.uint8)
    if mode == "I;16":
        return Image.fromarray(picture[..., 0].astype(np.uint16) * 257)
    image = Image.fromarray(picture)
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.fromarray(random.integers(0, 256, (height, width)).astype(np.uint8)))
    return image.convert(mode)


def encoded(image: Image.Image, form: str, orientation: int) -> bytes:
    options: dict = {"JPEG": {"quality": 92}, "WEBP": {"lossless": True}}.get(form, {})
    if orientation and form in ("JPEG", "PNG", "WEBP"):
        exif = Image.Exif()
        exif[0x0112] = orientation
        options["exif"] = exif
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


_TRACED: dict = {}


def served(data: bytes, size: int, resize: str) -> np.ndarray:
    """What a served model gets, on the scale of 0 to 255."""
    if (size, resize) not in _TRACED:
        signature = [tf.TensorSpec([None], tf.string)]
        _TRACED[size, resize] = tf.function(
            lambda encoded: served_pictures.decoded(encoded, size, resize), autograph=False, input_signature=signature
        )
    return (_TRACED[size, resize](tf.constant([data])).numpy()[0] + 1.0) * 127.5


def trained(data: bytes, size: int, resize: str) -> np.ndarray:
    return pictures.decode(data, (size,), resize).squares[size]


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from([(form, mode) for form, modes in MODES.items() for mode in modes]),
    width=st.integers(8, 90),
    height=st.integers(8, 90),
    orientation=st.integers(0, 9),
    resize=st.sampled_from(["squash", "crop", "pad"]),
    seed=st.integers(0, 2**16),
)
def test_any_picture_gives_the_same_square(kind, width, height, orientation, resize, seed):
    form, mode = kind
    data = encoded(content(mode, width, height, seed), form, orientation)
    difference = np.abs(served(data, 24, resize) - trained(data, 24, resize))
    assert difference.max() <= 0.01, (form, mode)


def with_exif(payload: bytes) -> bytes:
    data = encoded(content("RGB", 40, 30, 1), "JPEG", 0)
    length = 4 + struct.unpack(">H", data[4:6])[0]
    return data[:length] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + data[length:]


GOOD = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"


@pytest.mark.parametrize(
    ("payload", "is_turned"),
    [
        (b"Exif\0\0" + GOOD, True),
        (b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0", True),
        (b"Exif\0\0" * 3 + GOOD, True),
        (b"Exif\0\0garbage garbage", False),
        (b"Exif\0\0" + bytes(64), False),
        (b"Exif\0\0II*\0", False),
        (b"Exif\0\0" + GOOD[:12], False),
        (b"Exif\0\0" + GOOD[:8] + b"\xff\xff" + GOOD[10:], True),
        (b"Exif\0\0" + GOOD.replace(b"\x06", b"\x0b"), False),
        (b"Exif\0\0II*\0\xff\xff\xff\x7f" + bytes(20), False),
        (b"http://ns.adobe.com/xap/1.0/\0<x/>", False),
    ],
)
def test_malformed_exif_never_makes_a_picture_unusable(payload, is_turned):
    data = with_exif(payload)
    plain = trained(encoded(content("RGB", 40, 30, 1), "JPEG", 0), 24, "pad")
    turned = trained(encoded(content("RGB", 40, 30, 1), "JPEG", 6), 24, "pad")
    expected = turned if is_turned else plain
    np.testing.assert_array_equal(trained(data, 24, "pad"), expected)
    assert np.abs(served(data, 24, "pad") - expected).max() <= 0.01


def animation(form: str) -> bytes:
    frames = [content("RGB", 20, 20, seed) for seed in range(3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, form, save_all=True, append_images=frames[1:], duration=100)
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["GIF", "WEBP"])
def test_animations_are_refused_by_both(form):
    data = animation(form)
    with pytest.raises(pictures.Unusable, match="animated"):
        trained(data, 24, "squash")
    with pytest.raises(tf.errors.InvalidArgumentError):
        served(data, 24, "squash")


@pytest.mark.parametrize("data", [b"", b"no picture", encoded(content("RGB", 40, 30, 1), "JPEG", 0)[:300]])
def test_what_is_no_picture_is_refused_by_both(data):
    with pytest.raises(pictures.Unusable):
        trained(data, 24, "squash")
    with pytest.raises(tf.errors.InvalidArgumentError):
        served(data, 24, "squash")


def test_a_tiff_is_refused_with_what_would_do():
    buffer = io.BytesIO()
    content("RGB", 40, 30, 1).save(buffer, "TIFF")
    assert trained(buffer.getvalue(), 24, "squash").shape == (24, 24, 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match="give JPEG, PNG, BMP, GIF or WebP"):
        served(buffer.getvalue(), 24, "squash")
