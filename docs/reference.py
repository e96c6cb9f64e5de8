"""Write docs/cli.md and docs/task_keys.md from the code: `make reference`. A test says when they are out of date.

The text is made of declarations (options of commands, the schema of task files), and not of what `--help` prints,
whose line breaks depend on the version of click.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from vtbench import cli
from vtbench.registry import Registry
from vtbench.task.schema import json_schema

HOME = Path(__file__).parent
_MADE = "<!-- Made by docs/reference.py: run `make reference` after a change of the code. -->"
COMMANDS = """\
Every command, with every argument and option. `vtbench COMMAND --help` prints the same on the terminal. What stands in
square brackets at the end of a text is the default. Options may also be written with underscores, as lm-eval has them
(`--batch_size`).

Exit status: 0 done; 1 more samples failed than `--max-failed` allows, or a gate or check did not pass; 2 bad usage or
input; 130 interrupted. `vtbench --debug COMMAND` shows the traceback of an error."""
KEYS = """\
Every key that a task file may have, with its type and its default. [Write a task](task.md) shows them in use, and the
[JSON schema](task.schema.json) lets an editor complete them. A key that is not on this page is refused.

A task has its samples from one of three keys: `family` (drawn scenes), `data` (your own images and questions) or `mix`
(other tasks in turn)."""


def main() -> None:
    """Write both pages."""
    for name, text in pages().items():
        (HOME / name).write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """Return the text of each page by the name of its file."""
    return {"cli.md": "\n".join(command_lines()), "task_keys.md": "\n".join(key_lines(json_schema()))}


def command_lines() -> Iterator[str]:
    """Yield the lines of the page on the command line."""
    group = click.Group("vtbench", dict(cli.app.commands), params=cli.app.params)
    Registry().commands(group)
    yield from (_MADE, "# The command line", "")
    yield COMMANDS
    for name, command in sorted(group.commands.items()):
        yield from of_command(f"vtbench {name}", command)


def of_command(name: str, command: click.Command) -> Iterator[str]:
    """Yield the lines on one command, and on the commands in it."""
    yield from ("", f"## {name}", "")
    yield from (inspect.cleandoc((command.help or "").replace("\b\n", "")), "")
    context = click.Context(command)
    yield f"Usage: `{' '.join([name, *command.collect_usage_pieces(context)])}`"
    options = [option for option in command.params if isinstance(option, click.Option) and not option.hidden]
    if options:
        yield from ("", "| option | what it does |", "|---|---|")
        for option in options:
            yield f"| {option_text(option, context)} | {cell(option.help or '')} |"
    if isinstance(command, click.Group):
        for part, inner in sorted(command.commands.items()):
            yield from of_command(f"{name} {part}", inner)


def option_text(option: click.Option, context: click.Context) -> str:
    """Return the names of an option, and what it calls its value.

    >>> option = click.Option(["--limit", "-l"], metavar="N")
    >>> option_text(option, click.Context(click.Command("run")))
    '`--limit`, `-l` N'
    """
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts) if name.startswith("-"))
    value = "" if option.is_flag and not option.metavar else option.make_metavar(context)
    return f"{names} {cell(value)}".strip()


def cell(text: str) -> str:
    """Return a text as a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def key_lines(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the page on the keys of a task file."""
    parts = schema["$defs"]
    yield from (_MADE, "# Keys of a task file", "")
    yield KEYS
    yield from ("", "## The task", "")
    yield from key_table(schema["properties"], schema.get("required", ()))
    for name, about in (
        ("SceneSettings", "scene"),
        ("RelationSettings", "relations"),
        ("DataSpec", "data"),
        ("JoinSpec", "data.join"),
        ("PromptFormat", "formats"),
    ):
        yield from ("", f"## {about}", "")
        if about == "formats":
            yield "`formats` has a format by name: a text with placeholders, which is its `prompt`, or these keys."
        else:
            yield f"{cell(parts[name]['description'])} Keys below `{about}`:"
        yield ""
        yield from key_table(parts[name]["properties"], parts[name].get("required", ()))


def key_table(keys: Mapping[str, Any], required: Any) -> Iterator[str]:
    """Yield a table of keys."""
    yield from ("| key | type | default | what it says |", "|---|---|---|---|")
    for key, about in keys.items():
        default = "required" if key in required else default_text(about)
        yield f"| `{key}` | {cell(type_text(about))} | {default} | {cell(about.get('description', ''))} |"


def type_text(about: Mapping[str, Any]) -> str:
    """Return the type of a key in words.

    >>> type_text({"anyOf": [{"type": "string"}, {"type": "null"}]}), type_text({"type": "integer", "minimum": 1})
    ('text', 'whole number, at least 1')
    >>> type_text({"type": "array", "items": {"type": "number"}})
    'list of number'
    """
    if "$ref" in about:
        return "keys, below"
    if "enum" in about or "const" in about:
        return " or ".join(f"`{value}`" for value in about.get("enum", [about.get("const")]))
    if "anyOf" in about:
        kinds = [type_text(kind) for kind in about["anyOf"] if kind.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    kind = about.get("type")
    if kind == "array":
        if "prefixItems" in about:
            return f"list of {len(about['prefixItems'])}: each a {type_text(about['prefixItems'][0])}"
        return f"list of {type_text(about['items'])}" if about.get("items") else "list"
    if kind == "object":
        inner = about.get("additionalProperties")
        return f"{type_text(inner)} by name" if isinstance(inner, Mapping) else "mapping"
    words = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", None: "any"}
    bounds = {
        "minimum": "at least {}",
        "exclusiveMinimum": "above {}",
        "maximum": "at most {}",
        "exclusiveMaximum": "below {}",
    }
    limits = [text.format(about[bound]) for bound, text in bounds.items() if bound in about]
    return ", ".join([words[kind], *limits])


def default_text(about: Mapping[str, Any]) -> str:
    """Return the default of a key; long ones are named, not shown."""
    default = about.get("default")
    if default in (None, [], {}, ""):
        return "none"
    text = json.dumps(default, ensure_ascii=False)
    return f"`{cell(text)}`" if len(text) <= 90 else f"{len(default)} values"


if __name__ == "__main__":
    main()
