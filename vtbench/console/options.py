"""Options of a command from a settings dataclass: each field is declared once, and is one option with its help text."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from typing import Any, TypeVar, get_type_hints

import click

from vtbench.settings import help_texts

F = TypeVar("F", bound=Callable[..., Any])
BARE = "\0"
"""What an option that needs no value gives without one."""
_METAVARS: Mapping[Any, str] = {int: "N", float: "X"}


def option_name(field: str, flags: Mapping[str, str] | None = None) -> str:
    """Return the option of a field: `--batch-size` for `batch_size`, or what `flags` says."""
    return (flags or {}).get(field, "--" + field.replace("_", "-"))


def settings_options(
    settings: type,
    *,
    flags: Mapping[str, str] | None = None,
    metavars: Mapping[str, str] | None = None,
    multiple: Collection[str] = (),
    bare: Mapping[str, str] | None = None,
    aliases: Mapping[str, tuple[str, ...]] | None = None,
) -> Callable[[F], F]:
    """Return a decorator that gives a command one option for every field of a settings dataclass.

    An option gives None where it is left out, and else text, which `vtbench.settings.checked` reads as the field's
    type; a switch gives a bool.

    Args:
        settings: the dataclass.
        flags: options that are not named after their field, by field.
        metavars: what the help calls the values of an option, by field.
        multiple: fields whose option may be given several times.
        bare: fields whose option needs no value, with its metavar; without a value it gives `BARE`.
        aliases: further names of options that take a value, by field.
    """
    texts, kinds = help_texts(settings), get_type_hints(settings)

    def option(field: Any) -> Callable[[F], F]:
        name, text, default = option_name(field.name, flags), texts[field.name], field.default
        if field.name in (bare or {}):
            metavar = (bare or {})[field.name]
            return click.option(name, field.name, is_flag=False, flag_value=BARE, metavar=metavar, help=text)
        if kinds[field.name] in (bool, bool | None):
            switch = f"{name}/--no-{name[2:]}" if default or kinds[field.name] is not bool else name
            return click.option(switch, field.name, is_flag=True, default=None, help=text)
        if isinstance(default, tuple):
            default = ",".join(map(str, default))
        shown = f" [{default}]" if isinstance(default, str | int | float) and default != "" else ""
        metavar = (metavars or {}).get(field.name, _METAVARS.get(kinds[field.name], "TEXT"))
        names = (name, *(aliases or {}).get(field.name, ()), field.name)
        return click.option(*names, metavar=metavar, multiple=field.name in multiple, help=text + shown)

    def decorate(command: F) -> F:
        for field in reversed(fields(settings)):
            command = option(field)(command)
        return command

    return decorate
