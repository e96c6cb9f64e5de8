"""Finds task files: names, groups and paths, without checking their content."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vtbench.errors import TaskError
from vtbench.task.yaml_lines import load_yaml

_HERE = Path(__file__).parent.parent


def builtin_tasks() -> Path:
    """Return the directory of the built-in task files: inside the wheel, or beside the source tree."""
    packaged = _HERE / "tasks"
    return packaged if packaged.is_dir() else _HERE.parent / "tasks"


def find_task_files(extra: Iterable[Path] = ()) -> dict[str, Path]:
    """Return every task file by task name, which is the file's name without `.yaml`.

    Raises:
        TaskError: two directories have a file of the same name.
    """
    found: dict[str, Path] = {}
    # A directory may be given twice, for example when a task of a built-in directory is loaded.
    given = (builtin_tasks(), builtin_tasks() / "real", *extra)
    directories = dict.fromkeys(Path(directory).resolve() for directory in given)
    for directory in directories:
        for path in sorted(directory.glob("*.yaml")):
            if path.stem in found:
                raise TaskError(f"two task files are called {path.stem!r}: {found[path.stem]} and {path}. Rename one.")
            found[path.stem] = path
    return found


def summary(path: Path) -> dict[str, Any]:
    """Return the listed facts of a task file: family, split, items, metrics, groups, description, and what it needs.

    `needs` is `hub` for a data set of the hub, `files` for files of the user's, else empty.
    """
    data = _keys(path, {}, ())
    if data is None:
        return {"description": f"cannot be read: see `vtbench validate {path}`", "groups": [], "needs": ""}
    kind = data.get("family") or ("mix" if "mix" in data else "data")
    keys = ("split", "items", "metrics", "description")
    groups = data.get("groups")
    named = [group for group in groups if isinstance(group, str)] if isinstance(groups, list) else []
    source = data.get("data")
    needs = ("hub" if "hub" in source else "files") if isinstance(source, dict) else ""
    return {"family": kind, **{key: data.get(key) for key in keys}, "groups": named, "needs": needs}


def _keys(path: Path, above: dict[str, Any], chain: tuple[Path, ...]) -> dict[str, Any] | None:
    """Return the top-level keys of a file and of those that it includes; None where it cannot be read."""
    try:
        data, _ = load_yaml(path, TaskError)
    except TaskError:
        return None
    name = data.pop("include", None)
    found = {**data, **above}
    if not isinstance(name, str):
        return found
    file = path.with_name(f"{name.removesuffix('.yaml')}.yaml")
    file = file if file.is_file() else builtin_tasks() / file.name
    below = None if file in chain else _keys(file, found | {"groups": found.get("groups")}, (*chain, file))
    return found if below is None else below
