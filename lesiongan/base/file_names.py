"""Names that users give (classes, ids) as names of files and folders: the one place where they become such."""

from __future__ import annotations

import hashlib
import re
import unicodedata

_LONGEST = 100  # bytes, so that a suffix fits on any file system
_TAKEN_BY_WINDOWS = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?$", re.I)


def file_name(text: str) -> str:
    """A name without folders for any text: letters, digits, blanks, `_`, `-` and dots that are not the first. A text
    that is such a name already stays as it is; any other gets a part of its digest, which keeps `a/b` and `a_b` apart.
    """
    name = re.sub(r"[^\w. -]+", "_", unicodedata.normalize("NFC", text)).strip(" .")
    name = name.encode()[:_LONGEST].decode(errors="ignore").strip(" .")
    if name and name == text and not _TAKEN_BY_WINDOWS.match(name):
        return name
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{name}-{digest}".lstrip("-")
