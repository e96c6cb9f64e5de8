"""Scores that no paired test is known for: each run's own value and interval, as its results.json has them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from vtbench_analysis.costs import NO_TEST
from vtbench_analysis.lines import Line, Value
from vtbench_analysis.opening import StoredRun
from vtbench_analysis.sharing import Shared


def lines(shared: Shared, metric: str, runs: Sequence[StoredRun], tested: Collection[str] = ()) -> list[Line]:
    """Return every score of one metric that all runs have, but those in `tested`.

    Each value is over all samples that its run has; where those are more than the shared ones it is flagged
    `own_samples`.
    """
    scores = [run.scores(shared.task) for run in runs]
    names = [name for name, score in scores[0].items() if score["metric"] == metric and name not in tested]
    return [_line(shared, metric, name, scores) for name in names if all(name in of for of in scores)]


def _line(shared: Shared, metric: str, name: str, scores: Sequence[Mapping[str, Mapping[str, Any]]]) -> Line:
    values = []
    for of, count in zip(scores, shared.of, strict=True):
        score = of[name]
        flags = (*score["flags"], *(("own_samples",) if count != len(shared) else ()))
        values.append(Value(score["value"], tuple(score["interval"]) if score["interval"] else None, flags))
    percent = bool(scores[0][name]["percent"])
    return Line(metric, name, tuple(values), (NO_TEST,) * (len(values) - 1), len(shared), percent)
