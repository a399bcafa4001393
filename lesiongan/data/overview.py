"""What is in a collection, for a person and for programs, before any training."""

from __future__ import annotations

import collections
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lesiongan.config.data import DataConfig
from lesiongan.data import leaks, splits
from lesiongan.data.decoding import DecodingOptions
from lesiongan.data.generated_folder import NOTICE
from lesiongan.data.ingest import Collection, open_collection, survey, table_1
from lesiongan.data.source_split import ids_not_known, split_rows
from lesiongan.data.sources import source_name

_SHOWN = 3  # examples of an anomaly
_SHAPES = 6


def overview(data: str, config: DataConfig, seed: int, *, quick: bool = False, workers: int = 0) -> dict[str, Any]:
    """Reads the tables and opens all pictures, at a reduced scale where the format allows it.

    Args:
        quick: opens no picture: nothing is then known of sizes, unusable files and near-duplicates.

    Returns:
        source, kind, phantom, classes, names, rows, images, missing, unusable, lesions (class -> known lesions), split,
        ids (what to say where lesions are not known), refused (rows of the table without a class), table1 (class ->
        [train, validation, test] rows of the ground truth, images present or not), counts (split -> class -> usable
        images), further_tests, shapes ("WIDTHxHEIGHT" -> images, or None), leak_audit, duplicates
        (pairs of nearly the same picture), and anomalies (what, where, why).

    Raises:
        UsageError: as `ingest`.
    """
    collection = open_collection(data, config, seed)
    source = collection.source
    if quick:
        facts = _without_pictures(collection, config, seed)
    else:
        options = DecodingOptions((), config.resize, exact=False)
        with tempfile.TemporaryDirectory(prefix="lesiongan-", ignore_cleanup_errors=True) as scratch:
            surveyed = survey(
                data,
                collection,
                config,
                seed,
                options,
                Path(scratch) / "decoding",
                log=lambda line: None,
                workers=workers,
            )
        shapes = collections.Counter(zip(surveyed.rows["width"], surveyed.rows["height"], strict=True))
        facts = {
            "rows_used": surveyed.rows,
            "table1": table_1(source, surveyed.table1),
            "unusable": surveyed.unusable,
            "shapes": {f"{width}x{height}": count for (width, height), count in shapes.most_common()},
            "leak_audit": surveyed.leaks,
            "duplicates": surveyed.duplicates.to_dict("records"),
            "anomalies": surveyed.anomalies,
        }
    used = facts.pop("rows_used")
    classes = source.taxonomy.classes
    known = source.rows[source.rows["lesion_id"] != ""]
    sources = (source, *collection.further.values())
    return {
        "source": source_name(data, source),
        "kind": source.kind,
        "phantom": source.origin == "phantom",
        "generated": source.origin == "generated",
        "classes": list(classes),
        "names": list(source.taxonomy.names),
        "rows": sum(len(each.rows) for each in sources),
        "images": len(used),
        "missing": sum(int((each.rows["location"] == "").sum()) for each in sources),
        "lesions": {name: int(known.loc[known["label"] == i, "lesion_id"].nunique()) for i, name in enumerate(classes)},
        "split": {"by": config.split, "validation": config.validation, "test": config.test, "seed": seed},
        "counts": {
            split: {
                name: int(((used["split"] == split) & (used["label"] == i)).sum()) for i, name in enumerate(classes)
            }
            for split in (*splits.SPLITS, *collection.further)
        },
        "further_tests": list(collection.further),
        "ids": ids_not_known(source, config),
        "refused": len(source.refused),
        **facts,
        "anomalies": [anomaly._asdict() for anomaly in facts["anomalies"]],
    }


def _without_pictures(collection: Collection, config: DataConfig, seed: int) -> dict[str, Any]:
    source, anomalies = collection.source, list(collection.anomalies)
    sides = split_rows(source, config, seed, anomalies=anomalies)
    frames = [source.rows.assign(split=sides), *(test.rows.assign(split=n) for n, test in collection.further.items())]
    rows = pd.concat(frames, ignore_index=True)
    rows = rows[(rows["location"] != "") & (rows["split"] != "")]
    numbers, _ = leaks.audit(rows, source.taxonomy.classes, [])
    return {
        "rows_used": rows,
        "table1": table_1(source, splits.counts(source.rows["label"].to_numpy(), sides)),
        "unusable": None,
        "shapes": None,
        "leak_audit": {name: None if "duplicate" in name else value for name, value in numbers.items()},
        "duplicates": None,
        "anomalies": anomalies,
    }


def lines(facts: dict[str, Any]) -> list[str]:
    """An `overview` as a person reads it."""
    further = facts["further_tests"]
    split, shapes = facts["split"], facts["shapes"]
    rule = split["by"]
    if rule in splits.RULES:
        rule += f", {split['validation']:.0%} validation, {split['test']:.0%} test, seed {split['seed']}"
    text = [
        f"{facts['source']}: {facts['kind']}, {facts['rows']:,} rows, {facts['images']:,} usable images, "
        f"{len(facts['classes'])} classes",
        f"split: {rule}; rows of the ground truth, images there or not",
        *([NOTICE] if facts["generated"] else []),
        *([facts["ids"]] if facts["ids"] else []),
        *([f"rows of the table not used: {facts['refused']:,} (below)"] if facts["refused"] else []),
        "",
    ]
    head = ["class", "rows", "images", "lesions", *splits.SPLITS, *further, ""]
    table = [head]
    for name, spelled in zip(facts["classes"], facts["names"], strict=True):
        sides = facts["table1"][name]
        images = sum(facts["counts"][side][name] for side in facts["counts"])
        more = [facts["counts"][test][name] for test in further]
        table.append([name, sum(sides), images, facts["lesions"][name] or "?", *sides, *more, spelled])
    numbers = np.array([row[1:3] + row[4:-1] for row in table[1:]], dtype=int).sum(axis=0).tolist()
    table.append(["all", *numbers[:2], sum(facts["lesions"].values()) or "?", *numbers[2:], ""])
    cells = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in table]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    for row in cells:
        middle = "  ".join(cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1], strict=True))
        text.append(f"{row[0].ljust(widths[0])}  {middle}  {row[-1]}".rstrip())
    text += ["", "pictures"]
    if shapes is None:
        text.append("  not opened (--quick)")
    else:
        shown = list(shapes.items())
        text += [f"  {shape.replace('x', ' x ')}: {count:,}" for shape, count in shown[:_SHAPES]]
        if len(shown) > _SHAPES:
            text.append(f"  {len(shown) - _SHAPES} other sizes: {sum(count for _, count in shown[_SHAPES:]):,}")
    text += ["", "leaks between the sides of the split"]
    for name, value in facts["leak_audit"].items():
        text.append(f"  {name.replace('_', ' ')}: {'not looked for' if value is None else f'{value:,}'}")
    text += ["", "not used"]
    by_why: dict[str, list[str]] = collections.defaultdict(list)
    for anomaly in facts["anomalies"]:
        by_why[anomaly["why"]].append(anomaly["what"] or "(empty)")
    for why, names in sorted(by_why.items(), key=lambda item: -len(item[1])):
        some = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
        text.append(f"  {len(names):,} x {why}: {some}")
    return text if by_why else [*text, "  nothing"]
