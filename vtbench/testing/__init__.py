"""The contract of plugins as checks that anyone can run on an adapter, a metric, a token budget or an executor.

    from vtbench.testing import adapter_checks, run_checks

    for result in run_checks(adapter_checks(lambda: MyModel())):
        print(result.check, result.reason or "passed")

`vtbench check MODEL` does the same. Checks are made for what a thing declares: an adapter without the capability `rank`
is not asked to rank. In a test, `assert_checks(...)` is one line, and `parametrize_checks(...)` makes a pytest test of
each check; nothing else here needs pytest. Each failure is one line that says what is wrong and what is expected.
"""

from __future__ import annotations

from vtbench.testing.adapter_checks import adapter_checks
from vtbench.testing.budget_checks import budget_checks
from vtbench.testing.checks import Check, CheckFailed, CheckResult, assert_checks, parametrize_checks, run_checks
from vtbench.testing.executor_checks import executor_checks
from vtbench.testing.metric_checks import metric_checks
from vtbench.testing.named_checks import named_checks

__all__ = [
    "Check",
    "CheckFailed",
    "CheckResult",
    "adapter_checks",
    "assert_checks",
    "budget_checks",
    "executor_checks",
    "metric_checks",
    "named_checks",
    "parametrize_checks",
    "run_checks",
]
