"""The graph of imports between modules, read from their source, and its circles.

An import counts wherever it stands: at the top of a file, inside a function, under `if TYPE_CHECKING:`, or as
`import_module("...")`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

Graph = dict[str, set[str]]
"""For each module, by its full name, those that it imports."""


def source_files(package: Path) -> dict[str, Path]:
    """Return the modules of a package and of all packages in it, by full name."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported_names(path: Path, module: str) -> Iterator[str]:
    """Yield what a file imports by full name; for `from a import b` that is `a.b`, be it a module or something in one.

    Args:
        path: the file.
        module: its full name, from which relative imports start.
    """
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                origin = ".".join([*above, origin] if origin else above)
            yield from (f"{origin}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called == "import_module" and isinstance(node.args[0].value, str):
                yield node.args[0].value


def import_graph(packages: Iterable[Path]) -> Graph:
    """Return who imports whom among the modules of these packages."""
    files = {name: path for package in packages for name, path in source_files(package).items()}
    graph: Graph = {}
    for module, path in files.items():
        names = imported_names(path, module)
        homes = (name if name in files else name.rpartition(".")[0] for name in names)
        graph[module] = {home for home in homes if home in files and home != module}
    return graph


def by_package(graph: Mapping[str, set[str]]) -> Graph:
    """Return the graph between top-level packages."""
    merged: Graph = {}
    for module, targets in graph.items():
        package = module.partition(".")[0]
        others = {target.partition(".")[0] for target in targets} - {package}
        merged.setdefault(package, set()).update(others)
    return merged


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Return every circle, as the sorted names of the modules in it (Tarjan's strongly connected components)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        stack.append(node)
        for target in sorted(graph.get(node, ())):
            if target not in order:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], order[target])
        if low[node] == order[node]:
            members = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(members) > 1:
                found.append(sorted(members))

    for node in sorted(graph):
        if node not in order:
            visit(node)
    return found
