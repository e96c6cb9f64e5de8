"""Token budgets by themselves: which tokens they leave, and what they refuse."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vtbench.registry
import vtbench.settings
import vtbench_budgets.positional
import vtbench_budgets.token_count
from vtbench.budget import Budget, checked_weights
from vtbench.errors import PluginError, VtbenchError
from vtbench.registry import Registry
from vtbench.types import VisualTokens
from vtbench_budgets import DownSample, FarthestPoint, GridKeep, Merge, RandomKeep, Saliency, TokenCount

POLICIES = (RandomKeep, GridKeep, DownSample)
policies = st.sampled_from(POLICIES)


def boxes(columns: int, rows: int) -> np.ndarray:
    """Boxes of a grid of tokens in raster order."""
    y, x = np.mgrid[:rows, :columns].reshape(2, -1)
    return np.stack([x / columns, y / rows, (x + 1) / columns, (y + 1) / rows], axis=1)


def visual(columns: int, rows: int, placed: bool = True, n: int = 1) -> VisualTokens:
    """Tokens that are shapes only: none of the policies may look into one."""
    return VisualTokens("connector", np.empty((n, columns * rows, 0)), boxes(columns, rows) if placed else None)


def kept(budget: Budget, tokens: VisualTokens, key: str = "t/test/0/0") -> np.ndarray:
    return checked_weights(budget, tokens, [key] * len(tokens.tokens))[0]


@given(policies, st.integers(1, 12), st.integers(1, 12), st.booleans(), st.floats(0, 1))
@settings(deadline=None)
def test_weights_are_k_rows_that_sum_to_one(policy, columns, rows, placed, share):
    total = columns * rows
    k = round(share * total)
    for amount, expected in (
        (TokenCount(count=k), k),
        (TokenCount(fraction=share), max(1, round(share * total)) if share else 0),
    ):
        weights = kept(policy(amount), visual(columns, rows, placed))
        assert weights.shape == (expected, total)
        assert weights.sum(axis=1) == pytest.approx(np.ones(expected))
        assert weights.min(initial=0) >= 0
        if policy is not DownSample:
            assert ((weights == 0) | (weights == 1)).all()
            assert (weights.sum(axis=0) <= 1).all(), "a token is kept twice"
            assert (np.diff(weights.argmax(axis=1)) > 0).all(), "kept tokens stay in their order"


@given(policies, st.integers(1, 12), st.integers(1, 12), st.booleans())
@settings(deadline=None)
def test_all_tokens_are_the_tokens_as_they_are(policy, columns, rows, placed):
    weights = kept(policy(TokenCount(fraction=1)), visual(columns, rows, placed))
    assert np.array_equal(weights, np.eye(columns * rows))


def test_all_tokens_of_tiles_and_the_whole_image_are_left_as_they_are():
    """Boxes lie over each other, so a grid's cell holds tokens of a tile and of the whole image."""
    overlapping = np.concatenate([boxes(4, 4), boxes(2, 2)])
    tokens = VisualTokens("connector", np.empty((1, 20, 0)), overlapping)
    for policy in POLICIES:
        assert np.array_equal(kept(policy(TokenCount(fraction=1)), tokens), np.eye(20))


@given(st.integers(1, 10), st.integers(1, 10), st.floats(0, 1), st.booleans())
@settings(deadline=None)
def test_down_sampling_of_a_full_grid_uses_every_token_once(columns, rows, share, placed):
    total = columns * rows
    weights = kept(DownSample(TokenCount(count=max(1, round(share * total)))), visual(columns, rows, placed))
    assert ((weights > 0).sum(axis=0) == 1).all()


def test_down_sampling_by_two_is_the_mean_of_two_by_two():
    weights = kept(DownSample(TokenCount(count=16)), visual(8, 8))
    for row, (i, j) in zip(weights, np.ndindex(4, 4), strict=True):
        square = np.zeros((8, 8))
        square[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = 0.25
        assert np.array_equal(row, square.ravel())


def test_a_cell_without_a_token_takes_the_nearest():
    """Tokens on a diagonal: two of the four cells hold none."""
    diagonal = np.array([[c - 0.1, c - 0.1, c + 0.1, c + 0.1] for c in (0.1, 0.25, 0.45, 0.7, 0.9)])
    weights = kept(DownSample(TokenCount(count=4)), VisualTokens("connector", np.empty((1, 5, 0)), diagonal))
    third, half, nearest = 1 / 3, 1 / 2, [0, 0, 1, 0, 0]
    assert weights == pytest.approx(np.array([[third] * 3 + [0] * 2, nearest, nearest, [0] * 3 + [half] * 2]))


@given(st.integers(1, 64))
@settings(deadline=None)
def test_the_grid_covers_the_image_evenly(k):
    """No point is further from a kept token than a cell and a token's width allow, and no two kept tokens touch."""
    places = boxes(8, 8)
    centres = (places[:, :2] + places[:, 2:]) / 2
    chosen = centres[kept(GridKeep(TokenCount(count=k)), visual(8, 8)).argmax(axis=1)]
    away = np.abs(centres[:, None] - chosen).max(axis=2).min(axis=1)
    assert away.max() <= 0.5 / np.floor(np.sqrt(k)) + 1 / 8
    if k in (4, 16):
        apart = np.abs(chosen[:, None] - chosen).max(axis=2) + 9 * np.eye(k)
        assert apart.min() >= 1 / np.sqrt(k) - 1e-9


def test_the_grid_of_one_is_the_middle():
    weights = kept(GridKeep(TokenCount(count=1)), visual(5, 5))
    assert weights.argmax() == 12


def test_a_grid_lies_where_tokens_are():
    """An image whose middle alone is seen: the grid spreads over the middle."""
    middle = VisualTokens("connector", np.empty((1, 64, 0)), 0.25 + boxes(8, 8) / 2)
    for policy in (GridKeep, DownSample):
        assert np.array_equal(
            kept(policy(TokenCount(count=16)), middle), kept(policy(TokenCount(count=16)), visual(8, 8))
        )


@given(st.floats(0, 60), st.integers(0, 3))
@settings(deadline=None)
def test_a_mean_is_kept_by_whole_numbers_beside_it(mean, seed):
    """The share of images that get one token more is that of the fraction; every policy gives an image the same."""
    tokens = VisualTokens("connector", np.empty((400, 64, 0)), boxes(8, 8))
    keys = [f"t/test/{seed}/{i}" for i in range(400)]
    counts = [[len(rows) for rows in p(TokenCount(mean=mean)).weights(tokens, keys)] for p in (RandomKeep, GridKeep)]
    assert counts[0] == counts[1]
    assert set(counts[0]) <= {int(mean), int(mean) + 1}
    assert np.mean(counts[0]) == pytest.approx(mean, abs=4 * 0.5 / np.sqrt(400))


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 3), st.text(max_size=8))
@settings(deadline=None)
def test_random_subsets_are_nested_and_differ_by_key_and_seed(a, b, seed, key):
    tokens = visual(10, 6)
    few, many = (
        set(kept(RandomKeep(TokenCount(count=k), seed), tokens, key).argmax(axis=1).tolist()) for k in sorted((a, b))
    )
    assert few <= many
    half = RandomKeep(TokenCount(count=30), seed)
    assert not np.array_equal(kept(half, tokens, key), kept(half, tokens, key + "x"))
    assert not np.array_equal(kept(half, tokens, key), kept(RandomKeep(TokenCount(count=30), seed + 1), tokens, key))


def test_random_subsets_are_uniform():
    """10,000 keys, 3 of 12: each token is kept in a quarter of them, and each pair in 3 of 66."""
    tokens = VisualTokens("connector", np.empty((10_000, 12, 0)))
    keys = [f"t/test/0/{i}" for i in range(10_000)]
    rows = np.stack(checked_weights(RandomKeep(TokenCount(count=3)), tokens, keys)).sum(axis=1)
    assert rows.mean(axis=0) == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / 10_000))
    together = (rows.T @ rows / 10_000)[np.triu_indices(12, 1)]
    assert together == pytest.approx(3 / 66, abs=4 * np.sqrt(3 / 66 / 10_000))


def test_random_subsets_are_the_same_in_every_process():
    """The tokens that another process drew, on another day."""
    weights = kept(RandomKeep(TokenCount(fraction=0.1), seed=3), visual(8, 8))
    assert weights.argmax(axis=1).tolist() == [0, 39, 43, 51, 56, 62]


def test_the_policy_of_the_page_is_one():
    """The code in docs/budgets.md runs as it stands there."""
    page = (Path(__file__).parents[2] / "docs" / "budgets.md").read_text(encoding="utf-8")
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "class" in block]
    place: dict[str, type] = {}
    exec(code, place)
    budget = place["Loudest"](2)
    assert isinstance(budget, Budget)
    tokens = np.array([[[1.0], [-3.0], [2.0]], [[5.0], [4.0], [0.0]]])
    first, second = checked_weights(budget, VisualTokens("connector", tokens), ["a", "b"])
    assert (first.argmax(axis=1).tolist(), second.argmax(axis=1).tolist()) == ([1, 2], [0, 1])


@pytest.mark.parametrize(
    ("module", "examples"),
    [(vtbench.registry, 1), (vtbench.settings, 3), (vtbench_budgets.token_count, 2), (vtbench_budgets.positional, 2)],
)
def test_the_examples_in_the_docstrings_are_right(module, examples):
    assert doctest.testmod(module) == (0, examples)


@pytest.mark.parametrize("policy", POLICIES)
def test_equal_budgets_are_one(policy):
    assert {policy(TokenCount(fraction=0.5)), policy(TokenCount(fraction=0.5))} == {policy(TokenCount(fraction=0.5))}
    names = {
        policy(amount).name for amount in (TokenCount(fraction=0.5), TokenCount(count=1), TokenCount(fraction=1.0))
    }
    assert len(names) == 3
    assert isinstance(policy(TokenCount(count=1)), Budget)


@pytest.mark.parametrize(
    ("given_", "says"),
    [
        ({}, "is said once: k=COUNT, f=FRACTION or mean=COUNT"),
        ({"fraction": 0.5, "count": 3}, "is said once"),
        ({"mean": 0.5, "count": 3}, "is said once"),
        ({"fraction": 1.01}, "between 0 and 1, not 1.01"),
        ({"fraction": -0.1}, "between 0 and 1"),
        ({"fraction": float("nan")}, "between 0 and 1"),
        ({"count": -1}, "at least 0, not -1"),
        ({"count": 2.5}, "k must be a whole number, not 2.5"),
        ({"mean": -1}, "at least 0, not -1"),
    ],
)
def test_amounts_out_of_range_are_refused(given_, says):
    with pytest.raises(VtbenchError, match=says):
        TokenCount(**given_)


@pytest.mark.parametrize("policy", POLICIES)
def test_more_tokens_than_there_are_is_one_line(policy):
    with pytest.raises(VtbenchError, match="budget of 65 where an image has 64 visual tokens"):
        policy(TokenCount(count=65)).weights(visual(8, 8), ["t/test/0/0"])


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ([np.eye(4)[:2]], "for 1 of 2 samples"),
        ([np.eye(4), np.eye(5)], r"\(5, 5\) for b, which has 4 visual tokens"),
        ([np.eye(4), np.ones((5, 4)) / 4], r"\(5, 4\) for b"),
        ([np.eye(4), np.ones(4)], r"\(4,\) for b"),
        ([np.eye(4), np.ones((1, 4))], "for b sums to 1"),
        ([np.eye(4), np.full((1, 4), np.nan)], "for b sums to 1"),
    ],
)
def test_broken_weights_are_refused(weights, says):
    class Broken:
        name = "broken"

        def weights(self, visual, keys):
            return weights

    with pytest.raises(PluginError, match=says):
        checked_weights(Broken(), VisualTokens("connector", np.empty((2, 4, 0))), ["a", "b"])


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("random:k=16", RandomKeep(TokenCount(count=16))),
        ("random:f=0.25,seed=3", RandomKeep(TokenCount(fraction=0.25), seed=3)),
        ("grid:f=1", GridKeep(TokenCount(fraction=1))),
        ("downsample:k=0", DownSample(TokenCount(count=0))),
        ("grid:mean=2.5", GridKeep(TokenCount(mean=2.5))),
        ("farthest_point:k=16", FarthestPoint(TokenCount(count=16))),
        ("saliency:p=0.9", Saliency(0.9)),
        ("saliency:p=0.9,by=norm", Saliency(0.9, "norm")),
        ("merge:t=0.9", Merge(0.9)),
    ],
)
def test_budgets_are_read_from_text(text, budget):
    assert Registry().budget(text) == budget


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("randon:k=3", "unknown budget 'randon'. Did you mean 'random'"),
        ("", "unknown budget ''"),
        ("random", "budget 'random': how many tokens is said once: k=COUNT"),
        ("grid:k=3,f=0.5", "is said once"),
        ("grid:k=3,seed=1", "budget 'grid:k=3,seed=1' has no setting 'seed'"),
        ("grid:k=2.5", "k must be a whole number, not 2.5"),
        ("grid:f=true", "f must be a number, not True"),
        ("grid:f=1.5", "between 0 and 1, not 1.5"),
        ("grid:16", "settings of the budget 'grid' are written k=v"),
        ("random:k=3,seed=x", "seed must be a whole number, not 'x'"),
        ("saliency", "budget 'saliency' needs 'p'; write saliency:p="),
        ("saliency:p=1.5", "p must be between 0 and 1, not 1.5"),
        ("saliency:p=0.9,by=size", "by has no 'size'"),
        ("merge:t=2", "t must be between -1 and 1, not 2"),
        ("complexity:mean=0.5", "mean must be at least 1, not 0.5"),
        ("complexity:f=0.5,keep=gird", "keep has no 'gird'. Did you mean 'grid'"),
    ],
)
def test_what_is_no_budget_is_refused_in_one_line(text, says):
    with pytest.raises(VtbenchError, match=says):
        Registry().budget(text)
