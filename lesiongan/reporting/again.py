"""A run's report made again from its artifacts alone, wherever they are now."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from lesiongan import __version__
from lesiongan.base.errors import UsageError
from lesiongan.base.files import read_json
from lesiongan.base.lineage import RECORD_ENDING
from lesiongan.evaluation.evaluate import RESULT
from lesiongan.reporting.gather import TITLES, gather
from lesiongan.reporting.report import write_report


def find_reports(directory: Path | str) -> list[dict]:
    """What the reports of a run were made from, the latest of each experiment.

    The record beside a report names the digests of its inputs; an artifact that has the digest is that input, so that
    a run whose folder was moved or copied is found too.

    Args:
        directory: a workdir, or any folder that holds a run's artifacts with their records.

    Returns:
        For each experiment the record of its report, with `folders`: input -> folder, or a list of them. An input of
        which no artifact is left is missing there.

    Raises:
        UsageError: no such folder, or no finished run in it.
    """
    directory = Path(directory)
    if not directory.is_dir():
        problem = "that is a file" if directory.exists() else "no such folder"
        raise UsageError(f"{directory}: {problem}; give the --workdir of a run")
    folders: dict[str, Path] = {}
    reports: dict[str, dict] = {}
    for path, record in _records(directory):
        artifact = path.with_name(path.name.removesuffix(RECORD_ENDING))
        if record.get("artifact") == "report" and "experiment" in record.get("options", {}):
            before = reports.get(record["options"]["experiment"])
            if before is None or record["started"] > before["started"]:
                reports[record["options"]["experiment"]] = record
        elif artifact.exists():
            folders.setdefault(record.get("digest", ""), artifact)
    if not reports:
        raise UsageError(f"{directory}: no finished run there; give its --workdir, after the run has ended")
    return [{**record, "folders": _located(record["inputs"], folders)} for _, record in sorted(reports.items())]


def remake(directory: Path | str, output: Path | str | None = None) -> list[Path]:
    """Makes the reports of a run again.

    Args:
        directory: as for `find_reports`; or an evaluation artifact, which gives the results alone.
        output: the folder that the reports go to; by default `directory`.

    Returns:
        The files, `report-<experiment>.html` each.

    Raises:
        UsageError: as `find_reports`.
    """
    directory = Path(directory)
    output = Path(output or directory)
    if (directory / RESULT).is_file():
        return [write_report(output / "report.html", pipeline="", title="Results", data={"evaluation": directory})]
    commands = _commands(directory)
    reports = []
    for record in find_reports(directory):
        experiment = record["options"]["experiment"]
        name = experiment.replace("_", "-")
        note = f"This report was made again by lesiongan {__version__} from the run's artifacts."
        data = gather(experiment, record["folders"])
        data |= {
            "command": commands.get(name, ""),
            "config": record["options"]["config"],
            "date": f"{record['started'][:10]} {record['started'][11:16]} UTC",
            "versions": {"lesiongan": record["version"], **record.get("versions", {})},
            "machine": record["machine"],
            "seed": record["seed"],
            "notes": [note],
        }
        reports.append(
            write_report(output / f"report-{name}.html", pipeline=experiment, title=TITLES[experiment], data=data)
        )
    return reports


def _records(directory: Path) -> Iterator[tuple[Path, dict]]:
    for path in sorted(directory.rglob(f"*{RECORD_ENDING}")):
        try:
            record = read_json(path)
        except (OSError, ValueError):
            continue  # half a record of a run that was killed
        if isinstance(record, dict):
            yield path, record


def _located(inputs: Mapping[str, str | list[str]], folders: Mapping[str, Path]) -> dict[str, Path | list[Path]]:
    located: dict[str, Path | list[Path]] = {}
    for name, digests in inputs.items():
        if isinstance(digests, list):
            located[name] = [folders[d] for d in digests if d in folders]
        elif digests in folders:
            located[name] = folders[digests]
    return located


def _commands(directory: Path) -> dict[str, str]:
    """pipeline -> the command that was given, from a workdir's run records."""
    commands = {}
    for path in sorted((directory / "runs").glob("*.json")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # the report does without
            record = read_json(path)
            commands[record["pipeline"]] = record["command"]
    return commands
