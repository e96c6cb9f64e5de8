"""Tasks that a model is trained on: names, groups, files of tasks -> their items of the split `train`, by number.

A task of rendered scenes has as many items as one likes. One over rows has those of `data.train`, which come again in
another order in each pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from vtbench.errors import VtbenchError
from vtbench.scenes.rng import HashRng
from vtbench.task.data_spec import DataSpec
from vtbench.task.loading import load_task
from vtbench.task.locations import split_location, task_locations
from vtbench.task.own_data import DataTask
from vtbench.task.schema import read_task
from vtbench.task.sources import SceneTask
from vtbench.types import Sample

if TYPE_CHECKING:
    from vtbench.registry import Registry

CHECKED_SCENES = 256
"""Items of a task of scenes whose texts are looked at before anything is trained."""
_ALL_ROWS = 10**9
"""More rows than any file has: `items` of a task counts what is tested."""


@dataclass(frozen=True, slots=True)
class TrainingTask:
    """The `train` items of a task.

    Attributes:
        name: of the task.
        task: its items.
        seed: of the order in which rows come.
    """

    name: str
    task: SceneTask | DataTask
    seed: int

    def sample(self, number: int, image_size: int) -> Sample:
        """Return the sample that stands at a number, any from 0 on.

        Args:
            number: for scenes the index of the item; rows are drawn without replacement in each pass over them.
            image_size: side of rendered images in pixels, unless the task sets one.

        Raises:
            SampleError: a row cannot be used.
        """
        if isinstance(self.task, SceneTask):
            return self.task.sample(number, image_size)
        turn, place = divmod(number, len(self.task))
        return self.task.sample(_order(len(self.task), self.seed, turn)[place])

    def image_size(self, side: int) -> int | None:
        """Return the side in pixels of its images where `side` is asked for; None for rows of any size."""
        return self.task.spec.image_size or (side if isinstance(self.task, SceneTask) else None)

    def drafts(self) -> Iterator[Sample]:
        """Yield samples without images: those of the first scenes, or of all rows, whose images must be there.

        Raises:
            SampleError: a row cannot be used.
        """
        if isinstance(self.task, DataTask):
            yield from map(self.task.draft, range(len(self.task)))
            return
        for number in range(CHECKED_SCENES):
            item = self.task.source.item(number)
            question = item.question
            yield Sample(f"{self.name}/{number}", number, (), item.prompt, question.target, choices=question.choices)


@lru_cache(maxsize=4)
def _order(rows: int, seed: int, turn: int) -> list[int]:
    return HashRng("rows", seed, turn).sample(range(rows), rows)


def training_tasks(
    mix: Mapping[str, float], seed: int, registry: Registry
) -> tuple[dict[str, TrainingTask], dict[str, float]]:
    """Return the tasks of a mix by their own names, and their weights.

    Args:
        mix: weights by what `vtbench run --tasks` takes: a name, a group (each of its tasks has the weight), a glob, or
            the path of a task file.
        seed: of the items.
        registry: plugins to use.

    Returns:
        The tasks of a weight above 0. The weights are those of all, of which the others keep the name given.

    Raises:
        VtbenchError: there is no such task, it is there twice, or it cannot be trained on; says why.
    """
    tasks: dict[str, TrainingTask] = {}
    weights: dict[str, float] = {}
    for wanted, weight in mix.items():
        if not weight > 0:
            weights[wanted] = weight
            continue
        for location in task_locations([wanted], registry):
            task = _training_task(location, seed, registry)
            if task.name in weights:
                raise VtbenchError(f"mix: the task {task.name!r} is there twice; give it one weight")
            tasks[task.name], weights[task.name] = task, weight
    return tasks, weights


def _training_task(location: str, seed: int, registry: Registry) -> TrainingTask:
    if split_location(location):
        raise VtbenchError(
            f"mix: {location} is of another benchmark's format, in which nothing says what to train on; write a task "
            "file with `data`, and name rows under data.train"
        )
    path = Path(location)
    families = {name: named.factory for name, named in registry.named("scene family").items()}
    spec = read_task(path, families=families)
    if spec.mix:
        raise VtbenchError(f"mix: {spec.task!r} is no family but a mix of them; name its parts with their weights")
    if spec.data is not None:
        _check_rows(path, spec.data)
    task = load_task(path, registry.task_dirs(), families, split="train", seed=seed, items=_ALL_ROWS)
    assert isinstance(task, SceneTask | DataTask)
    return TrainingTask(spec.task, task, seed)


def _check_rows(path: Path, data: DataSpec) -> None:
    """Refuse rows that nobody meant for training."""
    if not data.train:
        raise VtbenchError(
            f"mix: {path} has no rows to train on; name a file of them, or a split of the same data, under data.train"
        )
    if data.train in (*data.split, data.path):
        raise VtbenchError(f"mix: {path}, data.train: {data.train!r} are the rows that the task tests on; name others")
