"""Values of single answers in, a score out: by their mean, or by the task's own aggregation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vtbench.errors import SampleError
from vtbench.stats import any_mean, mean
from vtbench.types import Score

Aggregation = Callable[[list[Any]], Any]
_TUPLE = "(tuple)"


def stored(value: Any, name: str) -> Any:
    """Return what code made of an answer as JSON holds it, tuples marked.

    Raises:
        SampleError: it cannot be written.
    """
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:  # a number of numpy or torch
        value = value.item()
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, tuple):
        return {_TUPLE: [stored(part, name) for part in value]}
    if isinstance(value, list):
        return [stored(part, name) for part in value]
    if isinstance(value, Mapping):
        return {str(key): stored(part, name) for key, part in value.items()}
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise SampleError(f"{name}: {type(value).__name__} {value!r:.40} cannot be kept")


def restored(value: Any) -> Any:
    """Return what `stored` was given.

    >>> restored(stored({"pair": (1, "a")}, "acc"))
    {'pair': (1, 'a')}
    """
    if isinstance(value, list):
        return [restored(part) for part in value]
    if isinstance(value, Mapping):
        if value.keys() == {_TUPLE}:
            return tuple(restored(part) for part in value[_TUPLE])
        return {key: restored(part) for key, part in value.items()}
    return value


def reduced(values: Sequence[Any], clusters: Sequence[str], aggregation: Aggregation | None) -> Score:
    """Return the score of the values; an aggregation that fails costs its score and nothing else."""
    if not values:
        return Score(None)
    if aggregation is None:
        if not all(isinstance(value, int | float) for value in values):
            return Score(None, n=len(values), flags=("not_numbers",))
        shares = all(0 <= value <= 1 for value in values)
        return (mean if shares else any_mean)(values, clusters).score(percent=shares)
    try:
        found = aggregation([restored(value) for value in values])
        value = float(found)
    except Exception as problem:  # whatever a stranger's code raises
        text = " ".join(f"{type(problem).__name__}: {problem}".split())
        return Score(None, n=len(values), flags=("aggregation_failed",), detail={"error": text})
    return Score(value if math.isfinite(value) else None, n=len(values), percent=0 <= value <= 1)
