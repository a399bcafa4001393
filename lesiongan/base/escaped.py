"""Texts past kfp's engines, which replace parts of every argument of a step: `python3` by a path of the interpreter's,
and what begins like a placeholder."""

from __future__ import annotations

_MARK = "escaped:"
_ESCAPES = (("%", "%25"), ("python3", "python%33"), ("{{$", "{{%24"))


def escape(text: str) -> str:
    """The text as an engine leaves it alone; see `unescape`."""
    if not any(plain in text for plain, _ in _ESCAPES[1:]):
        return text
    for plain, escaped in _ESCAPES:
        text = text.replace(plain, escaped)
    return f"{_MARK}{text}"


def unescape(text: str) -> str:
    """The text that `escape` was given."""
    if not text.startswith(_MARK):
        return text
    text = text.removeprefix(_MARK)
    for plain, escaped in reversed(_ESCAPES):
        text = text.replace(escaped, plain)
    return text
