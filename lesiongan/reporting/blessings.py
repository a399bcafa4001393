"""What a blessing says: which limits a model was held to, and what it reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def sentences(verdicts: Mapping[str, Mapping[str, Any]], limits: Mapping[str, Any]) -> list[str]:
    """A sentence per model of `blessing.json`.

    Args:
        verdicts: name -> `blessed` and `reason`.
        limits: the options of the group `evaluation`; empty where they are not known.
    """
    return [_sentence(name, verdict, limits) for name, verdict in verdicts.items()]


def _sentence(name: str, verdict: Mapping[str, Any], limits: Mapping[str, Any]) -> str:
    word, reason = "blessed" if verdict["blessed"] else "not blessed", verdict["reason"]
    if name == "classifier":
        return f"{name} is {word}: {reason}. Limit: better than always the commonest class."
    if "min_agreement" not in limits or "max_kid" not in limits:
        return f"{name} is {word}: {reason}. Which limits it was held to was not recorded."
    held = []
    if limits["min_agreement"]:
        held.append(f"agreement at least {limits['min_agreement']:g} (evaluation.min_agreement)")
    if limits["max_kid"]:
        unmeasured = "" if "KID" in reason else ", which was not measured here"
        held.append(f"KID at most {limits['max_kid']:g} (evaluation.max_kid){unmeasured}")
    if held:
        return f"{name} is {word}: {reason}. Limits: {'; '.join(held)}."
    unlimited = "no limit was set that it could have failed (evaluation.min_agreement and evaluation.max_kid are 0)"
    return f"{name} is {word}, but {unlimited}: {reason}."
