"""Budget `farthest_point` (alias `divprune`): diverse tokens, chosen by farthest-point traversal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vtbench.types import VisualTokens
from vtbench_budgets.positional import kept
from vtbench_budgets.similarity import DIGITS, cosines
from vtbench_budgets.token_count import TokenCount


@dataclass(frozen=True, slots=True)
class FarthestPoint:
    """Keeps the token least similar to the others, then repeatedly the one least similar to any kept so far.

    Similarity is the cosine. Farthest-point traversal: Gonzalez, "Clustering to minimize the maximum intercluster
    distance", Theoretical Computer Science 38 (1985), section 3; the minimal distance of the chosen tokens is at least
    half the largest possible one. For visual tokens: DivPrune, arXiv 2503.02175, algorithm 1.
    """

    amount: TokenCount

    @property
    def name(self) -> str:
        """The policy with its settings."""
        return f"farthest point {self.amount}"

    def weights(self, visual: VisualTokens, keys: Sequence[str]) -> Sequence[np.ndarray]:
        """Choose by cosine."""
        total = visual.tokens.shape[1]
        return [
            kept(farthest(cosine_NN, self.amount.of(total, key)), total)
            for key, cosine_NN in zip(keys, cosines(visual), strict=True)
        ]


def farthest(cosine_NN: np.ndarray, k: int) -> list[int]:
    """Choose k tokens by farthest-point traversal, in the order of choice; the first wins a tie.

    >>> farthest(np.array([[1, 0.9, 0.1], [0.9, 1, 0.3], [0.1, 0.3, 1]]), 2)
    [2, 0]
    """
    chosen: list[int] = []
    likest_N = cosine_NN.sum(axis=1).round(DIGITS - 1)
    for _ in range(k):
        if len(chosen) == 1:
            likest_N = np.full(len(cosine_NN), -2.0)
        if chosen:
            likest_N = np.maximum(likest_N, cosine_NN[chosen[-1]])
            likest_N[chosen[-1]] = 2  # above any cosine, so it is not chosen again
        chosen.append(int(likest_N.argmin()))
    return chosen
