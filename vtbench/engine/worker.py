"""One worker of a run: it holds the model and maps sample indices to records. A single worker is a pool of one."""

from __future__ import annotations

import time
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

from vtbench.adapter import Adapter, traits_of
from vtbench.config import RunConfig
from vtbench.engine.answer_cache import CachedAdapter
from vtbench.engine.batching import AutoBatchSize, Prefetcher, PreparedSample, one_thread
from vtbench.engine.budgeted_adapter import BudgetedAdapter
from vtbench.engine.fitting import TRIED, fit_on_first
from vtbench.engine.inference import query, query_outputs, to_records
from vtbench.engine.observing import Needs
from vtbench.engine.output_order import check_order
from vtbench.engine.setup import RunPlan
from vtbench.errors import AdapterError, ModelUnavailable, SampleError, plugin_errors
from vtbench.executor import BatchResult, FitResult, State
from vtbench.metric import Fittable, FittedElsewhere, VisualMetric
from vtbench.registry import Registry
from vtbench.types import Record, Sample, Task

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
        self._model = f"model {plan.config.model!r}"
        self._adapter = plan.create_adapter()
        inner = self._adapter.inner if isinstance(self._adapter, BudgetedAdapter) else self._adapter
        self._cache = inner if isinstance(inner, CachedAdapter) else None
        try:
            plan = plan.for_model(traits_of(self._adapter))
            self._tasks = {task.name: task for task in plan.tasks}
            self._preview_maker = plan.preview_maker
            self._metrics = {name: dict(of) for name, of in plan.select_metrics(self._adapter).metrics.items()}
        except BaseException:
            self.close()
            raise

    @property
    def model(self) -> Adapter:
        """The adapter."""
        return self._adapter

    def fit(self, task: str, wanted: Collection[str], size: int) -> FitResult:
        """Fit metrics (and the token budget) on the first samples of the task, or of one that they name.

        Args:
            task: name of the task to be scored.
            wanted: names of what is to be fitted.
            size: samples encoded at once.

        Raises:
            AdapterError: the token budget cannot be fitted, without which there is no answer.
        """
        states: dict[str, State] = {}
        unfitted: dict[str, str] = {}
        halved: list[int] = []
        for source, fits in self._by_source(task, wanted):
            most = max(fit.fit_samples for fit in fits.values())
            # each question's images once, and more than one where the first gives no tokens
            first = range(0, len(source), getattr(source, "repeats", 1))[: max(most, TRIED)]
            named = {_label(name): fit for name, fit in fits.items()}
            with one_thread() as pool:
                begin = partial(Prefetcher, source, first, self._adapter.image_size, pool)
                found = fit_on_first(named, begin, self._adapter, AutoBatchSize(size), self._model)
            halved += found.out_of_memory
            unfitted |= {name: found.unfitted[_label(name)] for name in fits if _label(name) in found.unfitted}
            for name, fit in fits.items():
                try:
                    with plugin_errors(f"{_label(name)}: state"):
                        states |= {} if name in unfitted else {name: fit.state()}
                except SampleError as error:
                    unfitted[name] = str(error)
        if BUDGET in unfitted:
            raise AdapterError(f"{_label(BUDGET)} cannot be fitted: {unfitted[BUDGET]}")
        return FitResult(states, tuple(halved), unfitted)

    def _by_source(self, task: str, wanted: Collection[str]) -> list[tuple[Task, dict[str, Fittable]]]:
        """Return what is to be fitted, grouped by the task that gives the samples."""
        found: dict[int, tuple[Task, dict[str, Fittable]]] = {}
        for name, fit in self._fittable(task).items():
            if name in wanted:
                source = self._tasks[task]
                if isinstance(fit, FittedElsewhere):
                    with plugin_errors(f"{_label(name)}: fit_task"):
                        source = fit.fit_task(source)
                found.setdefault(id(source), (source, {}))[1][name] = fit
        return list(found.values())

    def load_states(self, task: str, states: Mapping[str, State]) -> Mapping[str, Any]:
        """Load the states fitted on a task, and return facts about the token budget, if there is one."""
        for name, fit in self._fittable(task).items():
            if name in states:
                with plugin_errors(f"{_label(name)}: load_state"):
                    fit.load_state(states[name])
            elif name != BUDGET:
                del self._metrics[task][name]  # it could not be fitted
        return self._adapter.facts if isinstance(self._adapter, BudgetedAdapter) else {}

    def _fittable(self, task: str) -> dict[str, Fittable]:
        """Return the fittable objects of a task by name; the token budget gets a new fitter."""
        fits: dict[str, Fittable] = {name: m for name, m in self._metrics[task].items() if isinstance(m, VisualMetric)}
        if isinstance(self._adapter, BudgetedAdapter) and (budget := self._adapter.new_fitter()).needed:
            fits[BUDGET] = budget
        return fits

    def run_batches(self, task: str, indices: Sequence[int], sizes: Iterator[int]) -> Generator[BatchResult]:
        """Yield batches in the order of `indices`; a thread makes the next samples while the model works.

        The first batch tells whether the adapter leaves images as they are, and answers in their order.
        """
        source, metrics = self._tasks[task], self._metrics[task]
        ask = partial(query, adapter=self._adapter, metrics=metrics, task=source, model=self._model)
        first = True
        with one_thread() as pool:
            prefetcher = Prefetcher(source, indices, self._adapter.image_size, pool, self._preview_maker)
            while batch := prefetcher.take(next(sizes)):
                halved: list[int] = []
                hashes = {m.sample.id: m.image_sha256 for m in batch if first and isinstance(m.sample, Sample)}
                began = time.perf_counter()
                pairs: list[tuple[Record, Exception | None]] = []
                unavailable = None
                try:
                    for pair in to_records(batch, source, partial(ask, hashes=hashes), halved.append):
                        pairs.append(pair)
                except ModelUnavailable as error:
                    unavailable = str(error)
                seconds = time.perf_counter() - began
                if first and unavailable is None:
                    first = not self._check_order(source, batch, [record for record, _ in pairs])
                reused, asked, notes = self._cache.keep() if self._cache else (0, 0, [])
                each = round(seconds / len(batch), 6)
                yield BatchResult(
                    batch[0].index,
                    seconds,
                    tuple(halved),
                    tuple(replace(record, seconds=each) for record, _ in pairs),
                    tuple(None if error is None else type(error).__name__ for _, error in pairs),
                    tuple(prepared.preview for prepared in batch if prepared.preview is not None),
                    unavailable,
                    reused,
                    asked,
                    tuple(notes),
                )

    def _check_order(self, task: Task, batch: Sequence[PreparedSample], records: Sequence[Record]) -> bool:
        """Refuse answers that stand in another's place, where what the metrics need can tell.

        Answers from the cache of answers prove nothing, and are left out.

        Returns:
            whether that was all that there is to check; else the next batch is to be checked too.
        """
        needs = Needs.of(self._metrics[task.name])
        samples = {m.sample.id: m.sample for m in batch if isinstance(m.sample, Sample)}
        reused = {name for _, name in self._cache.reused} if self._cache else set()
        answered = [record for record in records if record.error is None and record.id not in reused]
        if needs.of_questions & {"generate", "rank"} and not traits_of(self._adapter).metered:
            tokens = task.max_new_tokens
            ask = partial(query_outputs, adapter=self._adapter, needs=needs, max_new_tokens=tokens, model=self._model)
            with self._cache.bypassed() if self._cache else nullcontext():
                check_order([samples[record.id] for record in answered], answered, ask, self._model, tokens)
        return not reused

    def close(self) -> None:
        """Release memory and processes."""
        self._adapter.close()


def _label(name: str) -> str:
    """Return how an error calls what is fitted on a task."""
    return "the token budget" if name == BUDGET else f"metric {name!r}"


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
