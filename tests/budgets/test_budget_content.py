"""Budgets that look into tokens: what each promises, for any tokens."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vtbench.budget import Budget, FittedBudget, checked_weights
from vtbench.errors import VtbenchError
from vtbench.registry import Registry
from vtbench.types import VisualTokens
from vtbench_budgets import (
    Complexity,
    ComplexityAtMean,
    FarthestPoint,
    Merge,
    Saliency,
    TokenCount,
    farthest_point,
    merging,
    saliency,
    similarity,
)
from vtbench_budgets import complexity as complexity_module
from vtbench_budgets.complexity import complexity
from vtbench_budgets.complexity import given as given_tokens
from vtbench_budgets.similarity import cosines, effective_rank

values = st.floats(-8, 8, width=32).map(lambda value: round(value, 2))
images = st.tuples(st.integers(1, 9), st.integers(1, 4)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=values)
)
BUDGETS = [
    Saliency(0.6),
    Saliency(0.6, "norm"),
    FarthestPoint(TokenCount(fraction=0.4)),
    Merge(0.8),
    Complexity(0.7),
    Complexity(1.0, "rank", "random"),
    Complexity(0.5, "cosine", "grid"),
]


def of(*tokens: np.ndarray) -> VisualTokens:
    return VisualTokens("connector", np.stack(tokens))


def rows(budget: Budget, tokens: np.ndarray) -> np.ndarray:
    return checked_weights(budget, of(tokens), ["t/test/0/0"])[0]


@pytest.mark.parametrize("budget", BUDGETS, ids=lambda budget: budget.name)
@given(image=images)
@settings(deadline=None)
def test_weights_are_at_least_one_row_and_at_most_all_each_once(budget, image):
    weights = rows(budget, image)
    assert 1 <= len(weights) <= len(image)
    assert ((weights > 0).sum(axis=0) <= 1).all(), "no token is in two rows"
    assert (np.diff(weights.argmax(axis=1)) > 0).all(), "in the order of the image"


@pytest.mark.parametrize("budget", BUDGETS, ids=lambda budget: budget.name)
@given(image=images, seed=st.integers(0, 99))
@settings(deadline=None)
def test_neither_company_nor_last_digits_nor_library_decide(budget, image, seed):
    """Alone, in a batch of others, moved in the seventh digit, as a torch tensor of single precision: the same rows."""
    alone = rows(budget, image)
    rng = np.random.default_rng(seed)
    others = rng.normal(size=(3, *image.shape))
    together = checked_weights(budget, of(*others, image), [*"abc", "t/test/0/0"])[-1]
    assert np.array_equal(together, alone)
    assert np.array_equal(
        checked_weights(budget, VisualTokens("connector", torch.tensor(others)), list("abc"))[0],
        checked_weights(budget, of(*others), list("abc"))[0],
    )
    single = VisualTokens("connector", torch.tensor(others, dtype=torch.float32))
    for ours, theirs in zip(
        checked_weights(budget, single, list("abc")), budget.weights(of(*others), list("abc")), strict=True
    ):
        assert np.array_equal(ours, theirs)


@given(images, st.floats(0.01, 0.99))
@settings(deadline=None)
def test_saliency_keeps_the_fewest_that_hold_the_share(image, share):
    for by in ("distance", "norm"):
        centre = image.mean(axis=0) if by == "distance" else 0
        energy = np.square(image - centre).sum(axis=1)
        kept = rows(Saliency(share, by), image).argmax(axis=1)
        held = energy[kept].sum()
        assert held >= (share - 1e-4) * energy.sum()
        if len(kept) > 1 and energy.sum():
            assert held - energy[kept].min() <= (share + 1e-4) * energy.sum(), "one less would do"
        assert energy[kept].min() >= np.delete(energy, kept).max(initial=0) - 1e-4 * energy.sum(), "the most salient"


@given(images)
@settings(deadline=None)
def test_budgets_that_keep_all_are_the_identity(image):
    for budget in (Saliency(1), Saliency(1, "norm"), FarthestPoint(TokenCount(fraction=1)), Complexity(len(image))):
        assert np.array_equal(rows(budget, image), np.eye(len(image)))


@given(images)
@settings(deadline=None)
def test_farthest_points_are_within_twice_the_best(image):
    """Gonzalez' bound is on angles, which are a metric; three tokens are few enough to try all choices."""
    if len(image) < 4:
        return
    angle = np.arccos(cosines(of(image))[0].clip(-1, 1))

    def least(chosen: np.ndarray) -> float:
        return float(min(angle[i, j] for i in chosen for j in chosen if i < j))

    ours = least(rows(FarthestPoint(TokenCount(count=3)), image).argmax(axis=1))
    best = max(
        least(np.array([i, j, k]))
        for i in range(len(image))
        for j in range(i + 1, len(image))
        for k in range(j + 1, len(image))
    )
    assert ours >= best / 2 - 0.01


@given(images, st.floats(0, 0.99))
@settings(deadline=None)
def test_merged_tokens_are_alike_and_groups_cannot_be_joined(image, least):
    cosine = cosines(of(image))[0]
    groups = [np.flatnonzero(row) for row in rows(Merge(least), image)]
    assert sorted(i for group in groups for i in group) == list(range(len(image))), "no token is lost"
    for n, group in enumerate(groups):
        assert cosine[np.ix_(group, group)].min() >= least - 1e-4
        for other in groups[:n]:
            assert cosine[np.ix_(group, other)].min() < least + 1e-4, "two groups that could be one"


def test_copies_merge_and_a_chain_of_small_steps_does_not():
    copies = np.repeat(np.eye(3), [2, 3, 1], axis=0)
    assert rows(Merge(0.99), copies).tolist() == [
        [0.5, 0.5, 0, 0, 0, 0],
        [0, 0, *[pytest.approx(1 / 3)] * 3, 0],
        [0, 0, 0, 0, 0, 1],
    ]
    angles = np.linspace(0, np.pi / 2, 10)  # neighbours at cosine .985, ends at 0
    chain = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert len(rows(Merge(0.98), chain)) == 5


def test_a_busy_image_gets_more_than_an_empty_one():
    empty, busy = np.repeat(np.eye(1, 8), 8, axis=0), np.eye(8)
    for by in ("cosine", "rank"):
        few, many = (len(w) for w in Complexity(1.0, by).weights(of(empty, busy), ["a", "b"]))
        assert few == 1
        assert many >= 7
    assert complexity(of(empty, busy), "cosine").tolist() == [1, 8]
    assert effective_rank(of(empty, busy)).round(6).tolist() == [0, 7], "less their mean, 8 directions are 7"


@pytest.mark.parametrize("library", [np.asarray, lambda tokens: torch.tensor(tokens, dtype=torch.float32)])
def test_tokens_that_are_alike_have_rank_0_whatever_rounding_leaves_of_them(library):
    """The mean of seven equal numbers may differ from them in the last digit."""
    copies = np.random.default_rng(0).normal(size=(9, 1, 5)).repeat(7, axis=1)
    assert effective_rank(VisualTokens("connector", library(copies))).tolist() == [0] * 9


amounts = st.lists(st.floats(1, 64), min_size=1, max_size=40)


@given(amounts, st.floats(1, 64))
@settings(max_examples=200, deadline=None)
def test_the_fitted_mean_is_the_nearest_that_there_is(measured, mean):
    """No scale comes nearer than half of one token in one image, but where images of one complexity move as one."""
    budget = ComplexityAtMean(TokenCount(mean=mean))
    table = np.stack([measured, np.full(len(measured), 64.0)], axis=1)
    found = budget.counts(table)
    assert found.min() >= 1
    assert found.max() <= 64
    assert np.array_equal(found, given_tokens(table[:, 0], budget.fitted(table).scale, 64))
    off = abs(found.mean() - mean)
    for scale in np.linspace(0.01, 64, 500):
        assert off <= abs(given_tokens(table[:, 0], scale, 64).mean() - mean) + 1e-9


@given(amounts)
@settings(deadline=None)
def test_fitting_does_not_hang_on_the_order_of_the_images(measured):
    table = np.stack([measured, np.full(len(measured), 64.0)], axis=1)
    budget = ComplexityAtMean(TokenCount(fraction=0.25))
    assert budget.fitted(table) == budget.fitted(table[::-1]) == budget.fitted(np.tile(table, (2, 1)))


def test_a_mean_beyond_the_tokens_is_one_line_and_of_all_tokens_is_all():
    table = np.array([[3.0, 64], [20, 64]])
    with pytest.raises(VtbenchError, match="budget of 65 where an image has 64 visual tokens; ask for less"):
        ComplexityAtMean(TokenCount(mean=65)).fitted(table)
    assert ComplexityAtMean(TokenCount(mean=64)).counts(table).tolist() == [64, 64]


def test_a_budget_that_waits_to_be_fitted_refuses_to_answer():
    budget = Registry().budget("complexity:mean=24")
    assert isinstance(budget, FittedBudget)
    assert not isinstance(Registry().budget("complexity"), FittedBudget)
    with pytest.raises(VtbenchError, match="fitted on a task's first images, which only `vtbench run` does"):
        budget.weights(of(np.eye(4)), ["a"])


def test_equal_budgets_are_one_and_names_tell_apart():
    assert len({*BUDGETS, *[type(budget)(**vars_of(budget)) for budget in BUDGETS]}) == len(BUDGETS)
    assert len({budget.name for budget in BUDGETS}) == len(BUDGETS)


def vars_of(budget: Budget) -> dict[str, object]:
    return {name: getattr(budget, name) for name in budget.__slots__}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("module", "examples"), [(similarity, 3), (saliency, 2), (farthest_point, 1), (merging, 2), (complexity_module, 3)]
)
def test_the_examples_in_the_docstrings_are_right(module, examples):
    assert doctest.testmod(module) == (0, examples)
