"""Normal scores: each coordinate mapped to the normal quantiles of its ranks, the marginals of a Gaussian copula."""

from __future__ import annotations

import math

import torch
from torch import Tensor

CONSTANT = 1e-6
"""Coordinates of a smaller standard deviation are constant; see `features.principal_components` for the unit."""


def normal_scores(x: Tensor) -> Tensor:
    """Map every coordinate to the normal quantiles of its ranks: the rank copula, with unit variance.

    Ties share their mean rank. A constant coordinate becomes zeros. A coordinate that is already Gaussian, as far as
    its Shapiro-Francia statistic can tell, is only centred and scaled: ranks would add noise to it of a variance near
    1/n, which hides what nearly noiseless tokens say together.

    Args:
        x: (n, ...) one row an image.

    Returns:
        Float64 of the same shape; every coordinate has mean 0 and variance 1 (or is all 0).

    >>> normal_scores(torch.tensor([3.0, 1.0, 2.0, 1e9, 4.0, 5.0, 6.0, 7.0])).round(decimals=2).tolist()
    [-0.53, -1.66, -0.96, 1.66, -0.17, 0.17, 0.53, 0.96]
    """
    return ranked_scores(x)[0]


def ranked_scores(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the normal scores of x, (n, ...), and which of its coordinates were ranked, (...) bool."""
    n = x.shape[0]
    columns = x.reshape(n, -1).T.contiguous().double()
    ordered = columns.sort(dim=1).values
    below = torch.searchsorted(ordered, columns)
    up_to = torch.searchsorted(ordered, columns, right=True)
    ranked = _standard(torch.special.ndtri((below + up_to).double() / (2 * n)))
    plain = _standard(columns)
    gaussian = (ranked * plain).mean(dim=1, keepdim=True).square() > _shapiro_francia(n)
    varies = columns.std(dim=1, keepdim=True) > CONSTANT
    scores = torch.where(varies, torch.where(gaussian, plain, ranked), torch.zeros_like(ranked))
    return scores.T.reshape(x.shape).contiguous(), (varies & ~gaussian).reshape(x.shape[1:])


def _standard(rows: Tensor) -> Tensor:
    """Rows of mean 0 and variance 1; constant rows become zeros."""
    rows = rows - rows.mean(dim=1, keepdim=True)
    return rows / rows.square().mean(dim=1, keepdim=True).sqrt().clamp_min(1e-12)


def _shapiro_francia(n: int) -> float:
    """The value below which W' (the squared correlation with normal quantiles) rejects a Gaussian at 1 in 1,000.

    Royston 1993, Statistics in Medicine 12:181 (approximation of the null distribution of log(1 - W')).
    """
    u, v = math.log(n), math.log(math.log(n))
    return 1 - math.exp(-1.2725 + 1.0521 * (v - u) + 3.09 * (1.0308 - 0.26758 * (v + 2 / u)))
