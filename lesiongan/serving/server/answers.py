"""What a served model answers to a request, whatever protocol brought it; every refusal is one line."""

from __future__ import annotations

import base64
import binascii
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lesiongan.data import pictures
from lesiongan.serving.picture_files import made_by, picture_bytes
from lesiongan.serving.saved_models import Served

_SEEDS = 2**63


class Refused(ValueError):
    """A request that cannot be answered; its text is for the one who asked."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a request may ask for.

    Attributes:
        batch: pictures.
        body: bytes of a request.
    """

    batch: int = 32
    body: int = 32 * 2**20


class Answers:
    """Answers of one model.

    Args:
        name: of the model, as it is asked for.
        served: the model.
        limits: of a request.
    """

    def __init__(self, name: str, served: Served, limits: Limits):
        self.name, self.served, self.limits = name, served, limits
        self.kind: str = served.record["kind"]
        self.classes = served.classes

    def about(self) -> dict[str, Any]:
        """What a page or a client needs to know to ask."""
        record = self.served.record
        taxonomy = self.served.taxonomy
        named = {name: taxonomy.names[taxonomy.index(name)] for name in self.classes}
        facts = {"name": self.name, "kind": self.kind, "size": record["size"], "classes": named}
        return facts | {key: record[key] for key in ("source", "target", "class") if record.get(key)}

    def __call__(self, items: Sequence[Any]) -> list[dict[str, Any]]:
        """An answer for each item.

        Args:
            items: for an ACGAN mappings of `class` (a name) and `seed`; else `image_bytes`, the bytes of a file or
                their base64 form, alone or in a mapping.

        Returns:
            Of a generator `png` (bytes), `class`, and `seed` where there is one; of a classifier `class` and
            `probabilities` by class.

        Raises:
            Refused: nothing or too much is asked for, or an item that cannot be answered.
        """
        if not items:
            raise Refused("no instances: give at least one")
        if len(items) > self.limits.batch:
            raise Refused(f"{len(items):,} instances: at most {self.limits.batch} are answered at a time")
        return self._generated(items) if self.kind == "acgan" else self._of_pictures(items)

    def _generated(self, items: Sequence[Any]) -> list[dict[str, Any]]:
        asked = [(self._class(item, place), self._seed(item, place)) for place, item in enumerate(items)]
        labels = np.array([self.served.taxonomy.index(name) for name, _ in asked])
        images = self.served.sample(labels, np.array([seed for _, seed in asked], np.int64))
        return [self._picture(image, name, {"seed": seed}) for image, (name, seed) in zip(images, asked, strict=True)]

    def _of_pictures(self, items: Sequence[Any]) -> list[dict[str, Any]]:
        squares = np.stack([self._square(item, place) for place, item in enumerate(items)])
        if self.kind == "classifier":
            probabilities, _ = self.served.predict(squares)
            return [
                {
                    "class": self.classes[int(np.argmax(row))],
                    "probabilities": {name: float(p) for name, p in zip(self.classes, row, strict=True)},
                }
                for row in probabilities
            ]
        target = self.served.record.get("target") or self.served.record["class"]
        return [self._picture(image, target, {}) for image in self.served.translate(squares)]

    def _picture(self, image: np.ndarray, name: str, origin: dict[str, int]) -> dict[str, Any]:
        facts: dict[str, str | int] = {"class": name, **origin, **made_by(self.served.record)}
        return {"png": picture_bytes(image, facts), "class": name, **origin}

    def _class(self, item: Any, place: int) -> str:
        if not isinstance(item, Mapping) or "class" not in item:
            raise Refused(f"instance {place}: give {{'class': one of {', '.join(self.classes)}, 'seed': a number}}")
        if item["class"] not in self.classes:
            raise Refused(f"instance {place}: no class {_shown(item['class'])}; there are {', '.join(self.classes)}")
        return item["class"]

    def _seed(self, item: Mapping, place: int) -> int:
        seed = item.get("seed")
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < _SEEDS:
            raise Refused(f"instance {place}: seed {_shown(seed)}; give a whole number from 0 to 2^63 - 1")
        return seed

    def _square(self, item: Any, place: int) -> np.ndarray:
        data = item.get("image_bytes") if isinstance(item, Mapping) else item
        if isinstance(data, Mapping):  # TensorFlow Serving's form
            data = data.get("b64")
        if isinstance(data, str):
            try:
                data = base64.b64decode(data, validate=True)
            except (binascii.Error, ValueError):
                raise Refused(f"instance {place}: image_bytes is not base64") from None
        if not isinstance(data, bytes):
            raise Refused(f"instance {place}: give {{'image_bytes': {{'b64': a picture's file in base64}}}}")
        reading = self.served.reading
        try:
            return pictures.decode(data, (self.served.size,), reading.resize, reading.exact_resize).squares[
                self.served.size
            ]
        except pictures.Unusable as unusable:
            raise Refused(f"instance {place}: {unusable}") from None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
