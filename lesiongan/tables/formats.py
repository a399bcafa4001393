"""A table as CSV, as LaTeX and as a page of HTML."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lesiongan.base.files import write_text
from lesiongan.base.shown import unbroken
from lesiongan.data.csv_files import as_csv
from lesiongan.evaluation.verdict import p_text
from lesiongan.tables import paper_results, rendering
from lesiongan.tables.layout import Number, Table

#: The fields of a number, and the end of their column's name.
_ENDS = {
    "value": "",
    "low": "_low",
    "high": "_high",
    "difference": "_difference",
    "difference_low": "_difference_low",
    "difference_high": "_difference_high",
    "p": "_p",
    "p_holm": "_p_holm",
    "paper": "_paper",
}


def write(tables: Sequence[Table], folder: Path | str) -> None:
    """Each table as `<name>.csv`, `<name>.tex`, `<name>_compact.tex` and `<name>.html`."""
    for table in tables:
        forms = {".csv": csv(table), ".tex": latex(table), "_compact.tex": latex(table, compact=True)}
        for ending, text in (forms | {".html": html(table)}).items():
            write_text(Path(folder) / f"{table.name}{ending}", text)


def csv(table: Table) -> str:
    """The rows as they are; a column such as `<key>_low` for each field that any number of the table has."""
    fields = [f for f in _ENDS if f == "value" or any(getattr(n, f) is not None for r in table.rows for n in r.numbers)]
    records = []
    for row in table.rows:
        record = dict(zip(table.heads, row.labels, strict=True))
        for key, number in zip(table.columns, row.numbers, strict=True):
            record |= {key + _ENDS[field]: getattr(number, field) for field in fields}
        records.append(record)
    return as_csv(pd.DataFrame(records), float_format="%.6g")


def latex(table: Table, compact: bool = False) -> str:
    """A `table` with caption and label (package booktabs).

    Args:
        table: what stands in it.
        compact: an entry is a line, the value and its interval, with an asterisk where it differs significantly from
            the baseline; else it is a stack: the value, its interval, the paired difference, the paper's number.
    """
    heads = [_escape(text) for text in (*table.heads.values(), *table.columns.values())]
    sentences = [f"{table.caption}.", table.remark]
    if table.has_paper and not compact:
        sentences.append(f"Paper: {paper_results.CITATION}.")
    align = "l" + "r" * (len(table.heads) - 1) + ("c" if table.digits else "r") * len(table.columns)
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_escape(' '.join(' '.join(filter(None, sentences)).split()))}}}",
        rf"\label{{tab:{table.name.replace('_', '-')}}}",
        rf"\begin{{tabular}}{{{align}}}",
        r"\toprule",
        " & ".join(heads) + r" \\",
        r"\midrule",
    ]
    for row in table.rows:
        entries = [_escape(f"{label:,}" if isinstance(label, int) else label) for label in row.labels]
        entries += [(_line if compact else _stack)(number, table.digits) for number in row.numbers]
        lines.append(" & ".join(entries) + r" \\")
        if row.baseline:
            lines.append(r"\addlinespace")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n"


def html(table: Table) -> str:
    """A page of its own that works from disk, with the report's look."""
    return rendering.render("table.html.j2", table=table, title=table.caption, citation=paper_results.CITATION)


def _line(number: Number, digits: int) -> str:
    form = f"{{:,.{digits}f}}"
    if number.value is None:
        return "--"
    value = rf"\({form.format(number.value)}{'^{*}' if number.sure else ''}\)".replace(",", "{,}")
    if number.low is None:
        return value
    return rf"{value} {{\scriptsize[\({form.format(number.low)}\), \({form.format(number.high)}\)]}}"


def _stack(number: Number, digits: int) -> str:
    form, signed = f"{{:,.{digits}f}}", f"{{:+.{digits}f}}"
    if number.value is None:
        lines = ["--"]
    else:
        lines = [rf"\({form.format(number.value)}\)".replace(",", "{,}")]
        if number.low is not None:
            lines.append(rf"\scriptsize [\({form.format(number.low)}\), \({form.format(number.high)}\)]")
        if number.difference is not None:
            change = f"{signed.format(number.difference)}" + ("^{*}" if number.sure else "")
            p = "" if number.p_holm is None else rf", \(p\) {_p(number.p_holm)}"
            lines.append(rf"\scriptsize \(\Delta {change}\){p}")
    if number.paper is not None:
        lines.append(rf"\scriptsize paper {form.format(number.paper)}")
    return lines[0] if len(lines) == 1 else r"\shortstack{" + r" \\ ".join(lines) + "}"


def _p(value: float) -> str:
    text = p_text(value)
    return rf"\({text}\)" if text.startswith("<") else rf"\(= {text}\)"


def _escape(text) -> str:
    special = {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\(<\)",
        ">": r"\(>\)",
    }
    # a line break would end the cell's line, an empty one the argument of \\caption
    return "".join(special.get(c, "\\" + c if c in "&%$#_{}" else c) for c in unbroken(str(text)))
