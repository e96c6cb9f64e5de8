"""Scores an exported task inside lm-eval and lmms-eval with the metrics of vtbench.

A score that is a mean over answers is returned as numbers, so that the harness's `mean` gives it a standard error.
For the others (pairs, ratios of sums, a fitted curve) the harness collects the observations of each answer, and
`pooled` computes the score from all of them, by the same metric as `vtbench run`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vtbench.metric import Batch, Metric
from vtbench.scoring.graph_metric import SceneGraph
from vtbench.scoring.metrics import Accuracy, PairAccuracy
from vtbench.scoring.offset_metric import Psychometric
from vtbench.types import Output, Record, Sample

METRICS: Mapping[str, Callable[[], Metric]] = {
    "accuracy": Accuracy,
    "pair_accuracy": PairAccuracy,
    "scene_graph": SceneGraph,
    "psychometric": Psychometric,
}
"""Metrics that are computed from the answer alone."""
SCORES: Mapping[str, Mapping[str, str | None]] = {
    "accuracy": {"acc": "correct"},
    "pair_accuracy": {"pair_acc": None},
    "scene_graph": {
        "tuple_f1": None,
        "object_f1": None,
        "attribute_acc": None,
        "relation_f1": None,
        "exact_graph": "exact",
        "parse_rate": "parsed",
        "hallucinated": None,
    },
    "psychometric": {"threshold_75": None},
}
"""Scores of each metric, with the observation of which a score is the mean; None for a pooled score."""
LOWER_IS_BETTER = frozenset({"hallucinated", "threshold_75"})


class Scoring:
    """The scores of some tasks.

    Args:
        metrics: names of each task's metrics.
    """

    def __init__(self, metrics: Mapping[str, Sequence[str]]) -> None:
        self._metrics = {task: {name: METRICS[name]() for name in names} for task, names in metrics.items()}

    def process_results(self, doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Any]:
        """Score one answer.

        Args:
            doc: a row of the exported table; its images may be missing.
            results: a list of one item, the answer.

        Returns:
            by score: a number, or an item for `pooled`. A score that does not apply to the question is left out.
        """
        sample = _sample(doc)
        values: dict[str, Any] = {}
        for name, metric in self._metrics[doc["task"]].items():
            (observed,) = metric.observe(Batch([sample], [Output(text=results[0])], {}))
            for score, key in SCORES[name].items() if observed else ():
                values[score] = observed[key] if key else {"asked": _record_fields(sample), "observed": dict(observed)}
        return values


def pooled(score: str) -> Callable[[Sequence[Mapping[str, Any]]], float]:
    """Return the aggregation of a score that is no mean; it takes the values of `process_results` for all answers."""
    metric = next(METRICS[name]() for name, scores in SCORES.items() if score in scores)

    def aggregate(items: Sequence[Mapping[str, Any]]) -> float:
        records = [Record(task="", **item["asked"]) for item in items]
        value = metric.compute(records, [item["observed"] for item in items])[score].value
        return float("nan") if value is None else value

    aggregate.__name__ = score
    return aggregate


def _sample(doc: Mapping[str, Any]) -> Sample:
    names = ("id", "index", "prompt", "target", "kind", "cluster", "scene_hash")
    return Sample(
        images=(),
        choices=tuple(doc["choices"]),
        references=tuple(doc.get("references") or ()),  # exports of scoring version 2 have no such column
        meta=json.loads(doc["meta"]),
        answer_type="graph" if doc["answer_type"] == "graph" else None,
        **{name: doc[name] for name in names},
    )


def _record_fields(sample: Sample) -> dict[str, Any]:
    """Return the fields of the `Record` that a metric gets beside its observations."""
    names = ("id", "index", "prompt", "target", "references", "choices", "kind", "cluster", "scene_hash", "meta")
    return {name: getattr(sample, name) for name in names}
