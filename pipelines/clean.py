"""What may go in a workdir or in the folder of a `train`, and `lesiongan clean`, which removes it."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import NamedTuple

from lesiongan.base import lineage
from lesiongan.base.errors import ExitCode, UsageError
from lesiongan.base.files import disk_used
from lesiongan.base.locks import held
from lesiongan.base.shown import show
from pipelines.workdir import run_records, size_text

_CODE = "code"  # beside the working folders: small, and what --accept-code-change goes by


class Removable(NamedTuple):
    """A folder that may go, what it is, and the bytes that it frees."""

    folder: Path
    what: str
    bytes: int


def removable(directory: Path, *, earlier: bool = False) -> list[Removable]:
    """Folders that no finished result needs.

    Args:
        directory: a run's workdir, or the folder that a `train` wrote to.
        earlier: artifacts of earlier runs too, which the last run of each pipeline did not use; an option that is
            changed back makes them anew.

    Raises:
        UsageError: no such folder, nothing was run or trained there, or a run's record cannot be read.
    """
    if not directory.is_dir():
        raise UsageError(f"{directory}: no such folder; give the --workdir of a run, or the folder of a training")
    records = lineage.records(directory, "**/*")
    if not records:
        raise UsageError(f"{directory}: nothing was run or trained here; give a --workdir, or the folder of a training")
    finished = {f"{record['step']}-{record['identity'][:16]}" for record in records}
    found = [
        Removable(folder, "checkpoints and parts of a finished step", disk_used(folder))
        for folder in sorted((directory / "work").glob("*"))
        if folder.name in finished and folder.name != _CODE
    ]
    if earlier:
        last = json.dumps(run_records(directory))
        found += [
            Removable(folder, "artifacts of an earlier run", disk_used(folder))
            for folder in sorted((directory / "artifacts").glob("*"))
            if folder.is_dir() and f"/{folder.name}/" not in last
        ]
    return [each for each in found if each.bytes]


def add(commands) -> None:
    """Adds the command to a parser's subparsers."""
    parser = commands.add_parser("clean", help="free disk: what finished steps of a workdir or a training left")
    parser.add_argument("directory", type=Path, metavar="DIR", help="a run's workdir, or the folder of a `train`")
    parser.add_argument(
        "--earlier", action="store_true", help="artifacts of earlier runs too, which the last did not use"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would go; remove nothing")
    parser.set_defaults(run=_clean)


def _clean(arguments: argparse.Namespace) -> int:
    found = removable(arguments.directory, earlier=arguments.earlier)
    for each in found:
        show([f"{size_text(each.bytes):>9s}  {each.folder}: {each.what}"])
    total = size_text(sum(each.bytes for each in found))
    if arguments.dry_run or not found:
        print(f"{total} would be freed" if found else "there is nothing to remove")
        return ExitCode.DONE
    with held(arguments.directory):
        for each in found:
            shutil.rmtree(each.folder)
    print(f"{total} freed")
    return ExitCode.DONE
