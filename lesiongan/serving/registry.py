"""The folder of pushed models, `<name>/<version>/`: what is in it, and a step back to an earlier version.

A server takes the highest version. One that is withdrawn lies in `<name>/withdrawn/<version>/`, where no server looks;
its number is not given again.
"""

from __future__ import annotations

import os
from pathlib import Path

from lesiongan.base.errors import UsageError
from lesiongan.base.files import disk_used
from lesiongan.serving import model_artifact

WITHDRAWN = "withdrawn"


def versions(folder: Path, *, withdrawn: bool = False) -> list[int]:
    """The versions of a pushed model, ascending; with `withdrawn` those that were taken back."""
    folder = folder / WITHDRAWN if withdrawn else folder
    return [int(path.name) for path in model_artifact.version_folders(folder)]


def pushed(store: Path) -> list[dict]:
    """A row for each version of each pushed model, by name and version: `name`, `version`, `serving` (a server takes
    this one), `withdrawn`, `kind`, `size` (pixels), `parameters`, `disk` (bytes), `measured` and `blessing`, component
    -> its verdict.

    Raises:
        UsageError: no such folder.
    """
    if not store.is_dir():
        raise UsageError(f"{store}: there is no such folder; name one of pushed models with --models-dir")
    rows = []
    for folder in sorted(path for path in store.iterdir() if path.is_dir()):
        current = versions(folder)
        for withdrawn in (False, True):
            for version in versions(folder, withdrawn=withdrawn):
                place = (folder / WITHDRAWN if withdrawn else folder) / str(version)
                record = model_artifact.describe(place)
                rows.append(
                    {
                        "name": folder.name,
                        "version": version,
                        "serving": not withdrawn and version == current[-1],
                        "withdrawn": withdrawn,
                        **{key: record.get(key) for key in ("kind", "size", "parameters")},
                        "disk": disk_used(place),
                        "measured": _measured(record),
                        "blessing": record.get("blessing", {}),
                    }
                )
    return sorted(rows, key=lambda row: (row["name"], row["version"]))


def roll_back(store: Path, name: str) -> tuple[int, int]:
    """Withdraws the version that a server takes.

    Returns:
        It, and the one that a server takes now.

    Raises:
        UsageError: no such model, or no earlier version.
    """
    folder = store / name
    found = _known(folder, name)
    if len(found) < 2:
        raise UsageError(f"{name}: {found[-1]} is its only version; there is none to go back to")
    (folder / WITHDRAWN).mkdir(exist_ok=True)
    os.rename(folder / str(found[-1]), folder / WITHDRAWN / str(found[-1]))
    return found[-1], found[-2]


def restore(store: Path, name: str, version: int) -> int:
    """Puts a withdrawn version back; returns the one that a server takes now."""
    folder = store / name
    _known(folder, name)
    taken_back = versions(folder, withdrawn=True)
    if version not in taken_back:
        which = f"only {', '.join(map(str, taken_back))}" if taken_back else "none"
        raise UsageError(f"{name}: version {version} was not withdrawn ({which})")
    os.rename(folder / WITHDRAWN / str(version), folder / str(version))
    return versions(folder)[-1]


def lines(rows: list[dict]) -> list[str]:
    """The rows as a person reads them."""
    text = [f"{'model':38s}{'version':>8s}  {'kind':11s}{'px':>4s}{'weights':>12s}{'MB':>7s}  measured; blessing"]
    for row in rows:
        state = " withdrawn" if row["withdrawn"] else " *" if row["serving"] else ""
        facts = [", ".join(f"{key} {value:.3g}" for key, value in row["measured"].items())]
        facts += [f"{component}: {verdict['reason']}" for component, verdict in row["blessing"].items()]
        text.append(
            f"{row['name']:38s}{str(row['version']) + state:>8s}  {row['kind']:11s}{row['size']:4d}"
            f"{row['parameters'] or 0:12,}{row['disk'] / 1e6:7.1f}  {'; '.join(filter(None, facts))}"
        )
    return [*text, "* served: a server takes the highest version"]


def _known(folder: Path, name: str) -> list[int]:
    found = versions(folder)
    if not found:
        known = ", ".join(sorted(path.name for path in folder.parent.glob("*") if versions(path))) or "none"
        raise UsageError(f"{name}: no such model in {folder.parent}; there are {known}")
    return found


def _measured(record: dict) -> dict[str, float]:
    own = {key.removeprefix("validation_"): record.get(key) for key in ("validation_balanced_accuracy",)}
    own |= record.get("exported", {}).get("measured", {})
    return {key: value for key, value in own.items() if isinstance(value, (int, float))}
