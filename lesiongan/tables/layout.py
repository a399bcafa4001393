"""The tables of the paper from `metrics.json`, with the intervals and tests it lacks and its own numbers beside ours.

`formats` writes them as CSV, LaTeX and HTML.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from lesiongan.evaluation.comparison import is_tested, significant
from lesiongan.evaluation.scores import Key
from lesiongan.evaluation.verdict import metric_name
from lesiongan.tables import paper_results

#: The metrics of the grid's own table, in its order.
METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "target_precision", "target_recall", "target_auc")
_MAIN = ("balanced_accuracy", "target_recall", "target_auc")
_OF_CLASS = {
    "precision": "precision",
    "recall": "recall (sensitivity)",
    "specificity": "specificity",
    "f1": "F1",
    "auc": "AUC",
}


@dataclasses.dataclass(frozen=True)
class Number:
    """One entry of a table: ours, its interval, its paired difference to the baseline, and the paper's.

    Attributes:
        value, low, high, difference, difference_low, difference_high, p, p_holm: those of `comparison.FIELDS`.
        sure: whether it differs from the baseline after Holm's correction.
        paper: the paper's number, None where it has none.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    sure: bool = False
    paper: float | None = None


@dataclasses.dataclass(frozen=True)
class Row:
    labels: tuple[Any, ...]
    numbers: tuple[Number, ...]
    baseline: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """A table before it has a form.

    Attributes:
        name: of its files.
        caption: what it shows.
        heads: key -> how it reads, of the columns before the numbers.
        columns: key -> how it reads, of the columns of numbers.
        rows: as many labels as `heads`, as many numbers as `columns`.
        digits: after the point.
        remark: how the numbers are to be read.
    """

    name: str
    caption: str
    heads: Mapping[str, str]
    columns: Mapping[str, str]
    rows: tuple[Row, ...]
    digits: int = 3
    remark: str = ""

    @property
    def has_paper(self) -> bool:
        return any(n.paper is not None for row in self.rows for n in row.numbers)


def of_evaluation(result: Mapping, with_paper: bool) -> list[Table]:
    """All tables of a test set: what matters of the grid, the grid, Table 2's form, Table 3's where the cells have
    alphas, and every metric of every class.

    Args:
        result: its `metrics.json`.
        with_paper: set the paper's numbers beside ours.
    """
    tables = [main_table(result), grid_table(result, with_paper), class_table(result, with_paper)]
    if paper_results.experiment(result) == "nevus_to_melanoma":
        tables.append(alpha_table(result, with_paper))
    return [*tables, per_class_table(result, [c["cell"] for c in result["cells"]])]


def split_table(counts: Mapping[str, Mapping[str, int]], with_paper: bool) -> Table:
    """Table 1: images of each class on each side, the commonest class first."""
    classes = list(dict.fromkeys(c for side in counts.values() for c in side))
    classes.sort(key=lambda c: -sum(side.get(c, 0) for side in counts.values()))
    paper = paper_results.split() if with_paper else {}
    sides = sorted(counts, key=split_order)
    rows = [
        Row((c,), tuple(Number(value=counts[s].get(c, 0), paper=paper.get(s, {}).get(c)) for s in sides))
        for c in classes
    ]
    totals = {s: sum(paper[s].values()) for s in sides if s in paper}
    everything = tuple(Number(value=sum(counts[s].values()), paper=totals.get(s)) for s in sides)
    heads = {"class": "class"}
    return Table(
        "table1", "Images by class and split", heads, {s: s for s in sides}, (*rows, Row(("all",), everything)), 0
    )


def split_order(split: str) -> tuple[int, str]:
    """Sorts train, validation and test, then further test sets by name."""
    known = ("train", "validation", "test")
    return (known.index(split) if split in known else len(known), split)


def main_table(result: Mapping) -> Table:
    """One row per cell with the three metrics that are looked at first: it fits a page, and a column of a paper."""
    keys = [k for k in dict.fromkeys((result["primary"], *_MAIN)) if ("metrics", k) in _keys(result)]
    columns = {key: metric_name(result, key) for key in keys}
    rows = [_row(result, cell, (cell["cell"],), _under("metrics", columns), False) for cell in result["cells"]]
    caption = f"Classifiers: {', '.join(columns.values())}"
    return Table("main", caption, {"cell": "classifier"}, columns, tuple(rows), remark=_remark(result))


def grid_table(result: Mapping, with_paper: bool) -> Table:
    """One row per cell, controls too, with the metrics that the verdict may speak of."""
    columns = {key: metric_name(result, key) for key in METRICS if ("metrics", key) in _keys(result)}
    heads = {"cell": "classifier", "kind": "kind", "amount": "added", "seeds": "seeds"}
    rows = [
        _row(
            result,
            cell,
            (cell["cell"], cell["kind"], cell["amount"], len(cell["seeds"])),
            _under("metrics", columns),
            with_paper,
        )
        for cell in result["cells"]
    ]
    return Table("table", "Every classifier of the grid", heads, columns, tuple(rows), remark=_remark(result))


def class_table(result: Mapping, with_paper: bool) -> Table:
    """Table 2: precision and recall of each class, and the accuracy, of the baseline and the experiment's cells."""
    columns = {f"{c}_{m}": f"{c} {m}" for c in result["classes"] for m in ("precision", "recall")}
    keys: list[Key] = [("classes", c, m) for c in result["classes"] for m in ("precision", "recall")]
    rows = [
        _row(result, cell, (cell["cell"], cell["amount"], _share(cell)), [*keys, ("metrics", "accuracy")], with_paper)
        for cell in _own_cells(result)
    ]
    heads = {"model": "classifier", "synthetic_images": "synthetic images", "synthetic_share": "share"}
    columns |= {"accuracy": "accuracy"}
    caption = "Precision and recall of every class, and the accuracy"
    return Table("table2", caption, heads, columns, tuple(rows), remark=_remark(result))


def alpha_table(result: Mapping, with_paper: bool) -> Table:
    """Table 3: accuracy, and precision and recall of the target, by number of synthetic images and alpha. The share is
    that among the training images of the two classes."""
    columns = {key: metric_name(result, key) for key in ("accuracy", "target_precision", "target_recall")}
    cells = sorted(_own_cells(result), key=lambda c: (c["amount"], c["alpha"] or 0))
    rows = []
    for cell in cells:
        alpha = f"{cell['alpha']:g}" if cell["alpha"] else cell["cell"]  # images made elsewhere, and the baseline
        rows.append(_row(result, cell, (cell["amount"], _share(cell), alpha), _under("metrics", columns), with_paper))
    heads = {"synthetic_images": "synthetic images", "synthetic_share": "share", "alpha": "alpha"}
    caption = f"Synthetic {result['target']} by their number and the filter's alpha"
    return Table("table3", caption, heads, columns, tuple(rows), remark=_remark(result))


def per_class_table(result: Mapping, cells: Sequence[str]) -> Table:
    """Every metric of every class, one row per cell and class, of the cells that are named."""
    rows = [
        _row(result, cell, (cell["cell"], name), [("classes", name, metric) for metric in _OF_CLASS], False)
        for cell in result["cells"]
        if cell["cell"] in cells
        for name in result["classes"]
    ]
    rows = [dataclasses.replace(row, baseline=False) for row in rows]  # it marks a single row
    heads = {"cell": "classifier", "class": "class"}
    return Table("per_class", "Every metric of every class", heads, _OF_CLASS, tuple(rows), remark=_remark(result))


def _own_cells(result: Mapping) -> list[Mapping]:
    """The baseline and the experiment's cells, without the controls, which the paper does not have."""
    return [c for c in result["cells"] if is_tested(c) or c["cell"] == result["baseline"]]


def _share(cell: Mapping) -> str:
    return "" if cell["share"] is None else f"{cell['share']:.3f}"


def _row(result: Mapping, cell: Mapping, labels: tuple, keys: Sequence[Key], with_paper: bool) -> Row:
    paper = paper_results.numbers(result, cell) if with_paper else {}
    numbers = []
    for key in keys:
        entry = cell
        for part in key:
            entry = entry[part]
        numbers.append(Number(**entry, sure=significant(entry, result["confidence"]), paper=paper.get(key)))
    return Row(labels, tuple(numbers), cell["cell"] == result["baseline"])


def _keys(result: Mapping) -> set[Key]:
    return {("metrics", key) for key in result["cells"][0]["metrics"]}


def _under(group: str, names: Mapping[str, str]) -> list[Key]:
    return [(group, name) for name in names]


def _remark(result: Mapping) -> str:
    """How to read the numbers of a table of classifiers, for a table that stands outside a report."""
    several = any(len(c["seeds"]) > 1 for c in result["cells"])
    over = (
        "test lesions and training seeds, the means over the seeds"
        if several
        else "test lesions, for the one training per cell"
    )
    against = f" Differences are paired, to {result['baseline']}; an asterisk marks p < " if result["baseline"] else ""
    tests = (
        f"{against}{1 - result['confidence']:.2g} after Holm's correction for the cells, metric by metric."
        if against
        else ""
    )
    return (
        f"{100 * result['confidence']:g} % intervals over {over}: {result['images']:,} images of {result['lesions']:,} "
        f"lesions.{tests}"
    )
