"""The far side: one worker of a run, in an actor of the cluster. Indices in, records out; no picture leaves it."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import vtbench
from vtbench.config import RunConfig
from vtbench.engine.setup import load_tasks
from vtbench.engine.worker import Worker
from vtbench.executor import BatchResult, FitResult, State
from vtbench.registry import Registry
from vtbench.runs.provenance import strict
from vtbench.types import Capability, Task
from vtbench_ray.errors import WorkerError


@dataclass(frozen=True, slots=True)
class Held:
    """The model that a worker holds, and what must be the same for all workers."""

    capabilities: frozenset[Capability]
    image_size: int | None
    layers: tuple[str, ...]
    description: Mapping[str, Any]
    settings: Mapping[str, Any]
    """Version of vtbench, and every task's settings, as of `settings_of`."""
    place: str
    """Host and process."""

    def describe(self) -> Mapping[str, Any]:
        """Say what goes into run.json about it."""
        return self.description

    @property
    def identity(self) -> dict[str, Any]:
        """Everything by which two workers could answer differently."""
        found = {key: value for key, value in self.description.items() if key != "device"}
        device = str(self.description.get("device", "")).partition(":")[0]
        return {"model": {**found, "device": device}, **self.settings}


def settings_of(tasks: Sequence[Task]) -> dict[str, Any]:
    """Return the version of vtbench here, and what these tasks are, JSON-able."""
    found = {task.name: {"version": task.version, "samples": len(task), **task.config()} for task in tasks}
    return {"vtbench": vtbench.__version__, "tasks": strict(found)}


class Station:
    """Holds a `Worker`. It is created empty, as only a method's errors come back whole."""

    def open(self, given: tuple[RunConfig, Registry, str]) -> Held:
        """Load the tasks and the model of a config, as seen from a directory where this machine has it."""
        config, registry, directory = given
        if Path(directory).is_dir():
            os.chdir(directory)
        tasks, _ = load_tasks(config, registry)
        self._worker = Worker(config, tasks, registry)
        model = self._worker.model
        place = f"{socket.gethostname()}, process {os.getpid()}"
        held = strict(model.describe()), settings_of(tasks), place
        return Held(model.capabilities, model.image_size, tuple(model.layers), *held)

    def fit(self, task: str, wanted: Collection[str], size: int) -> FitResult:
        """As `Worker.fit`."""
        return self._worker.fit(task, wanted, size)

    def begin(self, task: str, bases: Mapping[str, State]) -> Mapping[str, Any]:
        """As `Worker.begin`."""
        self._begun = ""
        facts = dict(self._worker.begin(task, bases))
        self._begun = task
        return facts

    def answer(self, task: str, indices: Sequence[int]) -> BatchResult:
        """Answer one batch.

        Raises:
            WorkerError: this worker did not take up the task's basis.
        """
        if task != self._begun:
            raise WorkerError(f"the worker on {socket.gethostname()} could not take up the basis of {task}")
        (found,) = self._worker.answer(task, indices, _whole(len(indices)))
        return found

    def close(self) -> None:
        """Give back memory and processes."""
        self._worker.close()


def _whole(n: int) -> Iterator[int]:
    while True:
        yield n
