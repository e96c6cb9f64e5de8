"""Several copies of a model on this machine keep the contract of executors, each in a real process."""

from __future__ import annotations

import pytest

from vtbench.executor import Executor
from vtbench.registry import Registry
from vtbench.testing.checks import Check
from vtbench.testing.executor_checks import executor_checks


def two_workers() -> Executor:
    made: Executor = Registry().create("executor", "local", {"workers": 2})
    return made


@pytest.mark.parametrize("check", executor_checks(two_workers), ids=lambda check: check.name)
def test_the_contract_of_an_executor(check: Check) -> None:
    check()
