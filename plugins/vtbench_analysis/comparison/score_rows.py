"""One score of every run on the shared samples, as a row of a comparison: the noun, and the rows that need no torch.

Ratio scores and drop curves have a paired test. Costs and all other scores are shown without one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vtbench.types import Record
from vtbench_analysis.comparison.paired_statistics import (
    Difference,
    RatioTerms,
    jackknife_difference,
    ratio_difference,
    ratio_estimate,
)
from vtbench_analysis.comparison.ratio_terms import RATIO_METRICS
from vtbench_analysis.comparison.shared_samples import SharedSamples
from vtbench_analysis.stored_run import StoredRun
from vtbench_redundancy.metrics.drop_curve_metric import POLICIES
from vtbench_redundancy.scores.drop_curve import area, area_estimate, has_signal

COSTS: Mapping[str, Callable[[Record], float | None]] = {
    "visual_tokens": lambda record: record.visual_tokens_in,
    "ms_per_sample": lambda record: 1000 * record.seconds,
}
"""Costs by name, averaged over samples; `ms_per_sample` is wall time, measurement of the metrics included."""
NO_TEST = Difference(None, flags=("no_test",))
_NO_SIGNAL = ("no_signal",)


@dataclass(frozen=True, slots=True)
class Value:
    """One run's value of a score. It is None where it cannot be computed; `flags` says why."""

    value: float | None
    interval: tuple[float, float] | None = None
    """95 %."""
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One score of every run, and each run's difference from the first."""

    metric: str
    score: str
    values: tuple[Value, ...]
    """One a run, the first run's first."""
    differences: tuple[Difference, ...]
    """One for each run but the first."""
    n: int
    """Number of compared units: samples, pairs or images."""
    percent: bool
    """Whether values are printed as percentages."""


def ratio_rows(shared: SharedSamples, metric: str) -> list[ScoreRow]:
    """Compare every score of one of `RATIO_METRICS`."""
    each = [RATIO_METRICS[metric](records, [r.scores[metric] for r in records]) for records in shared.records]
    return [_ratio_row(metric, score, [terms[score] for terms in each]) for score in each[0]]


def _ratio_row(metric: str, score: str, terms: list[RatioTerms]) -> ScoreRow:
    estimates = [ratio_estimate(one) for one in terms]
    values = tuple(Value(e.value, e.interval, () if e.value is not None else ("empty",)) for e in estimates)
    differences = tuple(ratio_difference(terms[0], other) for other in terms[1:])
    return ScoreRow(metric, score, values, differences, len(terms[0].numerators), percent=True)


def drop_curve_rows(shared: SharedSamples, metric: str) -> list[ScoreRow]:
    """Compare the areas under the drop curves, `drop_area` and those of the other dropping policies."""
    clusters = [record.cluster for record in shared.records[0]]
    rows = []
    for policy in POLICIES:
        credits_nF = [
            np.array([[o["none"], *o[policy], o["all"]] for o in (r.scores[metric] for r in records)])
            for records in shared.records
        ]
        values = tuple(_area_value(credits, clusters) for credits in credits_nF)
        differences = tuple(_area_difference(credits_nF[0], credits, clusters) for credits in credits_nF[1:])
        name = "drop_area" if policy == "random" else f"drop_area_{policy}"
        rows.append(ScoreRow(metric, name, values, differences, len(clusters), percent=False))
    return rows


def _area_value(credits_nF: np.ndarray, clusters: list[str]) -> Value:
    if not has_signal(credits_nF, clusters):
        return Value(None, None, _NO_SIGNAL)
    found = area_estimate(credits_nF, clusters)
    return Value(found.value, found.interval)


def _area_difference(first_nF: np.ndarray, other_nF: np.ndarray, clusters: list[str]) -> Difference:
    if not (has_signal(first_nF, clusters) and has_signal(other_nF, clusters)):
        return Difference(None, flags=_NO_SIGNAL)
    return jackknife_difference(first_nF, other_nF, clusters, area)


def untested_rows(
    shared: SharedSamples, metric: str, runs: Sequence[StoredRun], tested: Collection[str] = ()
) -> list[ScoreRow]:
    """Return the stored values of every score of one metric that all runs have, except those in `tested`.

    Each value is that of results.json, over all samples of its run. Where those are more than the shared ones it is
    flagged `own_samples`.
    """
    scores = [run.scores(shared.task) for run in runs]
    names = [name for name, score in scores[0].items() if score["metric"] == metric and name not in tested]
    return [_untested_row(shared, metric, name, scores) for name in names if all(name in of for of in scores)]


def _untested_row(
    shared: SharedSamples, metric: str, name: str, scores: Sequence[Mapping[str, Mapping[str, Any]]]
) -> ScoreRow:
    values = []
    for of, count in zip(scores, shared.n_samples, strict=True):
        score = of[name]
        flags = (*score["flags"], *(("own_samples",) if count != len(shared) else ()))
        values.append(Value(score["value"], tuple(score["interval"]) if score["interval"] else None, flags))
    percent = bool(scores[0][name]["percent"])
    return ScoreRow(metric, name, tuple(values), (NO_TEST,) * (len(values) - 1), len(shared), percent)


def cost_rows(shared: SharedSamples) -> list[ScoreRow]:
    """Return the runs' costs, where at least one run recorded them.

    They are not tested: samples of one batch share its wall time, and times of different machines do not compare.
    """
    rows = []
    for name, cost in COSTS.items():
        values = tuple(_mean_cost([cost(record) for record in records]) for records in shared.records)
        if any(value.value is not None for value in values):
            differences = (NO_TEST,) * (len(values) - 1)
            rows.append(ScoreRow("cost", name, values, differences, len(shared), percent=False))
    return rows


def _mean_cost(costs: Sequence[float | None]) -> Value:
    known = [cost for cost in costs if cost is not None]
    return Value(sum(known) / len(known)) if len(known) == len(costs) else Value(None, flags=("unknown",))
