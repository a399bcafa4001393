"""ExampleGen: a source as it comes -> the Examples artifact. One pass over the files writes every size."""

from __future__ import annotations

import collections
import concurrent.futures.process
import contextlib
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import threadpoolctl

from lesiongan import progress
from lesiongan.config import DataConfig
from lesiongan.data import examples, pictures, splits
from lesiongan.data.sources import Reader, Source, open_source
from lesiongan.data.tables import Anomaly
from lesiongan.errors import MachineError, UsageError

_CHUNK = 32  # pictures a worker takes at once
_AHEAD = 3  # chunks a worker that may wait or be done; bounds the memory


def ingest(
    data: str,
    output: str | Path,
    config: DataConfig,
    sizes: Sequence[int],
    seed: int,
    *,
    log: Callable[[str], None] = progress.say,
    workers: int = 0,
) -> dict:
    """Reads a source, splits it, resizes its pictures and writes them as Examples.

    The split is made over all rows of the ground truth, whether their image is there or not, so that the side of an
    image does not depend on which others were downloaded.

    Args:
        data: a folder, a ground-truth CSV, or `phantoms`.
        output: the artifact's folder; it may exist if it is empty or an Examples artifact.
        sizes: sides of the squares in pixels.
        seed: of the split (and of the phantoms).
        log: takes lines of information.
        workers: processes; 0 takes one a core.

    Returns:
        The content of examples.json: format, sizes, taxonomy, source, kind, phantom, counts (split -> class -> images
        written), table1 (class -> [train, validation, test] rows, images there or not), rows, images, missing,
        unusable, anomalies (why -> how many) and split (how, shares, seed).

    Raises:
        UsageError: the source cannot be used (see `open_source`), too many of its files cannot, or a class is too
            small.
        MachineError: the disk is full, or a worker was killed.
    """
    if not sizes or min(sizes) < pictures.MIN_SIDE:
        raise UsageError(f"image sizes {list(sizes)}: give one or more, of {pictures.MIN_SIDE} pixels at least")
    source = open_source(data, config, seed)
    sides = split_rows(source, config, seed)
    there = source.rows[source.rows["location"] != ""]
    counts = splits.counts(source.rows["label"].to_numpy(), sides)
    log(
        f"{source.kind}: {len(source.rows):,} rows, {len(there):,} images, "
        f"{len(source.taxonomy)} classes: {_shares(source)}"
    )
    if len(there) < len(source.rows):
        log(f"{len(source.rows) - len(there):,} rows have no image; {examples.ANOMALIES} names them")

    rows = there.assign(split=sides[there.index], origin=source.origin).to_dict("records")
    unusable: list[Anomaly] = []
    extra = ["patient_id"] if (source.rows["patient_id"] != "").any() else []
    try:
        with (
            _decoding(source.reader, [row["location"] for row in rows], config, sizes, workers) as decoded,
            examples.writing(output, sizes, source.taxonomy, extra) as writer,
        ):
            bar = progress.Progress("pictures", len(rows), "images")
            for done, (row, result) in enumerate(zip(rows, decoded, strict=True), 1):
                if isinstance(result, str):
                    unusable.append(Anomaly(row["location"], "", result))
                    _check_unusable(data, unusable, len(rows), config)
                else:
                    writer.add(row, row["label"], result)
                bar.update(done)
            bar.close()
            anomalies = (*source.anomalies, *unusable)
            info = {
                "source": source.kind if source.origin == "phantom" else Path(data).resolve().name,
                "kind": source.kind,
                "phantom": source.origin == "phantom",
                "table1": dict(zip(source.taxonomy.classes, counts.tolist(), strict=True)),
                "rows": len(source.rows),
                "images": len(rows) - len(unusable),
                "missing": len(source.rows) - len(rows),
                "unusable": len(unusable),
                "anomalies": dict(collections.Counter(anomaly.why for anomaly in anomalies)),
                "split": {"by": config.split, "validation": config.validation, "test": config.test, "seed": seed},
                "resize": config.resize,
                "exact_resize": config.exact_resize,
            }
            summary = writer.close(info, anomalies)
    except concurrent.futures.process.BrokenProcessPool:
        raise MachineError("a worker that decodes pictures was killed (out of memory?); start again") from None
    if unusable:
        log(f"{len(unusable):,} files cannot be used; {examples.ANOMALIES} says why")
    return summary


def split_rows(source: Source, config: DataConfig, seed: int) -> np.ndarray:
    """The side of each row of a source as `config` says: `[n]` strings, each one of `splits.SPLITS`."""
    labels, classes = source.rows["label"].to_numpy(), source.taxonomy.classes
    if config.split == "by_image":
        return splits.by_image(labels, config.validation, config.test, seed, classes=classes)
    groups = splits.join_groups(source.rows["lesion_id"], source.rows["patient_id"])
    return splits.by_lesion(labels, groups, config.validation, config.test, seed, classes=classes)


def _shares(source: Source) -> str:
    numbers = np.bincount(source.rows["label"], minlength=len(source.taxonomy))
    return ", ".join(f"{name} {number:,}" for name, number in zip(source.taxonomy.classes, numbers, strict=True))


def _check_unusable(data: str, unusable: Sequence[Anomaly], total: int, config: DataConfig) -> None:
    """Stops as soon as it is certain that too many files are unusable."""
    if len(unusable) <= config.max_unusable * total:
        return
    first = "; ".join(f"{anomaly.what}: {anomaly.why}" for anomaly in unusable[:3])
    raise UsageError(
        f"{data}: {len(unusable)} of {total} files cannot be used, more than {config.max_unusable:.2%} ({first}); "
        f"repair or remove them, or raise the limit with --set data.max_unusable=SHARE"
    )


@contextlib.contextmanager
def _decoding(
    reader: Reader, locations: Sequence[str], config: DataConfig, sizes: Sequence[int], workers: int
) -> Iterator[Iterator[dict[int, bytes] | str]]:
    """Worker processes that begin at once; an iterator in the order of `locations` over the PNG of each size, or the
    reason why a file cannot be used."""
    chunks = [locations[i : i + _CHUNK] for i in range(0, len(locations), _CHUNK)]
    workers = min(workers or _cores(), max(1, len(chunks)))
    pool = concurrent.futures.ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),  # not fork: TensorFlow's threads do not survive it
        initializer=_start_worker,
    )
    futures = (pool.submit(_decode_chunk, reader, chunk, config, tuple(sizes)) for chunk in chunks)
    waiting = collections.deque(itertools.islice(futures, workers * _AHEAD))

    def results() -> Iterator[dict[int, bytes] | str]:
        while waiting:
            done = waiting.popleft().result()
            waiting.extend(itertools.islice(futures, 1))
            yield from done

    with pool:
        try:
            yield results()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends the workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # One thread each: BLAS threads of several workers spin against each other (drawing phantoms took 8 times as long).
    threadpoolctl.threadpool_limits(1)


def _end_with_parent() -> None:
    """A worker of a killed parent would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _decode_chunk(
    reader: Reader, locations: Sequence[str], config: DataConfig, sizes: Sequence[int]
) -> list[dict[int, bytes] | str]:
    results = []
    for location in locations:
        try:
            picture = reader.read(location)
            if isinstance(picture, bytes):
                squares = pictures.decode(picture, sizes, config.resize, config.exact_resize)
            else:
                squares = pictures.from_array(picture, sizes, config.resize)
            results.append({size: pictures.encode_png(square) for size, square in squares.items()})
        except pictures.Unusable as unusable:
            results.append(str(unusable))
    return results
