"""Every registered token budget keeps the contract."""

from __future__ import annotations

import pytest

from vtbench.registry import Registry
from vtbench.testing import assert_checks, budget_checks

REGISTRY = Registry()
SPECS = (
    "random:k=5", "random:f=0.3,seed=4", "random:mean=3.5", "grid:k=0", "grid:k=7", "grid:f=1", "grid:mean=2.5",
    "downsample:k=6", "downsample:f=0.3", "saliency:p=0.5", "saliency:p=0.9,by=norm", "farthest_point:k=5",
    "divprune:f=0.2", "merge:t=0.9", "complexity", "complexity:mean=9", "complexity:f=0.2,by=rank,keep=grid",
    "random:k=100",
)  # fmt: skip
"""The last one needs more tokens than the first batch that a budget is shown."""


@pytest.mark.parametrize("spec", SPECS)
def test_a_registered_budget(spec: str) -> None:
    assert_checks(budget_checks(lambda: REGISTRY.budget(spec)))


def test_every_registered_budget_is_checked() -> None:
    assert {spec.partition(":")[0] for spec in SPECS} == REGISTRY.named("budget").keys()
