"""Mutual information of two variables, where it is known: Gaussian, Gaussian behind monotone maps, and a parabola."""

from __future__ import annotations

import doctest
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import vtbench_redundancy.estimators.mutual_information
from vtbench_redundancy import mutual_information
from vtbench_redundancy.errors import InputError

torch.set_num_threads(1)
N = 3000
ROOT = Path(__file__).parents[2]


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def gaussian(p: int, q: int, seed: int, n: int = N) -> tuple[np.ndarray, np.ndarray, float]:
    """x, y = x A + noise, and what they share, ½ log det(1 + A Aᵀ)."""
    weights = noise(p, q, seed=seed) / np.sqrt(p)
    x, own = noise(n, p, seed=seed + 1), noise(n, q, seed=seed + 2)
    return x, x @ weights + own, 0.5 * float(np.linalg.slogdet(np.eye(p) + weights @ weights.T)[1])


def parabola(spread: float, n: int = N) -> tuple[np.ndarray, np.ndarray, float]:
    """x, y = x² + noise, and h(Y) - h(Y|X) by integrals over grids."""
    x, own = noise(2, n, 1, seed=7)
    at, y = np.linspace(-7, 7, 2001), np.linspace(-4, 45, 4001)
    density = stats.norm.pdf(y[:, None], at**2, spread) @ stats.norm.pdf(at) * (at[1] - at[0])
    surprise = np.where(density > 0, -density * np.log(np.where(density > 0, density, 1)), 0)
    truth = surprise.sum() * (y[1] - y[0]) - 0.5 * np.log(2 * np.pi * np.e * spread**2)
    return x, x**2 + spread * own, float(truth)


def test_example() -> None:
    result = doctest.testmod(vtbench_redundancy.estimators.mutual_information)
    assert result.attempted > 0
    assert result.failed == 0


@settings(max_examples=40, deadline=None)
@given(p=st.integers(1, 6), q=st.integers(1, 6), seed=st.integers(0, 10_000))
def test_gaussian_variables(p: int, q: int, seed: int) -> None:
    x, y, truth = gaussian(p, q, seed)
    assert mutual_information(x, y) == pytest.approx(truth, abs=0.15)  # four standard deviations of the worst case


@pytest.mark.parametrize(("p", "q"), [(1, 1), (3, 2), (1, 128)])
def test_mean_over_seeds_of_gaussian_variables(p: int, q: int) -> None:
    errors = []
    for seed in range(24):
        x, y, truth = gaussian(p, q, 10 * seed, n=1000)
        errors.append(mutual_information(x, y) - truth)
    assert np.mean(errors) == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("estimator", ["gaussian", "ksg"])
def test_monotone_maps_change_nothing(estimator: str) -> None:
    x, y, _ = gaussian(2, 2, 3)
    plain = mutual_information(x, y, estimator=estimator)
    bent = mutual_information(np.exp(x), np.stack([y[:, 0] ** 3, -np.arctan(y[:, 1])], axis=1), estimator=estimator)
    assert bent == pytest.approx(plain, abs=0.02)


@pytest.mark.parametrize("scale", [1e-9, 1e9])
@pytest.mark.parametrize("estimator", ["gaussian", "ksg"])
def test_units_change_nothing(estimator: str, scale: float) -> None:
    x, y, _ = gaussian(2, 1, 4)
    plain = mutual_information(x, y, estimator=estimator)
    assert mutual_information(scale * x + scale, y, estimator=estimator) == pytest.approx(plain, abs=1e-4)


def test_invertible_linear_maps_change_little() -> None:
    x, y, _ = gaussian(3, 3, 5)
    mixed = mutual_information(x @ noise(3, 3, seed=8), y @ noise(3, 3, seed=9))
    assert mixed == pytest.approx(mutual_information(x, y), abs=0.01)


@pytest.mark.parametrize("estimator", ["gaussian", "ksg"])
def test_it_is_symmetric(estimator: str) -> None:
    x, y, _ = gaussian(3, 2, 6)
    there, back = (mutual_information(*both, estimator=estimator) for both in ((x, y), (y, x)))
    assert there == pytest.approx(back, abs=0.01)


@pytest.mark.parametrize(("estimator", "r"), [("gaussian", 1), ("gaussian", 40), ("ksg", 1), ("ksg", 3)])
def test_independent_data_give_zero(estimator: str, r: int) -> None:
    found = [
        mutual_information(noise(1000, r, seed=2 * s), noise(1000, r, seed=2 * s + 1), estimator=estimator)
        for s in range(8)
    ]
    assert np.mean(found) == pytest.approx(0, abs=0.03)


def test_permutations_take_away_the_bias_of_many_coordinates() -> None:
    errors = {0: [], 5: []}
    for seed in range(8):
        x, y, truth = gaussian(1, 128, 10 * seed, n=1000)
        for permutations, found in errors.items():
            found.append(mutual_information(x, y, permutations=permutations) - truth)
    assert np.mean(errors[5]) == pytest.approx(0, abs=0.02)
    assert np.mean(errors[0]) < -0.04


def test_the_parabola_is_seen_by_neighbours_only() -> None:
    x, y, truth = parabola(0.5)
    assert truth == pytest.approx(0.8027, abs=1e-3)
    assert mutual_information(x, y, estimator="ksg") == pytest.approx(truth, abs=0.05)
    assert abs(mutual_information(x, y)) < 0.02


def test_a_coordinate_given_twice_says_no_more() -> None:
    x, y, _ = gaussian(2, 2, 11)
    constant = np.full((N, 1), 0.1)
    value = mutual_information(x, y)
    assert mutual_information(np.hstack([x, x[:, :1], constant]), y) == pytest.approx(value, abs=1e-3)
    assert mutual_information(x, np.hstack([y, y @ noise(2, 3), constant])) == pytest.approx(value, abs=1e-3)


@pytest.mark.parametrize("r", [1, 3])
def test_copies_reach_the_ceiling_of_the_jitter(r: int) -> None:
    """Jitter j leaves a share j of the variance in-sample and j² in cross-validation: ¾ log(1/j) on average."""
    x = noise(N, r)
    assert mutual_information(x, x.copy()) == pytest.approx(r * 0.75 * np.log(1e6), rel=0.01)


@pytest.mark.parametrize("estimator", ["gaussian", "ksg"])
def test_a_constant_says_nothing(estimator: str) -> None:
    assert mutual_information(np.full((60, 2), 0.1), noise(60, 1), estimator=estimator) == 0
    assert mutual_information(noise(60, 1), np.zeros((60, 2)), estimator=estimator) == 0


@pytest.mark.parametrize(
    ("x", "y", "settings", "message"),
    [
        (noise(60), noise(60, 1), {}, r"x has shape \(60,\)"),
        (noise(60, 1), noise(61, 1), {}, "x has 60 rows but y has 61"),
        (noise(49, 1), noise(49, 1), {"estimator": "ksg"}, "49 rows are too few for an estimate; give at least 50"),
        (noise(60, 20), noise(60, 11), {}, "60 rows are too few for 20 and 11 coordinates; give at least 62, or ksg"),
        (noise(60, 1), np.where(np.arange(60) == 7, np.nan, 0.0)[:, None], {}, r"y holds 1 values .* at \[7, 0\]"),
        (noise(60, 1), noise(60, 1), {"estimator": "kraskov"}, "estimator is 'kraskov'; wanted one of gaussian, ksg"),
        (noise(60, 1), noise(60, 1), {"permutations": -1}, "permutations is -1"),
    ],
)
def test_bad_input(x: np.ndarray, y: np.ndarray, settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        mutual_information(x, y, **settings)


def test_the_page_shows_the_table_that_was_measured() -> None:
    table = (ROOT / "results/yardstick/table.md").read_text().partition("## Seconds")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + 40
    assert set(rows) <= set((ROOT / "docs/yardstick.md").read_text().splitlines())
