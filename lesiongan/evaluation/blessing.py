"""Which generators are fit for use: what generated images must reach, and a sentence that says whether they did.

A generator has to beat what there was before it: the nevi that a CycleGAN was given, the ACGAN's images that were
refined, and for images from noise real photographs of the other classes. It must not have collapsed, and must not hand
out its training images. What a classifier helped to make is not judged by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from lesiongan.config.evaluation import EvaluationConfig

_STILL = 0.01  # of a pixel's range of 2: a grey level and a quarter, what rounding and compression do
_SPOKEN = {"imagenet": "EfficientNet-Lite2"}
_GUIDED = "the classifier helped to train it (guidance) and is no judge of it"


def generator_verdicts(
    quality: Sequence[Mapping[str, Any]],
    config: EvaluationConfig,
    audits: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, dict]:
    """A verdict per generator.

    Args:
        quality: rows per generator and class, as `steps.generated_quality.rows` gives them.
        config: the limits.
        audits: generator -> its row of `steps.memorisation.audits`, where there was an audit.

    Returns:
        Generator -> `blessed`, `reason` (what was measured, or all that is wrong, as a sentence), and `measured`, the
        numbers by name: means over the classes, and the lowest diversity.
    """
    names = dict.fromkeys(row["generator"] for row in quality)
    audits = audits or {}
    return {
        name: _verdict([row for row in quality if row["generator"] == name], config, audits.get(name)) for name in names
    }


def _verdict(
    rows: Sequence[Mapping[str, Any]], config: EvaluationConfig, audit: Mapping[str, Any] | None
) -> dict[str, Any]:
    found = _measured(rows) | _remembered(audit)
    faults = [*_faults(rows, found, config), *_unsaid(rows, config)]
    return {"blessed": not faults, "reason": "; ".join(faults or _facts(rows, found)), "measured": found}


def _measured(rows: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """The numbers that the limits are about; None for what could not be measured."""
    comparable = [row for row in rows if row["quality"] and row["before"]["mmd"] is not None]
    audits = [row["copies"] for row in rows]
    images, held = (sum(a["images"] for a in part) for part in (audits, [a["held_out"] for a in audits]))
    return {
        "agreement": _mean(row["agreement"] for row in rows),
        "agreement_before": _mean(row["before"]["agreement"] for row in rows),
        "kid": _mean(row["quality"]["kid"]["value"] for row in rows if row["quality"]),
        "mmd": _mean(row["quality"]["mmd"]["value"] for row in comparable),
        "mmd_before": _mean(row["before"]["mmd"] for row in comparable),
        "diversity": min((row["diversity"] for row in rows if row["diversity"] is not None), default=None),
        "moved": _mean(row["before"]["moved"] for row in rows),
        "copies": sum(a["found"] for a in audits) / images if images else None,
        "copies_held_out": sum(a["held_out"]["found"] for a in audits) / held if held else 0.0,
    }


def _remembered(audit: Mapping[str, Any] | None) -> dict[str, float | None]:
    """Of all images that the generator made: those that it withheld itself count too."""
    if audit is None:
        return {"suspected": None, "suspected_low": None}
    share = audit["suspected"]
    if audit["withheld"] and audit["withheld"]["images"]:
        made, kept_back = audit["withheld"]["images"], audit["withheld"]["withheld"]
        interval = stats.binomtest(kept_back, made).proportion_ci(0.95, "wilson")
        share = max(share, {"value": kept_back / made, "low": float(interval.low)}, key=lambda each: each["value"] or 0)
    return {"suspected": share["value"], "suspected_low": share["low"]}


def _faults(rows: Sequence[Mapping[str, Any]], found: Mapping[str, Any], config: EvaluationConfig) -> Iterator[str]:
    before = rows[0]["before"]["what"]
    if config.beat_before:
        if found["moved"] is not None and found["moved"] < _STILL:
            yield f"it hands on its input as it is (a pixel moves by {found['moved']:.2g} of 2)"
        if found["mmd_before"] is None and rows[0].get("judge", True):
            yield (
                "whether it is nearer to real images than what there was before cannot be said with so few images "
                "(evaluation.beat_before)"
            )
        elif found["mmd_before"] is not None and not found["mmd"] < found["mmd_before"]:
            yield (f"no nearer to real images than {before}: MMD {found['mmd']:.3g} against {found['mmd_before']:.3g}")
        if found["agreement_before"] is not None and not found["agreement"] > found["agreement_before"]:
            yield (
                f"no oftener called the intended class than {before}: {found['agreement']:.2f} against "
                f"{found['agreement_before']:.2f}"
            )
    if found["agreement"] is not None and found["agreement"] < config.min_agreement:
        yield f"agreement {found['agreement']:.2f} is below {config.min_agreement:g} (evaluation.min_agreement)"
    if config.max_kid and found["kid"] is not None and found["kid"] > config.max_kid:
        yield f"KID {found['kid']:.3g} is above {config.max_kid:g} (evaluation.max_kid)"
    if found["diversity"] is not None and found["diversity"] < config.min_diversity:
        yield (
            f"its images differ by only {found['diversity']:.2f} of what real ones do, below "
            f"{config.min_diversity:g} (evaluation.min_diversity)"
        )
    if found["copies"] is not None and found["copies"] > found["copies_held_out"] + config.max_copies:
        yield (
            f"{found['copies']:.1%} of its images are nearly a training image, of held-out real ones "
            f"{found['copies_held_out']:.1%} (evaluation.max_copies)"
        )
    # the lower end of its interval: by chance a few of a few images are suspected
    if found["suspected_low"] is not None and found["suspected_low"] > config.false_alarms + config.max_copies:
        yield (
            f"{found['suspected']:.1%} of its images are suspected copies of training images, of held-out real ones at "
            f"most {config.false_alarms:.1%} would be (evaluation.max_copies)"
        )


def _unsaid(rows: Sequence[Mapping[str, Any]], config: EvaluationConfig) -> Iterator[str]:
    """The limits of which nobody can say whether a guided generator keeps them."""
    if config.min_agreement and rows[0]["agreement"] is None:
        yield f"whether its images are called their class cannot be said: {_GUIDED} (evaluation.min_agreement)"
    limits = [name for name in ("beat_before", "max_kid") if getattr(config, name)]
    if limits and rows[0].get("judge", True) is None:
        yield (
            f"how near it is to real images cannot be said: {_GUIDED} (evaluation.{limits[0]}); with "
            "evaluation.audit=features EfficientNet-Lite2 judges it"
        )


def _facts(rows: Sequence[Mapping[str, Any]], found: Mapping[str, Any]) -> Iterator[str]:
    """What a blessed one reached, beside what there was before it."""
    before = rows[0]["before"]["what"]
    if found["agreement"] is None:
        judge = rows[0].get("judge")
        yield _GUIDED + (f"; in the features of {_SPOKEN.get(judge, judge)}" if judge else "")
    else:
        yield f"agreement {found['agreement']:.2f}" + _beside(found["agreement_before"], before, ".2f")
    if found["mmd"] is not None:
        yield f"MMD {found['mmd']:.3g}" + _beside(found["mmd_before"], before, ".3g")
    if found["kid"] is not None:
        yield f"KID {found['kid']:.3g}"
    if found["diversity"] is not None:
        yield f"diversity {found['diversity']:.2f} of real images'"
    if found["copies"] is not None:
        yield f"{found['copies']:.1%} nearly a training image"
    if found["suspected"] is not None:
        yield f"{found['suspected']:.1%} suspected copies"


def _beside(value: float | None, before: str, form: str) -> str:
    return "" if value is None else f" ({value:{form}} of {before})"


def _mean(values) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
