"""The checks of what a plugin registered, by kind and name: what `vtbench check` runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vtbench.adapter import Generation
from vtbench.errors import VtbenchError
from vtbench.registry import Registry
from vtbench.testing.adapter_checks import adapter_checks
from vtbench.testing.budget_checks import budget_checks
from vtbench.testing.checks import Check
from vtbench.testing.executor_checks import executor_checks
from vtbench.testing.metric_checks import metric_checks

NO_ARGUMENTS: Mapping[str, Any] = {}


def named_checks(
    registry: Registry,
    kind: str,
    spec: str,
    model_args: Mapping[str, Any] = NO_ARGUMENTS,
    device: str = "auto",
    dtype: str = "float32",
) -> list[Check]:
    """Return the checks of a model, metric, budget or executor.

    Args:
        registry: the plugins.
        kind: `model`, `metric`, `budget` or `executor`.
        spec: its name, with settings `NAME:key=value,...` if it is no model.
        model_args: arguments of a model.
        device: of a model.
        dtype: of a model's weights; narrow ones round, and two batches then have two answers.

    Raises:
        VtbenchError: it cannot be made: an unknown name, a missing argument, or an error of its factory.
    """
    if kind == "model":
        takes_settings = "generation" in registry.check_adapter(spec, model_args).settings
        drawn = Generation(temperature=2.0)
        return adapter_checks(
            lambda: registry.adapter(spec, model_args, device, dtype),
            drawing=(lambda: registry.adapter(spec, model_args, device, dtype, drawn)) if takes_settings else None,
        )
    if kind == "metric":
        return metric_checks(lambda: registry.metric(spec))
    if kind == "budget":
        return budget_checks(lambda: registry.budget(spec))
    if kind == "executor":
        return executor_checks(lambda: registry.executor(spec), registry)
    raise VtbenchError(f"there are no checks of a {kind}")
