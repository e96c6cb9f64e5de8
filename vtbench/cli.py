"""The command line: each command parses its arguments and makes one library call.

Exit status: 0 done, 1 more samples failed than allowed (or answers differ with batch size), 2 bad usage or input, 130
interrupted. A command imports its backend when it runs.
"""

from __future__ import annotations

import io
import json
import os
import select
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import click
from annotated_types import Ge, Le
from click.shell_completion import shell_complete

from vtbench.config import LISTS, RunConfig, checked, expanded, load, model_names
from vtbench.console.harness_options import (
    ALIASES,
    HarnessCommand,
    check_harness_values,
    harness_options,
    with_gen_kwargs,
)
from vtbench.console.json_document import json_only, say_json, send_output_to_errors
from vtbench.console.options import BARE, settings_options
from vtbench.console.tables import show_listing
from vtbench.console.terminal import say, single_line, warn
from vtbench.errors import TaskError, VtbenchError, one_line
from vtbench.plugin import KINDS, Kind
from vtbench.registry import Registry
from vtbench.settings import check_value, parse_settings

if TYPE_CHECKING:
    from vtbench.console.progress import Progress

F = TypeVar("F", bound=Callable[..., Any])
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


def _hyphens(name: str) -> str:
    """Return an option as it is declared: `--model_args`, as lm-eval writes it, is `--model-args`."""
    return name.replace("_", "-")


@click.group(
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 110,
        "token_normalize_func": _hyphens,
    }
)
@click.version_option(package_name="vtbench", prog_name="vtbench")
@click.option("--debug", is_flag=True, help="Show the traceback of an error, and of a plugin that cannot be used.")
def app(debug: bool) -> None:
    """What a vision-language model answers, and what its visual tokens carry."""


@app.command(cls=HarnessCommand)
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
        say(f"vtbench: model {model!r} failed: {single_line(_without_secrets(why))}", err=True)

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


@app.group()
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


@app.command()
@click.argument("task", required=False)
@click.option("--schema", is_flag=True, help="Print the JSON schema of task files instead, for editors.")
@click.option("--allow-code", is_flag=True, help="Run the Python code that an imported task names.")
@click.pass_obj
def validate(registry: Registry, task: str | None, schema: bool, allow_code: bool) -> None:
    """Check a task file, FORMAT:FILE, or all tasks of a group or glob: keys, metrics, and the first samples."""
    if schema:
        from vtbench.task.schema import json_schema

        say(json.dumps(json_schema(), indent=2))
        return
    if task is None:
        raise click.UsageError("name a task file, or ask for --schema")
    from vtbench.engine.setup import RunPlan
    from vtbench.task.checking import row_problems

    found = RunPlan.resolve(RunConfig(model="", tasks=[task], allow_code=allow_code), registry).tasks
    for loaded in found:
        if problems := row_problems(loaded):
            rest = len(problems) - 1
            more = f"; {rest} more row{'s have faults' if rest > 1 else ' has a fault'}" if rest else ""
            raise TaskError(f"{problems[0]}{more}")
        for index in range(min(8, len(loaded))):
            loaded.sample(index)
        sample, name = loaded.sample(0), task if len(found) == 1 else loaded.name
        say(f"{name}: fine. {loaded.name} version {loaded.version}, {len(loaded)} samples, split {loaded.split}")
        say(f"first question: {sample.prompt}\nfirst answer:   {sample.target}")


@app.command()
@click.argument("name")
@click.option("--kind", type=click.Choice(["task", *KINDS]), help="What NAME is, where several have it. [task]")
@click.option("--format", "prompt_format", metavar="NAME", help="Prompt format; by default `instruct`, as most models.")
@click.option("--n", "count", default="4", metavar="N", help="Number of items of each task. [4]")
@click.option("--fewshot", metavar="N", help="Questions of the split `train` with their answers before each.")
@click.option("--fewshot-as-multiturn/--no-fewshot-as-multiturn", default=True, help="As turns of a chat.")
@click.option("--system", metavar="TEXT", help="System prompt before every question.")
@click.option("--split", metavar="TEXT", help="Split, overriding the task file.")
@click.option("--seed", metavar="TEXT", help="Seed, overriding the task file.")
@click.option("--allow-code", is_flag=True, help="Run the Python code that an imported task names.")
@click.option(
    "--output", default="contact-sheet.png", metavar="SHEET.PNG", help="Where the images go. [contact-sheet.png]"
)
@click.pass_obj
def show(registry: Registry, name: str, kind: str | None, count: str, output: str, **flags: Any) -> None:
    """Print the items of a task and write a contact sheet, or print the settings of a model, metric or other plugin."""
    from vtbench.console.shown_plugin import kind_of, plugin_lines

    kind = kind or kind_of(name, registry)
    if kind == "task":
        _show_items(registry, name, count, output, flags)
        return
    for line in plugin_lines(KINDS[kind], name, registry.find(kind, name)):
        say(line)


def _show_items(registry: Registry, task: str, count: str, output: str, flags: Mapping[str, Any]) -> None:
    from vtbench.adapter import Traits
    from vtbench.console.shown_items import item_lines, write_sheet
    from vtbench.engine.setup import RunPlan

    sheet = Path(expanded(output, "--output"))
    if sheet.suffix.lower() != ".png":
        raise VtbenchError(f"--output: {output}: a contact sheet is a PNG image; give it a name that ends in .png")
    each = check_value(Annotated[int, Ge(1), Le(100)], count, "--n")
    given = {key: value for key, value in flags.items() if value is not None}
    config = checked({"model": "show", "tasks": [task], **given}, {"prompt_format": "--format", "tasks": "TASK"})
    items = []
    for asked in RunPlan.resolve(config, registry).for_model(Traits()).tasks:
        for index in range(min(each, len(asked))):
            items.append(asked.sample(index))
            for line in item_lines(asked, items[-1], len(items), config.system):
                say(line)
            say("")
    say(f"written  {write_sheet(items, sheet)}")


@app.command()
@click.argument("model", required=False)
@click.option("--model-args", default="", metavar="K=V,...", help="Arguments of the model.")
@click.option("--device", default="auto", metavar="TEXT", help="Where the model runs. [auto]")
@click.option("--dtype", default="float32", metavar="TEXT", help="Of its weights; narrow ones round. [float32]")
@click.option("--metric", metavar="NAME", help="Check a metric instead: NAME or NAME:setting=value.")
@click.option("--budget", metavar="NAME", help="Check a token budget instead.")
@click.option("--executor", metavar="NAME", help="Check an executor instead.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
@click.pass_obj
def check(registry: Registry, model_args: str, device: str, dtype: str, as_json: bool, **named: str | None) -> int:
    """Check that a plugin keeps the contract: `vtbench check MODEL`, or `--metric NAME`."""
    from vtbench.console.check_lines import show_checks
    from vtbench.testing import named_checks

    given = [(kind, spec) for kind, spec in named.items() if spec]
    if len(given) != 1:
        raise click.UsageError("name one thing to check: MODEL, --metric, --budget or --executor")
    ((kind, spec),) = given
    checks = named_checks(registry, kind, spec, parse_settings(model_args), device, dtype)
    return show_checks(f"{kind} {spec!r}", checks, as_json)


@app.command()
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


@app.command()
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


@app.command()
@click.argument("what", type=click.Choice(["adapter", "metric", "task"]))
@click.argument("name")
@click.option("--output", default=".", help="Where to write it. [.]")
@click.pass_obj
def init(registry: Registry, what: str, name: str, output: str) -> None:
    """Write a template that works: a package with an adapter or a metric and its test, or a task file."""
    from vtbench.templates import write_template

    for line in write_template(what, name, Path(output), registry):
        say(line)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    # What Pillow warns of is a failed sample with its reason, or changes no pixel.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without Unicode gets escapes, not an exception
    arguments = sys.argv[1:] if arguments is None else arguments
    ended = status(arguments)
    if "--json" in arguments:
        send_output_to_errors()
    sys.exit(ended)


def status(arguments: list[str] | None = None, registry: Registry | None = None) -> int:
    """Run the command line and return its exit status; `registry` replaces the installed plugins."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        ended = _status(arguments, registry, debug="--debug" in arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        if not _reader_gone():  # the pipe of a subprocess or a connection: not ours to hide
            raise
        return 0
    return ended


def _status(arguments: list[str], registry: Registry | None, debug: bool) -> int:
    try:
        with json_only("--json" in arguments):
            return _invoked(arguments, registry or Registry(debug=debug))
    except (VtbenchError, EOFError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        if debug:
            say(_without_secrets("".join(traceback.format_exception(error))).rstrip(), err=True)
        message = _message(error)
    except click.ClickException as error:
        message = error.format_message()
        if isinstance(error, click.exceptions.NoArgsIsHelpError):
            error.show()
            return 2
        where = getattr(error, "ctx", None)
        message += f" (`{where.command_path} --help` shows the usage)" if where else ""
    except click.exceptions.Exit as exit:
        return exit.exit_code
    except (KeyboardInterrupt, click.Abort):
        return 130
    say(f"vtbench: {single_line(_without_secrets(message))}", err=True)
    return 2


def _invoked(arguments: list[str], registry: Registry) -> int:
    """Run the command that the arguments name, of vtbench or of a plugin, and return its exit status."""
    group = click.Group(app.name, dict(app.commands), params=app.params, help=app.help, callback=app.callback)
    group.context_settings, group.no_args_is_help = app.context_settings, True
    registry.commands(group)
    if instruction := os.environ.get("_VTBENCH_COMPLETE"):
        return shell_complete(group, {}, "vtbench", "_VTBENCH_COMPLETE", instruction)
    # not `group.main`, which ends a broken pipe with status 1, and the end of any file with status 130
    with group.make_context("vtbench", list(arguments), obj=registry) as context:
        result = group.invoke(context)
    return result if isinstance(result, int) else 0


def _without_secrets(message: str) -> str:
    """Return a message without the environment's keys, and without what has the form of one."""
    from vtbench.runs.secrets import SecretFilter, environment_secrets, mask

    return mask(SecretFilter(environment_secrets())(message))


def _message(error: BaseException) -> str:
    """Return the line of an error that ends a command: what the operating system refuses is no bug of ours."""
    if isinstance(error, EOFError):
        return f"a file or stream ended before its data did: {one_line(error)}; --debug shows the traceback"
    if isinstance(error, OSError):
        what = error.strerror or str(error) or type(error).__name__
        return f"{error.filename}: {what}" if error.filename is not None else f"{what}; --debug shows the traceback"
    return str(error)


def _reader_gone() -> bool:
    """Return whether whoever read our output has closed it, as `| head` does; nothing more is then written to it."""
    gone = False
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # a stream without a descriptor
            watch = select.poll()
            watch.register(stream.fileno(), 0)
            if watch.poll(0):
                gone = True
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # Python flushes once more when it exits
    return gone
