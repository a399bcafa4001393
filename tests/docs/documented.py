"""The lines of shell in README and docs."""

from __future__ import annotations

import dataclasses
import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.M | re.S)


@dataclasses.dataclass(frozen=True)
class Line:
    """One command of a block of shell, on however many lines it stands.

    Attributes:
        page: the file that shows it.
        text: what a reader copies, without the comment behind it.
    """

    page: str
    text: str

    @property
    def words(self) -> list[str]:
        """Of a command of this project: `lesiongan`, and what follows; empty for any other line."""
        words = shlex.split(self.text)
        return ["lesiongan", *words[1:]] if words and Path(words[0]).name == "lesiongan" else []


def lines() -> list[Line]:
    """Every line of every block of shell, in the order of the pages; what `&&` joins is several."""
    found = []
    for page in PAGES:
        for block in BLOCK.findall(page.read_text(encoding="utf-8")):
            for line in re.sub(r" *\\\n *", " ", block).splitlines():
                text = re.sub(r"\s+# .*$|^#.*$", "", line)
                found += [Line(page.name, part.strip()) for part in text.split(" && ") if part.strip()]
    return found
