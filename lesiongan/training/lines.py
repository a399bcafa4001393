"""Files of JSON lines that agree with the checkpoint that a training goes on from."""

from __future__ import annotations

import json
import os
from pathlib import Path

from lesiongan.base.files import write_text


class Lines:
    """A file of JSON lines, each with its `step`.

    Args:
        path: the file, read if it exists.
        step: of the checkpoint that the training goes on from; what came after it is trained again.
    """

    def __init__(self, path: Path, step: int):
        self.path = path
        self.lines: list[dict] = []
        for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            try:
                line = json.loads(text)
            except json.JSONDecodeError:  # cut off by a kill
                break
            if line["step"] > step:
                break
            self.lines.append(line)

    def begin(self) -> None:
        """Rewrites the file with the lines that were kept; without any it is removed."""
        if self.lines:
            write_text(self.path, "".join(json.dumps(line) + "\n" for line in self.lines))
        else:
            self.path.unlink(missing_ok=True)

    def append(self, line: dict) -> None:
        self.lines.append(line)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def to_disk(self) -> None:
        """What was appended is on the disk when this returns: a checkpoint that is must not know more steps."""
        if self.lines:
            with self.path.open("a", encoding="utf-8") as file:
                os.fsync(file.fileno())
