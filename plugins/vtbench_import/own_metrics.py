"""The harnesses' own ways to score an answer, as metrics of vtbench that one task brings with it.

Closed answers that are ranked are `rank_accuracy` of vtbench; the rest has rules of its own.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vtbench.errors import SampleError
from vtbench.metric import Batch
from vtbench.scoring.answers import rank_credit, true_choice
from vtbench.scoring.metrics import chance, concerned
from vtbench.stats import mean
from vtbench.types import Capability, Observation, Record, Sample, Score
from vtbench_import.answers import Answers
from vtbench_import.reducing import Aggregation, reduced, stored

REFERENCES = "references"
"""In `Sample.meta`: the answers that are right, where there are several."""


def references(sample: Sample) -> list[str]:
    """Return every answer that is right."""
    return list(sample.meta.get(REFERENCES, (sample.target,)))


class ExactMatch:
    """`exact_match` of lm-eval: the text is one of the right answers, letter for letter.

    Args:
        answers: which part of a text counts.
        ignore_case: compare in lower case.
        ignore_punctuation: compare without ASCII punctuation.
        ignore_numbers: compare without ASCII digits.
        regexes_to_ignore: compare without what these match.
    """

    needs: frozenset[Capability] = frozenset({"generate"})

    def __init__(
        self,
        answers: Answers,
        ignore_case: bool = False,
        ignore_punctuation: bool = False,
        ignore_numbers: bool = False,
        regexes_to_ignore: Sequence[str] = (),
    ) -> None:
        self._answers, self._lower = answers, ignore_case
        dropped = string.punctuation * ignore_punctuation + string.digits * ignore_numbers
        self._dropped = str.maketrans("", "", dropped)
        self._regexes = [re.compile(regex) for regex in regexes_to_ignore]

    def _form(self, text: str) -> str:
        for regex in self._regexes:
            text = regex.sub("", text)
        return (text.lower() if self._lower else text).translate(self._dropped)

    def observe(self, batch: Batch) -> list[Observation]:
        """Note whether each answer is right."""
        return [
            {"correct": int(self._form(self._answers.read(output.text)) in map(self._form, references(sample)))}
            for sample, output in zip(batch.samples, batch.outputs, strict=True)
        ]

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Return `exact_match`."""
        right = [observation["correct"] for observation in observations]
        return {"exact_match": mean(right, [r.cluster for r in records]).score(chance=chance(records))}


class LengthNormalised:
    """`acc_norm` and `acc_bytes` of lm-eval: the right choice is the likeliest by its length.

    Args:
        name: of the score.
        length: of a choice.
    """

    needs: frozenset[Capability] = frozenset({"rank"})

    def __init__(self, name: str, length: Callable[[str], int]) -> None:
        self._name, self._length = name, length

    def observe(self, batch: Batch) -> list[Observation]:
        """Note whether the right choice is first."""
        return [
            {
                "correct": rank_credit(
                    output.logprobs,
                    sample.choices.index(true_choice(sample)),
                    [self._length(choice) for choice in sample.choices],
                )
            }
            for sample, output in zip(batch.samples, batch.outputs, strict=True)
        ]

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Return the score."""
        pairs = concerned(records, observations)
        estimate = mean([o["correct"] for _, o in pairs], [record.cluster for record, _ in pairs])
        return {self._name: estimate.score(chance=chance([record for record, _ in pairs]))}


class Processed:
    """The task's own code: an answer in, a value for each of its scores out.

    Args:
        process: takes a sample and the part of its text that counts, and returns values by score.
        aggregations: by score; None for the mean.
    """

    needs: frozenset[Capability] = frozenset({"generate"})

    def __init__(
        self,
        answers: Answers,
        process: Callable[[Sample, str], Mapping[str, Any]],
        aggregations: Mapping[str, Aggregation | None],
    ) -> None:
        self._answers, self._process, self._aggregations = answers, process, aggregations

    def observe(self, batch: Batch) -> list[Observation]:
        """Note what the code says of each answer."""
        return [
            self._one(sample, self._answers.read(output.text))
            for sample, output in zip(batch.samples, batch.outputs, strict=True)
        ]

    def _one(self, sample: Sample, text: str) -> Observation:
        try:
            found = self._process(sample, text)
        except Exception as problem:  # whatever a stranger's code raises
            said = " ".join(f"{type(problem).__name__}: {problem}".split())
            raise SampleError(f"the task's own scoring raised {said}") from problem
        values = {name: stored(found[name], name) for name in self._aggregations if name in found}
        first = next((value for name, value in values.items() if self._aggregations[name] is None), None)
        return {"values": values, **({"correct": int(first)} if first in (0, 1) else {})}

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Return the task's scores; an answer that a score has no value of does not count for it."""
        scores = {}
        for name, aggregation in self._aggregations.items():
            pairs = [(r, o["values"][name]) for r, o in zip(records, observations, strict=True) if name in o["values"]]
            scores[name] = reduced([value for _, value in pairs], [r.cluster for r, _ in pairs], aggregation)
        return scores
