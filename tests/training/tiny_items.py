"""A few items of a family, as an adapter is asked them."""

from __future__ import annotations

from vtbench.registry import Registry
from vtbench.task.locations import open_task, task_locations
from vtbench.types import Sample


def items(count: int) -> list[Sample]:
    """Return the first items of `coarse`, of 56 pixels."""
    registry = Registry()
    task = open_task(task_locations(["coarse"], registry)[0], registry)
    return [task.sample(index, 56) for index in range(count)]
