"""ExampleGen of images made elsewhere: as Examples, one folder per source, for training only."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

import numpy as np

from lesiongan.base.errors import UsageError
from lesiongan.base.progress import say
from lesiongan.config.data import DataConfig
from lesiongan.data import examples, examples_writer
from lesiongan.data.decoding import DecodingOptions, decode_all
from lesiongan.data.fingerprint import source_fingerprint
from lesiongan.data.generated import DIGITAL_SOURCE_TYPE
from lesiongan.data.synthetic import check_enough, copies, held_out_thumbnails, open_synthetic, thumbnails_of
from lesiongan.data.taxonomy import Taxonomy
from lesiongan.experiments.amounts import nested_order, spread
from lesiongan.experiments.cells import synthetic_generator, synthetic_name
from lesiongan.steps.step import Task

OUTPUTS = ("generated",)


@dataclasses.dataclass(frozen=True)
class Options:
    synthetic: tuple[str, ...] = ()  # folders of pictures
    data: DataConfig = DataConfig()
    classes: tuple[str, ...] = ()  # the classes that cells add to; empty: all
    largest: int = 0  # images that the largest cell adds, over all classes
    distribution: Literal["equal", "proportional", "levelling"] = "equal"  # of that amount over the classes
    synthetic_copies: Literal["refuse", "drop"] = "refuse"
    sizes: tuple[int, ...] = ()


def run(task: Task[Options]) -> dict:
    """Inputs: `examples` (the real ones). Outputs: `generated`."""
    options, directory = task.options, task.artifact("examples")
    taxonomy = examples.taxonomy(directory)
    classes = options.classes or taxonomy.classes
    counts = examples.read_info(directory)["counts"]["train"]
    numbers = spread(options.largest, [counts[c] for c in classes], options.distribution)
    needed = dict(zip(classes, numbers, strict=True))
    held_out = held_out_thumbnails(directory)
    written = [_import(task, path, taxonomy, needed, held_out) for path in options.synthetic]
    return {"images": sum(written)}


def _import(task: Task[Options], path: str, taxonomy: Taxonomy, needed: dict[str, int], held_out) -> int:
    options, name = task.options, synthetic_name(path)
    source = open_synthetic(path, options.data, taxonomy, needed)
    # sorted by id first, so that the order depends on the images and the seed, not on how they lie on disk
    rows = source.rows.sort_values("image_id", kind="stable").reset_index(drop=True)
    rows = rows.iloc[nested_order(len(rows), task.seed)].reset_index(drop=True)
    thumbnails, names, size = held_out
    decoding = DecodingOptions(tuple(sorted({*options.sizes, size})), options.data.resize, options.data.exact_resize)
    key = source_fingerprint(path, dataclasses.replace(options.data, further_tests=()), 0)
    decoded = decode_all([(source.reader, rows["location"].tolist())], decoding, task.run_dir / name, key)
    usable = np.array([not fault for fault in decoded.faults], bool)
    anomalies = [(rows["location"][i], path, decoded.faults[i]) for i in np.flatnonzero(~usable)]
    if anomalies:
        say(f"{name}: {len(anomalies):,} files cannot be used; {examples.ANOMALIES} says why")
    imported = thumbnails_of(squares[size] for squares in decoded.squares() if squares)
    rows = rows[usable].reset_index(drop=True)
    leaked = copies(thumbnails, imported)
    if leaked:
        _say_leaks(path, options, rows, leaked, names)
    anomalies += [(rows["image_id"][i], path, f"a copy of the {names[j]}") for i, j in leaked.items()]
    kept = np.array([i not in leaked for i in range(len(rows))], bool)
    labels = rows["label"].to_numpy()
    check_enough(path, {c: int((labels[kept] == taxonomy.index(c)).sum()) for c in needed}, needed)
    written = _write(task, path, taxonomy, rows, kept, decoded, needed, anomalies)
    decoded.discard()
    say(f"{name}: {written:,} images made elsewhere")
    return written


def _say_leaks(path: str, options: Options, rows, leaked: dict[int, int], names: list[str]) -> None:
    position, original = next(iter(leaked.items()))
    text = (
        f"{path}: {len(leaked):,} of {len(rows):,} pictures are copies of real images that are held out for tests "
        f"({rows['image_id'][position]} of the {names[original]})"
    )
    if options.synthetic_copies == "refuse":
        raise UsageError(f"{text}; remove them, or leave them out with --set grid.synthetic_copies=drop")
    say(f"{text}; they are left out")


def _write(task: Task[Options], path: str, taxonomy, rows, kept, decoded, needed: dict[str, int], anomalies) -> int:
    """The first images of each class in the rows' order, as many as the largest cell takes."""
    name = synthetic_name(path)
    output = task.outputs["generated"] / synthetic_generator(path)
    left = {taxonomy.index(c): number for c, number in needed.items()}
    columns = ["source_id", "seed", "alpha", "generator", "generator_digest", "digital_source_type"]
    origin = f"synthetic:{name}"
    with examples_writer.writing(output, task.options.sizes, taxonomy, columns) as writer:
        squares_of_usable = (squares for squares in decoded.squares() if squares)
        for row, keep, squares in zip(rows.to_dict("records"), kept, squares_of_usable, strict=True):
            if not keep or not left[row["label"]]:
                continue
            left[row["label"]] -= 1
            provenance = {"generator": name, "digital_source_type": DIGITAL_SOURCE_TYPE}
            record = {**provenance, "image_id": f"{name}_{row['image_id']}", "split": "train", "origin": origin}
            writer.add(record, row["label"], {size: squares[size] for size in task.options.sizes})
        info = {"source": Path(path).name, "kind": "generated", "phantom": False}
        writer.close(info, anomalies)
        return writer.written
