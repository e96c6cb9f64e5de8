"""Resolves a run's config once, to a `RunPlan`.

A `RunConfig` names tasks, metrics and a token budget. `RunPlan.resolve` finds and checks all of them before any model
is loaded; the loop, the workers, the executor and provenance take the plan. When the model is known,
`RunPlan.for_model` puts the questions as it wants them, and `RunPlan.select_metrics` decides which metrics it serves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from vtbench.adapter import PLAIN, Adapter, BudgetAdapter, Generation, Traits
from vtbench.budget import Budget, FittedBudget
from vtbench.config import RunConfig
from vtbench.engine.answer_cache import CachedAdapter
from vtbench.engine.answer_store import AnswerStore
from vtbench.engine.budgeted_adapter import BudgetedAdapter
from vtbench.engine.stored_answers import answers_only
from vtbench.engine.validation import check_declarations, check_needs
from vtbench.errors import AdapterError, MissingPackageError, SampleError, TaskError, VtbenchError, plugin_errors
from vtbench.executor import Model
from vtbench.metric import Metric, TaskChecker, TaskWithMetrics, VisualMetric
from vtbench.registry import Registry
from vtbench.report.previews import PreviewMaker
from vtbench.settings import checked
from vtbench.task.locations import absolute_location, open_task, task_locations
from vtbench.task.prepared import AtMost, ExamplePool, Limited, Repeated, WithContext, in_format
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
REPEATS = "repeats"
"""The metric that `--gen repeats=K` adds."""
REASONING = 4096
"""Tokens that a model which reasons before it answers gets beside those of the answer."""


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
    opened: tuple[Task, ...]
    """As their files define them."""
    tasks: tuple[Task, ...]
    """As the model is asked: in a prompt format, with examples, limited and repeated."""
    generation: Generation
    pools: Mapping[str, Task | None]
    """By task: the split that few-shot examples are drawn from, as its file defines it; empty without examples."""
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
        generation = read_generation(config.gen)
        if (config.system or config.fewshot) and (config.budget or config.budget_sweep):
            flag = "--fewshot" if config.fewshot else "--system"
            raise VtbenchError(f"{flag}: a token budget applies to the question's image alone; leave {flag} out")
        tasks: dict[str, Task] = {}
        pools: dict[str, Task | None] = {}
        locations: dict[str, str] = {}
        metrics: dict[str, tuple[str, ...]] = {}
        for location in task_locations(config.tasks, registry):
            task = open_task(location, registry, split=config.split, seed=config.seed, allow_code=config.allow_code)
            if task.name in tasks:
                raise VtbenchError(f"{location}: a second task called {task.name!r} in one run; rename one")
            if not len(task):
                raise VtbenchError(f"{location}: task {task.name!r} has no samples in split {task.split!r}")
            tasks[task.name] = task
            if config.fewshot:
                pools[task.name] = _train_split(location, task, config, registry)
            locations[task.name] = absolute_location(location)
            metrics[task.name] = requested_metrics(task, config)
        budget = None if config.budget is None else registry.budget(config.budget)
        opened = tuple(tasks.values())
        plan = cls(config, registry, opened, opened, generation, pools, locations, metrics, budget)
        plan = plan.for_model(
            Traits(prompt_format=PLAIN)
        )  # what cannot be asked ends the run before the model is loaded
        # Unknown metrics, and a run that would have no score, end here, before the model is loaded.
        unfit = {
            task.name: {spec: why for spec in metrics[task.name] if (why := plan.unfit(spec, task))}
            for task in plan.opened
        }
        if any(unfit.values()) and all(len(unfit[name]) == len(specs) for name, specs in metrics.items()):
            raise VtbenchError(no_metric_left(unfit))
        return plan

    def for_model(self, traits: Traits) -> RunPlan:
        """Return the plan with its tasks as a model with these traits is asked.

        Raises:
            TaskError: a task has no such prompt format, or no examples to draw from.
        """
        return replace(self, tasks=tuple(self._asked(task, traits) for task in self.opened))

    def _asked(self, task: Task, traits: Traits) -> Task:
        config = self.config
        name = config.prompt_format or traits.prompt_format
        asked = in_format(task, name)
        if config.system or config.fewshot:
            pool = self.pools.get(task.name)
            examples = None if pool is None else ExamplePool(in_format(pool, name), config.fewshot, config.fewshot_seed)
            asked = WithContext(asked, config.system or "", examples, config.fewshot_as_multiturn)
        if config.limit:
            asked = Limited(asked, config.limit)
        if self.generation.repeats > 1:
            asked = Repeated(asked, self.generation.repeats)
        tokens = config.max_new_tokens or asked.max_new_tokens + REASONING * traits.reasons
        return asked if tokens == asked.max_new_tokens else AtMost(asked, tokens)

    def check_model(self, model: Model) -> None:
        """Refuse a model that cannot read what stands before the questions.

        Raises:
            AdapterError: it takes no system prompt, or no few-shot examples.
        """
        config, can = self.config, model.capabilities
        if config.fewshot and "images" not in can:
            raise AdapterError(
                f"model {config.model!r} takes one image a question, and --fewshot needs several; leave it out"
            )
        if (config.fewshot or config.system) and "context" not in can:
            flag = "--fewshot" if config.fewshot else "--system"
            raise AdapterError(f"model {config.model!r} reads nothing before the question; leave {flag} out")

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

    def metric_or_reason(self, spec: str, task: Task) -> Metric | str:
        """Create a metric, or return why there is none: a package that a metric of the task's own choice needs.

        Raises:
            VtbenchError: it cannot be created; the package is missing of a metric that the config names.
        """
        try:
            return self.create_metric(spec, task)
        except MissingPackageError as error:
            if spec in {named.removeprefix("+").strip() for named in self.config.metrics or []}:
                raise
            return str(error).partition(": ")[2]  # without the metric's name, which stands before reasons

    def unfit(self, spec: str, task: Task) -> str | None:
        """Return the reason why a metric cannot score a task, whatever the model; None if it can, or does not say."""
        metric = self.metric_or_reason(spec, task)
        return metric if isinstance(metric, str) else unfit_for(metric, spec, task)

    def create_adapter(self) -> Adapter:
        """Create the model's adapter, wrapped in the run's token budget if it has one.

        Raises:
            VtbenchError: unknown model, or an invalid setting.
            AdapterError: the model cannot be loaded, declares what cannot be, or takes no token budget.
        """
        config, sweep = self.config, bool(self.config.budget_sweep)
        store = AnswerStore(Path(config.cache)) if config.cache else None  # before the model takes its time to load
        adapter = self.registry.adapter(
            config.model, config.model_args, config.device, config.dtype, self.generation, config.chat_template_args
        )
        check_declarations(adapter, f"model {config.model!r}")
        needs = {"budget"} if self.budget is not None or sweep else set()
        needs |= {"visual_tokens"} if isinstance(self.budget, FittedBudget) or sweep else set()
        if missing := sorted(needs - adapter.capabilities):
            adapter.close()
            flag = "--budget" if self.budget is not None else "--budget-sweep"
            raise AdapterError(
                f"model {config.model!r} {_LACKS[missing[0]]}; leave {flag} out, or choose another model"
            )
        try:
            self.check_model(adapter)
        except AdapterError:
            adapter.close()
            raise
        if store is not None:
            adapter = CachedAdapter(adapter, store, config, self.generation)
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
            if self.config.predict_only:
                found = {spec: self.metric_or_reason(spec, task) for spec in self.metrics[task.name]}
                missing = {spec: reason for spec, reason in found.items() if isinstance(reason, str)}
                metrics = {spec: metric for spec, metric in found.items() if not isinstance(metric, str)}
                unusable = {spec: why for spec, metric in metrics.items() if (why := self._unusable(metric, model))}
                chosen[task.name], left_out[task.name] = answers_only(metrics, unusable, model)
                left_out[task.name] |= missing
                continue
            chosen[task.name], left_out[task.name] = {}, {}
            for spec in self.metrics[task.name]:
                metric = self.metric_or_reason(spec, task)
                if isinstance(metric, str):
                    left_out[task.name][spec] = metric
                elif reason := self._unusable(metric, model) or unfit_for(metric, spec, task):
                    left_out[task.name][spec] = reason
                else:
                    chosen[task.name][spec] = metric
        if not any(chosen.values()):
            raise AdapterError(no_metric_left(left_out))
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


def unfit_for(metric: Metric, spec: str, task: Task) -> str | None:
    """Return the reason why a metric cannot score a task; None if it can, or does not say.

    Raises:
        VtbenchError: the metric's settings name what is not there, or its check fails.
    """
    if isinstance(metric, TaskChecker):
        try:
            with plugin_errors(f"metric {spec!r}: check_task"):
                metric.check_task(task)
        except SampleError as error:
            return str(error)
    return None


def no_metric_left(left_out: Mapping[str, Mapping[str, str]]) -> str:
    """Return the error of a run without a metric, from the reasons by task and metric."""
    reasons = {f"{name}: {reason}" for some in left_out.values() for name, reason in some.items()}
    return f"no metric is left to compute ({'; '.join(sorted(reasons)) or 'none was named'})"


def read_generation(settings: Mapping[str, Any]) -> Generation:
    """Return the settings of `--gen`.

    Raises:
        VtbenchError: names the first that is unknown, or that has a wrong value.
    """
    given = dict(settings)
    if isinstance(given.get("until"), str):
        given["until"] = [given["until"]]
    return checked(Generation, given, "--gen: {}".format)


def _train_split(location: str, task: Task, config: RunConfig, registry: Registry) -> Task:
    """Return the split `train` of a task.

    Raises:
        TaskError: it has none.
    """
    try:
        return open_task(location, registry, split="train", seed=config.seed, allow_code=config.allow_code)
    except VtbenchError:
        raise TaskError(
            f"task {task.name!r} has no split `train` to draw --fewshot examples from; leave it out, or name a file of"
            " further rows under data.train"
        ) from None


def requested_metrics(task: Task, config: RunConfig) -> tuple[str, ...]:
    """Return the specs of the requested metrics: those of `--metrics`, or the task's plus those marked with `+`."""
    asked = config.metrics or []
    added = [spec.removeprefix("+").strip() for spec in asked if spec.startswith("+")]
    instead = [spec for spec in asked if not spec.startswith("+")]
    named = [*(instead if instead or config.metrics == [] else task.metrics), *added]
    named += [REPEATS] if read_generation(config.gen).repeats > 1 else []
    named += [COST] if config.budget is not None else []
    named += [SWEEP] if config.budget_sweep else []
    return tuple(dict.fromkeys(named))
