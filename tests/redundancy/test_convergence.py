"""Jackknife, Student's t and convergence: closed forms, thresholds, and what a written score makes of them."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from vtbench.stats import Estimate
from vtbench_redundancy.convergence import below_noise, unconverged
from vtbench_redundancy.protocol import Protocol
from vtbench_redundancy.scores.score_writer import ScoreWriter

GROUPS = Protocol().groups


def replicates(value: float, spread: float, *halves: float) -> torch.Tensor:
    """An estimate, replicates with a jackknife standard error of `spread`, and the estimates of two halves."""
    signs = torch.tensor([1.0, -1.0] * (GROUPS // 2), dtype=torch.float64)
    around = value + signs * spread / math.sqrt(GROUPS - 1)
    return torch.cat([torch.tensor([value]), around, torch.tensor(halves)]).double()


def written(*halves: float):
    return ScoreWriter(500, Protocol(), {}, ())(replicates(0.5, 0.1, *halves), checked=True)


def test_the_interval_is_students_t_on_one_less_than_the_groups() -> None:
    score, reach = written(0.5, 0.5), stats.t.ppf(0.975, 9) * 0.1
    assert score.stderr == pytest.approx(0.1)
    assert score.interval == pytest.approx((0.5 - reach, 0.5 + reach))
    assert (score.n, score.percent) == (500, False)


@pytest.mark.parametrize(
    ("halves", "flags"),
    [((0.69, 0.69), ()), ((0.31, 0.31), ()), ((0.71, 0.71), ("unconverged",)), ((0.29, 0.29), ("unconverged",))],
)
def test_unconverged_is_more_than_two_standard_errors_off(halves: tuple[float, ...], flags: tuple[str, ...]) -> None:
    assert written(*halves).flags == flags
    assert written(*halves).detail["half"] == pytest.approx(sum(halves) / 2)


def test_halves_that_are_too_small_are_unconverged() -> None:
    assert unconverged(Estimate(0.5, 0.1), None)
    assert written().flags == ("unconverged",)


@pytest.mark.parametrize(("value", "null", "low"), [(0.29, 0.0, True), (0.31, 0.0, False), (0.31, 0.11, True)])
def test_an_information_under_three_standard_errors_is_noise(value: float, null: float, low: bool) -> None:
    assert below_noise(replicates(value, 0.1), GROUPS, null) == low
