"""Step numbers in, batches out, shared among loader processes; the same batches whatever their number."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info


class StepStream(IterableDataset):
    """The batches of a stage from a step on; each depends on its step alone, so a resumed stage sees the same."""

    def __init__(self, first_step: int, steps: int) -> None:
        self.first_step, self.steps = first_step, steps

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        worker = get_worker_info()
        offset, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        for step in range(self.first_step + offset, self.steps, stride):
            yield self.batch(step)

    @abstractmethod
    def batch(self, step: int) -> dict[str, Tensor]:
        """Return the batch of one step."""
