"""Budget `complexity`: a complex image gets more tokens than a simple one, at a given mean count.

The paper (arXiv 2602.06914) advises more visual tokens where a cheap saliency detector flags complexity. Two cheap
detectors measure how different the tokens of an image are; on the embedded model both correlate with the number of
objects in the image (0.8 to 0.9).
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
Keep = Literal["farthest_point", "grid", "random"]


def complexity(visual: VisualTokens, by: By) -> np.ndarray:
    """Return the effective number of tokens of each image, (n,), at least 1.

    `cosine`: N (1 - mean cosine between two tokens). `rank`: effective rank of the tokens. Duplicate tokens lower both.

    >>> complexity(VisualTokens("connector", np.eye(4)[None, [0, 0, 1, 1]]), "cosine").round(2)  # cosine 1 in 2 of 6
    array([2.67])
    """
    total = visual.tokens.shape[1]
    found = total * (1 - mean_cosine(cosines(visual))) if by == "cosine" else effective_rank(visual)
    return np.maximum(found, 1)


def given(complexity_n: np.ndarray, scale: float, total: np.ndarray | int) -> np.ndarray:
    """Return the token counts of images with these complexities: `scale` times complexity, rounded, in [1, total].

    >>> given(np.array([1.0, 10.0, 40.0]), 2, 64).tolist()
    [2, 20, 64]
    """
    counts: np.ndarray = np.minimum(np.maximum(np.rint(scale * complexity_n), 1), total).astype(int)
    return counts


@dataclass(frozen=True, slots=True)
class Complexity:
    """Keeps `scale` times the image's complexity in tokens, chosen by `keep`."""

    scale: float = 1.0
    by: By = "cosine"
    keep: Keep = "farthest_point"

    @property
    def name(self) -> str:
        """The policy with its settings."""
        return f"complexity by {self.by} times {self.scale:g}, {self.keep}"

    def weights(self, visual: VisualTokens, keys: Sequence[str]) -> Sequence[np.ndarray]:
        """Set each image's token count by its complexity, then choose the tokens."""
        total = visual.tokens.shape[1]
        counts = given(complexity(visual, self.by), self.scale, total).tolist()
        if self.keep == "farthest_point":
            return [kept(farthest(c_NN, k), total) for c_NN, k in zip(cosines(visual), counts, strict=True)]
        if self.keep == "grid":
            return [kept(on_grid(visual, k), total) for k in counts]
        return [RandomKeep(TokenCount(count=k)).weights(visual, [key])[0] for k, key in zip(counts, keys, strict=True)]


@dataclass(frozen=True, slots=True)
class ComplexityAtMean:
    """`Complexity` with the scale that gives a task's first images the requested mean count."""

    amount: TokenCount
    by: By = "cosine"
    keep: Keep = "farthest_point"

    @property
    def name(self) -> str:
        """The policy with its settings."""
        return f"complexity by {self.by}, {self.amount}, {self.keep}"

    def weights(self, visual: VisualTokens, keys: Sequence[str]) -> Sequence[np.ndarray]:
        """Raise `VtbenchError`: the scale is not fitted yet."""
        raise VtbenchError(
            f"budget {self.name!r} is fitted on a task's first images, which only `vtbench run` does; "
            "leave mean and f out to keep as many tokens as the complexity"
        )

    def measure(self, visual: VisualTokens) -> np.ndarray:
        """Return complexity and number of tokens of each image, (n, 2)."""
        found = complexity(visual, self.by)
        return np.stack([found, np.full(len(found), visual.tokens.shape[1], dtype=float)], axis=1)

    def fitted(self, measured: np.ndarray) -> Complexity:
        """Return the budget whose mean count over the measured images is closest to the requested one.

        >>> ComplexityAtMean(TokenCount(mean=8)).fitted(np.array([[10.0, 64], [30.0, 64]])).scale
        0.4

        Raises:
            VtbenchError: the images have fewer tokens.
        """
        complexity_n, total_n = measured.T
        mean = self.amount.mean if self.amount.mean is not None else (self.amount.fraction or 0) * total_n.mean()
        if mean > total_n.mean():
            raise VtbenchError(
                f"a token budget of {mean:g} where an image has {total_n.mean():g} visual tokens; ask for less"
            )
        # The mean is a step function of the scale, so one scale between each two steps is enough to try.
        steps = np.unique(((np.arange(1, total_n.max()) + 0.5)[:, None] / complexity_n).round(12))
        ends = np.concatenate([[0], steps, steps[-1:] * 2])
        scales = (ends[1:] + ends[:-1]) / 2 if len(steps) else np.ones(1)

        def off(i: int) -> float:
            return float(given(complexity_n, scales[i], total_n).mean() - mean)

        above = min(bisect_left(range(len(scales)), 0.0, key=off), len(scales) - 1)
        nearest = scales[min((above, max(above - 1, 0)), key=lambda i: abs(off(i)))]
        return Complexity(float(f"{nearest:.6g}"), self.by, self.keep)

    def counts(self, measured: np.ndarray) -> np.ndarray:
        """Return the token count of each measured image, (n,)."""
        complexity_n, total_n = measured.T
        return given(complexity_n, self.fitted(measured).scale, total_n)
