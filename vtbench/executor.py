"""The protocol an executor meets: where a run's questions are answered, and where a study's models are trained.

In: names of tasks and indices of samples, or jobs. Out: records, or word of each job as it ends. A worker holds the
model once, draws its samples itself, and gives back records: no picture leaves it. Which samples are asked together is
the loop's choice alone, so an executor decides where and when an answer is made, never which.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from vtbench.types import Capability, Record, Task

if TYPE_CHECKING:
    import numpy as np

    from vtbench.config import RunConfig
    from vtbench.registry import Registry

Basis = Mapping[str, "np.ndarray"]
"""What is fitted on a task's first samples, as arrays by name."""
Say = Callable[[str], None]
"""Takes a line for a person."""


class Model(Protocol):
    """What is known of a model without asking it: every `Adapter` is one."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can do."""
        ...

    @property
    def image_size(self) -> int | None:
        """Side in pixels of the pictures it sees."""
        ...

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers whose visual tokens it gives."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """Say what goes into run.json about it."""
        ...


@dataclass(frozen=True, slots=True)
class Answered:
    """A batch that was asked together."""

    start: int
    """Index of its first sample."""
    seconds: float
    out_of_memory: tuple[int, ...]
    """Sizes of the parts that did not fit, in order."""
    records: tuple[Record, ...]
    failures: tuple[str | None, ...]
    """For each record the type of the error behind it, None where it was answered."""


@dataclass(frozen=True, slots=True)
class Fitting:
    """What was fitted on a task's first samples."""

    bases: Mapping[str, Basis]
    out_of_memory: tuple[int, ...]
    """As of `Answered`."""


class Crew(Protocol):
    """The workers of one run, each of which holds the model. Errors are those of the model and the task."""

    @property
    def model(self) -> Model:
        """The model that all of them hold."""
        ...

    def fit(self, task: str, wanted: Collection[str], size: int) -> Fitting:
        """Fit metrics (and `--budget`) on the task's first samples, `size` at once: once, by one worker.

        `wanted` may name what needs no basis; the bases of the others are returned.
        """
        ...

    def begin(self, task: str, bases: Mapping[str, Basis]) -> Mapping[str, Any]:
        """Let every worker take up these bases, those that join later too; return facts of the token budget, if any."""
        ...

    def answer(self, task: str, indices: Sequence[int], sizes: Iterator[int]) -> Generator[Answered]:
        """Yield batches in the order of `indices`, each as large as the next of `sizes` says, until none is left.

        `begin` comes first. `sizes` is read when a batch is handed out. Closed early, it hands out no more.
        """
        ...

    def close(self) -> None:
        """Give back all workers."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """A command that may be killed and begun again, and the file that takes what it says.

    It ends by itself when its standard input does.
    """

    name: str
    command: tuple[str, ...]
    log: Path


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job ended: `error` is its last line, None where all went well."""

    name: str
    seconds: float
    error: str | None


class Executor(Protocol):
    """A place to work at."""

    def crew(self, config: RunConfig, tasks: Sequence[Task], registry: Registry, say: Say) -> Crew:
        """Create the model of a run in every worker.

        Raises:
            VtbenchError: the place cannot be reached, has no room, or the model cannot be loaded there.
        """
        ...

    def run(self, jobs: Sequence[Job]) -> Iterator[Ended]:
        """Yield word of each job as it ends, as many at once as there is room for. Closed early, it ends the others."""
        ...
