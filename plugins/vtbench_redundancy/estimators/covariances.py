"""Covariances of two sets of coordinates over any groups of the images, from sums that are computed once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Moments:
    """Sums over each of G groups.

    >>> a = torch.tensor([[0.0], [2.0], [1.0], [5.0]])
    >>> moments = Moments(a, 2 * a, (2, 2))
    >>> [float(cov) for cov in moments.covariances(torch.tensor([0.0, 1.0]))]
    [4.0, 16.0, 8.0]
    """

    def __init__(self, a_np: Tensor, b_nq: Tensor, sizes: Sequence[int]) -> None:
        pairs = list(zip(a_np.split(tuple(sizes)), b_nq.split(tuple(sizes)), strict=True))
        self._products = [
            torch.stack(group) for group in zip(*((a.T @ a, b.T @ b, a.T @ b) for a, b in pairs), strict=True)
        ]
        self._sums = [torch.stack([side.sum(dim=0) for side in group]) for group in zip(*pairs, strict=True)]
        self._counts = torch.tensor(sizes, dtype=a_np.dtype, device=a_np.device)

    def covariances(self, keep: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return covariances (p, p) of a, (q, q) of b and (p, q) between them, over the groups where `keep` is 1."""
        total = keep @ self._counts
        a, b = (keep @ sums / total for sums in self._sums)
        aa, bb, ab = (torch.tensordot(keep, products, 1) / total for products in self._products)
        return aa - torch.outer(a, a), bb - torch.outer(b, b), ab - torch.outer(a, b)


def blocks(square: Tensor, count: int) -> Tensor:
    """Return the `count` blocks on the diagonal of a matrix, (count, s, s).

    >>> blocks(torch.arange(16.0).reshape(4, 4), 2)[1].tolist()
    [[10.0, 11.0], [14.0, 15.0]]
    """
    side = square.shape[0] // count
    return square.reshape(count, side, count, side).diagonal(dim1=0, dim2=2).permute(2, 0, 1)


def half_log_det(positive: Tensor) -> Tensor:
    """Return half the log-determinant of each positive matrix, in nats.

    >>> round(float(half_log_det(torch.eye(3) * 4.0)), 4)
    2.0794
    """
    return half_log_det_of_root(torch.linalg.cholesky(positive))


def half_log_det_of_root(root: Tensor) -> Tensor:
    """Return half the log-determinant of L Lᵀ for each triangular L, in nats."""
    return root.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1)
