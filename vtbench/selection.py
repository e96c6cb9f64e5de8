"""Which tasks, which model and which metrics a run has.

In: the config and the registry. Out: loaded tasks, the adapter, under a token budget where one is given, and for each
task its metrics, with a reason for every one left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import cast

from vtbench.adapter import Adapter, BudgetAdapter
from vtbench.budget import FittedBudget, parse_budget
from vtbench.catalog import find_task_files, summary
from vtbench.config import RunConfig
from vtbench.errors import AdapterError, VtbenchError, nearest
from vtbench.executor import Model
from vtbench.metric import Metric, VisualMetric
from vtbench.places import open_task, resolved, source_of
from vtbench.registry import Registry
from vtbench.types import Task

_LACKS = {
    "visual_tokens": "gives no visual tokens",
    "rank": "cannot rank answers",
    "budget": "takes no token budget",
}
_FRONTIER = "budget_frontier"


class Limited:
    """The first `n` samples of a task."""

    def __init__(self, task: Task, n: int) -> None:
        self._task, self._n = task, n

    def __len__(self) -> int:
        return min(self._n, len(self._task))

    def __getattr__(self, name: str) -> object:
        return getattr(self._task, name)


def task_places(wanted: Sequence[str], registry: Registry) -> list[str]:
    """Return where tasks are that are named by name, group (`all`), path, glob or `SOURCE:WHERE`.

    Each is there once, in the order of the asking.

    Raises:
        VtbenchError: nothing has this name.
    """
    files = find_task_files(registry.task_dirs())
    found: dict[str, None] = {}
    for name in wanted:
        matching: list[str | Path]
        if source_of(name):
            matching = [name]
        elif name in files:
            matching = [files[name]]
        elif grouped := [file for file in files.values() if name in summary(file)["groups"]]:
            matching = [*grouped]
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


def load_tasks(config: RunConfig, registry: Registry) -> tuple[list[Task], dict[str, str]]:
    """Load the tasks of a run, and say at which place each is (`vtbench.places`), wherever the run is read.

    Raises:
        VtbenchError: unknown task or metric, or two tasks of one name.
    """
    tasks: dict[str, Task] = {}
    places: dict[str, str] = {}
    for place in task_places(config.tasks, registry):
        task = open_task(place, registry, split=config.split, seed=config.seed, allow_code=config.allow_code)
        if task.name in tasks:
            raise VtbenchError(f"{place}: a second task called {task.name!r} in one run; rename one")
        if not len(task):
            raise VtbenchError(f"{place}: task {task.name!r} has no samples in split {task.split!r}")
        tasks[task.name] = Limited(task, config.limit) if config.limit else task  # type: ignore[assignment]
        places[task.name] = resolved(place)
        for name in wanted_metrics(task, config):
            _metric(name, task, config, registry)  # unknown or unusable ones end the run before the model is loaded
    return list(tasks.values()), places


def load_adapter(config: RunConfig, registry: Registry) -> Adapter:
    """Create the model's adapter, under the token budget of the run if it has one.

    Raises:
        VtbenchError: unknown model or budget, or a setting that it cannot take.
        AdapterError: the model cannot be loaded, or takes no token budget.
    """
    budget = None if config.budget is None else parse_budget(config.budget, registry)
    adapter = registry.adapter(config.model, config.model_args, config.device, config.dtype)
    needs = {"budget"} if budget is not None or config.budget_sweep else set()
    needs |= {"visual_tokens"} if isinstance(budget, FittedBudget) or config.budget_sweep else set()
    if missing := sorted(needs - adapter.capabilities):
        adapter.close()
        flag = "--budget" if budget is not None else "--budget-sweep"
        raise AdapterError(f"model {config.model!r} {_LACKS[missing[0]]}; leave {flag} out, or choose another model")
    if budget is None:
        return adapter
    from vtbench.budgets.within import Within

    return Within(cast(BudgetAdapter, adapter), budget)


def wanted_metrics(task: Task, config: RunConfig) -> list[str]:
    """Names of the metrics asked for, those of token budgets by their flags too."""
    named = [*(config.metrics if config.metrics is not None else task.metrics)]
    named += ["budget_cost"] if config.budget is not None else []
    named += [_FRONTIER] if config.budget_sweep else []
    return list(dict.fromkeys(named))


def _metric(name: str, task: Task, config: RunConfig, registry: Registry) -> Metric:
    """Make a metric: the task's own, a plugin's, or the frontier of the budgets that --budget-sweep names."""
    own: Mapping[str, Callable[[], Metric]] = getattr(task, "own_metrics", {})  # see vtbench.metric.BringsMetrics
    if name in own:
        return own[name]()
    if name == _FRONTIER and config.budget_sweep:
        from vtbench.budgets.frontier import POLICIES, Frontier

        return Frontier(POLICIES if config.budget_sweep is True else config.budget_sweep, registry)
    return registry.metric(name)


def usable_metrics(
    tasks: Sequence[Task], config: RunConfig, adapter: Model, registry: Registry
) -> tuple[dict[str, dict[str, Metric]], dict[str, dict[str, str]]]:
    """Return the metrics to compute, by task and name, and why each of the others is left out.

    Raises:
        AdapterError: the model can serve none of them.
    """
    chosen: dict[str, dict[str, Metric]] = {}
    left_out: dict[str, dict[str, str]] = {}
    for task in tasks:
        chosen[task.name], left_out[task.name] = {}, {}
        for name in wanted_metrics(task, config):
            metric = _metric(name, task, config, registry)
            missing = sorted(metric.needs - adapter.capabilities)
            if "budget" in missing and config.budget is not None:
                left_out[task.name][name] = "it compares with the whole picture, which a run under --budget never shows"
            elif missing:
                left_out[task.name][name] = (
                    f"model {config.model!r} {' and '.join(_LACKS.get(need, f'cannot {need}') for need in missing)}"
                )
            elif isinstance(metric, VisualMetric) and not set(metric.layers) & set(adapter.layers):
                left_out[task.name][name] = (
                    f"model {config.model!r} has no layer {' or '.join(map(repr, metric.layers))}"
                )
            else:
                chosen[task.name][name] = metric
    if not any(chosen.values()):
        reasons = {f"{name}: {reason}" for some in left_out.values() for name, reason in some.items()}
        raise AdapterError(f"no metric is left to compute ({'; '.join(sorted(reasons)) or 'none was named'})")
    return chosen, left_out
