"""`ItemTasks`: the task that a sample of scenes is from, by the sample's id."""

from __future__ import annotations

from pathlib import Path

from vtbench.errors import SampleError
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench.task.sources import SceneTask
from vtbench.types import Sample


class ItemTasks:
    """Opens the tasks that samples name in their ids, each once.

    Args:
        control: what an error calls the control that asks.
        task_dir: a directory of task files, in addition to the built-in ones.
    """

    def __init__(self, control: str, task_dir: str | None = None) -> None:
        self._control = control
        self._files = find_task_files([Path(task_dir)] if task_dir else [])
        self._tasks: dict[tuple[str, str, str], SceneTask] = {}

    def of(self, sample: Sample) -> SceneTask:
        """Return the task of a sample.

        Raises:
            SampleError: it does not render images itself, or is none that is known.
        """
        # The id of an item ends in task/split/seed/index, also in a mixed task.
        parts = sample.id.split("/")[-4:]
        if len(parts) < 4 or parts[0] not in self._files or not parts[2].isdigit():
            raise self._unknown(sample)
        name, split, seed, _ = parts
        if (name, split, seed) not in self._tasks:
            task = load_task(self._files[name], split=split, seed=int(seed))
            if not isinstance(task, SceneTask):
                raise self._unknown(sample)
            self._tasks[name, split, seed] = task
        return self._tasks[name, split, seed]

    def _unknown(self, sample: Sample) -> SampleError:
        return SampleError(
            f"{sample.id}: {self._control!r} needs a task that renders its own images, "
            "one of `vtbench ls tasks` or of task_dir=DIR."
        )
