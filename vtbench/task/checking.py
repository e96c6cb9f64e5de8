"""What `vtbench validate` finds in the rows of a user's own data, without a model."""

from __future__ import annotations

from vtbench.errors import SampleError
from vtbench.scoring.answers import true_choices
from vtbench.task.own_data import DataTask
from vtbench.task.sources import MixTask
from vtbench.types import Task

ROWS = 10_000
"""Rows that are looked at; of a longer file, at most this number at even distances."""


def row_problems(task: Task) -> list[str]:
    """Return what is wrong with the rows of own data, a line for each row; nothing for a task of scenes.

    Each row's cells are read, its target must be one of its choices, and its images must be there. Images are not
    opened.
    """
    if isinstance(task, MixTask):
        return [problem for part in task.parts for problem in row_problems(part)]
    if not isinstance(task, DataTask):
        return []
    found = []
    for index in range(0, len(task), -(-len(task) // ROWS)):
        try:
            sample = task.draft(index)
            if sample.choices:
                true_choices(sample)
        except SampleError as error:
            line = str(error)
            found.append(line if line.startswith(task.place) else f"{task.place}, row {index + 1}: {line}")
    return found
