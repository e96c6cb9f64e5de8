"""Budgets that look at places only, never into a token: the baselines that every other budget is printed beside."""

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
    """Keeps tokens drawn uniformly: the same ones in every process, and of two amounts the smaller within the larger.

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
        """Draw for each key."""
        total = visual.tokens.shape[1]
        return [
            kept(HashRng("budget", self.seed, key).sample(range(total), self.amount.of(total, key)), total)
            for key in keys
        ]


@dataclass(frozen=True, slots=True)
class GridKeep:
    """Keeps tokens spread evenly: over the picture where the tokens have boxes, else over their order."""

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
    """Averages the tokens of each cell of a grid over the picture (of each run of them, where they have no boxes)."""

    amount: TokenCount

    @property
    def name(self) -> str:
        """The policy with its settings."""
        return f"down-sample {self.amount}"

    def weights(self, visual: VisualTokens, keys: Sequence[str]) -> Sequence[np.ndarray]:
        """Average each token into the cell that its centre lies in; a cell without any takes the nearest token."""
        total = visual.tokens.shape[1]
        return _by_count(self.amount, total, keys, lambda k: _cell_means(visual.boxes, total, k))


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
    """Choose k tokens spread evenly: those of the least sum of squared distances to the cells of a grid, each once."""
    from scipy.optimize import linear_sum_assignment

    if visual.boxes is None:
        return ((np.arange(k) + 0.5) * visual.tokens.shape[1] / max(k, 1)).astype(int)
    away = np.square(_centres(_cells(visual.boxes, k))[:, None] - _centres(visual.boxes)).sum(axis=2)
    chosen: np.ndarray = linear_sum_assignment(away)[1]
    return chosen


def _cell_means(boxes: np.ndarray | None, total: int, k: int) -> np.ndarray:
    """Return the rows (k, total) that average each cell."""
    if k == total:  # boxes may overlap, a tile's and the whole picture's say: no grid tells their tokens apart
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
    """Cut what the boxes cover into k cells (k, 4), in rows as equal as they can be.

    There are no more rows, and in a row no more cells, than tokens stand below and beside each other: a cell of a full
    grid of tokens is never empty.
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
