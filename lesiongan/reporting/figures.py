"""Figures of the images and of the trainings: class distribution (the paper's Figure 5), training curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from lesiongan.reporting import drawing


def class_distribution(
    counts: Mapping[str, Mapping[str, int]], colours: Mapping[str, str], name: str
) -> drawing.Drawing:
    """The paper's Figure 5: images of each class, one bar per class, its splits in shades.

    Args:
        counts: split -> class -> images.
        colours: class -> hex colour.
        name: unique among the figures of a page.
    """
    classes = list(dict.fromkeys(c for split in counts.values() for c in split))
    totals = {c: sum(split.get(c, 0) for split in counts.values()) for c in classes}
    classes.sort(key=lambda c: totals[c])
    everything = max(1, sum(totals.values()))
    with matplotlib.rc_context(drawing.STYLE):
        figure = Figure(figsize=(drawing.WIDTH, 0.6 + 0.27 * len(classes)), layout="constrained")
        axes = figure.add_subplot()
        left = dict.fromkeys(classes, 0)
        for number, (split, values) in enumerate(counts.items()):
            widths = [values.get(c, 0) for c in classes]
            shade = (1.0, 0.6, 0.3)[number % 3]
            axes.barh(
                range(len(classes)),
                widths,
                left=[left[c] for c in classes],
                color=[colours.get(c, drawing.COLOURS[0]) for c in classes],
                alpha=shade,
                height=0.72,
            )
            axes.barh(0, 0, color=drawing.INK, alpha=shade * 0.8, label=split)
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
        return drawing.Drawing(
            figure, name, "Images of each class: " + ", ".join(f"{c} {totals[c]:,}" for c in reversed(classes))
        )


def training_curves(lines: Sequence[Mapping[str, float]], name: str, title: str) -> drawing.Drawing:
    """Each scalar of a training against the images seen, in small panels of their own; few points are not joined.

    Args:
        lines: those of stats.jsonl: step, images, seconds and any scalars.
        name: unique among the figures of a page.
        title: the training's name, for the description.
    """
    keys = list(dict.fromkeys(k for line in lines for k in line if k not in ("step", "images", "seconds")))
    columns = min(2, max(1, len(keys)))
    rows = math.ceil(len(keys) / columns)
    with matplotlib.rc_context(drawing.STYLE):
        figure = Figure(figsize=(drawing.WIDTH, 0.1 + 1.35 * max(1, rows)), layout="constrained")
        for number, key in enumerate(keys):
            axes = figure.add_subplot(rows, columns, number + 1)
            points = [
                (line.get("images", line.get("step", 0)), line[key])
                for line in lines
                if drawing.is_number(line.get(key))
            ]
            xs, ys = zip(*drawing.thinned(points), strict=True) if points else ((), ())
            axes.plot(
                xs,
                ys,
                color=drawing.COLOURS[number % len(drawing.COLOURS)],
                linewidth=1.2,
                linestyle=drawing.joined(xs),
                marker="o" if len(xs) <= drawing.FEW else None,
                markersize=3.5,
            )
            axes.set_title(key.replace("_", " "))
            axes.xaxis.set_major_locator(MaxNLocator(3))
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
            axes.yaxis.set_major_locator(MaxNLocator(3))
            axes.grid()
            axes.tick_params(length=2)
        last = ", ".join(f"{k} {lines[-1][k]:.3g}" for k in keys if drawing.is_number(lines[-1].get(k)))
        return drawing.Drawing(figure, name, f"Training curves of {title} against images seen; last values: {last}")


def finder_curve(
    rates: Sequence[float], losses: Sequence[float], suggestions: Mapping[str, float], used: str, name: str
) -> drawing.Drawing:
    """The learning-rate finder's smoothed loss over the rate, with its suggestions; the one that was used is bold.

    Args:
        rates, losses: of each step.
        suggestions: by name.
        used: the name of the one that became the peak rate.
        name: unique among the figures of a page.
    """
    with matplotlib.rc_context(drawing.STYLE):
        figure = Figure(figsize=(drawing.WIDTH, 1.9), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(rates, losses, color=drawing.COLOURS[0], linewidth=1.2)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda rate, _: f"{rate:.0e}")  # the usual one writes mathematics, unparsed here
        axes.set_ylim(top=min(max(losses), losses[0] + 2 * (losses[0] - min(losses)) + 1e-6))
        for number, (key, rate) in enumerate(suggestions.items()):
            style: dict[str, Any] = {
                "color": drawing.COLOURS[(number + 1) % len(drawing.COLOURS)],
                "linewidth": 2.0 if key == used else 0.8,
            }
            axes.axvline(rate, label=f"{key} {rate:.1e}{' (used)' if key == used else ''}", **style)
        axes.set_xlabel("learning rate")
        axes.set_ylabel("loss, smoothed")
        axes.legend()
        axes.grid()
        chosen = suggestions.get(used)
        text = f"; {used}, {chosen:.2g}, was used" if chosen else ""
        return drawing.Drawing(figure, name, f"Learning-rate finder: loss over rate{text}")
