"""Finds task files: names, groups and paths, without checking their content."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from vtbench.errors import TaskError

_HERE = Path(__file__).parent.parent
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


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
    directories = dict.fromkeys(Path(directory).resolve() for directory in (builtin_tasks(), *extra))
    for directory in directories:
        for path in sorted(directory.glob("*.yaml")):
            if path.stem in found:
                raise TaskError(f"two task files are called {path.stem!r}: {found[path.stem]} and {path}. Rename one.")
            found[path.stem] = path
    return found


def summary(path: Path) -> dict[str, Any]:
    """Return the listed facts of a task file: family, split, items, metrics, groups, description."""
    data = _keys(path, {}, ())
    if data is None:
        return {"description": f"cannot be read: see `vtbench validate {path}`", "groups": []}
    kind = data.get("family") or ("mix" if "mix" in data else "data")
    keys = ("split", "items", "metrics", "description")
    return {"family": kind, **{key: data.get(key) for key in keys}, "groups": data.get("groups") or []}


def _keys(path: Path, above: dict[str, Any], chain: tuple[Path, ...]) -> dict[str, Any] | None:
    """Return the top-level keys of a file and of those that it includes; None where it cannot be read."""
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)
    except (OSError, ValueError, yaml.YAMLError):
        return None
    if not isinstance(data, dict):
        return None
    name = data.pop("include", None)
    found = {**data, **above}
    if not isinstance(name, str):
        return found
    file = path.with_name(f"{name.removesuffix('.yaml')}.yaml")
    file = file if file.is_file() else builtin_tasks() / file.name
    below = None if file in chain else _keys(file, found | {"groups": found.get("groups")}, (*chain, file))
    return found if below is None else below
