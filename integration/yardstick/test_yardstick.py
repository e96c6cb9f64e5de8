"""vtbench's mutual information on the forty tasks of benchmark-mi, whose true values are known.

Runs in an environment of its own (`make yardstick`) and writes results/yardstick/.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from bmi.benchmark import BENCHMARK_TASKS
from copulas import BASES, OTHERS
from measure import ESTIMATORS, NEIGHBOURS_UP_TO, RESULTS, SAMPLES, SEED, SEEDS, Row, measure
from table import write

TOLERANCE = 0.05
"""Nats."""
REST = sorted(set(BENCHMARK_TASKS) - set(BASES))


@pytest.fixture(scope="session")
def rows() -> dict[str, Row]:
    """Every task measured, by its id; the table is written on the way."""
    found = measure()
    write(found, RESULTS)
    return {row.task: row for row in found}


def test_every_task_is_accounted_for() -> None:
    """Twenty tasks have a Gaussian copula; for each of the others there is a reason why it has none."""
    assert set(BASES) <= set(BENCHMARK_TASKS)
    assert len(BASES) == len(REST) == 20
    assert all(task.startswith(tuple(OTHERS)) for task in REST)


@pytest.mark.parametrize("task", BASES)
def test_a_gaussian_copula_is_increasing_maps_of_normal_coordinates(task: str) -> None:
    """From one seed, every coordinate of the task's sample stands in the order of its normal coordinate."""
    for mapped, normal in zip(
        *(BENCHMARK_TASKS[name].sample(SAMPLES, SEED) for name in (task, BASES[task])), strict=True
    ):
        order = np.argsort(normal, axis=0)
        steps = np.diff(np.take_along_axis(np.asarray(mapped), order, axis=0), axis=0)
        assert steps.min() >= 0
        assert (steps > 0).mean() > 0.99  # ties come from single precision


@pytest.mark.parametrize("task", BASES)
def test_gaussian_copulas_are_within_tolerance(rows: dict[str, Row], task: str) -> None:
    """For each of several samples."""
    row = rows[task]
    assert len(row.by_seed) == len(SEEDS)
    assert row.by_seed == pytest.approx([row.truth] * len(SEEDS), abs=TOLERANCE)


@pytest.mark.parametrize("task", BENCHMARK_TASKS)
def test_every_estimate_is_listed(rows: dict[str, Row], task: str) -> None:
    """Whether it is near the truth or not: tasks outside the assumption are not hidden."""
    row, sides = rows[task], (BENCHMARK_TASKS[task].dim_x, BENCHMARK_TASKS[task].dim_y)
    missing = {"ksg"} if max(sides) > NEIGHBOURS_UP_TO else set()
    assert {name for name in ESTIMATORS if row.estimates[name] is None} == missing
    assert all(math.isfinite(value) for value in row.estimates.values() if value is not None)
    assert f"| {row.name} | {row.truth:.3f} |" in (RESULTS / "table.md").read_text()
