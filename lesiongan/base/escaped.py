"""Texts past kfp's engines, which replace parts of every argument of a step (`python3` by a path of the interpreter's,
and what begins like a placeholder) and take no names that are not UTF-8."""

from __future__ import annotations

import re

_MARK = "escaped:"
_HALF = re.compile("[\ud800-\udfff]")  # a byte of a name that is no UTF-8
_ESCAPES = (("%", "%25"), ("python3", "python%33"), ("{{$", "{{%24"))


def escape(text: str) -> str:
    """The text as an engine leaves it alone; see `unescape`."""
    if not any(plain in text for plain, _ in _ESCAPES[1:]) and not _HALF.search(text):
        return text
    for plain, escaped in _ESCAPES:
        text = text.replace(plain, escaped)
    return _MARK + _HALF.sub(lambda half: f"%u{ord(half[0]):04x}", text)


def unescape(text: str) -> str:
    """The text that `escape` was given."""
    if not text.startswith(_MARK):
        return text
    text = re.sub("%u([0-9a-f]{4})", lambda half: chr(int(half[1], 16)), text.removeprefix(_MARK))
    for plain, escaped in reversed(_ESCAPES):
        text = text.replace(escaped, plain)
    return text
