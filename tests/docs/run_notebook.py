"""Runs docs/python.ipynb from top to bottom and stores what its cells show: `make notebook`.

Text and tables as they come; pictures, which are of phantoms, as small JPEG.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).parents[2] / "docs" / "python.ipynb"


def run(notebook: dict) -> None:
    """Runs the code cells in order in one namespace, as a kernel does, and puts their outputs in place of the old."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    number = 0
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        number += 1
        body = ast.parse("".join(cell["source"])).body
        last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(ast.Module(body, []), f"cell {number}", "exec"), namespace)
            shown = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), namespace) if last else None
        cell["execution_count"] = number
        cell["outputs"] = []
        if printed.getvalue():
            cell["outputs"].append({"name": "stdout", "output_type": "stream", "text": whole(printed.getvalue())})
        if shown is not None:
            result = {"output_type": "execute_result", "execution_count": number, "metadata": {}, "data": data(shown)}
            cell["outputs"].append(result)


def data(value: Any) -> dict[str, Any]:
    """A cell's last value by media type, as a notebook stores it."""
    if hasattr(value, "save") and hasattr(value, "mode"):  # a picture
        stream = io.BytesIO()
        value.save(stream, "JPEG", quality=80)
        return {
            "image/jpeg": base64.b64encode(stream.getvalue()).decode(),
            "text/plain": [f"{value.width} x {value.height} pixels"],
        }
    found: dict[str, Any] = {"text/plain": whole(repr(value))}
    if hasattr(value, "_repr_html_"):
        found["text/html"] = whole(value._repr_html_())
    return found


def whole(text: str) -> list[str]:
    return text.splitlines(keepends=True)


if __name__ == "__main__":
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    run(notebook)
    to = Path(sys.argv[1]) if len(sys.argv) > 1 else NOTEBOOK
    to.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
