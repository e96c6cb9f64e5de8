"""The registry: every plugin by name, loud on clashes, unmoved by a broken one."""

from __future__ import annotations

import types
from importlib import metadata
from pathlib import Path
from typing import Any

import click
import pytest
from host_fakes import Plugin, registry

from vtbench.adapter import BaseAdapter
from vtbench.errors import AdapterError, PluginError, VtbenchError, install_command
from vtbench.hookspecs import hookimpl
from vtbench.registry import Registry


def plugin(**hooks: Any) -> types.SimpleNamespace:
    """An object whose hooks return the values given."""
    made = types.SimpleNamespace()
    for name, value in hooks.items():

        def hook(value: Any = value) -> Any:
            if isinstance(value, Exception):
                raise value
            return value

        setattr(made, name, hookimpl(hook))
    return made


def test_names_factories_and_their_first_line() -> None:
    found = registry().named("model")
    assert list(found) == sorted(found)
    assert found["fake"].summary == "A model by hash."
    assert found["fake"].plugin.name == "fakes"
    own = {name for name, named in registry().named("metric").items() if named.plugin.name == "fakes"}
    assert own == {"hits", "held", "ranked", "seen", "layers", "deep", "frugal", "thrifty"}


def test_flags_are_explained_and_the_first_plugin_has_the_word() -> None:
    plugins = {"a": plugin(vtbench_flags={"own": "mine", "both": "a"}), "b": plugin(vtbench_flags={"both": "b"})}
    found = Registry(plugins).flags()
    assert (found["own"], found["both"]) == ("mine", "a")


@pytest.mark.parametrize("hook", ["vtbench_adapters", "vtbench_metrics"])
def test_a_name_that_two_plugins_bring_names_both(hook: str) -> None:
    both = {"first": plugin(**{hook: {"same": object}}), "second": plugin(**{hook: {"same": object}})}
    with pytest.raises(PluginError, match=r"'same'.*of first 0.*of second 0"):
        Registry(both).probe()


def test_a_command_that_is_there_already_is_refused() -> None:
    @hookimpl
    def vtbench_commands(app: click.Group) -> None:
        app.add_command(click.Command("run"))

    with pytest.raises(PluginError, match=r"'second'.*'run', which vtbench has"):
        Registry({"second": types.SimpleNamespace(vtbench_commands=vtbench_commands)}).commands(
            click.Group(commands={"run": click.Command("run")})
        )


def test_a_broken_hook_is_one_warning_and_stops_no_other() -> None:
    warnings: list[str] = []
    found = Registry(
        {
            "bad": plugin(vtbench_adapters=RuntimeError("no\nflux"), vtbench_metrics={"m": object}),
            "good": Plugin(),
            "misspelt": plugin(vtbench_adaptors={}),
        },
        warn=warnings.append,
    )
    assert "fake" in found.named("model")
    assert "m" not in found.named("metric")
    found.named("model")
    assert len(warnings) == 2
    assert "'bad'" in warnings[1]
    assert "RuntimeError: no flux" in warnings[1]
    assert "vtbench_adaptors" in warnings[0]
    assert [p.name for p in found.plugins() if p.error] == ["bad", "misspelt"]
    with pytest.raises(PluginError, match="no flux"):
        found.adapter("bad", {})
    with pytest.raises(VtbenchError, match=r"unknown model 'fak'. Did you mean 'fake'\?.*'bad'.*no flux"):
        found.adapter("fak", {})


def test_what_is_unknown_gets_the_nearest_names() -> None:
    with pytest.raises(VtbenchError, match=r"unknown metric 'hit'. Did you mean 'hits'"):
        registry().metric("hit")
    with pytest.raises(VtbenchError, match=r"'absent' has no setting 'pretraine'. Did you mean 'pretrained'"):
        registry().adapter("absent", {"pretraine": 1})
    with pytest.raises(AdapterError, match="nowhere: no such checkpoint"):
        registry().adapter("absent", {"pretrained": "nowhere"})


def test_a_missing_backend_says_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AdapterError, match="pip install torch_of_another_world"):
        registry().adapter("lacking", {})
    monkeypatch.setattr(
        "vtbench.registry.metadata.requires", lambda owner: ['torch-of-another-world>=2; extra == "hf"']
    )
    with pytest.raises(AdapterError, match=r"pip install 'fakes\[hf\]'"):
        registry().adapter("lacking", {})


def test_device_and_dtype_go_where_the_signature_has_them() -> None:
    seen: dict[str, Any] = {}

    def placed(device: str = "auto", **others: Any) -> BaseAdapter:
        seen.update(device=device, **others)
        return BaseAdapter()

    Registry({"p": plugin(vtbench_adapters={"placed": placed})}).adapter("placed", {"k": 1}, "cpu", "float16")
    assert seen == {"device": "cpu", "k": 1}


def test_a_factory_that_fails_or_returns_something_else_is_one_line() -> None:
    def failing() -> Any:
        raise ValueError("no such number\nof layers")

    def half() -> Any:
        return types.SimpleNamespace(needs=frozenset(), observe=lambda batch: [], generate=None)

    made = Registry(
        {"p": plugin(vtbench_adapters={"f": failing, "h": half}, vtbench_metrics={"f": failing, "h": half})}
    )
    line = r"'f': its factory failed: ValueError: no such number of layers \(test_registry.py:\d+\); --debug shows"
    for kind, error in (("model", AdapterError), ("metric", PluginError)):
        create = made.metric if kind == "metric" else lambda name: made.adapter(name, {})
        with pytest.raises(error, match=f"^{kind} {line}"):
            create("f")
    with pytest.raises(PluginError, match=r"^metric 'h': its factory returned SimpleNamespace, which lacks `compute`"):
        made.metric("h")
    with pytest.raises(AdapterError, match=r"which lacks `capabilities`, .*`close` of vtbench\.adapter"):
        made.adapter("h", {})


def test_task_dirs() -> None:
    assert Registry({"p": plugin(vtbench_task_dirs=[Path("a"), "b"])}).task_dirs() == [Path("a"), Path("b")]


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        (None, "pip install 'vtbench[hf]'"),
        ('{"url": "https://example.org/vtbench.whl", "archive_info": {}}', "pip install 'vtbench[hf]'"),
        ('{"url": "file:///home/me/my%20code", "dir_info": {}}', "pip install '/home/me/my code[hf]'"),
        ('{"url": "file:///code", "dir_info": {"editable": true}}', "pip install --editable '/code[hf]'"),
    ],
)
def test_an_extra_is_installed_from_where_vtbench_is(
    origin: str | None, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata.PathDistribution, "read_text", lambda self, name: origin)
    assert install_command("hf") == command


@pytest.mark.parametrize("kind", ["model", "metric"])
def test_of_many_names_an_error_has_the_closest_and_the_command_that_lists_all(kind: str) -> None:
    names = {f"{kind}_number_{number}": lambda: None for number in range(44)}
    hook = {"model": "vtbench_adapters", "metric": "vtbench_metrics"}[kind]
    registry = Registry({"many": plugin(**{hook: names})})
    with pytest.raises(VtbenchError) as far:
        registry.find(kind, "embedded")
    there = len(registry.named(kind))
    assert str(far.value) == f"unknown {kind} 'embedded'. `vtbench ls {kind}s` lists the {there} that there are."
    with pytest.raises(VtbenchError, match=rf"Did you mean '\w+' or '\w+'\? `vtbench ls {kind}s` lists all\.$"):
        registry.find(kind, f"{kind.upper()}_number_4x")
