"""What is counted: stored observations of a metric in, a `Reading` for each of its scores out.

The definitions are those of `vtbench.scoring.metrics` (docs/scoring.md); a test holds the values against theirs. The
scores of other metrics are no ratios of sums over samples: `redundancy` and `drops` know some of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from vtbench.scoring.graph import ATTRIBUTES
from vtbench.scoring.metrics import concerned
from vtbench.scoring.scene_graph import Counts
from vtbench.types import Observation, Record
from vtbench_analysis.paired import Reading

Readings = Callable[[Sequence[Record], Sequence[Observation]], dict[str, Reading]]


def answers(records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Reading]:
    """Right answers in writing: `acc`."""
    return {"acc": _mean(records, observations, "correct")}


def rankings(records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Reading]:
    """Right choices ranked first: `rank_acc`, `rank_acc_norm`."""
    keys = {"rank_acc": "correct", "rank_acc_norm": "per_token"}
    return {name: _mean(records, observations, key) for name, key in keys.items()}


def exact_matches(records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Reading]:
    """Answers of imported tasks that are right to the letter: `exact_match`."""
    return {"exact_match": _mean(records, observations, "correct")}


def minimal_pairs(records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Reading]:
    """Clusters of two or more with every member right: `pair_acc`. A cluster is a unit of its own."""
    clusters: dict[str, list[float]] = defaultdict(list)
    for record, observation in concerned(records, observations):
        if record.cluster:
            clusters[record.cluster].append(observation["correct"])
    right = [float(all(correct)) for correct in clusters.values() if len(correct) > 1]
    return {"pair_acc": Reading(np.array(right), np.ones(len(right)), ("",) * len(right))}


def descriptions(records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Reading]:
    """What scene graphs got right: `tuple_f1` and its parts, `exact_graph`, `parse_rate`, `hallucinated`."""
    pairs = concerned(records, observations)
    counts = [Counts(**observation) for _, observation in pairs]
    clusters = tuple(record.cluster for record, _ in pairs)

    def over(part: Callable[[Counts], int], whole: Callable[[Counts], int]) -> Reading:
        numerators, denominators = (np.array([float(f(c)) for c in counts]) for f in (part, whole))
        return Reading(numerators, denominators, clusters)

    def f1(name: str) -> Reading:
        def said_and_true(c: Counts) -> int:
            both: int = getattr(c, f"{name}_said") + getattr(c, f"{name}_true")
            return both

        return over(lambda c: 2 * getattr(c, f"{name}_right"), said_and_true)

    return {
        "tuple_f1": f1("tuples"),
        "object_f1": f1("objects"),
        "attribute_acc": over(
            lambda c: sum(getattr(c, f"{name}_right") for name in ATTRIBUTES), lambda c: 3 * c.objects_right
        ),
        "relation_f1": f1("relations"),
        "exact_graph": over(lambda c: c.exact, lambda _: 1),
        "parse_rate": over(lambda c: c.parsed, lambda _: 1),
        "hallucinated": over(lambda c: c.objects_said - c.objects_right, lambda c: c.objects_said),
    }


READINGS: Mapping[str, Readings] = {
    "accuracy": answers,
    "exact_match": exact_matches,
    "rank_accuracy": rankings,
    "pair_accuracy": minimal_pairs,
    "scene_graph": descriptions,
}
"""By metric."""


def _mean(records: Sequence[Record], observations: Sequence[Observation], key: str) -> Reading:
    pairs = concerned(records, observations)
    values = np.array([float(observation[key]) for _, observation in pairs])
    return Reading(values, np.ones(len(values)), tuple(record.cluster for record, _ in pairs))
