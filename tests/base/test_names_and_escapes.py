"""Texts of users as names of files, and past kfp's engines."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, strategies as st

from lesiongan.base.escaped import escape, unescape
from lesiongan.base.file_names import file_name

TEXTS = st.text(max_size=300)
ANY_NAMES = st.text(st.characters(exclude_categories=()), max_size=30)


@given(TEXTS)
def test_a_name_stays_in_its_folder_and_fits_a_file_system(text):
    name = file_name(text)
    place = Path("/folder") / f"refined-{name}"
    assert place.parent == Path("/folder")
    assert name not in ("", ".", "..")
    assert not set(name) & set('/\\\0:*?"<>|')
    assert not any(ord(letter) < 32 for letter in name)
    assert len(name.encode()) <= 120


@given(TEXTS, TEXTS)
def test_different_texts_have_different_names(first, second):
    assert (file_name(first) == file_name(second)) == (first == second)


def test_ordinary_names_stay_as_they_are_and_hostile_ones_do_not():
    for name in ("MEL", "seborrheic keratosis", "SK-2", "a.b"):
        assert file_name(name) == name
    for name in ("x/../../home/me", "SK/LPLK", "..", "", ".hidden", "con", "a\nb", "trailing "):
        assert file_name(name) != name
    assert file_name("SK/LPLK") != file_name("SK_LPLK")


@given(
    st.one_of(
        TEXTS,
        ANY_NAMES,
        st.lists(
            st.sampled_from(["python3", "%", "25", "33", "{{$", "escaped:", "x", "%24", "\udce9", "%u00e9", "udce9"])
        ).map("".join),
    )
)
def test_what_goes_past_an_engine_comes_back(text):
    passed = escape(text)
    assert "python3" not in passed
    assert "{{$" not in passed
    passed.encode()  # an engine's messages are UTF-8
    if not text.startswith("escaped:"):
        assert unescape(passed) == text
