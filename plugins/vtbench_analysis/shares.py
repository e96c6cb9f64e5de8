"""Scores that are ratios of sums over samples (accuracy, F1): the runs' observations in, a `Line` a score out."""

from __future__ import annotations

from vtbench.stats import ratio
from vtbench_analysis.lines import Line, Value
from vtbench_analysis.paired import Reading, difference
from vtbench_analysis.readings import READINGS
from vtbench_analysis.sharing import Shared


def lines(shared: Shared, metric: str) -> list[Line]:
    """Compare every score of one of `READINGS`."""
    each = [READINGS[metric](records, [r.scores[metric] for r in records]) for records in shared.records]
    return [_line(metric, score, [readings[score] for readings in each]) for score in each[0]]


def _line(metric: str, score: str, readings: list[Reading]) -> Line:
    values = []
    for reading in readings:
        found = ratio(reading.numerators.tolist(), reading.denominators.tolist(), reading.clusters)
        values.append(Value(found.value, found.interval, () if found.value is not None else ("empty",)))
    apart = tuple(difference(readings[0], other) for other in readings[1:])
    return Line(metric, score, tuple(values), apart, len(readings[0].numerators), percent=True)
