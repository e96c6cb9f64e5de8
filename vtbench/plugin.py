"""What names a plugin and the things it brings: `Plugin`, `Named`, their kinds, and the grammar that asks for one.

One grammar names metrics, token budgets, executors and trackers alike: `NAME` or `NAME:key=value,key=value`, for
example `redundancy:m=16` or `grid:k=32`. `parse_spec` reads it; `vtbench.registry.Registry.create` makes the thing.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from vtbench.errors import VtbenchError


@dataclass(frozen=True, slots=True)
class Plugin:
    """Where a plugin comes from, and why it cannot be used if it cannot."""

    name: str
    distribution: str
    version: str
    source: str
    """The module that the entry point names."""
    error: str | None = None

    def __str__(self) -> str:
        return f"plugin {self.name!r} of {self.distribution} {self.version}"


@dataclass(frozen=True, slots=True)
class Named:
    """A factory and the plugin that brought it."""

    factory: Callable[..., Any]
    plugin: Plugin

    @property
    def summary(self) -> str:
        """The first line of the factory's docstring."""
        return (inspect.getdoc(self.factory) or "").partition("\n")[0]

    @property
    def settings(self) -> Mapping[str, inspect.Parameter]:
        """The factory's parameters, which are the settings that a spec may give."""
        return inspect.signature(self.factory).parameters


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of thing that plugins bring. All kinds are found, listed, created and refused in the same way."""

    name: str
    """How errors call one, e.g. `metric`."""
    hook: str
    """The hook that returns the factories by name."""
    listing: str
    """Its command: `vtbench ls metrics`."""
    about: str
    """The help text of that command."""


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("model", "vtbench_adapters", "models", "Adapters that --model takes."),
        Kind("metric", "vtbench_metrics", "metrics", "Metrics that tasks and --metrics take."),
        Kind("budget", "vtbench_budgets", "budgets", "Token budgets that --budget takes."),
        Kind("executor", "vtbench_executors", "executors", "Executors that --executor takes."),
        Kind("tracker", "vtbench_trackers", "trackers", "Trackers that --track takes."),
        Kind("format", "vtbench_task_sources", "formats", "Formats of tasks that --tasks takes as FORMAT:FILE."),
        Kind("scene family", "vtbench_scene_families", "families", "Scene families that a task's `family:` names."),
    )
}
"""Every kind of named thing. Report sections and commands are hooks too, but nobody asks for one by name."""


def parse_settings(text: str, what: str = "model arguments") -> dict[str, Any]:
    """Read `k=v,k=v`, values as YAML scalars or flow lists; a comma splits only where `k=` follows.

    >>> parse_settings("pretrained=org/model,layers=[1,2],trust=false")
    {'pretrained': 'org/model', 'layers': [1, 2], 'trust': False}

    Raises:
        VtbenchError: a part has no `=`, or its value is not YAML.
    """
    import yaml

    found = {}
    for part in re.split(r",(?=\s*[\w.-]+\s*=)", text) if text.strip() else []:
        key, equals, value = part.partition("=")
        if not equals or not key.strip():
            raise VtbenchError(f"{what} are written k=v,k=v; {part.strip()!r} is not")
        try:
            found[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise VtbenchError(f"{what}: {key.strip()}={value} is not a YAML value; quote it") from error
    return found


def parse_spec(text: str, what: str) -> tuple[str, dict[str, Any]]:
    """Read `NAME` or `NAME:key=value,...` into the name and its settings.

    >>> parse_spec("redundancy:m=16,target=cues", "metric")
    ('redundancy', {'m': 16, 'target': 'cues'})

    Args:
        text: what was asked for.
        what: the kind of thing, for errors.

    Raises:
        VtbenchError: the settings are not written `key=value`.
    """
    name, _, rest = text.partition(":")
    return name.strip(), parse_settings(rest, f"settings of the {what} {name.strip()!r}")


def split_specs(text: str) -> list[str]:
    """Split specs at commas, but for those between the settings of one.

    >>> split_specs("random:k=16,seed=3, saliency:p=0.9,complexity")
    ['random:k=16,seed=3', 'saliency:p=0.9', 'complexity']
    """
    return [part.strip() for part in re.split(r",(?!\s*\w+\s*=)", text) if part.strip()]


def lazy_exports(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package whose names are imported when they are asked for.

    So registering a plugin, which imports the package, does not import what the package is about:

        __getattr__ = lazy_exports(__name__, {"Redundancy": "metrics"})

    Args:
        package: the package's `__name__`.
        homes: for each exported name the submodule that defines it, relative to the package.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return get
