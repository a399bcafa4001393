"""One pass over the raw pictures, on all cores: every size that is asked for, and what the audit needs.

The pass can be stopped at any time and goes on from there: workers write what they made in chunks to a folder, each
chunk whole or not at all. Memory holds a few chunks, whatever the number of pictures.
"""

from __future__ import annotations

import collections
import concurrent.futures.process
import contextlib
import dataclasses
import errno
import itertools
import multiprocessing
import multiprocessing.context
import multiprocessing.sharedctypes
import os
import shutil
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import threadpoolctl

from lesiongan.base import files, progress
from lesiongan.base.errors import MachineError
from lesiongan.base.sealed import DamagedError, read_arrays, read_sealed, write_sealed
from lesiongan.data import pictures
from lesiongan.data.pictures import THUMBNAIL
from lesiongan.data.readers import Reader

_FORMAT = 1
_ARRAYS = ("faults", "lengths", "shapes", "thumbnails", "data")  # of a chunk
_PLAN = "plan.json"
_CHUNK = 32  # pictures
_AHEAD = 3  # chunks per worker that may be waiting or done
#: A chunk's file, the reader of its pictures, their locations, and the position of the first.
_Job = tuple[Path, Reader, Sequence[str], int]


@dataclasses.dataclass(frozen=True)
class DecodingOptions:
    """What is made of each picture.

    Attributes:
        sizes: sides of the squares in pixels; none where only the audit is wanted.
        resize, exact: see `pictures.decode`.
    """

    sizes: tuple[int, ...]
    resize: pictures.Resize = "squash"
    exact: bool = True


@dataclasses.dataclass(frozen=True)
class Decoded:
    """What a pass found, one entry per picture, in the order of the locations.

    Attributes:
        faults: why a picture cannot be used; "" where it can.
        widths, heights: int32 `[n]`, pixels of the files; 0 where they cannot be used.
        thumbnails: uint8 `[n, 32, 32]`, see `near_duplicates`.
        folder: where the encoded squares are.
    """

    faults: list[str]
    widths: np.ndarray
    heights: np.ndarray
    thumbnails: np.ndarray
    folder: Path
    sizes: tuple[int, ...]

    def squares(self) -> Iterator[dict[int, bytes]]:
        """The PNG of each size, picture by picture; empty for one that cannot be used."""
        for path in _chunks(self.folder):
            with np.load(path) as chunk:
                lengths, data = chunk["lengths"], chunk["data"].tobytes()
            ends = np.cumsum(lengths).reshape(lengths.shape)
            for lengths_of_one, ends_of_one in zip(lengths, ends, strict=True):
                places = zip(self.sizes, lengths_of_one, ends_of_one, strict=True)
                yield {size: data[end - length : end] for size, length, end in places if length}

    def discard(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def decode_all(
    parts: Sequence[tuple[Reader, Sequence[str]]],
    options: DecodingOptions,
    folder: Path,
    key: str,
    *,
    check: Callable[[list[tuple[int, str]]], None] = lambda faults: None,
    log: Callable[[str], None] = progress.say,
    workers: int = 0,
) -> Decoded:
    """Decodes the pictures at the locations of each reader, or those that are left to do.

    Args:
        parts: readers, each with the locations that it reads.
        options: what is made of each picture.
        folder: holds the chunks; what an interrupted pass with the same key left there is used.
        key: changes with the pictures (a digest of the sources).
        log: takes lines of information.
        check: is told (position, why) of all unusable pictures so far, again and again; may raise to stop.
        workers: processes; 0 takes one per core.

    Raises:
        MachineError: the disk is full, the pictures vanished, or a worker was killed. What was done stays.
    """
    locations = [location for _, own_locations in parts for location in own_locations]
    wanted = files.digest_text(str(_FORMAT), key, repr(options), *locations)
    folder.mkdir(parents=True, exist_ok=True)
    if _plan_of(folder) != wanted:
        shutil.rmtree(folder)
        folder.mkdir()
        write_sealed(folder / _PLAN, {"key": wanted})
    jobs: list[_Job] = []
    position = 0
    for reader, own_locations in parts:
        for begin in range(0, len(own_locations), _CHUNK):
            jobs.append((folder / f"chunk-{position:09d}.npz", reader, own_locations[begin : begin + _CHUNK], position))
            position += len(jobs[-1][2])
    todo = [job for job in jobs if not _is_whole(job[0], log)]
    done = len(locations) - sum(len(job[2]) for job in todo)
    if done:
        log(f"goes on from picture {done:,} of {len(locations):,}")
    faults: list[tuple[int, str]] = []
    if todo:
        bar = progress.Progress("pictures", len(locations), "images", start=done)
        with _results(todo, options, workers) as results:
            for count, new_faults in results:
                done += count
                faults += new_faults
                check(faults)
                bar.update(done)
        bar.close()
    return _collect(folder, len(locations), options.sizes)


def _collect(folder: Path, n: int, sizes: tuple[int, ...]) -> Decoded:
    faults: list[str] = []
    shapes, thumbnails = np.zeros((n, 2), np.int32), np.zeros((n, THUMBNAIL, THUMBNAIL), np.uint8)
    for path in _chunks(folder):
        with np.load(path) as chunk:
            here = slice(len(faults), len(faults) + len(chunk["faults"]))
            shapes[here], thumbnails[here] = chunk["shapes"], chunk["thumbnails"]
            faults += chunk["faults"].tolist()
    return Decoded(faults, shapes[:, 0], shapes[:, 1], thumbnails, folder, sizes)


def _plan_of(folder: Path) -> str:
    """What the chunks of a folder are of; "" where nobody can tell."""
    try:
        return read_sealed(folder / _PLAN)["key"]
    except DamagedError:
        return ""


def _is_whole(path: Path, log: Callable[[str], None]) -> bool:
    """Whether a chunk is there, with the bytes that were written; a damaged one is said and removed."""
    if not path.exists():
        return False
    try:
        if set(read_arrays(path)) == set(_ARRAYS):
            return True
        raise DamagedError("is no chunk of pictures")
    except DamagedError as error:
        log(f"{path.name} {error}; its pictures are decoded again")
        path.unlink()
        return False


def _chunks(folder: Path) -> list[Path]:
    return sorted(folder.glob("chunk-*.npz"))


@contextlib.contextmanager
def _results(
    jobs: list[_Job], options: DecodingOptions, workers: int
) -> Iterator[Iterator[tuple[int, list[tuple[int, str]]]]]:
    """Runs jobs in worker processes; per finished chunk, its number of pictures and (position, why) of the unusable."""
    workers = min(workers or _cores(), len(jobs))
    stop = multiprocessing.sharedctypes.RawValue("b", 0)  # without a lock, which a killed worker could hold for ever
    pool = concurrent.futures.ProcessPoolExecutor(
        workers,
        mp_context=_BareContext(),
        initializer=_start_worker,
        initargs=(stop,),
    )
    futures = (pool.submit(_decode_chunk, *job, options) for job in jobs)
    waiting = collections.deque(itertools.islice(futures, workers * _AHEAD))

    def results():
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(itertools.islice(futures, 1))

    try:
        yield results()
    except concurrent.futures.process.BrokenProcessPool:
        raise MachineError("a worker that decodes pictures was killed (out of memory?); start again") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise MachineError(
                f"{jobs[0][0].parent}: the disk is full ({error.strerror}); make room and start again, "
                f"it goes on from here"
            ) from None
        raise
    finally:
        # whoever asked may remove the folder now: nobody may still write to it
        stop.value = 1
        pool.shutdown(wait=True, cancel_futures=True)


def _decode_chunk(
    path: Path, reader: Reader, locations: Sequence[str], position: int, options: DecodingOptions
) -> tuple[int, list[tuple[int, str]]]:
    n = len(locations)
    faults, encoded = [""] * n, []
    lengths, shapes = np.zeros((n, len(options.sizes)), np.int64), np.zeros((n, 2), np.int32)
    thumbnails = np.zeros((n, THUMBNAIL, THUMBNAIL), np.uint8)
    for i, location in enumerate(locations):
        if _stop is not None and _stop.value:
            raise _Stopped
        try:
            content = reader.read(location)
            if isinstance(content, bytes):
                picture = pictures.decode(content, options.sizes, options.resize, options.exact)
            else:
                picture = pictures.from_array(content, options.sizes, options.resize)
        except pictures.Unusable as unusable:
            faults[i] = str(unusable)
            continue
        pngs = [pictures.encode_png(picture.squares[size]) for size in options.sizes]
        encoded += pngs
        lengths[i], shapes[i] = [len(png) for png in pngs], (picture.width, picture.height)
        thumbnails[i] = picture.thumbnail
    arrays = {"faults": np.array(faults, np.str_), "lengths": lengths, "shapes": shapes, "thumbnails": thumbnails}
    files.write_arrays(path, **arrays, data=np.frombuffer(b"".join(encoded), np.uint8))
    return n, [(position + i, why) for i, why in enumerate(faults) if why]


class _BareProcess(multiprocessing.context.SpawnProcess):
    """A worker that does not import the program's main module again, which may import TensorFlow: 0.5 GB and 5 s
    per worker. Not forked, since TensorFlow's threads do not survive that."""

    @staticmethod
    def _Popen(process_obj):
        main = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            return multiprocessing.context.SpawnProcess._Popen(process_obj)
        finally:
            sys.modules["__main__"] = main


class _BareContext(multiprocessing.context.SpawnContext):
    Process = _BareProcess


class _Stopped(Exception):
    """Nobody waits for the chunk any more."""


_stop: Any = None  # in a worker: not 0 where it is to stop


def _start_worker(stop: Any) -> None:
    global _stop
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends the workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # One thread each: BLAS threads of several workers spin against each other (drawing phantoms took 8 times as long).
    threadpoolctl.threadpool_limits(1)


def _end_with_parent() -> None:
    """Ends the worker when its parent was killed; it would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
