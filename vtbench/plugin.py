"""The nouns of the plugin system: a `Plugin`, a `Named` factory that it brings, and the `KINDS` of such factories.

`vtbench.registry.Registry` finds the factories and calls them; `vtbench.settings` has the grammar that names them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, get_args

from vtbench.types import Capability


@dataclass(frozen=True, slots=True)
class Plugin:
    """Where a plugin comes from, and the error that makes it unusable, if any."""

    name: str
    distribution: str
    version: str
    source: str
    """The module that the entry point names."""
    error: str | None = None

    def __str__(self) -> str:
        return f"plugin {self.name!r} of {self.distribution} {self.version}"


HOSTS = ("registry", "generation", "chat_template_args")
"""Parameters of a factory that the host passes, never the user."""


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
        """The factory's parameters, which are the settings that a spec may set."""
        return inspect.signature(self.factory).parameters

    @property
    def own_settings(self) -> dict[str, inspect.Parameter]:
        """The parameters that a user may set: those that the host passes, and `**rest`, are not among them."""
        kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        return {name: p for name, p in self.settings.items() if p.kind not in kinds and name not in HOSTS}

    @property
    def takes_others(self) -> bool:
        """Whether the factory takes settings beyond `own_settings`, and checks them itself."""
        return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in self.settings.values())


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of plugin object. All kinds are found, listed, created and refused by the same code."""

    name: str
    """The noun in error messages, e.g. `metric`."""
    hook: str
    """The hook that returns the factories by name."""
    listing: str
    """Its command: `vtbench ls metrics`."""
    about: str
    """The help text of that command."""
    usage: str
    """How a user names one, with `{name}` in it."""
    usage_settings: str
    """What stands behind that for one with settings; empty where the host alone calls it."""
    protocol: str = ""
    """What a factory returns, as `module:class` in `vtbench`; empty for a function that is called at once."""

    def missing_members(self, made: object) -> list[str]:
        """Return the members of the protocol that what a factory returned does not have.

        A method for a capability that an adapter does not declare is not missed: nobody calls it.
        """
        if not self.protocol:
            return []
        module, _, name = f"vtbench.{self.protocol}".partition(":")
        members = protocol_members(getattr(import_module(module), name))
        declared = getattr(made, "capabilities", None)
        idle = {*get_args(Capability)} - declared if isinstance(declared, (set, frozenset)) else ()
        return [member for member in members if not hasattr(made, member) and member not in idle]


def protocol_members(protocol: type) -> list[str]:
    """Return the names of a protocol's attributes and methods, in the order in which they are declared."""
    found: dict[str, None] = {}
    for base in reversed(protocol.__mro__):
        if getattr(base, "_is_protocol", False):
            found |= dict.fromkeys([*vars(base).get("__annotations__", {}), *vars(base)])
    return [name for name in found if not name.startswith("_")]


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            *("model", "vtbench_adapters", "models", "Adapters that --model takes."),
            *("--model {name}", " --model-args KEY=VALUE,...", "adapter:Adapter"),
        ),
        Kind(
            *("metric", "vtbench_metrics", "metrics", "Metrics that tasks and --metrics take."),
            *("--metrics +{name}", ":KEY=VALUE,...", "metric:Metric"),
        ),
        Kind(
            *("budget", "vtbench_budgets", "budgets", "Token budgets that --budget takes."),
            *("--budget {name}", ":KEY=VALUE,...", "budget:Budget"),
        ),
        Kind(
            *("executor", "vtbench_executors", "executors", "Executors that --executor takes."),
            *("--executor {name}", ":KEY=VALUE,...", "executor:Executor"),
        ),
        Kind(
            *("tracker", "vtbench_trackers", "trackers", "Trackers that --track takes."),
            *("--track {name}", ":KEY=VALUE,...", "tracker:Tracker"),
        ),
        Kind(
            *("format", "vtbench_task_sources", "formats", "Formats of tasks that --tasks takes as FORMAT:FILE."),
            *("--tasks {name}:FILE", ""),
        ),
        Kind(
            *("scene family", "vtbench_scene_families", "families", "Scene families that a task's `family:` names."),
            *("family: {name} in a task file", ""),
        ),
    )
}
"""All kinds by name. Commands, report sections and run tables are hooks too, but users do not select them by name."""


def lazy_exports(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package that imports its exported names on first use.

    Registering a plugin imports its package; with lazy exports this does not import the package's submodules:

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
