"""The classifier that guides a GAN's training (options `guidance`), from the folder of an exported one.

Its SavedModel is differentiated, and not a Keras model that is built again: what guides is then what is served, a
pushed classifier will do, and a change in the classifier's code trains no GAN again, since the input's digest says all.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from lesiongan.base.errors import UsageError
from lesiongan.evaluation.judge import load_classifier
from lesiongan.models.guidance import NO_CLASS, Guide


class GuidedConfig(Protocol):
    """What a GAN's options say of its guidance."""

    @property
    def guidance(self) -> float: ...


def guide_of(directory: Path) -> Guide:
    """An exported classifier of this project: its folder, or a Model artifact that has it.

    Raises:
        UsageError: no classifier there.
    """
    model = load_classifier(Path(directory))
    return Guide(
        lambda images: model.module.predict(images)["probabilities"], model.size, model.classes, model.record["digest"]
    )


def check_guide(config: GuidedConfig, group: str, given: bool) -> None:
    """Raises a UsageError where options of a `group` ask for guidance and no classifier of lesions is given."""
    if config.guidance and not given:
        raise UsageError(
            f"{group}.guidance goes by a classifier of lesions: give --judge MODEL, the folder or the name of one, or "
            f"set {group}.guidance=0"
        )


def check_classes(guide: Guide, classes: Sequence[str]) -> None:
    """Raises a UsageError where an ACGAN's classes are not the guide's, in their order."""
    if guide.classes != tuple(classes):
        raise UsageError(
            f"acgan.guidance: the judge tells {', '.join(guide.classes)} apart, the data have {', '.join(classes)}; "
            "give a classifier of the same classes in the same order, or set acgan.guidance=0"
        )


def aims_of(classes: Sequence[str], target: str, source: str) -> tuple[int, int]:
    """The labels that translations X -> Y and Y -> X are to have; `NO_CLASS` for a source that is none of the classes.

    Args:
        classes: of the guide.
        target: the class of Y.
        source: that of X, or whatever X is called.

    Raises:
        UsageError: the target is none of the classes.
    """
    known = list(classes)
    if target not in known:
        raise UsageError(
            f"cyclegan.guidance asks for pictures of {target}, which the judge does not know; name what they are to "
            f"look like by one of its classes ({', '.join(known)}), or set cyclegan.guidance=0"
        )
    return known.index(target), known.index(source) if source in known else NO_CLASS
