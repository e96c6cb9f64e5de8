"""Holm's adjustment against his procedure by hand, and as a property."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from vtbench.stats import holm, holm_from_leader


def test_holm_counts_what_was_tested_and_keeps_the_order():
    # 4 x .01, 3 x .02, then never less than the one before
    assert holm([0.02, 0.5, None, 0.01, 0.025]) == pytest.approx([0.06, 0.5, None, 0.04, 0.06])
    assert holm([None, 0.04]) == [None, 0.04]
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_rejects_what_his_step_down_procedure_rejects(p_values):
    rejected, order = set(), sorted(range(len(p_values)), key=lambda i: p_values[i])
    for rank, i in enumerate(order):
        if p_values[i] > 0.05 / (len(p_values) - rank) * (1 + 1e-12):
            break
        rejected.add(i)
    adjusted = holm(p_values)
    assert {i for i, p in enumerate(adjusted) if p <= 0.05 * (1 + 1e-11)} == rejected
    assert all(p <= q <= 1 for p, q in zip(p_values, adjusted, strict=True))


def test_equal_items_are_rarely_told_apart_from_a_leader_that_the_data_picked() -> None:
    """Means of 12 equal items: Holm's method over the leader's tests alone tells some apart far too often."""
    rng, trials, items = np.random.default_rng(0), 2000, 12
    told = {holm: 0, holm_from_leader: 0}
    for _ in range(trials):
        means = rng.standard_normal(items)
        z = (means.max() - np.delete(means, means.argmax())) / 2**0.5
        p_values = (2 * ndtr(-z)).tolist()
        for adjust in told:
            told[adjust] += any(p is not None and p < 0.05 for p in adjust(p_values))
    assert told[holm_from_leader] / trials <= 0.06  # 5 %, and three standard errors
    assert told[holm] / trials > 0.08


def test_of_two_items_nothing_is_adjusted() -> None:
    assert holm_from_leader([0.04]) == [0.04]
