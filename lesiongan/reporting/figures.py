"""Figures as inline SVG: text and lines take the page's colour, so that one picture serves light, dark and print."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from html import escape

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

# Stands for the page's text colour while drawing; SVG's `currentColor` takes its place afterwards.
_INK = "#010203"
_COLOURS = ("#2f7fc1", "#d9822b", "#2f9e6e", "#b5507a", "#8067b7", "#8a8a8a")
_STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # names come from the data; a `$` in one is a dollar
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "font.size": 9,
    "grid.color": _INK,
    "grid.alpha": 0.13,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}
_POINTS = 160  # of a curve; more cannot be seen
_WIDTH = 4.7  # inches; about the width of a phone, so that text stays readable there


def class_distribution(counts: Mapping[str, Mapping[str, int]], colours: Mapping[str, str], name: str) -> str:
    """The paper's Figure 5: images of each class, a bar a class, its splits in shades.

    Args:
        counts: split -> class -> images.
        colours: class -> hex colour.
        name: unique among the figures of a page.
    """
    classes = list(dict.fromkeys(c for split in counts.values() for c in split))
    totals = {c: sum(split.get(c, 0) for split in counts.values()) for c in classes}
    classes.sort(key=lambda c: totals[c])
    everything = max(1, sum(totals.values()))
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, 0.6 + 0.27 * len(classes)), layout="constrained")
        axes = figure.add_subplot()
        left = dict.fromkeys(classes, 0)
        for number, (split, values) in enumerate(counts.items()):
            widths = [values.get(c, 0) for c in classes]
            shade = (1.0, 0.6, 0.3)[number % 3]
            axes.barh(
                range(len(classes)),
                widths,
                left=[left[c] for c in classes],
                color=[colours.get(c, _COLOURS[0]) for c in classes],
                alpha=shade,
                height=0.72,
            )
            axes.barh(0, 0, color=_INK, alpha=shade * 0.8, label=split)
            left = {c: left[c] + values.get(c, 0) for c in classes}
        for position, c in enumerate(classes):
            axes.annotate(
                f"{totals[c]:,} ({100 * totals[c] / everything:.1f} %)",
                (totals[c], position),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
        axes.set_yticks(range(len(classes)), classes)
        axes.set_xlim(0, max([1, *totals.values()]) * 1.27)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.grid(axis="x")
        axes.tick_params(length=0)
        axes.spines["left"].set_visible(False)
        axes.legend(loc="lower right", fontsize=8)
        return _svg(figure, name, "Images of each class: " + ", ".join(f"{c} {totals[c]:,}" for c in reversed(classes)))


def training_curves(lines: Sequence[Mapping[str, float]], name: str, title: str) -> str:
    """Each scalar of a training against the images seen, in small panels of their own.

    Args:
        lines: those of stats.jsonl: step, images, seconds and any scalars.
        name: unique among the figures of a page.
        title: the training's name, for the description.
    """
    keys = list(dict.fromkeys(k for line in lines for k in line if k not in ("step", "images", "seconds")))
    columns = min(2, max(1, len(keys)))
    rows = math.ceil(len(keys) / columns)
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, 0.1 + 1.35 * max(1, rows)), layout="constrained")
        for number, key in enumerate(keys):
            axes = figure.add_subplot(rows, columns, number + 1)
            points = [
                (line.get("images", line.get("step", 0)), line[key]) for line in lines if _is_number(line.get(key))
            ]
            xs, ys = zip(*_thinned(points), strict=True) if points else ((), ())
            axes.plot(
                xs, ys, color=_COLOURS[number % len(_COLOURS)], linewidth=1.2, marker="o" if len(xs) == 1 else None
            )
            axes.set_title(key.replace("_", " "))
            axes.xaxis.set_major_locator(MaxNLocator(3))
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
            axes.yaxis.set_major_locator(MaxNLocator(3))
            axes.grid()
            axes.tick_params(length=2)
        last = ", ".join(f"{k} {lines[-1][k]:.3g}" for k in keys if _is_number(lines[-1].get(k)))
        return _svg(figure, name, f"Training curves of {title} against images seen; last values: {last}")


def finder_curve(
    rates: Sequence[float], losses: Sequence[float], suggestions: Mapping[str, float], used: str, name: str
) -> str:
    """The learning-rate finder's smoothed loss over the rate, with its suggestions; the one that was used is bold.

    Args:
        rates, losses: of each step.
        suggestions: by name.
        used: the name of the one that became the peak rate.
        name: unique among the figures of a page.
    """
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, 1.9), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(rates, losses, color=_COLOURS[0], linewidth=1.2)
        axes.set_xscale("log")
        axes.set_ylim(top=min(max(losses), losses[0] + 2 * (losses[0] - min(losses)) + 1e-6))
        for number, (key, rate) in enumerate(suggestions.items()):
            style = {"color": _COLOURS[(number + 1) % len(_COLOURS)], "linewidth": 2.0 if key == used else 0.8}
            axes.axvline(rate, label=f"{key} {rate:.1e}{' (used)' if key == used else ''}", **style)
        axes.set_xlabel("learning rate")
        axes.set_ylabel("loss, smoothed")
        axes.legend()
        axes.grid()
        chosen = suggestions.get(used)
        text = f"; {used}, {chosen:.2g}, was used" if chosen else ""
        return _svg(figure, name, f"Learning-rate finder: loss over rate{text}")


def differences(rows: Sequence[Mapping], name: str, metric: str, level: float) -> str:
    """The paired difference of each cell to the baseline with its interval (a forest plot).

    Args:
        rows: label, difference, difference_low, difference_high, p_holm of each cell, from top to bottom.
        name: unique among the figures of a page.
        metric: how the metric reads.
        level: below it a p value is drawn as a filled dot.
    """
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, 0.65 + 0.21 * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        for position, row in enumerate(reversed(rows)):
            value, low, high = row["difference"], row["difference_low"], row["difference_high"]
            sure = row["p_holm"] is not None and row["p_holm"] < level
            colour = _COLOURS[5] if not sure else _COLOURS[2] if value > 0 else _COLOURS[1]
            axes.plot([low, high], [position, position], color=colour, linewidth=1.6, solid_capstyle="butt")
            face = colour if sure else "none"
            axes.plot([value], [position], "o", color=colour, markersize=5, markerfacecolor=face, markeredgewidth=1.3)
        axes.axvline(0, color=_INK, linewidth=0.8)
        axes.set_yticks(range(len(rows)), [_short(row["label"]) for row in reversed(rows)])
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:+.3g}" if x else "0")
        axes.set_title(f"change in {metric}")
        axes.grid(axis="x")
        axes.tick_params(length=0)
        axes.spines["left"].set_visible(False)
        found = sum(r["p_holm"] is not None and r["p_holm"] < level for r in rows)
        return _svg(
            figure, name, f"Change in {metric} to the baseline for {len(rows)} cells; {found} differ significantly"
        )


def learning_curves(series: Mapping[str, Sequence[tuple]], name: str, metric: str) -> str:
    """A metric against the number of added images, a line a kind of image, with intervals.

    Args:
        series: label -> (amount, value, low, high) of each cell.
        name: unique among the figures of a page.
        metric: how the metric reads.
    """
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, 2.6), layout="constrained")
        axes = figure.add_subplot()
        widest = max((p[0] for points in series.values() for p in points), default=1)
        for number, (label, points) in enumerate(series.items()):
            points = sorted(points)
            # Lines are moved apart a little, so that their intervals do not hide each other.
            xs = [p[0] + widest * 0.008 * (number - (len(series) - 1) / 2) for p in points]
            errors = [[p[1] - p[2] for p in points], [p[3] - p[1] for p in points]]
            colour = _COLOURS[number % len(_COLOURS)]
            axes.errorbar(
                xs,
                [p[1] for p in points],
                yerr=errors,
                color=colour,
                label=_short(label),
                marker="o",
                markersize=3.5,
                linewidth=1.2,
            )
        axes.set_xlabel("added images")
        axes.set_title(metric)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.grid()
        axes.tick_params(length=2)
        if len(series) > 1:
            axes.legend(fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.24))
        return _svg(figure, name, f"{metric} against the number of added images for {', '.join(map(str, series))}")


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _thinned(points: list[tuple]) -> list[tuple]:
    """At most `_POINTS` points, each the mean of its neighbours."""
    size = math.ceil(len(points) / _POINTS)
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [tuple(sum(values) / len(group) for values in zip(*group, strict=True)) for group in groups]


def _short(text: str, length: int = 28) -> str:
    text = str(text)
    return text if len(text) <= length else text[: length - 1] + "…"


def _svg(figure: Figure, name: str, description: str) -> str:
    stream = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(
            stream,
            format="svg",
            transparent=True,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = text.replace(_INK, "currentColor")
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", text)
    # Ids must differ between the figures of a page.
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    # Coordinates to a hundredth of a point; text stays as it is.
    text = re.sub(r'\b(?:d|x|y|transform)="[^"]*"', lambda m: re.sub(r"(\.\d\d)\d+", r"\1", m[0]), text)
    text = re.sub(r"\s*\n\s*", "\n", text)
    width = figure.get_figwidth() * 96
    head = f'<svg role="img" aria-label="{escape(description, quote=True)}" style="max-width:{width:.0f}px"'
    return re.sub(
        r'<svg((?: [\w:]+="[^"]*")*)',
        lambda m: head + re.sub(r' (?:width|height|version)="[^"]*"', "", m[1]),
        text,
        count=1,
    )
