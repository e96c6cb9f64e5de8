"""The commands for those who write tasks and plugins: `init`, `validate`, `show`, `check`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import click
from annotated_types import Ge, Le

from vtbench.config import RunConfig, checked, expanded
from vtbench.console.terminal import say
from vtbench.errors import TaskError, VtbenchError
from vtbench.plugin import KINDS
from vtbench.registry import Registry
from vtbench.settings import check_value, parse_settings


@click.command()
@click.argument("what", type=click.Choice(["adapter", "metric", "task"]))
@click.argument("name")
@click.option("--output", default=".", help="Where to write it. [.]")
@click.pass_obj
def init(registry: Registry, what: str, name: str, output: str) -> None:
    """Write a template that works: a package with an adapter or a metric and its test, or a task file."""
    from vtbench.templates import write_template

    for line in write_template(what, name, Path(output), registry):
        say(line)


@click.command()
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


@click.command()
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


@click.command()
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
