"""Outcomes of the last batch: after a failure the engine repeats the batch sample by sample, and none is sent twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vtbench.errors import SampleError
from vtbench.types import Output, Sample

_Key = tuple[Any, ...]


class BatchCache:
    """Outcomes by sample and kind of query.

    A sample is known by its id, repeat, prompt and the identity of its images, not by its choices: a ranking may ask
    about their letters. The cache holds references to the images, so an identity is never reused.
    """

    def __init__(self) -> None:
        self._batch: dict[_Key, Sample] = {}
        self._outcomes: dict[tuple[_Key, str], Output | SampleError] = {}

    def missing(self, samples: Sequence[Sample], query: str) -> list[Sample]:
        """Return the samples without an outcome."""
        return [sample for sample in samples if (_key(sample), query) not in self._outcomes]

    def begin(self, samples: Sequence[Sample]) -> bool:
        """Clear the cache if one of the samples is not of the last batch; whether it is."""
        new = any(_key(sample) not in self._batch for sample in samples)
        if new:
            self.clear()
            self._batch = {_key(sample): sample for sample in samples}
        return new

    def has_outputs(self) -> bool:
        """Whether a sample of the batch was answered."""
        return any(isinstance(outcome, Output) for outcome in self._outcomes.values())

    def store(self, sample: Sample, query: str, outcome: Output | SampleError) -> None:
        """Keep an outcome."""
        self._outcomes[_key(sample), query] = outcome

    def outputs(self, samples: Sequence[Sample], query: str) -> list[Output]:
        """Return the output of each sample.

        Raises:
            SampleError: that of the first sample that failed.
        """
        outputs = []
        for sample in samples:
            outcome = self._outcomes[_key(sample), query]
            if isinstance(outcome, SampleError):
                raise outcome
            outputs.append(outcome)
        return outputs

    def prompt_length(self, sample: Sample) -> int | None:
        """Return the number of tokens of a sample's prompt; None if no output of it is known."""
        mine = _key(sample)
        outcomes = (outcome for (key, _), outcome in self._outcomes.items() if key == mine)
        return next((outcome.tokens_in for outcome in outcomes if isinstance(outcome, Output)), None)

    def clear(self) -> None:
        """Drop the batch and its outcomes."""
        self._batch = {}
        self._outcomes = {}


def _key(sample: Sample) -> _Key:
    context = (sample.system, *(example.id for example in sample.examples))
    return (sample.id, sample.repeat, sample.prompt, context, *map(id, sample.images))
