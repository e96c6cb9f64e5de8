"""One worker: a model, its metrics and the tasks. Indices in, records out. On its own it is a crew of one."""

from __future__ import annotations

import time
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from vtbench.adapter import Adapter
from vtbench.answering import answer, records, warm
from vtbench.batching import Ahead, BatchSize, one_thread
from vtbench.budgets.within import Within
from vtbench.config import RunConfig
from vtbench.executor import Answered, Basis, Fitting
from vtbench.metric import Fitted, VisualMetric
from vtbench.registry import Registry
from vtbench.selection import load_adapter, usable_metrics
from vtbench.types import Task

BUDGET = "--budget"
"""Names the basis of a token budget among those of metrics."""


class Worker:
    """Creates the adapter of a run, and asks it about batches.

    Args:
        config: the run's.
        tasks: all of the run's.
        registry: brings the adapter and the metrics.

    Raises:
        VtbenchError: what `load_adapter` and `usable_metrics` raise.
    """

    def __init__(self, config: RunConfig, tasks: Sequence[Task], registry: Registry) -> None:
        self._tasks = {task.name: task for task in tasks}
        self._adapter = load_adapter(config, registry)
        try:
            self._metrics, _ = usable_metrics(tasks, config, self._adapter, registry)
        except BaseException:
            self.close()
            raise

    @property
    def model(self) -> Adapter:
        """The adapter."""
        return self._adapter

    def fit(self, task: str, wanted: Collection[str], size: int) -> Fitting:
        """Fit metrics (and the token budget) on the task's first samples, `size` at once."""
        fits = {name: fit for name, fit in self._fitted(task).items() if name in wanted}
        if not fits:
            return Fitting({}, ())
        source = self._tasks[task]
        first = range(min(len(source), max(fit.warmup for fit in fits.values())))
        with one_thread() as pool:
            ahead = Ahead(source, first, self._adapter.image_size, pool)
            halved = warm(list(fits.values()), ahead, self._adapter, BatchSize(size))
        return Fitting({name: fit.basis() for name, fit in fits.items()}, tuple(halved))

    def begin(self, task: str, bases: Mapping[str, Basis]) -> Mapping[str, Any]:
        """Take up the bases of a task, and return facts of the token budget, if there is one."""
        for name, fit in self._fitted(task).items():
            fit.restore(bases[name])
        return self._adapter.facts if isinstance(self._adapter, Within) else {}

    def _fitted(self, task: str) -> dict[str, Fitted]:
        """What needs a basis, by name; a token budget forgets the task before."""
        fits: dict[str, Fitted] = {name: m for name, m in self._metrics[task].items() if isinstance(m, VisualMetric)}
        if isinstance(self._adapter, Within) and (budget := self._adapter.begin()).needed:
            fits[BUDGET] = budget
        return fits

    def answer(self, task: str, indices: Sequence[int], sizes: Iterator[int]) -> Generator[Answered]:
        """Yield batches in the order of `indices`; the next samples are made while the model works."""
        source = self._tasks[task]
        asked = partial(answer, adapter=self._adapter, metrics=self._metrics[task], task=source)
        with one_thread() as pool:
            ahead = Ahead(source, indices, self._adapter.image_size, pool)
            while batch := ahead.take(next(sizes)):
                halved: list[int] = []
                began = time.perf_counter()
                pairs = list(records(batch, source, asked, halved.append))
                seconds = time.perf_counter() - began
                each = round(seconds / len(batch), 6)
                yield Answered(
                    batch[0].index,
                    seconds,
                    tuple(halved),
                    tuple(replace(record, seconds=each) for record, _ in pairs),
                    tuple(None if error is None else type(error).__name__ for _, error in pairs),
                )

    def close(self) -> None:
        """Give back memory and processes."""
        self._adapter.close()
