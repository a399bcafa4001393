"""`lesiongan quality`: anyone's pictures beside real ones, without a pipeline."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lesiongan.base.errors import ExitCode, UsageError
from lesiongan.base.shown import show
from lesiongan.serving.model_artifact import describe, find
from pipelines import arguments as shared

_IMAGENET = "imagenet"


def add(commands) -> None:
    """Adds the command to a parser's subparsers."""
    quality = commands.add_parser("quality", help="how near pictures are to real ones, and which may be copies")
    what = "a folder of pictures, a source as for `run --data`, or an Examples artifact"
    quality.add_argument("real", metavar="REAL", help=what)
    quality.add_argument("fake", metavar="FAKE", help=what)
    quality.add_argument(
        "--features",
        default=_IMAGENET,
        metavar="JUDGE",
        help="whose features are compared: `imagenet` (the extra of that name), or NAME, NAME:VERSION or the folder of "
        "a lesion classifier (default: %(default)s)",
    )
    quality.add_argument(
        "--split", default="", help="of Examples (default: test; of generated ones train, the one they have)"
    )
    quality.add_argument("--no-classes", action="store_true", help="look at folders as they are, at no table in them")
    quality.add_argument(
        "--count", type=int, default=2500, help="of each side and class at most so many (default: %(default)s)"
    )
    quality.add_argument("--copies", type=int, default=10, help="nearest pairs to name (default: %(default)s)")
    quality.add_argument("--seed", type=int, default=0, help="of the halves and draws (default: 0)")
    quality.add_argument("-o", "--output", type=Path, metavar="FILE.json", help="all numbers")
    shared.overwrite(quality)
    quality.add_argument("--json", action="store_true", help="for programs")
    shared.set_options(quality)
    quality.set_defaults(run=_quality)


def _quality(arguments: argparse.Namespace) -> int:
    from lesiongan.config.reader import assign
    from lesiongan.config.run import Config
    from lesiongan.data.folders import check_apart
    from lesiongan.data.sources import check_exists

    if arguments.output:
        shared.check_output_file(arguments.output, overwrite=arguments.overwrite)
    for option, number, least in (("--count", arguments.count, 48), ("--copies", arguments.copies, 0)):
        if number < least:
            raise UsageError(f"{option} {number}: give {least} or more")
    if arguments.seed < 0:
        raise UsageError(f"--seed {arguments.seed}: give 0 or more")
    for place in (arguments.real, arguments.fake):
        check_exists(place)
    check_apart({"REAL": arguments.real, "FAKE": arguments.fake})
    splits = shared.splits_of_examples(arguments.real, arguments.fake, split=arguments.split)
    config = assign(Config(), *shared.assignments(arguments)).data
    if arguments.features != _IMAGENET:
        record = describe(find(arguments.features, "classifier"))  # a wrong one is refused before TensorFlow starts
        config = dataclasses.replace(config, resize=record.get("resize", "squash"))
        _check_no_guide(arguments, record)

    from lesiongan.base.files import write_json
    from lesiongan.data.gathered import gathered
    from lesiongan.evaluation import collections_compared, compared_lines
    from lesiongan.evaluation.imagenet_judge import judge_of

    judge = judge_of(arguments.features)
    facts: dict[str, Any] = {}
    seen = []
    for key, place in (("real", arguments.real), ("made", arguments.fake)):
        with gathered(place, judge.size, config, split=splits[place], classes=not arguments.no_classes) as pictures:
            seen.append(collections_compared.look(pictures, judge, Path(place).name))
            facts[key] = {"place": place, **pictures.facts()}
    facts["judge"] = {"name": judge.name, "size": judge.size, "features": int(seen[0].features.shape[1])}
    options = {"most": arguments.count, "listed": arguments.copies, "seed": arguments.seed}
    result = facts | collections_compared.compared(*seen, **options) | options
    result["notes"] = compared_lines.notes(result)
    if arguments.output:
        write_json(arguments.output, result)
    if arguments.json:
        print(json.dumps(result, indent=1))
    else:
        show(compared_lines.lines(result))
    return ExitCode.DONE


def _check_no_guide(arguments: argparse.Namespace, record: Mapping[str, Any]) -> None:
    """Refuses a classifier as the judge of Examples whose makers it guided."""
    from lesiongan.data.examples import INFO
    from lesiongan.data.generated import guides_of

    fake = Path(arguments.fake)
    if (fake / INFO).is_file() and record["digest"] in guides_of(fake):
        raise UsageError(
            f"--features {arguments.features}: this classifier helped to make the pictures of {fake} (guidance) and is "
            "no judge of them; give --features imagenet, or another classifier"
        )
