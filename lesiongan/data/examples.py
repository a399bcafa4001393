"""The Examples artifact: pictures already resized, with their split and where they come from, on disk as TFDS.

A directory with `examples.json` (what it is), `examples.csv` (one row per image), `anomalies.csv` (every file and row
that was not used), `leaks.csv` (pairs of nearly the same picture) and for each size in pixels a TFDS data set that
`tfds.builder_from_directory` reads without this package: features image (PNG), label, image_id, lesion_id, origin;
splits train, validation, test and further test sets, those that have images. The images of a split stand in the order
of `examples.csv`, which is the same for all sizes. `examples_writer` writes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lesiongan.base import files
from lesiongan.base.errors import UsageError
from lesiongan.data.image_set import ImageSet
from lesiongan.data.splits import SPLITS
from lesiongan.data.taxonomy import Taxonomy

FORMAT = 1
INFO, TABLE, ANOMALIES, LEAKS = "examples.json", "examples.csv", "anomalies.csv", "leaks.csv"
#: The columns of every examples.csv; images of a source have width and height in pixels too, generated ones where they
#: come from.
COLUMNS = ("image_id", "label", "split", "origin", "lesion_id", "age_approx", "sex", "anatom_site_general")
_READ_BATCH = 256


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
    check_request(Path(directory), info, size, [split], classes)
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


def batches(directory: str | Path, size: int, split: str) -> Iterator[ImageSet]:
    """A split batch by batch, in the order of `examples.csv`, without holding it; see `load`."""
    check_request(Path(directory), read_info(directory), size, [split], None)
    if sum(read_info(directory)["counts"].get(split, {}).values()):
        for batch in _batches(Path(directory) / str(size), split, None):
            ids, origins = (tuple(map(bytes.decode, batch[key].tolist())) for key in ("image_id", "origin"))
            yield ImageSet(batch["image"], batch["label"].astype(np.int32), ids, origins)


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
    return parts[0] if len(parts) == 1 else ImageSet.join(parts)


def read_table(directory: str | Path) -> pd.DataFrame:
    """`examples.csv`: text columns with "" where nothing is known; age_approx and alpha float, seed Int64."""
    numbers = {"age_approx": "float64", "alpha": "float64", "seed": "Int64", "width": "Int64", "height": "Int64"}
    path = Path(directory) / TABLE
    read_info(directory)
    if not path.is_file():
        raise UsageError(f"{directory}: {TABLE} is missing there; make the examples again")
    header = pd.read_csv(path, nrows=0).columns
    return pd.read_csv(
        path,
        dtype={column: numbers.get(column, str) for column in header},
        keep_default_na=False,
        na_values={column: [""] for column in header if column in numbers},
    )


def lesion_ids(directory: str | Path, image_ids: Sequence[str]) -> list[str]:
    """The lesion that each image shows, "" where that is not known.

    Raises:
        KeyError: an image that is not of these Examples.
    """
    known = read_table(directory).set_index("image_id")["lesion_id"]
    return known.loc[list(image_ids)].tolist()


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
    missing = [key for key in ("sizes", "taxonomy", "counts") if key not in info]
    if missing:
        raise UsageError(f"{path}: it does not say {', '.join(missing)}; make the examples again")
    return info


def taxonomy(directory: str | Path) -> Taxonomy:
    """The classes of an Examples artifact."""
    return Taxonomy.from_dict(read_info(directory)["taxonomy"])


def check_request(
    directory: Path, info: Mapping[str, Any], size: int, splits: Sequence[str], classes: Sequence[str] | None
) -> None:
    """Raises `UsageError` where Examples, of which `info` is `read_info`, have no such size, split or class."""
    if size not in info["sizes"]:
        sizes = ", ".join(map(str, info["sizes"]))
        raise UsageError(
            f"{directory}: no images of {size} px there (it has {sizes}); make the examples with that size"
        )
    known = (*SPLITS, *info.get("further_tests", ()))
    for split in splits:
        if split not in known:
            raise UsageError(f"{directory}: no split {split!r}; there are {', '.join(known)}")
    for name in classes or ():
        if name not in info["taxonomy"]["classes"]:
            available = ", ".join(info["taxonomy"]["classes"])
            raise UsageError(f"{directory}: no class {name!r}; there are {available}")


def _batches(directory: Path, split: str, labels: Sequence[int] | None) -> Iterator[dict[str, np.ndarray]]:
    import tensorflow as tf
    import tensorflow_datasets as tfds

    try:
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
    except tf.errors.ResourceExhaustedError:
        raise  # the machine's fault
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise UsageError(
            f"{directory}: its images cannot be read ({type(error).__name__}); make the examples again"
        ) from error
