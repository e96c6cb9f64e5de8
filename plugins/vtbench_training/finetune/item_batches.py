"""Training items of the task families, and the batches that a model's adapter makes of them.

(mix, number) -> a `Sample` of the `train` split, as the benchmark asks it -> tensors. Item and batch depend on the seed
and on their number alone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vtbench.adapter import Adapter, TrainableAdapter
from vtbench.errors import VtbenchError, nearest
from vtbench.scenes.rng import HashRng
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench.task.sources import DEFAULT_SIZE, SceneTask
from vtbench.types import Sample
from vtbench_training.training_loop import StepStream

_RESOLUTION = 1 << 31
"""Resolution of the weights."""
_OTHER_SETTINGS = frozenset({"description", "groups", "items", "max_new_tokens", "metrics"})
"""Settings of a task that describe, count or score its items."""


class FamilyItems:
    """An endless stream of items, drawn from task files by weight; each is a pure function of the seed and its number.

    Args:
        mix: families and their weights, as `FineTune` checks them; those of weight 0 are left out.
        seed: of the items.
        image_size: side of the images in pixels.
        task_dirs: directories of further task files.

    Raises:
        VtbenchError: there is no such family, or it is no task of rendered scenes.
    """

    def __init__(self, mix: Mapping[str, float], seed: int, image_size: int, task_dirs: Iterable[Path] = ()) -> None:
        self.seed, self.image_size = seed, image_size
        self.tasks = {name: _train_task(name, seed, task_dirs) for name, weight in mix.items() if weight > 0}
        weights = [mix[name] for name in self.tasks]
        self._names, self._ends = list(self.tasks), [_RESOLUTION * end / sum(weights) for end in accumulate(weights)]

    def sample(self, number: int) -> Sample:
        """Return item `number`, any from 0 on."""
        # Two neighbours share a family, so that both members of a minimal pair are used, and made once.
        drawn = HashRng("mix", self.seed, number // 2).below(_RESOLUTION)
        name = self._names[min(bisect_right(self._ends, drawn), len(self._names) - 1)]
        return self.tasks[name].sample(number, self.image_size)

    def config(self) -> dict[str, Any]:
        """Return the settings of every task, JSON-able: with mix and seed they decide the items."""
        return deciding_settings({name: task.config() for name, task in self.tasks.items()})


def deciding_settings(tasks: Mapping[str, Any]) -> dict[str, Any]:
    """Return tasks' settings by name without those that no training item depends on."""
    return {name: {key: task[key] for key in task if key not in _OTHER_SETTINGS} for name, task in tasks.items()}


def _train_task(name: str, seed: int, task_dirs: Iterable[Path]) -> SceneTask:
    files = find_task_files(task_dirs)
    if name not in files:
        raise VtbenchError(f"mix: unknown family {name!r}.{nearest(name, list(files))}")
    task = load_task(files[name], task_dirs, split="train", seed=seed)
    if not isinstance(task, SceneTask):
        raise VtbenchError(f"mix: {name!r} is no family but a mix of them; name its parts with their weights")
    return task


def image_side(adapter: Adapter) -> int:
    """Return the side in pixels of the images that tasks draw for a model."""
    return adapter.image_size or DEFAULT_SIZE


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
        items: FamilyItems,
        adapter: TrainableAdapter,
        first_step: int,
        steps: int,
        batch_size: int,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        super().__init__(first_step, steps)
        self.items, self.adapter = items, adapter
        self.batch_size, self.part = batch_size, part

    def batch(self, step: int) -> dict[str, Tensor]:
        """Return the batch of one step, with the items' `numbers` (B,)."""
        turn, parts = self.part
        here = self.batch_size // parts
        first = step * self.batch_size + turn * here
        numbers = torch.arange(first, first + here)
        encoded = self.adapter.encode_training([self.items.sample(int(number)) for number in numbers])
        return {"numbers": numbers, **encoded}
