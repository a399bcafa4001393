"""Where and how often trainings are saved. No option of the configuration: it changes no result, and must train nothing
again."""

from __future__ import annotations

import math
import os

from lesiongan.base.errors import UsageError

CHECKPOINTS = "checkpoints"  # the folder of them in a training's
#: Environment variable: seconds between two checkpoints; steps inherit it from their launcher.
SECONDS_VARIABLE = "LESIONGAN_CHECKPOINT_SECONDS"


def checkpoint_seconds() -> float | None:
    """What the environment says; None where it says nothing.

    Raises:
        UsageError: no number of seconds.
    """
    text = os.environ.get(SECONDS_VARIABLE, "")
    try:
        seconds = float(text) if text else None
    except ValueError:
        seconds = math.nan
    if seconds is not None and not 0 <= seconds < math.inf:
        raise UsageError(
            f"--checkpoint-seconds (or {SECONDS_VARIABLE}) {text}: give the seconds between two checkpoints, 0 or more"
        )
    return seconds
