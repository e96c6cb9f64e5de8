"""Budget `merge`: groups of similar tokens become one token, their mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vtbench.types import VisualTokens
from vtbench_budgets.similarity import DIGITS, cosines


@dataclass(frozen=True, slots=True)
class Merge:
    """Averages groups of tokens in which any two have a cosine of at least `least`.

    The groups come from agglomerative clustering with complete linkage (Sorensen 1948; Defays, "An efficient algorithm
    for a complete link method", The Computer Journal 20, 1977), so that no chain of small steps joins dissimilar
    tokens. Merging by cosine follows Bolya et al., "Token merging", 2023, arXiv 2210.09461, section 3, with a threshold
    instead of a number of pairs. A group takes the position of its first token.

    >>> visual = VisualTokens("connector", np.array([[[1.0, 0.0], [0.0, 1.0], [2.0, 0.1]]]))
    >>> Merge(0.9).weights(visual, ["key"])[0].tolist()
    [[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]]
    """

    least: float

    @property
    def name(self) -> str:
        """The policy with its settings."""
        return f"merge at cosine {self.least:g}"

    def weights(self, visual: VisualTokens, keys: Sequence[str]) -> Sequence[np.ndarray]:
        """Average each group."""
        return [self._means(cosine_NN) for cosine_NN in cosines(visual)]

    def _means(self, cosine_NN: np.ndarray) -> np.ndarray:
        from scipy.cluster.hierarchy import fcluster, linkage

        total = len(cosine_NN)
        if total < 2:
            return np.eye(total, dtype=np.float32)
        apart = (1 - cosine_NN[np.triu_indices(total, 1)]).round(DIGITS)
        groups = fcluster(linkage(apart, "complete"), round(1 - self.least, DIGITS), "distance")
        first = dict.fromkeys(groups.tolist())  # in the order of their first tokens
        members = (groups == np.array(list(first))[:, None]).astype(np.float32)
        means: np.ndarray = members / members.sum(axis=1, keepdims=True)
        return means
