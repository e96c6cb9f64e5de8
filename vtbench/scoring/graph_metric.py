"""The metric of scene graphs: agreement of a description with the scene.

An observation is `{}` where the metric does not apply, as in metrics.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from vtbench.metric import Batch, first_sample
from vtbench.scoring.answers import answer_type
from vtbench.scoring.breakdown import breakdowns, words_of
from vtbench.scoring.credit import graph_counts
from vtbench.scoring.graph import ATTRIBUTES
from vtbench.scoring.metrics import concerned
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
        graphs = [_Graph(record, Counts(**observation)) for record, observation in concerned(records, observations)]
        found = {}
        for name, measure in _MEASURES.items():
            score = measure(graphs)
            tables = breakdowns(name, graphs, lambda graph: words_of(graph.record), measure)
            found[name] = replace(score, detail={**score.detail, **tables})
        return found


class _Graph(NamedTuple):
    """The counts of one description, and the record that it is of."""

    record: Record
    counts: Counts


_Graphs = Sequence[_Graph]


def _f1(right: str, said: str, true: str) -> Callable[[_Graphs], Score]:
    """Return the measure 2 right / (said + true), over the sums of these counts."""

    def measure(graphs: _Graphs) -> Score:
        rights, saids, trues = (_column(graphs, name) for name in (right, said, true))
        both = [s + t for s, t in zip(saids, trues, strict=True)]
        estimate = ratio([2 * r for r in rights], both, _clusters(graphs))
        return estimate.score(detail={"precision": _share(rights, saids), "recall": _share(rights, trues)})

    return measure


def _tuple_f1(graphs: _Graphs) -> Score:
    score = _f1("tuples_right", "tuples_said", "tuples_true")(graphs)
    each = [graph.counts.f1 for graph in graphs]
    return replace(score, detail={**score.detail, "per_sample": _share(each, [1] * len(each))})


def _attribute_acc(graphs: _Graphs) -> Score:
    matched = _column(graphs, "objects_right")
    agreeing = {name: _column(graphs, f"{name}_right") for name in ATTRIBUTES}
    right = [sum(values) for values in zip(*agreeing.values(), strict=True)]
    by_attribute = {name: _share(values, matched) for name, values in agreeing.items()}
    return ratio(right, [3 * m for m in matched], _clusters(graphs)).score(detail=by_attribute)


def _hallucinated(graphs: _Graphs) -> Score:
    said = _column(graphs, "objects_said")
    extra = [s - right for s, right in zip(said, _column(graphs, "objects_right"), strict=True)]
    return ratio(extra, said, _clusters(graphs)).score(detail={"per_sample": _share(extra, [1] * len(extra))})


def _proportion(count: str) -> Callable[[_Graphs], Score]:
    return lambda graphs: proportion(_column(graphs, count), _clusters(graphs)).score()


_MEASURES: Mapping[str, Callable[[_Graphs], Score]] = {
    "tuple_f1": _tuple_f1,
    "object_f1": _f1("objects_right", "objects_said", "objects_true"),
    "attribute_acc": _attribute_acc,
    "relation_f1": _f1("relations_right", "relations_said", "relations_true"),
    "exact_graph": _proportion("exact"),
    "parse_rate": _proportion("parsed"),
    "hallucinated": _hallucinated,
}
"""The scores by name, each of some descriptions: a breakdown asks for the one that it breaks down."""


def _column(graphs: _Graphs, count: str) -> list[int]:
    return [getattr(graph.counts, count) for graph in graphs]


def _clusters(graphs: _Graphs) -> list[str]:
    return [graph.record.cluster for graph in graphs]


def _may_be_graph(sample: Sample) -> bool:
    """Return whether the answer is a scene graph: it says so, or is an open one of a user's task with this metric."""
    return answer_type(sample) == "graph" or (sample.answer_type is None and not sample.choices)


def _share(part: Sequence[float], whole: Sequence[float]) -> float | None:
    return math.fsum(part) / math.fsum(whole) if sum(whole) else None
