"""What others' texts may do on a person's screen: nothing."""

from __future__ import annotations

import io
import re
import unicodedata

from hypothesis import given, strategies as st

from lesiongan.base import shown
from lesiongan.base.errors import UsageError

TEXTS = st.text(st.characters(), max_size=50) | st.sampled_from(
    ["\x1b[2J", "a\rb", "\x9b31m", "a\nb", "‮gpj.exe", "\x1b]0;title\x07", "\udce9", "\u2028"]
)
#: What ECMA-48 and Unicode give a terminal to obey: C0, delete, C1, separators of lines, directions of writing.
_OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


@given(TEXTS)
def test_a_text_is_one_line_without_anything_that_a_terminal_obeys(text):
    line = shown.one_line(text)
    assert not _OBEYED.search(line)
    assert not any(unicodedata.category(letter) == "Cs" for letter in line)
    if not any(unicodedata.category(letter)[0] in "CZ" for letter in text):
        assert line == text


@given(TEXTS)
def test_an_error_is_one_such_line(text):
    line = str(UsageError(f"{text}: no such thing"))
    assert not _OBEYED.search(line)


@given(TEXTS)
def test_a_screen_keeps_lines_and_tabs_and_shows_the_rest(text):
    below = io.StringIO()
    print(text, file=shown.Screen(below))
    assert not _OBEYED.search(re.sub("[\t\n]", "", below.getvalue()).removeprefix(shown.ANEW))


def test_an_escape_in_the_middle_of_a_live_line_is_shown():
    below = io.StringIO()
    shown.Screen(below).write(f"{shown.ANEW}half of {shown.ANEW}")
    assert below.getvalue() == f"{shown.ANEW}half of \\r\\x1b[K"


def test_what_the_screen_cannot_show_is_a_number():
    below = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    print("naïve", file=shown.Screen(below), flush=True)
    assert below.buffer.getvalue() == b"na\\xefve\n"


@given(TEXTS)
def test_a_cell_of_a_table_is_plain(text):
    assert shown.is_plain(shown.unbroken(text))
