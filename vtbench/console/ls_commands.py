"""The commands `vtbench ls ...`: tasks, runs, plugins, and everything that plugins bring."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from vtbench.config import expanded
from vtbench.console.listing import show_listing
from vtbench.console.terminal import say
from vtbench.plugin import KINDS, Kind
from vtbench.registry import Registry


@click.group()
def ls() -> None:
    """List tasks, runs, plugins, and everything that plugins bring."""


_as_json = click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")


def _list_kind(kind: str, registry: Registry, as_json: bool) -> None:
    found = registry.named(kind).items()
    show_listing([{"name": name, "plugin": n.plugin.name, "about": n.summary} for name, n in found], as_json)


def _kind_command(kind: Kind) -> click.Command:
    """Return the command `vtbench ls` uses for a kind of plugin object."""

    def show(registry: Registry, as_json: bool) -> None:
        _list_kind(kind.name, registry, as_json)

    return click.command(kind.listing, help=kind.about)(_as_json(click.pass_obj(show)))


for _kind in KINDS.values():
    ls.add_command(_kind_command(_kind))


@ls.command("models", help=f"{KINDS['model'].about} With --matrix: what was tried with every model type.")
@click.option("--matrix", is_flag=True, help="Print what each model type of a backend can do, as it was tried out.")
@_as_json
@click.pass_obj
def ls_models(registry: Registry, matrix: bool, as_json: bool) -> None:
    """Models, or the model types that were tried."""
    if not matrix:
        _list_kind("model", registry, as_json)
        return
    factories = (named.factory for named in registry.named("model").values())
    listings = [factory.matrix() for factory in factories if hasattr(factory, "matrix")]
    if as_json:
        show_listing([row for rows, _ in listings for row in rows], as_json)
        return
    for rows, totals in listings:
        show_listing([{name: name for name in rows[0]}, *rows], as_json)
        say(totals)


@ls.command("tasks")
@_as_json
@click.pass_obj
def ls_tasks(registry: Registry, as_json: bool) -> None:
    """Tasks that --tasks takes, with their items, split and metrics."""
    from vtbench.console.task_listing import listing_lines, task_rows
    from vtbench.task.catalog import find_task_files

    rows = task_rows(find_task_files(registry.task_dirs()))
    if as_json:
        show_listing(rows, as_json)
        return
    for line in listing_lines(rows):
        say(line)


@ls.command("plugins")
@_as_json
@click.pass_obj
def ls_plugins(registry: Registry, as_json: bool) -> None:
    """Installed plugins, including those that failed to load."""
    show_listing([asdict(plugin) for plugin in registry.probe()], as_json)


@ls.command("runs")
@click.option("--output", default="results", help="Directory of runs. [results]")
@_as_json
def ls_runs(output: str, as_json: bool) -> None:
    """Runs, newest first, with the first score of each task."""
    from vtbench.console.run_listing import run_lines, run_rows

    rows = run_rows(Path(expanded(output, "--output")), lambda path, why: say(f"vtbench: left out {why}", err=True))
    if as_json:
        show_listing(rows, as_json)
        return
    for line in run_lines(rows):
        say(line)
