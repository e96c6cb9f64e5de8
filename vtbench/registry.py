"""Finds plugins, and creates the objects that they bring by name.

Plugins are the entry points of the group `vtbench`; vtbench registers its own in the same way. Registering is cheap,
since hooks return factories. A plugin that fails to import causes one warning and does not affect the others; two
objects with the same name are an error that names both distributions. `vtbench.plugin.KINDS` lists the kinds.
"""

from __future__ import annotations

import re
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
from vtbench.adapter import Generation
from vtbench.console.terminal import warn as warn_on_terminal
from vtbench.errors import (
    AdapterError,
    MissingPackageError,
    OutOfMemory,
    PluginError,
    VtbenchError,
    install_command,
    nearest,
    one_line,
)
from vtbench.plugin import KINDS, Named, Plugin
from vtbench.settings import parse_spec
from vtbench.task.names import check_name

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


class Registry:
    """Every plugin, by name.

    Args:
        plugins: plugins that replace the installed ones, by name: modules or objects with hooks. vtbench's own (the
            executor `local`, the metrics of answers, the scene families) are always present.
        warn: called with one line per plugin that cannot be used; prints to standard error by default.
        debug: whether to print the plugin's traceback after that line.

    Raises:
        PluginError: two plugins have the same name.
    """

    def __init__(
        self,
        plugins: Mapping[str, object] | None = None,
        warn: Callable[[str], None] = warn_on_terminal,
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
        """Pickle the given plugins only: another process finds the plugins that are installed there."""
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
        """Record why a plugin cannot be used, and warn once."""
        text = " ".join(f"{type(error).__name__}: {error}".split())
        self._plugins[plugin.name] = replace(plugin, error=text)
        if self._manager.has_plugin(plugin.name):
            self._manager.unregister(name=plugin.name)
        hint = "" if self._debug else " (--debug shows the traceback)"
        self._warn(f"{plugin} cannot be used and is left out: {text}{hint}")
        if self._debug:
            traceback.print_exception(error)

    def _call(self, hook: str, **arguments: Any) -> Iterator[tuple[Plugin, Any]]:
        """Call one hook of every plugin in turn; a failing plugin is disabled and does not stop the others."""
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
                try:
                    for name in factories:
                        check_name(name, what, PluginError)
                except PluginError as error:
                    self._disable(plugin, error)
                    continue
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
            VtbenchError: there is none; the message names the closest names, and plugins that failed to load.
        """
        names = self.named(kind)
        if name in names:
            return names[name]
        near = nearest(name, list(names), f"vtbench ls {KINDS[kind].listing}")
        raise VtbenchError(f"unknown {kind} {name!r}.{near}{self.broken_note(name)}")

    def create(self, kind: str, spec: str, settings: Mapping[str, Any] = _NO_SETTINGS) -> Any:
        """Create the object that a spec names: `create("budget", "grid:k=16")`.

        Args:
            kind: a key of `vtbench.plugin.KINDS`.
            spec: `NAME` or `NAME:key=value,...`; the keys are parameters of the factory.
            settings: further settings; those of the spec override them. A factory with a parameter `registry` receives
                this registry.

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
            raise MissingPackageError(
                f"{kind} {name!r}: {error}{_which_extra(error, named.plugin.distribution)}"
            ) from error
        except VtbenchError as error:
            text = str(error)
            raise type(error)(text if text.startswith(kind) else f"{kind} {spec!r}: {text}") from error
        except Exception as error:
            raise PluginError(f"{kind} {spec!r}: {_CANNOT}: {one_line(error)}{_DEBUG}") from error
        return _whole(made, kind, spec)

    def metric(self, spec: str) -> Metric:
        """Create a new metric; metrics hold the state of one task, so they are never shared. Raises as `create`."""
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
        """Return the factory of the adapter `name`, after the checks that do not need the model.

        Raises:
            VtbenchError: no adapter has this name, it does not take these `model_args`, or a required one is missing.
            AdapterError: a package that its factory names in `requires` is not installed.
        """
        named = self.find("model", name)
        check_settings(f"model {name!r}", name, named, model_args, how="--model-args {name}=...")
        for package in getattr(named.factory, "requires", ()):
            if find_spec(package) is None:
                error = ModuleNotFoundError(f"No module named {package!r}", name=package)
                raise AdapterError(f"model {name!r}: {error}{_which_extra(error, named.plugin.distribution)}")
        return named

    def adapter(
        self,
        name: str,
        model_args: Mapping[str, Any],
        device: str = "auto",
        dtype: str = "auto",
        generation: Generation | None = None,
        chat_template_args: Mapping[str, Any] = _NO_SETTINGS,
    ) -> Adapter:
        """Create the adapter `name`.

        Args:
            name: of the adapter.
            model_args: arguments of its factory.
            device: where the model runs; passed to a factory that has such a parameter, like `dtype`.
            dtype: number format of the weights.
            generation: how the model generates; greedily by default.
            chat_template_args: variables of the chat template.

        Raises:
            VtbenchError: no adapter has this name, or it does not take these `model_args`, or a `generation` or
                `chat_template_args` that is not the default.
            AdapterError: its checkpoint or backend cannot be used, or its factory does not return an adapter.
        """
        named = self.check_adapter(name, model_args)
        given: dict[str, Any] = {"device": device, "dtype": dtype}
        if generation is not None and replace(generation, repeats=1) != Generation():
            given["generation"] = generation
        if chat_template_args:
            given["chat_template_args"] = dict(chat_template_args)
        for key, flag in {"generation": "--gen", "chat_template_args": "--chat-template-args"}.items():
            if key in given and key not in named.settings:
                raise AdapterError(f"model {name!r} takes no {flag}; leave it out, or choose another model")
        given = {key: value for key, value in given.items() if key in named.settings}
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
        """Return the sections that plugins add to a run's report, by name."""
        sections = self._factories("vtbench_report_sections", "report section")
        return {name: named.factory for name, named in sections.items()}

    def scores(self) -> dict[str, str]:
        """Return what scores are, by name or pattern; the first plugin that explains one has the word."""
        return self._sentences("vtbench_scores")

    def flags(self) -> dict[str, str]:
        """Return what the flags of scores mean, by flag; the first plugin that explains one has the word."""
        return self._sentences("vtbench_flags")

    def _sentences(self, hook: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for _, meanings in self._call(hook):
            found = {**meanings, **found}
        return found

    def run_tables(self) -> dict[str, Callable[[Path, Mapping[str, Any]], Iterable[RenderableType]]]:
        """Return the tables that plugins print below a finished run's scores, by name."""
        return {name: named.factory for name, named in self._factories("vtbench_run_tables", "run table").items()}

    def task_dirs(self) -> list[Path]:
        """Return the directories of task files that plugins bring."""
        return [Path(directory) for _, directories in self._call("vtbench_task_dirs") for directory in directories]

    def commands(self, app: click.Group) -> None:
        """Let every plugin add its commands to `app`.

        Raises:
            PluginError: a plugin's command has the name of an existing one.
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
        """Return every plugin found, sorted by name, including those that cannot be used."""
        return [self._plugins[name] for name in sorted(self._plugins)]

    def probe(self) -> list[Plugin]:
        """Call every hook that returns names, so that broken ones are found, and return all plugins."""
        for kind in KINDS:
            self.named(kind)
        self.report_sections(), self.run_tables(), self.task_dirs()
        return self.plugins()

    def broken_note(self, name: str = "") -> str:
        """Return a note on plugins that failed to load, for "unknown name" errors: one of them may bring the name.

        Raises:
            PluginError: the plugin called `name` failed to load.
        """
        broken = [plugin for plugin in self.plugins() if plugin.error]
        for plugin in broken:
            if plugin.name == name:
                raise PluginError(f"{plugin} cannot be used: {plugin.error}")
        return "".join(f" ({plugin} might bring it, but cannot be used: {plugin.error})" for plugin in broken)


def check_settings(
    what: str, name: str, named: Named, settings: Mapping[str, Any], how: str = "{spec}:{name}=..."
) -> None:
    """Check settings against a factory's parameters.

    Raises:
        VtbenchError: names the first setting that is unknown or missing.
    """
    own = named.own_settings
    for key in settings:
        if key not in own and not named.takes_others:
            raise VtbenchError(f"{what} has no setting {key!r}.{nearest(key, list(own)) if own else ' It takes none.'}")
    for key, parameter in own.items():
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
    names: dict[Any, tuple[str, str]] = {None: ("an unnamed distribution", "?")}
    for entry in metadata.entry_points(group="vtbench"):
        if entry.dist is not None and entry.dist not in names:  # each access parses the METADATA file
            about = entry.dist.metadata
            names[entry.dist] = about["Name"], about["Version"]
        found.append((Plugin(entry.name, *names[entry.dist], entry.value), entry.load))
    return sorted(found, key=lambda pair: (pair[0].name, pair[0].distribution))


def _which_extra(error: ImportError, distribution: str) -> str:
    """Return a hint on the extra of `distribution` (or of vtbench) that installs the missing module, from metadata."""
    missing = (error.name or "").partition(".")[0]
    for owner in dict.fromkeys((distribution, "vtbench")):
        try:
            requirements = metadata.requires(owner) or []
        except metadata.PackageNotFoundError:
            continue
        for requirement in requirements:
            match = re.match(r"([\w.-]+).*extra == ['\"](.+?)['\"]", requirement)
            if match and missing and match[1].replace("-", "_").lower() == missing.lower():
                return f"; install it with: {install_command(match[2], owner)}"
    return f"; install it with: pip install {missing}" if missing else ""
