"""Estimates of mutual information on the tasks of bmi (PyPI: benchmark-mi), by vtbench's estimators and bmi's.

As a script, it writes the table in results/yardstick/.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from bmi.benchmark import BENCHMARK_TASKS, Task
from bmi.estimators import CCAMutualInformationEstimator, KSGEnsembleFirstEstimator
from bmi.interface import BaseModel, IMutualInformationPointEstimator
from copulas import BASES
from threadpoolctl import threadpool_limits

from vtbench_redundancy.estimators.mutual_information import Estimator, mutual_information

SAMPLES = 5_000
SEED = 0
SEEDS = range(5)
"""Seeds of the samples for vtbench's default estimator; the others are evaluated on the first."""
NEIGHBOURS_UP_TO = 3
"""Coordinates a side up to which vtbench's "ksg" is meant to be used."""
RESULTS = Path(__file__).parents[2] / "results" / "yardstick"


class Parameters(BaseModel):
    """Parameters of an estimator, as bmi records them."""

    estimator: str


class Vtbench(IMutualInformationPointEstimator):
    """`vtbench_redundancy.mutual_information` as one of bmi's estimators."""

    def __init__(self, estimator: Estimator) -> None:
        self._estimator = estimator

    def estimate(self, x: np.ndarray, y: np.ndarray) -> float:
        """Estimate mutual information in nats from (n, p) and (n, q)."""
        return mutual_information(np.asarray(x), np.asarray(y), estimator=self._estimator)

    def parameters(self) -> Parameters:
        """Name the estimator."""
        return Parameters(estimator=self._estimator)


ESTIMATORS: Mapping[str, IMutualInformationPointEstimator] = {
    "gaussian": Vtbench("gaussian"),
    "ksg": Vtbench("ksg"),
    "bmi_cca": CCAMutualInformationEstimator(),
    "bmi_ksg": KSGEnsembleFirstEstimator(),
}
"""The first two are vtbench's, the others bmi's with their default settings."""


@dataclass(frozen=True)
class Row:
    """Estimates of one task."""

    task: str
    name: str
    copula: bool
    """Whether the task has a Gaussian copula."""
    truth: float
    """Nats."""
    estimates: Mapping[str, float | None]
    """Nats, by estimator, from the sample of `SEED`; None where an estimator is not meant for as many coordinates."""
    seconds: Mapping[str, float | None]
    """Processor time of each estimate."""
    by_seed: tuple[float, ...]
    """Nats of "gaussian" for each of `SEEDS`."""

    @property
    def worst(self) -> float:
        """The largest error of "gaussian" over `SEEDS`, with its sign."""
        return max((value - self.truth for value in self.by_seed), key=abs)


def measure() -> list[Row]:
    """Run every estimator on every task, on one thread; tasks with a Gaussian copula come first."""
    torch.set_num_threads(1)
    with threadpool_limits(1):
        rows = [_measure(task) for task in BENCHMARK_TASKS.values()]
    return sorted(rows, key=lambda row: not row.copula)


def _measure(task: Task) -> Row:
    estimates: dict[str, float | None] = {}
    seconds: dict[str, float | None] = {}
    x, y = _sample(task, SEED)
    for name, estimator in ESTIMATORS.items():
        if name == "ksg" and max(task.dim_x, task.dim_y) > NEIGHBOURS_UP_TO:
            estimates[name] = seconds[name] = None
            continue
        start = time.process_time()
        estimates[name] = float(estimator.estimate(x, y))
        seconds[name] = time.process_time() - start
    by_seed = tuple(ESTIMATORS["gaussian"].estimate(*_sample(task, seed)) for seed in SEEDS)
    return Row(task.id, task.name, task.id in BASES, task.mutual_information, estimates, seconds, by_seed)


def _sample(task: Task, seed: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = task.sample(SAMPLES, seed)
    return np.asarray(x), np.asarray(y)


if __name__ == "__main__":
    from table import write

    write(measure(), RESULTS)
