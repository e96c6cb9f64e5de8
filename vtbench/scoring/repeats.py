"""Several answers to each question (`--gen repeats=K`): their mean credit, and whether any of them is right.

    mean@k   mean credit of all answers: accuracy, or the F1 of each scene graph
    pass@k   share of questions with a right answer among k

Answers to one question are no independent samples, so intervals are clustered by question, and by scene where
questions share one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from math import comb
from typing import Any

from vtbench.metric import BaseMetric
from vtbench.scoring.answers import answer_type
from vtbench.scoring.credit import credit, graph_counts
from vtbench.scoring.metrics import Pairs, chance, concerned
from vtbench.stats import proportion, ratio
from vtbench.types import Observation, Output, Record, Sample, Score


def pass_at(j: int, n: int, right: int) -> float:
    """Return the probability that one of `j` answers is right, from `n` answers of which `right` are.

    The unbiased estimator 1 - C(n - c, j) / C(n, j) (Chen et al., "Evaluating Large Language Models Trained on Code",
    2021, eq. 1).

    >>> pass_at(1, 4, 1), pass_at(2, 4, 1), pass_at(4, 4, 1)
    (0.25, 0.5, 1.0)
    """
    return 1 - comb(n - right, j) / comb(n, j)


def by_question(pairs: Pairs) -> list[Pairs]:
    """Return the answered repeats of each question, in the order of the questions."""
    found: dict[int, Pairs] = defaultdict(list)
    for record, observation in pairs:
        found[record.index - record.repeat].append((record, observation))  # its index as the task's repeats are made
    return list(found.values())


class Repeats(BaseMetric):
    """Mean credit of all answers (mean@k), and share of the questions with a right one among them (pass@k)."""

    def observe_sample(self, sample: Sample, output: Output) -> Observation:
        """Record the credit of the answer, and whether it is right; a scene graph is if it is exact."""
        if answer_type(sample) == "graph":
            counts = graph_counts(output.text, sample)
            return {"credit": counts.f1, "right": int(counts.exact)}
        worth = credit(output.text, sample)
        return {"credit": worth, "right": int(worth == 1)}

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Return `mean@k` and `pass@k`, k being the number of repeats, with pass@1, pass@2, pass@4, ... in the detail.

        A question that has lost answers to errors counts for mean@k with those that it has, and for pass@j only if it
        has j.
        """
        pairs = concerned(records, observations)
        questions = by_question(pairs)
        k = max((record.repeat for record in records), default=0) + 1
        mean = proportion([o["credit"] for _, o in pairs], [record.cluster for record, _ in pairs])
        curve = {str(j): _pass_score(questions, j, k) for j in sorted({k, *(2**i for i in range(k.bit_length()))})}
        passed = curve[str(k)]
        detail = {j: {**_row(score), "n": score.n, "chance": score.chance} for j, score in curve.items()}
        return {
            f"mean@{k}": replace(mean, n=len(questions)).score(chance=chance([record for record, _ in pairs])),
            f"pass@{k}": replace(passed, detail={"pass": detail}),
        }


def _pass_score(questions: Sequence[Pairs], j: int, k: int) -> Score:
    """Return pass@j of the questions that have j answers."""
    whole = [pairs for pairs in questions if len(pairs) >= j]
    # pass@k is right or wrong of each question; below, the answers to one hold k / j independent draws of j at most
    units = whole if j == k else [pairs for pairs in whole for _ in pairs]
    weight = 1.0 if j == k else 1 / j
    each = [weight * pass_at(j, len(pairs), sum(o["right"] for _, o in pairs)) for pairs in units]
    found = ratio(each, [weight] * len(each), [pairs[0][0].cluster for pairs in units])
    guesses = [chance([pairs[0][0]]) for pairs in whole]
    known = [1 - (1 - guess) ** j for guess in guesses if guess is not None]
    guessed = sum(known) / len(known) if known and len(known) == len(guesses) else None
    return replace(found, n=len(whole)).score(chance=guessed)


def _row(score: Score) -> dict[str, Any]:
    low, high = score.interval or (None, None)
    return {"value": score.value, "low": low, "high": high}
