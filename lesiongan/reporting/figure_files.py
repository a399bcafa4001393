"""The figures of a run as files for a paper or slides, drawn again from its artifacts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from lesiongan.base.errors import UsageError
from lesiongan.base.files import whole_file
from lesiongan.evaluation.evaluate import RESULT
from lesiongan.reporting import results, sections
from lesiongan.reporting.again import find_reports
from lesiongan.reporting.drawing import FORMATS, Drawing
from lesiongan.reporting.gather import gather
from lesiongan.reporting.report import ReportInputs


def formats_of(text: str) -> list[str]:
    """The formats that a comma-separated list names, each once; raises `UsageError` for another than `FORMATS`."""
    named = list(dict.fromkeys(part.strip().lower() for part in text.split(",")))
    unknown = [name for name in named if name not in FORMATS]
    if unknown:
        raise UsageError(f"--format {text}: {unknown[0]!r} is none of {', '.join(FORMATS)}")
    return named


def write(directory: Path | str, output: Path | str, endings: Sequence[str]) -> list[Path]:
    """Writes every figure of the reports of a run.

    Args:
        directory: as for `again.remake`: a workdir, a copy of one, or an evaluation artifact.
        output: the folder that they go to; those of an experiment stand in a folder of its name there.
        endings: of `FORMATS`; each figure is written in all of them.

    Returns:
        The files.

    Raises:
        UsageError: as `again.find_reports`; or there is nothing to draw.
    """
    directory, output = Path(directory), Path(output)
    if (directory / RESULT).is_file():
        drawn = [(output, ReportInputs(evaluation=directory))]
    else:
        drawn = [
            (output / experiment.replace("_", "-"), ReportInputs.from_dict(gather(experiment, record["folders"])))
            for record in find_reports(directory)
            for experiment in [record["options"]["experiment"]]
        ]
    files = []
    for folder, inputs in drawn:
        for figure in figures(inputs):
            for ending in endings:
                files.append(folder / f"{figure.name}.{ending}")
                with whole_file(files[-1]) as file:
                    file.write(figure.file(ending))
    if not files:
        raise UsageError(
            f"{directory}: its artifacts hold nothing that could be drawn; see its report for what is missing"
        )
    return files


def figures(inputs: ReportInputs) -> Iterator[Drawing]:
    """Every figure that a report from `inputs` shows, in its order; what cannot be read is left out."""
    examples = sections.section(sections.examples, inputs.examples, "examples", False)
    evaluation = sections.section(results.evaluation, inputs.evaluation, "evaluation", False)
    distances = sections.section(sections.distances, inputs.distances, "distances")
    trainings = sections.section(sections.trainings, inputs.trainings, "trainings")
    found = [examples.get("figure"), *evaluation.get("figures", ())]
    found += [evaluation["calibration"]["figure"]] if "calibration" in evaluation else []
    found += [figure for further in evaluation.get("further", ()) for figure in further["figures"]]
    found += [distances.get("figure")]
    found += [run.get(key) for run in trainings.get("runs", ()) for key in ("figure", "finder")]
    yield from (figure for figure in found if figure)
