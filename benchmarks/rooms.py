"""The floor plan, counted from the imports: rooms, arrows, those against the stream, the longest files.

    python -m benchmarks.rooms [FOLDER]

A room is a package of the library with all that is below it, a loose module of it, or `components`, `pipelines`,
`benchmarks`. An arrow leads from a room to another one that it imports, in functions too; it runs against the stream
where the other room imports this one as well and does it more often. FOLDER is a checkout, by default this one.
"""

from __future__ import annotations

import ast
import collections
import sys
from pathlib import Path

_OTHERS = ("components", "pipelines", "benchmarks")
_LONG = 5  # files listed


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
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


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


def main(root: Path) -> None:
    lines, arrows = plan(root)
    print(f"rooms: {len(lines)}, arrows: {len(arrows)}")
    for room, count in sorted(lines.items()):
        to = sorted(b.removeprefix("lesiongan.") for a, b in arrows if a == room)
        print(f"  {room.removeprefix('lesiongan.'):<16}{count:>6} lines -> {', '.join(to) or 'nothing'}")
    backwards = [f"{a} -> {b}" for a, b in against_the_stream(arrows)]
    print(f"against the stream: {', '.join(backwards) or 'none'}")
    print(f"on a circle: {', '.join(circles(arrows)) or 'none'}")
    files = [path for d in ("lesiongan", *_OTHERS, "tests") for path in (root / d).rglob("*.py")]
    by_length = sorted(((len(path.read_text(encoding="utf-8").splitlines()), path) for path in files), reverse=True)
    longest = ", ".join(f"{path.relative_to(root)} {count}" for count, path in by_length[:_LONG])
    print(f"longest files: {longest}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1])
