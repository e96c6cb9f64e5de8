"""The weights that adapters ship with keep the contract of adapters, under token budgets."""

from __future__ import annotations

from functools import partial

import pytest
from contract_budgets import BUDGETS

from vtbench.adapter import Generation
from vtbench.registry import Registry
from vtbench.testing import adapter_checks, assert_checks
from vtbench_families import FAMILIES


@pytest.mark.parametrize("name", ["llava", *(name for name, entry in FAMILIES.items() if entry.small)])
def test_the_weights_that_an_adapter_ships_with(name: str) -> None:
    make = partial(Registry().adapter, name, {}, "cpu", "float32")
    assert_checks(adapter_checks(make, budgets=BUDGETS, drawing=partial(make, Generation(temperature=2.0))))
