"""What a blessing says: which limits a model was held to, and what it reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: An option of the group `evaluation` -> the limit in words.
_LIMITS = {
    "beat_before": "nearer to real images, and oftener called the class, than what there was before "
    "(evaluation.beat_before)",
    "min_agreement": "agreement at least {min_agreement:g} (evaluation.min_agreement)",
    "max_kid": "KID at most {max_kid:g} (evaluation.max_kid)",
    "min_diversity": "diversity at least {min_diversity:g} of real images' (evaluation.min_diversity)",
    "max_copies": "at most {max_copies:.1%} nearly a training image, above held-out ones (evaluation.max_copies)",
}
_NO_LIMIT = {"beat_before": False, "max_copies": 1}  # of the others 0


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
    if "min_diversity" not in limits:
        return f"{name} is {word}: {reason}. Which limits it was held to was not recorded."
    held = [said for key, said in _LIMITS.items() if limits[key] != _NO_LIMIT.get(key, 0)]
    if not held:
        return f"{name} is {word}, but no limit was set that it could have failed (group evaluation): {reason}."
    return f"{name} is {word}: {reason}. Limits: {'; '.join(said.format(**limits) for said in held)}."
