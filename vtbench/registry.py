"""Finds and names plugins.

In: the entry points of the group `vtbench`. Out: adapters, metrics, budgets, tasks, trackers and commands by name.
Registering is free (hooks return factories); a plugin that fails is one warning and does not stop the others.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pluggy

import vtbench
from vtbench import hookspecs
from vtbench.errors import AdapterError, PluginError, VtbenchError, nearest

if TYPE_CHECKING:
    import click

    from vtbench.adapter import Adapter
    from vtbench.executor import Executor
    from vtbench.metric import Metric
    from vtbench.tracking import Tracker


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


_HOST = Plugin("vtbench", "vtbench", vtbench.__version__, "vtbench.executing.local")
"""Brings what a run cannot do without."""


def local(workers: int | None = None) -> Executor:
    """This machine: a run's model in this process, a study's in processes beside it."""
    from vtbench.executing.local import Local

    return Local(workers)


def _warn(text: str) -> None:
    print(f"vtbench: warning: {text}", file=sys.stderr)


class Registry:
    """Every plugin, by name.

    Args:
        plugins: plugins to use instead of the installed ones, by name: modules or objects with hooks.
        warn: takes the one line about each plugin that cannot be used; standard error by default.

    Raises:
        PluginError: two plugins have, or bring, the same name.
    """

    def __init__(self, plugins: Mapping[str, object] | None = None, warn: Callable[[str], None] = _warn) -> None:
        self._manager = pluggy.PluginManager("vtbench")
        self._manager.add_hookspecs(hookspecs)
        self._plugins: dict[str, Plugin] = {}
        self._names: dict[str, dict[str, Named]] = {}
        self._warn, self._given = warn, plugins
        if plugins is None:
            for plugin, load in _installed():
                self._add(plugin, load)
        else:
            for name, module in sorted(plugins.items()):
                source = getattr(module, "__name__", type(module).__name__)
                self._add(Plugin(name, name, "0", source), lambda module=module: module)  # type: ignore[misc]

    def __reduce__(self) -> tuple[Any, ...]:
        """Sent to another process, it finds the plugins that are installed there."""
        return Registry, (self._given,)

    def _add(self, plugin: Plugin, load: Callable[[], object]) -> None:
        if other := self._plugins.get(plugin.name):
            raise PluginError(
                f"two plugins are called {plugin.name!r}: one of {other.distribution} {other.version}, one of "
                f"{plugin.distribution} {plugin.version}; uninstall one of them"
            )
        self._plugins[plugin.name] = plugin
        try:
            self._manager.register(load(), plugin.name)
            self._manager.check_pending()
        except Exception as error:  # whatever a stranger's module raises must not stop the host
            self._break(plugin, error)

    def _break(self, plugin: Plugin, error: Exception) -> None:
        """Remember why a plugin cannot be used, and say it once."""
        text = " ".join(f"{type(error).__name__}: {error}".split())
        self._plugins[plugin.name] = replace(plugin, error=text)
        if self._manager.has_plugin(plugin.name):
            self._manager.unregister(name=plugin.name)
        self._warn(f"{plugin} cannot be used and is left out: {text}")

    def _call(self, hook: str, **arguments: Any) -> list[tuple[Plugin, Any]]:
        """Call one hook of every plugin in turn, so that a failing one is known by name and stops no other."""
        results = []
        for impl in sorted(getattr(self._manager.hook, hook).get_hookimpls(), key=lambda impl: impl.plugin_name):
            plugin = self._plugins[impl.plugin_name]
            try:
                results.append((plugin, impl.function(*(arguments[name] for name in impl.argnames))))
            except Exception as error:  # as above
                self._break(plugin, error)
        return results

    def _named(self, hook: str, own: Mapping[str, Named] = MappingProxyType({})) -> dict[str, Named]:
        if hook not in self._names:
            found = dict(own)
            for plugin, factories in self._call(hook):
                for name, factory in factories.items():
                    if name in found:
                        what = hook.removeprefix("vtbench_").removesuffix("s")
                        other = found[name].plugin
                        raise PluginError(
                            f"two plugins bring the {what} {name!r}: {other.name!r} of {other.distribution} "
                            f"{other.version} and {plugin.name!r} of {plugin.distribution} {plugin.version}; "
                            "uninstall one of them"
                        )
                    found[name] = Named(factory, plugin)
            self._names[hook] = dict(sorted(found.items()))
        return self._names[hook]

    def adapters(self) -> dict[str, Named]:
        """Adapter factories by name."""
        return self._named("vtbench_adapters")

    def metrics(self) -> dict[str, Named]:
        """Metric factories by name."""
        return self._named("vtbench_metrics")

    def budgets(self) -> dict[str, Named]:
        """Token budget factories by name."""
        return self._named("vtbench_budgets")

    def task_sources(self) -> dict[str, Named]:
        """Loaders of tasks in other formats, by the prefix that asks for them."""
        return self._named("vtbench_task_sources")

    def executors(self) -> dict[str, Named]:
        """Executor factories by name: the host's own `local`, and those of plugins."""
        return self._named("vtbench_executors", {"local": Named(local, _HOST)})

    def trackers(self) -> dict[str, Named]:
        """Tracker factories by name."""
        return self._named("vtbench_trackers")

    def report_sections(self) -> dict[str, Callable[[Path], str | None]]:
        """Parts that plugins add to a run's report, by name."""
        return {name: named.factory for name, named in self._named("vtbench_report_sections").items()}

    def task_dirs(self) -> list[Path]:
        """Directories of task files that plugins offer."""
        return [Path(directory) for _, directories in self._call("vtbench_task_dirs") for directory in directories]

    def commands(self, app: click.Group) -> None:
        """Let every plugin add its commands to `app`.

        Raises:
            PluginError: a plugin's command has the name of one that is there.
        """
        owners: dict[str, str] = dict.fromkeys(app.commands, "vtbench")
        for impl in list(self._manager.hook.vtbench_commands.get_hookimpls()):
            plugin, before = self._plugins[impl.plugin_name], dict(app.commands)
            try:
                impl.function(*([app] if impl.argnames else []))
            except Exception as error:  # as above
                self._break(plugin, error)
            for name, command in app.commands.items():
                if name in before and before[name] is not command:
                    raise PluginError(f"{plugin} brings the command {name!r}, which {owners[name]} has; uninstall one")
                owners.setdefault(name, f"{plugin}")

    def plugins(self) -> list[Plugin]:
        """Every plugin found, the broken ones too, by name."""
        return [self._plugins[name] for name in sorted(self._plugins)]

    def check_adapter(self, name: str, model_args: Mapping[str, Any]) -> Named:
        """Find the adapter `name`, and all that can be known to be wrong with it before it is created.

        Raises:
            VtbenchError: no adapter has this name, or it takes no such `model_args`.
            AdapterError: a package that its factory names in `requires` is not installed.
        """
        named = self._get("model", self.adapters(), name)
        parameters = inspect.signature(named.factory).parameters
        takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        for key in model_args:
            if key not in parameters and not takes_any:
                raise VtbenchError(f"model {name!r} takes no argument {key!r}.{nearest(key, list(parameters))}")
        for package in getattr(named.factory, "requires", ()):
            if find_spec(package) is None:
                error = ModuleNotFoundError(f"No module named {package!r}", name=package)
                raise AdapterError(f"model {name!r}: {error}{_which_extra(error, named.plugin.distribution)}")
        return named

    def adapter(self, name: str, model_args: Mapping[str, Any], device: str = "auto", dtype: str = "auto") -> Adapter:
        """Create the adapter `name`.

        Raises:
            VtbenchError: no adapter has this name, or it takes no such `model_args`.
            AdapterError: its checkpoint or backend cannot be used.
        """
        named = self.check_adapter(name, model_args)
        parameters = inspect.signature(named.factory).parameters
        places = {key: value for key, value in {"device": device, "dtype": dtype}.items() if key in parameters}
        try:
            adapter: Adapter = named.factory(**{**places, **model_args})
        except ImportError as error:
            raise AdapterError(f"model {name!r}: {error}{_which_extra(error, named.plugin.distribution)}") from error
        return adapter

    def metric(self, name: str) -> Metric:
        """Create the metric `name`: a new one each time, as a metric may keep a task's basis.

        Raises:
            VtbenchError: no metric has this name, or its package misses another one.
        """
        metric: Metric = self._create("metric", self.metrics(), name)
        return metric

    def tracker(self, name: str) -> Tracker:
        """Create the tracker `name`.

        Raises:
            VtbenchError: no tracker has this name, its package is not installed, or it cannot be used now.
        """
        tracker: Tracker = self._create("tracker", self.trackers(), name)
        return tracker

    def executor(self, name: str, settings: Mapping[str, Any]) -> Executor:
        """Create the executor `name`.

        Raises:
            VtbenchError: no executor has this name, it has no such setting, or its package is not installed.
        """
        parameters = inspect.signature(self._get("executor", self.executors(), name).factory).parameters
        for key in settings:
            if key not in parameters:
                raise VtbenchError(f"--{key.replace('_', '-')}: the executor {name!r} has no such setting")
        executor: Executor = self._create("executor", self.executors(), name, settings)
        return executor

    def _create(
        self, what: str, names: dict[str, Named], name: str, settings: Mapping[str, Any] = MappingProxyType({})
    ) -> Any:
        named = self._get(what, names, name)
        try:
            return named.factory(**settings)
        except ImportError as error:
            raise PluginError(f"{what} {name!r}: {error}{_which_extra(error, named.plugin.distribution)}") from error

    def _get(self, what: str, names: dict[str, Named], name: str) -> Named:
        if name in names:
            return names[name]
        raise VtbenchError(f"unknown {what} {name!r}.{nearest(name, list(names))}{self.broken_note(name)}")

    def broken_note(self, name: str = "") -> str:
        """What to add to "unknown name": plugins that did not load, as one of them may have brought it.

        Raises:
            PluginError: `name` is the very name of a plugin that did not load.
        """
        broken = [plugin for plugin in self.plugins() if plugin.error]
        for plugin in broken:
            if plugin.name == name:
                raise PluginError(f"{plugin} cannot be used: {plugin.error}")
        return "".join(f" ({plugin} might bring it, but cannot be used: {plugin.error})" for plugin in broken)


def _installed() -> list[tuple[Plugin, Callable[[], object]]]:
    found = []
    for entry in metadata.entry_points(group="vtbench"):
        dist = entry.dist
        name, version = (dist.name, dist.version) if dist else ("an unnamed distribution", "?")
        found.append((Plugin(entry.name, name, version, entry.value), entry.load))
    return sorted(found, key=lambda pair: (pair[0].name, pair[0].distribution))


def _which_extra(error: ImportError, distribution: str) -> str:
    """Name the extra of `distribution` (or of vtbench) that brings the missing module, from their own metadata."""
    missing = (error.name or "").partition(".")[0]
    for owner in dict.fromkeys((distribution, "vtbench")):
        try:
            requirements = metadata.requires(owner) or []
        except metadata.PackageNotFoundError:
            continue
        for requirement in requirements:
            match = re.match(r"([\w.-]+).*extra == ['\"](.+?)['\"]", requirement)
            if match and missing and match[1].replace("-", "_").lower() == missing.lower():
                return f"; install it with: pip install '{owner}[{match[2]}]'"
    return f"; install it with: pip install {missing}" if missing else ""
