"""`lesiongan inspect`: what pictures say of where they come from, and whether a model makes them again."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from lesiongan.base.errors import ExitCode
from lesiongan.serving.model_artifact import describe, find


def add(commands) -> None:
    """Adds the command to a parser's subparsers."""
    inspect = commands.add_parser("inspect", help="what pictures say of where they come from: model, class, seed")
    inspect.add_argument("pictures", type=Path, nargs="+", metavar="PICTURE", help="PNG and JPEG files")
    inspect.add_argument("--again", type=Path, metavar="MODEL", help="make each again by this ACGAN, and compare")
    inspect.add_argument("--json", action="store_true", help="for programs")
    inspect.set_defaults(run=_inspect)


def _inspect(arguments: argparse.Namespace) -> int:
    from lesiongan.serving.content_credentials import credentials_of
    from lesiongan.serving.xmp import facts_of

    if arguments.again:
        find(arguments.again, "acgan")  # a wrong one is refused before anything is read
    rows = [{"picture": str(path), **facts_of(path), **credentials_of(path)} for path in arguments.pictures]
    if arguments.again:
        _made_again(rows, arguments.again)
    print(json.dumps(rows, indent=1) if arguments.json else "\n".join(line for row in rows for line in _lines(row)))
    return ExitCode.DONE


def _made_again(rows: list[dict], model: Path) -> None:
    """Adds `again` to each row: whether the model makes the picture that is there."""
    import numpy as np
    from PIL import Image

    from lesiongan.serving import saved_models
    from lesiongan.serving.model_artifact import made_classes

    place = find(model, "acgan")
    record, served = describe(place), saved_models.load(place)
    known = made_classes(record)
    for row in rows:
        if "seed" not in row or row.get("class") not in known:
            row["again"] = "cannot be made again: it does not say the seed and a class that the model knows"
            continue
        if row.get("generator_digest") != record["digest"]:
            row["again"] = "was made by another model than this one (its digest differs)"
            continue
        label = served.taxonomy.index(row["class"])
        made = served.sample(np.array([label]), np.array([int(row["seed"])], np.int64))[0]
        with Image.open(row["picture"]) as image:
            there = np.asarray(image.convert("RGB"))
        if there.shape != made.shape:
            row["again"] = f"is of another size than the model's {made.shape[0]} px"
            continue
        largest = int(np.abs(there.astype(int) - made).max())
        row["again"] = (
            "the model makes the same picture again"
            if largest <= 1  # sums in another order round otherwise
            else f"differs from what the model makes, by up to {largest} grey levels"
        )


def _lines(row: dict) -> list[str]:
    facts = {key: value for key, value in row.items() if key not in ("picture", "again")}
    if not facts:
        said = ["  says nothing of where it comes from"]
    else:
        said = [f"  {key.replace('_', ' ')}: {value}" for key, value in facts.items()]
    return [row["picture"], *said, *([f"  {row['again']}"] if "again" in row else [])]
