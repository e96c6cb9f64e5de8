"""What was said about the last batch: when a sample of it fails, the loop asks about all of them again, one by one."""

from __future__ import annotations

from collections.abc import Sequence

from vtbench.errors import SampleError
from vtbench.types import Output, Sample


class Memo:
    """Outcomes by sample and kind of question. Samples are held, so an identity is never that of a later sample."""

    def __init__(self) -> None:
        self._batch: dict[int, Sample] = {}
        self._known: dict[tuple[int, str], Output | SampleError] = {}

    def new(self, samples: Sequence[Sample], what: str) -> list[Sample]:
        """Return the samples with no outcome yet. Everything is forgotten unless all are of the last batch."""
        if any(id(sample) not in self._batch for sample in samples):
            self.clear()
            self._batch = {id(sample): sample for sample in samples}
        return [sample for sample in samples if (id(sample), what) not in self._known]

    def keep(self, sample: Sample, what: str, outcome: Output | SampleError) -> None:
        """Remember an outcome."""
        self._known[id(sample), what] = outcome

    def outputs(self, samples: Sequence[Sample], what: str) -> list[Output]:
        """Return what was said about each sample.

        Raises:
            SampleError: that of the first one that failed.
        """
        outputs = []
        for sample in samples:
            outcome = self._known[id(sample), what]
            if isinstance(outcome, SampleError):
                raise outcome
            outputs.append(outcome)
        return outputs

    def prompt_length(self, sample: Sample) -> int | None:
        """Return the length of a sample's prompt in tokens, None where nothing has told it yet."""
        known = (outcome for (key, _), outcome in self._known.items() if key == id(sample))
        return next((outcome.tokens_in for outcome in known if isinstance(outcome, Output)), None)

    def clear(self) -> None:
        """Forget the batch."""
        self._batch = {}
        self._known = {}
