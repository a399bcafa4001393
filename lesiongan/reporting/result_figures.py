"""Figures of the results: differences to the baseline, learning curves, reliability, distances by alpha. Few points of
a curve are not joined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator
from statsmodels.stats.proportion import proportion_confint

from lesiongan.reporting import drawing


def differences(rows: Sequence[Mapping], name: str, metric: str) -> drawing.Drawing:
    """The paired difference of each cell to the baseline with its interval (a forest plot).

    Args:
        rows: label, difference, difference_low, difference_high, and `sure` (drawn as a filled dot) of each cell, from
            top to bottom.
        name: unique among the figures of a page.
        metric: how the metric reads.
    """
    with matplotlib.rc_context(drawing.STYLE):
        figure = Figure(figsize=(drawing.WIDTH, 0.65 + 0.21 * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        for position, row in enumerate(reversed(rows)):
            value, low, high = row["difference"], row["difference_low"], row["difference_high"]
            sure = row["sure"]
            colour = drawing.COLOURS[5] if not sure else drawing.COLOURS[2] if value > 0 else drawing.COLOURS[1]
            axes.plot([low, high], [position, position], color=colour, linewidth=1.6, solid_capstyle="butt")
            face = colour if sure else "none"
            axes.plot([value], [position], "o", color=colour, markersize=5, markerfacecolor=face, markeredgewidth=1.3)
        axes.axvline(0, color=drawing.INK, linewidth=0.8)
        axes.set_yticks(range(len(rows)), [drawing.short(row["label"]) for row in reversed(rows)])
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:+.3g}" if x else "0")
        axes.set_title(f"change in {metric}")
        axes.grid(axis="x")
        axes.tick_params(length=0)
        axes.spines["left"].set_visible(False)
        significant = sum(r["sure"] for r in rows)
        return drawing.Drawing(
            figure,
            name,
            f"Change in {metric} to the baseline for {len(rows)} cells; {significant} differ significantly",
        )


def learning_curves(series: Mapping[str, Sequence[tuple]], name: str, metric: str) -> drawing.Drawing:
    """A metric against the number of added images, one line per kind of image, with intervals.

    Args:
        series: label -> (amount, value, low, high) of each cell.
        name: unique among the figures of a page.
        metric: how the metric reads.
    """
    with matplotlib.rc_context(drawing.STYLE):
        figure = Figure(figsize=(drawing.WIDTH, 2.6), layout="constrained")
        axes = figure.add_subplot()
        widest = max((p[0] for points in series.values() for p in points), default=1)
        for number, (label, points) in enumerate(series.items()):
            points = sorted(points)
            # Lines are moved apart a little, so that their intervals do not hide each other.
            xs = [p[0] + widest * 0.008 * (number - (len(series) - 1) / 2) for p in points]
            errors = [[p[1] - p[2] for p in points], [p[3] - p[1] for p in points]]
            colour = drawing.COLOURS[number % len(drawing.COLOURS)]
            axes.errorbar(
                xs,
                [p[1] for p in points],
                yerr=errors,
                color=colour,
                label=drawing.short(label),
                marker="o",
                markersize=3.5,
                linewidth=1.2,
                linestyle=drawing.joined(xs),
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
        return drawing.Drawing(
            figure, name, f"{metric} against the number of added images for {', '.join(map(str, series))}"
        )


def reliability(curves: Mapping[str, Sequence[Mapping]], name: str) -> drawing.Drawing:
    """Accuracy against confidence: on the diagonal probabilities mean what they say.

    Args:
        curves: classifier -> bins, each {"images", "confidence", "accuracy"}. Bars are Wilson's 95 % intervals of the
            bin's accuracy for so many images.
        name: unique among the figures of a page.
    """
    with matplotlib.rc_context(drawing.STYLE):
        figure = Figure(figsize=(drawing.WIDTH, 3.2), layout="constrained")
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=drawing.INK, linewidth=0.8, linestyle=":")
        for number, (label, bins) in enumerate(curves.items()):
            xs, ys = [b["confidence"] for b in bins], [b["accuracy"] for b in bins]
            bounds = [proportion_confint(b["accuracy"] * b["images"], b["images"], method="wilson") for b in bins]
            errors = [
                [y - b[0] for y, b in zip(ys, bounds, strict=True)],
                [b[1] - y for y, b in zip(ys, bounds, strict=True)],
            ]
            axes.errorbar(
                xs,
                ys,
                yerr=np.maximum(errors, 0),
                color=drawing.COLOURS[number],
                label=drawing.short(label),
                marker="o",
                markersize=3.5,
                linewidth=1.2,
                linestyle="none",  # a handful of bins is no curve
            )
        axes.set_xlim(0, 1.02)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("probability of the predicted class")
        axes.set_title("share of images that are right")
        axes.grid()
        axes.tick_params(length=2)
        axes.legend(fontsize=8, loc="upper left")
        return drawing.Drawing(figure, name, f"Reliability curve of {', '.join(curves)}")


def distances(by_alpha: Mapping, name: str) -> drawing.Drawing:
    """The distance from source image to its translation at each alpha, with intervals.

    Args:
        by_alpha: what `lesiongan.evaluation.translation.by_alpha` returns.
        name: unique among the figures of a page.
    """
    titles = {"features": "in features of the classifier", "pixels": "in pixels, range 0 to 1"}  # room is short
    with matplotlib.rc_context(drawing.STYLE):
        figure = Figure(figsize=(drawing.WIDTH, 2.1), layout="constrained")
        for number, (key, title) in enumerate(titles.items()):
            axes = figure.add_subplot(1, 2, number + 1)
            rows = [r for r in by_alpha["rows"] if r[key]["value"] is not None]
            values = [r[key]["value"] for r in rows]
            if rows and rows[0][key]["low"] is not None:
                errors = [r[key]["high"] - r[key]["value"] for r in rows]
            else:
                errors = None
            axes.errorbar(
                range(len(rows)),
                values,
                yerr=errors,
                color=drawing.COLOURS[number],
                marker="o",
                markersize=4,
                linewidth=1.2,
                linestyle=drawing.joined(rows),
            )
            axes.set_xticks(range(len(rows)), [f"{r['alpha']:g}" for r in rows])
            axes.margins(x=0.15)
            axes.set_xlabel("alpha")
            axes.set_title(title, fontsize=7.5)
            axes.yaxis.set_major_locator(MaxNLocator(4))
            axes.grid(axis="y")
            axes.tick_params(length=2)
        said = ", ".join(
            f"alpha {r['alpha']:g}: {r['features']['value']:.3f}"
            for r in by_alpha["rows"]
            if r["features"]["value"] is not None
        )
        return drawing.Drawing(figure, name, f"Distance from the source image to its translation; {said}")
