"""The executor `local` keeps the contract; Ray's runs are compared with local ones in tests/executors."""

from __future__ import annotations

import pytest

from vtbench.registry import Registry
from vtbench.testing import assert_checks, executor_checks


@pytest.mark.parametrize("spec", ["local", "local:workers=1"])
def test_this_machine(spec: str) -> None:
    registry = Registry()
    assert_checks(executor_checks(lambda: registry.executor(spec), registry))
