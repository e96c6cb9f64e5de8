"""The queue of batches of one task: cut lazily, dispatched to any worker, returned in the order of the samples."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from vtbench.executor import BatchResult


@dataclass(eq=False, slots=True)
class QueuedBatch:
    """Sample indices that one worker runs together."""

    number: int
    """Position in the order of the samples."""
    indices: Sequence[int]
    deaths: int = 0
    """Number of workers that died while running this batch."""


@dataclass(eq=False)
class BatchQueue:
    """Cuts indices into batches on demand and reorders their results.

    At most `max_pending` batches are dispatched or wait for the result of an earlier one, which bounds what is lost
    when the driver is killed.

    Attributes:
        indices: of the samples to run, in the order of the results.
        sizes: the size of each batch, read when the batch is cut.
        max_pending: upper bound of batches that are cut but not yet returned.
    """

    indices: Sequence[int]
    sizes: Iterator[int]
    max_pending: int
    _n_samples_cut: int = 0
    _n_batches_cut: int = 0
    _requeued: deque[QueuedBatch] = field(default_factory=deque)
    _results: dict[int, BatchResult] = field(default_factory=dict)
    _n_returned: int = 0

    def get(self) -> QueuedBatch | None:
        """Return the next batch to dispatch, requeued ones first; None if none may be dispatched now."""
        if self._requeued:
            return self._requeued.popleft()
        exhausted = self._n_samples_cut == len(self.indices)
        if exhausted or self._n_batches_cut - self._n_returned >= self.max_pending:
            return None
        part = self.indices[self._n_samples_cut : self._n_samples_cut + next(self.sizes)]
        self._n_samples_cut, self._n_batches_cut = self._n_samples_cut + len(part), self._n_batches_cut + 1
        return QueuedBatch(self._n_batches_cut - 1, part)

    def requeue(self, batches: Sequence[QueuedBatch]) -> None:
        """Take back batches whose worker died before it returned them."""
        self._requeued = deque(sorted([*self._requeued, *batches], key=lambda batch: batch.number))

    def complete(self, batch: QueuedBatch, result: BatchResult) -> Iterator[BatchResult]:
        """Store the result of a batch, and yield every result whose predecessors have all been yielded."""
        self._results[batch.number] = result
        while self._n_returned in self._results:
            due = self._results.pop(self._n_returned)
            self._n_returned += 1
            yield due

    @property
    def done(self) -> bool:
        """Whether the results of all indices have been returned."""
        return self._n_samples_cut == len(self.indices) and self._n_returned == self._n_batches_cut
