"""Settings dataclasses: help texts, the signature that they give a factory, and the errors of invalid values."""

from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any

import pytest
from annotated_types import Ge

from vtbench.errors import AdapterError, VtbenchError
from vtbench.settings import accepts, check_value, checked, help_texts

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
