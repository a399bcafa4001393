"""The report of a run: one HTML file without network or script, small enough to send by e-mail."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lesiongan.base.errors import UsageError
from lesiongan.base.files import write_text
from lesiongan.reporting import blessings, embedding, quality, report_page, results, sections, strip

#: Bytes that embedded pictures may take together, so that a report stays below 2 MB.
PICTURE_BUDGET = 1_000_000


@dataclasses.dataclass(frozen=True)
class CaptionedImage:
    """A picture laid out by another step: a PNG file and what it shows."""

    path: str
    caption: str


@dataclasses.dataclass(frozen=True)
class ReportInputs:
    """What a report is made from. Every field may be left out; its section then says that it is missing.

    Attributes:
        config: the resolved configuration, nested.
        command: the command that was given.
        date: when, as shown.
        versions: package -> version.
        machine: what the run says of its machine.
        seed: the run's seed.
        examples: folder of the Examples artifact (examples.json, examples.csv, anomalies.csv).
        leak: numbers of the leak audit, name -> value; those in examples.json (`leak_audit`) are shown too.
        strip: what is shown first, `strip.Strip`s.
        grids: sample grids: `CaptionedImage`s, or dicts of path and caption.
        trainings: name -> stats.jsonl (or the folder that holds it).
        evaluation: folder of the Evaluation artifact (metrics.json).
        rankings: figures of the Path-Rank-Filter, as `grids`.
        distances: `distances.json` of the evaluation: how far each alpha's CycleGAN moves an image.
        image_quality: row -> metric -> a number or {"value", "low", "high"}; see `quality.matrix`.
        feature_space: which features these metrics are of.
        memory: what generators remember: `memory.section`.
        suspects: galleries of suspected copies, as `grids`.
        accuracy_scores: `accuracy_scores.section`.
        appearance: artefacts and skin tones: `appearance.section`.
        blessing: model -> `blessed` and `reason`; its limits are those of `config`.
        timings: (step, seconds, cached) of each step.
        paper: show the paper's numbers beside ours, where it has the cell.
        notes: further lines for the provenance section.
        software: rows of `steps`, `versions`, `device`, `accepted` (earlier code whose results were accepted).
    """

    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    command: str = ""
    date: str = ""
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    machine: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    seed: int | None = None
    examples: str | Path | None = None
    leak: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    strip: Sequence[strip.Strip] = ()
    grids: Sequence[CaptionedImage | Mapping[str, str]] = ()
    trainings: Mapping[str, str | Path] = dataclasses.field(default_factory=dict)
    evaluation: str | Path | None = None
    rankings: Sequence[CaptionedImage | Mapping[str, str]] = ()
    distances: str | Path | None = None
    image_quality: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    feature_space: str = ""
    memory: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    suspects: Sequence[CaptionedImage | Mapping[str, str]] = ()
    accuracy_scores: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    appearance: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    blessing: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    timings: Sequence[Sequence] = ()
    paper: bool = True
    notes: Sequence[str] = ()
    software: Sequence[Mapping[str, str]] = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ReportInputs:
        """From a JSON object; an unknown key raises `UsageError`. None means left out."""
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = [key for key in data if key not in known]
        if unknown:
            raise UsageError(f"unknown report input {unknown[0]!r}; known: {', '.join(known)}")
        return cls(**{key: value for key, value in data.items() if value is not None})


def write_report(output_html: Path | str, *, pipeline: str, title: str, data: Mapping[str, Any] | ReportInputs) -> Path:
    """Writes the report of a run.

    Args:
        output_html: the file.
        pipeline: the pipeline's name.
        title: the heading.
        data: `ReportInputs`, or a dict of its fields.

    Returns:
        `output_html`.
    """
    inputs = data if isinstance(data, ReportInputs) else ReportInputs.from_dict(data)
    examples = {
        **{"phantom": False, "isic": False, "paper": inputs.paper},
        **sections.section(sections.examples, inputs.examples, "examples", inputs.paper),
    }
    evaluation = sections.section(results.evaluation, inputs.evaluation, "evaluation", examples["paper"])
    grids, rankings, suspects = _pictures(inputs.grids, inputs.rankings, inputs.suspects)
    page = report_page.render(
        "template.html.j2",
        title=title,
        pipeline=pipeline,
        inputs=inputs,
        examples=examples,
        leak=[(k.replace("_", " "), v) for k, v in sections.flat({**examples.get("leak", {}), **inputs.leak})],
        evaluation=evaluation,
        strips=strip.embedded(inputs.strip),
        grids=grids,
        rankings=rankings,
        distances=sections.section(sections.distances, inputs.distances, "distances"),
        trainings=sections.section(sections.trainings, inputs.trainings, "trainings"),
        quality=quality.matrix(inputs.image_quality),
        memory=quality.matrix(inputs.memory.get("rows", {})),
        suspects=suspects,
        looks=quality.matrix(inputs.appearance.get("statistics", {})),
        tones=quality.matrix(inputs.appearance.get("tones", {})),
        accuracy_scores=quality.matrix(inputs.accuracy_scores.get("rows", {})),
        blessings=blessings.sentences(inputs.blessing, inputs.config.get("evaluation", {})),
        timings=sections.section(sections.timings, inputs.timings, "timings"),
        config=sections.flat(inputs.config),
        machine=sections.flat(inputs.machine),
    )
    write_text(output_html, page)
    return Path(output_html)


def _pictures(*groups) -> list[list[dict]]:
    """Each group's pictures embedded, one budget for all; a picture that is not there has no `uri`."""
    wanted = [
        [
            p if isinstance(p, CaptionedImage) else CaptionedImage(str(p["path"]), str(p.get("caption", "")))
            for p in group
        ]
        for group in groups
    ]
    embedded = embedding.embed([Path(p.path) for group in wanted for p in group], PICTURE_BUDGET)
    parts = iter([{"uri": None} if part is None else part for part in embedded])
    return [[{"caption": p.caption, "path": p.path, **next(parts)} for p in group] for group in wanted]
