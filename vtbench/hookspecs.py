"""The hooks of a plugin, which are the whole plugin contract.

A plugin is a package with an entry point in the group `vtbench` that names a module (or object) with any of these
hooks, marked with `@vtbench.hookimpl`. vtbench's own adapters, metrics and scene families register in the same way.
Registering must be cheap: a hook returns factories by name, and a factory imports its backend when it is called.
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
    default) if its signature has them. `vtbench ls models` shows the first line of its docstring. It raises
    `AdapterError` for a checkpoint that cannot be used. It imports its backend when it is called; an optional attribute
    `requires` names the packages that it will import, so that vtbench reports a missing one before any work.
    Another, `matrix`, is a function that returns what was tried with each of its model types, as rows of equal columns,
    and a line of totals: `vtbench ls models --matrix` prints them.
    """


@hookspec
def vtbench_metrics() -> dict[str, Callable[..., Metric]]:  # type: ignore[empty-body]
    """Metrics by name, as a task's `metrics:` and `--metrics NAME:setting=value` take them.

    A factory's parameters are the settings, with defaults. It raises `VtbenchError` for an invalid value. `vtbench ls
    metrics` shows the first line of its docstring.
    """


@hookspec
def vtbench_budgets() -> dict[str, Callable[..., Budget]]:  # type: ignore[empty-body]
    """Token budgets by name, as `--budget NAME:setting=value,...` takes them.

    A factory's parameters are the settings. It raises `VtbenchError` for an invalid value. `vtbench ls budgets` shows
    the first line of its docstring.
    """


@hookspec
def vtbench_task_dirs() -> list[Path]:  # type: ignore[empty-body]
    """Directories of task files (`*.yaml`), in addition to the built-in ones."""


@hookspec
def vtbench_task_sources() -> dict[str, Callable[..., Task]]:  # type: ignore[empty-body]
    """Loaders of tasks in other formats by prefix: `--tasks PREFIX:WHERE` calls the loader with WHERE.

    It takes three keyword arguments: `split` and `seed` (None if not given), and `allow_code`, whether code that the
    task names may run. It returns the task, ready to make samples, or raises `TaskError`. A task may bring its own
    metrics (`vtbench.metric.TaskWithMetrics`). The first line of the loader's docstring says what it reads.
    """


@hookspec
def vtbench_scene_families() -> dict[str, FamilyFactory]:  # type: ignore[empty-body]
    """Scene families by name, as a task file's `family:` names them.

    A factory takes no arguments and returns a `vtbench.scenes.family.SceneFamily`. `vtbench ls families` shows the
    first line of its docstring.
    """


@hookspec
def vtbench_trackers() -> dict[str, Callable[..., Tracker]]:  # type: ignore[empty-body]
    """Trackers of experiments by name, as `--track NAME:setting=value` takes them.

    A factory's parameters are the settings. It is called before a run begins: it imports the tracker's package, and
    raises `VtbenchError` if publishing would fail (without a login, for example).
    """


@hookspec
def vtbench_executors() -> dict[str, Callable[..., Executor]]:  # type: ignore[empty-body]
    """Executors by name, as `--executor NAME:setting=value` takes them: where a run's model answers.

    A study's models are trained there too. A factory's parameters are the settings, with defaults. It raises
    `VtbenchError` for an invalid value. It opens no connection: the executor does, when it gets work. `vtbench ls
    executors` shows the first line of its docstring.
    """


@hookspec
def vtbench_commands(app: click.Group) -> Any:
    """Add commands to the command line, e.g. `app.add_command(train)`. Keep heavy imports inside the command."""


@hookspec
def vtbench_report_sections() -> dict[str, Callable[[Path], str | None]]:  # type: ignore[empty-body]
    """Further sections of a run's report by name, for example a diagnosis.

    A section is a function of a finished run's directory. It returns HTML for a page that extends `page.html.jinja`
    (`vtbench.report.environment` makes templates that escape their values), or None to leave the section out. It is
    called after every run, so it must be fast. If it fails, the report says so in one line.
    """


@hookspec
def vtbench_scores() -> dict[str, str]:  # type: ignore[empty-body]
    """What the scores of this plugin are, by name: a sentence each. Capitals in a name stand for any text (`rs_LAYER`).

    Pages link each score to its sentence.
    """


@hookspec
def vtbench_flags() -> dict[str, str]:  # type: ignore[empty-body]
    """What the flags of this plugin's scores mean, by flag: a sentence that says what to do about it.

    `vtbench run` prints those of its scores below the table, the report shows them, and `vtbench compare --fail-on`
    takes their names.
    """


@hookspec
def vtbench_run_tables() -> dict[str, Callable[[Path, Mapping[str, Any]], Iterable[RenderableType]]]:  # type: ignore[empty-body]
    """Further tables that `vtbench run` prints, by name.

    A table is a function of a finished run's directory and the content of its results.json. It yields the lines or
    `rich` renderables to print below the table of scores, possibly none. Text is literal: markup is `rich.text.Text`'s
    styles, not `[red]`. If it fails, one line says so.
    """
