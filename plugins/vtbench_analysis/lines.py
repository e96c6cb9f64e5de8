"""The nouns of a comparison: one score of every run on the shared samples, and how far the runs are apart in it."""

from __future__ import annotations

from dataclasses import dataclass

from vtbench_analysis.paired import Difference


@dataclass(frozen=True, slots=True)
class Value:
    """One run's value of a score; None where it cannot be said, and `flags` says why."""

    value: float | None
    interval: tuple[float, float] | None = None
    """95 %."""
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """One score."""

    metric: str
    score: str
    values: tuple[Value, ...]
    """One a run, the first one's first."""
    differences: tuple[Difference, ...]
    """One for each run but the first."""
    n: int
    """Units that were compared: samples, pairs, pictures."""
    percent: bool
