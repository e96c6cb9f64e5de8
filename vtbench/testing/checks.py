"""What a check is, and how checks are run: one by one, in a test of one line, or as a pytest test each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vtbench.errors import OutOfMemory, VtbenchError, one_line


class CheckFailed(AssertionError):
    """A thing does not keep the contract: one line that says what is wrong and what is expected."""


@dataclass(frozen=True, slots=True)
class Check:
    """One rule of the contract, for one thing. Call it: it raises where the rule is not kept."""

    name: str
    """The rule, as a sentence about the thing: `rank returns one log-probability for each choice`."""
    function: Callable[[], None]

    def __call__(self) -> None:
        """Check the rule.

        Raises:
            CheckFailed: the thing does not keep it.
            Exception: whatever the thing itself raises.
        """
        self.function()

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What became of a check."""

    check: str
    error: Exception | None = None

    @property
    def passed(self) -> bool:
        """Whether the rule is kept."""
        return self.error is None

    @property
    def reason(self) -> str | None:
        """Why not, in one line; None where it is."""
        if self.error is None:
            return None
        plain = isinstance(self.error, (CheckFailed, VtbenchError, OutOfMemory))
        return " ".join(str(self.error).split()) if plain and str(self.error) else one_line(self.error)


def run_checks(
    checks: Iterable[Check], report: Callable[[CheckResult], object] = lambda result: None
) -> list[CheckResult]:
    """Run every check and return what became of each, in order.

    Args:
        checks: those of `adapter_checks`, `metric_checks`, `budget_checks` or `executor_checks`.
        report: is told of each result as soon as it is there.
    """
    results = []
    for check in checks:
        error: Exception | None = None
        try:
            check()
        except Exception as raised:  # whatever the thing raises is what the check finds
            error = raised
        results.append(CheckResult(check.name, error))
        report(results[-1])
    return results


def assert_checks(checks: Iterable[Check]) -> None:
    """Run every check, for a test of one line.

    Raises:
        CheckFailed: names each rule that is not kept, a line each; it comes from the first one's error.
    """
    failed = [result for result in run_checks(checks) if not result.passed]
    if failed:
        raise CheckFailed("\n".join(f"{result.check}: {result.reason}" for result in failed)) from failed[0].error


def parametrize_checks(checks: Iterable[Check]) -> Any:
    """Make a pytest test of each check: `@parametrize_checks(adapter_checks(make))` over `def test(check): check()`."""
    import pytest

    return pytest.mark.parametrize("check", list(checks), ids=str)


def expect(condition: object, message: str) -> None:
    """Fail a check with its line, unless the condition holds."""
    if not condition:
        raise CheckFailed(message)


def nearly_equal(one: Any, other: Any) -> bool:
    """Return whether two observations, states, or scores as data are equal up to rounding."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(nearly_equal(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(nearly_equal, one, other))
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        if one.shape != other.shape:
            return False
        numbers = one.dtype.kind in "fc" and other.dtype.kind in "fc"
        return bool(np.allclose(one, other, atol=1e-5, equal_nan=True) if numbers else np.array_equal(one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return bool(one == other)
