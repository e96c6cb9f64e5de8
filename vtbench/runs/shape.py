"""The shape of a JSON document: what its readers take for granted, checked once when it is read.

A shape is a type (`float` takes whole numbers too), None for null, `[SHAPE]` for a list, `{"key": SHAPE}` for an object
(`"key?"` may be missing, `"*"` stands for every other key), or a tuple of alternatives.
"""

from __future__ import annotations

from typing import Any

_NUMBER = (float, None)
RUN: dict[str, Any] = {
    "digest": str,
    "run_id?": str,
    "created?": str,
    "git?": (str, None),
    "config": {
        "model": str,
        "model_args?": dict,
        "split?": (str, None),
        "seed?": (int, None),
        "system?": (str, None),
        "gen?": dict,
        "chat_template_args?": dict,
    },
    "tasks": {"*": {"samples": int, "file?": str}},
    "metrics": {"*": [str]},
    "model": dict,
    "keys": {"tasks?": {"*": {"parts?": [dict], "fewshot?": {"k": int}}}},
    "versions?": {"plugins": {"*": {"distribution": str, "version": str}}, "platform": str, "vtbench": str},
}
"""run.json of every version."""
RESULTS: dict[str, Any] = {
    "results": {"*": dict},
    "scores": {
        "*": {
            "*": {
                "metric": str,
                "value": _NUMBER,
                "interval": ([float], None),
                "n": int,
                "chance": _NUMBER,
                "flags": [str],
                "detail": dict,
                "percent": bool,
            }
        }
    },
    "left_out": {"*": {"*": str}},
    "n-samples": {"*": {"original": int, "effective": int}},
    "failed": {"*": int},
    "unobserved?": {"*": {"*": {"samples": int, "of": int, "reasons": {"*": int}}}},
    "answers?": {"*": {"*": float}},
    "configs?": {
        "*": {"parts?": [dict], "fewshot?": {"k": int}, "max_new_tokens?": (int, None), "prompt_format?": str}
    },
}
"""results.json of every version."""


def mismatch(value: Any, shape: Any, place: str = "it") -> str | None:
    """Return where and how a value does not have a shape; None if it has.

    >>> mismatch({"a": [1, "x"]}, {"a": [int], "b?": str})
    'a[1] is a text'
    >>> mismatch({}, {"a": str})
    "it has no 'a'"
    """
    if isinstance(shape, tuple):
        found = [mismatch(value, one, place) for one in shape]
        return found[0] if all(found) else None
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"{place} is {_kind(value)}"
        parts = ((item, shape[0], f"{place}[{i}]") for i, item in enumerate(value))
        return next((problem for part in parts if (problem := mismatch(*part))), None)
    if not isinstance(shape, dict):
        kind: Any = type(None) if shape is None else (int, float) if shape is float else shape
        fits = isinstance(value, kind) and (shape is bool or not isinstance(value, bool))
        return None if fits else f"{place} is {_kind(value)}"
    if not isinstance(value, dict):
        return f"{place} is {_kind(value)}"
    named = {key.removesuffix("?"): part for key, part in shape.items() if key != "*"}
    if lacking := [key for key in shape if key != "*" and not key.endswith("?") and key not in value]:
        return f"{place} has no {lacking[0]!r}"
    inside = "" if place == "it" else f"{place}."
    checks = ((item, named.get(key, shape.get("*", object)), f"{inside}{key}") for key, item in value.items())
    return next((problem for part in checks if part[1] is not object and (problem := mismatch(*part))), None)


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")
