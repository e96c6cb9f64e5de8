"""A worker in another process: it holds the model, takes sample indices and returns records.

Images stay there: it loads its samples itself. An executor decides how it is called.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import vtbench
from vtbench.adapter import Traits, traits_of
from vtbench.errors import WorkerError
from vtbench.executor import BatchResult, FitResult, State, Work, WorkerPool
from vtbench.runs.provenance import strict
from vtbench.types import Capability, Task


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """Description of the model that a worker has loaded, and of what all workers must have in common."""

    capabilities: frozenset[Capability]
    image_size: int | None
    layers: tuple[str, ...]
    traits: Traits
    description: Mapping[str, Any]
    task_settings: Mapping[str, Any]
    """As `task_settings` returns them on the worker's node."""
    location: str
    """Host and process."""

    def describe(self) -> Mapping[str, Any]:
        """Return the model's entry of run.json."""
        return self.description

    @property
    def identity(self) -> dict[str, Any]:
        """Everything by which the results of two workers could differ."""
        model = {key: value for key, value in self.description.items() if key != "device"}
        device_type = str(self.description.get("device", "")).partition(":")[0]
        return {"model": {**model, "device": device_type}, **self.task_settings}


def task_settings(tasks: Sequence[Task]) -> dict[str, Any]:
    """Return the version of vtbench on this node, and each task's version, size and settings, as JSON-able data."""
    found = {task.name: {"version": task.version, "samples": len(task), **task.config()} for task in tasks}
    return {"vtbench": vtbench.__version__, "tasks": strict(found)}


class RemoteWorker:
    """A `Worker` that is called from another process.

    The model is loaded by a method, not by the constructor: Ray keeps the original exception only for methods.
    """

    def load(self, setup: tuple[Work, str]) -> WorkerInfo:
        """Load the tasks and the model of a run, in the driver's working directory where this node has it.

        The tasks are resolved here, when they are first used.
        """
        work, directory = setup
        if Path(directory).is_dir():
            os.chdir(directory)
        self._worker: WorkerPool = work.worker()
        model = self._worker.model
        return WorkerInfo(
            capabilities=model.capabilities,
            image_size=model.image_size,
            layers=tuple(model.layers),
            traits=traits_of(model),
            description=strict(model.describe()),
            task_settings=task_settings(work.tasks),
            location=f"{socket.gethostname()}, process {os.getpid()}",
        )

    def fit(self, task: str, wanted: Collection[str], size: int) -> FitResult:
        """See `Worker.fit`."""
        return self._worker.fit(task, wanted, size)

    def load_states(self, task: str, states: Mapping[str, State]) -> Mapping[str, Any]:
        """See `Worker.load_states`."""
        self._current_task = ""
        facts = dict(self._worker.load_states(task, states))
        self._current_task = task
        return facts

    def run_batch(self, task: str, indices: Sequence[int]) -> BatchResult:
        """Run one batch.

        Raises:
            WorkerError: `load_states` failed for this task, so that its metrics have no fitted state.
        """
        if task != self._current_task:
            raise WorkerError(f"the worker on {socket.gethostname()} could not load the fitted state of {task}")
        (result,) = self._worker.run_batches(task, indices, repeat(len(indices)))
        return result

    def close(self) -> None:
        """Free memory and subprocesses."""
        self._worker.close()
