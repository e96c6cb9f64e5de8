"""Scores as ratios of sums: from a metric's stored observations, the numerator and denominator of every unit.

The definitions are those of `vtbench.scoring.metrics` (docs/scoring.md); a test checks that the values agree. Scores of
the visual-token metrics are no such ratios; `redundancy_rows` and `score_rows` compare them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from vtbench.scoring.graph import ATTRIBUTES
from vtbench.scoring.group_metrics import UNITS, path_weights, whole_units
from vtbench.scoring.metrics import Pairs, concerned, whole_pairs
from vtbench.scoring.repeats import by_question
from vtbench.scoring.scene_graph import Counts
from vtbench.stats import RatioTerms
from vtbench.types import Observation, Record

TermsOfMetric = Callable[[Sequence[Record], Sequence[Observation]], dict[str, RatioTerms]]


def accuracy_terms(records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, RatioTerms]:
    """Correct written answers: `acc`."""
    return {"acc": _mean_terms(records, observations, "correct")}


def rank_accuracy_terms(records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, RatioTerms]:
    """Correct choices ranked first by likelihood: `rank_acc`, `rank_acc_norm`."""
    keys = {"rank_acc": "correct", "rank_acc_norm": "per_token"}
    return {name: _mean_terms(records, observations, key) for name, key in keys.items()}


def exact_match_terms(records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, RatioTerms]:
    """Exact matches of imported tasks: `exact_match`."""
    return {"exact_match": _mean_terms(records, observations, "correct")}


def pair_accuracy_terms(records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, RatioTerms]:
    """Minimal pairs with both answers right: `pair_acc`."""
    return {"pair_acc": _unit_terms(whole_pairs(concerned(records, observations))[0])}


def group_accuracy_terms(records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, RatioTerms]:
    """Groups, and their questions, images and pairs, with all answers right: `group_acc` and the scores beside it."""
    pairs = concerned(records, observations)
    units = {name: whole_units(pairs, name)[0] for name in UNITS}
    return {name: _unit_terms(whole) for name, whole in units.items() if whole}


def yes_no_terms(records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, RatioTerms]:
    """F1 of the answer yes, and how often it is given: `f1`, `yes_share`."""
    pairs = concerned(records, observations)
    clusters = tuple(record.cluster for record, _ in pairs)
    said = np.array([float(observation["said_yes"]) for _, observation in pairs])
    true = np.array([float(observation["is_yes"]) for _, observation in pairs])
    return {
        "f1": RatioTerms(2 * said * true, said + true, clusters),
        "yes_share": RatioTerms(said, np.ones(len(said)), clusters),
    }


def macro_accuracy_terms(records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, RatioTerms]:
    """Mean of the accuracies of the kinds of question: `macro_acc`."""
    pairs = concerned(records, observations)
    weights = np.array(path_weights([tuple(record.kind.split("/")) for record, _ in pairs]))
    right = np.array([float(observation["correct"]) for _, observation in pairs])
    return {"macro_acc": RatioTerms(weights * right, weights, tuple(record.cluster for record, _ in pairs))}


def scene_graph_terms(records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, RatioTerms]:
    """Scene-graph descriptions: `tuple_f1` and its parts, `exact_graph`, `parse_rate`, `hallucinated`."""
    pairs = concerned(records, observations)
    counts = [Counts(**observation) for _, observation in pairs]
    clusters = tuple(record.cluster for record, _ in pairs)

    def ratio_of(numerator: Callable[[Counts], int], denominator: Callable[[Counts], int]) -> RatioTerms:
        numerators, denominators = (np.array([float(f(c)) for c in counts]) for f in (numerator, denominator))
        return RatioTerms(numerators, denominators, clusters)

    def f1(name: str) -> RatioTerms:
        def said_and_true(c: Counts) -> int:
            both: int = getattr(c, f"{name}_said") + getattr(c, f"{name}_true")
            return both

        return ratio_of(lambda c: 2 * getattr(c, f"{name}_right"), said_and_true)

    return {
        "tuple_f1": f1("tuples"),
        "object_f1": f1("objects"),
        "attribute_acc": ratio_of(
            lambda c: sum(getattr(c, f"{name}_right") for name in ATTRIBUTES), lambda c: 3 * c.objects_right
        ),
        "relation_f1": f1("relations"),
        "exact_graph": ratio_of(lambda c: c.exact, lambda _: 1),
        "parse_rate": ratio_of(lambda c: c.parsed, lambda _: 1),
        "hallucinated": ratio_of(lambda c: c.objects_said - c.objects_right, lambda c: c.objects_said),
    }


def repeats_terms(records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, RatioTerms]:
    """Credit of each repeat, and questions with a right answer among their repeats: `mean@k`, `pass@k`."""
    units = by_question(concerned(records, observations))
    k = max((record.repeat for unit in units for record, _ in unit), default=0) + 1
    whole = [unit for unit in units if len(unit) == k]
    passed = np.array([float(any(observation["right"] for _, observation in unit)) for unit in whole])
    return {
        f"mean@{k}": _mean_terms(records, observations, "credit"),
        f"pass@{k}": RatioTerms(passed, np.ones(len(whole)), tuple(unit[0][0].cluster for unit in whole)),
    }


RATIO_METRICS: Mapping[str, TermsOfMetric] = {
    "accuracy": accuracy_terms,
    "exact_match": exact_match_terms,
    "rank_accuracy": rank_accuracy_terms,
    "pair_accuracy": pair_accuracy_terms,
    "group_accuracy": group_accuracy_terms,
    "yes_no": yes_no_terms,
    "macro_accuracy": macro_accuracy_terms,
    "scene_graph": scene_graph_terms,
    "repeats": repeats_terms,
}
"""By name of the metric, the terms of its scores."""


def _unit_terms(units: Sequence[Pairs]) -> RatioTerms:
    """Return 1 for each unit of samples whose answers are all right. The repeats of a cluster are no others."""
    right = np.array([float(all(observation["correct"] for _, observation in unit)) for unit in units])
    return RatioTerms(right, np.ones(len(units)), tuple(unit[0][0].cluster for unit in units))


def _mean_terms(records: Sequence[Record], observations: Sequence[Observation], key: str) -> RatioTerms:
    pairs = concerned(records, observations)
    values = np.array([float(observation[key]) for _, observation in pairs])
    return RatioTerms(values, np.ones(len(values)), tuple(record.cluster for record, _ in pairs))
