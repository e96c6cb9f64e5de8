"""Training items of the task families: (mix, number) -> a `Sample` of the `train` split, as the benchmark asks it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

from vtbench.errors import VtbenchError, nearest
from vtbench.scenes.rng import HashRng
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench.task.sources import SceneTask
from vtbench.types import Sample

_RESOLUTION = 1 << 31
"""Resolution of the weights."""


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
        return {name: task.config() for name, task in self.tasks.items()}


def _train_task(name: str, seed: int, task_dirs: Iterable[Path]) -> SceneTask:
    files = find_task_files(task_dirs)
    if name not in files:
        raise VtbenchError(f"mix: unknown family {name!r}.{nearest(name, list(files))}")
    task = load_task(files[name], task_dirs, split="train", seed=seed)
    if not isinstance(task, SceneTask):
        raise VtbenchError(f"mix: {name!r} is no family but a mix of them; name its parts with their weights")
    return task
