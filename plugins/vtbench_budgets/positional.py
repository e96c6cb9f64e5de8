"""Budgets that use positions only, not token content: the baselines of every other budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from vtbench.scenes.rng import HashRng
from vtbench.types import VisualTokens
from vtbench_budgets.token_count import TokenCount


@dataclass(frozen=True, slots=True)
class RandomKeep:
    """Keeps tokens drawn uniformly: the same in every process, and the choice of k tokens is part of that of k + 1.

    >>> visual = VisualTokens("connector", np.zeros((1, 4, 2)))
    >>> RandomKeep(TokenCount(count=2)).weights(visual, ["relational/test/0/17"])[0].argmax(axis=1)
    array([1, 3])
    """

    amount: TokenCount
    seed: int = 0

    @property
    def name(self) -> str:
        """The policy with its settings."""
        return f"random {self.amount}, seed {self.seed}"

    def weights(self, visual: VisualTokens, keys: Sequence[str]) -> Sequence[np.ndarray]:
        """Draw tokens for each key."""
        total = visual.tokens.shape[1]
        return [
            kept(HashRng("budget", self.seed, key).sample(range(total), self.amount.of(total, key)), total)
            for key in keys
        ]


@dataclass(frozen=True, slots=True)
class GridKeep:
    """Keeps tokens spread evenly: over the image if the tokens have boxes, else over their order."""

    amount: TokenCount

    @property
    def name(self) -> str:
        """The policy with its settings."""
        return f"grid {self.amount}"

    def weights(self, visual: VisualTokens, keys: Sequence[str]) -> Sequence[np.ndarray]:
        """Take the token nearest to the centre of each cell."""
        total = visual.tokens.shape[1]
        return _by_count(self.amount, total, keys, lambda k: kept(on_grid(visual, k), total))


@dataclass(frozen=True, slots=True)
class DownSample:
    """Averages the tokens in each cell of a grid over the image, or consecutive tokens if they have no boxes."""

    amount: TokenCount

    @property
    def name(self) -> str:
        """The policy with its settings."""
        return f"down-sample {self.amount}"

    def weights(self, visual: VisualTokens, keys: Sequence[str]) -> Sequence[np.ndarray]:
        """Average each token into the cell of its centre; a cell without a token takes the nearest one."""
        total = visual.tokens.shape[1]
        return _by_count(self.amount, total, keys, lambda k: _cell_means(visual.boxes_of(0), total, k))


def _by_count(
    amount: TokenCount, total: int, keys: Sequence[str], make: Callable[[int], np.ndarray]
) -> list[np.ndarray]:
    """Return the weights of each key, which depend on its number of tokens alone and are made once for each number."""
    counts = [amount.of(total, key) for key in keys]
    made = {count: make(count) for count in set(counts)}
    return [made[count] for count in counts]


def kept(chosen: Sequence[int] | np.ndarray, total: int) -> np.ndarray:
    """Return the rows (k, total) that keep the chosen tokens, in the tokens' order."""
    weights = np.zeros((len(chosen), total), dtype=np.float32)
    weights[np.arange(len(chosen)), np.sort(np.asarray(chosen, dtype=int))] = 1
    return weights


def on_grid(visual: VisualTokens, k: int) -> np.ndarray:
    """Choose k tokens spread evenly: the assignment to grid cells with the least sum of squared distances."""
    from scipy.optimize import linear_sum_assignment

    boxes = visual.boxes_of(0)  # those whose tokens a budget sees together share them
    if boxes is None:
        return ((np.arange(k) + 0.5) * visual.tokens.shape[1] / max(k, 1)).astype(int)
    away = np.square(_centres(_cells(boxes, k))[:, None] - _centres(boxes)).sum(axis=2)
    chosen: np.ndarray = linear_sum_assignment(away)[1]
    return chosen


def _cell_means(boxes: np.ndarray | None, total: int, k: int) -> np.ndarray:
    """Return the rows (k, total) that average each cell."""
    if k == total:  # boxes may overlap (tiles and the whole image, for example), and no grid separates such tokens
        return np.eye(total, dtype=np.float32)
    if boxes is None:
        members = (np.arange(total) * k // total == np.arange(k)[:, None]).astype(float)
    else:
        cells, (x, y) = _cells(boxes, k), _centres(boxes).T
        left, top, right, bottom = cells.T[..., None]
        members = ((left <= x) & (x < right) & (top <= y) & (y < bottom)).astype(float)
        for cell in np.flatnonzero(members.sum(axis=1) == 0):
            members[cell, np.square(_centres(cells)[cell] - np.stack([x, y], 1)).sum(axis=1).argmin()] = 1
    return (members / members.sum(axis=1, keepdims=True)).astype(np.float32)


def _centres(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def _cells(boxes: np.ndarray, k: int) -> np.ndarray:
    """Divide the area of the boxes into k cells (k, 4), in rows of nearly equal length.

    There are at most as many rows as rows of tokens, and at most as many cells per row as columns of tokens, so that no
    cell of a full token grid is empty.
    """
    across, down = (len(np.unique(axis.round(6))) for axis in _centres(boxes).T)
    rows = np.array_split(np.arange(k), max(1, min(down, k, max(round((k * down / across) ** 0.5), -(-k // across)))))
    (left, top), (right, bottom) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    cells = [
        (x0, y0, x1, y1)
        for row, (y0, y1) in zip(rows, pairwise(np.linspace(top, bottom, len(rows) + 1)), strict=True)
        for x0, x1 in pairwise(np.linspace(left, right, len(row) + 1))
    ]
    return np.array(cells).reshape(k, 4)
