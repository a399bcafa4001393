"""Writes the Examples artifact; see `examples`."""

from __future__ import annotations

import contextlib
import csv
import errno
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lesiongan.base import files
from lesiongan.base.errors import LesionganError, MachineError, UsageError
from lesiongan.base.shown import one_line, unbroken
from lesiongan.data.csv_files import as_csv
from lesiongan.data.examples import ANOMALIES, COLUMNS, FORMAT, INFO, LEAKS, TABLE
from lesiongan.data.pictures import encode_png, from_array
from lesiongan.data.splits import SPLITS
from lesiongan.data.taxonomy import Taxonomy

_SHARD_BYTES = 128_000_000  # of uncompressed pixels
_BUFFER = 256  # examples handed to TFDS at once, which writes its metadata anew each time


class Writer:
    """Writes an Examples artifact one image after the other, with bounded memory; made by `writing`."""

    def __init__(
        self,
        directory: Path,
        sizes: Sequence[int],
        taxonomy: Taxonomy,
        extra_columns: Sequence[str],
        splits: Sequence[str],
    ):
        self._directory, self._taxonomy = directory, taxonomy
        self._shards = {size: _ShardWriter(directory / str(size), size, taxonomy) for size in sizes}
        self._columns = (*COLUMNS, *(column for column in extra_columns if column not in COLUMNS))
        self._file = (directory / TABLE).open("w", encoding="utf-8", newline="")
        self._csv = csv.writer(self._file, lineterminator="\n")
        self._csv.writerow(self._columns)
        self.counts = {split: dict.fromkeys(taxonomy.classes, 0) for split in splits}
        self.written = 0

    def add(self, row: Mapping[str, Any], label: int, images: Mapping[int, bytes]) -> None:
        """Adds an image: its columns (without `label`), each of which becomes one line, and its PNG of each size."""
        row = {key: unbroken(value) if isinstance(value, str) else value for key, value in row.items()}
        abbreviation = self._taxonomy.classes[label]
        values = (abbreviation if column == "label" else row.get(column) for column in self._columns)
        self._csv.writerow(["" if pd.isna(value) else value for value in values])
        self.counts[row["split"]][abbreviation] += 1
        self.written += 1
        for size, shards in self._shards.items():
            shards.add(
                row["split"],
                {
                    "image": images[size],
                    "label": label,
                    "image_id": row["image_id"],
                    "lesion_id": row.get("lesion_id") or "",
                    "origin": row["origin"],
                },
            )

    def close(
        self, info: Mapping[str, Any], anomalies: Iterable[tuple[str, str, str]], leaks: pd.DataFrame | None = None
    ) -> dict:
        """Writes what is left and examples.json; returns its content."""
        self.release()
        for shards in self._shards.values():
            shards.close()
        with (self._directory / ANOMALIES).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("what", "where", "why"))
            writer.writerows(map(one_line, anomaly) for anomaly in anomalies)
        if leaks is not None:
            files.write_text(self._directory / LEAKS, as_csv(leaks))
        content = {
            **info,
            "format": FORMAT,
            "sizes": sorted(self._shards),
            "taxonomy": self._taxonomy.to_dict(),
            "counts": self.counts,
        }
        files.write_json(self._directory / INFO, content)
        return content

    def release(self) -> None:
        self._file.close()


def check_output(output: Path) -> None:
    """Raises `UsageError` where `output` is a file, or a folder that holds something other than Examples."""
    if not output.exists():
        return
    if not output.is_dir():
        raise UsageError(f"{output}: a file is in the way; give a folder for the examples")
    if any(output.iterdir()) and not (output / INFO).exists():
        raise UsageError(f"{output}: the folder holds something else; give an empty or a new one for the examples")


@contextlib.contextmanager
def writing(
    output: str | Path,
    sizes: Sequence[int],
    taxonomy: Taxonomy,
    extra_columns: Sequence[str] = (),
    splits: Sequence[str] = SPLITS,
) -> Iterator[Writer]:
    """A `Writer` whose artifact appears at `output` when the block ends well, and not at all otherwise.

    Raises:
        UsageError: `output` is a file, or a folder that holds something other than an Examples artifact.
        MachineError: the disk is full.
    """
    output = Path(output)
    check_output(output)
    try:
        with files.whole_directory(output) as directory:
            writer = Writer(directory, sizes, taxonomy, extra_columns, splits)
            try:
                yield writer
            finally:
                writer.release()
    except Exception as error:
        # TensorFlow's writers have errors of their own for it, with the system's words in their text.
        full = [
            os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) if os.strerror(code) in str(error)
        ]
        if full and not isinstance(error, LesionganError):
            raise MachineError(f"{output}: the disk is full ({full[0]}); make room and start again") from error
        raise


def write_generated(
    output: str | Path,
    images: np.ndarray,
    labels: Sequence[int] | np.ndarray,
    ids: Sequence[str],
    origins: Sequence[str],
    taxonomy: Taxonomy,
    extra: pd.DataFrame | None = None,
    *,
    sizes: Sequence[int] = (),
    phantom: bool = False,
) -> dict:
    """Writes generated images as Examples, all of them in the split `train`.

    Args:
        images: uint8 `[n, size, size, 3]`, RGB.
        labels: int `[n]`, the intended classes.
        ids: n different image ids.
        origins: the generators' names, n strings.
        extra: further columns of examples.csv, n rows: source_id, seed, alpha, generator, and any of `COLUMNS` that are
            known (a lesion_id that is inherited from the source image, say).
        sizes: pixels at which they are stored; by default their own alone.
        phantom: whether the generators learned from phantoms.

    Returns:
        The content of examples.json.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[1] != images.shape[2] or images.shape[3] != 3 or images.dtype != np.uint8:
        raise ValueError(f"images must be uint8 [n, size, size, 3], got {images.dtype} {images.shape}")
    extra = pd.DataFrame(index=range(len(images))) if extra is None else extra.reset_index(drop=True)
    if not len(images) == len(labels) == len(ids) == len(origins) == len(extra):
        raise ValueError(
            f"images, labels, ids, origins and extra must be equally many, "
            f"got {len(images)}, {len(labels)}, {len(ids)}, {len(origins)} and {len(extra)}"
        )
    if len(set(ids)) != len(ids):
        raise ValueError("the ids of generated images must differ")
    sizes = sorted(set(sizes)) or [images.shape[1]]
    # astype(object): a row keeps the type of each column, so that a 64-bit seed does not pass through a float.
    columns = extra.astype(object).to_dict("records") if len(extra.columns) else [{}] * len(images)
    with writing(output, sizes, taxonomy, list(extra.columns)) as writer:
        for image, label, image_id, origin, row in zip(images, labels, ids, origins, columns, strict=True):
            row = {**row, "image_id": str(image_id), "split": "train", "origin": str(origin)}
            squares = {size: encode_png(square) for size, square in from_array(image, sizes).squares.items()}
            writer.add(row, int(label), squares)
        return writer.close({"source": "generated", "kind": "generated", "phantom": phantom}, ())


class _ShardWriter:
    """A TFDS data set of one size."""

    def __init__(self, directory: Path, size: int, taxonomy: Taxonomy):
        import tensorflow_datasets as tfds

        directory.mkdir()
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(size, size, 3), encoding_format="png"),
                "label": tfds.features.ClassLabel(names=list(taxonomy.classes)),
                "image_id": tfds.features.Text(),
                "lesion_id": tfds.features.Text(),
                "origin": tfds.features.Text(),
            }
        )
        identity = tfds.core.dataset_info.DatasetIdentity(
            name="lesions", version=tfds.core.Version("1.0.0"), data_dir=str(directory), module_name=""
        )
        info = tfds.core.DatasetInfo(
            builder=identity,
            features=features,
            supervised_keys=("image", "label"),
            description="Skin lesions, square and resized. For research and tests, never for diagnosis.",
        )
        per_shard = max(1, _SHARD_BYTES // (3 * size * size))
        self._writer = tfds.core.SequentialWriter(info, max_examples_per_shard=per_shard)
        serializer = self._writer._serializer
        # TFDS writes the features of an example in an order of chance; equal examples are equal files
        serializer.serialize_example = lambda example: serializer.get_tf_example(example).SerializeToString(
            deterministic=True
        )
        self._buffers: dict[str, list[dict]] = {}
        self._waiting = 0

    def add(self, split: str, example: dict) -> None:
        if split not in self._buffers:
            self._buffers[split] = []
            self._writer.initialize_splits([split])
        self._buffers[split].append(example)
        self._waiting += 1
        if self._waiting >= _BUFFER:
            self._flush()

    def _flush(self) -> None:
        self._writer.add_examples(self._buffers)
        self._buffers = {split: [] for split in self._buffers}
        self._waiting = 0

    def close(self) -> None:
        self._flush()
        self._writer.close_all()
