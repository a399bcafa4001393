"""Small Examples artifacts for the tests of the steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from lesiongan.data import examples_writer
from lesiongan.data.pictures import encode_png, from_array
from lesiongan.data.taxonomy import Taxonomy


def blob(label: int, seed: int, size: int = 32) -> np.ndarray:
    """A picture, uint8 `[size, size, 3]`, whose colour says its class and whose structure is its seed's alone."""
    rng = np.random.default_rng([label, seed])
    noise = np.kron(rng.integers(-60, 60, (size // 4, size // 4, 1)), np.ones((4, 4, 1)))
    colour = np.array([(200, 120, 120), (120, 200, 120), (120, 120, 200)])[label % 3]
    return np.clip(colour + noise, 0, 255).astype(np.uint8)


def examples(
    directory: Path,
    taxonomy: Taxonomy,
    counts: Mapping[str, Sequence[int]],
    *,
    sizes: Sequence[int] = (32,),
    origin: str = "real",
    first: int = 0,
    change: Callable[[np.ndarray], np.ndarray] = lambda picture: picture,
) -> Path:
    """Examples of `blob`s: split -> how many of each class; ids are `<folder>_<split>_<class>_<number>`."""
    splits = ("train", "validation", "test", *(s for s in counts if s not in ("train", "validation", "test")))
    with examples_writer.writing(directory, sizes, taxonomy, splits=splits) as writer:
        for position, split in enumerate(splits):
            for label, count in enumerate(counts.get(split, ())):
                for i in range(count):
                    picture = from_array(change(blob(label, first + 1000 * position + i)), sizes)
                    row = {
                        "image_id": f"{directory.name}_{split}_{label}_{i}",
                        "lesion_id": f"L{label}_{i // 2}" if split != "train" else "",
                        "split": split,
                        "origin": origin,
                    }
                    writer.add(row, label, {size: encode_png(square) for size, square in picture.squares.items()})
        further = [split for split in splits if split not in ("train", "validation", "test")]
        writer.close({"source": "small", "kind": "small", "phantom": False, "further_tests": further}, ())
    return directory
