"""What `collections_compared` found, as a person reads it."""

from __future__ import annotations

from collections.abc import Mapping

from lesiongan.evaluation.collections_compared import ALL
from lesiongan.evaluation.image_quality import METRICS

_NAMES = {"kid": "KID", "mmd": "MMD", "fid": "FID"}
_WIDE = "~"
_COLUMNS = ("all", "half REAL, FAKE", "half REAL, other half")
_WIDTH = 33  # of a column


def lines(result: Mapping) -> list[str]:
    """The whole result; `result` has `real`, `made` and `judge` beside what `compared` returns."""
    text = [_collection(name, result[key]) for name, key in (("REAL", "real"), ("FAKE", "made"))]
    judge = result["judge"]
    text.append(f"judge: {judge['name']}, {judge['features']:,} features of pictures at {judge['size']} px")
    text += result["notes"]
    for name, quality in result["quality"].items():
        text += ["", *_quality(name, quality)]
    if any(quality.get("reason") is None for quality in result["quality"].values()):
        text += ["", *_legend()]
    return [*text, "", *_copies(result["copies"])]


def _collection(name: str, facts: Mapping) -> str:
    low, high = facts["side"]
    size = f"{low:,} px" if low == high else f"{low:,} to {high:,} px"
    left_out = "".join(f"; left out: {count:,} {why}" for why, count in facts["left_out"].items())
    return f"{name}  {facts['place']}: {facts['images']:,} pictures, shorter side {size}{left_out}"


def _quality(name: str, quality: Mapping) -> list[str]:
    images = quality["images"]
    title = f"{name}: {images['real']:,} real, {images['made']:,} made"
    if "reason" in quality:
        return [f"{title}: not measured, {quality['reason']}"]
    matched, floor = quality["matched"], quality["floor"]
    counts = [images.values(), matched["images"].values(), floor["images"].values()]
    heads = [f"{head} ({n:,}, {m:,})" for head, (n, m) in zip(_COLUMNS, counts, strict=True)]
    text = [title, f"  {'':11}" + "".join(f"{head:{_WIDTH}}" for head in heads).rstrip()]
    for metric in METRICS:
        cells = "".join(f"{_interval(part[metric]):{_WIDTH}}" for part in (quality, matched, floor))
        text.append(f"  {_NAMES.get(metric, metric):11}{cells}".rstrip())
    if quality["kid_above_floor"]:
        text.append("  KID lies above the floor: FAKE differs from REAL by more than two halves of REAL do")
    elif quality["kid"]["low"] > 0:
        text.append("  KID of all pictures lies above 0: FAKE differs from REAL; halves are too few to show it")
    else:
        text.append("  KID is not told from the floor: at these numbers no difference from REAL is shown")
    if min(matched["images"].values()) <= quality["features"]:
        text.append(f"  FID: no more pictures than features ({quality['features']:,}), so that it is mostly bias")
    return text


def _interval(number: Mapping) -> str:
    wide = f" {_WIDE}" if number["wide"] else ""
    return f"{number['value']:.3g} ({number['low']:.3g} to {number['high']:.3g}){wide}"


def _legend() -> list[str]:
    return [
        f"95 % intervals; {_WIDE}: wider than the value. The last column is the floor: what chance alone gives.",
        "All but KID depend on the number of pictures, so compare the last two columns with each other. FID is biased",
        "upwards by few pictures. Numbers are comparable for one judge and one REAL alone.",
    ]


def _copies(copies: Mapping) -> list[str]:
    text = [f"copies: {copies['same']:,} pictures of FAKE are the same photograph as one of REAL, by fine structure"]
    if copies["among_real"]:
        own = copies["among_real"]
        text.append(
            f"  {copies['nearer']:.1%} of FAKE are nearer to a real picture than 99 % of real ones are to each other "
            f"(1 %: {own['1%']:.3f}, median {own['50%']:.3f})"
        )
    text.append("  nearest pairs, by the judge's features:")
    for pair in copies["pairs"]:
        same = "  the same photograph" if pair["same"] else ""
        text.append(f"  {pair['distance']:.3f}  {pair['made']}  {pair['real']}{same}")
    return text


def notes(result: Mapping) -> list[str]:
    """What makes numbers of these two collections mean something else than the pictures' quality."""
    said = []
    if result["real"]["origin"] != "real":
        said.append(f"note: REAL is {result['real']['origin']}; nothing here is said of real lesions")
    sides = [result[key]["median_side"] for key in ("real", "made")]
    if max(sides) > 1.2 * min(sides) and min(sides) < result["judge"]["size"]:
        said.append(
            f"note: medians of the shorter sides are {sides[0]:,} and {sides[1]:,} px, and the judge looks at "
            f"{result['judge']['size']} px: blur is a part of the difference"
        )
    formats = [set(result[key]["formats"]) for key in ("real", "made")]
    if formats[0] and formats[1] and formats[0] != formats[1]:
        kinds = " and ".join("/".join(sorted(kind)) for kind in formats)
        said.append(f"note: the files are {kinds}: compression is a part of the difference")
    classes = [result["classes"][key] for key in ("real", "made")]
    if all(classes):
        shares = [{k: v / sum(c.values()) for k, v in c.items()} for c in classes]
        off = max(classes[0] | classes[1], key=lambda k: abs(shares[0].get(k, 0) - shares[1].get(k, 0)))
        pair = [s.get(off, 0.0) for s in shares]
        if abs(pair[0] - pair[1]) > 0.05:
            said.append(
                f"note: the classes' shares differ ({off}: {pair[0]:.0%} and {pair[1]:.0%}): {ALL!r} measures that too"
            )
    return said
