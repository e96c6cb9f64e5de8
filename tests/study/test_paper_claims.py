"""The trend test against brute force, and what its verdicts mean."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from vtbench_study.trend import jonckheere, jonckheere_p, spearman, trend

SIZES = [[1, 2, 2], [2, 2, 2], [1, 1, 1, 1], [3, 1, 2]]


def split(values, sizes):
    groups, at = [], 0
    for size in sizes:
        groups.append(list(values[at : at + size]))
        at += size
    return groups


@pytest.mark.parametrize("sizes", SIZES)
def test_p_is_that_of_all_orders_counted_one_by_one(sizes: list[int]) -> None:
    every = [jonckheere(split(order, sizes))[0] for order in permutations(range(sum(sizes)))]
    middle = jonckheere(split(range(sum(sizes)), sizes))[1] / 2
    for statistic in set(every):
        as_far = sum(abs(other - middle) >= abs(statistic - middle) for other in every) / len(every)
        assert jonckheere_p(statistic, sizes) == pytest.approx(min(1.0, as_far))


@given(st.permutations(range(8)))
@settings(max_examples=60, deadline=None)
def test_turning_the_order_round_turns_the_statistic_and_keeps_p(order) -> None:
    groups = split(order, [2, 2, 2, 2])
    (up, pairs), (down, _) = jonckheere(groups), jonckheere(groups[::-1])
    assert up + down == pairs
    assert jonckheere_p(up, [2] * 4) == jonckheere_p(down, [2] * 4)


@given(st.lists(st.sampled_from([0.1, 0.2, 0.3]), min_size=8, max_size=8))
@settings(max_examples=60, deadline=None)
def test_ties_never_make_a_trend_surer(values) -> None:
    groups = split(values, [2] * 4)
    statistic, pairs = jonckheere(groups)
    broken = max(jonckheere(split([v + e for v, e in zip(values, tilt, strict=True)], [2] * 4))[0]
                 for tilt in ([i * 1e-6 for i in range(8)], [-i * 1e-6 for i in range(8)]))  # fmt: skip
    farthest = max(broken, pairs - broken, statistic, pairs - statistic)
    assert jonckheere_p(statistic, [2] * 4) >= jonckheere_p(farthest, [2] * 4) - 1e-12


def test_spearman_is_scipys_and_none_where_nothing_varies() -> None:
    groups = [[0.9, 0.7], [0.8, 0.6], [0.5, 0.55], [0.2, 0.65]]
    rho, p = spearman(groups)
    there = spearmanr([0, 0, 1, 1, 2, 2, 3, 3], [value for group in groups for value in group])
    assert rho == pytest.approx(there.statistic)
    assert p == pytest.approx(there.pvalue, abs=0.03)
    assert spearman([[0.5, 0.5], [0.5, 0.5]]) == (None, None)


def test_one_value_a_family_is_too_few_to_tell() -> None:
    found = trend([[0.9], [0.7], [0.5], [0.3]], "falls")
    assert (found.verdict, found.p) == ("cannot tell", None)


def test_a_family_without_values_is_not_left_out_silently() -> None:
    assert trend([[0.9, 0.8], [None, None], [0.5, 0.6], [0.3, 0.2]], "falls").verdict == "cannot tell"


def test_numbers_that_do_not_move_with_the_order_reproduce_nothing() -> None:
    found = trend([[0.5, 0.7, 0.6], [0.65, 0.55, 0.6], [0.6, 0.5, 0.7], [0.55, 0.65, 0.61]], "falls")
    assert found.verdict == "not reproduced"
    assert not found.means_ordered


@pytest.mark.parametrize(("claimed", "verdict"), [("falls", "reproduced"), ("rises", "reversed")])
def test_the_direction_decides_between_reproduced_and_reversed(claimed, verdict) -> None:
    found = trend([[0.9, 0.91, 0.88], [0.7, 0.72, 0.71], [0.5, 0.6, 0.55], [0.3, 0.2, 0.25]], claimed)
    assert found.verdict == verdict
    assert found.p == pytest.approx(2 * 6**4 / 479001600)
