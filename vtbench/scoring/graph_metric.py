"""The metric of scene graphs: agreement of a description with the scene.

An observation is `{}` where the metric does not apply, as in metrics.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from vtbench.metric import Batch, first_sample
from vtbench.scoring.answers import answer_type
from vtbench.scoring.credit import graph_counts
from vtbench.scoring.graph import ATTRIBUTES
from vtbench.scoring.metrics import Pairs, broken_down, concerned
from vtbench.scoring.scene_graph import Counts
from vtbench.stats import proportion, ratio
from vtbench.types import Capability, Observation, Record, Sample, Score, Task


class SceneGraph:
    """Agreement of a description with the scene: F1 over objects, attributes and relations."""

    needs: frozenset[Capability] = frozenset({"generate"})

    def check_task(self, task: Task) -> None:
        """Check that the target is a scene graph, where the first sample's answer may be one.

        Raises:
            TaskError: it is not in the line grammar.
        """
        first = first_sample(task)
        if first is not None and _may_be_graph(first):
            graph_counts(None, first)

    def observe(self, batch: Batch) -> list[Observation]:
        """Count the right objects, attributes and relations of each description.

        Raises:
            TaskError: a target is not in the line grammar.
        """
        return [
            graph_counts(output.text, sample).as_dict() if _may_be_graph(sample) else {}
            for sample, output in zip(batch.samples, batch.outputs, strict=True)
        ]

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Return `tuple_f1`, its parts, `exact_graph`, `parse_rate` and `hallucinated`."""
        pairs = concerned(records, observations)
        return {
            name: replace(score, detail={**score.detail, **broken_down(pairs, name, partial(_graph_score, name=name))})
            for name, score in _graph_scores(pairs).items()
        }


def _graph_score(pairs: Pairs, name: str) -> Score:
    return _graph_scores(pairs)[name]


def _graph_scores(pairs: Pairs) -> dict[str, Score]:
    clusters = [record.cluster for record, _ in pairs]
    counts = [Counts(**observation) for _, observation in pairs]

    def f1(right: list[int], said: list[int], true: list[int], detail: dict[str, Any] | None = None) -> Score:
        both = [s + t for s, t in zip(said, true, strict=True)]
        estimate = ratio([2 * r for r in right], both, clusters)
        shares = {"precision": _share(right, said), "recall": _share(right, true), **(detail or {})}
        return estimate.score(detail=shares)

    agreeing = {name: [getattr(c, f"{name}_right") for c in counts] for name in ATTRIBUTES}
    matched = [c.objects_right for c in counts]
    attributes = [sum(values) for values in zip(*agreeing.values(), strict=True)]
    tuples_right = [c.tuples_right for c in counts]
    tuples_said = [c.tuples_said for c in counts]
    tuples_true = [c.tuples_true for c in counts]
    each = [c.f1 for c in counts]
    by_attribute = {name: _share(values, matched) for name, values in agreeing.items()}
    said = [c.objects_said for c in counts]
    extra = [c.objects_said - c.objects_right for c in counts]
    return {
        "tuple_f1": f1(tuples_right, tuples_said, tuples_true, {"per_sample": _share(each, [1] * len(each))}),
        "object_f1": f1(matched, said, [c.objects_true for c in counts]),
        "attribute_acc": ratio(attributes, [3 * m for m in matched], clusters).score(detail=by_attribute),
        "relation_f1": f1(
            [c.relations_right for c in counts],
            [c.relations_said for c in counts],
            [c.relations_true for c in counts],
        ),
        "exact_graph": proportion([c.exact for c in counts], clusters).score(),
        "parse_rate": proportion([c.parsed for c in counts], clusters).score(),
        "hallucinated": ratio(extra, said, clusters).score(detail={"per_sample": _share(extra, [1] * len(extra))}),
    }


def _may_be_graph(sample: Sample) -> bool:
    """Return whether the answer is a scene graph: it says so, or is an open one of a user's task with this metric."""
    return answer_type(sample) == "graph" or (sample.answer_type is None and not sample.choices)


def _share(part: Sequence[float], whole: Sequence[float]) -> float | None:
    return math.fsum(part) / math.fsum(whole) if sum(whole) else None
