"""The credit of one answer, a score in [0, 1], for any kind of question.

The mean credit is `acc` for closed answers. For scene graphs it is the mean of the F1 of each description, reported as
`per_sample` beside `tuple_f1`, which pools the tuples of all descriptions.
"""

from __future__ import annotations

from collections.abc import Mapping

from vtbench.errors import TaskError
from vtbench.scoring.answers import answer_type, exact_match
from vtbench.scoring.graph import parse_graph
from vtbench.scoring.reasoning import final_answer
from vtbench.scoring.scene_graph import Counts, compare
from vtbench.types import Sample


def credit(text: str | None, sample: Sample) -> float:
    """Return the F1 over tuples of a scene graph; for any other answer 1.0 if it is right, else 0.0.

    Raises:
        SampleError: the target is none of the choices.
        TaskError: the target of a scene graph is not in the line grammar.
    """
    return graph_counts(text, sample).f1 if answer_type(sample) == "graph" else float(exact_match(text, sample)[1])


def main_score(values: Mapping[str, float | None]) -> str:
    """Return the name of a task's main score: tuple F1 where answers are scene graphs, else accuracy.

    >>> main_score({"acc": 0.9, "rank_acc": 0.8}), main_score({"acc": 0.1, "tuple_f1": 0.7})
    ('acc', 'tuple_f1')

    Args:
        values: of the task's scores by name.
    """
    return "tuple_f1" if values.get("tuple_f1") is not None else "acc"


def graph_counts(text: str | None, sample: Sample) -> Counts:
    """Compare a description, without reasoning before it, with the sample's scene graph.

    Raises:
        TaskError: the target is not in the line grammar.
    """
    truth = parse_graph(sample.target)
    if not truth.well_formed:
        raise TaskError(
            f"sample {sample.id}: metric 'scene_graph' needs a target such as "
            f"'1 large red striped circle ; 2 small blue solid square | 1 left 2', not {sample.target[:60]!r}."
        )
    return compare(parse_graph(final_answer(text)), truth, sample.meta.get("indeterminate", ()))
