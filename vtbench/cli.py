"""The command line: parse, then one call each.

Exit status: 0 done, 1 some samples failed beyond the allowed share (or answers differ with batch size), 2 bad usage or
input, 130 interrupted. Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

import vtbench
from vtbench.config import RunConfig, checked, docs, load, model_names
from vtbench.errors import VtbenchError
from vtbench.registry import Registry

if TYPE_CHECKING:
    from vtbench.console import Progress

F = TypeVar("F", bound=Callable[..., Any])
_AT_ALL = "\0"
_WITH_OR_WITHOUT = {"resume": "[RUN]", "budget_sweep": "[BUDGET,...]"}
"""Options that need no argument: without one they are `_AT_ALL`, that is true."""
_METAVARS = {
    "address": "HOST:PORT",
    "batch_size": "N|auto",
    "model_args": "K=V,...",
    **dict.fromkeys(("cpus_per_worker", "gpus_per_worker", "limit", "workers"), "N"),
}


def run_options(command: F) -> F:
    """Give a command one option for every field of `RunConfig`."""
    texts = docs()
    for field in reversed(fields(RunConfig)):
        name, text = "--" + field.name.replace("_", "-"), texts[field.name]
        if field.name in _WITH_OR_WITHOUT:
            metavar = _WITH_OR_WITHOUT[field.name]
            option = click.option(name, is_flag=False, flag_value=_AT_ALL, default=None, metavar=metavar, help=text)
        elif field.default is True:
            option = click.option(f"{name}/--no-{name[2:]}", default=None, help=text)
        elif field.default is False:
            option = click.option(name, is_flag=True, default=None, help=text)
        elif field.name in ("tasks", "metrics", "track"):
            option = click.option(name, multiple=True, metavar="NAME,...", help=text)
        else:
            metavar = _METAVARS.get(field.name, "TEXT")
            shown = "" if field.default in (None, "") or not isinstance(field.default, (str, float)) else field.default
            option = click.option(name, metavar=metavar, help=f"{text} [{shown}]" if shown != "" else text)
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(vtbench.__version__, prog_name="vtbench")
def app() -> None:
    """What a vision-language model answers, and what its visual tokens carry."""


@app.command()
@run_options
@click.option("--config", "file", metavar="RUN.YAML", help="Read the same fields from a file; flags win.")
@click.pass_obj
def run(registry: Registry, file: str | None, **flags: Any) -> int:
    """Run a model on tasks: `vtbench run --model llava --tasks relational`."""
    values, place = load(Path(file)) if file else ({}, {})
    given = {key: value for key, value in flags.items() if value not in (None, ())}
    for key in ("tasks", "metrics", "track"):
        if key in given:
            given[key] = ",".join(given[key])
    given |= {key: True for key in _WITH_OR_WITHOUT if given.get(key) == _AT_ALL}
    values |= given
    models = model_names(values.get("model"))
    values["model"] = models[0] if models else None
    config = checked(values, {key: name for key, name in place.items() if key not in given})
    if len(models) > 1:
        return _run_many(models, config, registry)
    if config.check_batching:
        from vtbench.check_batching import check_batching

        return check_batching(config, registry)
    from vtbench.console import Progress, show
    from vtbench.loop import run as run_loop

    progress = Progress()
    try:
        result = run_loop(config, registry=registry, listener=progress)
    except KeyboardInterrupt:
        _interrupted(progress)
        raise
    show(result, stderr=config.json)
    if config.budget or config.budget_sweep:
        from vtbench.budgets.showing import show as show_budgets

        show_budgets(result, stderr=config.json)
    if config.json:
        click.echo(json.dumps({"run": str(result.path), **result.document}, allow_nan=False))
    return result.exit_status


def _run_many(models: list[str], config: RunConfig, registry: Registry) -> int:
    """Run each model, and print their scores side by side."""
    from vtbench.beside import show_beside
    from vtbench.console import Progress
    from vtbench.many import run_many

    seen: list[Progress] = []

    def progress() -> Progress:
        seen.append(Progress())
        return seen[-1]

    def failing(model: str, why: str) -> None:
        click.echo(f"vtbench: model {model!r} failed: {why}", err=True)

    shared = {key: value for key, value in asdict(config).items() if key != "model"}
    try:
        found = run_many(models, registry=registry, listener=progress, failing=failing, **shared)
    except KeyboardInterrupt:
        if seen:
            _interrupted(seen[-1])
        raise
    show_beside(found, stderr=config.json)
    if config.json:
        click.echo(json.dumps(found.document, allow_nan=False))
    return found.exit_status


def _interrupted(progress: Progress) -> None:
    """Say what is kept, and how to go on."""
    if progress.path:
        click.echo(
            f"interrupted: {progress.done} of {progress.total} samples are kept in {progress.path}; "
            "the same command with --resume goes on",
            err=True,
        )


@app.group()
def ls() -> None:
    """List models, tasks, their formats, metrics, token budgets, executors, trackers, plugins or runs."""


def listing(rows: list[dict[str, Any]], as_json: bool) -> None:
    """Print rows as a JSON list, or in columns; None and empty cells are left blank."""
    if as_json:
        click.echo(json.dumps(rows, allow_nan=False))
        return
    texts = [["" if value is None else str(value) for value in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for cells in texts:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())


_as_json = click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")


@ls.command("models")
@_as_json
@click.pass_obj
def ls_models(registry: Registry, as_json: bool) -> None:
    """Adapters that --model takes."""
    found = registry.adapters().items()
    listing([{"name": name, "plugin": n.plugin.name, "about": n.summary} for name, n in found], as_json)


@ls.command("metrics")
@_as_json
@click.pass_obj
def ls_metrics(registry: Registry, as_json: bool) -> None:
    """Metrics that tasks and --metrics take."""
    found = registry.metrics().items()
    listing([{"name": name, "plugin": n.plugin.name, "about": n.summary} for name, n in found], as_json)


@ls.command("budgets")
@_as_json
@click.pass_obj
def ls_budgets(registry: Registry, as_json: bool) -> None:
    """Token budgets that --budget takes."""
    found = registry.budgets().items()
    listing([{"name": name, "plugin": n.plugin.name, "about": n.summary} for name, n in found], as_json)


@ls.command("executors")
@_as_json
@click.pass_obj
def ls_executors(registry: Registry, as_json: bool) -> None:
    """Executors that --executor takes."""
    found = registry.executors().items()
    listing([{"name": name, "plugin": n.plugin.name, "about": n.summary} for name, n in found], as_json)


@ls.command("trackers")
@_as_json
@click.pass_obj
def ls_trackers(registry: Registry, as_json: bool) -> None:
    """Trackers that --track takes."""
    found = registry.trackers().items()
    listing([{"name": name, "plugin": n.plugin.name, "about": n.summary} for name, n in found], as_json)


@ls.command("formats")
@_as_json
@click.pass_obj
def ls_formats(registry: Registry, as_json: bool) -> None:
    """Formats of tasks that --tasks takes as FORMAT:FILE, beside vtbench's own."""
    found = registry.task_sources().items()
    listing([{"name": name, "plugin": n.plugin.name, "about": n.summary} for name, n in found], as_json)


@ls.command("tasks")
@_as_json
@click.pass_obj
def ls_tasks(registry: Registry, as_json: bool) -> None:
    """Tasks that --tasks takes."""
    from vtbench.catalog import find_task_files, summary

    rows = []
    for name, path in find_task_files(registry.task_dirs()).items():
        about = summary(path)
        row = {"name": name, "groups": about["groups"] if as_json else ",".join(about["groups"])}
        rows.append(row | {"about": about.get("description")} | ({"file": str(path)} if as_json else {}))
    listing(rows, as_json)


@ls.command("plugins")
@_as_json
@click.pass_obj
def ls_plugins(registry: Registry, as_json: bool) -> None:
    """Plugins, the broken ones too."""
    registry.adapters(), registry.metrics(), registry.task_dirs()  # what breaks only when asked shows here
    registry.task_sources(), registry.trackers()
    rows = []
    for plugin in registry.plugins():
        rows.append(asdict(plugin))
    listing(rows, as_json)


@ls.command("runs")
@click.option("--output", default="results", help="Directory of runs. [results]")
@_as_json
def ls_runs(output: str, as_json: bool) -> None:
    """Runs, newest first."""
    from vtbench.stored import runs

    rows = []
    for found in runs(Path(output)):
        samples = sum(task["samples"] for task in found["tasks"].values())
        state = "done" if found.get("finished") else "unfinished"
        rows.append({"run": found["path"], "model": found["config"]["model"], "samples": samples, "state": state})
    listing(rows, as_json)


@app.command()
@click.argument("task", required=False)
@click.option("--schema", is_flag=True, help="Print the JSON schema of task files instead, for editors.")
@click.option("--allow-code", is_flag=True, help="Run the Python code that an imported task names.")
@click.pass_obj
def validate(registry: Registry, task: str | None, schema: bool, allow_code: bool) -> None:
    """Check a task file, or FORMAT:FILE: its keys, its metrics, and its first samples."""
    if schema:
        from vtbench.task import json_schema

        click.echo(json.dumps(json_schema(), indent=2))
        return
    if task is None:
        raise click.UsageError("name a task file, or ask for --schema")
    from vtbench.config import RunConfig as Config
    from vtbench.selection import load_tasks

    (loaded,), _ = load_tasks(Config(model="", tasks=[task], allow_code=allow_code), registry)
    for index in range(min(8, len(loaded))):
        loaded.sample(index)
    sample = loaded.sample(0)
    click.echo(f"{task}: fine. {loaded.name} version {loaded.version}, {len(loaded)} samples, split {loaded.split}")
    click.echo(f"first question: {sample.prompt}\nfirst answer:   {sample.target}")


@app.command()
@click.argument("run", metavar="RUN")
@click.argument("others", nargs=-1, metavar="[RUN]...")
@click.pass_obj
def report(registry: Registry, run: str, others: tuple[str, ...]) -> None:
    """Write report.html of a run again, from what it stored, with the scores of other runs beside its own."""
    from vtbench.report import render
    from vtbench.store import write_file

    page = render(Path(run), [Path(other) for other in others], registry.report_sections())
    click.echo(write_file(Path(run) / "report.html", page))


@app.command()
@click.argument("what", type=click.Choice(["adapter", "task"]))
@click.argument("name")
@click.option("--output", default=".", help="Where to write it. [.]")
def init(what: str, name: str, output: str) -> None:
    """Write a working skeleton: an adapter's package with its test, or a task file."""
    from vtbench.skeletons import write_skeleton

    for line in write_skeleton(what, name, Path(output)):
        click.echo(line)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(status(arguments))


def status(arguments: list[str] | None = None, registry: Registry | None = None) -> int:
    """Run the command line and return its exit status; `registry` takes the place of the installed plugins."""
    try:
        registry = registry or Registry()
        group = click.Group(app.name, dict(app.commands), params=app.params, help=app.help, **_settings())
        registry.commands(group)
        result = group.main(arguments, prog_name="vtbench", standalone_mode=False, obj=registry)
        return result if isinstance(result, int) else 0
    except VtbenchError as error:
        message = " ".join(str(error).split())
    except click.ClickException as error:
        message = error.format_message()
        if isinstance(error, click.exceptions.NoArgsIsHelpError):
            error.show()
            return 2
        context = getattr(error, "ctx", None)
        message += f" (`{context.command_path} --help` shows the usage)" if context else ""
    except click.exceptions.Exit as exit:
        return exit.exit_code
    except (KeyboardInterrupt, click.Abort):
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has left: nothing more to say
        return 0
    click.echo(f"vtbench: {message}", err=True)
    return 2


def _settings() -> dict[str, Any]:
    return {"context_settings": app.context_settings, "no_args_is_help": True}
