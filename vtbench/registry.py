"""Finds plugins, and creates what they bring by name.

Plugins are the entry points of the group `vtbench`; the host's own are registered in the same way. Registering is free
(hooks return factories), a plugin that fails to import is one warning and does not stop the others, and two things of
one name are an error that names both distributions. What kinds of things there are says `vtbench.plugin.KINDS`.
"""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from importlib import metadata
from importlib.util import find_spec
from inspect import Parameter
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import pluggy

from vtbench import hookspecs
from vtbench.errors import AdapterError, OutOfMemory, PluginError, VtbenchError, nearest, one_line
from vtbench.plugin import KINDS, Named, Plugin
from vtbench.settings import parse_spec

if TYPE_CHECKING:
    import click
    from rich.console import RenderableType

    from vtbench.adapter import Adapter
    from vtbench.budget import Budget
    from vtbench.executor import Executor
    from vtbench.metric import Metric
    from vtbench.tracker import Tracker

_NO_SETTINGS: Mapping[str, Any] = MappingProxyType({})
_CANNOT, _DEBUG = "its factory failed", "; --debug shows the traceback"


def _warn(text: str) -> None:
    print(f"vtbench: warning: {text}", file=sys.stderr)


class Registry:
    """Every plugin, by name.

    Args:
        plugins: plugins to use in place of the installed ones, by name: modules or objects with hooks. The host's own
            (the executor `local`, the metrics of answers, the scene families) are there in any case.
        warn: takes the one line about each plugin that cannot be used; standard error by default.
        debug: whether that line is followed by the plugin's traceback.

    Raises:
        PluginError: two plugins have the same name.
    """

    def __init__(
        self,
        plugins: Mapping[str, object] | None = None,
        warn: Callable[[str], None] = _warn,
        debug: bool = False,
    ) -> None:
        self._manager = pluggy.PluginManager("vtbench")
        self._manager.add_hookspecs(hookspecs)
        self._plugins: dict[str, Plugin] = {}
        self._named: dict[str, dict[str, Named]] = {}
        self._warn, self._given, self._debug = warn, plugins, debug
        for plugin, load in _installed():
            if plugins is None or (plugin.source.startswith("vtbench.") and plugin.name not in plugins):
                self._add(plugin, load)
        for name, module in sorted((plugins or {}).items()):
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
        except Exception as error:  # whatever a third party's module raises must not stop the host
            self._disable(plugin, error)

    def _disable(self, plugin: Plugin, error: Exception) -> None:
        """Remember why a plugin cannot be used, and say it once."""
        text = " ".join(f"{type(error).__name__}: {error}".split())
        self._plugins[plugin.name] = replace(plugin, error=text)
        if self._manager.has_plugin(plugin.name):
            self._manager.unregister(name=plugin.name)
        hint = "" if self._debug else " (--debug shows the traceback)"
        self._warn(f"{plugin} cannot be used and is left out: {text}{hint}")
        if self._debug:
            traceback.print_exception(error)

    def _call(self, hook: str, **arguments: Any) -> Iterator[tuple[Plugin, Any]]:
        """Call one hook of every plugin in turn, so that a failing one is known by name and stops no other."""
        for impl in sorted(getattr(self._manager.hook, hook).get_hookimpls(), key=lambda impl: impl.plugin_name):
            plugin = self._plugins[impl.plugin_name]
            try:
                result = impl.function(*(arguments[name] for name in impl.argnames))
            except Exception as error:  # as above
                self._disable(plugin, error)
            else:
                yield plugin, result

    def _factories(self, hook: str, what: str) -> dict[str, Named]:
        if hook not in self._named:
            found: dict[str, Named] = {}
            for plugin, factories in self._call(hook):
                for name, factory in factories.items():
                    if name in found:
                        other = found[name].plugin
                        raise PluginError(
                            f"two plugins bring the {what} {name!r}: {other.name!r} of {other.distribution} "
                            f"{other.version} and {plugin.name!r} of {plugin.distribution} {plugin.version}; "
                            "uninstall one of them"
                        )
                    found[name] = Named(factory, plugin)
            self._named[hook] = dict(sorted(found.items()))
        return self._named[hook]

    def named(self, kind: str) -> dict[str, Named]:
        """Return the factories of a kind by name, e.g. `named("metric")`.

        Args:
            kind: a key of `vtbench.plugin.KINDS`.

        Raises:
            PluginError: two plugins bring the same name.
        """
        return self._factories(KINDS[kind].hook, kind)

    def find(self, kind: str, name: str) -> Named:
        """Return the factory of a kind that has this name.

        Raises:
            VtbenchError: there is none; the message names the nearest ones, and plugins that did not load.
        """
        names = self.named(kind)
        if name in names:
            return names[name]
        raise VtbenchError(f"unknown {kind} {name!r}.{nearest(name, list(names))}{self.broken_note(name)}")

    def create(self, kind: str, spec: str, settings: Mapping[str, Any] = _NO_SETTINGS) -> Any:
        """Create what a spec asks for: `create("budget", "grid:k=16")`.

        Args:
            kind: a key of `vtbench.plugin.KINDS`.
            spec: `NAME` or `NAME:key=value,...`; the keys are parameters of the factory.
            settings: further settings, which those of the spec override. A factory that has a parameter `registry`
                gets this registry.

        Raises:
            VtbenchError: unknown name or setting, a setting missing or out of range, a package not installed, or a
                factory that fails or returns something else.
        """
        name, given = parse_spec(spec, kind)
        named = self.find(kind, name)
        check_settings(f"{kind} {spec!r}", name, named, {**settings, **given})
        host = {"registry": self} if "registry" in named.settings else {}
        try:
            made = named.factory(**{**settings, **given, **host})
        except ImportError as error:
            raise PluginError(f"{kind} {name!r}: {error}{_which_extra(error, named.plugin.distribution)}") from error
        except VtbenchError as error:
            text = str(error)
            raise type(error)(text if text.startswith(kind) else f"{kind} {spec!r}: {text}") from error
        except Exception as error:
            raise PluginError(f"{kind} {spec!r}: {_CANNOT}: {one_line(error)}{_DEBUG}") from error
        return _whole(made, kind, spec)

    def metric(self, spec: str) -> Metric:
        """Create a metric: a new one each time, as a metric may keep what it fitted on a task. Raises as `create`."""
        return cast("Metric", self.create("metric", spec))

    def budget(self, spec: str) -> Budget:
        """Create a token budget, as `--budget` takes it. Raises as `create`.

        >>> Registry().budget("random:k=16,seed=3").name
        'random 16 tokens, seed 3'
        """
        return cast("Budget", self.create("budget", spec))

    def tracker(self, spec: str) -> Tracker:
        """Create a tracker, as `--track` takes it. Raises as `create`."""
        return cast("Tracker", self.create("tracker", spec))

    def executor(self, spec: str) -> Executor:
        """Create an executor, as `--executor` takes it. Raises as `create`."""
        return cast("Executor", self.create("executor", spec))

    def check_adapter(self, name: str, model_args: Mapping[str, Any]) -> Named:
        """Find the adapter `name`, and all that can be known to be wrong with it before it is created.

        Raises:
            VtbenchError: no adapter has this name, or it takes no such `model_args`, or lacks one that it needs.
            AdapterError: a package that its factory names in `requires` is not installed.
        """
        named = self.find("model", name)
        check_settings(f"model {name!r}", name, named, model_args, how="--model-args {name}=...")
        for package in getattr(named.factory, "requires", ()):
            if find_spec(package) is None:
                error = ModuleNotFoundError(f"No module named {package!r}", name=package)
                raise AdapterError(f"model {name!r}: {error}{_which_extra(error, named.plugin.distribution)}")
        return named

    def adapter(self, name: str, model_args: Mapping[str, Any], device: str = "auto", dtype: str = "auto") -> Adapter:
        """Create the adapter `name`.

        Raises:
            VtbenchError: no adapter has this name, or it takes no such `model_args`.
            AdapterError: its checkpoint or backend cannot be used, or its factory returned no adapter.
        """
        named = self.check_adapter(name, model_args)
        given = {key: value for key, value in {"device": device, "dtype": dtype}.items() if key in named.settings}
        try:
            made = named.factory(**{**given, **model_args})
        except ImportError as error:
            raise AdapterError(f"model {name!r}: {error}{_which_extra(error, named.plugin.distribution)}") from error
        except (VtbenchError, OutOfMemory):
            raise
        except Exception as error:
            raise AdapterError(f"model {name!r}: {_CANNOT}: {one_line(error)}{_DEBUG}") from error
        return cast("Adapter", _whole(made, "model", name))

    def report_sections(self) -> dict[str, Callable[[Path], str | None]]:
        """Parts that plugins add to a run's report, by name."""
        sections = self._factories("vtbench_report_sections", "report section")
        return {name: named.factory for name, named in sections.items()}

    def run_tables(self) -> dict[str, Callable[[Path, Mapping[str, Any]], Iterable[RenderableType]]]:
        """Parts that plugins print below a finished run's table of scores, by name."""
        return {name: named.factory for name, named in self._factories("vtbench_run_tables", "run table").items()}

    def task_dirs(self) -> list[Path]:
        """Directories of task files that plugins offer."""
        return [Path(directory) for _, directories in self._call("vtbench_task_dirs") for directory in directories]

    def commands(self, app: click.Group) -> None:
        """Let every plugin add its commands to `app`.

        Raises:
            PluginError: a plugin's command has the name of one that is there.
        """
        owners: dict[str, str] = dict.fromkeys(app.commands, "vtbench")
        before = dict(app.commands)
        for plugin, _ in self._call("vtbench_commands", app=app):
            for name, command in app.commands.items():
                if name in before and before[name] is not command:
                    raise PluginError(f"{plugin} brings the command {name!r}, which {owners[name]} has; uninstall one")
                owners.setdefault(name, f"{plugin}")
            before = dict(app.commands)

    def plugins(self) -> list[Plugin]:
        """Every plugin found, the broken ones too, by name."""
        return [self._plugins[name] for name in sorted(self._plugins)]

    def probe(self) -> list[Plugin]:
        """Call every hook that returns names, and return every plugin: what breaks only when it is asked shows here."""
        for kind in KINDS:
            self.named(kind)
        self.report_sections(), self.run_tables(), self.task_dirs()
        return self.plugins()

    def broken_note(self, name: str = "") -> str:
        """Say which plugins did not load, to add to "unknown name": one of them may have brought it.

        Raises:
            PluginError: `name` is the very name of a plugin that did not load.
        """
        broken = [plugin for plugin in self.plugins() if plugin.error]
        for plugin in broken:
            if plugin.name == name:
                raise PluginError(f"{plugin} cannot be used: {plugin.error}")
        return "".join(f" ({plugin} might bring it, but cannot be used: {plugin.error})" for plugin in broken)


def check_settings(
    what: str, name: str, named: Named, settings: Mapping[str, Any], how: str = "{spec}:{name}=..."
) -> None:
    """Refuse settings that a factory does not take, and the lack of one that it needs.

    Raises:
        VtbenchError: names the first wrong one.
    """
    parameters = named.settings
    takes_any = any(p.kind is Parameter.VAR_KEYWORD for p in parameters.values())
    plain = {key: p for key, p in parameters.items() if p.kind not in (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL)}
    plain.pop("registry", None)  # the host's to give
    for key in settings:
        if key not in plain and not takes_any:
            known = f"{nearest(key, list(plain))}" if plain else " It takes none."
            raise VtbenchError(f"{what} has no setting {key!r}.{known}")
    for key, parameter in plain.items():
        if parameter.default is Parameter.empty and key not in settings:
            raise VtbenchError(f"{what} needs {key!r}; write {how.format(spec=name, name=key)}")


def _whole(made: Any, kind: str, name: str) -> Any:
    """Return what a factory returned, if it has the members of its protocol.

    Raises:
        PluginError: it lacks some; an AdapterError for a model.
    """
    if missing := KINDS[kind].missing_members(made):
        error = AdapterError if kind == "model" else PluginError
        names, protocol = (
            ", ".join(f"`{name}`" for name in missing),
            "vtbench." + KINDS[kind].protocol.replace(":", "."),
        )
        raise error(f"{kind} {name!r}: its factory returned {type(made).__name__}, which lacks {names} of {protocol}")
    return made


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
