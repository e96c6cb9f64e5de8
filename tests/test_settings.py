"""Settings dataclasses: help texts, the signature that they give a factory, and the errors of invalid values."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Annotated, Any

import click
import pytest
from annotated_types import Ge
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from vtbench.console.options import BARE, settings_options
from vtbench.errors import AdapterError, VtbenchError
from vtbench.settings import accepts, check_fields, check_value, checked, help_texts, parse_settings, split_specs

QUOTE = "'"
TEXT = "ab1,=[]{}:'\"#|>&*!%@` é語-"

Positive = Annotated[int, Ge(1)]


class Mode(Enum):
    FAST = "fast"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    name: Annotated[str, "A name."]
    count: Annotated[int, "A number.", Ge(1)] = 1
    size: Annotated[Positive | None, "A size."] = None
    extra: Annotated[dict[str, Any], "More."] = field(default_factory=dict)


def test_each_field_has_its_help_text() -> None:
    assert help_texts(Settings) == {"name": "A name.", "count": "A number.", "size": "A size.", "extra": "More."}


def test_values_are_read_as_the_fields_types() -> None:
    assert checked(Settings, {"name": 7, "count": "2"}) == Settings(name="7", count=2)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "--name is missing"),
        ({"name": "x", "cuont": 1}, "--cuont: unknown setting. Did you mean 'count'?"),
        ({"name": "x", "count": 0}, "--count: must be greater than or equal to 1, not 0"),
        ({"name": "x", "size": 0}, "--size: must be greater than or equal to 1, not 0"),
        ({"name": ["x"]}, "--name: must be a valid string, not ['x']"),
        ({"name": "x", "extra": 3}, "--extra: must be a valid dictionary, not 3"),
    ],
)
def test_an_invalid_value_is_one_line_that_names_the_setting(values: dict[str, Any], message: str) -> None:
    with pytest.raises(AdapterError) as caught:
        checked(Settings, values, "--{}".format, AdapterError)
    assert str(caught.value) == message


@dataclass(frozen=True, slots=True, kw_only=True)
class Strict:
    sizes: Annotated[tuple[Positive, ...], "Sizes."] = (1,)
    weights: Annotated[Mapping[str, Positive], "Weights."] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self, "strict: {}".format, AdapterError)


def test_a_class_can_check_and_convert_its_own_fields_whoever_makes_it() -> None:
    assert Strict(sizes=["2", 3]).sizes == (2, 3)  # type: ignore[arg-type]
    with pytest.raises(AdapterError, match=r"^strict: sizes: must be greater than or equal to 1, not 0$"):
        Strict(sizes=(2, 0))
    with pytest.raises(AdapterError, match=r"^strict: weights: b: must be a valid integer, .* not 'x'$"):
        replace(Strict(), weights={"a": 1, "b": "x"})


def test_a_factory_has_the_signature_of_its_settings() -> None:
    @accepts(Settings, others=True)
    def factory(**arguments: Any) -> None:
        """Make nothing."""

    parameters = inspect.signature(factory).parameters
    assert list(parameters) == ["name", "count", "size", "extra", "arguments"]
    assert parameters["count"].default == 1
    assert parameters["arguments"].kind is inspect.Parameter.VAR_KEYWORD


def test_one_value_is_checked_by_its_type_alone() -> None:
    assert check_value(Mode, "fast", "mode") is Mode.FAST
    assert check_value(bool, "false", "switch") is False
    with pytest.raises(VtbenchError, match=r"^mode: must be 'fast', not 'slow'$"):
        check_value(Mode, "slow", "mode")


def test_declaring_settings_imports_no_pydantic() -> None:
    code = "import sys, vtbench_openai, vtbench_vllm; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_each_field_is_an_option() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Options:
        name: Annotated[str, "A name."]
        count: Annotated[int, "A number.", Ge(1)] = 1
        sizes: Annotated[tuple[int, ...], "Sizes."] = (1, 2)
        fast: Annotated[bool, "Be fast."] = False
        report: Annotated[bool, "Write a report."] = True
        resume: Annotated[str | None, "Go on."] = None
        names: Annotated[tuple[str, ...], "Names."] = ()

    seen: dict[str, Any] = {}

    @click.command()
    @settings_options(Options, flags={"sizes": "--size"}, multiple=("names",), bare={"resume": "[RUN]"})
    def command(**given: Any) -> None:
        seen.update(given)

    runner = CliRunner()
    shown = runner.invoke(command, ["--help"]).output
    assert "--size TEXT             Sizes. [1,2]" in shown
    assert "--count N" in shown
    assert "--report / --no-report" in shown
    assert runner.invoke(command, []).exit_code == 0
    assert {key: value for key, value in seen.items() if value not in (None, ())} == {}
    runner.invoke(command, ["--count", "x", "--fast", "--no-report", "--resume", "--names", "a", "--names", "b"])
    assert (seen["count"], seen["fast"], seen["report"], seen["resume"]) == ("x", True, False, BARE)
    assert seen["names"] == ("a", "b")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("a=1,b=x", {"a": 1, "b": "x"}),
        ("a='x,b=1',c=2", {"a": "x,b=1", "c": 2}),
        ('a="x,b=\\"1\\"",c=2', {"a": 'x,b="1"', "c": 2}),
        ("a='it''s, k=v',b=", {"a": "it's, k=v", "b": None}),
        ("a=don't,b=2,c=isn't", {"a": "don't", "b": 2, "c": "isn't"}),
        ("a=[1, b=2],c=3", {"a": [1, "b=2"], "c": 3}),
        ("a={'x,y=1': ']'},b=1", {"a": {"x,y=1": "]"}, "b": 1}),
        ("a=x[1,b=2", {"a": "x[1", "b": 2}),
        ("a= [ 'x]', \"b,c=1\" ] , d = 3", {"a": ["x]", "b,c=1"], "d": 3}),
        ("url=http://h/?k=v,m=1", {"url": "http://h/?k=v", "m": 1}),
        ("a=010,b=2024-01-01,c=1:30,d=0x1f", {"a": "010", "b": "2024-01-01", "c": "1:30", "d": "0x1f"}),
    ],
)
def test_quotes_and_brackets_hold_a_value_together(text: str, values: dict[str, Any]) -> None:
    assert parse_settings(text) == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", "k=v,k=v"),
        ("=1", "k=v,k=v"),
        ("a=1,a=2", "a is there twice"),
        ("a='x' y", "a, line 1: not valid YAML"),
        ("a=[[1,b=2],c=3", "a, line"),
        ("a=" + "[" * 100_000, "a, line 1: nested more than 40"),
        ("a=" + "9" * 5000, "a number of 5,000 characters"),
        ("a='sk-secret", "a, line"),
    ],
)
def test_a_value_that_is_no_yaml_is_one_line_without_the_value(text: str, message: str) -> None:
    with pytest.raises(VtbenchError) as caught:
        parse_settings(text)
    assert message in str(caught.value)
    assert "sk-secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True), st.text(TEXT, max_size=20), max_size=4))
def test_any_text_in_quotes_comes_back(values: dict[str, str]) -> None:
    text = ",".join(f"{key}='{value.replace(QUOTE, QUOTE * 2)}'" for key, value in values.items())
    assert parse_settings(text) == values


def test_specs_are_split_outside_of_their_settings_quotes_and_brackets() -> None:
    text = "random:k=16,seed=3, saliency:p=0.9,complexity,exact:words='a,b',x=[1,2]"
    assert split_specs(text) == ["random:k=16,seed=3", "saliency:p=0.9", "complexity", "exact:words='a,b',x=[1,2]"]


@pytest.mark.parametrize("value", ["nan", "inf", float("nan"), float("-inf")])
def test_a_number_is_finite(value: object) -> None:
    with pytest.raises(VtbenchError, match="--rate: must be a finite number"):
        check_value(float, value, "--rate")
