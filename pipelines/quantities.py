"""How Kubernetes writes things (amounts of memory, processors, labels, tolerations), read and checked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from lesiongan.config.checks import require

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?")  # of a label or a taint
_VALUE = re.compile(r"([A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?)?")
_MEMORY = re.compile(r"(\d+)(Ki|Mi|Gi|Ti|K|M|G|T)")
_PROCESSORS = re.compile(r"(\d+(?:\.\d+)?)(m?)")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_REPOSITORY = re.compile(r"[a-z0-9]+([._-]+[a-z0-9]+)*(:\d+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_UNITS = {"K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


class Toleration(NamedTuple):
    """A taint that a pod may be put beside; value "" tolerates every value, effect "" every effect."""

    key: str
    value: str
    effect: str


def seconds(duration: str) -> int:
    """Whole seconds of "90s", "15m", "12h" or "7d"."""
    number, unit = _DURATION.fullmatch(duration).groups()  # type: ignore[union-attr] # checked when it was read
    return round(float(number) * _SECONDS[unit])


def amount(quantity: str) -> float:
    """Bytes of "32G", processors of "500m"."""
    if match := _MEMORY.fullmatch(quantity):
        return float(match[1]) * _UNITS[match[2]]
    number, thousandths = _PROCESSORS.fullmatch(quantity).groups()  # type: ignore[union-attr] # likewise
    return float(number) / (1000 if thousandths else 1)


def label(text: str) -> tuple[str, str]:
    """Key and value of a label, written `key=value`."""
    key, _, value = text.partition("=")
    return key, value


def toleration(text: str) -> Toleration:
    """A toleration as it is written: `key`, `key:Effect`, `key=value` or `key=value:Effect`."""
    taint, _, effect = text.rpartition(":") if text.endswith(tuple(f":{e}" for e in _EFFECTS)) else (text, "", "")
    return Toleration(*label(taint), effect)


def check_labels(option: str, texts: Sequence[str]) -> None:
    for text in texts:
        key, value = label(text)
        holds = "=" in text and bool(_KEY.fullmatch(key) and _VALUE.fullmatch(value))
        require(holds, option, f"{text!r} is no label; write it as key=value")
    keys = [label(text)[0] for text in texts]
    require(len(set(keys)) == len(keys), option, "a key stands in it twice")


def check_tolerations(option: str, texts: Sequence[str]) -> None:
    for text in texts:
        key, value, _ = toleration(text)
        why = f"{text!r} is no toleration; write it as key=value:NoSchedule (or {', '.join(_EFFECTS[1:])})"
        require(bool(_KEY.fullmatch(key) and _VALUE.fullmatch(value)), option, why)


def check_names(option: str, names: Sequence[str]) -> None:
    for name in names:
        why = f"{name!r} is no name of an object of Kubernetes (lower case, digits, - and .)"
        require(bool(_NAME.fullmatch(name)), option, why)


def check_resource(option: str, text: str) -> None:
    why = f"{text!r} is no resource that a device plugin offers; give e.g. nvidia.com/gpu"
    require("/" in text and bool(_KEY.fullmatch(text)), option, why)


def check_repository(option: str, text: str) -> None:
    untagged = "@" not in text and ":" not in text.rpartition("/")[2]
    require(untagged, option, f"{text!r} has a tag; leave it out, each component has its own")
    why = f"{text!r} names no repository; write it as registry.example.org/team/lesiongan, in lower case"
    require(bool(_REPOSITORY.fullmatch(text)), option, why)


def check_memory(option: str, text: str) -> None:
    holds = bool(_MEMORY.fullmatch(text)) and amount(text) >= 2**20
    require(holds, option, f"{text!r} is no amount of memory; write it as 32G or 32Gi")


def check_processors(option: str, text: str) -> None:
    holds = bool(_PROCESSORS.fullmatch(text)) and amount(text) > 0
    require(holds, option, f"{text!r} is no number of processors; write it as 4 or 500m")


def check_duration(option: str, text: str) -> None:
    holds = bool(_DURATION.fullmatch(text)) and seconds(text) > 0
    require(holds, option, f"{text!r} is no duration; write it as 90s, 15m, 12h or 7d")
