"""The Evaluator's audit of what generators remember: suspected copies, and what their features give away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from lesiongan.base.files import read_json
from lesiongan.config.evaluation import EvaluationConfig
from lesiongan.data import examples
from lesiongan.data.image_set import ImageSet, spread_over
from lesiongan.data.lesions import first_of_each_lesion
from lesiongan.evaluation import memorisation
from lesiongan.evaluation.judge import Judge
from lesiongan.evaluation.translation import pixel_distances
from lesiongan.steps.copy_audit import CopyAudit, taken, withheld_file

RESULT, GALLERIES = "memorisation.json", "suspected_copies"
_MOST = 2000  # images of a generator
_LISTED = 10
_LEAST = 24  # images below which no metric of features is taken
_STILL = 0.01  # of the whole range: what rounding and compression do


def audits(
    real: Path,
    sets: Sequence[Path],
    size: int,
    config: EvaluationConfig,
    seed: int,
    output: Path,
    *,
    judge: Judge | None = None,
    with_validation: bool = False,
) -> dict[str, Any]:
    """Audits generated sets, and writes a gallery of suspected copies of each into `output`.

    Args:
        real: Examples of the real images.
        sets: Examples of generated images, a folder per generator.
        size: pixels in which all are looked at.
        config: its rate of false alarms and confidence.
        judge: whose features are compared; one that no training used.
        with_validation: the generators learned from the validation images too.

    Returns:
        `limits` (the search's own: `rate`, `held_out`, `suspected` of them, `values`), `false_alarms` (the share of
        real test images that it suspects: `value`, `low`, `high`, `found`, `images`; None where the limits are from
        test images), `features` (the judge's name, or None), and `generators`, each with

        - `generator`, `images` (looked at), `suspected` (`value`, `low`, `high`, `found`), `pairs` (id -> training
          image, the first ones), `withheld` (what the Generator withheld, None where it did not look);
        - `authenticity`, `copying`, `membership` of `evaluation.memorisation`, None without a judge or with too few;
        - `moved`: of images that were made of others how far each was moved from there, in shares of the whole range:
          `median`, `low` and `high` (5 and 95 %), `still` (how many were not), `images`; else None.
    """
    look = None if judge is None else judge.features
    audit = CopyAudit(real, size, config.false_alarms, with_validation=with_validation, look=look)
    run = _Run(real, sets, audit, config, seed, output)
    limits = audit.limits
    return {
        "limits": {
            "rate": limits.rate,
            "held_out": limits.held_out,
            "suspected": limits.suspected,
            "values": dict(limits.values),
        },
        "false_alarms": None if with_validation else run.false_alarms(),
        "features": judge.name if judge else None,
        "generators": [run.generator(path) for path in sets],
    }


class _Run:
    """Arguments as of `audits`."""

    def __init__(
        self, real: Path, sets: Sequence[Path], audit: CopyAudit, config: EvaluationConfig, seed: int, output: Path
    ):
        self.real, self.sets, self.audit, self.config = real, sets, audit, config
        self.seed, self.output = seed, output
        # several images of a lesion are neighbours of each other, and no independent draws
        self.members = taken(audit.train, first_of_each_lesion(audit.train_ids, audit.lesions))

    def false_alarms(self) -> dict[str, Any]:
        seen, ids = self.audit.one_per_lesion("test")
        return self._share(int(self.audit.held_to(seen).flagged.sum()), len(ids))

    def generator(self, path: Path) -> dict[str, Any]:
        images, table = examples.load(path, self.audit.size, "train"), examples.read_table(path)
        sources = dict(zip(table["image_id"], table["source_id"], strict=True)) if "source_id" in table else {}
        images = images.take(spread_over(_MOST, len(images)))
        features = self.audit.look(images.images) if self.audit.look and len(images) else None
        found = self.audit.among(images, sources, features)
        self.audit.gallery(images, found, self.output / f"{GALLERIES}-{path.name}.png")
        pairs = {images.ids[i]: found.copied[i] for i in np.flatnonzero(found.flagged)[:_LISTED]}
        withheld = withheld_file(path)
        row = {
            "generator": path.name,
            "images": len(images),
            "suspected": self._share(int(found.flagged.sum()), len(images)),
            "pairs": pairs,
            "withheld": read_json(withheld) if withheld.exists() else None,
            "moved": self._moved(images, sources),
        }
        return row | self._by_features(images, sources, features)

    def _by_features(self, images: ImageSet, sources: Mapping[str, str], features: np.ndarray | None) -> dict[str, Any]:
        names = ("authenticity", "copying", "membership")
        train, held = self.members.features, self.audit.held_out.features
        if features is None or train is None or held is None:
            return dict.fromkeys(names)
        features = features[first_of_each_lesion(images.ids, self.audit.lesions, sources)]
        if min(map(len, (features, train, held))) < _LEAST or not np.isfinite(features).all():
            return dict.fromkeys(names)
        confidence = self.config.confidence
        return {
            "authenticity": memorisation.authenticity(train, features, confidence),
            "copying": memorisation.copying(train, held, features, self.seed),
            "membership": memorisation.membership(train, held, features, self.seed, confidence),
        }

    def _moved(self, images: ImageSet, sources: Mapping[str, str]) -> dict[str, Any] | None:
        wanted = [sources.get(i, "") for i in images.ids]
        if not wanted or not all(wanted):
            return None
        before: dict[str, np.ndarray] = {}
        for place in (self.real, *self.sets):
            if not set(wanted) <= set(before) and set(wanted) & set(examples.read_table(place)["image_id"]):
                for batch in examples.batches(place, self.audit.size, "train"):
                    before |= {i: batch.images[k] for k, i in enumerate(batch.ids) if i in wanted}
        if not set(wanted) <= set(before):
            return None
        moved = pixel_distances(np.stack([before[i] for i in wanted]), images.images)
        low, median, high = np.quantile(moved, (0.05, 0.5, 0.95))
        still = int((moved < _STILL).sum())
        return {"median": median, "low": low, "high": high, "still": still, "images": len(moved)}

    def _share(self, found: int, images: int) -> dict[str, Any]:
        if not images:
            return {"value": None, "low": None, "high": None, "found": 0, "images": 0}
        interval = stats.binomtest(found, images).proportion_ci(self.config.confidence, "wilson")
        ends = {"low": float(interval.low), "high": float(interval.high)}
        return {"value": found / images, **ends, "found": found, "images": images}
