"""One worker of a run: it holds the model and maps sample indices to records. A single worker is a pool of one."""

from __future__ import annotations

import time
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from vtbench.adapter import Adapter
from vtbench.config import RunConfig
from vtbench.engine.batching import AutoBatchSize, Prefetcher, one_thread
from vtbench.engine.budgeted_adapter import BudgetedAdapter
from vtbench.engine.inference import fit_on_first, query, to_records
from vtbench.engine.setup import RunPlan
from vtbench.executor import BatchResult, FitResult, State
from vtbench.metric import Fittable, VisualMetric
from vtbench.registry import Registry
from vtbench.types import Task

BUDGET = "--budget"
"""Name of the token budget's state among the states of metrics."""


class Worker:
    """Creates the adapter of a run, and queries it batch by batch.

    Args:
        plan: the run's plan.

    Raises:
        VtbenchError: as `RunPlan.create_adapter` and `RunPlan.select_metrics`.
    """

    def __init__(self, plan: RunPlan) -> None:
        self._tasks = {task.name: task for task in plan.tasks}
        self._preview_maker = plan.preview_maker
        self._adapter = plan.create_adapter()
        try:
            self._metrics = plan.select_metrics(self._adapter).metrics
        except BaseException:
            self.close()
            raise

    @property
    def model(self) -> Adapter:
        """The adapter."""
        return self._adapter

    def fit(self, task: str, wanted: Collection[str], size: int) -> FitResult:
        """Fit metrics (and the token budget) on the task's first samples, `size` at a time."""
        fits = {name: fit for name, fit in self._fittable(task).items() if name in wanted}
        if not fits:
            return FitResult({}, ())
        source = self._tasks[task]
        first = range(min(len(source), max(fit.fit_samples for fit in fits.values())))
        with one_thread() as pool:
            prefetcher = Prefetcher(source, first, self._adapter.image_size, pool)
            halved = fit_on_first(list(fits.values()), prefetcher, self._adapter, AutoBatchSize(size))
        return FitResult({name: fit.state() for name, fit in fits.items()}, tuple(halved))

    def load_states(self, task: str, states: Mapping[str, State]) -> Mapping[str, Any]:
        """Load the states fitted on a task, and return facts about the token budget, if there is one."""
        for name, fit in self._fittable(task).items():
            fit.load_state(states[name])
        return self._adapter.facts if isinstance(self._adapter, BudgetedAdapter) else {}

    def _fittable(self, task: str) -> dict[str, Fittable]:
        """Return the fittable objects of a task by name; the token budget gets a new fitter."""
        fits: dict[str, Fittable] = {name: m for name, m in self._metrics[task].items() if isinstance(m, VisualMetric)}
        if isinstance(self._adapter, BudgetedAdapter) and (budget := self._adapter.new_fitter()).needed:
            fits[BUDGET] = budget
        return fits

    def run_batches(self, task: str, indices: Sequence[int], sizes: Iterator[int]) -> Generator[BatchResult]:
        """Yield batches in the order of `indices`; a thread makes the next samples while the model works."""
        source = self._tasks[task]
        ask = partial(query, adapter=self._adapter, metrics=self._metrics[task], task=source)
        with one_thread() as pool:
            prefetcher = Prefetcher(source, indices, self._adapter.image_size, pool, self._preview_maker)
            while batch := prefetcher.take(next(sizes)):
                halved: list[int] = []
                began = time.perf_counter()
                pairs = list(to_records(batch, source, ask, halved.append))
                seconds = time.perf_counter() - began
                each = round(seconds / len(batch), 6)
                yield BatchResult(
                    batch[0].index,
                    seconds,
                    tuple(halved),
                    tuple(replace(record, seconds=each) for record, _ in pairs),
                    tuple(None if error is None else type(error).__name__ for _, error in pairs),
                    tuple(prepared.preview for prepared in batch if prepared.preview is not None),
                )

    def close(self) -> None:
        """Release memory and processes."""
        self._adapter.close()


class RunWork:
    """A run as an executor sees it (`vtbench.executor.Work`).

    Only the config and the registry are pickled; the receiving process resolves the plan when it first uses it.
    """

    def __init__(self, config: RunConfig, registry: Registry, plan: RunPlan | None = None) -> None:
        self._config, self._registry, self._plan = config, registry, plan

    def __reduce__(self) -> tuple[Any, ...]:
        return RunWork, (self._config, self._registry)

    @property
    def plan(self) -> RunPlan:
        """The run's plan."""
        if self._plan is None:
            self._plan = RunPlan.resolve(self._config, self._registry)
        return self._plan

    @property
    def tasks(self) -> Sequence[Task]:
        """All tasks of the run."""
        return self.plan.tasks

    @property
    def device(self) -> str:
        """Device of the model."""
        return self._config.device

    def worker(self) -> Worker:
        """Create one worker in this process."""
        return Worker(self.plan)
