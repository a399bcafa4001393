"""The Examples artifact: pictures already resized, with their split and where they come from, on disk as TFDS.

A directory with `examples.json` (what it is), `examples.csv` (one row an image), `anomalies.csv` (every file and row
that was not used) and for each size in pixels a TFDS data set that `tfds.builder_from_directory` reads without this
package: features image (PNG), label, image_id, lesion_id, origin; splits train, validation and test, those that have
images. The images of a split stand in the order of `examples.csv`, which is the same for all sizes.
"""

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

from lesiongan import files
from lesiongan.data.image_set import ImageSet
from lesiongan.data.pictures import encode_png, from_array
from lesiongan.data.splits import SPLITS
from lesiongan.errors import LesionganError, MachineError, UsageError
from lesiongan.taxonomy import Taxonomy

FORMAT = 1
INFO, TABLE, ANOMALIES = "examples.json", "examples.csv", "anomalies.csv"
#: The columns of every examples.csv; generated images have more.
COLUMNS = ("image_id", "label", "split", "origin", "lesion_id", "age_approx", "sex", "anatom_site_general")
_SHARD_BYTES = 128_000_000  # of uncompressed pixels
_BUFFER = 256  # examples handed to TFDS at once, which writes its metadata anew each time
_READ_BATCH = 256


class Writer:
    """Writes an Examples artifact one image after the other, with bounded memory; made by `writing`."""

    def __init__(self, directory: Path, sizes: Sequence[int], taxonomy: Taxonomy, extra_columns: Sequence[str]):
        self._directory, self._taxonomy = directory, taxonomy
        self._shards = {size: _ShardWriter(directory / str(size), size, taxonomy) for size in sizes}
        self._columns = (*COLUMNS, *(column for column in extra_columns if column not in COLUMNS))
        self._file = (directory / TABLE).open("w", encoding="utf-8", newline="")
        self._csv = csv.writer(self._file, lineterminator="\n")
        self._csv.writerow(self._columns)
        self.counts = {split: dict.fromkeys(taxonomy.classes, 0) for split in SPLITS}

    def add(self, row: Mapping[str, Any], label: int, images: Mapping[int, bytes]) -> None:
        """Adds an image: its columns (without `label`) and its PNG of each size."""
        abbreviation = self._taxonomy.classes[label]
        values = (abbreviation if column == "label" else row.get(column) for column in self._columns)
        self._csv.writerow(["" if pd.isna(value) else value for value in values])
        self.counts[row["split"]][abbreviation] += 1
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

    def close(self, info: Mapping[str, Any], anomalies: Iterable[tuple[str, str, str]]) -> dict:
        """Writes what is left and examples.json; returns its content."""
        self.release()
        for shards in self._shards.values():
            shards.close()
        with (self._directory / ANOMALIES).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("what", "where", "why"))
            writer.writerows(anomalies)
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


@contextlib.contextmanager
def writing(
    output: str | Path, sizes: Sequence[int], taxonomy: Taxonomy, extra_columns: Sequence[str] = ()
) -> Iterator[Writer]:
    """A `Writer` whose artifact appears at `output` when the block ends well, and not at all otherwise.

    Raises:
        UsageError: `output` is a file, or a folder that holds something other than an Examples artifact.
        MachineError: the disk is full.
    """
    output = Path(output)
    if output.exists():
        if not output.is_dir():
            raise UsageError(f"{output}: a file is in the way; give a folder for the examples")
        if any(output.iterdir()) and not (output / INFO).exists():
            raise UsageError(f"{output}: the folder holds something else; give an empty or a new one for the examples")
    try:
        with files.whole_directory(output) as directory:
            writer = Writer(directory, sizes, taxonomy, extra_columns)
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
            squares = {size: encode_png(square) for size, square in from_array(image, sizes).items()}
            writer.add(row, int(label), squares)
        return writer.close({"source": "generated", "kind": "generated", "phantom": phantom}, ())


def load(directory: str | Path, size: int, split: str, *, classes: Sequence[str] | None = None) -> ImageSet:
    """Reads a split into memory, in the order of `examples.csv`.

    Args:
        directory: an Examples artifact.
        size: pixels; one of its sizes.
        split: train, validation or test; a split without images gives an empty set.
        classes: abbreviations of the classes to read; None reads all. Labels keep their meaning.

    Raises:
        UsageError: not an Examples artifact, or no such size, split or class.
    """
    info = read_info(directory)
    _check_request(Path(directory), info, size, [split], classes)
    known = info["taxonomy"]["classes"]
    wanted = [known.index(name) for name in (known if classes is None else classes)]
    total = sum(info["counts"].get(split, {}).get(known[label], 0) for label in wanted)
    images = np.empty((total, size, size, 3), np.uint8)
    labels = np.empty(total, np.int32)
    ids: list[bytes] = []
    origins: list[bytes] = []
    if total:
        for batch in _batches(Path(directory) / str(size), split, wanted if len(wanted) < len(known) else None):
            here = slice(len(ids), len(ids) + len(batch["label"]))
            images[here], labels[here] = batch["image"], batch["label"]
            ids += batch["image_id"].tolist()
            origins += batch["origin"].tolist()
    if len(ids) != total:
        raise UsageError(f"{directory}: {len(ids)} images in split {split}, but {INFO} says {total}; make it again")
    return ImageSet(images, labels, tuple(map(bytes.decode, ids)), tuple(map(bytes.decode, origins)))


def first_of_each_class(directory: str | Path, size: int, split: str, count: int) -> list[list[np.ndarray]]:
    """The first `count` images of each class (uint8 `[size, size, 3]`), in label order, without holding the split."""
    classes = read_info(directory)["taxonomy"]["classes"]
    rows: list[list[np.ndarray]] = [[] for _ in classes]
    for batch in _batches(Path(directory) / str(size), split, None):
        for image, label in zip(batch["image"], batch["label"], strict=True):
            if len(rows[label]) < count:
                rows[label].append(np.array(image))
    return rows


def load_splits(directory: str | Path, size: int, splits: Sequence[str]) -> ImageSet:
    """Several splits one behind the other; see `load`."""
    parts = [load(directory, size, split) for split in splits]
    if len(parts) == 1:
        return parts[0]
    return ImageSet(
        np.concatenate([part.images for part in parts]),
        np.concatenate([part.labels for part in parts]),
        tuple(image_id for part in parts for image_id in part.ids),
        tuple(origin for part in parts for origin in part.origins),
    )


def read_table(directory: str | Path) -> pd.DataFrame:
    """`examples.csv`: text columns with "" where nothing is known; age_approx and alpha float, seed Int64."""
    numbers = {"age_approx": "float64", "alpha": "float64", "seed": "Int64"}
    path = Path(directory) / TABLE
    read_info(directory)
    header = pd.read_csv(path, nrows=0).columns
    return pd.read_csv(
        path,
        dtype={column: numbers.get(column, str) for column in header},
        keep_default_na=False,
        na_values={column: [""] for column in header if column in numbers},
    )


def read_info(directory: str | Path) -> dict:
    """`examples.json`; raises `UsageError` where there is none, or one of a newer format than this code knows."""
    path = Path(directory) / INFO
    if not path.is_file():
        raise UsageError(f"{directory}: no {INFO} there; give the folder of an Examples artifact")
    try:
        info = files.read_json(path)
        version = int(info["format"])
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"{path}: not readable as JSON with a format; make the examples again") from None
    if version > FORMAT:
        raise UsageError(f"{path}: format {version} is newer than this version knows ({FORMAT}); update lesiongan")
    return info


def taxonomy(directory: str | Path) -> Taxonomy:
    """The classes of an Examples artifact."""
    return Taxonomy.from_dict(read_info(directory)["taxonomy"])


def _check_request(
    directory: Path, info: Mapping[str, Any], size: int, splits: Sequence[str], classes: Sequence[str] | None
) -> None:
    if size not in info["sizes"]:
        sizes = ", ".join(map(str, info["sizes"]))
        raise UsageError(
            f"{directory}: no images of {size} px there (it has {sizes}); make the examples with that size"
        )
    for split in splits:
        if split not in SPLITS:
            raise UsageError(f"{directory}: no split {split!r}; there are {', '.join(SPLITS)}")
    for name in classes or ():
        if name not in info["taxonomy"]["classes"]:
            known = ", ".join(info["taxonomy"]["classes"])
            raise UsageError(f"{directory}: no class {name!r}; there are {known}")


def _batches(directory: Path, split: str, labels: Sequence[int] | None) -> Iterator[dict[str, np.ndarray]]:
    import tensorflow as tf
    import tensorflow_datasets as tfds

    # One shard after the other, so that the order is the one they were written in.
    order = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    data = tfds.builder_from_directory(directory).as_dataset(
        split=split, decoders={"image": tfds.decode.SkipDecoding()}, shuffle_files=False, read_config=order
    )
    if labels is not None:
        wanted = tf.constant(labels, tf.int64)
        data = data.filter(lambda example: tf.reduce_any(example["label"] == wanted))
    data = data.map(
        lambda example: {**example, "image": tf.io.decode_png(example["image"], channels=3)},
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    yield from data.batch(_READ_BATCH).prefetch(2).as_numpy_iterator()


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
