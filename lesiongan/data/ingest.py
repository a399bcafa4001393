"""ExampleGen: a source as it comes -> the Examples artifact. One pass over the files writes every size."""

from __future__ import annotations

import collections
import dataclasses
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lesiongan.base import progress
from lesiongan.base.errors import UsageError
from lesiongan.config.data import DataConfig
from lesiongan.data import examples, examples_writer, leaks, pictures, splits
from lesiongan.data.by_source import take_apart
from lesiongan.data.csv_files import Anomaly
from lesiongan.data.decoding import Decoded, DecodingOptions, decode_all
from lesiongan.data.fingerprint import source_fingerprint
from lesiongan.data.generated_folder import NOTICE
from lesiongan.data.near_duplicates import Pair, near_duplicates
from lesiongan.data.source_split import FEWER, ids_not_known, split_rows
from lesiongan.data.sources import Source, further_tests, open_source, source_name


@dataclasses.dataclass(frozen=True)
class Collection:
    """A source with its further test sets, before a picture is opened.

    Attributes:
        source: the labelled images of training, validation and test.
        further: test sets beside the usual one, by the name of their split; labels are those of `source`'s taxonomy.
        anomalies: every row and file of all of them that is not used, and why.
    """

    source: Source
    further: dict[str, Source]
    anomalies: tuple[Anomaly, ...]


@dataclasses.dataclass(frozen=True)
class Surveyed:
    """A collection whose pictures were opened, split and audited.

    Attributes:
        rows: the images that can be used, of all sources: the columns of `Source.rows`, and split, origin, width and
            height in pixels, position (of the picture in `decoded`).
        table1: int `[classes, 3]`, rows of the ground truth on each side, whether their image is present or not.
        decoded: what the pass over the pictures gave.
        anomalies: every row and file that is not used.
        unusable: how many files cannot be used.
        leaks: numbers of the leak audit by name.
        duplicates: the audit's pairs, see `leaks.audit`.
    """

    rows: pd.DataFrame
    table1: np.ndarray
    decoded: Decoded
    anomalies: tuple[Anomaly, ...]
    unusable: int
    leaks: dict[str, int]
    duplicates: pd.DataFrame


def ingest(
    data: str,
    output: str | Path,
    config: DataConfig,
    sizes: Sequence[int],
    seed: int,
    *,
    log: Callable[[str], None] = progress.say,
    scratch: str | Path | None = None,
    workers: int = 0,
) -> dict:
    """Reads a source, splits it, resizes its pictures and writes them as Examples.

    The split is made over all rows of the ground truth, whether their image is present or not, so that the side of
    an image depends on which others were downloaded only where `by_lesion` joins near-duplicate pictures.

    Args:
        data: a folder, a table of labels, or `phantoms`.
        output: the artifact's folder; it may exist if it is empty or an Examples artifact.
        sizes: sides of the squares in pixels.
        seed: of the split (and of the phantoms).
        log: takes lines of information.
        scratch: where the pass over the pictures keeps what is done, so that it goes on after an interruption; a hidden
            folder beside `output` by default. Removed at the end.
        workers: processes; 0 takes one per core.

    Returns:
        The content of examples.json: format, sizes, taxonomy, source, kind, phantom, counts (split -> class -> images
        written), table1 (class -> [train, validation, test] rows, images present or not), rows, images, missing,
        unusable, anomalies (why -> how many), split (how, shares, seed), further_tests (splits beside the three) and
        leak_audit.

    Raises:
        UsageError: the source cannot be used (see `open_source`), too many of its files cannot, or a class is too
            small.
        MachineError: the disk is full, or a worker was killed. The same call goes on from there.
    """
    if not sizes or min(sizes) < pictures.MIN_SIDE:
        raise UsageError(f"image sizes {list(sizes)}: give one or more, of {pictures.MIN_SIDE} pixels at least")
    output = Path(output)
    examples_writer.check_output(output)
    collection = open_collection(data, config, seed)
    check_refused(data, collection.source, config)
    scratch = Path(scratch) if scratch else output.with_name(f".{output.name}.decoding")
    options = DecodingOptions(tuple(sorted(set(sizes))), config.resize, config.exact_resize)
    try:
        surveyed = survey(data, collection, config, seed, options, scratch, log=log, workers=workers)
    except UsageError:
        shutil.rmtree(scratch, ignore_errors=True)  # other data or other options are needed
        raise
    source, rows = collection.source, surveyed.rows
    extra = ["width", "height", *(["patient_id"] if (rows["patient_id"] != "").any() else [])]
    with examples_writer.writing(
        output, options.sizes, source.taxonomy, extra, splits=(*splits.SPLITS, *collection.further)
    ) as writer:
        bar = progress.Progress("examples", len(rows), "images")
        records = iter(rows.to_dict("records"))
        row = next(records, None)
        for position, squares in enumerate(surveyed.decoded.squares()):
            if row is not None and row["position"] == position:
                writer.add(row, row["label"], squares)
                bar.update(writer.written)
                row = next(records, None)
        bar.close()
        sources = (source, *collection.further.values())
        info = {
            "source": source_name(data, source),
            "kind": source.kind,
            "phantom": source.origin == "phantom",
            "table1": table_1(source, surveyed.table1),
            "rows": sum(len(s.rows) for s in sources),
            "images": len(rows),
            "missing": sum(int((s.rows["location"] == "").sum()) for s in sources),
            "unusable": surveyed.unusable,
            "anomalies": dict(collections.Counter(anomaly.why for anomaly in surveyed.anomalies)),
            "split": {"by": config.split, "validation": config.validation, "test": config.test, "seed": seed},
            "further_tests": list(collection.further),
            "leak_audit": surveyed.leaks,
            "resize": config.resize,
            "exact_resize": config.exact_resize,
        }
        summary = writer.close(info, surveyed.anomalies, surveyed.duplicates)
    surveyed.decoded.discard()
    return summary


def open_collection(data: str, config: DataConfig, seed: int) -> Collection:
    """Reads the tables of a source and of its further test sets, taken apart by clinic where the configuration says so
    (`by_source`); no picture is opened."""
    source = open_source(data, config, seed)
    further: dict[str, Source] = {}
    if config.by_source:
        source, further = take_apart(source, config.by_source, config.source_minimum)
    anomalies = list(source.anomalies)
    for name, path in further_tests(data, config).items():
        test = open_source(path, config, seed)
        known = [c in source.taxonomy.classes for c in test.taxonomy.classes]
        usable = test.rows["label"].map(lambda label, known=known: known[label])
        anomalies += test.anomalies
        anomalies += [
            Anomaly(row.image_id, name, f"class {test.taxonomy.classes[row.label]} is none of the training classes")
            for row in test.rows[~usable].itertuples()
        ]
        rows = test.rows[usable].reset_index(drop=True)
        rows["label"] = [source.taxonomy.index(test.taxonomy.classes[label]) for label in rows["label"]]
        if rows.empty:
            raise UsageError(f"{path}: it has no image of the training classes {', '.join(source.taxonomy.classes)}")
        further[name] = dataclasses.replace(test, taxonomy=source.taxonomy, rows=rows)
    return Collection(source, further, tuple(anomalies))


def check_refused(data: str, source: Source, config: DataConfig) -> None:
    """Raises `UsageError` where so many rows of the table of labels have no class that the result would be of another
    collection than the one that was meant."""
    rows = len(source.rows) + len(source.refused)
    if len(source.refused) <= config.max_refused * rows:
        return
    whys = collections.Counter(source.refused).most_common(3)
    raise UsageError(
        f"{data}: {len(source.refused):,} of {rows:,} rows of its table have no class, more than "
        f"{config.max_refused:.0%} ({'; '.join(f'{count:,} x {why}' for why, count in whys)}); give them a class, with "
        "--set data.diagnoses=FILE where diagnoses are in words, or leave them out with --set data.max_refused=SHARE"
    )


def survey(
    data: str,
    collection: Collection,
    config: DataConfig,
    seed: int,
    options: DecodingOptions,
    scratch: Path,
    *,
    log: Callable[[str], None] = progress.say,
    workers: int = 0,
) -> Surveyed:
    """Opens all pictures, splits the rows and audits the split. Args and errors as for `ingest`."""
    source = collection.source
    sources = {"": source, **collection.further}
    present = {name: each.rows[each.rows["location"] != ""] for name, each in sources.items()}
    missing = sum(len(each.rows) - len(present[name]) for name, each in sources.items())
    log(
        f"{source.kind}: {len(source.rows):,} rows, {len(present['']):,} images, "
        f"{len(source.taxonomy)} classes: {_shares(source)}"
    )
    if source.origin == "generated":
        log(f"{data}: {NOTICE}")
    for name in collection.further:
        log(f"{name}: {len(sources[name].rows):,} rows, {len(present[name]):,} images, a test set of its own")
    if missing:
        log(f"{missing:,} rows have no image; {examples.ANOMALIES} names them")
    unread = ids_not_known(source, config)
    if unread:
        log(unread)
    refused = collections.Counter(source.refused)
    whys = "; ".join(f"{count:,} x {why}" for why, count in refused.most_common(3))
    log(f"rows of the table not used: {refused.total():,}{f' ({whys})' if whys else ''}")
    for anomaly in source.anomalies:
        if anomaly.why.startswith("the zip file cannot be read"):
            log(f"{anomaly.what}: {anomaly.why}")
    anomalies = list(collection.anomalies)
    # The rule and the given split are checked before hours of decoding; near-duplicates are not known yet.
    split_rows(source, config, seed)

    locations = [location for rows in present.values() for location in rows["location"]]
    decoded = decode_all(
        [(each.reader, present[name]["location"].tolist()) for name, each in sources.items()],
        options,
        scratch,
        source_fingerprint(data, config, seed),
        check=lambda faults: _check_unusable(data, faults, locations, config),
        log=log,
        workers=workers,
    )
    usable = np.array([not fault for fault in decoded.faults], bool)
    faults = [(i, why) for i, why in enumerate(decoded.faults) if why]
    unusable = [Anomaly(locations[i], "", why) for i, why in faults]
    _check_unusable(data, faults, locations, config)
    if unusable:
        log(f"{len(unusable):,} files cannot be used; {examples.ANOMALIES} says why")

    pairs = near_duplicates(decoded.thumbnails[usable])
    positions = np.flatnonzero(usable)
    own = len(present[""])
    joined = [
        (present[""].index[positions[first]], present[""].index[positions[second]])
        for first, second, _ in pairs
        if positions[second] < own
    ]
    pairs_kept = joined if config.join_near_duplicates else ()
    sides = split_rows(source, config, seed, pairs=pairs_kept, anomalies=anomalies)
    if left_out := sum(anomaly.where == FEWER for anomaly in anomalies):
        log(f"{left_out:,} training images are left out: {FEWER}={','.join(config.fewer)}")
    frames = [
        rows.assign(split=name if name else sides[rows.index], origin=sources[name].origin)
        for name, rows in present.items()
    ]
    rows = pd.concat(frames, ignore_index=True)
    rows = rows.assign(position=np.arange(len(rows)), width=decoded.widths, height=decoded.heights)[usable]
    numbers, duplicates = _audit(rows, source.taxonomy.classes, pairs)
    return Surveyed(
        rows=rows[rows["split"] != ""].reset_index(drop=True),
        table1=splits.counts(source.rows["label"].to_numpy(), sides),
        decoded=decoded,
        anomalies=(*anomalies, *unusable),
        unusable=len(unusable),
        leaks=numbers,
        duplicates=duplicates,
    )


def table_1(source: Source, counts: np.ndarray) -> dict[str, list[int]]:
    """Class -> rows of [train, validation, test], the form of the paper's Table 1, from counts `[classes, 3]`."""
    return dict(zip(source.taxonomy.classes, counts.tolist(), strict=True))


def _audit(rows: pd.DataFrame, classes: Sequence[str], pairs: Sequence[Pair]) -> tuple[dict[str, int], pd.DataFrame]:
    used = (rows["split"] != "").to_numpy()
    place = np.cumsum(used) - 1
    used_pairs = [Pair(int(place[a]), int(place[b]), c) for a, b, c in pairs if used[a] and used[b]]
    return leaks.audit(rows[used], classes, used_pairs)


def _shares(source: Source) -> str:
    numbers = np.bincount(source.rows["label"], minlength=len(source.taxonomy))
    return ", ".join(f"{name} {number:,}" for name, number in zip(source.taxonomy.classes, numbers, strict=True))


def _check_unusable(data: str, faults: Sequence[tuple[int, str]], locations: Sequence[str], config: DataConfig) -> None:
    """Stops as soon as it is certain that too many files are unusable."""
    if len(faults) <= config.max_unusable * len(locations):
        return
    first = "; ".join(f"{locations[position]}: {why}" for position, why in faults[:3])
    raise UsageError(
        f"{data}: {len(faults)} of {len(locations)} files cannot be used, more than {config.max_unusable:.2%} "
        f"({first}); repair or remove them, or raise the limit with --set data.max_unusable=SHARE"
    )
