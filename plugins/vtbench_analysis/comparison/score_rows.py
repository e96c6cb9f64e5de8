"""One score of every run on the shared samples, as a row of a comparison: the noun, and the rows that need no torch.

Ratio scores and drop curves have a paired test. Costs and all other scores are shown without one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vtbench.scoring.answers import was_parsed
from vtbench.scoring.reasoning import was_cut
from vtbench.stats import Estimate, RatioTerms, jackknife_difference, ratio, ratio_difference
from vtbench.types import Record
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
NO_TEST = Estimate(None, flags=("no_test",))
_NO_SIGNAL = Estimate(None, flags=("no_signal",))


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One score of every run, and each run's difference from the first."""

    metric: str
    score: str
    values: tuple[Estimate, ...]
    """One a run, the first run's first."""
    differences: tuple[Estimate, ...]
    """One for each run but the first."""
    n: int
    """Number of compared units: samples, pairs or images."""
    percent: bool
    """Whether values are printed as percentages."""


def ratio_rows(shared: SharedSamples, metric: str) -> list[ScoreRow]:
    """Compare every score of one of `RATIO_METRICS`."""
    shared = shared.observed(metric)
    if not len(shared):
        return []
    each = [RATIO_METRICS[metric](records, [r.scores[metric] for r in records]) for records in shared.records]
    return [_ratio_row(metric, score, [terms[score] for terms in each]) for score in each[0]]


def _ratio_row(metric: str, score: str, terms: list[RatioTerms]) -> ScoreRow:
    values = tuple(ratio_value(one) for one in terms)
    differences = tuple(ratio_difference(other, terms[0]) for other in terms[1:])
    return ScoreRow(metric, score, values, differences, len(terms[0].numerators), percent=True)


def ratio_value(terms: RatioTerms) -> Estimate:
    """Return one run's ratio, flagged `empty` where its denominators sum to 0."""
    found = ratio(terms.numerators.tolist(), terms.denominators.tolist(), terms.clusters)
    return found if found.value is not None else replace(found, flags=("empty",))


def drop_curve_rows(shared: SharedSamples, metric: str) -> list[ScoreRow]:
    """Compare the areas under the drop curves, `drop_area` and those of the other dropping policies."""
    shared = shared.observed(metric)
    if not len(shared):
        return []
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


def _area_value(credits_nF: np.ndarray, clusters: list[str]) -> Estimate:
    return area_estimate(credits_nF, clusters) if has_signal(credits_nF, clusters) else _NO_SIGNAL


def _area_difference(first_nF: np.ndarray, other_nF: np.ndarray, clusters: list[str]) -> Estimate:
    if not (has_signal(first_nF, clusters) and has_signal(other_nF, clusters)):
        return _NO_SIGNAL
    return jackknife_difference(other_nF, first_nF, clusters, area)


def untested_rows(
    shared: SharedSamples, metric: str, runs: Sequence[StoredRun], tested: Collection[str] = ()
) -> list[ScoreRow]:
    """Return the stored values of every score of one metric that all runs have, except those in `tested`.

    A score of which no run has a sample says nothing, and has no row. Each value is that of results.json, over all
    samples of its run. Where those are more than the shared ones it is flagged `own_samples`.
    """
    scores = [run.scores(shared.task) for run in runs]
    names = [name for name, score in scores[0].items() if score["metric"] == metric and name not in tested]
    there = [name for name in names if all(name in of for of in scores)]
    told = [name for name in there if any(of[name]["n"] or of[name]["value"] is not None for of in scores)]
    return [_untested_row(shared, metric, name, scores) for name in told]


def _untested_row(
    shared: SharedSamples, metric: str, name: str, scores: Sequence[Mapping[str, Mapping[str, Any]]]
) -> ScoreRow:
    values = []
    for of, count in zip(scores, shared.n_samples, strict=True):
        score = of[name]
        flags = (*score["flags"], *(("own_samples",) if count != len(shared) else ()))
        interval = tuple(score["interval"]) if score["interval"] else None
        values.append(Estimate(score["value"], score["stderr"], interval, score["n"], flags=flags))
    percent = bool(scores[0][name]["percent"])
    return ScoreRow(metric, name, tuple(values), (NO_TEST,) * (len(values) - 1), len(shared), percent)


def answer_rows(shared: SharedSamples) -> list[ScoreRow]:
    """Compare the shares of answers that were cut or could not be parsed, where a run has such answers."""
    rows = []
    for name, of in {"cut": _was_cut, "unparsed": _was_unparsed}.items():
        terms = [_share_terms([of(record) for record in records], records) for records in shared.records]
        if any(of_run.numerators.sum() for of_run in terms):
            rows.append(_ratio_row("answers", name, terms))
    return rows


def _was_cut(record: Record) -> bool | None:
    return None if record.output is None else was_cut(record.output, record.finish_reason)


def _was_unparsed(record: Record) -> bool | None:
    parsed = None if record.output is None else was_parsed(record)
    return None if parsed is None else not parsed


def _share_terms(verdicts: Sequence[bool | None], records: Sequence[Record]) -> RatioTerms:
    """Return the share of True among the verdicts that are not None."""
    return RatioTerms(
        np.array([float(verdict is True) for verdict in verdicts]),
        np.array([float(verdict is not None) for verdict in verdicts]),
        tuple(record.cluster for record in records),
    )


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


def _mean_cost(costs: Sequence[float | None]) -> Estimate:
    known = [cost for cost in costs if cost is not None]
    return Estimate(sum(known) / len(known)) if len(known) == len(costs) else Estimate(None, flags=("unknown",))
