"""The protocol an executor meets: where a run's questions are answered, and where a study's models are trained.

An executor gets `Work` (a run's tasks, and a way to make one worker) or `Job`s (commands). It gives back batches of
records in order, or the result of each job as it ends. A worker holds the model once, draws its samples itself, and
gives back records: no image leaves it. Which samples are asked together is the loop's choice alone, so an executor
decides where and when an answer is made, never which.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from vtbench.types import Capability, Preview, Record, Task

if TYPE_CHECKING:
    import numpy as np

State = Mapping[str, "np.ndarray"]
"""What was fitted on a task's first samples, as arrays by name."""
Notify = Callable[[str], None]
"""Takes one line for a person."""


class Model(Protocol):
    """What is known of a model without asking it: every `Adapter` is one."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can do."""
        ...

    @property
    def image_size(self) -> int | None:
        """Side in pixels of the images it sees."""
        ...

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers whose visual tokens it gives."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """Say what goes into run.json about it."""
        ...


@dataclass(frozen=True, slots=True)
class BatchResult:
    """A batch that was asked together."""

    start: int
    """Index of its first sample."""
    seconds: float
    out_of_memory: tuple[int, ...]
    """Sizes of the parts that did not fit, in order."""
    records: tuple[Record, ...]
    failures: tuple[str | None, ...]
    """For each record the type of the error behind it, None where it was answered."""
    previews: tuple[Preview, ...] = ()
    """Of the samples that the report will show."""


@dataclass(frozen=True, slots=True)
class FitResult:
    """What was fitted on a task's first samples."""

    states: Mapping[str, State]
    """By the name of the metric, or of the token budget."""
    out_of_memory: tuple[int, ...]
    """As of `BatchResult`."""


class WorkerPool(Protocol):
    """The workers of one run, each of which holds the model. Errors are those of the model and the task.

    A single worker is a pool of one.
    """

    @property
    def model(self) -> Model:
        """The model that all of them hold."""
        ...

    def fit(self, task: str, wanted: Collection[str], size: int) -> FitResult:
        """Fit metrics (and `--budget`) on the task's first samples, `size` at once: once, by one worker.

        `wanted` may name what is not fitted; the states of the others are returned.
        """
        ...

    def load_states(self, task: str, states: Mapping[str, State]) -> Mapping[str, Any]:
        """Let every worker take up what was fitted, those that join later too; return facts of the token budget."""
        ...

    def run_batches(self, task: str, indices: Sequence[int], sizes: Iterator[int]) -> Generator[BatchResult]:
        """Yield batches in the order of `indices`, each as large as the next of `sizes` says, until none is left.

        `load_states` comes first. `sizes` is read when a batch is handed out. Closed early, it hands out no more.
        """
        ...

    def close(self) -> None:
        """Release all workers."""
        ...


class Work(Protocol):
    """A run as an executor sees it.

    It can be pickled; its tasks are then resolved anew where it arrives, when they are first used.
    """

    @property
    def tasks(self) -> Sequence[Task]:
        """All tasks of the run."""
        ...

    @property
    def device(self) -> str:
        """Where the model is to run: `auto`, `cpu`, `cuda`, ..."""
        ...

    def worker(self) -> WorkerPool:
        """Create one worker in this process: it loads the model.

        Raises:
            VtbenchError: the model cannot be loaded, or no metric is left to compute.
        """
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """A command that may be killed and begun again, and the file that takes what it prints.

    It ends by itself when its standard input does.
    """

    name: str
    command: tuple[str, ...]
    log: Path


@dataclass(frozen=True, slots=True)
class JobResult:
    """How a job ended: `error` is its last line, None where all went well."""

    name: str
    seconds: float
    error: str | None


@runtime_checkable
class Executor(Protocol):
    """A place to work at."""

    def start(self, work: Work, notify: Notify) -> WorkerPool:
        """Create the model of a run in every worker.

        Raises:
            VtbenchError: the place cannot be reached, has no room, or the model cannot be loaded there.
        """
        ...

    def run(self, jobs: Sequence[Job]) -> Iterator[JobResult]:
        """Yield the result of each job as it ends, as many at once as there is room for.

        Closed early, it ends the others.
        """
        ...
