"""The digests of the models that this machine has made or loaded before, so that a stranger's is spoken of once.

They stand in `lesiongan/models` below `XDG_STATE_HOME` (by default `~/.local/state`), one a line. Where that cannot be
written every model of others is spoken of each time.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def remember(digest: str) -> bool:
    """Notes a model's digest; returns whether it was known before."""
    place = _place()
    with contextlib.suppress(OSError):
        if digest in place.read_text(encoding="ascii", errors="replace").split():
            return True
    with contextlib.suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("a", encoding="ascii") as file:
            file.write(f"{digest}\n")
    return False


def _place() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return Path(state) / "lesiongan" / "models"
