"""The presets' resolved configurations as JSON files, so that a changed default is seen in a diff.

`python tests/pipelines/golden_presets.py` (or `make golden`) writes them anew.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from pipelines.presets import PRESETS, resolve

FOLDER = Path(__file__).parent / "golden" / "presets"
RECIPES = ("paper", "best")


def text(preset: str, recipe: str) -> str:
    """A preset by a recipe, as it stands in its file."""
    return json.dumps(dataclasses.asdict(resolve(preset, recipe=recipe, here=False)), indent=1) + "\n"


def path(preset: str, recipe: str) -> Path:
    return FOLDER / f"{preset}-{recipe}.json"


if __name__ == "__main__":
    for preset in PRESETS:
        for recipe in RECIPES:
            path(preset, recipe).write_text(text(preset, recipe))
