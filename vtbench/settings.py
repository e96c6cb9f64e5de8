"""Settings as dataclasses: a field declares its type, help text and bounds once, and one function checks them all.

A field is `name: Annotated[TYPE, "help text"] = default`; bounds are those of `annotated_types`:

    @dataclass(frozen=True, slots=True, kw_only=True)
    class WorkerArguments:
        workers: Annotated[int, "Worker processes.", Ge(1)] = 1

Declaring settings imports no pydantic, so that `vtbench --help` stays fast; checking values does.

Metrics, token budgets, executors and trackers share one grammar: `NAME` or `NAME:key=value,key=value`, for example
`redundancy:m=16` or `grid:k=32` (`parse_spec`).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from vtbench.errors import VtbenchError, nearest

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")
_UNION_BRANCH = re.compile(r"(constrained-|lax-|int|float|str|bool|none|literal|list|tuple|dict|function-).*")
"""What pydantic adds to the path of an error for the branch of a union."""
F = TypeVar("F", bound=Callable[..., Any])


def help_texts(settings: type) -> dict[str, str]:
    """Return the help text of every field of a settings dataclass, by name."""
    kinds = _kinds(settings)
    return {
        field.name: next(text for text in kinds[field.name].__metadata__ if isinstance(text, str))
        for field in fields(settings)
    }


def accepts(settings: type, *, others: bool = False) -> Callable[[F], F]:
    """Declare that a factory `f(**arguments)` accepts the fields of a settings dataclass.

    `inspect.signature(f)` then lists them, so the registry refuses a misspelled argument before it calls the factory.

    Args:
        settings: the dataclass.
        others: further arguments are accepted as well, for the factory to check.
    """

    def declare(factory: F) -> F:
        signature = inspect.signature(settings)
        rest = [inspect.Parameter("arguments", inspect.Parameter.VAR_KEYWORD)] if others else []
        vars(factory)["settings"] = settings
        vars(factory)["__signature__"] = signature.replace(parameters=[*signature.parameters.values(), *rest])
        return factory

    return declare


def checked(
    settings: type[T],
    values: Mapping[str, Any],
    label: Callable[[str], str] = str,
    error: type[VtbenchError] = VtbenchError,
) -> T:
    """Check values against a settings dataclass and return an instance of it.

    Args:
        settings: the dataclass.
        values: by field name; fields that are left out keep their defaults.
        label: maps a field's name to its label in errors.
        error: the class of error to raise.

    Raises:
        VtbenchError: of class `error`, one line: a name is unknown, a required field is missing, or a value does not
            have the field's type or exceeds its bounds.
    """
    kinds = _kinds(settings)
    parameters = inspect.signature(settings).parameters
    for name in values:
        if name not in parameters:
            raise error(f"{label(name)}: unknown setting.{nearest(name, list(parameters))}")
    for name, parameter in parameters.items():
        if name not in values and parameter.default is parameter.empty:
            raise error(f"{label(name)} is missing")
    return settings(**{name: check_value(kinds[name], value, label(name), error) for name, value in values.items()})


def split_settings(settings: type, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the values that are fields of a settings dataclass, and all others."""
    own = {field.name for field in fields(settings)}
    return (
        {name: value for name, value in values.items() if name in own},
        {name: value for name, value in values.items() if name not in own},
    )


def check_fields(instance: Any, label: Callable[[str], str] = str, error: type[VtbenchError] = VtbenchError) -> None:
    """Check the fields of a settings dataclass as `checked` does: for a `__post_init__`, whoever makes the instance.

    Values are converted as `checked` converts them.

    Raises:
        VtbenchError: of class `error`, one line: a value does not have the field's type or exceeds its bounds.
    """
    kinds = _kinds(type(instance))
    for name in (field.name for field in fields(instance)):
        object.__setattr__(instance, name, check_value(kinds[name], getattr(instance, name), label(name), error))


def check_value(kind: Any, value: Any, label: str, error: type[VtbenchError] = VtbenchError) -> Any:
    """Return a value as the type `kind`: `"2"` as 2 where a number is declared, 2 as `"2"` where a text is.

    Args:
        kind: a type, as an annotation writes it.
        value: to check.
        label: the value's label in errors.
        error: the class of error to raise.

    Raises:
        VtbenchError: of class `error`, one line: the value does not have this type.
    """
    from pydantic import PydanticUserError, ValidationError

    try:
        return _validator(kind).validate_python(value)
    except ValidationError as refused:
        # Of a list or mapping, name the part that is wrong.
        raise error(f"{label}: {reason(refused)}, not {refused.errors()[0]['input']!r}") from refused
    except PydanticUserError:  # pydantic cannot validate this type: the code that declared it checks the value
        return value


def reason(error: ValidationError) -> str:
    """Return the first problem that pydantic found, on one line: `image: must be a valid integer`."""
    first = error.errors(include_url=False)[0]
    named = [part for part in first["loc"] if isinstance(part, str) and not _UNION_BRANCH.fullmatch(part)]
    place = ".".join(named)
    message = " ".join(first["msg"].removeprefix("Value error, ").split())
    message = (message[:1].lower() + message[1:]).replace("input should be", "must be")
    return f"{place}: {message}" if place else message


def parse_settings(text: str, what: str = "model arguments") -> dict[str, Any]:
    """Parse `k=v,k=v`; values are YAML scalars or flow collections.

    A comma separates only if `k=` follows, and neither in quotes nor in brackets.

    >>> parse_settings("pretrained=org/model,layers=[1,2],trust=false,prompt='yes,no=maybe'")
    {'pretrained': 'org/model', 'layers': [1, 2], 'trust': False, 'prompt': 'yes,no=maybe'}

    Raises:
        VtbenchError: a part has no `=`, a key is there twice, or its value is not YAML.
    """
    from vtbench.task.yaml_lines import parse_value

    found: dict[str, Any] = {}
    for part in _split_outside(text, _BEFORE_KEY) if text.strip() else []:
        key, equals, value = part.partition("=")
        key = key.strip()
        if not equals or not _KEY.fullmatch(key):
            raise VtbenchError(f"{what} are written k=v,k=v; {part.strip()!r} is not")
        if key in found:
            raise VtbenchError(f"{what}: {key} is there twice; give it one value")
        try:
            found[key] = parse_value(value, f"{what}: {key}")
        except VtbenchError as error:
            # the value stays out of the message: it may be a secret
            raise VtbenchError(f"{error}; write a text with such characters in quotes") from None
    return found


_KEY = re.compile(r"[\w.-]+")
_BEFORE_KEY = re.compile(r",(?=\s*[\w.-]+\s*=)")
_BEFORE_SPEC = re.compile(r",(?!\s*[\w.-]+\s*=)")
_OPENING = re.compile(r"""(?<=[=\[{,:])\s*(?:'(?:[^']|'')*'|"(?:[^"\\]|\\.)*"|[\[{])""", re.DOTALL)
"""A quoted value, or the bracket of a collection, where a value begins; elsewhere both are letters like others."""


def _split_outside(text: str, comma: re.Pattern[str]) -> list[str]:
    """Split a text at the commas that match, but for those in quotes or in brackets."""
    parts, start, at, depth = [], 0, 0, 0
    while at < len(text):
        if opening := _OPENING.match(text, at):
            depth += opening[0][-1] in "[{"
            at = opening.end()
            continue
        if depth == 0 and comma.match(text, at):
            parts.append(text[start:at])
            start = at + 1
        depth -= depth > 0 and text[at] in "]}"
        at += 1
    return [*parts, text[start:]]


def parse_spec(text: str, what: str) -> tuple[str, dict[str, Any]]:
    """Parse `NAME` or `NAME:key=value,...` into the name and its settings.

    >>> parse_spec("redundancy:m=16,target=cues", "metric")
    ('redundancy', {'m': 16, 'target': 'cues'})

    Args:
        text: the spec.
        what: the kind of object, for errors.

    Raises:
        VtbenchError: the settings are not written `key=value`.
    """
    name, _, rest = text.partition(":")
    return name.strip(), parse_settings(rest, f"settings of the {what} {name.strip()!r}")


def split_specs(text: str) -> list[str]:
    """Split a list of specs at its commas, but not at those between the settings of one spec, or in its quotes.

    >>> split_specs("random:k=16,seed=3, saliency:p=0.9,complexity")
    ['random:k=16,seed=3', 'saliency:p=0.9', 'complexity']
    """
    return [part.strip() for part in _split_outside(text, _BEFORE_SPEC) if part.strip()]


def _kinds(settings: type) -> dict[str, Any]:
    """Return the type of every field, with its bounds."""
    return get_type_hints(settings, include_extras=True)


def _validator(kind: Any) -> TypeAdapter[Any]:
    from pydantic import ConfigDict, PydanticUserError, TypeAdapter

    config = ConfigDict(arbitrary_types_allowed=True, coerce_numbers_to_str=True, allow_inf_nan=False)
    try:
        return TypeAdapter(kind, config=config)
    except PydanticUserError:  # a pydantic model or dataclass has a config of its own
        return TypeAdapter(kind)
