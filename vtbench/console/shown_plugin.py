"""What `vtbench show` prints of a model, a metric or another thing of a plugin: what it is, and its settings."""

from __future__ import annotations

import inspect
import re
import shutil
import textwrap
from collections.abc import Iterator
from typing import Any

from vtbench.console.terminal import single_line
from vtbench.errors import VtbenchError, nearest
from vtbench.plugin import KINDS, Kind, Named
from vtbench.registry import Registry
from vtbench.settings import help_texts
from vtbench.task.catalog import find_task_files, summary

_NO_NAME = re.compile(r"[*?\[/:.]")
"""What is in a glob, a path and FORMAT:FILE, and in no name."""
_ARGUMENT = re.compile(r"(\w+): (.*)")


def kind_of(name: str, registry: Registry) -> str:
    """Return what a name is of, `task` or a key of `KINDS`; a task stands before the others.

    Raises:
        VtbenchError: nothing has this name; the message has the closest names of all kinds.
    """
    files = find_task_files(registry.task_dirs())
    tasks = {*files, *(group for file in files.values() for group in summary(file)["groups"])}
    if name in tasks or _NO_NAME.search(name) or not name:
        return "task"
    kinds = {each: kind for kind in reversed([*KINDS]) for each in registry.named(kind)}
    if name in kinds:
        return kinds[name]
    near = nearest(name, sorted({*tasks, *kinds}), "vtbench ls")
    raise VtbenchError(f"no task, model, metric or other plugin is called {name!r}.{near}{registry.broken_note(name)}")


def plugin_lines(kind: Kind, name: str, named: Named) -> Iterator[str]:
    """Yield the lines of one thing, for 80 columns or the width of the terminal.

    Args:
        kind: what it is.
        name: of the thing.
        named: its factory, which is not called.
    """
    width = shutil.get_terminal_size((80, 24)).columns - 1
    about, told = _documented(named.factory)
    told |= _declared(named.factory)
    settings = named.own_settings if kind.usage_settings else {}
    plugin = named.plugin
    yield f"{name}: {kind.name} of the plugin {plugin.name}, {plugin.distribution} {plugin.version}"
    yield from textwrap.wrap(about, width, initial_indent="  ", subsequent_indent="  ")
    yield ""
    yield f"  {kind.usage.format(name=name)}" + kind.usage_settings * bool(settings or named.takes_others)
    if kind.usage_settings:
        yield ""
    if not settings and not named.takes_others and kind.usage_settings:
        yield "  no settings"
    indent = " " * 6
    for key, parameter in settings.items():
        yield f"  {key}  {_default(parameter)}".rstrip()
        yield from textwrap.wrap(single_line(told.get(key, "")), width, initial_indent=indent, subsequent_indent=indent)
    if named.takes_others and kind.usage_settings:
        yield "  and others, which it checks itself"


def _default(parameter: inspect.Parameter) -> str:
    if parameter.default is inspect.Parameter.empty:
        return "(needed)"
    return "" if parameter.default in (None, "") else f"[{_written(parameter.default)}]"


def _written(value: Any) -> str:
    """Return a value as a spec writes it."""
    return str(value).lower() if isinstance(value, bool) else single_line(str(value))


def _declared(factory: Any) -> dict[str, str]:
    """Return the help texts of the settings dataclass that a factory takes."""
    settings = getattr(factory, "settings", None)
    return help_texts(settings) if isinstance(settings, type) else {}


def _documented(factory: Any) -> tuple[str, dict[str, str]]:
    """Return what a docstring says before its first section, and the texts of its arguments, Google style."""
    before, _, rest = (inspect.getdoc(factory) or "").partition("\nArgs:\n")
    about = re.split(r"\n(?:Returns|Raises|Yields):\n", before)[0]
    told: dict[str, str] = {}
    last = ""
    for line in rest.splitlines():
        if line and not line.startswith("    "):
            break
        if not line.startswith("     ") and (match := _ARGUMENT.match(line.strip())):
            last = match[1]
            told[last] = match[2]
        elif last:
            told[last] += " " + line.strip()
    return " ".join(about.split()), told
