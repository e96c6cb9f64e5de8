"""Resolves a run's config once, to a `RunPlan`.

A `RunConfig` names tasks, metrics and a token budget. `RunPlan.resolve` finds and checks all of them before any model
is loaded; the loop, the workers, the executor and provenance take the plan. When the model is known,
`RunPlan.select_metrics` decides which metrics it can serve.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import cast

from vtbench.adapter import Adapter, BudgetAdapter, Generation
from vtbench.budget import Budget, FittedBudget
from vtbench.config import RunConfig
from vtbench.engine.answer_cache import CachedAdapter, uncacheable
from vtbench.engine.answer_store import AnswerStore
from vtbench.engine.budgeted_adapter import BudgetedAdapter
from vtbench.engine.validation import check_declarations, check_needs
from vtbench.errors import AdapterError, VtbenchError, nearest
from vtbench.executor import Model
from vtbench.metric import Metric, TaskWithMetrics, VisualMetric
from vtbench.registry import Registry
from vtbench.report.previews import PreviewMaker
from vtbench.task.catalog import find_task_files, summary
from vtbench.task.locations import absolute_location, open_task, split_location
from vtbench.types import Task

_LACKS = {
    "visual_tokens": "gives no visual tokens",
    "rank": "cannot rank answers",
    "budget": "takes no token budget",
}
SWEEP = "budget_frontier"
"""The metric that `--budget-sweep` adds, with the budgets that it names."""
COST = "budget_cost"
"""The metric that `--budget` adds."""


class LimitedTask:
    """The first `n` samples of a task (`--limit`)."""

    def __init__(self, task: Task, n: int) -> None:
        self._task, self._n = task, n

    def __len__(self) -> int:
        return min(self._n, len(self._task))

    @property
    def metric_factories(self) -> Mapping[str, Callable[[], Metric]]:
        """The task's own metrics; a property, since protocol checks do not see attributes from `__getattr__`."""
        return self._task.metric_factories if isinstance(self._task, TaskWithMetrics) else {}

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # copy and pickle look up such names before `_task` is set
            raise AttributeError(name)
        return getattr(self._task, name)


@dataclass(frozen=True, slots=True)
class MetricSelection:
    """The metrics that a model can serve, by task and name, and the reasons why others are left out."""

    metrics: Mapping[str, Mapping[str, Metric]]
    left_out: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class RunPlan:
    """Everything about a run that is known before its model is loaded."""

    config: RunConfig
    registry: Registry
    tasks: tuple[Task, ...]
    locations: Mapping[str, str]
    """By task: the absolute path of its file, or `SOURCE:WHERE`."""
    metrics: Mapping[str, tuple[str, ...]]
    """By task: specs of the requested metrics, including those that `--budget` and `--budget-sweep` add."""
    budget: Budget | None
    """The token budget of every answer (`--budget`)."""

    @classmethod
    def resolve(cls, config: RunConfig, registry: Registry) -> RunPlan:
        """Find and check the tasks, metrics and budget of a config.

        Raises:
            VtbenchError: an unknown task, metric or budget, an invalid setting, or two tasks with the same name.
        """
        tasks: dict[str, Task] = {}
        locations: dict[str, str] = {}
        metrics: dict[str, tuple[str, ...]] = {}
        for location in task_locations(config.tasks, registry):
            task = open_task(location, registry, split=config.split, seed=config.seed, allow_code=config.allow_code)
            if task.name in tasks:
                raise VtbenchError(f"{location}: a second task called {task.name!r} in one run; rename one")
            if not len(task):
                raise VtbenchError(f"{location}: task {task.name!r} has no samples in split {task.split!r}")
            tasks[task.name] = cast(Task, LimitedTask(task, config.limit)) if config.limit else task
            locations[task.name] = absolute_location(location)
            metrics[task.name] = requested_metrics(task, config)
        budget = None if config.budget is None else registry.budget(config.budget)
        plan = cls(config, registry, tuple(tasks.values()), locations, metrics, budget)
        for task in plan.tasks:
            for spec in metrics[task.name]:
                plan.create_metric(spec, task)  # unknown or unusable ones end the run before the model is loaded
        return plan

    @cached_property
    def preview_maker(self) -> PreviewMaker | None:
        """Makes the report's previews of samples while their images are in memory; None without a report."""
        return PreviewMaker({task.name: len(task) for task in self.tasks}) if self.config.report else None

    def create_metric(self, spec: str, task: Task) -> Metric:
        """Create a metric of the task itself, or of a plugin."""
        own = task.metric_factories if isinstance(task, TaskWithMetrics) else {}
        sweep = self.config.budget_sweep
        if spec in own:
            metric = own[spec]()
        elif spec == SWEEP and isinstance(sweep, list):
            metric = cast(Metric, self.registry.create("metric", SWEEP, {"policies": sweep}))
        else:
            metric = self.registry.metric(spec)
        check_needs(metric, f"metric {spec!r}")
        return metric

    def create_adapter(self) -> Adapter:
        """Create the model's adapter, wrapped in the run's token budget if it has one.

        Raises:
            VtbenchError: unknown model, or an invalid setting.
            AdapterError: the model cannot be loaded, declares what cannot be, or takes no token budget.
        """
        config, sweep = self.config, bool(self.config.budget_sweep)
        store = AnswerStore(Path(config.cache)) if config.cache else None  # before the model takes its time to load
        adapter = self.registry.adapter(config.model, config.model_args, config.device, config.dtype)
        check_declarations(adapter, f"model {config.model!r}")
        needs = {"budget"} if self.budget is not None or sweep else set()
        needs |= {"visual_tokens"} if isinstance(self.budget, FittedBudget) or sweep else set()
        if missing := sorted(needs - adapter.capabilities):
            adapter.close()
            flag = "--budget" if self.budget is not None else "--budget-sweep"
            raise AdapterError(
                f"model {config.model!r} {_LACKS[missing[0]]}; leave {flag} out, or choose another model"
            )
        if store is not None and uncacheable(config.model, dict(adapter.describe())) is None:
            adapter = CachedAdapter(adapter, store, config, Generation())
        if self.budget is None:
            return adapter
        return BudgetedAdapter(cast(BudgetAdapter, adapter), self.budget)

    def select_metrics(self, model: Model) -> MetricSelection:
        """Create the metrics that a model can serve, and give the reason for each of the others.

        Raises:
            AdapterError: the model can serve none of them.
        """
        chosen: dict[str, dict[str, Metric]] = {}
        left_out: dict[str, dict[str, str]] = {}
        for task in self.tasks:
            chosen[task.name], left_out[task.name] = {}, {}
            for spec in self.metrics[task.name]:
                metric = self.create_metric(spec, task)
                if reason := self._unusable(metric, model):
                    left_out[task.name][spec] = reason
                else:
                    chosen[task.name][spec] = metric
        if not any(chosen.values()):
            reasons = {f"{name}: {reason}" for some in left_out.values() for name, reason in some.items()}
            raise AdapterError(f"no metric is left to compute ({'; '.join(sorted(reasons)) or 'none was named'})")
        return MetricSelection(chosen, left_out)

    def _unusable(self, metric: Metric, model: Model) -> str | None:
        """Return the reason why a model cannot serve a metric; None if it can."""
        missing = sorted(metric.needs - model.capabilities)
        if "budget" in missing and self.budget is not None:
            return "it compares with the whole image, which a run under --budget never shows"
        if missing:
            lacks = " and ".join(_LACKS.get(need, f"cannot {need}") for need in missing)
            return f"model {self.config.model!r} {lacks}"
        if isinstance(metric, VisualMetric) and not set(metric.layers) & set(model.layers):
            return f"model {self.config.model!r} has no layer {' or '.join(map(repr, metric.layers))}"
        return None


def task_locations(wanted: Sequence[str], registry: Registry) -> list[str]:
    """Return the locations of tasks given by name, group (`all`), path, glob or `SOURCE:WHERE`.

    The order is that of `wanted`, without repeats.

    Raises:
        VtbenchError: no task has this name.
    """
    files = find_task_files(registry.task_dirs())
    found: dict[str, None] = {}
    for name in wanted:
        matching: list[str | Path]
        if split_location(name):
            matching = [name]
        elif grouped := [file for file in files.values() if name in summary(file)["groups"]]:
            if name in files:
                raise VtbenchError(f"{name!r} is a task ({files[name]}) and a group of tasks: give the task's file")
            matching = [*grouped]
        elif name in files:
            matching = [files[name]]
        elif name.endswith((".yaml", ".yml")) or "/" in name:
            if not Path(name).is_file():
                raise VtbenchError(f"{name}: no such task file")
            matching = [Path(name)]
        else:
            matching = [file for key, file in files.items() if fnmatchcase(key, name)]
        if not matching:
            raise VtbenchError(f"unknown task {name!r}.{nearest(name, [*files, 'all'])}{registry.broken_note(name)}")
        found |= dict.fromkeys(map(str, matching))
    return list(found)


def requested_metrics(task: Task, config: RunConfig) -> tuple[str, ...]:
    """Return the specs of the requested metrics: those of `--metrics`, or the task's plus those marked with `+`."""
    asked = config.metrics or []
    added = [spec.removeprefix("+").strip() for spec in asked if spec.startswith("+")]
    instead = [spec for spec in asked if not spec.startswith("+")]
    named = [*(instead if instead or config.metrics == [] else task.metrics), *added]
    named += [COST] if config.budget is not None else []
    named += [SWEEP] if config.budget_sweep else []
    return tuple(dict.fromkeys(named))
