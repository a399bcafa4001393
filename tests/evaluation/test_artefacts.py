"""Artefacts on drawn pictures that have them, and skin tones of known colours."""

from __future__ import annotations

import numpy as np
import pytest

from lesiongan.evaluation import artefacts, skin_tone

SIZE = 64
SKIN = np.array([215, 165, 140])


def skin(seed: int = 0, colour=SKIN) -> np.ndarray:
    """Skin with a lesion in the middle, float `[s, s, 3]`."""
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    picture = np.broadcast_to(np.asarray(colour, float), (SIZE, SIZE, 3)).copy()
    picture[np.hypot(y, x) < 14] = (110, 70, 55)
    return picture + np.random.default_rng(seed).normal(0, 2, (SIZE, SIZE, 1))


def framed(picture):
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    return np.where((np.hypot(y, x) < 30)[..., None], picture, 5)


def vignetted(picture):
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    return picture * (1 - 0.35 * (np.hypot(y, x) / 45) ** 4)[..., None]


def hairy(picture):
    picture = picture.copy()
    for k in range(5):
        for t in np.linspace(0, 1, 400):
            picture[int(t * 63), int(np.clip(6 + 11 * k + 8 * t, 0, 63))] = (60, 45, 40)
    return picture


def ruled(picture):
    picture = picture.copy()
    picture[-7:, 2::6] = (50, 40, 40)
    return picture


def of(*pictures) -> dict[str, np.ndarray]:
    return artefacts.artefacts(np.clip(np.stack(pictures), 0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    ("statistic", "drawn", "least", "plain"),
    [("frame", framed, 0.2, 0.001), ("vignette", vignetted, 0.1, 0.03), ("lines", hairy, 0.08, 0.03)],
)
def test_what_was_drawn_is_measured_and_nothing_else(statistic, drawn, least, plain):
    found = of(skin(), drawn(skin()))
    assert found[statistic][0] < plain
    assert found[statistic][1] > least


def test_a_frame_has_the_share_that_was_drawn():
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    assert of(framed(skin()))["frame"][0] == pytest.approx((np.hypot(y, x) >= 30).mean())
    inner = skin()
    inner[20:30, 20:30] = 0  # dark, but not joined to the border
    assert of(inner)["frame"][0] == 0.0
    assert abs(of(framed(skin()))["vignette"][0]) < 0.03  # a black frame is no vignette


@pytest.mark.parametrize("period", [4, 5, 6, 8, 12])
def test_ticks_are_a_ruler(period):
    ruled = skin(period)
    ruled[-7:, 2::period] = (50, 40, 40)
    found = of(ruled, np.rot90(ruled), skin())["ruler"]
    assert min(found[:2]) > 0.8
    assert found[2] == 0.0


def test_marks_without_a_scale_are_none():
    for seed in range(5):
        scattered = skin(seed)
        scattered[-7:, np.random.default_rng(seed).choice(64, 12, replace=False)] = (50, 40, 40)
        assert of(scattered)["ruler"][0] < 0.4


def test_the_cameras_colour_is_that_of_the_skin():
    warm, cold = of(skin(colour=(225, 160, 130)), skin(colour=(190, 170, 175)))["yellow"]
    assert warm > cold + 10
    assert np.isnan(of(np.zeros((SIZE, SIZE, 3)))["red"]).all()
    empty = artefacts.artefacts(np.zeros((0, SIZE, SIZE, 3), np.uint8))
    assert {name: len(values) for name, values in empty.items()} == dict.fromkeys(artefacts.STATISTICS, 0)


def test_colours_are_cielab():
    """Known values of sRGB colours under D65."""
    known = {(255, 255, 255): (100, 0, 0), (255, 0, 0): (53.24, 80.09, 67.20), (0, 0, 255): (32.30, 79.19, -107.86)}
    for colour, lab in known.items():
        assert skin_tone.to_lab(np.array(colour)) == pytest.approx(lab, abs=0.05)


@pytest.mark.parametrize(
    ("lab", "angle", "name"),
    [
        ((80, 10, 15), 63.43, "very light"),
        ((70, 12, 20), 45.0, "light"),
        ((62, 14, 18), 33.69, "intermediate"),
        ((55, 14, 18), 15.52, "tan"),
        ((45, 14, 18), -15.52, "brown"),
        ((30, 10, 14), -55.01, "dark"),
    ],
)
def test_groups_are_the_published_ones(lab, angle, name):
    found = skin_tone.typology_angle(np.array(lab, float))
    assert found == pytest.approx(angle, abs=0.01)
    assert skin_tone.group(float(found)) == name


def test_the_tone_is_that_of_the_skin_not_of_lesion_frame_or_hair():
    plain = skin_tone.angles(np.clip(np.stack([skin()]), 0, 255).astype(np.uint8))[0]
    assert plain == pytest.approx(float(skin_tone.typology_angle(skin_tone.to_lab(SKIN))), abs=1.5)
    others = np.clip(np.stack([framed(skin()), hairy(skin()), ruled(skin())]), 0, 255).astype(np.uint8)
    assert skin_tone.angles(others) == pytest.approx(plain, abs=3)
    assert skin_tone.group(float(skin_tone.angles(np.zeros((1, SIZE, SIZE, 3), np.uint8))[0])) == "unknown"
    lighter, darker = (
        skin_tone.angles(np.clip(np.stack([skin(colour=c)]), 0, 255).astype(np.uint8))[0]
        for c in ((240, 205, 185), (120, 85, 65))
    )
    assert lighter > plain > darker


def test_the_outermost_line_of_pixels_stands_out_where_another_one_is_drawn():
    framed_thinly = skin()
    framed_thinly[[0, -1]] -= 12
    framed_thinly[1:-1, [0, -1]] -= 12
    plain, framed_one = of(skin(), framed_thinly)["border"]
    assert 0.8 < plain < 1.25
    assert framed_one > 3


def test_blocks_are_those_of_a_map_of_four_by_four():
    coarse = np.random.default_rng(2).normal(0, 15, (4, 4, 1))
    blocky = skin() + np.kron(coarse, np.ones((SIZE // 4, SIZE // 4, 1)))
    plain, found = of(skin(), blocky)["blocks"]
    assert plain < 1.25
    assert found > 2


def test_grain_is_noise_and_chequers():
    y, x = np.mgrid[:SIZE, :SIZE]
    chequered = skin() + 8 * ((x + y) % 2 * 2 - 1)[..., None]
    noisy = skin() + np.random.default_rng(1).normal(0, 8, (SIZE, SIZE, 1))
    still, *grainy = of(skin(), noisy, chequered)["grain"]
    assert min(grainy) > 3 * still
