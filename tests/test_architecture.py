"""The house keeps its shape: one direction of imports, a small top level, names that say something, true documents."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pytest
from import_graph import Graph, by_package, circles, import_graph, imported_names, source_files

import vtbench
from vtbench import hookspecs
from vtbench.config import RunConfig

ROOT = Path(__file__).parent.parent
HOST = ROOT / "vtbench"
ZOO = "vtbench_zoo"
"""A distribution of its own: it holds data, and has no line in the wheel's list."""
MEAN_THE_SAME_EVERYWHERE = {
    "__init__.py",
    "__main__.py",
    "adapter.py",
    "arguments.py",
    "base.py",
    "checkpoint.py",
    "cli.py",
    "conftest.py",
    "errors.py",
    "plugin.py",
    "report.py",
    "settings.py",
}
"""File names that may recur: each names the same thing in every package."""


def packages() -> list[Path]:
    """Return the directory of every package that adapters/ and plugins/ hold."""
    return sorted(path.parent for folder in ("adapters", "plugins") for path in ROOT.glob(f"{folder}/*/__init__.py"))


def test_tasks_hold_no_program() -> None:
    """They are data: the wheel moves them into vtbench/, which an editable installation cannot do with modules."""
    assert not list((ROOT / "tasks").rglob("*.py"))


@pytest.fixture(scope="module")
def graph() -> Graph:
    return import_graph([HOST, *packages()])


def test_no_import_circle_in_the_host(graph: Graph) -> None:
    assert circles({name: targets for name, targets in graph.items() if name.partition(".")[0] == "vtbench"}) == []


@pytest.mark.parametrize("package", [path.name for path in packages()])
def test_no_import_circle_in_a_package(graph: Graph, package: str) -> None:
    assert circles({name: targets for name, targets in graph.items() if name.partition(".")[0] == package}) == []


def test_no_import_circle_between_packages(graph: Graph) -> None:
    between = by_package(graph)
    assert circles({package: targets for package, targets in between.items() if package != "vtbench"}) == []


def test_nothing_imports_the_command_line(graph: Graph) -> None:
    assert {name for name, targets in graph.items() if "vtbench.cli" in targets} == {"vtbench.__main__"}
    commands = {name for name in graph if name.startswith("vtbench.console.") and name.endswith("_commands")}
    assert len(commands) == 3
    assert {name for name, targets in graph.items() if commands & set(targets)} == {"vtbench.cli"}


def test_the_host_imports_no_plugin_but_for_compare() -> None:
    others = {path.name for path in packages()}
    found = {
        (module, package)
        for module, path in source_files(HOST).items()
        for name in imported_names(path, module)
        if (package := name.partition(".")[0]) in others
    }
    assert found == {("vtbench", "vtbench_analysis")}, "`vtbench.compare` alone names a plugin"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("from package import b", "import package.a"),
        ("def lazy():\n    from package.b import thing", "from package import a"),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from package import b", "from .a import thing"),
        ("import package.b as other", "class C:\n    def lazy(self):\n        from . import a"),
        ("from importlib import import_module\nb = import_module('package.b')", "from package.a import *"),
    ],
)
def test_every_way_to_import_counts(tmp_path: Path, first: str, second: str) -> None:
    package = tmp_path / "package"
    package.mkdir()
    for name, text in {"__init__": "", "a": first, "b": second, "c": "from package import a, b"}.items():
        (package / f"{name}.py").write_text(text)
    assert circles(import_graph([package])) == [["package.a", "package.b"]]
    (package / "b.py").write_text("")
    assert circles(import_graph([package])) == []


def test_a_circle_of_packages_is_found(tmp_path: Path) -> None:
    for name, text in {"one": "def lazy():\n    import two.deep", "two": "", "two.deep": "import one"}.items():
        path = tmp_path.joinpath(*name.split("."))
        path.mkdir()
        (path / "__init__.py").write_text(text)
    graph = import_graph([tmp_path / "one", tmp_path / "two"])
    assert circles(by_package(graph)) == [["one", "two"]]


def names_in(directory: Path) -> set[str]:
    """Return what git would see in a directory: neither caches nor folders that hold nothing else."""
    return {
        path.name
        for path in directory.iterdir()
        if path.name != "__pycache__"
        and (path.is_file() or any(p.is_file() and "__pycache__" not in p.parts for p in path.rglob("*")))
    }


def test_the_top_level_holds_the_contract_and_the_wings() -> None:
    assert len(names_in(HOST)) <= 26


def test_a_file_name_says_what_is_in_the_file() -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for folder in ("vtbench", "adapters", "plugins", "tests", "integration", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            homes[path.name].append(str(path.parent.relative_to(ROOT)))
    repeated = {name: sorted(places) for name, places in homes.items() if len(places) > 2}
    assert {name: places for name, places in repeated.items() if name not in MEAN_THE_SAME_EVERYWHERE} == {}


def test_every_package_is_distributed_and_typed() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    distributed = {ROOT / name for name in wheel["packages"]} - {ROOT / "tasks"}
    assert distributed == {HOST, *(path for path in packages() if path.name != ZOO)}
    assert [path.name for path in (HOST, *packages()) if not (path / "py.typed").is_file()] == []


def test_run_takes_the_fields_of_its_config() -> None:
    parameters = inspect.signature(vtbench.run).parameters
    options = [field.name for field in fields(RunConfig)]
    assert set(parameters) == {*options, "config", "registry", "listener"}
    assert {parameter.default for parameter in parameters.values()} == {None}
    assert sorted(vtbench._FIELDS) == sorted(options)


def test_every_exported_name_imports() -> None:
    assert [name for name in vtbench.__all__ if not hasattr(vtbench, name)] == []
    assert vtbench.__all__ == sorted(vtbench.__all__), "in order, so that a reader finds a name"


def test_all_is_exact() -> None:
    """What type checkers see (the imports under TYPE_CHECKING and the functions) is what is exported."""
    code = "import vtbench; print(*(n for n in vars(vtbench) if not n.startswith('_')))"
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    here = {name for name in seen.stdout.split() if getattr(getattr(vtbench, name), "__module__", "") == "vtbench"}
    assert here | vtbench._HOMES.keys() | {"__version__"} == set(vtbench.__all__)
    listed = {name.rpartition(".")[::2] for name in imported_names(HOST / "__init__.py", "vtbench")}
    typed = {name: home for home, name in listed if name in vtbench._HOMES and home.startswith("vtbench.")}
    assert typed == {name: f"vtbench.{home}" for name, home in vtbench._HOMES.items()}


@pytest.mark.parametrize("package", [path.name for path in packages()])
def test_every_name_that_a_package_exports_imports(package: str) -> None:
    module = import_module(package)
    assert [name for name in getattr(module, "__all__", ()) if not hasattr(module, name)] == []


def test_every_hook_is_documented() -> None:
    hooks = {name for name in vars(hookspecs) if name.startswith("vtbench_")}
    assert {name for name in hooks if not inspect.getdoc(getattr(hookspecs, name))} == set()
    table = re.findall(r"^\| `(vtbench_\w+)` \|", (ROOT / "docs" / "plugins.md").read_text(), flags=re.MULTILINE)
    assert sorted(table) == sorted(hooks)


def tree_of_the_code() -> list[str]:
    """Return the paths, from the project's root, that the tree in docs/code.md shows.

    The tree is the fenced block whose first line starts with `vtbench/`. A line has a path, two spaces or more, and a
    text. A path stands below the nearest line above it that is indented less; a line that is indented as far as the
    texts continues one.
    """
    text = (ROOT / "docs/code.md").read_text(encoding="utf-8")
    (block,) = [block for block in re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S) if block.startswith("vtbench/")]
    return list(paths_of_tree(block.splitlines()))


def paths_of_tree(lines: list[str]) -> Iterator[str]:
    above: list[tuple[int, str]] = []
    column = None
    for line in lines:
        path, indent = line.split(maxsplit=1)[0] if line.strip() else "", len(line) - len(line.lstrip())
        if not path or (column is not None and indent >= column):
            continue
        match = re.match(rf"\s*{re.escape(path)}\s{{2,}}(?=\S)", line)
        column = match.end() if match else column
        above = [(far, name) for far, name in above if far < indent]
        shown = "".join(name for _, name in above) + path
        above.append((indent, path))
        yield shown


def test_the_tree_is_read_as_it_is_meant() -> None:
    tree = """\
vtbench/          the host,
                  in two lines
  types.py        nouns
  stats/          numbers
    estimate.py   one
plugins/          others
  vtbench_budgets/
docs/             pages"""
    assert list(paths_of_tree(tree.splitlines())) == [
        "vtbench/",
        "vtbench/types.py",
        "vtbench/stats/",
        "vtbench/stats/estimate.py",
        "plugins/",
        "plugins/vtbench_budgets/",
        "docs/",
    ]


def test_the_tree_in_the_readme_is_true_and_fits_a_screen() -> None:
    shown = tree_of_the_code()
    assert len(shown) == len(set(shown)) <= 60
    wrong = [path for path in shown if not ((ROOT / path).is_dir() if path.endswith("/") else (ROOT / path).is_file())]
    assert wrong == [], "no such file, or no such directory"
    real = {f"vtbench/{name}/" if (HOST / name).is_dir() else f"vtbench/{name}" for name in names_in(HOST)}
    unseen = {"vtbench/__init__.py", "vtbench/__main__.py", "vtbench/py.typed"}
    assert {path for path in shown if re.fullmatch(r"vtbench/[^/]+/?", path)} - unseen == real - unseen
    for folder in ("adapters", "plugins"):  # as a list of all packages, or not at all
        listed = {path for path in shown if re.fullmatch(rf"{folder}/[^/]+/", path)}
        assert listed in (set(), {f"{folder}/{path.name}/" for path in packages() if path.parent.name == folder})
