"""Training items of tasks, and the batches that a model's adapter makes of them.

(mix, number) -> a `Sample` of the `train` split, as the benchmark asks it -> tensors. Item and batch depend on the seed
and on their number alone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from vtbench.adapter import Adapter, TrainableAdapter
from vtbench.errors import SampleError, VtbenchError
from vtbench.registry import Registry
from vtbench.scenes.rng import HashRng
from vtbench.task.sources import DEFAULT_SIZE
from vtbench.types import Sample
from vtbench_training.finetune.training_tasks import training_tasks
from vtbench_training.training_loop import StepStream

_RESOLUTION = 1 << 31
"""Resolution of the weights."""
_OTHER_SETTINGS = frozenset({"description", "groups", "items", "max_new_tokens", "metrics"})
"""Settings of a task that describe, count or score its items."""


class TrainingItems:
    """An endless stream of items, drawn from tasks by weight; each is a pure function of the seed and its number.

    Args:
        mix: tasks and their weights, as `FineTune` checks them; those of weight 0 are left out.
        seed: of the items.
        image_size: side in pixels of rendered images, unless a task sets one.
        registry: plugins to use; the installed ones by default.

    Attributes:
        mix: the weights by the tasks' own names, so that a task file and a copy of it are the same.

    Raises:
        VtbenchError: as `training_tasks`.
    """

    def __init__(self, mix: Mapping[str, float], seed: int, image_size: int, registry: Registry | None = None) -> None:
        self.seed, self.image_size = seed, image_size
        self.tasks, self.mix = training_tasks(mix, seed, registry or Registry())
        weights = [self.mix[name] for name in self.tasks]
        self._names, self._ends = list(self.tasks), [_RESOLUTION * end / sum(weights) for end in accumulate(weights)]

    def sample(self, number: int) -> Sample:
        """Return item `number`, any from 0 on.

        Raises:
            SampleError: a task's row cannot be used.
        """
        # Two neighbours share a task, so that both members of a minimal pair are used, and made once.
        drawn = HashRng("mix", self.seed, number // 2).below(_RESOLUTION)
        name = self._names[min(bisect_right(self._ends, drawn), len(self._names) - 1)]
        return self.tasks[name].sample(number, self.image_size)

    def config(self) -> dict[str, Any]:
        """Return the settings of every task, JSON-able: with mix and seed they decide the items."""
        return deciding_settings({name: one.task.config() for name, one in self.tasks.items()})


def deciding_settings(tasks: Mapping[str, Any]) -> dict[str, Any]:
    """Return tasks' settings by name without those that no training item depends on."""
    return {name: {key: task[key] for key in task if key not in _OTHER_SETTINGS} for name, task in tasks.items()}


def image_side(adapter: Adapter) -> int:
    """Return the side in pixels of the images that tasks draw for a model."""
    return adapter.image_size or DEFAULT_SIZE


@dataclass(frozen=True)
class Failure:
    """What ended a stream in a loader's process: torch would pass on its traceback as one long message."""

    error: VtbenchError


def raising(batches: Iterable[dict[str, Tensor] | Failure]) -> Iterator[dict[str, Tensor]]:
    """Yield the batches of a loader, and raise what ended its stream."""
    for batch in batches:
        if isinstance(batch, Failure):
            raise batch.error
        yield batch


class ItemStream(StepStream):
    """This process's part of the batches, from a given step on.

    Args:
        items: source of samples.
        adapter: makes tensors of them.
        first_step: the first step.
        steps: the step to end before.
        batch_size: items in a step, over all processes.
        part: index of this process, and number of processes.
    """

    def __init__(
        self,
        items: TrainingItems,
        adapter: TrainableAdapter,
        first_step: int,
        steps: int,
        batch_size: int,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        super().__init__(first_step, steps)
        self.items, self.adapter = items, adapter
        self.batch_size, self.part = batch_size, part

    def __iter__(self) -> Iterator[Any]:
        try:
            yield from super().__iter__()
        except VtbenchError as error:
            if get_worker_info() is None:
                raise
            yield Failure(error)

    def batch(self, step: int) -> dict[str, Tensor]:
        """Return the batch of one step, with the items' `numbers` (B,).

        Raises:
            SampleError: an item cannot be made, or the model does not take it.
        """
        turn, parts = self.part
        here = self.batch_size // parts
        first = step * self.batch_size + turn * here
        numbers = torch.arange(first, first + here)
        samples = [self.items.sample(int(number)) for number in numbers]
        return {"numbers": numbers, **encoded(self.adapter, samples)}


def encoded(adapter: TrainableAdapter, samples: Sequence[Sample]) -> dict[str, Tensor]:
    """Return what `encode_training` makes of some samples.

    Raises:
        SampleError: the model does not take one of them.
    """
    for sample in samples:
        if len(sample.images) > 1 and "images" not in adapter.capabilities:
            raise SampleError(f"{sample.id}: it has {len(sample.images)} images, and the model takes one a question")
    return adapter.encode_training(samples)
