"""The commands that make runs and what is made of their records: `run`, `rescore`, `report`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vtbench.config import LISTS, RunConfig, checked, load, model_names
from vtbench.console.harness_options import (
    ALIASES,
    HarnessCommand,
    check_harness_values,
    harness_options,
    with_gen_kwargs,
)
from vtbench.console.json_document import json_only, say_json
from vtbench.console.options import BARE, settings_options
from vtbench.console.terminal import say, single_line, warn
from vtbench.registry import Registry
from vtbench.runs.secrets import without_secrets

if TYPE_CHECKING:
    from vtbench.console.progress import Progress

_METAVARS = {
    "batch_size": "N|auto",
    "budget": "NAME",
    "cache": "DIR",
    "data_parallel": "N",
    "executor": "NAME",
    "limit": "N",
    "max_new_tokens": "N",
    "output": "DIR",
    **dict.fromkeys(("model_args", "gen", "chat_template_args"), "K=V,..."),
}
_OPTIONAL_VALUE = {"resume": "[RUN]", "budget_sweep": "[BUDGET,...]"}
"""Options that need no value: without one they are true."""
run_options = settings_options(
    RunConfig,
    metavars={**dict.fromkeys(LISTS, "NAME,..."), **_METAVARS},
    multiple=LISTS,
    bare=_OPTIONAL_VALUE,
    aliases=ALIASES,
)


@click.command(cls=HarnessCommand)
@run_options
@harness_options
@click.option("--config", "file", metavar="RUN.YAML", help="Read the same fields from a file; flags override it.")
@click.pass_obj
def run(registry: Registry, file: str | None, gen_kwargs: str | None, **flags: Any) -> int:
    """Run a model on tasks: `vtbench run --model llava --tasks relational`."""
    from vtbench.engine.allocator import keep_freed_memory

    keep_freed_memory()
    values, origin = load(Path(file)) if file else ({}, {})
    given = {key: value for key, value in flags.items() if value not in (None, ())}
    for key in LISTS:
        if key in given:
            given[key] = ",".join(given[key])
    given |= {key: True for key in _OPTIONAL_VALUE if given.get(key) == BARE}
    given = with_gen_kwargs(given, gen_kwargs)
    check_harness_values(given)
    values |= given
    models = model_names(values.get("model"))
    values["model"] = models[0] if models else None
    config = checked(values, {key: name for key, name in origin.items() if key not in given})
    with json_only(config.json):
        return _run_many(models, config, registry) if len(models) > 1 else _run_one(config, registry)


def _run_one(config: RunConfig, registry: Registry) -> int:
    """Run one model, and print its scores."""
    if config.check_batching:
        from vtbench.engine.batch_invariance import check_batching

        return check_batching(config, registry)
    from vtbench.console.progress import Progress
    from vtbench.console.tables import show_plugin_tables, show_scores
    from vtbench.engine.loop import run as run_loop

    progress = Progress()
    try:
        result = run_loop(config, registry=registry, listener=progress)
    except KeyboardInterrupt:
        _interrupted(progress)
        raise
    show_scores(result, config.json, registry.flags())
    show_plugin_tables(registry.run_tables(), result, stderr=config.json)
    if config.json:
        say_json({"run": str(result.path), **result.document})
    return result.exit_status


def _run_many(models: list[str], config: RunConfig, registry: Registry) -> int:
    """Run each model, and print their scores side by side."""
    from vtbench.console.model_table import show_models
    from vtbench.console.progress import Progress
    from vtbench.engine.multi_model import run_many

    seen: list[Progress] = []

    def progress() -> Progress:
        seen.append(Progress())
        return seen[-1]

    def failing(model: str, why: str) -> None:
        say(f"vtbench: model {model!r} failed: {single_line(without_secrets(why))}", err=True)

    shared = {key: value for key, value in asdict(config).items() if key != "model"}
    try:
        found = run_many(models, registry=registry, listener=progress, failing=failing, **shared)
    except KeyboardInterrupt:
        if seen:
            _interrupted(seen[-1])
        raise
    show_models(found, config.json, registry.flags())
    if config.json:
        say_json(found.document)
    return found.exit_status


def _interrupted(progress: Progress) -> None:
    """Print where the finished samples are, and how to resume."""
    if progress.path:
        say(
            f"interrupted: {progress.done} of {progress.total} samples are kept in {progress.path}; "
            "the same command with --resume continues",
            err=True,
        )


@click.command()
@click.argument("run", metavar="RUN")
@click.argument("others", nargs=-1, metavar="[RUN]...")
@click.pass_obj
def report(registry: Registry, run: str, others: tuple[str, ...]) -> None:
    """Write report.html of a run again from its stored records, with the scores of other runs beside its own."""
    from vtbench.report import render
    from vtbench.runs.disk import write_file

    page = render(
        Path(run),
        [Path(other) for other in others],
        registry.report_sections(),
        warn=warn,
        flags=registry.flags(),
        scores=registry.scores(),
    )
    say(write_file(Path(run) / "report.html", page))


@click.command()
@click.argument("run", metavar="RUN")
@click.option("--metrics", metavar="NAME,...", help="Instead of the run's own; +NAME adds one to those of its tasks.")
@click.option("--output", metavar="DIR", help="Directory for the rescored run. [that of RUN]")
@click.option("--in-place", is_flag=True, help="Change RUN itself.")
@click.option("--allow-code", is_flag=True, help="Run the Python code that an imported task names.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
@click.pass_obj
def rescore(registry: Registry, run: str, metrics: str | None, output: str | None, as_json: bool, **how: bool) -> int:
    """Score the stored answers of a run again, without its model."""
    from vtbench.console.progress import Progress
    from vtbench.console.tables import show_plugin_tables, show_scores
    from vtbench.engine.rescore import rescore as score_again

    result = score_again(Path(run), metrics, output, registry=registry, listener=Progress(), **how)
    if result is None:
        return 0
    show_scores(result, as_json, registry.flags())
    show_plugin_tables(registry.run_tables(), result, stderr=as_json)
    if as_json:
        say_json({"run": str(result.path), **result.document})
    return result.exit_status
