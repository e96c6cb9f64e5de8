"""The jackknife's bias correction, from the replicates that the interval needs anyway.

An estimate from n images has a bias of b/n + c/n² + ...; G θ − (G − 1) mean_g θ_g, with θ_g the estimate without group
g, is free of b/n (Quenouille, "Notes on bias in estimation", Biometrika 43, 1956; for groups, Efron and Tibshirani, An
Introduction to the Bootstrap, 1993, eq. 10.20). What is left falls as 1/n², so the same correction on a part of the
images shows how much that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

PARTS = (0.5, 0.7)
"""Parts of the images on which the estimate is made again, the first that is large enough; two parts each."""


@dataclass(frozen=True, slots=True)
class CorrectionSubsets:
    """Subsets of the groups: all; all but one, for each; and for each part of the images the part, and it without one.

    >>> found = CorrectionSubsets.of((30,) * 10, needed=100)
    >>> found.keep_TG.shape, found.part
    (torch.Size([23, 10]), 0.5)
    """

    keep_TG: Tensor
    """1 for the groups that are in, float64."""
    part: float
    """Size of the parts as a fraction of the images; 0 where none is large enough."""

    @classmethod
    def of(cls, sizes: Sequence[int], needed: float) -> CorrectionSubsets:
        """Return the subsets of groups of these sizes; an estimate needs `needed` images."""
        groups, n = len(sizes), sum(sizes)
        rows = [_without_one(torch.ones(groups))]
        for part in PARTS:
            size = round(part * groups)
            if (1 - 1 / size) * part * n >= needed:
                first = (torch.arange(groups) < size).double()
                rows += [_without_one(first), _without_one(first.flip(0))]
                return cls(torch.cat(rows).double(), part)
        return cls(rows[0].double(), 0.0)

    def corrected(self, values_T: Tensor) -> Tensor:
        """Return the corrected estimate, its replicates as they are, and the corrected estimates of the parts.

        Args:
            values_T: (T, ...) an estimate from each subset.

        >>> found = CorrectionSubsets.of((30,) * 10, needed=400)
        >>> images = found.keep_TG.sum(dim=1) * 30
        >>> round(float(found.corrected(5 + 7 / images)[0]), 9)
        5.0
        """
        groups = self.keep_TG.shape[1]
        whole, replicates = _corrected(values_T[: groups + 1]), values_T[1 : groups + 1]
        parts = [_corrected(rows) for rows in values_T[groups + 1 :].chunk(2)] if self.part else []
        return torch.cat([whole[None], replicates, *(part[None] for part in parts)])


def _without_one(keep_G: Tensor) -> Tensor:
    """Return a subset of the groups, and it without each of its groups in turn."""
    each = torch.eye(len(keep_G), dtype=keep_G.dtype)[keep_G > 0]
    return torch.cat([keep_G[None], keep_G - each])


def _corrected(rows: Tensor) -> Tensor:
    groups = len(rows) - 1
    return groups * rows[0] - (groups - 1) * rows[1:].mean(dim=0)
