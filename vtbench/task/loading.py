"""Loads a task file: `load_task` returns a `Task` that makes samples by index."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vtbench.errors import TaskError, nearest
from vtbench.scenes.family import FamilyFactory
from vtbench.scenes.items import ItemSource
from vtbench.task.catalog import find_task_files, summary
from vtbench.task.own_data import DataTask
from vtbench.task.schema import TaskFile, read_task
from vtbench.task.sources import MixTask, SceneTask
from vtbench.types import Task

MOST_PARTS = 200
"""Tasks of one mix, with those of the mixes in it."""


def load_task(
    path: Path,
    task_dirs: Iterable[Path] = (),
    families: Mapping[str, FamilyFactory] | None = None,
    **overrides: Any,
) -> Task:
    """Return the task of a file, ready to make samples.

    Args:
        path: a task file.
        task_dirs: directories in which a `mix` finds its tasks, in addition to the built-in ones.
        families: scene families that the file may name; the built-in ones by default.
        **overrides: top-level keys to replace, e.g. `split="val"`, `seed=3`; None keeps the file's value. Of `scene`
            the keys that are given replace the file's, and the others stay.

    Raises:
        TaskError: the file cannot be used; the message names file, line and key.
    """
    return _load(Path(path), task_dirs, families, overrides, (), [])


def _load(
    path: Path,
    task_dirs: Iterable[Path],
    families: Mapping[str, FamilyFactory] | None,
    overrides: Mapping[str, Any],
    above: tuple[Path, ...],
    loaded: list[str],
) -> Task:
    """Load a task file; `above` are the files whose mixes led here, and `loaded` all parts of the outermost mix."""
    above = (*above, path.resolve())
    changed = {key: value for key, value in overrides.items() if value is not None}
    spec = read_task(path, changed, families)
    if spec.family:
        return SceneTask(spec, spec.source())
    if spec.data:
        if overrides.get("split") == "train" and spec.data.train:
            in_splits = spec.data.hub is not None or (path.parent / str(spec.data.path)).is_dir()
            further = {"split": (spec.data.train,)} if in_splits else {"path": spec.data.train}
            return DataTask(spec.model_copy(update={"data": spec.data.model_copy(update=further)}), path)
        refused = sorted(set(changed) & {"split", "seed"})
        if refused:
            raise TaskError(f"{path}: a task over your own data has no {' or '.join(refused)} to choose; leave it out")
        return DataTask(spec, path)
    files = find_task_files([path.parent, *task_dirs] if path.parent not in _parents() else task_dirs)
    for name in spec.mix:
        if name not in files:
            raise TaskError(f"{path}, mix: there is no task {name!r}.{nearest(name, list(files), 'vtbench ls tasks')}")
        if files[name].resolve() in above:
            raise TaskError(f"{path}, mix: a task cannot contain itself: {name!r} mixes {spec.task!r}, or is it")
    loaded.extend(spec.mix)
    if len(loaded) > MOST_PARTS:
        raise TaskError(f"{path}, mix: more than {MOST_PARTS} tasks, with those of each mix in it")
    passed_on: dict[str, Any] = {"split": spec.split, "seed": spec.seed, "image_size": spec.image_size}
    if given := spec.scene.model_fields_set:
        passed_on["scene"] = {name: getattr(spec.scene, name) for name in given}
    # A user's own data has no split and no seed: it is the same in every mix.
    passed_on_data = {"image_size": spec.image_size}

    def part(name: str) -> Task:
        over = passed_on_data if summary(files[name])["family"] == "data" else passed_on
        return _load(files[name], task_dirs, families, over, above, loaded)

    return MixTask(spec, [part(name) for name in spec.mix])


def _parents() -> set[Path]:
    return {path.parent for path in find_task_files().values()}


def builtin_spec(name: str, **overrides: Any) -> TaskFile:
    """Return the checked file of a built-in task."""
    return read_task(find_task_files()[name], overrides)


def builtin_source(name: str, **overrides: Any) -> ItemSource:
    """Return the items of a built-in `family` task, which give scenes instead of samples."""
    return builtin_spec(name, **overrides).source()
