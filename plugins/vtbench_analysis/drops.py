"""Areas under drop curves of several runs on the same samples: observations in, a `Line` a policy out."""

from __future__ import annotations

import math

import numpy as np

from vtbench_analysis.lines import Line, Value
from vtbench_analysis.paired import Difference, by_error
from vtbench_analysis.sharing import Shared
from vtbench_redundancy.drop import area, has_signal, jackknife, sure_area
from vtbench_redundancy.drop_metric import POLICIES

_NO_SIGNAL = ("no_signal",)


def lines(shared: Shared, metric: str) -> list[Line]:
    """Compare `drop_area` and its like under the other policies."""
    clusters = [record.cluster for record in shared.records[0]]
    found = []
    for policy in POLICIES:
        credits_nF = [
            np.array([[o["none"], *o[policy], o["all"]] for o in (r.scores[metric] for r in records)])
            for records in shared.records
        ]
        values = tuple(_value(credits, clusters) for credits in credits_nF)
        apart = tuple(_difference(credits_nF[0], credits, clusters) for credits in credits_nF[1:])
        name = "drop_area" if policy == "random" else f"drop_area_{policy}"
        found.append(Line(metric, name, values, apart, len(clusters), percent=False))
    return found


def _value(credits_nF: np.ndarray, clusters: list[str]) -> Value:
    if not has_signal(credits_nF, clusters):
        return Value(None, None, _NO_SIGNAL)
    found = sure_area(credits_nF, clusters)
    return Value(found.value, found.interval)


def _difference(first_nF: np.ndarray, other_nF: np.ndarray, clusters: list[str]) -> Difference:
    """Return the difference of two areas, by the jackknife over clusters with both runs' answers left out together."""
    if not (has_signal(first_nF, clusters) and has_signal(other_nF, clusters)):
        return Difference(None, flags=_NO_SIGNAL)
    points = first_nF.shape[1]
    both = np.hstack([first_nF, other_nF])
    found = jackknife(both, clusters, lambda means: area(means[..., points:]) - area(means[..., :points]))
    if found.stderr is None:
        return Difference(found.value, flags=("one_scene",))
    names = {cluster or index for index, cluster in enumerate(clusters)}
    freedom = math.inf if len(names) == len(clusters) else len(names) - 1
    return by_error(found.value, found.stderr, freedom, "jackknife")
