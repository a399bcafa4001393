"""`lesiongan reader-study`: a blinded page for human readers, and the score of their answers."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from lesiongan.base.errors import ExitCode, UsageError
from pipelines import arguments as shared

_LARGEST = 256  # pixels of a shown picture


def add(commands) -> None:
    """Adds the command to a parser's subparsers."""
    study = commands.add_parser(
        "reader-study", help="can people tell generated pictures from real ones? a blinded page"
    )
    parts = study.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=type(study))

    make = parts.add_parser("make", help="writes the page, and beside it the key, which readers must not have")
    what = "a folder of pictures, a source as for `run --data`, or an Examples artifact"
    make.add_argument("real", metavar="REAL", help=what)
    make.add_argument("fake", metavar="FAKE", help=what)
    make.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.html")
    make.add_argument("--pictures", type=int, default=64, help="in all, half of them real (default: %(default)s)")
    make.add_argument(
        "--size",
        type=int,
        help=f"pixels that all pass through: resolution must not give them away (default: FAKE's, at most {_LARGEST})",
    )
    make.add_argument("--split", default="", help="of Examples (default: test; of generated ones train)")
    make.add_argument("--no-classes", action="store_true", help="look at folders as they are, at no table in them")
    make.add_argument("--seed", type=int, help="of the choice and order (default: a random one, which the key names)")
    make.add_argument("--title", default="Real or synthetic?")
    shared.overwrite(make)
    shared.set_options(make)
    make.set_defaults(run=_make)

    score = parts.add_parser("score", help="accuracy of each reader, with its interval")
    score.add_argument("key", type=Path, metavar="KEY.json", help="the key that `make` wrote")
    score.add_argument("answers", type=Path, nargs="+", metavar="ANSWERS.json", help="what readers saved")
    score.add_argument("--json", action="store_true", help="for programs")
    score.set_defaults(run=_score)


def key_of(page: Path) -> Path:
    """Where the key of a page is written."""
    return page.with_name(f"{page.stem}.key.json")


def _make(arguments: argparse.Namespace) -> int:
    import secrets

    from lesiongan.config.reader import assign
    from lesiongan.config.run import Config
    from lesiongan.data.folders import check_apart
    from lesiongan.data.sources import check_exists

    if arguments.pictures < 2 or arguments.pictures % 2:
        raise UsageError(f"--pictures {arguments.pictures}: give an even number, half of them real and half generated")
    if arguments.size is not None and not 8 <= arguments.size <= 1024:
        raise UsageError(f"--size {arguments.size}: give 8 to 1024 pixels")
    for path in (arguments.output, key_of(arguments.output)):
        shared.check_output_file(path, overwrite=arguments.overwrite)
    for place in (arguments.real, arguments.fake):
        check_exists(place)
    check_apart({"REAL": arguments.real, "FAKE": arguments.fake})
    config = assign(Config(), *shared.assignments(arguments)).data

    from lesiongan.base.files import write_json, write_text
    from lesiongan.reporting import reader_study

    splits = shared.splits_of_examples(arguments.real, arguments.fake, split=arguments.split)
    taken = {"config": config, "classes": not arguments.no_classes}
    size = arguments.size or _own_size(arguments.fake, splits[arguments.fake], **taken)
    real, fake = (_collection(place, size, splits[place], **taken) for place in (arguments.real, arguments.fake))
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    page, key = reader_study.make(real, fake, pictures=arguments.pictures, seed=seed, title=arguments.title)
    write_text(arguments.output, page)
    write_json(key_of(arguments.output), {**key, "real": arguments.real, "fake": arguments.fake, "size": size})
    print(f"{arguments.pictures} pictures of {size} px: {arguments.output}")
    print(f"the key, for `lesiongan reader-study score`; readers must not have it: {key_of(arguments.output)}")
    return ExitCode.DONE


def _own_size(place: str, split: str, **taken: Any) -> int:
    """Pixels of a collection's pictures, at most what a page shows."""
    from lesiongan.data.gathered import gathered

    with gathered(place, 8, split=split, **taken) as pictures:
        return min(_LARGEST, int(pictures.rows["side"].median()))


def _collection(place: str, size: int, split: str, **taken: Any):
    import numpy as np

    from lesiongan.data.gathered import gathered
    from lesiongan.reporting.reader_study import Collection

    with gathered(place, size, split=split, **taken) as pictures:
        images = np.concatenate(list(pictures.batches))
        return Collection(images, pictures.rows["name"].tolist(), pictures.rows["class"].tolist())


def _score(arguments: argparse.Namespace) -> int:
    from lesiongan.reporting import reader_study

    key = _read(arguments.key, ("study", "pictures"), "the key of a reader study")
    answers = [_read(path, ("study", "answers"), "answers to a reader study") for path in arguments.answers]
    result = reader_study.score(key, answers)
    print(json.dumps(result, indent=1) if arguments.json else "\n".join(reader_study.lines(result)))
    return ExitCode.DONE


def _read(path: Path, needed: tuple[str, ...], what: str) -> dict:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file; give {what}") from None
    except (ValueError, IsADirectoryError):
        found = None
    if not isinstance(found, dict) or not set(needed) <= found.keys():
        raise UsageError(f"{path}: that is not {what}; give the file that `make` or the page wrote")
    return found
