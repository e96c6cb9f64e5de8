"""Redundancy penalties: right on known tokens, invariant where they must be, and with a floor under forgetting."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vtbench_training.finetune import penalties
from vtbench_training.finetune.penalties import (
    PENALTIES,
    cosine,
    decorrelation,
    logdet,
    penalty_and_floor,
    variance_floor,
)

names = st.sampled_from(sorted(PENALTIES))
shapes = st.tuples(st.integers(2, 6), st.integers(2, 6), st.integers(1, 9))


def tokens(shape: tuple[int, int, int], seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_the_examples_in_the_docstrings_are_right() -> None:
    failed, tried = doctest.testmod(penalties)
    assert (failed, tried) == (0, 11)


@given(names, shapes, st.integers(0, 99))
@settings(deadline=None)
def test_a_penalty_lies_between_0_and_1_and_knows_no_order(name: str, shape: tuple[int, int, int], seed: int) -> None:
    z = tokens(shape, seed)
    value = float(PENALTIES[name](z))
    assert -1e-5 <= value <= 1 + 1e-5
    order = torch.randperm(shape[1], generator=torch.Generator().manual_seed(seed))
    assert float(PENALTIES[name](z[:, order])) == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize("name", [*PENALTIES, "floor"])
def test_scale_changes_nothing(name: str) -> None:
    """Shrinking or stretching tokens is no way around it."""
    measure = {**PENALTIES, "floor": variance_floor}[name]
    z = tokens((8, 5, 7), 0) + 3
    assert float(measure(100 * z)) == pytest.approx(float(measure(z)), abs=1e-4)


@pytest.mark.parametrize("name", PENALTIES)
def test_copies_are_worse_than_near_copies_and_these_than_strangers(name: str) -> None:
    z, other = tokens((32, 1, 64), 0), tokens((32, 4, 64), 1)
    values = [float(PENALTIES[name](z + noise * other)) for noise in (0.0, 0.5, 1.0, 30.0)]
    assert values[0] == pytest.approx(1, abs=1e-3)
    assert values == sorted(values, reverse=True)
    assert values[3] < 0.1


def test_cosine_agrees_with_numpy() -> None:
    z = tokens((3, 4, 5), 2)
    unit = z.numpy() / np.linalg.norm(z.numpy(), axis=2, keepdims=True)
    pairs = [unit[b, i] @ unit[b, j] for b in range(3) for i in range(4) for j in range(4) if i != j]
    expected = np.mean([max(0, c - 0.3) ** 2 for c in pairs]) / 0.7**2
    assert float(cosine(z, margin=0.3)) == pytest.approx(expected, rel=1e-5)


def test_logdet_agrees_with_eigenvalues() -> None:
    z = tokens((3, 4, 5), 3)
    unit = z.numpy() / np.linalg.norm(z.numpy(), axis=2, keepdims=True)
    volume = np.mean([np.log(1 + np.linalg.eigvalsh(u @ u.T) / 0.25).sum() for u in unit])
    largest, smallest = 4 * np.log(5), np.log(17)
    assert float(logdet(z)) == pytest.approx((largest - volume) / (largest - smallest), rel=1e-4)


def test_decorrelation_agrees_with_numpy() -> None:
    z = tokens((50, 3, 2), 4)
    standard = (z - z.mean(0)) / z.std(0, correction=0)
    columns = standard.permute(1, 0, 2).reshape(3, -1).numpy()
    correlation = columns @ columns.T / columns.shape[1]
    expected = np.mean([correlation[i, j] ** 2 for i in range(3) for j in range(3) if i != j])
    assert float(decorrelation(z)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", PENALTIES)
def test_forgetting_the_image_is_caught_by_the_floor(name: str) -> None:
    """Tokens that are orthogonal constants have no redundancy to punish; the floor is what costs them."""
    still = torch.eye(8)[:4].expand(6, 4, 8).clone()
    penalty, floor = penalty_and_floor(name, still)
    assert (float(penalty), float(floor)) == (pytest.approx(0, abs=1e-5), pytest.approx(1, abs=1e-3))
    assert float(penalty_and_floor(name, still + tokens((6, 4, 8), 0))[1]) == 0


@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("z", [torch.zeros(2, 3, 4), torch.ones(2, 3, 4), tokens((2, 3, 4), 0)])
def test_gradients_are_finite_even_where_tokens_are_nothing_or_the_same(name: str, z: torch.Tensor) -> None:
    z = z.clone().requires_grad_()
    sum(penalty_and_floor(name, z)).backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()


@pytest.mark.parametrize("name", PENALTIES)
def test_descending_it_makes_tokens_differ_and_keeps_them_moving(name: str) -> None:
    z = (tokens((16, 1, 8), 0) + 0.3 * tokens((16, 4, 8), 1)).requires_grad_()
    before = float(PENALTIES[name](z.detach()))
    optimizer = torch.optim.Adam([z], lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        sum(penalty_and_floor(name, z)).backward()
        optimizer.step()
    assert float(PENALTIES[name](z.detach())) < 0.3 * before
    assert float(variance_floor(z.detach())) < 0.01


def test_bfloat16_tokens_are_measured_in_float32() -> None:
    z = tokens((4, 5, 6), 0)
    with torch.autocast("cpu", torch.bfloat16):
        for name in PENALTIES:
            inside = penalty_and_floor(name, z)[0]
            with torch.autocast("cpu", enabled=False):
                assert float(inside) == float(PENALTIES[name](z))
