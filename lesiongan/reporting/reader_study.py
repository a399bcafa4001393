"""A blinded study with human readers: can they tell generated pictures from photographs?

The paper's images are "close to indistinguishable ... to an untrained eye"; this makes the claim testable. One HTML
page shows real and generated pictures one by one in random order, and gives the answers as a file; the key stays with
whoever runs the study.
"""

from __future__ import annotations

import base64
import dataclasses
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from lesiongan.base.errors import UsageError
from lesiongan.data.pictures import encode_png
from lesiongan.reporting.report_page import render

FORMAT = 1
REAL, SYNTHETIC = "real", "synthetic"
_CONFIDENCE = 0.95


@dataclasses.dataclass(frozen=True)
class Collection:
    """One side of the study; rows agree.

    Attributes:
        images: uint8 `[n, size, size, 3]`.
        names: what each picture is called where it came from, n strings.
        classes: n strings, "" where a collection has no classes.
    """

    images: np.ndarray
    names: Sequence[str]
    classes: Sequence[str]


def make(real: Collection, made: Collection, *, pictures: int, seed: int, title: str) -> tuple[str, dict]:
    """The page, and the key that it must be kept apart from.

    Where both sides have classes, those that they share take turns, so that rare ones are seen and the class gives
    nothing away: as many real as generated pictures of each.

    Args:
        pictures: how many in all, half of each side; even.
        seed: of the choice and the order. Whoever knows it, the collections and this code can work out the key.
        title: of the page.

    Returns:
        The HTML text, and the key: `format`, `study` (a random name that page and answers bear too), `title`, `seed`,
        and `pictures`: per picture in order `truth`, `name`, `class`.

    Raises:
        UsageError: a side has too few pictures, or they share no class.
    """
    random = np.random.default_rng(seed)
    halves = zip((REAL, SYNTHETIC), _chosen(real, made, pictures // 2, random), strict=True)
    chosen = [(side, place) for side, places in halves for place in places]
    order = random.permutation(len(chosen))
    shown = [(side, real if side == REAL else made, i) for side, i in (chosen[place] for place in order)]
    study = secrets.token_hex(8)
    # a new PNG of the pixels alone: a file's form or its metadata would say where it comes from
    sources = [f"data:image/png;base64,{base64.b64encode(encode_png(c.images[i])).decode()}" for _, c, i in shown]
    page = render("reader_study.html.j2", title=title, study=study, sources=sources, format=FORMAT)
    rows = [{"truth": side, "name": c.names[i], "class": c.classes[i]} for side, c, i in shown]
    return page, {"format": FORMAT, "study": study, "title": title, "seed": seed, "pictures": rows}


def _chosen(real: Collection, made: Collection, each: int, random: np.random.Generator) -> list[list[int]]:
    """Places in both collections, as many of each class in one as in the other."""
    known = any(real.classes) and any(made.classes)
    common = [c for c in dict.fromkeys(made.classes) if c in set(real.classes)] if known else [""]
    if not common:
        raise UsageError("REAL and FAKE share no class; name collections of the same classes, or give --no-classes")
    left = [
        {
            c: list(random.permutation([i for i, own in enumerate(side.classes) if not known or own == c]))
            for c in common
        }
        for side in (real, made)
    ]
    found: list[list[int]] = [[], []]
    while len(found[0]) < each:
        turn = [c for c in common if left[0][c] and left[1][c]]
        if not turn:
            raise UsageError(
                f"--pictures {2 * each}: there are {len(found[0])} of each side, in classes that both have; give more "
                f"pictures, or --pictures {2 * len(found[0])}"
            )
        for c in turn[: each - len(found[0])]:
            for places, side in zip(found, left, strict=True):
                places.append(int(side[c].pop()))
    return found


def score(key: Mapping[str, Any], answers: Sequence[Mapping[str, Any]]) -> dict:
    """What readers' answers say; JSON-ready.

    Args:
        key: as `make` gives it.
        answers: one per reader, as the page gives it: `study`, `reader`, and `answers`, per picture in order "real" or
            "synthetic".

    Returns:
        `readers`: per reader `reader`, `accuracy`, `low`, `high` (Clopper and Pearson's exact interval), `p` (two-sided
        binomial test against guessing), `synthetic_found` and `real_called_synthetic` (shares), and `classes`, class ->
        accuracy; and `together`, the mean accuracy of the readers, with Student's interval over the pictures, since
        readers have seen the same ones; None with one reader.

    Raises:
        UsageError: answers of another study, or not to every picture.
    """
    truth = [row["truth"] for row in key["pictures"]]
    right = np.array([_right(key, given, truth) for given in answers], bool)
    rows = [_of_reader(key, given, own, truth) for given, own in zip(answers, right, strict=True)]
    together = None
    if len(rows) > 1:
        shares = right.mean(0)
        interval = stats.t.interval(
            _CONFIDENCE, len(shares) - 1, shares.mean(), stats.sem(shares) or np.finfo(float).tiny
        )
        together = {
            "accuracy": float(shares.mean()),
            "low": max(0.0, float(interval[0])),
            "high": min(1.0, float(interval[1])),
        }
    return {"pictures": len(truth), "readers": rows, "together": together}


def _right(key: Mapping[str, Any], given: Mapping[str, Any], truth: Sequence[str]) -> list[bool]:
    if given.get("study") != key["study"]:
        raise UsageError(
            f"the answers of {_name(given)} are of another study than the key; give those that belong together"
        )
    said = given.get("answers")
    if not isinstance(said, list) or len(said) != len(truth) or not all(one in (REAL, SYNTHETIC) for one in said):
        raise UsageError(
            f"the answers of {_name(given)} are not to all {len(truth)} pictures; let the reader finish the page"
        )
    return [one == other for one, other in zip(said, truth, strict=True)]


def _of_reader(key: Mapping[str, Any], given: Mapping[str, Any], right: np.ndarray, truth: Sequence[str]) -> dict:
    test = stats.binomtest(int(right.sum()), len(right))
    interval = test.proportion_ci(_CONFIDENCE, method="exact")
    synthetic = np.array(truth) == SYNTHETIC
    classes = np.array([row["class"] for row in key["pictures"]], object)
    return {
        "reader": _name(given),
        "accuracy": float(right.mean()),
        "low": float(interval.low),
        "high": float(interval.high),
        "p": float(test.pvalue),
        "synthetic_found": float(right[synthetic].mean()),
        "real_called_synthetic": float(1 - right[~synthetic].mean()),
        "classes": {c: float(right[classes == c].mean()) for c in dict.fromkeys(classes) if c},
    }


def _name(given: Mapping[str, Any]) -> str:
    return str(given.get("reader") or "a reader without a name")


def lines(result: Mapping[str, Any]) -> list[str]:
    """`score` for a person."""
    text = [f"{result['pictures']} pictures, half of them generated; guessing would be right in 0.50"]
    for row in result["readers"]:
        text.append(f"{row['reader']}: {_accuracy(row)}, p {row['p']:.2g}")
        text.append(
            f"  {row['synthetic_found']:.2f} of the generated ones found, "
            f"{row['real_called_synthetic']:.2f} of the real ones called generated"
        )
        if row["classes"]:
            text.append("  right per class: " + ", ".join(f"{c} {share:.2f}" for c, share in row["classes"].items()))
    if result["together"]:
        text.append(f"{len(result['readers'])} readers together: {_accuracy(result['together'])}")
    return text


def _accuracy(row: Mapping[str, float]) -> str:
    interval = f"{row['low']:.2f} to {row['high']:.2f}"
    return f"{row['accuracy']:.2f} right ({interval}), {_told(row['low'], row['high'])}"


def _told(low: float, high: float) -> str:
    if low > 0.5:
        return "better than guessing"
    return "worse than guessing: the generated ones look more real" if high < 0.5 else "not told from guessing"
