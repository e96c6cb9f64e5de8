"""Budget `complexity`: a busy picture gets more tokens than an empty one, at a stated mean.

The paper's advice (arXiv 2602.06914): more visual tokens where a light detector of saliency flags complexity. Two
detectors of few operations look at how different a picture's tokens are; on the embedded model both go with the number
of things in the picture (correlations 0.8 to 0.9).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vtbench.errors import VtbenchError
from vtbench.types import VisualTokens
from vtbench_budgets.farthest_point import farthest
from vtbench_budgets.positional import RandomKeep, kept, on_grid
from vtbench_budgets.similarity import cosines, effective_rank, mean_cosine
from vtbench_budgets.token_count import TokenCount

By = Literal["cosine", "rank"]
Keep = Literal["spread", "grid", "random"]


def complexity(visual: VisualTokens, by: By) -> np.ndarray:
    """Return the number of tokens that a picture's tokens amount to, (n,), at least 1.

    `cosine`: N (1 - mean cosine between two tokens). `rank`: their effective rank. Copies count once in neither.

    >>> complexity(VisualTokens("connector", np.eye(4)[None, [0, 0, 1, 1]]), "cosine").round(2)  # cosine 1 in 2 of 6
    array([2.67])
    """
    total = visual.tokens.shape[1]
    found = total * (1 - mean_cosine(cosines(visual))) if by == "cosine" else effective_rank(visual)
    return np.maximum(found, 1)


def given(complexity_n: np.ndarray, scale: float, total: np.ndarray | int) -> np.ndarray:
    """Return the tokens for pictures of this complexity: `scale` times it, rounded, at least 1 and at most `total`.

    >>> given(np.array([1.0, 10.0, 40.0]), 2, 64).tolist()
    [2, 20, 64]
    """
    counts: np.ndarray = np.minimum(np.maximum(np.rint(scale * complexity_n), 1), total).astype(int)
    return counts


@dataclass(frozen=True, slots=True)
class Complexity:
    """Keeps as many tokens as `scale` times the picture's complexity, chosen by `keep`."""

    scale: float = 1.0
    by: By = "cosine"
    keep: Keep = "spread"

    @property
    def name(self) -> str:
        """The policy with its settings."""
        return f"complexity by {self.by} times {self.scale:g}, {self.keep}"

    def weights(self, visual: VisualTokens, keys: Sequence[str]) -> Sequence[np.ndarray]:
        """Count by complexity, then choose."""
        total = visual.tokens.shape[1]
        counts = given(complexity(visual, self.by), self.scale, total).tolist()
        if self.keep == "spread":
            return [kept(farthest(c_NN, k), total) for c_NN, k in zip(cosines(visual), counts, strict=True)]
        if self.keep == "grid":
            return [kept(on_grid(visual, k), total) for k in counts]
        return [RandomKeep(TokenCount(count=k)).weights(visual, [key])[0] for k, key in zip(counts, keys, strict=True)]


@dataclass(frozen=True, slots=True)
class ComplexityAtMean:
    """`Complexity` with the scale that gives a task's first pictures the mean that is asked for."""

    amount: TokenCount
    by: By = "cosine"
    keep: Keep = "spread"

    @property
    def name(self) -> str:
        """The policy with its settings."""
        return f"complexity by {self.by}, {self.amount}, {self.keep}"

    def weights(self, visual: VisualTokens, keys: Sequence[str]) -> Sequence[np.ndarray]:
        """Refuse: the scale is not known yet."""
        raise VtbenchError(
            f"budget {self.name!r} is fitted on a task's first pictures, which only `vtbench run` does; "
            "leave mean and f out for as many tokens as the complexity says"
        )

    def measure(self, visual: VisualTokens) -> np.ndarray:
        """Return complexity and number of tokens of each picture, (n, 2)."""
        found = complexity(visual, self.by)
        return np.stack([found, np.full(len(found), visual.tokens.shape[1], dtype=float)], axis=1)

    def fitted(self, measured: np.ndarray) -> Complexity:
        """Return the budget whose mean over the pictures measured is the nearest to what is asked for.

        >>> ComplexityAtMean(TokenCount(mean=8)).fitted(np.array([[10.0, 64], [30.0, 64]])).scale
        0.4

        Raises:
            VtbenchError: they have fewer tokens.
        """
        complexity_n, total_n = measured.T
        mean = self.amount.mean if self.amount.mean is not None else (self.amount.fraction or 0) * total_n.mean()
        if mean > total_n.mean():
            raise VtbenchError(
                f"a token budget of {mean:g} where a picture has {total_n.mean():g} visual tokens; ask for less"
            )
        # The mean steps up where a count does: the scales half way between steps are all there are to try.
        steps = np.unique(((np.arange(1, total_n.max()) + 0.5)[:, None] / complexity_n).round(12))
        ends = np.concatenate([[0], steps, steps[-1:] * 2])
        scales = (ends[1:] + ends[:-1]) / 2 if len(steps) else np.ones(1)

        def off(i: int) -> float:
            return float(given(complexity_n, scales[i], total_n).mean() - mean)

        above = min(bisect_left(range(len(scales)), 0.0, key=off), len(scales) - 1)
        nearest = scales[min((above, max(above - 1, 0)), key=lambda i: abs(off(i)))]
        return Complexity(float(f"{nearest:.6g}"), self.by, self.keep)

    def counts(self, measured: np.ndarray) -> np.ndarray:
        """Return the tokens that each of the pictures measured gets, (n,)."""
        complexity_n, total_n = measured.T
        return given(complexity_n, self.fitted(measured).scale, total_n)
