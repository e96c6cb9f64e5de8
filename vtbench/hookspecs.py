"""The whole plugin contract.

A plugin is a package with an entry point in the group `vtbench` that names a module (or object) with any of these
hooks, marked with `@vtbench.hookimpl`. vtbench's own adapters, metrics and tasks register in exactly this way.
Registering must be free: a hook returns named factories, and only calling a factory may import what it wraps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import click
    from rich.console import RenderableType

    from vtbench.adapter import Adapter
    from vtbench.budget import Budget
    from vtbench.executor import Executor
    from vtbench.metric import Metric
    from vtbench.scenes.family import FamilyFactory
    from vtbench.tracker import Tracker
    from vtbench.types import Task

hookspec = pluggy.HookspecMarker("vtbench")
hookimpl = pluggy.HookimplMarker("vtbench")


@hookspec
def vtbench_adapters() -> dict[str, Callable[..., Adapter]]:  # type: ignore[empty-body]
    """Adapters by name, as `--model` takes them.

    A factory takes the pairs of `--model-args` as keyword arguments, and `device` and `dtype` (strings, `auto` by
    default) where its signature has them. The first line of its docstring is what `vtbench ls models` shows.
    It raises `AdapterError` for a checkpoint that cannot be used. It imports its backend only when called. Where it has
    an attribute `requires`, the names of the packages that it will import, a missing one is known before any work.
    """


@hookspec
def vtbench_metrics() -> dict[str, Callable[..., Metric]]:  # type: ignore[empty-body]
    """Metrics by name, as a task's `metrics:` and `--metrics NAME:setting=value` ask for them.

    A factory's parameters are the settings, with defaults. It raises `VtbenchError` for a value that it cannot take.
    The first line of its docstring is what `vtbench ls metrics` shows.
    """


@hookspec
def vtbench_budgets() -> dict[str, Callable[..., Budget]]:  # type: ignore[empty-body]
    """Token budgets by name, as `--budget NAME:setting=value,...` takes them.

    A factory's parameters are the settings. It raises `VtbenchError` for a value that it cannot take. The first line of
    its docstring is what `vtbench ls budgets` shows.
    """


@hookspec
def vtbench_task_dirs() -> list[Path]:  # type: ignore[empty-body]
    """Directories of task files (`*.yaml`) offered beside the built-in ones."""


@hookspec
def vtbench_task_sources() -> dict[str, Callable[..., Task]]:  # type: ignore[empty-body]
    """Loaders of tasks in other formats by prefix: `--tasks PREFIX:WHERE` calls the loader with WHERE.

    It takes three keyword arguments: `split` and `seed` (None where not given), and `allow_code`, whether code that the
    task names may run. It returns the task, ready to make samples, or raises `TaskError`. A task may bring metrics of
    its own (`vtbench.metric.TaskWithMetrics`). The first line of the loader's docstring says what it reads.
    """


@hookspec
def vtbench_scene_families() -> dict[str, FamilyFactory]:  # type: ignore[empty-body]
    """Scene families by name, as a task file's `family:` names them.

    A factory takes no arguments and returns a `vtbench.scenes.family.SceneFamily`. The first line of its docstring is
    what `vtbench ls families` shows.
    """


@hookspec
def vtbench_trackers() -> dict[str, Callable[..., Tracker]]:  # type: ignore[empty-body]
    """Trackers of experiments by name, as `--track NAME:setting=value` takes them.

    A factory's parameters are the settings. It is called before a run begins: it imports the tracker's package, and
    raises `VtbenchError` where the run's end would fail (nobody is logged in, say).
    """


@hookspec
def vtbench_executors() -> dict[str, Callable[..., Executor]]:  # type: ignore[empty-body]
    """Executors by name, as `--executor NAME:setting=value` takes them: where a run's model is asked.

    A study's models are trained there too. A factory's parameters are the settings, with defaults. It raises
    `VtbenchError` for a value that it cannot take. It connects to nothing: the executor does, when it is given work.
    The first line of its docstring is what `vtbench ls executors` shows.
    """


@hookspec
def vtbench_commands(app: click.Group) -> Any:
    """Add commands to the command line, e.g. `app.add_command(train)`. Keep heavy imports inside the command."""


@hookspec
def vtbench_report_sections() -> dict[str, Callable[[Path], str | None]]:  # type: ignore[empty-body]
    """Further parts of a run's report by name, e.g. a diagnosis.

    A part is called with the directory of a finished run, and returns HTML for a page that extends `page.html.jinja`
    (`vtbench.report.environment` makes templates that escape what they are given), or None where there is nothing to
    say. It is called after every run, so it must be quick. One that fails becomes a line of the report that says so.
    """


@hookspec
def vtbench_run_tables() -> dict[str, Callable[[Path, Mapping[str, Any]], Iterable[RenderableType]]]:  # type: ignore[empty-body]
    """Further parts of what `vtbench run` prints, by name.

    A part is called with a finished run's directory and what its results.json holds, and yields lines or `rich`
    renderables to print below the table of scores; nothing where it has nothing to say. One that fails becomes a line
    that says so.
    """
