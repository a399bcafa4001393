"""Generated images on disk: Examples like the real ones, each with where it came from."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lesiongan.data import examples, examples_writer
from lesiongan.data.image_set import ImageSet
from lesiongan.data.taxonomy import Taxonomy

#: IPTC's digital source type of a picture made by a trained model: a synthetic lesion is never taken for a patient's.
DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


@dataclasses.dataclass(frozen=True)
class Generated:
    """Images from a generator.

    Attributes:
        images: uint8 `[n, size, size, 3]`.
        labels: the intended classes, int32 `[n]`.
        seeds: int64 `[n]`.
        source_ids: the id of the image that each was translated from; empty where there is none.
    """

    images: np.ndarray
    labels: np.ndarray
    seeds: np.ndarray
    source_ids: tuple[str, ...]

    def take(self, places: np.ndarray) -> Generated:
        """The images at `places`, int `[m]`."""
        ids = tuple(self.source_ids[i] for i in places)
        return Generated(self.images[places], self.labels[places], self.seeds[places], ids)

    def as_set(self, name: str) -> ImageSet:
        """With the ids that `write` gives them in a folder of that name."""
        return ImageSet(self.images, self.labels, image_ids(name, len(self.images)), (name,) * len(self.images))


def image_ids(name: str, count: int) -> tuple[str, ...]:
    """The ids of a generator's images."""
    return tuple(f"{name}_{i:07d}" for i in range(count))


def write(
    directory: Path,
    generated: Generated,
    model: dict,
    sizes: Sequence[int],
    alpha: float | str,
    guides: Collection[str] = (),
) -> None:
    """Writes one generator's images as Examples, all in the split `train`, at each of `sizes` pixels.

    Args:
        directory: the Examples folder; its name becomes the images' origin and begins their ids.
        generated: the images.
        model: the `model.json` of the generator.
        sizes: pixels.
        alpha: the filter's alpha, or empty.
        guides: digests of the classifiers that guided the makers of what was translated; the model's own is added.
    """
    name = Path(directory).name
    ids = image_ids(name, len(generated.images))
    provenance = pd.DataFrame(
        {
            "source_id": list(generated.source_ids),
            "seed": generated.seeds,
            "alpha": alpha,
            "generator": model["name"],
            "generator_digest": model["digest"],
            "digital_source_type": DIGITAL_SOURCE_TYPE,
        }
    )
    guides = {*guides, model.get("guided_by", "")} - {""}
    if guides:
        provenance["guided_by"] = " ".join(sorted(guides))
    examples_writer.write_generated(
        directory,
        generated.images,
        generated.labels,
        ids,
        [name] * len(ids),
        Taxonomy.from_dict(model["taxonomy"]),
        provenance,
        sizes=sizes,
    )


def guides_of(directory: Path) -> set[str]:
    """Digests of the classifiers that guided the makers of the images in an Examples folder; empty where none did."""
    table = examples.read_table(directory)
    return set(" ".join(table["guided_by"]).split()) if "guided_by" in table else set()
