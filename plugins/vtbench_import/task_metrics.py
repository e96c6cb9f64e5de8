"""Metrics of the harnesses that vtbench has not: exact match, length-normalised accuracy, and code of the task.

Accuracy of ranked choices is vtbench's `rank_accuracy`.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vtbench.errors import SampleError
from vtbench.metric import Batch
from vtbench.scoring.answers import rank_credit, true_choices
from vtbench.scoring.metrics import chance, concerned
from vtbench.stats import mean, proportion
from vtbench.types import Capability, Observation, Record, Sample, Score
from vtbench_import.generation import GenerationSettings

Aggregation = Callable[[list[Any]], Any]
_TUPLE = "(tuple)"
"""Key that marks a tuple in JSON."""


def references(sample: Sample) -> list[str]:
    """Return all correct answers of a sample."""
    return [sample.target, *sample.references]


class ExactMatch:
    """`exact_match` of lm-eval: the text equals one of the correct answers.

    Args:
        generation: decides which part of an output is scored.
        ignore_case: compare in lower case.
        ignore_punctuation: compare without ASCII punctuation.
        ignore_numbers: compare without ASCII digits.
        regexes_to_ignore: compare without the matches of these.
    """

    needs: frozenset[Capability] = frozenset({"generate"})

    def __init__(
        self,
        generation: GenerationSettings,
        ignore_case: bool = False,
        ignore_punctuation: bool = False,
        ignore_numbers: bool = False,
        regexes_to_ignore: Sequence[str] = (),
    ) -> None:
        self._generation, self._lower = generation, ignore_case
        dropped = string.punctuation * ignore_punctuation + string.digits * ignore_numbers
        self._dropped = str.maketrans("", "", dropped)
        self._regexes = [re.compile(regex) for regex in regexes_to_ignore]

    def _normalize(self, text: str) -> str:
        for regex in self._regexes:
            text = regex.sub("", text)
        return (text.lower() if self._lower else text).translate(self._dropped)

    def observe(self, batch: Batch) -> list[Observation]:
        """Return whether each answer is correct."""
        return [
            {
                "correct": int(
                    self._normalize(self._generation.truncate(output.text)) in map(self._normalize, references(sample))
                )
            }
            for sample, output in zip(batch.samples, batch.outputs, strict=True)
        ]

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Return `exact_match`."""
        right = [observation["correct"] for observation in observations]
        return {"exact_match": mean(right, [r.cluster for r in records]).score(chance=chance(records))}


class NormalizedAccuracy:
    """`acc_norm` and `acc_bytes` of lm-eval: the correct choice has the highest log-likelihood per length.

    Args:
        name: of the score.
        length: returns the length of a choice.
    """

    needs: frozenset[Capability] = frozenset({"rank"})

    def __init__(self, name: str, length: Callable[[str], int]) -> None:
        self._name, self._length = name, length

    def observe(self, batch: Batch) -> list[Observation]:
        """Return whether the correct choice ranks first."""
        return [
            {
                "correct": rank_credit(
                    output.logprobs,
                    [i for i, choice in enumerate(sample.choices) if choice in true_choices(sample)],
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


class CodeMetric:
    """Scores that code of the task computes.

    Args:
        generation: decides which part of an output is scored.
        process: maps a sample and the scored part of its output to values by score.
        aggregations: by score; None for the mean.
    """

    needs: frozenset[Capability] = frozenset({"generate"})

    def __init__(
        self,
        generation: GenerationSettings,
        process: Callable[[Sample, str], Mapping[str, Any]],
        aggregations: Mapping[str, Aggregation | None],
    ) -> None:
        self._generation, self._process, self._aggregations = generation, process, aggregations

    def observe(self, batch: Batch) -> list[Observation]:
        """Return the values that the code gives each answer."""
        return [
            self._score(sample, self._generation.truncate(output.text))
            for sample, output in zip(batch.samples, batch.outputs, strict=True)
        ]

    def _score(self, sample: Sample, text: str) -> Observation:
        try:
            found = self._process(sample, text)
        except Exception as error:  # whatever the task's code raises
            message = " ".join(f"{type(error).__name__}: {error}".split())
            raise SampleError(f"the task's own scoring raised {message}") from error
        values = {name: to_json(found[name], name) for name in self._aggregations if name in found}
        first = next((value for name, value in values.items() if self._aggregations[name] is None), None)
        return {"values": values, **({"correct": int(first)} if first in (0, 1) else {})}

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Return the task's scores, each over the answers that have a value of it."""
        scores = {}
        for name, aggregation in self._aggregations.items():
            pairs = [(r, o["values"][name]) for r, o in zip(records, observations, strict=True) if name in o["values"]]
            scores[name] = aggregate([value for _, value in pairs], [r.cluster for r, _ in pairs], aggregation)
        return scores


def to_json(value: Any, name: str) -> Any:
    """Return a value of the task's code as JSON can hold it; tuples are marked.

    Raises:
        SampleError: JSON cannot hold it.
    """
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:  # a scalar of numpy or torch
        value = value.item()
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, tuple):
        return {_TUPLE: [to_json(part, name) for part in value]}
    if isinstance(value, list):
        return [to_json(part, name) for part in value]
    if isinstance(value, Mapping):
        return {str(key): to_json(part, name) for key, part in value.items()}
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise SampleError(f"{name}: {type(value).__name__} {value!r:.40} cannot be stored as JSON")


def from_json(value: Any) -> Any:
    """Invert `to_json`.

    >>> from_json(to_json({"pair": (1, "a")}, "acc"))
    {'pair': (1, 'a')}
    """
    if isinstance(value, list):
        return [from_json(part) for part in value]
    if isinstance(value, Mapping):
        if value.keys() == {_TUPLE}:
            return tuple(from_json(part) for part in value[_TUPLE])
        return {key: from_json(part) for key, part in value.items()}
    return value


def aggregate(values: Sequence[Any], clusters: Sequence[str], aggregation: Aggregation | None) -> Score:
    """Return the score of some values; if the aggregation raises, it is empty and flagged."""
    if not values:
        return Score(None)
    if aggregation is None:
        if not all(isinstance(value, int | float) for value in values):
            return Score(None, n=len(values), flags=("not_numbers",))
        fractions = all(0 <= value <= 1 for value in values)
        return (proportion if fractions else mean)(values, clusters).score(percent=fractions)
    try:
        found = aggregation([from_json(value) for value in values])
        value = float(found)
    except Exception as error:  # whatever the task's code raises
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return Score(None, n=len(values), flags=("aggregation_failed",), detail={"error": text})
    return Score(value if math.isfinite(value) else None, n=len(values), percent=0 <= value <= 1)
