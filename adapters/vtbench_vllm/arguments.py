"""Checks of what goes to vLLM's engine: names and values in, the same values read as their types out, or one line.

The fields and types are those of vLLM's own `EngineArgs`, whatever its version has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from enum import Enum
from typing import Any, get_args

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from vtbench.errors import AdapterError, nearest

OURS: Mapping[str, str] = {
    "model": "pretrained= names the checkpoint",
    "tokenizer": "the prompts are tokenised with the checkpoint's own",
    "runner": "the adapter needs a model that generates",
    "logprobs_mode": "the ranking needs log-probabilities as the model gives them",
}
"""Fields of EngineArgs that the adapter decides, and why."""


def checked(given: Mapping[str, Any], engine_args: type) -> dict[str, Any]:
    """Return the arguments as their fields' types, `"2"` as 2 where a number is meant.

    Args:
        given: by the name of the field.
        engine_args: vLLM's dataclass `EngineArgs`.

    Raises:
        AdapterError: there is no such field, it is not the user's to set, or the value is not of its type.
    """
    kinds = {field.name: field.type for field in fields(engine_args) if not field.name.startswith("_")}
    for name in given:
        if name in OURS:
            raise AdapterError(f"--model vllm sets the engine's {name} itself: {OURS[name]}; leave it out")
        if name not in kinds:
            raise AdapterError(f"vLLM's engine takes no argument {name!r}.{nearest(name, [*kinds])}")
    return {name: _read(name, value, kinds[name]) for name, value in given.items()}


def _read(name: str, value: Any, kind: Any) -> Any:
    for choice in (kind, *get_args(kind)):  # pydantic knows an enum by its values, people know it by its names
        if isinstance(choice, type) and issubclass(choice, Enum) and str(value) in choice.__members__:
            return choice[value]
    try:
        read = _adapter(kind).validate_python(value)
    except ValidationError as error:
        raise AdapterError(f"{name}={value} is not what vLLM's engine takes: {reason(error)}") from error
    except PydanticUserError:  # a type of vLLM's that pydantic cannot make out: the engine has the last word anyway
        return value
    # Settings written as a mapping stay one, as the engine builds its own object of them.
    return value if isinstance(value, Mapping) else read


def _adapter(kind: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(kind, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError:  # a pydantic model or dataclass brings a config of its own
        return TypeAdapter(kind)


def reason(error: ValidationError) -> str:
    """Return what is wrong first in one line: `gpu_memory_utilization: input should be less than or equal to 1`."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    message = " ".join(first["msg"].removeprefix("Value error, ").split())
    return f"{place}: {message}" if place else message
