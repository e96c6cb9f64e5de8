"""What lm-eval and lmms-eval call for an exported task: a row and an answer in, vtbench's own scores out.

Scores that are a mean over answers are handed over as numbers, so that the harness's `mean` gives them a standard
error. Of the others (pairs, ratios of sums, a fitted curve) the harness collects what the metric remembers of each
answer, and a `pooled` score is computed from all of it, by the same metric as in `vtbench run`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vtbench.metric import Batch, Metric
from vtbench.scoring.metrics import Accuracy, PairAccuracy, SceneGraph
from vtbench.scoring.offset_metric import Psychometric
from vtbench.types import Output, Record, Sample

METRICS: Mapping[str, Callable[[], Metric]] = {
    "accuracy": Accuracy,
    "pair_accuracy": PairAccuracy,
    "scene_graph": SceneGraph,
    "psychometric": Psychometric,
}
"""vtbench's metrics that need an answer and nothing else of a model."""
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
"""Each metric's scores, and the part of its observations that a score is the mean of; None: it is pooled."""
LOWER_IS_BETTER = frozenset({"hallucinated", "threshold_75"})


class Scoring:
    """The scores of some tasks.

    Args:
        metrics: for each task the names of its metrics.
    """

    def __init__(self, metrics: Mapping[str, Sequence[str]]) -> None:
        self._metrics = {task: {name: METRICS[name]() for name in names} for task, names in metrics.items()}

    def process_results(self, doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Any]:
        """Score one answer.

        Args:
            doc: a row of the exported table; its pictures may be gone.
            results: the answer, and nothing else.

        Returns:
            by score: a number, or what `pooled` takes. A score that has no say on this question is left out.
        """
        sample = _sample(doc)
        values: dict[str, Any] = {}
        for name, metric in self._metrics[doc["task"]].items():
            (seen,) = metric.observe(Batch([sample], [Output(text=results[0])], {}))
            for score, key in SCORES[name].items() if seen else ():
                values[score] = seen[key] if key else {"asked": _asked(sample), "observed": dict(seen)}
        return values


def pooled(score: str) -> Callable[[Sequence[Mapping[str, Any]]], float]:
    """Return the aggregation of a score that is no mean: `process_results`' values of all answers in, the score out."""
    metric = next(METRICS[name]() for name, scores in SCORES.items() if score in scores)

    def aggregate(items: Sequence[Mapping[str, Any]]) -> float:
        records = [Record(task="", **item["asked"]) for item in items]
        value = metric.compute(records, [item["observed"] for item in items])[score].value
        return float("nan") if value is None else value

    aggregate.__name__ = score
    return aggregate


def _sample(doc: Mapping[str, Any]) -> Sample:
    facts = {name: doc[name] for name in ("id", "index", "prompt", "target", "kind", "cluster", "scene_hash")}
    return Sample(images=(), choices=tuple(doc["choices"]), meta=json.loads(doc["meta"]), **facts)


def _asked(sample: Sample) -> dict[str, Any]:
    """Return what a metric may want to know of a question beside what it observed: a `Record`'s fields."""
    names = ("id", "index", "prompt", "target", "choices", "kind", "cluster", "meta")
    return {name: getattr(sample, name) for name in names}
