"""The executor protocol: where a run's model answers, and where a study's models are trained.

An executor takes `Work` (the tasks of a run, and a way to create one worker) and returns batches of records in order,
or takes `Job`s (commands) and returns the result of each as it ends. A worker holds the model once, makes its samples
itself, and returns records: no image leaves it. The loop alone composes batches, so an executor decides where and when
a batch runs, and never changes an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from vtbench.types import Capability, Preview, Record, Task

if TYPE_CHECKING:
    import numpy as np

State = Mapping[str, "np.ndarray"]
"""The fitted state of a metric or token budget, as arrays by name."""
Notify = Callable[[str], None]
"""Shows one line to the user."""


class Model(Protocol):
    """What is known of a model before it is queried; every `Adapter` satisfies this protocol.

    It may have `traits` (`vtbench.adapter.Traits`), which an executor passes on.
    """

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can do."""
        ...

    @property
    def image_size(self) -> int | None:
        """Side in pixels of its input images."""
        ...

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers whose visual tokens it gives."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """Return what run.json records about it."""
        ...


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The records of one batch, whose samples the model was asked together."""

    start: int
    """Index of its first sample."""
    seconds: float
    out_of_memory: tuple[int, ...]
    """Sizes of the parts that did not fit into memory, in order."""
    records: tuple[Record, ...]
    failures: tuple[str | None, ...]
    """The type of each record's error; None if the sample was answered."""
    previews: tuple[Preview, ...] = ()
    """Previews of the samples that the report will show."""
    unavailable: str | None = None
    """Why the model went away (`ModelUnavailable`) before it answered the whole batch; `records` has what it answered,
    and the run ends."""
    reused: int = 0
    """Answers that came from the cache of answers (`--cache`)."""
    asked: int = 0
    """Answers that the model gave while there was a cache."""
    notes: tuple[str, ...] = ()
    """Lines for the user."""


@dataclass(frozen=True, slots=True)
class FitResult:
    """The states fitted on a task's first samples."""

    states: Mapping[str, State]
    """By name of the metric or of the token budget."""
    out_of_memory: tuple[int, ...]
    """As in `BatchResult`."""
    unfitted: Mapping[str, str] = field(default_factory=dict)
    """Why metrics could not be fitted, by name: the run leaves them out."""


class WorkerPool(Protocol):
    """The workers of one run, each of which holds the model; a single worker is a pool of one.

    Its methods raise the errors of the model and of the task.
    """

    @property
    def model(self) -> Model:
        """The model that every worker holds."""
        ...

    def fit(self, task: str, wanted: Collection[str], size: int) -> FitResult:
        """Fit metrics (and `--budget`) on the task's first samples: once, in one worker, `size` samples at a time.

        Names in `wanted` that need no fitting are ignored.
        """
        ...

    def load_states(self, task: str, states: Mapping[str, State]) -> Mapping[str, Any]:
        """Load the fitted states into every worker, later ones included; return facts about the token budget.

        A metric that is to be fitted, and has no state, is left out of the task.
        """
        ...

    def run_batches(self, task: str, indices: Sequence[int], sizes: Iterator[int]) -> Generator[BatchResult]:
        """Yield the batches of `indices` in order, each of the next size in `sizes`, until all samples are done.

        Call `load_states` first. `sizes` is read when a batch is dispatched. A closed generator dispatches no more.
        """
        ...

    def close(self) -> None:
        """Release all workers."""
        ...


class Work(Protocol):
    """A run as an executor sees it.

    It can be pickled; the receiving process resolves the tasks again when it first uses them.
    """

    @property
    def tasks(self) -> Sequence[Task]:
        """All tasks of the run."""
        ...

    @property
    def device(self) -> str:
        """Device of the model: `auto`, `cpu`, `cuda`, ..."""
        ...

    def worker(self) -> WorkerPool:
        """Create one worker in this process, which loads the model.

        Raises:
            VtbenchError: the model cannot be loaded, or it can serve none of the metrics.
        """
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """A command that can be killed and restarted, and the file for its output.

    The command ends by itself when its standard input is closed.
    """

    name: str
    command: tuple[str, ...]
    log: Path


@dataclass(frozen=True, slots=True)
class JobResult:
    """How a job ended: `error` is the last line of its output, or None if it succeeded."""

    name: str
    seconds: float
    error: str | None


@runtime_checkable
class Executor(Protocol):
    """A machine or cluster that runs models."""

    def start(self, work: Work, notify: Notify) -> WorkerPool:
        """Create the model of a run in every worker.

        Raises:
            VtbenchError: the executor is not reachable or lacks resources, or the model cannot be loaded there.
        """
        ...

    def run(self, jobs: Sequence[Job]) -> Iterator[JobResult]:
        """Run jobs, as many at a time as resources allow, and yield the result of each as it ends.

        A closed generator ends the jobs that are still running.
        """
        ...
