"""The floor plan, counted: rooms and arrows from the imports, what stands twice, the longest files.

    python -m benchmarks.rooms [FOLDER]

A room is a package of the library with all that is below it, a loose module of it, or `components`, `pipelines`,
`benchmarks`. An arrow leads from a room to another one that it imports, in functions too; it runs against the stream
where the other room imports this one as well and does it more often. FOLDER is a checkout, by default this one.
"""

from __future__ import annotations

import ast
import collections
import re
import sys
from collections.abc import Sequence
from pathlib import Path

_OTHERS = ("components", "pipelines", "benchmarks")
_LONG = 5  # files listed
_STRETCH = 6  # lines


def room_of(module: str, root: Path) -> str:
    """The room of a dotted module; "" where it is not of this project, or the library's own face."""
    parts = module.split(".")
    if parts[0] in _OTHERS:
        return parts[0]
    if parts[0] != "lesiongan" or len(parts) == 1:
        return ""
    name = parts[1]
    known = (root / "lesiongan" / name).is_dir() or (root / "lesiongan" / f"{name}.py").is_file()
    return f"lesiongan.{name}" if known else ""


def modules(path: Path) -> list[str]:
    """What a file imports, once for each statement and name."""
    imported = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported += [f"{node.module}.{alias.name}" for alias in node.names]
    return imported


def plan(root: Path) -> tuple[dict[str, int], dict[tuple[str, str], int]]:
    """Room -> lines, and arrow (from, to) -> imports."""
    lines: dict[str, int] = collections.Counter()
    arrows: dict[tuple[str, str], int] = collections.Counter()
    for package in ("lesiongan", *_OTHERS):
        for path in sorted((root / package).rglob("*.py")):
            room = room_of(".".join(path.relative_to(root).with_suffix("").parts), root)
            if not room or room == "lesiongan.__init__":
                continue
            lines[room] += len(path.read_text(encoding="utf-8").splitlines())
            for module in modules(path):
                other = room_of(module, root)
                if other and other != room:
                    arrows[room, other] += 1
    return dict(lines), dict(arrows)


def against_the_stream(arrows: dict[tuple[str, str], int]) -> list[tuple[str, str]]:
    """Arrows whose reverse stands more often."""
    return sorted((a, b) for (a, b), count in arrows.items() if arrows.get((b, a), 0) > count)


def circles(arrows: dict[tuple[str, str], int]) -> list[str]:
    """Rooms from which a way leads back to themselves."""
    ahead = collections.defaultdict(set)
    for a, b in arrows:
        ahead[a].add(b)

    def reached(start: str) -> set[str]:
        todo, seen = list(ahead[start]), set()
        while todo:
            room = todo.pop()
            if room not in seen:
                seen.add(room)
                todo += ahead[room]
        return seen

    return sorted(room for room in list(ahead) if room in reached(room))


def twice(root: Path, packages: Sequence[str] = ("lesiongan", "components", "pipelines")) -> list[tuple[str, str]]:
    """Stretches of six lines that stand in two places, or more: (first place, second place) each, longer ones once.

    Blank lines, comments, imports and lines of punctuation alone do not count; white space is folded.
    """
    seen: dict[tuple[str, ...], tuple[Path, int, int]] = {}
    pairs = []
    for path in sorted(path for package in packages for path in (root / package).rglob("*.py")):
        texts = [" ".join(line.split()) for line in path.read_text(encoding="utf-8").splitlines()]
        lines = [(number, text) for number, text in enumerate(texts, 1) if _counts(text)]
        before: tuple[Path, int] | None = None
        for i in range(len(lines) - _STRETCH + 1):
            first = seen.setdefault(tuple(text for _, text in lines[i : i + _STRETCH]), (path, lines[i][0], i))
            if (first[0], first[2]) == (path, i):
                before = None
                continue
            if before != (first[0], first[2] - 1):  # not the stretch before, one line on
                pairs.append((_place(first[0], first[1], root), _place(path, lines[i][0], root)))
            before = (first[0], first[2])
    return pairs


def _counts(text: str) -> bool:
    return bool(re.search(r"\w", text)) and not re.match(r"#|import |from \S+ import", text)


def _place(path: Path, line: int, root: Path) -> str:
    return f"{path.relative_to(root)}:{line}"


def main(root: Path) -> None:
    lines, arrows = plan(root)
    print(f"rooms: {len(lines)}, arrows: {len(arrows)}")
    for room, count in sorted(lines.items()):
        to = sorted(b.removeprefix("lesiongan.") for a, b in arrows if a == room)
        print(f"  {room.removeprefix('lesiongan.'):<16}{count:>6} lines -> {', '.join(to) or 'nothing'}")
    backwards = [f"{a} -> {b}" for a, b in against_the_stream(arrows)]
    print(f"against the stream: {', '.join(backwards) or 'none'}")
    print(f"on a circle: {', '.join(circles(arrows)) or 'none'}")
    repeated = twice(root)
    print(f"stretches of {_STRETCH} lines that stand twice: {len(repeated)}")
    for first, second in repeated:
        print(f"  {first} ~ {second}")
    files = [path for d in ("lesiongan", *_OTHERS, "tests") for path in (root / d).rglob("*.py")]
    by_length = sorted(((len(path.read_text(encoding="utf-8").splitlines()), path) for path in files), reverse=True)
    longest = ", ".join(f"{path.relative_to(root)} {count}" for count, path in by_length[:_LONG])
    print(f"longest files: {longest}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1])
