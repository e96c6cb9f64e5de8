"""Jackknife, Student's t and convergence: closed forms, thresholds, and what a written score makes of them."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from vtbench.stats import Estimate
from vtbench_redundancy.convergence import below_noise, unconverged
from vtbench_redundancy.protocol import PROTOCOLS, Protocol
from vtbench_redundancy.scores.score_writer import ScoreWriter

GROUPS = Protocol().groups


def replicates(value: float, spread: float, *halves: float) -> torch.Tensor:
    """An estimate, replicates with a jackknife standard error of `spread`, and the estimates of two halves."""
    signs = torch.tensor([1.0, -1.0] * (GROUPS // 2), dtype=torch.float64)
    around = value + signs * spread / math.sqrt(GROUPS - 1)
    return torch.cat([torch.tensor([value]), around, torch.tensor(halves)]).double()


def written(*halves: float):
    return ScoreWriter(500, PROTOCOLS["rs-v1"], {}, ())(replicates(0.5, 0.1, *halves), part=0.5)


def test_the_interval_is_students_t_on_one_less_than_the_groups() -> None:
    score, reach = written(0.5, 0.5), stats.t.ppf(0.975, 9) * 0.1
    assert score.stderr == pytest.approx(0.1)
    assert score.interval == pytest.approx((0.5 - reach, 0.5 + reach))
    assert (score.n, score.percent) == (500, False)


def test_the_protocol_widens_the_standard_error() -> None:
    score = ScoreWriter(500, Protocol(widen=1.5), {}, ())(replicates(0.5, 0.1))
    assert score.stderr == pytest.approx(0.15)
    assert score.interval[1] - 0.5 == pytest.approx(1.5 * (written(0.5, 0.5).interval[1] - 0.5))


@pytest.mark.parametrize(
    ("halves", "flags"),
    [((0.699, 0.699), ()), ((0.301, 0.301), ()), ((0.701,) * 2, ("unconverged",)), ((0.299,) * 2, ("unconverged",))],
)
def test_unconverged_is_more_than_two_standard_errors_off(halves: tuple[float, ...], flags: tuple[str, ...]) -> None:
    assert written(*halves).flags == flags
    assert written(*halves).detail["half"] == pytest.approx(sum(halves) / 2)


def test_halves_that_are_too_small_are_unconverged() -> None:
    assert unconverged(Estimate(0.5, 0.1), None)
    assert written().flags == ("unconverged",)


@pytest.mark.parametrize(
    ("spread", "parts", "flags"),
    [
        (0.1, (0.79, 0.79), ()),  # three times what is left at all images: 0.29 / 3 < 0.1
        (0.1, (0.81, 0.81), ("unconverged",)),
        (1e-4, (0.514, 0.514), ()),  # a bias under 0.005 is never flagged
        (1e-4, (0.516, 0.516), ("unconverged",)),
        (0.1, (), ("unconverged",)),
    ],
)
def test_what_a_corrected_estimate_has_left_of_its_bias(spread: float, parts: tuple, flags: tuple) -> None:
    found = ScoreWriter(500, Protocol(), {}, ())(replicates(0.5, spread, *parts), part=0.5)
    assert found.flags == flags


@pytest.mark.parametrize(("value", "null", "low"), [(0.29, 0.0, True), (0.31, 0.0, False), (0.31, 0.11, True)])
def test_an_information_under_three_standard_errors_is_noise(value: float, null: float, low: bool) -> None:
    assert below_noise(replicates(value, 0.1), GROUPS, null) == low
