"""Budget `saliency`: the most salient tokens, as many as have a given fraction of the image's token energy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vtbench.types import VisualTokens
from vtbench_budgets.positional import kept
from vtbench_budgets.similarity import DIGITS, energy


@dataclass(frozen=True, slots=True)
class Saliency:
    """Keeps the fewest tokens that have a fraction p of the tokens' energy.

    With s_i = |z_i - mean z|^2 (`by` distance) or |z_i|^2 (`by` norm), sorted in descending order, a token is kept if
    the sum before it is less than p sum_i s_i. The rule is that of nucleus sampling: Holtzman et al., "The curious case
    of neural text degeneration", 2020, arXiv 1904.09751, section 3.1. With p = 1 every token is kept.

    >>> visual = VisualTokens("connector", np.array([[[9.0], [0.0], [5.0], [2.0]]]))  # distances 5, 4, 1, 2
    >>> [len(Saliency(p).weights(visual, ["key"])[0]) for p in (0, 0.5, 0.9, 1)]
    [0, 1, 3, 4]
    """

    share: float
    by: Literal["distance", "norm"] = "distance"

    @property
    def name(self) -> str:
        """The policy with its settings."""
        return f"saliency {self.share:g} by {self.by}"

    def weights(self, visual: VisualTokens, keys: Sequence[str]) -> Sequence[np.ndarray]:
        """Keep the most salient tokens; the first wins a tie."""
        return [kept(self._chosen(row), len(row)) for row in energy(visual, around_mean=self.by == "distance")]

    def _chosen(self, energy_N: np.ndarray) -> np.ndarray:
        if self.share == 1:
            return np.arange(len(energy_N))
        total = energy_N.sum()
        shares = (energy_N / total if total > 0 else np.full(len(energy_N), 1 / len(energy_N))).round(DIGITS + 1)
        order = np.argsort(-shares, kind="stable")
        before = np.cumsum(shares[order]) - shares[order]
        return order[before < self.share - 0.5 * 10.0**-DIGITS]
