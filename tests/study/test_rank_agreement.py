"""Whether models keep their order: correlation, p-value, interval and power, against independent computations."""

from __future__ import annotations

import doctest
from itertools import permutations

import numpy as np
import pytest
from scipy.stats import spearmanr

from vtbench_study import rank_agreement as module
from vtbench_study.rank_agreement import detectable_correlation, rank_agreement


def columns(values: list[float]) -> list[list[float]]:
    return [[value] for value in values]


def test_correlation_and_exact_p_are_those_over_all_orders() -> None:
    x, y = [3.0, 1.0, 2.0, 5.0, 4.0, 2.0], [2.0, 1.0, 3.0, 6.0, 4.0, 5.0]
    found = rank_agreement(columns(x), columns(y))
    rho = spearmanr(x, y).statistic
    every = [abs(spearmanr(x, order).statistic) for order in permutations(y)]
    assert found.rho == pytest.approx(rho)
    assert found.p == pytest.approx(np.mean(np.array(every) >= abs(rho) - 1e-9))
    assert found.low < rho < found.high


def test_five_models_in_one_order_are_as_much_as_five_can_say() -> None:
    same = rank_agreement(columns([1, 2, 3, 4, 5]), columns([10, 20, 30, 40, 50]))
    assert (same.rho, same.p, same.verdict) == (pytest.approx(1), pytest.approx(2 / 120), "carries over")
    assert same.low < 0.9 < same.high < 1
    back = rank_agreement(columns([1, 2, 3, 4, 5]), columns([5, 4, 3, 2, 1]))
    assert (back.rho, back.verdict) == (pytest.approx(-1), "reversed")
    near = rank_agreement(columns([1, 2, 3, 4, 5]), columns([1, 3, 2, 5, 4]))
    assert (near.rho, near.verdict) == (pytest.approx(0.8), "not shown")


@pytest.mark.parametrize(("x", "y"), [([1, 2, 3], [1, 2, 3]), ([1, 1, 1, 1], [1, 2, 3, 4]), ([], [])])
def test_too_few_models_or_none_that_differ_say_nothing(x: list[float], y: list[float]) -> None:
    found = rank_agreement(columns(x), columns(y))
    assert (found.verdict, found.rho, found.p) == ("cannot tell", None, None)


def test_of_several_families_models_are_permuted_as_wholes() -> None:
    x = [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [4.0, 4.0]]  # a second family that repeats the first adds nothing
    assert rank_agreement(x, x).p == pytest.approx(rank_agreement(columns([1, 2, 3, 4]), columns([1, 2, 3, 4])).p)
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(12, 3)), rng.normal(size=(12, 3))
    found = rank_agreement(a.tolist(), b.tolist())
    assert found.detectable is None
    rhos = [spearmanr(a[:, k], b[:, k]).statistic for k in range(3)]
    assert found.rho == pytest.approx(np.mean(rhos))
    assert found.low < found.rho < found.high


def test_where_nothing_carries_over_one_in_twenty_is_found_to() -> None:
    rng = np.random.default_rng(1)
    found = [rank_agreement(*rng.normal(size=(2, 6, 1)).tolist()).p for _ in range(200)]
    assert np.mean(np.array(found) < 0.05) < 0.09


def test_the_stated_correlation_is_found_in_four_of_five() -> None:
    n, rng = 8, np.random.default_rng(2)
    rho = detectable_correlation(n)
    pearson = 2 * np.sin(np.pi * rho / 6)  # of normal variables with this rank correlation
    x = rng.normal(size=(120, n))
    y = pearson * x + np.sqrt(1 - pearson**2) * rng.normal(size=(120, n))
    limit = 0.738  # the 5 % point of |rho| for n = 8, Zar (1972)
    power = np.mean([abs(spearmanr(a, b).statistic) >= limit for a, b in zip(x, y, strict=True)])
    assert 0.65 < power < 0.92


def test_the_examples_in_the_docstrings_are_right() -> None:
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("models", [5, 7, 10])
def test_the_detectable_correlation_is_found_in_four_of_five_cases(models: int) -> None:
    """By data sets of another seed, each tested as a user's would be."""
    spearman = detectable_correlation(models)
    assert spearman is not None
    pearson = 2 * np.sin(np.pi * spearman / 6)
    rng = np.random.default_rng(5)
    found = 0
    for _ in range(150):
        x, noise = rng.standard_normal((2, models))
        y = pearson * x + np.sqrt(1 - pearson**2) * noise
        found += rank_agreement(columns(x.tolist()), columns(y.tolist())).verdict == "carries over"
    assert 0.7 <= found / 150 <= 0.9


def test_four_models_cannot_show_anything() -> None:
    found = rank_agreement(columns([1, 2, 3, 4]), columns([1, 2, 3, 4]))
    assert (found.rho, found.p) == (pytest.approx(1), pytest.approx(2 / 24))
    assert (found.verdict, found.detectable) == ("cannot tell", None)
