"""A sample in, the same question with another sample's picture out: which one depends on the sample's id alone.

The other sample is drawn anew from the task named in the id, so that the answer is the same at any batch size, in any
order, and after a resume.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from vtbench.errors import SampleError
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench.types import Sample, Task


class Swap:
    """Replaces pictures and scene by those of another item of the same task and split.

    Args:
        task_dir: a directory of task files beside the built-in ones.
    """

    def __init__(self, task_dir: str | None = None) -> None:
        self._files = find_task_files([Path(task_dir)] if task_dir else [])
        self._tasks: dict[tuple[str, str, str], Task] = {}

    def __call__(self, sample: Sample) -> Sample:
        """Return the sample, looking at another picture.

        Raises:
            SampleError: the sample is not of a task that draws its own pictures.
        """
        task = self._task(sample)
        size = sample.images[0].width if sample.images else None
        for attempt in range(len(task)):
            bits = hashlib.blake2b(f"{sample.id} {attempt}".encode(), digest_size=8).digest()
            other = task.sample(int.from_bytes(bits, "big") % len(task), size)
            if other.scene_hash != sample.scene_hash and (not sample.cluster or other.cluster != sample.cluster):
                return replace(sample, images=other.images, scene=other.scene)
        raise SampleError(f"{sample.id}: its task has no other picture to show instead.")

    def _task(self, sample: Sample) -> Task:
        # An item's id ends in task/split/seed/index, in a mix too.
        parts = sample.id.split("/")[-4:]
        if len(parts) < 4 or parts[0] not in self._files or not parts[2].isdigit():
            raise SampleError(
                f"{sample.id}: 'shuffled' needs a task that draws its own pictures, "
                "one of `vtbench ls tasks` or of task_dir=DIR."
            )
        name, split, seed, _ = parts
        if (name, split, seed) not in self._tasks:
            self._tasks[name, split, seed] = load_task(self._files[name], split=split, seed=int(seed))
        return self._tasks[name, split, seed]
