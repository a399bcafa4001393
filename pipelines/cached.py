"""kfp's cache of finished steps, looked at before it is believed.

kfp takes whatever an entry names as long as the path exists. Here an entry is sealed, and an artifact is taken only
where all of its bytes are those of its lineage record; anything else is a miss, and one line says why. All bytes, each
time: sizes and times stay the same when a bit flips, and a later step would compute with it. That costs about 2 s per
GB that a run has made, beside steps that read the same bytes anyway.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kfp import dsl
from kfp.local import cache as kfp_cache

from lesiongan.base.files import read_json
from lesiongan.base.lineage import read_record
from lesiongan.base.sealed import DamagedError, write_sealed
from pipelines.entries import read_entry


@contextlib.contextmanager
def checked(say: Callable[[str], None], *, writes: bool = True) -> Iterator[Checked]:
    """Puts the look between kfp and its cache.

    Args:
        say: takes a line for each entry and artifact that is not used.
        writes: whether steps that ran are put into the cache.
    """
    looked = Checked(say)
    get, put = kfp_cache.LocalCache.get, kfp_cache.LocalCache.put
    kfp_cache.LocalCache.get = lambda cache, key: looked.get(Path(cache._entry_path(key)))
    kfp_cache.LocalCache.put = lambda cache, key, outputs: (
        looked.put(Path(cache._entry_path(key)), outputs) if writes else None
    )
    try:
        yield looked
    finally:
        kfp_cache.LocalCache.get, kfp_cache.LocalCache.put = get, put


class Checked:
    """Reads and writes entries of the cache; `failure` is what kept the last one from being written."""

    def __init__(self, say: Callable[[str], None]):
        self.say = say
        self.failure: OSError | None = None

    def get(self, entry: Path) -> dict[str, Any] | None:
        """The outputs of a finished step, None where there are none that can be taken."""
        if not entry.exists():
            return None
        try:
            outputs = {name: _artifact(value) for name, value in read_entry(entry).items()}
            for name, artifact in outputs.items():
                _check(name, artifact)
        except DamagedError as error:
            self.say(f"{error}; the step is run again")
            return None
        return outputs

    def put(self, entry: Path, outputs: dict[str, Any]) -> None:
        """Writes an entry; a step is finished once that is done."""
        self.failure = None
        try:
            write_sealed(entry, kfp_cache.LocalCache._serialize_outputs(outputs), of=entry.stem)
        except OSError as error:  # kfp would go on, and the step would be run again by the next command
            self.failure = error
            raise


def _artifact(value: dict[str, Any]) -> dsl.Artifact:
    kind = _KINDS.get(value["schema_title"], dsl.Artifact)
    return kind(name=value["name"], uri=value["uri"], metadata=value["metadata"])


_KINDS = {each.schema_title: each for each in (dsl.Artifact, dsl.Dataset, dsl.HTML, dsl.Metrics, dsl.Model)}


def _numbers(metrics: dict[str, Any]) -> dict[str, str]:
    return {name: repr(float(value)) for name, value in metrics.items()}  # as text: NaN is NaN


def _check(name: str, artifact: dsl.Artifact) -> None:
    """Raises `DamagedError` where an artifact is not what was made."""
    path = Path(artifact.uri)
    if "\0" in artifact.uri:
        raise DamagedError(f"{name}: there can be no such path")
    if isinstance(artifact, dsl.Metrics):  # numbers alone, which have no record
        try:
            same = _numbers(read_json(path)) == _numbers(artifact.metadata)
        except (AttributeError, OSError, RecursionError, TypeError, ValueError):
            same = False
        if not same:
            raise DamagedError(f"{path} is not what was measured")
        return
    if read_record(path)["artifact"] != name:
        raise DamagedError(f"{path} is not the step's {name}")
