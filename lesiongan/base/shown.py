"""Texts of others (names of files and classes, cells of tables, errors of libraries) on a person's screen.

A name may hold what a terminal takes for a command: it moves the cursor, colours, hides or forges lines. Everything
that is printed goes through here, so that such a character is seen and does nothing.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

#: Control characters, separators of lines, what turns the direction of writing, and halves of characters (bytes of a
#: name that are no UTF-8).
_UNSEEN = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
_IN_LINES, _IN_ONE_LINE = re.compile(f"[{_UNSEEN}]"), re.compile(f"[\t\n{_UNSEEN}]")
_BREAKS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
#: How a line that is still being written to begins again.
ANEW = "\r\033[K"


def one_line(text: object) -> str:
    """A text as one line that a terminal shows and does not obey: `\\x1b` for an escape, `\\n` for a line break."""
    return _IN_ONE_LINE.sub(_escaped, str(text))


def is_plain(text: str) -> bool:
    """Whether a text is one line without control characters and broken UTF-8."""
    return not _BREAKS.search(text)


def unbroken(text: str) -> str:
    """A cell of a table or a name as plain text of one line: a blank in place of control characters and line breaks."""
    return _BREAKS.sub(" ", text)


def show(lines: Iterable[object]) -> None:
    """Prints lines, each of them as one."""
    print("\n".join(map(one_line, lines)))


def complain(text: object) -> None:
    """Prints one line to standard error, as this program's."""
    print(f"lesiongan: {one_line(text)}", file=sys.stderr)


def _escaped(match: re.Match) -> str:
    code = ord(match[0])
    short = {0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r"}.get(code)
    return short or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


class Screen(io.TextIOBase):
    """A text stream that shows what is written to it, lines and tabs as they are, and nothing that a terminal obeys but
    `ANEW` at the beginning. What the stream's encoding lacks is shown by its number."""

    def __init__(self, stream: TextIO):
        self.stream = stream
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self.stream.isatty()

    def fileno(self) -> int:
        return self.stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.stream.encoding

    def write(self, text: str) -> int:
        begin = ANEW if text.startswith(ANEW) else ""
        self.stream.write(begin + _IN_LINES.sub(_escaped, text[len(begin) :]))
        return len(text)

    def flush(self) -> None:
        self.stream.flush()


@contextlib.contextmanager
def safely() -> Iterator[None]:
    """Standard output and standard error as `Screen`s."""
    before = sys.stdout, sys.stderr
    screens = [Screen(stream) if stream else stream for stream in before]  # None: it is closed
    sys.stdout, sys.stderr = screens
    try:
        yield
    finally:
        for screen in filter(None, screens):
            with contextlib.suppress(OSError, ValueError):
                screen.flush()
        sys.stdout, sys.stderr = before


def bare(stream: TextIO) -> TextIO:
    """The stream below a `Screen`: for a bar that moves the cursor itself and holds no text of others."""
    return stream.stream if isinstance(stream, Screen) else stream
